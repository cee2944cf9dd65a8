import { oaasError } from '@oaas/commons/errors';
import { checksumOf, contentAlgorithm, type ContentSum, emptyContent } from './content-hash.ts';
import type { ExpiringEntry, ObjectMeta, ShardCounters, Value } from './model.ts';

/**
 * How a shard lies in storage. Keys: shard id (u48) and generation (u32), as all replicated state has them, kind (u8), then for a meta the object id, for an
 * entry the object id, 0x00 and the entry's key, for an expiry the time (u48 of milliseconds), the object id, 0x00 and
 * the key. Ids have no 0x00, so entries of an object are one range, in key order. Numbers are big-endian. The first
 * byte of each record is its format, never 0: a page of zeros is not mistaken for data.
 */
const kinds = { totals: 1, meta: 2, entry: 3, expiry: 4 } as const;
const kindNames = ['totals', 'meta', 'entry', 'expiry'] as const;
export const headLength = 11;
const format = 1;

/** Identifies the state of a shard within one node's storage. */
export interface ShardLocation {
  /** Number of the shard, 1..2^48-2. */
  readonly shard: number;
  /** Grows when the whole state is replaced by another replica's: the new one is written beside the old one. u32. */
  readonly generation: number;
}

/** Latin-1, a byte for each character. Ids and keys are short: a loop beats the call into native code. */
export function putText(bytes: Uint8Array, text: string, at: number): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/** Key of a record with room for `length` more bytes. Kinds from 5 on belong to shards that merge, see eventual/records.ts. */
export function keyOf(location: ShardLocation, kind: number, length: number): Buffer {
  const key = Buffer.allocUnsafe(headLength + length);
  key.writeUIntBE(location.shard, 0, 6);
  key.writeUInt32BE(location.generation, 6);
  key[10] = kind;
  return key;
}

export const totalsKey = (location: ShardLocation): Buffer => keyOf(location, kinds.totals, 0);

/** All records of a shard: start inclusive, end exclusive. */
export function recordRange(location: ShardLocation): { readonly start: Buffer; readonly end: Buffer } {
  return { start: totalsKey(location), end: keyOf(location, kinds.expiry + 1, 0) };
}

/** What the record of a key is of; `undefined` for a key that no record has. */
export function recordOfKey(
  key: Uint8Array,
): { readonly kind: keyof typeof kinds; readonly objectId: string; readonly key: string } | undefined {
  const kind = kindNames.find((name) => kinds[name] === key[headLength - 1]);
  if (kind === undefined) return undefined;
  if (kind === 'expiry') return { kind, ...expiringEntryOf(key) };
  const text = latin1(key, headLength);
  const end = kind === 'entry' ? text.indexOf('\u0000') : text.length;
  return { kind, objectId: text.slice(0, end), key: text.slice(end + 1) };
}

export function metaKey(location: ShardLocation, id: string): Buffer {
  const key = keyOf(location, kinds.meta, id.length);
  putText(key, id, headLength);
  return key;
}

/** With the beginning of a key: what all entries of the object whose key begins so have in common. */
export function entryKey(location: ShardLocation, id: string, key: string): Buffer {
  const at = keyOf(location, kinds.entry, id.length + 1 + key.length);
  putText(at, id, headLength);
  at[headLength + id.length] = 0;
  putText(at, key, headLength + id.length + 1);
  return at;
}

/** An entry of the list of times at which entries expire. Its value says nothing. */
export function expiryKey(location: ShardLocation, expiresAt: number, id: string, key: string): Buffer {
  const at = keyOf(location, kinds.expiry, 6 + id.length + 1 + key.length);
  at.writeUIntBE(expiresAt, headLength, 6);
  putText(at, id, headLength + 6);
  at[headLength + 6 + id.length] = 0;
  putText(at, key, headLength + 7 + id.length);
  return at;
}

/** Keys of entries that expire before `until`, as a range: start inclusive, end exclusive. */
export function expiryRange(location: ShardLocation, until: number): { readonly start: Buffer; readonly end: Buffer } {
  const start = keyOf(location, kinds.expiry, 0);
  const end = keyOf(location, kinds.expiry, 6);
  end.writeUIntBE(until, headLength, 6);
  return { start, end };
}

/** Later than any time that an entry can expire at. */
export const endOfTime = 2 ** 48 - 1;

export const expiryRecord = Uint8Array.of(format);

