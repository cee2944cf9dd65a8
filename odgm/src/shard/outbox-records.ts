import type { data } from '@oaas/proto';
import { ByteReader, ByteWriter, unreadable } from './byte-codec.ts';
import { bufferOf, headLength, keyOf, type ShardLocation } from './records.ts';

/**
 * What a shard stores of triggers that were set off and whose calls have not ended (events), and of those whose calls
 * failed for good (dead letters). Kinds of records behind those of replicas that merge: event, dead letter, counts of
 * both. All are part of a snapshot, none of the content that replicas are compared by.
 */
const kinds = { event: 13, letter: 14, counts: 15 } as const;
const format = 1;

/**
 * Place of an event in its outbox, which is the order in which events came to be. By consensus: index of the log entry
 * (u48), and which event of that entry (u32). Elsewhere: the stamp of the change (milliseconds; counter and number).
 */
export interface EventRef {
  readonly major: number;
  readonly minor: number;
}

/** Where an event came to be: what it is known by, whatever becomes of it. */
export interface EventOrigin extends EventRef {
  /** Member whose replica it came to be on, where replicas merge; 0 by consensus, which has one order. */
  readonly by: number;
}

/** What receivers know the event by: the same with every try, and of no other event of the grid. */
export function eventId(shard: number, { major, minor, by }: EventOrigin): string {
  return [shard, major, minor, ...(by === 0 ? [] : [by])].join('-');
}

/** Place of a dead letter: by the time at which it became one, in wall-clock milliseconds. */
export interface LetterRef extends EventRef {
  readonly diedAt: number;
}

/** A trigger that was set off. */
export interface OutboxEvent {
  readonly origin: EventOrigin;
  readonly type: data.EventType;
  readonly objectId: string;
  /** Of the entry; name of the function for events of functions. */
  readonly key: string;
  /** Of the object, before and after the change; both the same for events of functions. */
  readonly versions: readonly [before: number, after: number];
  /** Wall-clock milliseconds. */
  readonly at: number;
  /** Of the call that it leads to: 1 for that of a change that a client asked for by itself. */
  readonly depth: number;
  /** The wire's TriggerTarget. */
  readonly target: Uint8Array;
  /** What the function answered; absent for events of data. */
  readonly payload?: Uint8Array | undefined;
}

/**
 * Why an event became a dead letter. `unknown-target`: no such collection or function; `rejected`: the function took the
 * call for invalid; `failed`: it failed with every try; `depth`: triggers led to triggers too often; `overflow`: there
 * was no room for more events.
 */
export const deathReasons = ['unknown-target', 'rejected', 'failed', 'depth', 'overflow'] as const;
export type DeathReason = (typeof deathReasons)[number];

/** How the calls of an event ended. */
export interface Death {
  readonly reason: DeathReason;
  readonly attempts: number;
  /** Of the last try. */
  readonly error: string;
}

export interface OutboxCounts {
  readonly events: number;
  readonly eventBytes: number;
  readonly letters: number;
  readonly letterBytes: number;
  /** Dead letters that had to go without anybody asking for it, since the shard began. */
  readonly dropped: number;
}

export const noCounts: OutboxCounts = { events: 0, eventBytes: 0, letters: 0, letterBytes: 0, dropped: 0 };

export const countsKey = (location: ShardLocation): Buffer => keyOf(location, kinds.counts, 0);

export function eventKey(location: ShardLocation, { major, minor }: EventRef): Buffer {
  const key = keyOf(location, kinds.event, 10);
  key.writeUIntBE(major, headLength, 6);
  key.writeUInt32BE(minor, headLength + 6);
  return key;
}

export function letterKey(location: ShardLocation, { diedAt, major, minor }: LetterRef): Buffer {
  const key = keyOf(location, kinds.letter, 16);
  key.writeUIntBE(diedAt, headLength, 6);
  key.writeUIntBE(major, headLength + 6, 6);
  key.writeUInt32BE(minor, headLength + 12);
  return key;
}

export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

export const eventRange = (location: ShardLocation): KeyRange => rangeOf(location, kinds.event);
export const letterRange = (location: ShardLocation): KeyRange => rangeOf(location, kinds.letter);

