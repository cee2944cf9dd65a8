/** What the planner knows of a member. */
export interface PlacementMember {
  /** Number that the meta group gave it: at least 1, never reused. */
  readonly number: number;
  readonly id: string;
  /** Failure domain. Members without one share the zone ''. */
  readonly zone: string;
  /**
   * `up` may hold and receive. `away` is unreachable for less than the bound: it keeps what it has and gets nothing.
   * `draining` and `down` hold nothing in a target; a `draining` one can still be copied from.
   */
  readonly state: 'up' | 'away' | 'draining' | 'down';
  /** Bytes that it may hold. Without it: no bound. */
  readonly capacityBytes?: number | undefined;
  /** What it carries besides the shards of the snapshot. Default: nothing. */
  readonly load?: { readonly bytes: number; readonly ops: number } | undefined;
}

export type ReplicaRole = 'voter' | 'learner';

export interface PlacementReplica {
  /** Number of the member. */
  readonly member: number;
  readonly role: ReplicaRole;
}

export interface PlacementShard {
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  readonly wantedReplicas: number;
  /** Empty for a shard that was never placed. */
  readonly replicas: readonly PlacementReplica[];
  /** Member that leads; undefined when nobody is known to. */
  readonly leader?: number | undefined;
  /** True where the type has no leader (mst): leaders are not balanced. */
  readonly leaderless?: boolean | undefined;
  /** Membership changes need a live majority (raft). Without: any live replica is enough. */
  readonly needsQuorum?: boolean | undefined;
  readonly bytes: number;
  /** Operations a second; counted at the leader, and where there is none evenly at all replicas. */
  readonly ops: number;
}

/** A change that is under way. Its shard is counted as if the change were done, and gets no further move. */
export interface PendingMove {
  readonly shard: number;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/**
 * What a plan may put right. `rebalance`: everything, soft goals too. The others touch only what they are for:
 * `initial` shards that were never placed, `drain` replicas on draining members, `repair` replicas on down members and
 * missing ones, `replica-count` shards with more or fewer replicas than wanted.
 */
export type PlanKind = 'initial' | 'rebalance' | 'drain' | 'repair' | 'replica-count';

export interface PlacementOptions {
  readonly kind: PlanKind;
  /** Only shards of these collections may move; the others count as load. Default: all. */
  readonly collections?: readonly string[] | undefined;
  /** Only replicas on these members leave (drain, repair). Default: all members in that state. */
  readonly members?: readonly number[] | undefined;
  /** Bytes of a member may differ from the mean by this part of it before data moves for it. Default 0.1. */
  readonly bytesTolerance?: number | undefined;
  /** The same for operations a second, which leader moves even out. Default 0.2. */
  readonly opsTolerance?: number | undefined;
}

export interface PlacementSnapshot {
  readonly members: readonly PlacementMember[];
  readonly shards: readonly PlacementShard[];
  readonly pending?: readonly PendingMove[] | undefined;
  readonly options: PlacementOptions;
}

/** Which goal a move serves, the first one that asked for it. */
export type MoveCause =
  | 'initial'
  | 'repair'
  | 'drain'
  | 'replica-count'
  | 'leftover-learner'
  | 'zone'
  | 'capacity'
  | 'replica-balance'
  | 'byte-balance'
  | 'leader-balance'
  | 'ops-balance';

/** One change of one shard. A `replica` move without `from` adds, without `to` removes, with both replaces. */
export interface Move {
  readonly shard: number;
  readonly collection: string;
  readonly partition: number;
  readonly kind: 'replica' | 'leader';
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Who leads after this replica move, where `from` leads now. */
  readonly leaderTo?: number | undefined;
  /** Bytes that are copied. */
  readonly bytes: number;
  readonly why: MoveCause;
}

export type NoMoveReason =
  'balanced' | 'no-shards' | 'no-member-to-move-to' | 'capacity' | 'no-quorum' | 'no-live-replica' | 'moves-pending';

/** A move that is wished but cannot be made. */
export interface Blocked {
  readonly shard: number;
  readonly collection: string;
  readonly partition: number;
  /** Member whose replica should leave; undefined when a replica is missing. */
  readonly from?: number | undefined;
  readonly why: MoveCause;
  readonly reason: Exclude<NoMoveReason, 'balanced' | 'no-shards'>;
}

/** 0 (all on one member) to 1 (as even as whole replicas allow), over members that are up. */
export interface Balance {
  readonly replicas: number;
  readonly leaders: number;
  readonly bytes: number;
  readonly ops: number;
  /** Shards that break a hard goal: replicas missing or superfluous, on a member that should hold nothing, zones uneven. */
  readonly violations: number;
  /** 0.4 replicas + 0.3 leaders + 0.2 bytes + 0.1 ops, lowered by the part of shards with violations. */
  readonly score: number;
}

/** Where a shard that changes will be. */
export interface ShardTarget {
  readonly shard: number;
  /** Member numbers, ascending. */
  readonly replicas: readonly number[];
  readonly leader?: number | undefined;
}

export interface Plan {
  /** In the order in which they should start. */
  readonly moves: readonly Move[];
  /** Only shards that change, ascending. */
  readonly targets: readonly ShardTarget[];
  readonly blocked: readonly Blocked[];
  readonly bytesTotal: number;
  readonly before: Balance;
  readonly after: Balance;
  /** Set exactly when there are no moves. */
  readonly reason?: NoMoveReason | undefined;
}
