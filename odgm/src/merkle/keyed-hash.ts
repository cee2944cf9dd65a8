import { invariant, oaasError } from '@oaas/commons/errors';
import { type Key, maxKeyLength } from './types.ts';

/** Bytes of a cluster's hash key. */
export const hashKeyBytes = 16;

/**
 * SipHash-2-4 with 128 bits of output: a keyed pseudo-random function, fast for short input. Whoever does not know the
 * key cannot choose inputs for the outputs they have. 64-bit words are pairs of 32-bit ones, because numbers are what the
 * engine computes fast with. One instance is not re-entrant: the words of the last hash lie in `w0` to `w3`.
 *
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012; github.com/veorq/SipHash.
 */
export class KeyedHash {
  /** The output: 16 bytes as four little-endian words. */
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  readonly #text = new Uint8Array(maxKeyLength);

  constructor(key: Uint8Array) {
    invariant(key.length === hashKeyBytes, 'the key of a hash has 16 bytes');
    this.#k0 = wordAt(key, 0, hashKeyBytes);
    this.#k1 = wordAt(key, 4, hashKeyBytes);
    this.#k2 = wordAt(key, 8, hashKeyBytes);
    this.#k3 = wordAt(key, 12, hashKeyBytes);
  }

  /** Hashes a key. `InvalidArgument` when it is none: empty, too long, or a character above U+00FF. */
  hashKey(key: Key): void {
    const { length } = key;
    if (length === 0 || length > maxKeyLength) throw notAKey(`it has ${length} bytes`);
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i);
      if (code > 255) throw notAKey('it has a character that is no byte');
      this.#text[i] = code;
    }
    this.hash(this.#text, length);
  }

  /** Hashes the first `length` bytes. */
  hash(bytes: Uint8Array, length: number): void {
    const blocks = (length >>> 3) + 1;
    let v0l = this.#k0 ^ 0x70736575;
    let v0h = this.#k1 ^ 0x736f6d65;
    let v1l = this.#k2 ^ 0x6e646f6d ^ 0xee;
    let v1h = this.#k3 ^ 0x646f7261;
    let v2l = this.#k0 ^ 0x6e657261;
    let v2h = this.#k1 ^ 0x6c796765;
    let v3l = this.#k2 ^ 0x79746573;
    let v3h = this.#k3 ^ 0x74656462;
    // All blocks (the last with the length in its highest byte), then the two finishing steps, through one copy of the rounds.
    for (let block = 0; block < blocks + 2; block++) {
      let ml = 0;
      let mh = 0;
      let rounds = 4;
      if (block < blocks) {
        ml = wordAt(bytes, block * 8, length);
        mh = wordAt(bytes, block * 8 + 4, length);
        if (block === blocks - 1) mh |= length << 24;
        rounds = 2;
      } else if (block === blocks) v2l ^= 0xee;
      else v1l ^= 0xdd;
      v3l ^= ml;
      v3h ^= mh;
      for (let round = 0; round < rounds; round++) {
        let sum = (v0l >>> 0) + (v1l >>> 0);
        v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        let swap = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = swap;
        swap = v0l;
        v0l = v0h;
        v0h = swap;

        sum = (v2l >>> 0) + (v3l >>> 0);
        v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        swap = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = swap;

        sum = (v0l >>> 0) + (v3l >>> 0);
        v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        swap = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = swap;

        sum = (v2l >>> 0) + (v1l >>> 0);
        v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        swap = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = swap;
        swap = v2l;
        v2l = v2h;
        v2h = swap;
      }
      v0l ^= ml;
      v0h ^= mh;
      if (block === blocks) {
        this.w0 = v0l ^ v1l ^ v2l ^ v3l;
        this.w1 = v0h ^ v1h ^ v2h ^ v3h;
      }
    }
    this.w2 = v0l ^ v1l ^ v2l ^ v3l;
    this.w3 = v0h ^ v1h ^ v2h ^ v3h;
  }
}

/** The little-endian word at `at`, as if 0 came after `length`. */
function wordAt(bytes: Uint8Array, at: number, length: number): number {
  if (at + 4 <= length) {
    return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  }
  let word = 0;
  const end = Math.min(at + 4, length);
  for (let i = at; i < end; i++) word |= (bytes[i] ?? 0) << ((i - at) * 8);
  return word;
}

function notAKey(why: string): Error {
  return oaasError('InvalidArgument', `a key of a tree has 1 to ${maxKeyLength} bytes: ${why}`);
}
