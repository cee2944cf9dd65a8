import type { ShardType, StopReason, TaskMove } from '../meta/index.ts';
import type { PlacementReplica } from '../placement/index.ts';

/** What the leader of a raft shard, or the source of an eventual one, knows of another replica. */
export interface ObservedProgress {
  /** Entries that the replica lacks. For eventual shards: entries that differ from the source's. */
  readonly lag: number;
  /** True while it is sent a snapshot, or needs one. */
  readonly needsSnapshot: boolean;
  /** Bytes of the snapshot that arrived; 0 before there is one. */
  readonly received: number;
  /** False when it did not answer for an election timeout. */
  readonly active: boolean;
}

/**
 * Real membership of one shard, as its leader reports it, and what the meta group has recorded. For eventual shards
 * (basic, mst) the record is the membership: `voters` and `learners` repeat it, the other lists are empty.
 */
export interface ObservedShard {
  readonly type: ShardType;
  /** The meta group has this move as the change under way on the shard. */
  readonly isOurs: boolean;
  /** With the epochs of the replicas, which a replica that is made anew is told by. */
  readonly recorded: readonly (PlacementReplica & { readonly epoch?: number | undefined })[];
  readonly preferredLeader: number | undefined;
  /** Members whose replica has an alarm: nothing is made from what they have. Default none. */
  readonly suspects?: ReadonlySet<number> | undefined;
  /** Wanted voters. */
  readonly wanted: number;
  /** Undefined: no leader is known, and the lists below are what was last seen. */
  readonly leader: number | undefined;
  readonly voters: readonly number[];
  /** Not empty: a joint configuration is open. */
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  /** Voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** Of the other replicas. */
  readonly progress: ReadonlyMap<number, ObservedProgress>;
  readonly bytes: number;
}

/** What a move needs to know about members. */
export interface ObservedMember {
  /** `suspect`: it is not heard now, and not noted as down yet: it may be back at once. */
  readonly state: 'up' | 'draining' | 'suspect' | 'down';
  /** Bytes that it can still take; undefined: no bound. */
  readonly freeBytes?: number | undefined;
}

/** A change of a raft configuration; all lists are member numbers. */
export interface RaftChange {
  readonly addLearners: readonly number[];
  /** Learners that become voters. */
  readonly promote: readonly number[];
  /** Voters that become learners, to be removed by a later change. */
  readonly demote: readonly number[];
  /** Learners, or one voter, that go. */
  readonly remove: readonly number[];
  /** True: enter a joint configuration and stay in it; leaving is a step of its own. */
  readonly joint: boolean;
}

/** `member`: the one that is to get the replica is not heard now. */
export type WaitFor = 'leader' | 'catch-up' | 'quorum' | 'member';

export type Step =
  /** Write the shard's replicas to the meta group (epoch checked), so that nodes host and drop replicas. */
  | {
      readonly do: 'record';
      readonly replicas: readonly PlacementReplica[];
      readonly preferredLeader?: number | undefined;
      /** The member whose replica is made anew. */
      readonly renew?: number | undefined;
    }
  /** Propose to the shard's raft group, and wait until it is applied. */
  | { readonly do: 'change'; readonly change: RaftChange }
  | { readonly do: 'leaveJoint' }
  /** Ask the leader to hand over, and wait for about an election timeout. */
  | { readonly do: 'transferLeader'; readonly to: number }
  /** Nothing to do until something else is observed. */
  | { readonly do: 'wait'; readonly for: WaitFor }
  | {
      readonly do: 'end';
      readonly outcome: 'done' | 'skipped' | 'cancelled' | 'failed';
      readonly reason?: StopReason | undefined;
    };

/** What the coordinator keeps in memory of a running move. After a restart it begins anew with {@link newMemory}. */
export interface MoveMemory {
  /** Observations in a row in which the new replica had caught up. */
  readonly caughtUp: number;
  /** Name of the present step, for people, and when it began or last made progress. */
  readonly step: string;
  readonly stepAt: number;
  /** Most snapshot bytes and least lag that were seen of the new replica: what betters them is progress. */
  readonly received: number;
  readonly leastLag: number;
  /** Why the move is being taken back. */
  readonly stopping: StopReason | undefined;
}

export interface StepInput {
  /** `from` and `to` the same: the replica is made anew where it is; replicas with a higher epoch than the move's are new. */
  readonly move: Pick<TaskMove, 'kind' | 'from' | 'to' | 'leaderTo'> & { readonly epoch?: number | undefined };
  /** Undefined: the shard does not exist any more. */
  readonly shard: ObservedShard | undefined;
  readonly members: ReadonlyMap<number, ObservedMember>;
  readonly memory: MoveMemory;
  /** The task is being cancelled. */
  readonly cancelling: boolean;
  /** Milliseconds on a clock that does not jump. */
  readonly now: number;
  readonly limits: StepLimits;
}

export interface StepLimits {
  /** A replica has caught up when it lacks at most so many entries. Default 64. */
  readonly maxLag: number;
  /** …in so many observations in a row. Default 3. */
  readonly caughtUpObservations: number;
  /** Longest time for a step that moves no data. Default 60 s. */
  readonly fastStepMs: number;
  /** Longest time without progress for a step that moves data. Default 10 min, and more for large shards. */
  readonly slowStepMs: number;
  /** Adds the shard's bytes at this rate to slowStepMs. Default 1 MiB/s. */
  readonly minBytesPerSecond: number;
}
