import type { MoveCause, ReplicaRole } from '../placement/index.ts';

export interface FunctionRoute {
  readonly url: string;
  readonly stateless: boolean;
  readonly functionKey?: string | undefined;
}

export type ShardType = 'basic' | 'raft' | 'mst';

/** A collection as the cluster has it. */
export interface CollectionSpec {
  readonly name: string;
  readonly classIds: readonly string[];
  readonly partitionCount: number;
  readonly replicaCount: number;
  readonly shardType: ShardType;
  readonly durability: 'persistent' | 'ephemeral';
  readonly options: Readonly<Record<string, string>>;
  readonly invocations: {
    readonly fnRoutes: Readonly<Record<string, FunctionRoute>>;
    readonly disabledFn: readonly string[];
  };
}

/** A collection as configuration or an admin asks for it: without a type, it has the one that it had, or a default. */
export type CollectionAsk = Omit<CollectionSpec, 'shardType'> & { readonly shardType?: ShardType | undefined };

export type MemberState = 'up' | 'draining' | 'down';

export interface MemberRecord {
  readonly number: number;
  readonly id: string;
  /** host:port of data services and peer links. */
  address: string;
  /** URL of the admin API; empty when not known. */
  admin: string;
  zone: string;
  state: MemberState;
  /** It is to hold nothing: kept while it is down, so that it is `draining` again when it comes back. */
  drains?: boolean | undefined;
  /** Chosen when the data directory was made: another one means an empty disk, and so another member number. */
  readonly incarnation: string;
  /** Highest command version that this member can apply. */
  commandVersion: number;
  /** Bytes that it may hold; undefined: no bound. */
  capacityBytes?: number | undefined;
  /** Number of the member that came with the same id and an empty disk. This one never comes back. */
  replacedBy?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly joinedAt: number;
  stateSince: number;
}

export interface ShardReplicaRecord {
  readonly member: number;
  readonly role: ReplicaRole;
  /** Epoch of the shard that brought this replica: one that is made anew on the same member is another one. */
  readonly epoch: number;
}

/** The change under way on a shard. Nobody else may change its replicas meanwhile. */
export interface ShardChange {
  readonly task: number;
  /** Index in the task's moves. */
  readonly move: number;
}

export interface ShardRecord {
  /** Number of the replication group: 0 is the meta group itself; never reused. */
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  readonly type: ShardType;
  /**
   * All replicas take writes and merge: there is no log, no leader and no majority. Decided when the shard is made, since
   * the two are stored in different ways: an `mst` shard merges, and a `basic` one that begins with several replicas. A
   * `basic` shard that begins with one is a group of one; with more replicas it agrees like a `raft` shard.
   */
  readonly merges: boolean;
  /** Wanted voters. */
  wanted: number;
  /** Empty until placed. Who leads is not kept here: replicas know. */
  replicas: readonly ShardReplicaRecord[];
  /** Member that should lead, if it can. */
  preferredLeader?: number | undefined;
  /** Grows with each change of `replicas`. */
  epoch: number;
  change?: ShardChange | undefined;
}

export interface CollectionRecord {
  spec: CollectionSpec;
  readonly createdAt: number;
  updatedAt: number;
  /** `placing` until every shard has replicas. */
  status: 'placing' | 'ready';
  /** Shard id by partition. */
  readonly shards: readonly number[];
}