function rangeOf(location: ShardLocation, kind: number): KeyRange {
  return { start: keyOf(location, kind, 0), end: keyOf(location, kind + 1, 0) };
}

export function refOfEventKey(key: Uint8Array): EventRef {
  const bytes = bufferOf(key);
  return { major: bytes.readUIntBE(headLength, 6), minor: bytes.readUInt32BE(headLength + 6) };
}

export function refOfLetterKey(key: Uint8Array): LetterRef {
  const bytes = bufferOf(key);
  return {
    diedAt: bytes.readUIntBE(headLength, 6),
    major: bytes.readUIntBE(headLength + 6, 6),
    minor: bytes.readUInt32BE(headLength + 12),
  };
}

/**
 * Format 1: u8 format, u8 type, time (u48), origin (3), versions (2), depth, object, key, target, and the payload where
 * there is one, as {@link ByteWriter} writes numbers, texts and bytes.
 */
export function encodeEvent(event: OutboxEvent): Buffer {
  const { origin, type, objectId, key, versions, at, depth, target, payload } = event;
  const room = 8 + 10 * 8 + objectId.length + Buffer.byteLength(key) + target.length + (payload?.length ?? 0);
  const writer = new ByteWriter(room);
  writer.u8(format);
  writer.u8(type);
  writer.time(at);
  for (const number of [origin.major, origin.minor, origin.by, ...versions, depth]) writer.number(number);
  writer.text(objectId);
  writer.utf8(key);
  writer.bytes(target);
  if (payload !== undefined) writer.bytes(payload);
  return writer.finish();
}

/** The bytes in it are views. Throws `DataLoss`. */
export function decodeEvent(bytes: Uint8Array): OutboxEvent {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== format) throw unreadable('the format of an event is unknown');
  const type = reader.u8() as data.EventType;
  const at = reader.time();
  const origin = { major: reader.number(), minor: reader.number(), by: reader.number() };
  const versions = [reader.number(), reader.number()] as const;
  const depth = reader.number();
  const objectId = reader.text();
  const key = reader.utf8();
  const target = reader.bytes();
  const payload = reader.isAtEnd ? undefined : reader.bytes();
  reader.end();
  return { origin, type, objectId, key, versions, at, depth, target, payload };
}

/** Format 1: u8 format, u8 reason, attempts, error, the event as it was. */
export function encodeLetter({ reason, attempts, error }: Death, event: Uint8Array): Buffer {
  const writer = new ByteWriter(2 + 3 * 8 + Buffer.byteLength(error) + event.length);
  writer.u8(format);
  writer.u8(deathReasons.indexOf(reason));
  writer.number(attempts);
  writer.utf8(error);
  writer.bytes(event);
  return writer.finish();
}

/** `event` is as {@link encodeEvent} made it. Throws `DataLoss`. */
export function decodeLetter(bytes: Uint8Array): { readonly death: Death; readonly event: Uint8Array } {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== format) throw unreadable('the format of a dead letter is unknown');
  const reason = deathReasons[reader.u8()];
  if (reason === undefined) throw unreadable('the reason of a dead letter is unknown');
  const death = { reason, attempts: reader.number(), error: reader.utf8() };
  const event = reader.bytes();
  reader.end();
  return { death, event };
}

/** Format 1: u8 format, then the counts in the order of {@link OutboxCounts}. */
export function encodeCounts({ events, eventBytes, letters, letterBytes, dropped }: OutboxCounts): Buffer {
  const writer = new ByteWriter(1 + 5 * 8);
  writer.u8(format);
  for (const count of [events, eventBytes, letters, letterBytes, dropped]) writer.number(count);
  return writer.finish();
}

export function decodeCounts(bytes: Uint8Array | undefined): OutboxCounts {
  if (bytes === undefined) return noCounts;
  const reader = new ByteReader(bytes);
  if (reader.u8() !== format) throw unreadable('the format of the counts of events is unknown');
  return {
    events: reader.number(),
    eventBytes: reader.number(),
    letters: reader.number(),
    letterBytes: reader.number(),
    dropped: reader.number(),
  };
}
