import { oaasError } from '@oaas/commons/errors';
import { Reader, Writer } from './bytes.ts';
import { mapOf } from './register.ts';
import { compareStamps, readStamp, type Stamp, stampBytes, writeStamp } from './stamp.ts';
import type { Register } from './types.ts';

/**
 * What a replica tells another about an entry or a header before it sends it. `lww`: the later stamp wins; `tombstone`: the
 * same, and it is one; `join`: both are needed to tell (headers, and maps that merge).
 */
export type LeafKind = 'lww' | 'tombstone' | 'join';

export interface Leaf {
  readonly stamp: Stamp;
  readonly kind: LeafKind;
  /** Digest of the encoded register or header: 16 to 47 bytes, so that a leaf has at most 64. */
  readonly digest: Uint8Array;
}

/** Kind of an entry's leaf; that of a header is `join`. */
export function leafKindOf(register: Register): LeafKind {
  if (register.value === undefined) return 'tombstone';
  return mapOf(register) === undefined ? 'lww' : 'join';
}

const kinds: readonly LeafKind[] = ['lww', 'tombstone', 'join'];

/** Stamp, kind (u8), digest. */
export function encodeLeaf(leaf: Leaf): Uint8Array {
  const out = new Writer(stampBytes + 1 + leaf.digest.length);
  writeStamp(out, leaf.stamp);
  out.uint(kinds.indexOf(leaf.kind), 1);
  out.raw(leaf.digest);
  return out.bytes;
}

/** The digest is a view of `bytes`. `DataLoss` when they are no leaf. */
export function decodeLeaf(bytes: Uint8Array): Leaf {
  const from = new Reader(bytes);
  const stamp = readStamp(from);
  const kind = kinds[from.uint(1)];
  if (from.failed || kind === undefined) throw oaasError('DataLoss', 'a leaf of a tree has an unknown form');
  return { stamp, kind, digest: from.raw(from.left) };
}

/** As {@link decodeLeaf} gives it; `lww` for bytes that are no leaf. */
export function kindOfLeaf(bytes: Uint8Array): LeafKind {
  return kinds[bytes[stampBytes] ?? 0] ?? 'lww';
}

/**
 * Who needs the other's state of a key whose leaves differ: `take` this replica, `give` the other one, `both` each. Only
 * saves sending: whoever gets a state merges it with its own.
 */
export function directionOf(ours: Uint8Array | undefined, theirs: Uint8Array | undefined): 'take' | 'give' | 'both' {
  if (ours === undefined) return 'take';
  if (theirs === undefined) return 'give';
  const a = decodeLeaf(ours);
  const b = decodeLeaf(theirs);
  const order = compareStamps(a.stamp, b.stamp);
  if (a.kind === 'join' || b.kind === 'join' || order === 0) return 'both';
  return order < 0 ? 'take' : 'give';
}
