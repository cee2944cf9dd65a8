/** One shard: objects, their versions, and the order of their changes. */
export { defaultLimits } from './model.ts';
export type {
  ExpiringEntry,
  Mutation,
  MutationResult,
  ObjectMeta,
  ShardCounters,
  ShardLimits,
  StoredObject,
  Value,
} from './model.ts';
export type { ListedObject, ListedValue, ListQuery, Page, ShardReader } from './reader.ts';
export type { Consistency, ReplicaStatus, ShardHandle, ShardStatus } from './handle.ts';
export { openRaftShard, RaftShard, type RaftShardOptions, type ReplicaMark, type ScanSource } from './raft-shard.ts';
export { contentBuckets, type ContentSum, rootOf } from './content-hash.ts';
export { type BadValue, ContentScan } from './content-scan.ts';
export type { BranchMerge, EntryDifference, ShardVersions } from './eventual/versions.ts';
export { MergingScan } from './eventual/merging-scan.ts';
export { EventualShard, type EventualShardOptions } from './eventual/eventual-shard.ts';
export type { Membership } from './eventual/peers.ts';
export { Outbox, type DeadLetter, type WaitingEvent } from './outbox.ts';
export type { KeptLetter, OutboxChange, OutboxResult } from './outbox-change.ts';
export { decodeOutboxChange, encodeOutboxChange } from './mutation-codec.ts';
export {
  type Death,
  type DeathReason,
  deathReasons,
  encodeEvent,
  eventId,
  type EventOrigin,
  type EventRef,
  type LetterRef,
  type OutboxCounts,
  type OutboxEvent,
} from './outbox-records.ts';
export { firedByFunction } from './triggers.ts';
