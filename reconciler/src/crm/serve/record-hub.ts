import { deployment } from '@oaas/proto';
import type { Timer, Timers } from '@oaas/commons/time';
import type { StoreChange, Watched } from '../../controller/index.ts';
import type { Caches } from '../cluster/caches.ts';
import { recordOfEvent } from '../cluster/kube-event.ts';
import { sha256 } from '../digest.ts';
import type { GridObserver } from '../observe/grid-observer.ts';
import { labels } from '../../record/index.ts';
import { recordView } from './view.ts';

/** Changes of one record within this time are one event. */
const coalesceMs = 100;

interface Subscriber {
  /** Ids that have changed since they were sent. Bounded by the number of records. */
  readonly dirty: Set<string>;
  wake: () => void;
}

/**
 * Tells subscribers which records look different. Each has a set of ids and not a queue of events: a slow one gets fewer,
 * newer views, and costs no more memory than the names of all records.
 */
export class RecordHub {
  readonly #caches: Caches;
  readonly #grids: GridObserver;
  readonly #namespace: string;
  readonly #timers: Timers;
  readonly #subscribers = new Set<Subscriber>();
  readonly #pending = new Set<string>();
  #timer: Timer | undefined;

  constructor(options: { caches: Caches; grids: GridObserver; namespace: string; timers: Timers }) {
    this.#caches = options.caches;
    this.#grids = options.grids;
    this.#namespace = options.namespace;
    this.#timers = options.timers;
    const { caches } = options;
    caches.records.subscribe(({ object }) => {
      this.touch(object.metadata.name);
    });
    const byLabel = ({ object }: StoreChange<Watched>): void => {
      const id = (object.metadata as { labels?: Readonly<Record<string, string>> }).labels?.[labels.deployment];
      if (id !== undefined) this.touch(id);
    };
    for (const store of caches.children.values()) store.subscribe(byLabel);
    caches.pods.subscribe(byLabel);
    caches.claims.subscribe(byLabel);
    caches.events.subscribe(({ object }) => {
      const id = recordOfEvent(object);
      if (id !== undefined) this.touch(id);
    });
  }

  /** Something about the record `id` may look different. */
  touch(id: string): void {
    if (this.#subscribers.size === 0) return;
    this.#pending.add(id);
    this.#timer ??= this.#timers.after(coalesceMs, () => {
      this.#timer = undefined;
      for (const subscriber of this.#subscribers) {
        for (const each of this.#pending) subscriber.dirty.add(each);
        subscriber.wake();
      }
      this.#pending.clear();
    });
  }

  /** The view of one record; undefined when there is none. */
  view(id: string): deployment.DeploymentRecord | undefined {
    const record = this.#caches.records.get(`${this.#namespace}/${id}`);
    return record === undefined ? undefined : recordView(record, this.#caches, this.#grids.get(id));
  }

  /** All records as ADDED, then SYNCED, then what changes, until the signal aborts. */
  async *subscribe(signal: AbortSignal): AsyncGenerator<deployment.DeploymentRecordEvent> {
    const subscriber: Subscriber = { dirty: new Set(), wake: () => undefined };
    const sent = new Map<string, string>();
    const onAbort = (): void => {
      subscriber.wake();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#subscribers.add(subscriber);
    try {
      for (const id of [...this.#caches.records.values()].map((record) => record.metadata.name)) {
        const event = this.#event(id, sent);
        if (event !== undefined) yield event;
      }
      yield { type: deployment.RecordEventType.RECORD_EVENT_SYNCED, record: undefined };
      const isEnded = (): boolean => signal.aborted;
      while (!isEnded()) {
        const [id] = subscriber.dirty;
        if (id === undefined) {
          await new Promise<void>((resolve) => (subscriber.wake = resolve));
          continue;
        }
        subscriber.dirty.delete(id);
        const event = this.#event(id, sent);
        if (event !== undefined) yield event;
      }
    } finally {
      this.#subscribers.delete(subscriber);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Wakes subscribers for the last time. */
  stop(): void {
    this.#timer?.cancel();
  }

  #event(id: string, sent: Map<string, string>): deployment.DeploymentRecordEvent | undefined {
    const record = this.view(id);
    const before = sent.get(id);
    if (record === undefined) {
      if (before === undefined) return undefined;
      sent.delete(id);
      return {
        type: deployment.RecordEventType.RECORD_EVENT_DELETED,
        record: deployment.DeploymentRecord.fromPartial({ id }),
      };
    }
    const fingerprint = fingerprintOf(record);
    if (before === fingerprint) return undefined;
    sent.set(id, fingerprint);
    const { RECORD_EVENT_ADDED, RECORD_EVENT_MODIFIED } = deployment.RecordEventType;
    return { type: before === undefined ? RECORD_EVENT_ADDED : RECORD_EVENT_MODIFIED, record };
  }
}

/** Equal for views that look the same. That a grid was asked again is not news. */
function fingerprintOf(record: deployment.DeploymentRecord): string {
  const { grid, ...rest } = record;
  // Views are built field by field, so that their keys always come in the same order.
  return sha256(JSON.stringify({ ...rest, grid: grid === undefined ? null : { ...grid, observedAt: '' } }));
}
