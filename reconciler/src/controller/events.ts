import { type OaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface EventInput {
  readonly regarding: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, of a closed list. */
  readonly reason: string;
  /** What was being done, CamelCase. */
  readonly action: string;
  readonly note: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface EventSeries {
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly lastSeen: number;
}

/** Where events go. `create` returns the name by which `update` finds the event again. */
export interface EventSink {
  create(event: EventInput, at: number): Promise<string>;
  update(event: EventInput, name: string, series: EventSeries): Promise<void>;
}

interface Known {
  readonly name: string;
  count: number;
  lastSeen: number;
}

interface Pending {
  readonly key: string;
  readonly event: EventInput;
  readonly at: number;
}

/** Different events that are remembered to be counted instead of written again; the oldest is forgotten over it. */
const knownMax = 4096;
/** Events that wait to be written; over it the newest is dropped, which is counted. */
const pendingMax = 4096;
/** Few, so that events never take the place of work. */
const writersMax = 2;
/** The same event within this time counts as one more of a series. */
const seriesMs = 600_000;
/** Kubernetes refuses a longer note. */
const noteLengthMax = 1024;

/**
 * Writes Kubernetes Events in the background. The same event (object, type, reason, note) that comes again is counted on
 * the one that is there. Events are a courtesy to people: a failure to write one is reported and forgotten.
 */
export class EventRecorder {
  readonly #sink: EventSink;
  readonly #clock: Clock;
  readonly #onError: (error: OaasError) => void;
  readonly #pace: (() => Promise<void> | undefined) | undefined;
  readonly #known = new Map<string, Known>();
  readonly #pending: Pending[] = [];
  readonly #writing = new Set<string>();
  #writers = 0;
  #dropped = 0;
  #idle: (() => void)[] = [];

  constructor(options: {
    readonly sink: EventSink;
    readonly clock: Clock;
    readonly onError: (error: OaasError) => void;
    /** Awaited before each write, so that events can be held back while there is work. */
    readonly pace?: (() => Promise<void> | undefined) | undefined;
  }) {
    this.#pace = options.pace;
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#onError = options.onError;
  }

  /** Events that were lost because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws and never waits. */
  record(event: EventInput): void {
    if (this.#pending.length >= pendingMax) {
      this.#dropped += 1;
      return;
    }
    const note = event.note.slice(0, noteLengthMax);
    const key = [event.regarding.uid, event.type, event.reason, note].join('\0');
    this.#pending.push({ key, event: { ...event, note }, at: this.#clock.now() });
    this.#pump();
  }

  /** Resolves when everything that waits has been written or has failed. */
  async flush(): Promise<void> {
    if (this.#writers === 0 && this.#pending.length === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    while (this.#writers < writersMax) {
      // Two writes of the same event at once would both create it.
      const index = this.#pending.findIndex((entry) => !this.#writing.has(entry.key));
      const [next] = index < 0 ? [] : this.#pending.splice(index, 1);
      if (next === undefined) break;
      this.#writers += 1;
      this.#writing.add(next.key);
      void this.#write(next).finally(() => {
        this.#writers -= 1;
        this.#writing.delete(next.key);
        this.#pump();
      });
    }
    if (this.#writers > 0 || this.#pending.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #write({ key, event, at }: Pending): Promise<void> {
    await this.#pace?.();
    const known = this.#known.get(key);
    try {
      if (known !== undefined && at - known.lastSeen < seriesMs) {
        known.count += 1;
        known.lastSeen = at;
        await this.#sink.update(event, known.name, { count: known.count, lastSeen: at });
        return;
      }
      this.#remember(key, { name: await this.#sink.create(event, at), count: 1, lastSeen: at });
    } catch (thrown) {
      // An event that was removed meanwhile is written anew when it happens again.
      this.#known.delete(key);
      this.#onError(toOaasError(thrown));
    }
  }

  #remember(key: string, known: Known): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= knownMax) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
