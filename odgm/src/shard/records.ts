import { oaasError } from '@oaas/commons/errors';
import type { ObjectMeta, ShardCounters, Value } from './model.ts';

/**
 * How a shard lies in storage. Keys: slot of the collection (u32), partition (u32), kind (u8), then for a meta the
 * object id, for an entry the object id, 0x00 and the entry's key. Ids have no 0x00, so entries of an object are one
 * range, in key order. Numbers are big-endian. The first byte of each record is its format, never 0: a page of zeros
 * is not mistaken for data.
 */
const kinds = { counters: 1, meta: 2, entry: 3 } as const;
const headLength = 9;
const format = 1;

/** Identifies a shard within one node's storage. */
export interface ShardLocation {
  /** Number that this node gave the collection, from 1 (0 is the node's own). */
  readonly slot: number;
  readonly partition: number;
}

function keyOf(location: ShardLocation, kind: number, text: string): Buffer {
  const key = Buffer.allocUnsafe(headLength + text.length);
  key.writeUInt32BE(location.slot, 0);
  key.writeUInt32BE(location.partition, 4);
  key[8] = kind;
  key.write(text, headLength, 'latin1');
  return key;
}

export const countersKey = (location: ShardLocation): Buffer => keyOf(location, kinds.counters, '');
export const metaKey = (location: ShardLocation, id: string): Buffer => keyOf(location, kinds.meta, id);
/** With the beginning of a key: what all entries of the object whose key begins so have in common. */
export const entryKey = (location: ShardLocation, id: string, key: string): Buffer =>
  keyOf(location, kinds.entry, `${id}\u0000${key}`);

export function idOfMetaKey(key: Uint8Array): string {
  return latin1(key, headLength);
}

export function keyOfEntryKey(key: Uint8Array, id: string): string {
  return latin1(key, headLength + id.length + 1);
}

function latin1(bytes: Uint8Array, from: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString('latin1');
}

export function encodeMeta(meta: ObjectMeta): Uint8Array {
  const record = Buffer.allocUnsafe(21 + (meta.event?.length ?? 0));
  record[0] = format;
  record.writeDoubleBE(meta.version, 1);
  record.writeUInt32BE(meta.entryCount, 9);
  record.writeDoubleBE(meta.bytes, 13);
  if (meta.event !== undefined) record.set(meta.event, 21);
  return record;
}

export function decodeMeta(bytes: Uint8Array): ObjectMeta {
  const record = recordOf(bytes, 21);
  return {
    version: record.readDoubleBE(1),
    entryCount: record.readUInt32BE(9),
    bytes: record.readDoubleBE(13),
    ...(record.length > 21 ? { event: record.subarray(21) } : {}),
  };
}

/** The high half of a value's first byte is the format, the low half the type. */
export function encodeValue(value: Value): Uint8Array {
  const record = Buffer.allocUnsafe(1 + value.data.length);
  record[0] = (format << 4) | (value.type === 'bytes' ? 0 : 1);
  record.set(value.data, 1);
  return record;
}

export function decodeValue(bytes: Uint8Array): Value {
  const first = bytes[0] ?? 0;
  if (first >> 4 !== format) throw unreadable();
  return { data: bytes.subarray(1), type: (first & 15) === 0 ? 'bytes' : 'crdt-map' };
}

export function encodeCounters(counters: ShardCounters): Uint8Array {
  const record = Buffer.allocUnsafe(25);
  record[0] = format;
  record.writeDoubleBE(counters.objects, 1);
  record.writeDoubleBE(counters.entries, 9);
  record.writeDoubleBE(counters.bytes, 17);
  return record;
}

export function decodeCounters(bytes: Uint8Array | undefined): ShardCounters {
  if (bytes === undefined) return { objects: 0, entries: 0, bytes: 0 };
  const record = recordOf(bytes, 25);
  return { objects: record.readDoubleBE(1), entries: record.readDoubleBE(9), bytes: record.readDoubleBE(17) };
}

function recordOf(bytes: Uint8Array, minLength: number): Buffer {
  if (bytes.length < minLength || bytes[0] !== format) throw unreadable();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unreadable(): Error {
  return oaasError('StorageCorrupt', 'a stored record has an unknown format', {
    remedy: 'Restore the data directory from a backup or a replica.',
  });
}
