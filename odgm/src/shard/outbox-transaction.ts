import type { StorageReader, WriteOperation } from '../storage/index.ts';
import type { OutboxChange, OutboxResult } from './outbox-change.ts';
import {
  countsKey,
  type Death,
  decodeCounts,
  decodeEvent,
  decodeLetter,
  encodeCounts,
  encodeEvent,
  encodeLetter,
  eventKey,
  eventRange,
  type EventRef,
  type KeyRange,
  letterKey,
  letterRange,
  type LetterRef,
  type OutboxCounts,
  type OutboxEvent,
  refOfEventKey,
} from './outbox-records.ts';
import { after, type ShardLocation } from './records.ts';

/**
 * Most events and dead letters of a shard, and bytes of their keys and records. Replicas decide by them in apply: other
 * numbers need an agreement of all members, as a new kind of log entry does.
 */
export interface OutboxBounds {
  readonly events: number;
  readonly eventBytes: number;
  readonly letters: number;
  readonly letterBytes: number;
}

export const outboxBounds: OutboxBounds = {
  events: 65_536,
  eventBytes: 64 * 1024 * 1024,
  letters: 10_000,
  letterBytes: 32 * 1024 * 1024,
};

/** A new event, without the place that it gets. */
export type NewEvent = Omit<OutboxEvent, 'origin'>;

/** Where the events of a change get their places. */
export interface EventPlace {
  readonly major: number;
  /** Lowest minor place of the change. */
  readonly first: number;
  /** See {@link EventOrigin.by}. */
  readonly by: number;
}

/**
 * What a group of mutations does to the outbox of a shard; storage sees all of it, with the changes themselves, or none.
 *
 * At the bound of events the oldest become dead letters: no change is refused for its triggers. At the bound of dead
 * letters the oldest go, and are counted.
 */
export class OutboxTransaction {
  readonly #storage: StorageReader;
  readonly #location: ShardLocation;
  readonly #bounds: OutboxBounds;
  /** By key, as Latin-1. Undefined: it goes. */
  readonly #pending = new Map<string, Uint8Array | undefined>();
  readonly #counts: { -readonly [K in keyof OutboxCounts]: OutboxCounts[K] };
  #major = -1;
  #minor = 0;

  constructor(storage: StorageReader, location: ShardLocation, bounds = outboxBounds) {
    this.#storage = storage;
    this.#location = location;
    this.#bounds = bounds;
    this.#counts = { ...decodeCounts(storage.get(countsKey(location))) };
  }

