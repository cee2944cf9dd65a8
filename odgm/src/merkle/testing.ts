import { KeyedHash } from './keyed-hash.ts';
import { MemoryPageStore } from './memory-store.ts';
import { Pages } from './pages.ts';
import { MerkleSearchTree } from './tree.ts';
import type { HashFunction, Key, PageHash } from './types.ts';

/** For tests: a digest that needs no native code. */
export function testHash(): HashFunction {
  const keyed = new KeyedHash(new Uint8Array(16).fill(1));
  return (bytes) => {
    keyed.hash(bytes, bytes.length);
    return new Uint8Array(Int32Array.of(keyed.w0, keyed.w1, keyed.w2, keyed.w3).buffer);
  };
}

export const testLevelKey: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i);

export interface TestStore {
  readonly store: MemoryPageStore;
  readonly pages: Pages;
}

/** An empty store. With the smallest cache, so that pages are read back. */
export function testStore(cachePages = 1): TestStore {
  const store = new MemoryPageStore();
  return { store, pages: new Pages({ store, hash: testHash(), levelKey: testLevelKey, cachePages }) };
}

/** Keys of which as many have level 0 as 1, 2 and 3: small trees become deep. Sorted. */
export function deepKeys(perLevel: number): Key[] {
  const { pages } = testStore();
  const found: Key[][] = [[], [], [], []];
  for (let i = 0; found.some((keys) => keys.length < perLevel); i++) {
    const key = `o${i % 97}\u0000e${i}`;
    const keys = found[pages.levelOf(key)];
    if (keys !== undefined && keys.length < perLevel) keys.push(key);
  }
  return found.flat().sort();
}

export function leafOf(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

/** The root of a tree that holds exactly `content`. */
export function rootOf(pages: Pages, content: Iterable<readonly [Key, number]>): PageHash {
  const tree = new MerkleSearchTree(pages);
  for (const [key, value] of content) tree.upsert(key, leafOf(value));
  return tree.commit();
}
