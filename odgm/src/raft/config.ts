import { oaasError } from '@oaas/commons/errors';
import type { RaftStorage } from './storage.ts';
import { localApplyThread, noLimit } from './types.ts';

/** Where the core says what it does. Constant message, facts as fields; pino's logger fits. Nothing is logged per proposal. */
export interface RaftLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * - `safe`: a read waits for a round of heartbeats that proves that this node still leads.
 * - `leaseBased`: a leader that heard from a quorum within the election timeout answers at once. Correct only while no clock runs off.
 */
export type ReadOnlyOption = 'safe' | 'leaseBased';

export interface RaftConfig {
  /** This node: 1 or more, never reused for a node with an empty disk. */
  readonly id: number;
  /** Ticks without a leader after which a follower campaigns: this many to twice as many, by chance. */
  readonly electionTick: number;
  /** Ticks between a leader's heartbeats. Less than `electionTick`; a tenth is usual. */
  readonly heartbeatTick: number;
  readonly storage: RaftStorage;
  /** Source of chance for election timeouts: a number in [0, 1). */
  readonly random: { next(): number };
  readonly logger: RaftLogger;
  /** Last index that the host has applied before this start: entries up to it are not given out again. Default 0. */
  readonly applied?: number | undefined;
  /**
   * Storage work travels as messages to {@link localAppendThread} and {@link localApplyThread}, and may be pipelined; `advance` is not used.
   * Messages to the same thread must not be lost nor change order. Default false.
   */
  readonly asyncStorageWrites?: boolean | undefined;
  /** Bytes of entries in one `MsgApp`; at least one entry is always sent. Default 1 MiB. */
  readonly maxSizePerMsg?: number | undefined;
  /** Bytes of committed entries that are given out but not yet applied. At the bound no more are given out. Default `maxSizePerMsg`. */
  readonly maxCommittedSizePerReady?: number | undefined;
  /** Bytes of data that a leader holds uncommitted. At the bound proposals are dropped. Default 64 MiB. */
  readonly maxUncommittedEntriesSize?: number | undefined;
  /** `MsgApp`s sent to a follower and not yet answered. At the bound the follower waits. Default 256. */
  readonly maxInflightMsgs?: number | undefined;
  /** Bytes of data in them. At the bound the follower waits; at least `maxSizePerMsg`. Default no bound. */
  readonly maxInflightBytes?: number | undefined;
  /** A leader that hears from no quorum for an election timeout steps down, and followers of a live leader refuse votes. Default false. */
  readonly checkQuorum?: boolean | undefined;
  /** Ask whether an election could be won before the term is raised (thesis, 9.6). Default false. */
  readonly preVote?: boolean | undefined;
  /** Default `safe`. `leaseBased` needs `checkQuorum`. */
  readonly readOnlyOption?: ReadOnlyOption | undefined;
  /** A follower drops proposals instead of sending them on to the leader. Default false. */
  readonly disableProposalForwarding?: boolean | undefined;
  /** Do not check a configuration change against the present configuration when it is proposed: the host has checked it. Default false. */
  readonly disableConfChangeValidation?: boolean | undefined;
  /** A leader that is removed or made a learner steps down once that is applied. Default false. */
  readonly stepDownOnRemoval?: boolean | undefined;
  /**
   * Requests for votes and refusals of them say what is known to be committed. Without it a group can be stuck for good: two voters become
   * one, and the one that is left does not know it yet and waits for the vote of the other, whose log is longer (as in tikv/raft-rs).
   * Default false.
   */
  readonly commitWithVotes?: boolean | undefined;
}

export type CompleteConfig = { readonly [Key in keyof RaftConfig]-?: Exclude<RaftConfig[Key], undefined> };

const defaultMaxSizePerMsg = 1024 * 1024;

/** Fills in defaults. Throws `InvalidArgument` naming the field that is out of bounds. */
export function completeConfig(config: RaftConfig): CompleteConfig {
  const refuse = (field: keyof RaftConfig, rule: string) =>
    oaasError('InvalidArgument', `raft: ${field} ${rule}`, { details: { field } });
  if (!Number.isSafeInteger(config.id) || config.id < 1 || config.id >= localApplyThread) {
    throw refuse('id', 'must be a positive safe integer that names no local thread');
  }
  if (config.heartbeatTick < 1) throw refuse('heartbeatTick', 'must be at least 1');
  if (config.electionTick <= config.heartbeatTick) throw refuse('electionTick', 'must be greater than heartbeatTick');
  const maxSizePerMsg = config.maxSizePerMsg ?? defaultMaxSizePerMsg;
  const maxInflightMsgs = config.maxInflightMsgs ?? 256;
  if (maxInflightMsgs < 1) throw refuse('maxInflightMsgs', 'must be at least 1');
  const maxInflightBytes = config.maxInflightBytes ?? noLimit;
  if (maxInflightBytes < maxSizePerMsg) throw refuse('maxInflightBytes', 'must be at least maxSizePerMsg');
  const checkQuorum = config.checkQuorum ?? false;
  const readOnlyOption = config.readOnlyOption ?? 'safe';
  if (readOnlyOption === 'leaseBased' && !checkQuorum) throw refuse('readOnlyOption', 'leaseBased needs checkQuorum');
  const maxCommittedSizePerReady = config.maxCommittedSizePerReady ?? maxSizePerMsg;
  if (maxCommittedSizePerReady < 1) throw refuse('maxCommittedSizePerReady', 'must be at least 1');
  return {
    id: config.id,
    electionTick: config.electionTick,
    heartbeatTick: config.heartbeatTick,
    storage: config.storage,
    random: config.random,
    logger: config.logger,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxSizePerMsg,
    maxCommittedSizePerReady,
    maxUncommittedEntriesSize: config.maxUncommittedEntriesSize ?? 64 * 1024 * 1024,
    maxInflightMsgs,
    maxInflightBytes,
    checkQuorum,
    preVote: config.preVote ?? false,
    readOnlyOption,
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    commitWithVotes: config.commitWithVotes ?? false,
  };
}
