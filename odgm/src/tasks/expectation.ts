import { oaasError } from '@oaas/commons/errors';
import { quorumOf } from './membership.ts';
import type { RaftChange } from './types.ts';

/** The members of a shard's group as its leader has applied them. */
export interface GroupMembership {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
  readonly learnersNext: readonly number[];
  /** Epochs of the replicas, by member; those that are not listed are 1. Absent from members of former versions. */
  readonly epochs?: Readonly<Record<string, number>> | undefined;
  /** Of the group, in which its leader had them. Absent from members of former versions. */
  readonly term?: number | undefined;
}

/** Which of its requests a coordinator has asked in which term. Absent from members of former versions. */
export interface RequestOrder {
  readonly term: number;
  readonly order: number;
}

const lists = ['voters', 'votersOutgoing', 'learners', 'learnersNext'] as const;

/**
 * Why a step that was decided on `expected` must not be done on `actual`: somebody else has changed the shard meanwhile.
 * `Conflict`, with `MembershipNotMatch`, `EpochConflict` or `LeaderChanged` as code in the details. Undefined: the two are
 * the same.
 */
export function membershipConflict(expected: GroupMembership, actual: GroupMembership): Error | undefined {
  const differing = lists.find((list) => !isSameSet(expected[list], actual[list]));
  if (differing !== undefined) {
    return conflict('MembershipNotMatch', {
      ...{ list: differing, expected: [...expected[differing]], actual: [...actual[differing]] },
    });
  }
  // Under another leader the same members may have been others in between.
  if (expected.term !== undefined && expected.term !== actual.term)
    return conflict('LeaderChanged', { expected: expected.term, actual: actual.term });
  const { epochs } = expected;
  if (epochs === undefined) return undefined;
  const epochIn = (of: GroupMembership, member: number): number => of.epochs?.[String(member)] ?? 1;
  const replaced = lists
    .flatMap((list) => actual[list])
    .find((member) => epochIn(expected, member) !== epochIn(actual, member));
  if (replaced === undefined) return undefined;
  return conflict('EpochConflict', { member: replaced, epoch: epochIn(actual, replaced) });
}

/**
 * Why a voter must not go now: a majority of those that are voters then does not answer. The step may have been on its way
 * for a while, and what a leader knows of its members may be older than the loss of one of them: it asks them before.
 * `Unavailable`, with `QuorumAtRisk` as code in the details. Undefined: nothing speaks against it.
 */
export function quorumRisk(
  voters: readonly number[],
  { promote, demote, remove }: RaftChange,
  heard: ReadonlySet<number>,
): Error | undefined {
  const staying = voters.filter((voter) => !demote.includes(voter) && !remove.includes(voter));
  if (staying.length === voters.length) return undefined;
  const after = [...staying, ...promote];
  const silent = after.filter((voter) => !heard.has(voter));
  if (after.length - silent.length >= quorumOf(after.length)) return undefined;
  return oaasError('Unavailable', 'the change would leave the shard without a majority that answers', {
    details: { code: 'QuorumAtRisk', voters: after, silent, outcome: 'notApplied' },
    remedy: 'Bring back replicas of the shard first.',
  });
}

/** A step that a coordinator has asked for whose successor was heard of already. */
export function supersededCoordinator(term: number, newest: number): Error {
  return oaasError('Conflict', 'another member coordinates tasks by now', {
    details: { code: 'StaleCoordinator', term, newest },
    remedy: 'Nothing: the other one goes on with the task.',
  });
}

/**
 * A request that was on its way for so long that its coordinator has given it up and asked for something else: nobody
 * follows what it would do. One coordinator asks about one shard after the other.
 */
export function overtakenRequest(request: RequestOrder, newest: RequestOrder | undefined): Error | undefined {
  if (newest?.term !== request.term || request.order >= newest.order) return undefined;
  return oaasError('Conflict', 'the coordinator has asked for something else by now', {
    details: { code: 'Overtaken', order: request.order, newest: newest.order },
    remedy: 'Nothing: the coordinator decides anew.',
  });
}

function conflict(
  code: 'MembershipNotMatch' | 'EpochConflict' | 'LeaderChanged',
  details: Readonly<Record<string, unknown>>,
): Error {
  return oaasError('Conflict', 'the replicas of the shard are not those that the step was decided on', {
    details: { code, ...details },
    remedy: 'Look at the shard again, and decide anew.',
  });
}

function isSameSet(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((member) => b.includes(member));
}
