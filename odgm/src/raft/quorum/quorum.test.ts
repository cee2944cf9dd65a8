import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  jointCommittedIndex,
  jointIds,
  type JointVoters,
  jointVoteResult,
  majorityCommittedIndex,
  majorityVoteResult,
  reachedByMajority,
  type VoteResult,
} from './index.ts';

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 }).map((list) => list.sort((a, b) => a - b));
const jointVoters: fc.Arbitrary<JointVoters> = fc.record({ incoming: ids, outgoing: ids });
const acknowledged = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.integer({ min: 0, max: 20 }));
const voted = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.boolean());

/** All subsets. */
function subsets<T>(items: readonly T[]): readonly (readonly T[])[] {
  const [first, ...rest] = items;
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((subset) => [subset, [first, ...subset]]);
}

/** By definition: a majority of each half that is not empty is among `agreeing`. */
function decide({ incoming, outgoing }: JointVoters, agreeing: readonly number[]): boolean {
  return [incoming, outgoing].every(
    (half) =>
      half.length === 0 ||
      subsets(half).some((set) => set.length * 2 > half.length && set.every((id) => agreeing.includes(id))),
  );
}

/** The largest index such that those who have it decide; none is tried above the largest that anyone has. */
function committedByDefinition(voters: JointVoters, acked: (id: number) => number | undefined): number {
  const everyone = jointIds(voters);
  if (everyone.length === 0) return Infinity;
  for (let index = 20; index > 0; index--) {
    if (
      decide(
        voters,
        everyone.filter((id) => (acked(id) ?? 0) >= index),
      )
    )
      return index;
  }
  return 0;
}

function voteByDefinition(voters: JointVoters, votes: ReadonlyMap<number, boolean>): VoteResult {
  const everyone = jointIds(voters);
  if (
    decide(
      voters,
      everyone.filter((id) => votes.get(id) === true),
    )
  )
    return 'won';
  return decide(
    voters,
    everyone.filter((id) => votes.get(id) !== false),
  )
    ? 'pending'
    : 'lost';
}

const lookup = (record: Readonly<Record<string, number>>) => (id: number) => record[String(id)];
const toMap = (record: Readonly<Record<string, boolean>>) =>
  new Map(Object.entries(record).map(([id, vote]) => [Number(id), vote]));

describe('quorums agree with their definition over all subsets of voters', () => {
  it('a majority commits what more than half of it has', () => {
    fc.assert(
      fc.property(ids, acknowledged, (voters, record) => {
        const expected = committedByDefinition({ incoming: voters, outgoing: [] }, lookup(record));
        expect(majorityCommittedIndex(voters, lookup(record))).toBe(expected);
      }),
    );
  });

  it('two majorities commit what both have', () => {
    fc.assert(
      fc.property(jointVoters, acknowledged, (voters, record) => {
        expect(jointCommittedIndex(voters, lookup(record))).toBe(committedByDefinition(voters, lookup(record)));
      }),
    );
  });

  it('a vote is won, lost or open as all possible further votes say', () => {
    fc.assert(
      fc.property(jointVoters, voted, (voters, record) => {
        const votes = toMap(record);
        expect(jointVoteResult(voters, votes)).toBe(voteByDefinition(voters, votes));
        expect(majorityVoteResult(voters.incoming, votes)).toBe(
          voteByDefinition({ incoming: voters.incoming, outgoing: [] }, votes),
        );
      }),
    );
  });

  it('another vote never changes a decision', () => {
    fc.assert(
      fc.property(jointVoters, voted, voted, (voters, first, later) => {
        const before = jointVoteResult(voters, toMap(first));
        const after = jointVoteResult(voters, toMap({ ...later, ...first }));
        if (before !== 'pending') expect(after).toBe(before);
      }),
    );
  });

  it('two decisions of overlapping configurations always share a voter', () => {
    fc.assert(
      fc.property(ids, ids, (before, after) => {
        fc.pre(before.length > 0 && after.length > 0);
        const joint = { incoming: after, outgoing: before };
        for (const [one, other] of [
          [joint, { incoming: before, outgoing: [] }],
          [joint, { incoming: after, outgoing: [] }],
        ] as const) {
          const winning = subsets(jointIds(one)).filter((set) => decide(one, set));
          const rest = (set: readonly number[]) => jointIds(other).filter((id) => !set.includes(id));
          expect(winning.every((set) => !decide(other, rest(set)))).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('sorting in place looks at no more than the count that it is given', () => {
    const scratch = [3, 1, 2, 99, 98];
    expect(reachedByMajority(scratch, 3)).toBe(2);
    expect(scratch.slice(3)).toEqual([99, 98]);
  });
});
