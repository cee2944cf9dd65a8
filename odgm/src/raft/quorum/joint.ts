import { majorityCommittedIndex, majorityVoteResult, type VoteResult } from './majority.ts';

/** Decisions while voters change need both halves (paper, §6). `outgoing` is empty when the configuration is not joint. */
export interface JointVoters {
  readonly incoming: readonly number[];
  readonly outgoing: readonly number[];
}

/** Every voter of either half once, ascending. */
export function jointIds({ incoming, outgoing }: JointVoters): readonly number[] {
  if (outgoing.length === 0) return incoming;
  return [...new Set([...incoming, ...outgoing])].sort((a, b) => a - b);
}

export function jointCommittedIndex(voters: JointVoters, acked: (id: number) => number | undefined): number {
  return Math.min(majorityCommittedIndex(voters.incoming, acked), majorityCommittedIndex(voters.outgoing, acked));
}

export function jointVoteResult(voters: JointVoters, votes: ReadonlyMap<number, boolean>): VoteResult {
  const incoming = majorityVoteResult(voters.incoming, votes);
  if (voters.outgoing.length === 0) return incoming;
  const outgoing = majorityVoteResult(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}
