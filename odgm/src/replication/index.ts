/** Consensus groups of one node, and what they replicate. */
export { RaftHost, type StoredGroup } from './host.ts';
export type { RaftGroup } from './group.ts';
export { garbageKey, statePrefix } from './keys.ts';
export type { RaftOperation, RaftSpan, RaftTracer } from './tracing.ts';
export type { SnapshotStatus } from './snapshot-sender.ts';
export {
  type CommittedEntry,
  defaultTuning,
  type FirstMembers,
  type GroupConfig,
  type GroupStatus,
  type HostEvents,
  type HostOptions,
  type MemberChange,
  type PeerProgress,
  type StateMachine,
  type Tuning,
} from './types.ts';
export {
  defaultEventualTuning,
  type EventualCounters,
  EventualHost,
  type EventualHostOptions,
  type EventualTuning,
} from './eventual/host.ts';
export { answerOfHeir, isUnreadable } from './eventual/heir.ts';
export { WaitingBytes } from './eventual/waiting-bytes.ts';
export type {
  Announcement,
  Comparison,
  Completion,
  EventualReplica,
  LeafName,
  ReplicaId,
  ReplicaRefs,
  RefTakeover,
} from './eventual/types.ts';
