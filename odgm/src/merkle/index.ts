/** Pure: Merkle search trees, their difference, history and exchange; set hashes. */
export { type Difference, type HashFunction, type Key, type KeyRange, type PageHash, type PageStore } from './types.ts';
export { MemoryPageStore } from './memory-store.ts';
export { Pages, type PagesOptions } from './pages.ts';
export { type Entry, MerkleSearchTree } from './tree.ts';
export { diffTrees } from './diff.ts';
export { diffThreeWay, isConflict, type Triple } from './three-way.ts';
export {
  decodePageRequest,
  decodePageResponse,
  encodePageRequest,
  encodePageResponse,
  type PageRequest,
  type PageResponse,
} from './messages.ts';
export { answerPageRequest } from './responder.ts';
export {
  type ExchangeCounters,
  ExchangeInitiator,
  type ExchangeLimits,
  type ExchangeOptions,
  type ExchangeStep,
} from './initiator.ts';
export {
  type Branch,
  type FormerHistoryState,
  type HistoryLimits,
  type HistoryState,
  type RefAuthor,
  rootsOf,
  type Version,
  VersionHistory,
} from './history.ts';
export { keyOfDot, mergeRefs, type Ref, type RefSet, refsFromJson, type RefsJson, refsToJson } from './refs.ts';
export { type CollectorOptions, type CollectorProgress, PageCollector } from './collector.ts';
export { bucketCount, BucketHash, bucketHashBytes } from './bucket-hash.ts';
