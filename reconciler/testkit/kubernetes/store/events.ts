import type { Entry } from './store.ts';

/** One change of one object. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object after the change; of a removed one its last state, at the removal's revision. */
  readonly entry: Entry;
  readonly previous: Entry | undefined;
}

export type EventListener = (events: readonly StoreEvent[]) => void;

/** At most this many changes are remembered for watchers that come back; older ones answer 410 Expired. */
const MAX_EVENTS = 8_192;
/** And at most this many bytes of objects. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The recent changes, in order, and who wants to hear of the next ones. */
export class EventLog {
  readonly #limits: { readonly maxEvents: number; readonly maxBytes: number };
  #events: StoreEvent[] = [];
  #start = 0;
  #bytes = 0;
  /** The newest revision that is no longer remembered. */
  #compacted = 0;
  readonly #listeners = new Set<EventListener>();

  constructor(limits = { maxEvents: MAX_EVENTS, maxBytes: MAX_BYTES }) {
    this.#limits = limits;
  }

  /** Says where the log begins: changes up to `revision` are not in it. */
  begin(revision: number): void {
    this.#compacted = revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  append(events: readonly StoreEvent[]): void {
    for (const event of events) {
      this.#events.push(event);
      this.#bytes += event.entry.bytes.length;
    }
    this.#trim();
    for (const listener of [...this.#listeners]) listener(events);
  }

  /** The changes after `revision`, or undefined when some of them are forgotten. */
  since(revision: number): readonly StoreEvent[] | undefined {
    if (revision < this.#compacted) return undefined;
    let low = this.#start;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.entry.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #trim(): void {
    while (this.#events.length - this.#start > this.#limits.maxEvents || this.#bytes > this.#limits.maxBytes) {
      const oldest = this.#events[this.#start];
      if (oldest === undefined) break;
      this.#start += 1;
      this.#bytes -= oldest.entry.bytes.length;
      this.#compacted = oldest.entry.revision;
    }
    // Moving the array once per window keeps the cost of forgetting constant.
    if (this.#start > MAX_EVENTS / 8) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
  }
}