export function expiringEntryOf(key: Uint8Array): ExpiringEntry {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const text = bytes.toString('latin1', headLength + 6);
  const end = text.indexOf('\u0000');
  return { objectId: text.slice(0, end), key: text.slice(end + 1), expiresAt: bytes.readUIntBE(headLength, 6) };
}

/** The smallest key above `key`. */
export function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

export function idOfMetaKey(key: Uint8Array): string {
  return latin1(key, headLength);
}

export function keyOfEntryKey(key: Uint8Array, id: string): string {
  return latin1(key, headLength + id.length + 1);
}

function latin1(bytes: Uint8Array, from: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', from);
}

/**
 * Record of an object, format 2: u8 format, u8 flags, version (f64), count of entries (u32), bytes (f64), triggers (length
 * as u32) where flagged, and the entries themselves where they are few and small: for each, in the order of keys, length
 * of the key (u16), key, length of the value (u32), value as {@link writeValue} writes it. All else has entries of its own keys.
 */
const objectFormat = 2;
const objectHead = 22;
const objectFlags = { whole: 1, event: 2 } as const;

/**
 * Whether the entries lie in the object's record: one read and one write then do for all of it. Part of the format: every
 * replica must decide alike.
 */
export function isWhole({ entryCount, bytes }: ObjectMeta): boolean {
  return bytes <= 4096 && entryCount <= 32;
}

/** `entries` in the order of keys: of an object that is stored whole. */
export function encodeObject(meta: ObjectMeta, entries: readonly (readonly [string, Value])[] | undefined): Uint8Array {
  const { event } = meta;
  let size = objectHead + (event === undefined ? 0 : 4 + event.length);
  if (entries !== undefined) for (const [key, value] of entries) size += 6 + key.length + valueSize(value);
  const record = Buffer.allocUnsafe(size);
  record[0] = objectFormat;
  record[1] = (entries === undefined ? 0 : objectFlags.whole) | (event === undefined ? 0 : objectFlags.event);
  record.writeDoubleBE(meta.version, 2);
  record.writeUInt32BE(meta.entryCount, 10);
  record.writeDoubleBE(meta.bytes, 14);
  let at = objectHead;
  if (event !== undefined) {
    at = record.writeUInt32BE(event.length, at);
    record.set(event, at);
    at += event.length;
  }
  if (entries === undefined) return record;
  for (const [key, value] of entries) {
    at = record.writeUInt16BE(key.length, at);
    putText(record, key, at);
    at = record.writeUInt32BE(valueSize(value), at + key.length);
    at = writeValue(record, value, at);
  }
  return record;
}

export function decodeMeta(bytes: Uint8Array): ObjectMeta {
  const record = objectOf(bytes);
  return {
    version: record.readDoubleBE(2),
    entryCount: record.readUInt32BE(10),
    bytes: record.readDoubleBE(14),
    event: eventOf(record),
  };
}

function eventOf(record: Buffer): Uint8Array | undefined {
  if (((record[1] ?? 0) & objectFlags.event) === 0) return undefined;
  const from = objectHead + 4;
  return record.subarray(from, from + record.readUInt32BE(objectHead));
}

/** True when all entries are in the record. */
export function hasEntries(record: Uint8Array): boolean {
  return ((record[1] ?? 0) & objectFlags.whole) !== 0;
}

/** Calls `each` with the entries of a record, in the order of keys, until it says false. */
export function eachEntry(bytes: Uint8Array, each: (key: string, value: Value) => boolean, decode = decodeValue): void {
  const record = objectOf(bytes);
  let at = objectHead + (eventOf(record)?.length ?? -4) + 4;
  while (at < record.length) {
    const keyFrom = at + 2;
    const keyTo = keyFrom + record.readUInt16BE(at);
    const valueFrom = keyTo + 4;
    at = valueFrom + record.readUInt32BE(keyTo);
    if (at > record.length) throw unreadable();
    if (!each(record.toString('latin1', keyFrom, keyTo), decode(record.subarray(valueFrom, at)))) return;
  }
}

/** One entry of a record that has them. */
export function entryOf(bytes: Uint8Array, key: string): Value | undefined {
  const record = objectOf(bytes);
  let at = objectHead + (eventOf(record)?.length ?? -4) + 4;
  while (at < record.length) {
    const keyFrom = at + 2;
    const keyTo = keyFrom + record.readUInt16BE(at);
    const valueFrom = keyTo + 4;
    at = valueFrom + record.readUInt32BE(keyTo);
    if (at > record.length) throw unreadable();
    if (isText(record, keyFrom, keyTo, key)) return decodeValue(record.subarray(valueFrom, at));
  }
  return undefined;
}

