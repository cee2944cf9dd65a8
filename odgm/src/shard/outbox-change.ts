import { type ByteReader, type ByteWriter, unreadable } from './byte-codec.ts';
import { type Death, deathReasons, type EventRef, type LetterRef } from './outbox-records.ts';

/**
 * What becomes of events and dead letters of a shard, and new events that come of no change of an object; all of it at
 * once. What it names and what is not there any more is skipped.
 */
export interface OutboxChange {
  readonly type: 'outbox';
  /** Wall-clock milliseconds. */
  readonly at: number;
  /** Events whose calls ended well. */
  readonly done?: readonly EventRef[] | undefined;
  /** Events that become dead letters. */
  readonly dead?: readonly ({ readonly ref: EventRef } & Death)[] | undefined;
  /** Dead letters that become events again, behind all others. */
  readonly replay?: readonly LetterRef[] | undefined;
  /** Dead letters that go. */
  readonly purge?: readonly LetterRef[] | undefined;
  /** New events, as {@link encodeEvent} makes them; where their origin has no place (major 0) it is the one that they get. */
  readonly add?: readonly Uint8Array[] | undefined;
  /** Dead letters of another replica, which is to go; `event` as that of `add`. */
  readonly keep?: readonly KeptLetter[] | undefined;
}

export interface KeptLetter extends Death {
  readonly diedAt: number;
  readonly event: Uint8Array;
}

/** How many of those that were named were there. */
export interface OutboxResult {
  readonly settled: number;
  readonly replayed: number;
  readonly purged: number;
  readonly added: number;
}

/** Body of a log entry: time, then each list after its count. */
export function writeOutboxChange(writer: ByteWriter, change: OutboxChange): void {
  const { at, done = [], dead = [], replay = [], purge = [], add = [], keep = [] } = change;
  writer.time(at);
  writer.number(done.length);
  for (const ref of done) writeRef(writer, ref);
  writer.number(dead.length);
  for (const { ref, ...death } of dead) {
    writeRef(writer, ref);
    writeDeath(writer, death);
  }
  for (const refs of [replay, purge]) {
    writer.number(refs.length);
    for (const ref of refs) {
      writer.time(ref.diedAt);
      writeRef(writer, ref);
    }
  }
  writer.number(add.length);
  for (const event of add) writer.bytes(event);
  writer.number(keep.length);
  for (const { diedAt, event, ...death } of keep) {
    writer.time(diedAt);
    writeDeath(writer, death);
    writer.bytes(event);
  }
}

export function readOutboxChange(reader: ByteReader): OutboxChange {
  const at = reader.time();
  const done = readList(reader, readRef);
  const dead = readList(reader, (from) => ({ ref: readRef(from), ...readDeath(from) }));
  const letters = (from: ByteReader): LetterRef => ({ diedAt: from.time(), ...readRef(from) });
  const replay = readList(reader, letters);
  const purge = readList(reader, letters);
  const add = readList(reader, (from) => from.bytes());
  const keep = readList(reader, (from) => ({ diedAt: from.time(), ...readDeath(from), event: from.bytes() }));
  return { type: 'outbox', at, done, dead, replay, purge, add, keep };
}

/** Most bytes that it can take. */
export function sizeOfOutboxChange(change: OutboxChange): number {
  const { done = [], dead = [], replay = [], purge = [], add = [], keep = [] } = change;
  const perNumber = 8;
  let size = 6 + 6 * perNumber + 2 * perNumber * done.length + (2 * perNumber + 6) * (replay.length + purge.length);
  for (const { error } of dead) size += 4 * perNumber + 1 + Buffer.byteLength(error);
  for (const event of add) size += perNumber + event.length;
  for (const { error, event } of keep) size += 7 + 3 * perNumber + Buffer.byteLength(error) + event.length;
  return size;
}

function writeRef(writer: ByteWriter, { major, minor }: EventRef): void {
  writer.number(major);
  writer.number(minor);
}

function writeDeath(writer: ByteWriter, { reason, attempts, error }: Death): void {
  writer.u8(deathReasons.indexOf(reason));
  writer.number(attempts);
  writer.utf8(error);
}

function readDeath(reader: ByteReader): Death {
  const reason = deathReasons[reader.u8()];
  if (reason === undefined) throw unreadable('the reason of a dead letter is unknown');
  return { reason, attempts: reader.number(), error: reader.utf8() };
}

function readRef(reader: ByteReader): EventRef {
  return { major: reader.number(), minor: reader.number() };
}

function readList<T>(reader: ByteReader, read: (reader: ByteReader) => T): T[] {
  const list: T[] = [];
  for (let left = reader.number(); left > 0; left--) list.push(read(reader));
  return list;
}
