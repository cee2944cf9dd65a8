/** Pure: Merkle search trees, their difference, history and exchange; set hashes. */
export {
  type Difference,
  type HashFunction,
  type Key,
  type KeyRange,
  maxKeyLength,
  maxLeafBytes,
  type PageHash,
  type PageStore,
} from './types.ts';
export { hashKeyBytes } from './keyed-hash.ts';
export { MemoryPageStore } from './memory-store.ts';
export { Pages, type PagesOptions } from './pages.ts';
export { type Entry, MerkleSearchTree } from './tree.ts';
export { diffTrees } from './diff.ts';
export { diffThreeWay, isConflict, type Triple } from './three-way.ts';
