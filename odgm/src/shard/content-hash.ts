import { crc32 } from 'node:zlib';
import type { ObjectMeta, Value } from './model.ts';

/** Version of what is hashed and how. Sums of different versions say nothing about each other. */
export const contentAlgorithm = 1;

/** Parts that the objects of a shard fall into by their ids, to find out what differs between two replicas. */
export const contentBuckets = 1024;

/** Hash of all objects and entries of a shard: two words of 32 bits. */
export interface ContentSum {
  readonly high: number;
  readonly low: number;
}

export const emptyContent: ContentSum = { high: 0, low: 0 };

/** 16 hexadecimal digits. */
export function rootOf({ high, low }: ContentSum): string {
  return hex(high) + hex(low);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** Of the value's bytes; remembered with it. */
export function checksumOf(value: Value): number {
  return (value.checksum ??= crc32(value.data));
}

/**
 * Hash of a shard's content that is kept up to date with every change, at the cost of what changed: equal contents have
 * equal roots, in whatever order they came to be. The content is what clients can see and what decides about later
 * mutations, not how it is stored: for each object its version, extent and triggers, for each entry its value, type and
 * expiry.
 *
 * How: each of these is hashed with its names to 64 bits, and the root is the sum of all, word by word modulo 2^32
 * (M. Bellare, D. Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). Values come in by their CRC-32 and
 * length, so that one value that differs goes unnoticed with a chance of 2^-32, and never for up to 32 bits in a row.
 * Replicas of one log do not work against each other, so that no secret key is needed.
 */
export class ContentHash {
  #high: number;
  #low: number;
  /** State after the object's id. */
  #objectA = 0;
  #objectB = 0;
  #a = 0;
  #b = 0;

  constructor({ high, low }: ContentSum = emptyContent) {
    this.#high = high;
    this.#low = low;
  }

  get sum(): ContentSum {
    return { high: this.#high, low: this.#low };
  }

  /** What is added and taken away from here on belongs to this object. */
  object(id: string): void {
    let a = 0x811c9dc5 | 0;
    let b = 0x9747b28c | 0;
    for (let i = 0; i < id.length; i++) {
      const code = id.charCodeAt(i);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x5bd1e995);
      b ^= b >>> 13;
    }
    this.#objectA = a;
    this.#objectB = b;
  }

  /** Of the object, 0 to {@link contentBuckets} - 1. */
  get bucket(): number {
    return finish(this.#objectA ^ this.#objectB) & (contentBuckets - 1);
  }

  addMeta(meta: ObjectMeta): void {
    this.#meta(meta);
    this.#count(1);
  }

  removeMeta(meta: ObjectMeta): void {
    this.#meta(meta);
    this.#count(-1);
  }

  addEntry(key: string, value: Value): void {
    this.#entry(key, value);
    this.#count(1);
  }

  removeEntry(key: string, value: Value): void {
    this.#entry(key, value);
    this.#count(-1);
  }

  #meta({ version, entryCount, bytes, event }: ObjectMeta): void {
    this.#a = this.#objectA;
    this.#b = this.#objectB;
    this.#feedLong(version);
    this.#feed(entryCount);
    this.#feedLong(bytes);
    if (event !== undefined) this.#feedBytes(event);
  }

  #entry(key: string, value: Value): void {
    // No id and no key has this character, so that none runs into the other.
    let a = Math.imul(this.#objectA ^ 0x100, 0x01000193);
    let b = Math.imul(this.#objectB ^ 0x100, 0x5bd1e995);
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x5bd1e995);
      b ^= b >>> 13;
    }
    this.#a = a;
    this.#b = b;
    this.#feed(checksumOf(value));
    this.#feed(value.data.length);
    this.#feed(value.type === 'bytes' ? 0 : 1);
    if (value.expiresAt !== undefined) this.#feedLong(value.expiresAt);
  }

  #feedBytes(bytes: Uint8Array): void {
    this.#feed(crc32(bytes));
    this.#feed(bytes.length);
  }

  #feedLong(value: number): void {
    this.#feed(value | 0);
    this.#feed((value / 2 ** 32) | 0);
  }

  /** One word. Each step can be undone, so that nothing is lost. */
  #feed(word: number): void {
    let a = Math.imul(this.#a ^ word, 0xcc9e2d51);
    a ^= a >>> 15;
    let b = Math.imul(this.#b ^ ((word << 16) | (word >>> 16)), 0x1b873593);
    b ^= b >>> 13;
    this.#a = (a + b) | 0;
    this.#b = b ^ ((a << 7) | (a >>> 25));
  }

  #count(sign: 1 | -1): void {
    this.#high = (this.#high + sign * finish(this.#a)) | 0;
    this.#low = (this.#low + sign * finish(this.#b ^ 0x5bd1e995)) | 0;
  }
}

/** Spreads every bit over all bits (A. Appleby, MurmurHash3, public domain). */
function finish(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
