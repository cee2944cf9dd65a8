import { describe, expect, it } from 'vitest';
import type { ProgressView, RawNode } from '../raft/index.ts';
import type { Membership } from './membership.ts';
import { quorumThatHasAll } from './quiescence.ts';

const caughtUp = { match: 9, state: 'replicate', recentActive: true } as const;

function restingPlace(
  progress: ReadonlyMap<number, Partial<ProgressView>>,
  isUp: (member: number) => boolean = () => true,
) {
  const node = { lastIndex: 9, progress: (member: number) => progress.get(member) } as unknown as RawNode;
  const everyone = [1, ...progress.keys()];
  const membership = { isJoint: false, everyone, confState: { voters: [1, 2, 3] } } as unknown as Membership;
  return quorumThatHasAll(node, membership, { self: 1, isUp });
}

describe('a leader goes quiet', () => {
  it('when all who can be reached have the whole log, and tells them', () => {
    const all = new Map([2, 3, 4].map((member) => [member, caughtUp]));
    expect(restingPlace(all)).toEqual([2, 3, 4]);
    expect(restingPlace(all, (member) => member !== 3)).toEqual([2, 4]);
    expect(restingPlace(all, (member) => member === 4)).toBeUndefined();
  });

  it.each([
    ['lacks an entry', { match: 8 }],
    ['is probed', { state: 'probe' as const }],
    // What a resting leader thinks of a member stays: a new replica that passes for silent is never made a voter.
    ['has not been heard from since the leader last asked for a sign of life', { recentActive: false }],
  ])('not while one of them %s', (_, lacking) => {
    expect(
      restingPlace(
        new Map<number, Partial<ProgressView>>([
          [2, caughtUp],
          [3, caughtUp],
          [4, { ...caughtUp, ...lacking }],
        ]),
      ),
    ).toBeUndefined();
  });
});
