import { invariant, oaasError } from '@oaas/commons/errors';
import { KeyedHash } from './keyed-hash.ts';
import { hexOf } from './page.ts';
import { type Key, maxLeafBytes } from './types.ts';

export const bucketCount = 1024;

const keyHashBytes = 16;
const wordsPerBucket = 4;
const format = 1;
const headBytes = 9;
/** Bytes of {@link BucketHash.encode}. */
export const bucketHashBytes = headBytes + bucketCount * wordsPerBucket * 4;

/**
 * Hash of a set of (key, digest) pairs that is kept up to date pair by pair, at a cost that does not depend on the size
 * of the set and in any order: equal sets have equal roots, and different ones different roots but for a chance of
 * 2^-128. The pairs fall into 1024 buckets by key: where roots differ, the buckets tell which keys to look at. 16 KiB.
 *
 * It keeps no keys: removing a pair that is not in the set goes unnoticed and makes the root wrong. Meant for replicas
 * that apply the same changes (one log): compare at the same applied index. A Merkle search tree finds what differs by
 * itself, at several times the cost per change.
 *
 * How: each pair is hashed with a secret key to 128 bits; a bucket is the sum of its pairs, word by word modulo 2^32,
 * and the root the sum of all.
 * Source: M. Bellare, D. Micciancio, "A New Paradigm for Collision-Free Hashing: Incrementality at Reduced Cost", 1997
 * (AdHash), with a keyed function, so that nobody can solve for colliding sets.
 */
export class BucketHash {
  readonly #hash: KeyedHash;
  readonly #sums = new Uint32Array(bucketCount * wordsPerBucket);
  readonly #total = new Uint32Array(wordsPerBucket);
  readonly #pair = new Uint8Array(keyHashBytes + maxLeafBytes);
  readonly #pairWords = new DataView(this.#pair.buffer);
  #count = 0;

  /**
   * `hashKey`: 16 random bytes, the same on all replicas. `state`: what `encode` gave; default: the empty set.
   * `DataLoss` when it is not that.
   */
  constructor(hashKey: Uint8Array, state?: Uint8Array) {
    this.#hash = new KeyedHash(hashKey);
    if (state !== undefined) this.#restore(state);
  }

  /** Pairs in the set. */
  get count(): number {
    return this.#count;
  }

  /** 32 hexadecimal digits. */
  root(): string {
    return hexOf(bytesOf(this.#total));
  }

  bucketOf(key: Key): number {
    this.#hash.hashKey(key);
    return this.#hash.w0 & (bucketCount - 1);
  }

  /**
   * The key had the digest `before` (absent: was not there) and has `after` now (absent: is gone). A digest has at most
   * 64 bytes, says all that is to be compared about the key, and `before` must be what it was added with.
   */
  replace(key: Key, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const bucket = this.bucketOf(key);
    const { w0, w1, w2, w3 } = this.#hash;
    this.#pairWords.setInt32(0, w0);
    this.#pairWords.setInt32(4, w1);
    this.#pairWords.setInt32(8, w2);
    this.#pairWords.setInt32(12, w3);
    if (before !== undefined) this.#add(bucket, before, -1);
    if (after !== undefined) this.#add(bucket, after, 1);
  }

  /** Buckets in which this set differs from another, given as its `encode`. `DataLoss` when it is not that. */
  differingBuckets(other: Uint8Array): number[] {
    const { sums } = decode(other);
    const differing: number[] = [];
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      const at = bucket * wordsPerBucket;
      for (let i = at; i < at + wordsPerBucket; i++) {
        if (sums[i] === this.#sums[i]) continue;
        differing.push(bucket);
        break;
      }
    }
    return differing;
  }

  /** To be stored with the set, or sent where roots differ: format (u8), count (f64), sums (u32 each), big-endian. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(bucketHashBytes);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, format);
    view.setFloat64(1, this.#count);
    bytes.set(bytesOf(this.#sums), headBytes);
    return bytes;
  }

  #add(bucket: number, digest: Uint8Array, sign: 1 | -1): void {
    invariant(digest.length <= maxLeafBytes, 'a digest has at most 64 bytes');
    this.#pair.set(digest, keyHashBytes);
    this.#hash.hash(this.#pair, keyHashBytes + digest.length);
    const { w0, w1, w2, w3 } = this.#hash;
    addWords(this.#sums, bucket * wordsPerBucket, sign * w0, sign * w1, sign * w2, sign * w3);
    addWords(this.#total, 0, sign * w0, sign * w1, sign * w2, sign * w3);
    this.#count += sign;
  }

  #restore(state: Uint8Array): void {
    const { count, sums } = decode(state);
    this.#count = count;
    this.#sums.set(sums);
    for (let i = 0; i < sums.length; i++) {
      const word = i % wordsPerBucket;
      this.#total[word] = (this.#total[word] ?? 0) + (sums[i] ?? 0);
    }
  }
}

function addWords(sums: Uint32Array, at: number, w0: number, w1: number, w2: number, w3: number): void {
  sums[at] = (sums[at] ?? 0) + w0;
  sums[at + 1] = (sums[at + 1] ?? 0) + w1;
  sums[at + 2] = (sums[at + 2] ?? 0) + w2;
  sums[at + 3] = (sums[at + 3] ?? 0) + w3;
}

function bytesOf(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word);
  return bytes;
}

function decode(bytes: Uint8Array): { count: number; sums: Uint32Array } {
  if (bytes.length !== bucketHashBytes || bytes[0] !== format) {
    throw oaasError('DataLoss', 'the hash of a set has an unknown form', {
      remedy: 'Compute it anew from the data.',
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sums = new Uint32Array(bucketCount * wordsPerBucket);
  for (let i = 0; i < sums.length; i++) sums[i] = view.getUint32(headBytes + i * 4);
  return { count: view.getFloat64(1), sums };
}
