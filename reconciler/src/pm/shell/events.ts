import type { PlatformEvent } from '@oaas/commons/client/pm';
import { type Clock, toRfc3339 } from '@oaas/commons/time';

export interface NumberedEvent {
  /** `<epoch>-<number>`: numbers of another start of PM are not continued. */
  readonly id: string;
  readonly event: PlatformEvent;
}

/** Events kept for those who reconnect. Who missed more is told to read everything anew. */
const eventsMax = 2000;

/** What happens in PM, for everyone who watches. */
export class EventHub {
  readonly #clock: Clock;
  readonly #epoch: string;
  readonly #events: NumberedEvent[] = [];
  readonly #listeners = new Set<(event: NumberedEvent) => void>();
  #next = 1;

  constructor(options: { readonly clock: Clock; readonly epoch: string }) {
    this.#clock = options.clock;
    this.#epoch = options.epoch;
  }

  publish(topic: Exclude<PlatformEvent['topic'], 'reset'>, action: PlatformEvent['action'], key: string): void {
    const event = { topic, action, key, at: toRfc3339(this.#clock.now()) };
    const numbered = { id: `${this.#epoch}-${String(this.#next)}`, event };
    this.#next += 1;
    this.#events.push(numbered);
    if (this.#events.length > eventsMax) this.#events.shift();
    for (const listener of this.#listeners) listener(numbered);
  }

  /** Events after `lastId`; undefined where some of them are no longer known. */
  since(lastId: string): readonly NumberedEvent[] | undefined {
    const [epoch, number] = lastId.split('-');
    const last = Number(number);
    if (epoch !== this.#epoch || !Number.isInteger(last) || last >= this.#next) return undefined;
    const first = this.#next - this.#events.length;
    return last + 1 < first ? undefined : this.#events.slice(last + 1 - first);
  }

  /** Tells that everything should be read anew. */
  reset(): NumberedEvent {
    const event = { topic: 'reset', action: 'modified', key: '', at: toRfc3339(this.#clock.now()) } as const;
    return { id: `${this.#epoch}-${String(this.#next - 1)}`, event };
  }

  subscribe(listener: (event: NumberedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
