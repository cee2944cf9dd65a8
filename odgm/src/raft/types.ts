/**
 * What Raft nodes store and say to each other. Names, numbers and meaning are those of etcd/raft's raftpb, so that its cases, its papers and
 * its operators' knowledge carry over. Terms, indexes and ids are safe integers.
 */

/** No node: an unknown leader, a vote not given. Ids of nodes begin at 1. */
export const noNode = 0;
/** Addressee of `MsgStorageAppend`: the part of the host that writes the log. */
export const localAppendThread = Number.MAX_SAFE_INTEGER;
/** Addressee of `MsgStorageApply`: the part of the host that applies committed entries. */
export const localApplyThread = Number.MAX_SAFE_INTEGER - 1;
/** No bound, where a bound in bytes is asked for. */
export const noLimit = Infinity;
/** The one empty byte string. */
export const noBytes: Uint8Array = new Uint8Array(0);

export const EntryType = { EntryNormal: 0, EntryConfChange: 1, EntryConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** One place of the log. Once it has its index, it is never changed: the same object is in messages, in the log and in what is applied. */
export interface Entry {
  term: number;
  index: number;
  readonly type: EntryType;
  /** Empty in the entry that each new leader begins its term with, and in the one that leaves a joint configuration by itself. */
  readonly data: Uint8Array;
}

/** What a node must have on disk before it speaks (Figure 2 of the paper: currentTerm, votedFor) and a commit index that saves work. */
export interface HardState {
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
}

/** The members of a group, as the log up to some index defines them. Sorted ids. */
export interface ConfState {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Voters of the configuration that is being left; not empty exactly while the configuration is joint. */
  readonly votersOutgoing: readonly number[];
  /** Voters of the outgoing half that become learners once the joint configuration is left. */
  readonly learnersNext: readonly number[];
  /** The leader leaves the joint configuration by itself as soon as it is applied. */
  readonly autoLeave: boolean;
}

export interface SnapshotMetadata {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** The state after `metadata.index`. Index 0 means "no snapshot". `data` is the host's: the core only carries it. */
export interface Snapshot {
  readonly metadata: SnapshotMetadata;
  readonly data: Uint8Array;
}

export const MessageType = {
  MsgHup: 0,
  MsgBeat: 1,
  MsgProp: 2,
  MsgApp: 3,
  MsgAppResp: 4,
  MsgVote: 5,
  MsgVoteResp: 6,
  MsgSnap: 7,
  MsgHeartbeat: 8,
  MsgHeartbeatResp: 9,
  MsgUnreachable: 10,
  MsgSnapStatus: 11,
  MsgCheckQuorum: 12,
  MsgTransferLeader: 13,
  MsgTimeoutNow: 14,
  MsgReadIndex: 15,
  MsgReadIndexResp: 16,
  MsgPreVote: 17,
  MsgPreVoteResp: 18,
  MsgStorageAppend: 19,
  MsgStorageAppendResp: 20,
  MsgStorageApply: 21,
  MsgStorageApplyResp: 22,
  MsgForgetLeader: 23,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Every field is present in every message (one shape); what a type does not use is 0, empty or undefined. */
export interface Message {
  type: MessageType;
  to: number;
  from: number;
  /** Term of the sender; 0 for messages that never leave a node, and for forwarded proposals and read requests. */
  term: number;
  /** `MsgApp`: term of the entry before `entries`. Votes: term of the candidate's last entry. A rejection: term at `rejectHint`. */
  logTerm: number;
  /** `MsgApp`: index of the entry before `entries`. Votes: the candidate's last index. `MsgAppResp`: last index that matches. */
  index: number;
  entries: readonly Entry[];
  commit: number;
  /** Votes, and refusals of them: term of the entry at `commit`. 0: they do not tell. */
  commitTerm: number;
  /** Only in `MsgStorageAppend`, where term, vote and commit together are the hard state to write (all 0: none to write). */
  vote: number;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  context: Uint8Array;
  /** `MsgStorageAppend`, `MsgStorageApply`: to be delivered, in order, once the work is done. */
  responses: readonly Message[] | undefined;
}

const noEntries: readonly Entry[] = [];

/** A message with nothing in it yet. All messages are made here, so that they have one shape. */
export function makeMessage(type: MessageType, to: number, from: number, term: number): Message {
  return {
    type,
    to,
    from,
    term,
    logTerm: 0,
    index: 0,
    entries: noEntries,
    commit: 0,
    commitTerm: 0,
    vote: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: noBytes,
    responses: undefined,
  };
}

export const ConfChangeType = {
  ConfChangeAddNode: 0,
  ConfChangeRemoveNode: 1,
  ConfChangeUpdateNode: 2,
  ConfChangeAddLearnerNode: 3,
} as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

export const ConfChangeTransition = {
  /** Simple where one change allows it, else joint and left by itself. */
  ConfChangeTransitionAuto: 0,
  /** Always joint; left by itself. */
  ConfChangeTransitionJointImplicit: 1,
  /** Always joint; left when an empty change is proposed. */
  ConfChangeTransitionJointExplicit: 2,
} as const;
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  /** 0: nothing is changed (a host may blank a change that it refuses). */
  readonly nodeId: number;
}

/** One change, in the entry form that is older than joint configurations. */
export interface ConfChange extends ConfChangeSingle {
  readonly context: Uint8Array;
}

/** Any number of changes at once. With none and transition auto it leaves a joint configuration. */
export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Uint8Array;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface SoftState {
  /** {@link noNode} while unknown. */
  readonly lead: number;
  readonly role: Role;
}

/** A read may be served from local state once the applied index has reached `index`. */
export interface ReadState {
  readonly index: number;
  /** What was passed to `readIndex`. */
  readonly context: Uint8Array;
}

/** Work for the host. All of it is read-only and stays valid after later calls. */
export interface Ready {
  /** Set when it changed. */
  readonly softState: SoftState | undefined;
  /** Set when it changed: to be written with, or before, `entries`. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /** To be written to the log, replacing whatever it holds from the first one's index on. */
  readonly entries: readonly Entry[];
  /** Replaces the whole state and log. */
  readonly snapshot: Snapshot | undefined;
  /** To be applied, in order. */
  readonly committedEntries: readonly Entry[];
  /**
   * To be sent. Without async storage writes: only after `hardState`, `entries` and `snapshot` are durable. With them: at once, and those to
   * {@link localAppendThread} and {@link localApplyThread} are the storage work itself, each kind to be done in order.
   */
  readonly messages: readonly Message[];
  /** False when `hardState` holds nothing but a new commit index, which may be lost. */
  readonly mustSync: boolean;
}

/** Why a message or a proposal was not taken; `ok` if it was. A proposal that was taken can still be lost with its leader. */
export type StepOutcome =
  | 'ok'
  /** No leader is known, leadership is being moved, the bound of uncommitted bytes is reached, or this node may not propose. Try later. */
  | 'proposalDropped'
  /** A message of a kind that never comes from another node. */
  | 'localMessage'
  /** A response of a node that is not a member. */
  | 'unknownPeer';

/**
 * - `probe`: what the follower has is not known; at most one message per heartbeat until it is.
 * - `replicate`: entries are sent ahead of their acknowledgement, up to the in-flight bounds.
 * - `snapshot`: what the follower lacks is no longer in the log; nothing is sent until it has the snapshot.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** What a leader knows of one member. */
export interface ProgressView {
  readonly id: number;
  /** The member's log equals the leader's up to here. */
  readonly match: number;
  /** Next index to be sent. */
  readonly next: number;
  readonly state: ProgressState;
  /** Index of the snapshot that is on its way; 0 outside of state `snapshot`. */
  readonly pendingSnapshot: number;
  /** Heard from since the last check of the quorum. */
  readonly recentActive: boolean;
  readonly learner: boolean;
  readonly paused: boolean;
  readonly inflightMessages: number;
  readonly inflightFull: boolean;
}

export interface BasicStatus {
  readonly id: number;
  readonly hardState: HardState;
  readonly softState: SoftState;
  readonly applied: number;
  /** Member that leadership is being moved to, or {@link noNode}. */
  readonly leadTransferee: number;
}

export interface Status extends BasicStatus {
  readonly confState: ConfState;
  /** By ascending id; empty on a node that does not lead. */
  readonly progress: readonly ProgressView[];
}
