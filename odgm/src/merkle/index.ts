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
export { hashKeyBytes, KeyedHash } from './keyed-hash.ts';