function isText(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false;
  return true;
}

function objectOf(bytes: Uint8Array): Buffer {
  if (bytes.length < objectHead || bytes[0] !== objectFormat) throw unreadable();
  return bufferOf(bytes);
}

/** No copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const typeBit = 1;
const expiryBit = 2;

/** Of values of so many bytes: they have their checksum beside them, so that one that is replaced need not be read for it. */
const summedFormat = 2;
const checksumFrom = 64;

/**
 * The high half of a value's first byte is the format, the low half has the type and whether a time (u48) follows. After
 * that, in format 2, the CRC-32 of its bytes (u32). A program that does not know a format takes the record for unreadable.
 */
export function writeValue(record: Buffer, value: Value, from: number): number {
  const { data, type, expiresAt } = value;
  const isSummed = data.length >= checksumFrom;
  record[from] =
    ((isSummed ? summedFormat : format) << 4) |
    (type === 'bytes' ? 0 : typeBit) |
    (expiresAt === undefined ? 0 : expiryBit);
  let at = from + 1;
  if (expiresAt !== undefined) at = record.writeUIntBE(expiresAt, at, 6);
  if (isSummed) at = record.writeUInt32BE(checksumOf(value), at);
  record.set(data, at);
  return at + data.length;
}

/** Bytes that {@link writeValue} writes. */
export function valueSize({ data, expiresAt }: Value): number {
  return 1 + (expiresAt === undefined ? 0 : 6) + (data.length < checksumFrom ? 0 : 4) + data.length;
}

/** The bytes are a view of the record. */
export function decodeValue(bytes: Uint8Array): Value {
  const first = bytes[0] ?? 0;
  const isSummed = first >> 4 === summedFormat;
  if (!isSummed && first >> 4 !== format) throw unreadable();
  const timeLength = (first & expiryBit) === 0 ? 0 : 6;
  const from = 1 + timeLength + (isSummed ? 4 : 0);
  if (bytes.length < from) throw unreadable();
  return {
    data: bytes.subarray(from),
    type: (first & typeBit) === 0 ? 'bytes' : 'crdt-map',
    expiresAt: timeLength === 0 ? undefined : bufferOf(bytes).readUIntBE(1, timeLength),
  };
}

/** With the checksum that is stored, for whoever takes the storage's word for it. */
export function decodeSummed(bytes: Uint8Array): Value {
  const value = decodeValue(bytes);
  if ((bytes[0] ?? 0) >> 4 === summedFormat) {
    value.checksum = bufferOf(bytes).readUInt32BE(bytes.length - value.data.length - 4);
  }
  return value;
}

/** What a shard knows of its whole state, kept with each change. */
export interface ShardTotals {
  readonly counters: ShardCounters;
  readonly content: ContentSum;
}

/** Format 2: u8 format, objects, entries, bytes (f64 each), version of the content's hash (u8), its two words. */
const totalsFormat = 2;
const totalsLength = 34;

export function encodeTotals({ counters, content }: ShardTotals): Uint8Array {
  const record = Buffer.allocUnsafe(totalsLength);
  record[0] = totalsFormat;
  record.writeDoubleBE(counters.objects, 1);
  record.writeDoubleBE(counters.entries, 9);
  record.writeDoubleBE(counters.bytes, 17);
  record[25] = contentAlgorithm;
  record.writeInt32BE(content.high, 26);
  record.writeInt32BE(content.low, 30);
  return record;
}

/** `content` is undefined when another version of the hash was kept: it must be computed from the records then. */
export function decodeTotals(bytes: Uint8Array | undefined): {
  readonly counters: ShardCounters;
  readonly content: ContentSum | undefined;
} {
  if (bytes === undefined) return { counters: { objects: 0, entries: 0, bytes: 0 }, content: emptyContent };
  if (bytes.length < totalsLength || bytes[0] !== totalsFormat) throw unreadable();
  const record = bufferOf(bytes);
  return {
    counters: { objects: record.readDoubleBE(1), entries: record.readDoubleBE(9), bytes: record.readDoubleBE(17) },
    content:
      record[25] === contentAlgorithm ? { high: record.readInt32BE(26), low: record.readInt32BE(30) } : undefined,
  };
}

export function unreadable(): Error {
  return oaasError('StorageCorrupt', 'a stored record has an unknown format', {
    remedy: 'Restore the data directory from a backup or a replica.',
  });
}
