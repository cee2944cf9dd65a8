/** Pure: stamps, versions and conflict rules of eventually consistent shards. */
export { HybridClock, type HybridClockOptions } from './clock.ts';
export { compareStamps, earlierStamp, laterStamp, maxStampMs, type Stamp, stampBytes, zeroStamp } from './stamp.ts';
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
export { type CrdtMap, decodeMap, encodeMap, type MapElement } from './crdt-map.ts';
export {
  asOf,
  compareRegisters,
  decodeRegister,
  encodeRegister,
  expiredOf,
  isExpired,
  mapOf,
  mergeRegisters,
  putRegister,
  registerBytes,
  type RegisterWrite,
  tombstoneOf,
  writeRegister,
} from './register.ts';
export {
  changeHeader,
  decodeHeader,
  deleteHeader,
  emptyHeader,
  encodeHeader,
  type HeaderChange,
  headerStamp,
  isAlive,
  mergeHeaders,
  survivorOf,
  versionOf,
} from './header.ts';
export { decodeLeaf, directionOf, encodeLeaf, kindOfLeaf, type Leaf, type LeafKind, leafKindOf } from './leaf.ts';
export {
  admitRegister,
  admitsHeader,
  adoptCut,
  advanceReaping,
  defaultGraceMs,
  initialReaping,
  isHeaderReapable,
  isReapable,
  type ReapingState,
  reapedOf,
  reapMap,
  type ReplicaProgress,
} from './reaping.ts';
export {
  type MergeConflict,
  type MergedValue,
  mergeObject,
  type MergePolicy,
  type ObjectMerge,
  type ObjectThreeWay,
  type ThreeWay,
} from './three-way.ts';
