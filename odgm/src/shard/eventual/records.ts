import { hash } from 'node:crypto';
import { type Stamp, zeroStamp } from '../../merge/index.ts';
import type { Key, PageHash } from '../../merkle/index.ts';
import { bufferOf, headLength, keyOf, putText, type ShardLocation } from '../records.ts';

/**
 * What a shard whose replicas merge stores beside its objects and entries: where they come from. Kinds of records:
 * header of an object, leaf of an entry (stamp, kind, digest), page of the tree over all leaves, keys that were changed
 * since the tree was stored, list of what waits to be reaped, earlier states of headers and entries that a kept version
 * still has, the state of the replica, and the latest stamp.
 */
const kinds = { header: 5, leaf: 6, page: 7, dirty: 8, grave: 9, kept: 10, state: 11, clock: 12 } as const;
const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

/** Bytes of a content address: of a page, a root, an earlier state. */
const hashBytes = 20;
/** Bytes of the digest in a leaf. */
const digestBytes = 16;

export function hashOf(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer').subarray(0, hashBytes);
}

/** Of an encoded register or header. */
export function digestOf(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer').subarray(0, digestBytes);
}

/** Key of an entry in the tree; that of an object's header is the object's id. */
export function treeKeyOf(id: string, key: string): Key {
  return `${id}\u0000${key}`;
}

/** What a key of the tree is of; `key` is undefined for a header. */
export function ofTreeKey(treeKey: Key): { readonly id: string; readonly key: string | undefined } {
  const end = treeKey.indexOf('\u0000');
  return end < 0 ? { id: treeKey, key: undefined } : { id: treeKey.slice(0, end), key: treeKey.slice(end + 1) };
}

function textKey(location: ShardLocation, kind: number, text: string): Buffer {
  const key = keyOf(location, kind, text.length);
  putText(key, text, headLength);
  return key;
}

export const headerKey = (location: ShardLocation, id: string): Buffer => textKey(location, kinds.header, id);

/** With the beginning of a tree key: what all leaves have in common whose tree keys begin so. */
export const leafKey = (location: ShardLocation, treeKey: Key): Buffer => textKey(location, kinds.leaf, treeKey);

export const stateKey = (location: ShardLocation): Buffer => keyOf(location, kinds.state, 0);
export const clockKey = (location: ShardLocation): Buffer => keyOf(location, kinds.clock, 0);

/** The latest stamp: version (u8), then as {@link decodeClock} reads it. */
export function encodeClock({ ms, counter, member }: Stamp): Uint8Array {
  const value = Buffer.alloc(17);
  value[0] = 1;
  value.writeUIntBE(ms, 1, 6);
  value.writeUInt16BE(counter, 7);
  value.writeDoubleBE(member, 9);
  return value;
}

export function decodeClock(value: Uint8Array | undefined): Stamp {
  if (value === undefined) return zeroStamp;
  const bytes = bufferOf(value);
  return { ms: bytes.readUIntBE(1, 6), counter: bytes.readUInt16BE(7), member: bytes.readDoubleBE(9) };
}

export interface KeyBounds {
  readonly start: Buffer;
  readonly end: Buffer;
}

export const pageBounds = (location: ShardLocation): KeyBounds => bounds(location, kinds.page);
export const dirtyBounds = (location: ShardLocation): KeyBounds => bounds(location, kinds.dirty);
export const keptBounds = (location: ShardLocation): KeyBounds => bounds(location, kinds.kept);

/** All of these records, but none of objects and entries. */
export function mergingRange(location: ShardLocation): KeyBounds {
  return { start: keyOf(location, kinds.header, 0), end: keyOf(location, kinds.clock + 1, 0) };
}

/** What the record of a key is; `undefined` for another one. */
export function kindOfKey(key: Uint8Array): keyof typeof kinds | undefined {
  return kindNames.find((name) => kinds[name] === key[headLength - 1]);
}

function bounds(location: ShardLocation, kind: number): KeyBounds {
  return { start: keyOf(location, kind, 0), end: keyOf(location, kind + 1, 0) };
}

export function pageKey(location: ShardLocation, hash: PageHash): Buffer {
  const key = keyOf(location, kinds.page, hash.length / 2);
  key.write(hash, headLength, 'hex');
  return key;
}

export function hashOfPageKey(key: Uint8Array): PageHash {
  return hexAfterHead(key);
}

export function dirtyKey(location: ShardLocation, sequence: number): Buffer {
  const key = keyOf(location, kinds.dirty, 6);
  key.writeUIntBE(sequence, headLength, 6);
  return key;
}

export function sequenceOfDirtyKey(key: Uint8Array): number {
  return bufferOf(key).readUIntBE(headLength, 6);
}

/** Names have no control characters but the 0x00 between an object and its entry. */
const between = '\u0001';

export function encodeDirty(treeKeys: readonly Key[]): Uint8Array {
  return Buffer.from(treeKeys.join(between), 'latin1');
}

export function decodeDirty(bytes: Uint8Array): Key[] {
  return bufferOf(bytes).toString('latin1').split(between);
}

/** Something that may be reaped once all is known up to `ms`: a tombstone, a deleted object, a map with gaps. */
export function graveKey(location: ShardLocation, ms: number, treeKey: Key): Buffer {
  const key = keyOf(location, kinds.grave, 6 + treeKey.length);
  key.writeUIntBE(ms, headLength, 6);
  putText(key, treeKey, headLength + 6);
  return key;
}

/** Graves up to and with `ms`. */
export function graveBounds(location: ShardLocation, ms: number): KeyBounds {
  const start = keyOf(location, kinds.grave, 0);
  const end = keyOf(location, kinds.grave, 6);
  end.writeUIntBE(Math.min(ms + 1, 2 ** 48 - 1), headLength, 6);
  return { start, end };
}

export function ofGraveKey(key: Uint8Array): { readonly ms: number; readonly treeKey: Key } {
  const bytes = bufferOf(key);
  return { ms: bytes.readUIntBE(headLength, 6), treeKey: bytes.toString('latin1', headLength + 6) };
}

/** An earlier state, by the digest that leaves have of it. */
export function keptKey(location: ShardLocation, digest: Uint8Array): Buffer {
  const key = keyOf(location, kinds.kept, digest.length);
  key.set(digest, headLength);
  return key;
}

/** In hexadecimal. */
export const digestOfKeptKey = hexAfterHead;

function hexAfterHead(key: Uint8Array): string {
  return bufferOf(key).toString('hex', headLength);
}
