import type { ShardReplicaRecord, ShardType, StopReason, TaskMove } from '../meta/index.ts';

/** What the leader of a raft shard, or the source of an eventual one, knows of another replica. */
export interface ObservedProgress {
  /** Last index that the replica has. For eventual shards: what it has of what the source had. */
  readonly match: number;
  /** Entries that it lacks: the leader's last index - match. */
  readonly lag: number;
  /** True while it is sent a snapshot, or needs one. */
  readonly needsSnapshot: boolean;
  /** Bytes of that snapshot that arrived. */
  readonly snapshotBytes: number;
  /** False when it did not answer for an election timeout. */
  readonly active: boolean;
}

/**
 * Real membership of one shard, as its leader reports it, and what the meta group has recorded. For eventual shards
 * (basic, mst) the record is the membership: then `voters` and `learners` repeat it and the rest is empty.
 */
export interface ObservedShard {
  readonly type: ShardType;
  /** From the meta group. */
  readonly epoch: number;
  readonly recorded: readonly ShardReplicaRecord[];
  /** Wanted voters. */
  readonly wanted: number;
  /** Undefined: no leader is known, and the lists below are what was last seen. */
  readonly leader: number | undefined;
  readonly voters: readonly number[];
  /** Not empty: a joint configuration is open. */
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  readonly learnersNext: readonly number[];
  readonly progress: ReadonlyMap<number, ObservedProgress>;
  readonly bytes: number;
}

/** What a move needs to know about members. */
export interface ObservedMember {
  readonly number: number;
  readonly state: 'up' | 'draining' | 'down';
  /** Bytes that it can still take; undefined: no bound. */
  readonly freeBytes?: number | undefined;
}

export type RaftChange = {
  readonly addLearners: readonly number[];
  /** New voters: learners that caught up. */
  readonly promote: readonly number[];
  /** Voters that become learners, to be removed by a later change. */
  readonly demote: readonly number[];
  /** Learners that go. */
  readonly remove: readonly number[];
};

/** What to do next for one move. The caller does it, observes again, and asks again. */
export type Step =
  /** Write the record of replicas to the meta group (epoch checked), so that nodes host and drop replicas. */
  | {
      readonly do: 'record';
      readonly replicas: readonly ShardReplicaRecord[];
      readonly preferredLeader?: number | undefined;
    }
  /** Propose to the shard's raft group. `joint`: explicit enter, so that the leave is a step of its own. */
  | { readonly do: 'change'; readonly change: RaftChange; readonly joint: boolean }
  | { readonly do: 'leaveJoint' }
  | { readonly do: 'transferLeader'; readonly to: number }
  /** Ask again at `until` at the latest; sooner when something was observed. */
  | {
      readonly do: 'wait';
      readonly for: 'leader' | 'catch-up' | 'transfer' | 'quorum' | 'member';
      readonly until: number;
    }
  | {
      readonly do: 'end';
      readonly outcome: 'done' | 'skipped' | 'cancelled' | 'failed';
      readonly reason?: StopReason | undefined;
    };

/** What the coordinator keeps in memory for a running move; it may start empty after a restart. */
export interface MoveMemory {
  /** Observations in a row in which the new replica had caught up. */
  readonly caughtUp: number;
  /** When the present kind of step began, in milliseconds. */
  readonly stepAt: number;
  readonly step: string;
  /** Most bytes or entries that the new replica was seen to have: progress restarts the step's timeout. */
  readonly seen: number;
}

export interface StepInput {
  readonly move: TaskMove;
  readonly shard: ObservedShard | undefined;
  readonly members: ReadonlyMap<number, ObservedMember>;
  readonly memory: MoveMemory;
  /** The task is being cancelled. */
  readonly cancelling: boolean;
  readonly now: number;
  readonly limits: StepLimits;
}

export interface StepLimits {
  /** A learner has caught up when it lacks at most so many entries. Default 64. */
  readonly maxLag: number;
  /** …in so many observations in a row. Default 3. */
  readonly caughtUpObservations: number;
  /** Longest time for a step that moves no data. Default 60 s. */
  readonly fastStepMs: number;
  /** Least time for a step that moves data, before it counts as stuck. Default 10 min; grows with bytes at `minBytesPerSecond`. */
  readonly slowStepMs: number;
  /** Default 1 MiB/s. */
  readonly minBytesPerSecond: number;
  /** Time between observations. Default 200 ms. */
  readonly pollMs: number;
}
