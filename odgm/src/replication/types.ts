import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import type { Channel, Mesh, RateLimit } from '../mesh/index.ts';
import type { ConfState, ProgressState, Role } from '../raft/index.ts';
import type { Engine, WriteOperation } from '../storage/index.ts';
import type { RaftTracer } from './tracing.ts';

/** An entry of the log that is committed, for the state machine. */
export interface CommittedEntry {
  readonly index: number;
  readonly data: Uint8Array;
  /** What the proposer passed beside `data`, when this node proposed the entry: no need to decode it again. Else undefined. */
  readonly own: unknown;
}

/**
 * What a group replicates. Its keys in storage begin with `statePrefix(group, generation)`; all of them are part of a
 * snapshot. It must be a function of the entries: no clock, no chance, nothing of this node.
 */
export interface StateMachine {
  /** Take up the state as stored under this generation. Called at start and after a snapshot was installed. */
  open(generation: number): void;
  /**
   * Applies entries in order. Pushes one result for each, an Error for one that is refused; gives what to write, which
   * is visible to readers when the call of the host that this is part of ends. What it throws stops the group here.
   */
  apply(entries: readonly CommittedEntry[], results: unknown[]): readonly WriteOperation[];
  /** Whether an entry is one at which {@link marked} is to be called: no later one is applied together with it. */
  readonly isMark?: (data: Uint8Array) => boolean;
  /** Storage holds exactly the state after the marked entry. */
  marked?(index: number): void;
}

export interface MemberChange {
  readonly type: 'voter' | 'learner' | 'remove';
  readonly member: number;
  /** Number of this replica among all that the member ever had of this group, from 1. Default 1. */
  readonly epoch?: number | undefined;
}

export interface GroupConfig {
  /** 0 is the meta group. Never reused. */
  readonly group: number;
  /**
   * Epoch of this replica: a replica that is made anew after one of this group was removed from this member has a
   * higher one. Messages of and to older ones are dropped. 1..2^32-1.
   */
  readonly epoch: number;
  readonly machine: StateMachine;
}

export interface FirstMembers {
  /** Member numbers of the group's first voters, the same list on each of them. Empty: this one joins by a snapshot. */
  readonly voters: readonly number[];
}

/** One member of a group as its leader knows it. */
export interface PeerProgress {
  readonly member: number;
  readonly role: 'voter' | 'learner' | 'outgoing';
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState | 'leader';
  /** Entries of the leader's log that it has not acknowledged. */
  readonly lag: number;
  readonly recentActive: boolean;
  /** Index of a snapshot on its way to it; 0 for none. */
  readonly pendingSnapshot: number;
}

export interface GroupStatus {
  readonly group: number;
  readonly epoch: number;
  readonly state: 'running' | 'failed' | 'closed';
  /** No ticks, no heartbeats, until something happens. */
  readonly quiet: boolean;
  readonly role: Role | 'learner';
  readonly term: number;
  /** 0 while unknown. */
  readonly leader: number;
  readonly commit: number;
  readonly applied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly logBytes: number;
  readonly confState: ConfState;
  /** Of the leader, by ascending member; empty elsewhere. */
  readonly progress: readonly PeerProgress[];
  /** Why it failed. */
  readonly problem: string | undefined;
}

/** What the host tells its node. Called from within its work: do not call back at once, do not throw. */
export interface HostEvents {
  /** Leader (0: none) or term changed. */
  readonly leader?: (group: number, leader: number, term: number) => void;
  /** A configuration change was applied here. `context` is what its proposer passed. */
  readonly members?: (group: number, confState: ConfState, context: Uint8Array) => void;
  /** The group stopped on this node, for good. */
  readonly failed?: (group: number, error: Error) => void;
  /** A message for a group that is not here came. `isRemoved`: it was here, and was removed. */
  readonly unknown?: (group: number, from: number, isRemoved: boolean) => void;
}

export interface HostOptions {
  readonly engine: Engine;
  readonly mesh: Mesh;
  /** Member number of this node. */
  readonly self: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Runs something once what has arrived by now is dealt with: `setImmediate`. All work of that turn makes one batch. */
  readonly schedule: (run: () => void) => void;
  readonly events?: HostEvents | undefined;
  /** Channels of this host, where a node has several. Default: those of durable groups. */
  readonly channels?: HostChannels | undefined;
  readonly tuning?: Partial<Tuning> | undefined;
  readonly tracer?: RaftTracer | undefined;
  /** Meters the snapshots of a group. Default: no bound. */
  readonly rateOf?: ((group: number) => RateLimit) | undefined;
}

export interface HostChannels {
  readonly raft: Channel;
  readonly snapshotOffer: Channel;
  readonly snapshot: Channel;
}

export interface Tuning {
  readonly tickMs: number;
  /** Ticks without a leader until a follower campaigns: this many to twice as many. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** A leader that heard from a quorum within less than an election timeout answers linearizable reads at once. Fail-over after a crash is slower then. Needs clocks that run equally fast within 10 %. */
  readonly leaseReads: boolean;
  /** Ticks without anything to do after which a group goes quiet. */
  readonly quietAfterTicks: number;
  /** After the link to the leader's node is lost: a follower campaigns after up to this long, by its rank and by chance. */
  readonly campaignSpreadMs: number;
  /** Proposals of one group without an answer; one more is refused with `ResourceExhausted`. */
  readonly maxProposals: number;
  /** Bytes of proposals without an answer on this node; more are refused. One proposal is always taken. */
  readonly maxProposalBytes: number;
  /** Bytes of entries in one message to one follower; one entry is always sent. */
  readonly maxMessageBytes: number;
  /**
   * How long word of a new commit index waits for entries that it can travel with. Followers apply that much later; no
   * answer waits for it.
   */
  readonly commitHoldMs: number;
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** Applied entries that a log keeps for slow followers, in count and in bytes; whichever is less. */
  readonly keepEntries: number;
  readonly keepBytes: number;
  readonly snapshotChunkBytes: number;
  /** Snapshots sent, and received, at the same time. More wait. */
  readonly maxSnapshots: number;
  /** How long a snapshot whose link was lost is kept open to be resumed. */
  readonly snapshotResumeMs: number;
  /** Longest wait of a linearizable read for a leader's word. */
  readonly readTimeoutMs: number;
}

/** A snapshot that has not got on for this time, in milliseconds, is given up when another one waits for its place. */
export const giveWayMs = 5000;

export const defaultTuning: Tuning = {
  tickMs: 50,
  electionTicks: 9,
  heartbeatTicks: 1,
  leaseReads: false,
  quietAfterTicks: 40,
  campaignSpreadMs: 120,
  maxProposals: 16_384,
  maxProposalBytes: 128 * 1024 * 1024,
  maxMessageBytes: 1024 * 1024,
  commitHoldMs: 2,
  maxInflightMessages: 256,
  maxInflightBytes: 16 * 1024 * 1024,
  keepEntries: 10_000,
  keepBytes: 16 * 1024 * 1024,
  snapshotChunkBytes: 256 * 1024,
  maxSnapshots: 2,
  snapshotResumeMs: 60_000,
  readTimeoutMs: 5000,
};
