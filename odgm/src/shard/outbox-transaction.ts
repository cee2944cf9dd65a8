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
  readonly #events: KeyRange;
  readonly #firstEvent: FirstKey;
  readonly #firstLetter: FirstKey;
  #major = -1;
  #minor = 0;

  constructor(storage: StorageReader, location: ShardLocation, bounds = outboxBounds) {
    this.#storage = storage;
    this.#location = location;
    this.#bounds = bounds;
    this.#counts = { ...decodeCounts(storage.get(countsKey(location))) };
    this.#events = eventRange(location);
    const isGone = (name: string): boolean => this.#pending.has(name) && this.#pending.get(name) === undefined;
    this.#firstEvent = new FirstKey(storage, this.#events, isGone);
    this.#firstLetter = new FirstKey(storage, letterRange(location), isGone);
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
    this.#firstEvent.add(this.#put(eventKey(this.#location, ref), event));
    while (this.#counts.events > events || this.#counts.eventBytes > eventBytes) {
      const key = this.#firstEvent.get();
      const old = key === undefined ? undefined : this.#take(key);
      if (key === undefined || old === undefined) return;
      const error = `${String(this.#counts.events + 1)} events of this shard wait for their calls`;
      this.#bury(refOfEventKey(key), old, { reason: 'overflow', attempts: 0, error }, at);
    }
  }

  #bury(ref: EventRef, event: Uint8Array, death: Death, at: number): void {
    const { letters, letterBytes } = this.#bounds;
    const place = letterKey(this.#location, { diedAt: at, ...ref } satisfies LetterRef);
    this.#firstLetter.add(this.#put(place, encodeLetter(death, event)));
    while (this.#counts.letters > letters || this.#counts.letterBytes > letterBytes) {
      const key = this.#firstLetter.get();
      if (key === undefined) return;
      this.#take(key);
      this.#counts.dropped += 1;
    }
  }

  /** Gives the key as Latin-1. */
  #put(key: Buffer, value: Uint8Array): string {
    const name = key.toString('latin1');
    this.#pending.set(name, value);
    this.#count(key, value, 1);
    return name;
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
    if (isWithin(key, this.#events)) {
      this.#counts.events += sign;
      this.#counts.eventBytes += bytes;
    } else {
      this.#counts.letters += sign;
      this.#counts.letterBytes += bytes;
    }
  }
}

/** The first key of a range, as storage has it and as a transaction adds to it. What has gone does not come back. */
class FirstKey {
  readonly #storage: StorageReader;
  readonly #end: Uint8Array;
  readonly #isGone: (name: string) => boolean;
  /** Stored keys before it have gone. */
  #from: Uint8Array;
  /** In ascending order, from `#head` on. */
  readonly #added: string[] = [];
  #head = 0;

  constructor(storage: StorageReader, { start, end }: KeyRange, isGone: (name: string) => boolean) {
    this.#storage = storage;
    this.#from = start;
    this.#end = end;
    this.#isGone = isGone;
  }

  /** Nearly always behind all others. */
  add(name: string): void {
    let at = this.#added.length;
    while (at > this.#head && (this.#added[at - 1] ?? '') > name) at -= 1;
    this.#added.splice(at, 0, name);
  }

  get(): Buffer | undefined {
    while (this.#head < this.#added.length && this.#isGone(this.#added[this.#head] ?? '')) this.#head += 1;
    const added = this.#added[this.#head];
    const stored = this.#firstStored();
    const name = added === undefined || (stored !== undefined && stored < added) ? stored : added;
    return name === undefined ? undefined : Buffer.from(name, 'latin1');
  }

  #firstStored(): string | undefined {
    for (const { key } of this.#storage.range({ start: this.#from, end: this.#end })) {
      const name = Buffer.from(key).toString('latin1');
      if (!this.#isGone(name)) return name;
      this.#from = after(key);
    }
    return undefined;
  }
}

function isWithin(key: Uint8Array, { start, end }: KeyRange): boolean {
  return Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0;
}