/** A collection that was deleted, so that no configuration of a node that still lists it brings it back. */
export interface DeletedCollection {
  /** As it was last. */
  readonly spec: CollectionSpec;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export type TaskKind = 'rebalance' | 'drain' | 'repair' | 'change-replicas' | 'consistency-check';
export type TaskState = 'planned' | 'running' | 'cancelling' | 'cancelled' | 'succeeded' | 'failed';

export type StopReason =
  | 'EpochNotMatch'
  | 'MembershipNotMatch'
  | 'ShardGone'
  | 'ShardBusy'
  | 'NodeDown'
  | 'NoLeader'
  | 'Timeout'
  | 'Cancelled'
  | 'QuorumAtRisk'
  | 'Capacity'
  | 'StorageFailed'
  | 'Superseded';

export type TaskMoveState = 'pending' | 'running' | 'done' | 'skipped' | 'cancelled' | 'failed';

/** One unit of a task: a move of placement, or the check of one shard. */
export interface TaskMove {
  readonly shard: number;
  readonly collection: string;
  readonly partition: number;
  readonly kind: 'replica' | 'leader' | 'check';
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly leaderTo?: number | undefined;
  readonly bytes: number;
  readonly why: MoveCause | 'check' | 'damaged';
  /** Epoch of the shard that the move starts from. Moved on when an earlier move of the same task ends on the shard. */
  epoch: number;
  state: TaskMoveState;
  bytesDone: number;
  /** What it does now, for people. */
  step?: string | undefined;
  reason?: StopReason | undefined;
  startedAt?: number | undefined;
  /** When the present step began, or last brought bytes. */
  stepAt?: number | undefined;
  finishedAt?: number | undefined;
  attempts: number;
}

export interface Finding {
  readonly severity: 'info' | 'warning' | 'error';
  readonly code: string;
  readonly message: string;
  readonly evidence: string;
  readonly remedy: string;
}

/** Bounds on what tasks do at once. All of them may change while a task runs. */
export interface Throttle {
  /** Replica moves at once that a member takes part in, as source or target. Of a new cluster: 1. */
  readonly movesPerNode: number;
  /** Replica moves at once in the cluster. Default 8. */
  readonly movesPerCluster: number;
  /** Leadership moves at once in the cluster. Default 8. */
  readonly leaderMoves: number;
  /** Snapshot bytes a second that a member sends, and that it takes in. Default 32 MiB/s; at least 64 KiB/s. */
  readonly bytesPerSecond: number;
  /** Checks at once in the cluster. Default 4. */
  readonly checks: number;
  /** Bytes a second that a member reads for checks. Default 16 MiB/s. */
  readonly checkBytesPerSecond: number;
}

export interface Settings {
  /** Of tasks that people or balance asked for. */
  throttle: Throttle;
  /** Of repair, so that lost copies do not wait behind a rebalance. */
  repairThrottle: Throttle;
  /** A member that is down for longer is repaired away. Default 60 s. */
  nodeDownMs: number;
  /** What a lasting imbalance, or a member that joined, leads to. Default suggest. */
  autoRebalance: 'off' | 'suggest' | 'on';
  /** Balance score under which a rebalance is wanted. Default 0.85. */
  rebalanceBelow: number;
  /** Score above which the wish is dropped again. Default 0.95. */
  rebalanceUntil: number;
  /** All shards are checked, the fast way, when they were not for so long. 0: never by itself. Default a day; else at least a minute. */
  checkEveryMs: number;
  /** Wanted voters of the meta group. Default 3; with 5 or more members 5 is a choice. */
  metaReplicas: number;
}

export interface TaskRecord {
  readonly id: number;
  readonly kind: TaskKind;
  state: TaskState;
  /** Empty: all. */
  readonly collection: string;
  /** Member that is drained or repaired. */
  readonly member?: number | undefined;
  readonly actor: string;
  readonly createdAt: number;
  updatedAt: number;
  startedAt?: number | undefined;
  finishedAt?: number | undefined;
  /** Topology epoch that the plan was made for. */
  readonly topologyEpoch: number;
  /** In order of start. Emptied when the task ends; failed ones live on in the findings. */
  moves: TaskMove[];
  readonly movesTotal: number;
  readonly bytesTotal: number;
  movesDone: number;
  movesFailed: number;
  movesSkipped: number;
  bytesDone: number;
  /** Instead of the settings' one. */
  throttle?: Throttle | undefined;
  readonly options: Readonly<Record<string, string>>;
  /** Who works on it: the leader of the meta group of that term. */
  claim?: { readonly member: number; readonly term: number } | undefined;
  message: string;
  findings: Finding[];
}

/**
 * A replica that must not serve, or a shard that must not take writes. `corrupt-replica`: what it has is not what it
 * should be. `lost-replica`: it has forgotten what it had. `no-majority`: nobody can say which content is right.
 */
export interface Alarm {
  readonly shard: number;
  /** Undefined: the whole shard. */
  readonly member?: number | undefined;
  /** The member's replica with this epoch is meant, and older ones: one that was made anew serves. */
  readonly epoch?: number | undefined;
  readonly kind: 'corrupt-replica' | 'lost-replica' | 'no-majority';
  readonly since: number;
  readonly evidence: string;
}

export type CheckVerdict =
  'consistent' | 'inconsistent' | 'converged' | 'lagging' | 'stuck' | 'missing' | 'resurrected' | 'indeterminate';

export interface CheckReplica {
  readonly member: number;
  /** Hex prefix of the root; empty when it did not answer. */
  readonly root: string;
  readonly index: number;
  readonly objects: number;
  readonly entries: number;
  readonly bytes: number;
  readonly ms: number;
  /** What is wrong with it by itself, or why it did not answer; absent when nothing is. */
  readonly problem?: string | undefined;
}

/** The outcome of one check of one shard. */
export interface CheckRecord {
  readonly shard: number;
  readonly collection: string;
  readonly partition: number;
  readonly at: number;
  readonly task: number;
  readonly mode: 'fast' | 'deep';
  readonly verdict: CheckVerdict;
  readonly replicas: readonly CheckReplica[];
  /** Members whose replica differs from the majority. */
  readonly minority: readonly number[];
  /** Objects that differ, and entries that cannot be read, as `object` or `object/key`; at most 100, of the newest check only. */
  readonly differing: readonly string[];
  /** Age of the oldest difference of an eventual shard, in milliseconds. */
  readonly oldestDifferenceMs?: number | undefined;
  readonly reason: string;
}

export interface ClusterRecord {
  readonly id: string;
  readonly createdAt: number;
  /** Grows with each change of members, collections or shard replicas: a plan made before it may be stale. */
  epoch: number;
  /** Commands above this version are refused by every member alike, until all can apply them. */
  commandVersion: number;
}

/** The replicated state of group 0. Changed by {@link apply} only. */
export interface MetaState {
  /** Undefined until bootstrapped. */
  cluster: ClusterRecord | undefined;
  readonly members: Map<number, MemberRecord>;
  readonly collections: Map<string, CollectionRecord>;
  readonly shards: Map<number, ShardRecord>;
  /** Unfinished tasks, and the last finished ones (at most 200; the oldest go). */
  readonly tasks: Map<number, TaskRecord>;
  readonly settings: Settings;
  readonly alarms: Alarm[];
  /** Oldest first, at most 1,000; the oldest go. */
  readonly checks: CheckRecord[];
  /** Oldest first, at most 1,000; the oldest go. A name leaves the list when it is made anew. */
  readonly deleted: DeletedCollection[];
  /** Next free numbers. */
  readonly next: { member: number; shard: number; task: number };
}
