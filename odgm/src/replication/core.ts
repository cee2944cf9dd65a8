import { RawNode, type RaftLogger } from '../raft/index.ts';
import type { LogStorage } from './log-storage.ts';
import type { Tuning } from './types.ts';

/** The core of one replica, as all groups have it: writes do not hold it up, pre-vote and check-quorum are on. */
export function makeCore(
  host: {
    readonly self: number;
    readonly tuning: Tuning;
    readonly coreLogger: RaftLogger;
    random(): number;
  },
  storage: LogStorage,
  applied: number,
): RawNode {
  const { tuning } = host;
  return new RawNode({
    id: host.self,
    electionTick: tuning.electionTicks,
    heartbeatTick: tuning.heartbeatTicks,
    storage,
    random: { next: () => host.random() },
    logger: host.coreLogger,
    applied,
    asyncStorageWrites: true,
    maxSizePerMsg: tuning.maxMessageBytes,
    maxCommittedSizePerReady: 4 * 1024 * 1024,
    maxUncommittedEntriesSize: tuning.maxProposalBytes,
    maxInflightMsgs: tuning.maxInflightMessages,
    maxInflightBytes: Math.max(tuning.maxInflightBytes, tuning.maxMessageBytes),
    checkQuorum: true,
    preVote: true,
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    commitWithVotes: true,
  });
}