  /** As of the last change. */
  get counts(): OutboxCounts {
    return { ...this.#counts };
  }

  /** Adds an event, behind those that its change has already. */
  append(place: EventPlace, event: NewEvent): void {
    const ref = this.#next(place);
    this.#add(ref, encodeEvent({ ...event, origin: { ...ref, by: place.by } }), event.at);
  }

  /** `place`: of the change itself, for the events that come by it. */
  change(change: OutboxChange, place: EventPlace): OutboxResult {
    const { at, done = [], dead = [], replay = [], purge = [], add = [], keep = [] } = change;
    let settled = 0;
    for (const ref of done) if (this.#take(eventKey(this.#location, ref)) !== undefined) settled += 1;
    for (const { ref, ...death } of dead) {
      const event = this.#take(eventKey(this.#location, ref));
      if (event === undefined) continue;
      settled += 1;
      this.#bury(ref, event, death, at);
    }
    let replayed = 0;
    for (const ref of replay) {
      const letter = this.#take(letterKey(this.#location, ref));
      if (letter === undefined) continue;
      replayed += 1;
      this.#add(this.#next(place), decodeLetter(letter).event, at);
    }
    let purged = 0;
    for (const ref of purge) if (this.#take(letterKey(this.#location, ref)) !== undefined) purged += 1;
    for (const bytes of add) this.#adopt(bytes, place, at);
    for (const { diedAt, event, ...death } of keep) this.#bury(this.#next(place), event, death, diedAt);
    return { settled, replayed, purged, added: add.length + keep.length };
  }

  /** What to write. To be called once, at the end. */
  operations(): WriteOperation[] {
    if (this.#pending.size === 0) return [];
    const operations = Array.from(this.#pending, ([text, value]): WriteOperation => {
      const key = Buffer.from(text, 'latin1');
      return value === undefined ? { type: 'delete', key } : { type: 'put', key, value };
    });
    operations.push({ type: 'put', key: countsKey(this.#location), value: encodeCounts(this.#counts) });
    return operations;
  }

  /** An event that was encoded before it had a place. */
  #adopt(bytes: Uint8Array, place: EventPlace, at: number): void {
    const event = decodeEvent(bytes);
    const ref = this.#next(place);
    const isNew = event.origin.major === 0;
    this.#add(ref, isNew ? encodeEvent({ ...event, origin: { ...ref, by: place.by } }) : bytes, at);
  }

  #next({ major, first }: EventPlace): EventRef {
    const isBehind = major === this.#major && this.#minor >= first;
    this.#major = major;
    this.#minor = isBehind ? this.#minor + 1 : first;
    return { major, minor: this.#minor };
  }

  #add(ref: EventRef, event: Uint8Array, at: number): void {
    const { events, eventBytes } = this.#bounds;
    this.#put(eventKey(this.#location, ref), event);
    while (this.#counts.events > events || this.#counts.eventBytes > eventBytes) {
      const key = this.#oldest(eventRange(this.#location));
      const old = key === undefined ? undefined : this.#take(key);
      if (key === undefined || old === undefined) return;
      const error = `${String(this.#counts.events + 1)} events of this shard wait for their calls`;
      this.#bury(refOfEventKey(key), old, { reason: 'overflow', attempts: 0, error }, at);
    }
  }

  #bury(ref: EventRef, event: Uint8Array, death: Death, at: number): void {
    const { letters, letterBytes } = this.#bounds;
    this.#put(letterKey(this.#location, { diedAt: at, ...ref } satisfies LetterRef), encodeLetter(death, event));
    while (this.#counts.letters > letters || this.#counts.letterBytes > letterBytes) {
      const key = this.#oldest(letterRange(this.#location));
      if (key === undefined) return;
      this.#take(key);
      this.#counts.dropped += 1;
    }
  }

  #put(key: Buffer, value: Uint8Array): void {
    this.#pending.set(key.toString('latin1'), value);
    this.#count(key, value, 1);
  }

  /** What was there, which goes; undefined for nothing. */
  #take(key: Buffer): Uint8Array | undefined {
    const name = key.toString('latin1');
    const value = this.#pending.has(name) ? this.#pending.get(name) : this.#storage.get(key);
    if (value === undefined) return undefined;
    this.#pending.set(name, undefined);
    this.#count(key, value, -1);
    return value;
  }

  #count(key: Buffer, value: Uint8Array, sign: 1 | -1): void {
    const bytes = sign * (key.length + value.length);
    if (isWithin(key, eventRange(this.#location))) {
      this.#counts.events += sign;
      this.#counts.eventBytes += bytes;
    } else {
      this.#counts.letters += sign;
      this.#counts.letterBytes += bytes;
    }
  }

  #oldest(range: KeyRange): Buffer | undefined {
    let oldest: Buffer | undefined;
    for (const [name, value] of this.#pending) {
      const key = Buffer.from(name, 'latin1');
      if (value === undefined || !isWithin(key, range)) continue;
      if (oldest === undefined || Buffer.compare(key, oldest) < 0) oldest = key;
    }
    let start: Uint8Array = range.start;
    for (;;) {
      const [stored] = this.#storage.range({ start, end: range.end, limit: 1 });
      if (stored === undefined) return oldest;
      const key = Buffer.from(stored.key);
      if (this.#pending.get(key.toString('latin1')) === undefined && this.#pending.has(key.toString('latin1'))) {
        start = after(key);
        continue;
      }
      return oldest === undefined || Buffer.compare(key, oldest) < 0 ? key : oldest;
    }
  }
}

function isWithin(key: Uint8Array, { start, end }: KeyRange): boolean {
  return Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0;
}
