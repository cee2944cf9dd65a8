/** Pure: stamps, versions and conflict rules of eventually consistent shards. */
export { defaultMaxAheadMs, HybridClock, type HybridClockOptions } from './clock.ts';
export {
  compareStamps,
  earlierStamp,
  laterStamp,
  maxStampCounter,
  maxStampMs,
  type Stamp,
  stampBytes,
  zeroStamp,
} from './stamp.ts';
export type { ObjectHeader, Register, ValueType } from './types.ts';
export {
  compareVectors,
  emptyVector,
  incrementVector,
  maxVectorMembers,
  mergeVectors,
  type VectorEntry,
  vectorTotal,
  type VersionVector,
} from './vector.ts';
