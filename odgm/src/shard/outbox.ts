import type { StorageReader } from '../storage/index.ts';
import type { OutboxChange, OutboxResult } from './outbox-change.ts';
import {
  type Death,
  decodeEvent,
  decodeLetter,
  eventKey,
  eventRange,
  type EventRef,
  letterKey,
  letterRange,
  type LetterRef,
  type OutboxCounts,
  type OutboxEvent,
  refOfEventKey,
  refOfLetterKey,
} from './outbox-records.ts';
import { after, type ShardLocation } from './records.ts';

export interface WaitingEvent {
  readonly ref: EventRef;
  readonly event: OutboxEvent;
}

export interface DeadLetter {
  readonly ref: LetterRef;
  readonly death: Death;
  readonly event: OutboxEvent;
}

export interface OutboxSource {
  readonly storage: StorageReader;
  location(): ShardLocation;
  counts(): OutboxCounts;
  /** It is for this replica to deliver the events. */
  isActive(): boolean;
  change(change: OutboxChange): Promise<OutboxResult>;
}

/** Events that a replica of a shard has to deliver, and those that it could not: as it has applied them. */
export class Outbox {
  readonly #source: OutboxSource;

  constructor(source: OutboxSource) {
    this.#source = source;
  }

  /** It is for this replica to deliver the events, as far as it knows. */
  get isActive(): boolean {
    return this.#source.isActive();
  }

  get counts(): OutboxCounts {
    return this.#source.counts();
  }

  /** The next events behind one, in their order. Throws `StorageCorrupt` and `DataLoss` for what cannot be read. */
  events(behind: EventRef | undefined, limit: number): WaitingEvent[] {
    const { storage } = this.#source;
    const location = this.#source.location();
    const { start, end } = eventRange(location);
    const from = behind === undefined ? start : after(eventKey(location, behind));
    return Array.from(storage.range({ start: from, end, limit }), ({ key, value }) => ({
      ref: refOfEventKey(key),
      event: decodeEvent(value),
    }));
  }

  /** Dead letters behind one, in the order in which they came to be. Throws as {@link events}. */
  *letters(behind?: LetterRef): Generator<DeadLetter> {
    const { storage } = this.#source;
    const location = this.#source.location();
    const { start, end } = letterRange(location);
    const from = behind === undefined ? start : after(letterKey(location, behind));
    for (const { key, value } of storage.range({ start: from, end })) {
      const { death, event } = decodeLetter(value);
      yield { ref: refOfLetterKey(key), death, event: decodeEvent(event) };
    }
  }

  /** Rejects as mutations of the shard do. */
  change(change: OutboxChange): Promise<OutboxResult> {
    return this.#source.change(change);
  }
}
