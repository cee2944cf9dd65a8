import { describe, expect, it } from 'vitest';
import { type Candidate, type VoterChoice, wantedVoters } from './voters.ts';

/** Members that are up and have the log, unless said otherwise. */
const up = (number: number, given: Partial<Candidate> = {}): Candidate => ({
  ...{ number, isGone: false, isLeaving: false, holdsReplicas: true, isUp: true, hasCaughtUp: true },
  ...given,
});
const gone = (number: number): Candidate => up(number, { isGone: true, isUp: false });
/** Is drained, and empty unless said otherwise. */
const leaving = (number: number, given: Partial<Candidate> = {}): Candidate =>
  up(number, { isLeaving: true, holdsReplicas: false, isUp: false, ...given });
const behind = (number: number): Candidate => up(number, { hasCaughtUp: false });
const wanted = (given: Partial<VoterChoice>): number[] =>
  wantedVoters({ count: 3, self: 1, voters: [1], members: [up(1)], ...given });

describe('the voters of the meta group', () => {
  it('become three in one step, since two bear no loss', () => {
    expect(wanted({ members: [up(1), up(2), behind(3)] })).toEqual([1]);
    expect(wanted({ members: [up(1), up(2), up(3)] })).toEqual([1, 2, 3]);
  });

  it('are two where the third member is down, and nothing is to be waited for', () => {
    expect(wanted({ members: [up(1), up(2), up(3, { isUp: false })] })).toEqual([1, 2]);
  });

  it('grow from three to five, and not by way of four', () => {
    const voters = [1, 2, 3];
    const members = voters.map((number) => up(number));
    expect(wanted({ count: 5, voters, members: [...members, up(4), behind(5)] })).toEqual([1, 2, 3]);
    expect(wanted({ count: 5, voters, members: [...members, up(4), up(5)] })).toEqual([1, 2, 3, 4, 5]);
  });

  it('are three of the four that have the log while the fifth is behind', () => {
    expect(wanted({ count: 5, members: [up(1), up(2), up(3), up(4), behind(5)] })).toEqual([1, 2, 3]);
  });

  it('replace one that is gone by one that has the log, and keep it until there is one', () => {
    const voters = [1, 2, 3];
    expect(wanted({ voters, members: [up(1), gone(2), up(3), up(4)] })).toEqual([1, 3, 4]);
    expect(wanted({ voters, members: [up(1), gone(2), up(3), behind(4)] })).toEqual([1, 3, 2]);
  });

  it('replace those that are drained, once others have the log', () => {
    const voters = [1, 2, 3];
    const drained = [up(1), leaving(2), leaving(3)];
    expect(wanted({ voters, members: [...drained, up(4), up(5)] })).toEqual([1, 4, 5]);
    expect(wanted({ voters, members: [...drained, up(4), behind(5)] })).toEqual([1, 4, 2]);
    expect(wanted({ voters, members: [up(1), up(2), leaving(3), leaving(4)] })).toEqual([1, 2, 3]);
  });

  it('keep of those that are drained and that nobody replaces only one that makes the number odd', () => {
    expect(wanted({ voters: [1, 2, 3], members: [up(1), up(2), leaving(3)] })).toEqual([1, 2, 3]);
    expect(wanted({ voters: [1, 2, 3], members: [up(1), leaving(2), leaving(3)] })).toEqual([1]);
    const five = [up(1), up(2), up(3), leaving(4), leaving(5)];
    expect(wanted({ count: 5, voters: [1, 2, 3, 4, 5], members: five })).toEqual([1, 2, 3]);
  });

  it('keep those that are drained and still hold replicas: they are not to be stopped yet', () => {
    const busy = { holdsReplicas: true };
    const members = [up(1), leaving(2, busy), leaving(3, busy)];
    expect(wanted({ voters: [1, 2, 3], members })).toEqual([1, 2, 3]);
    expect(wanted({ voters: [1, 2, 3], members: members.map((one) => ({ ...one, isLeaving: true })) })).toEqual([
      1, 2, 3,
    ]);
  });

  it('keep a leader that is drained until another one leads, and become two where there is nobody to lead', () => {
    const members = [leaving(1), up(2), up(3), up(4)];
    expect(wanted({ voters: [1, 2, 3], members })).toEqual([1, 2, 3]);
    expect(wanted({ self: 2, voters: [1, 2, 3], members })).toEqual([2, 3, 4]);
    const pair = { count: 1, members: [leaving(1), up(2)] };
    expect(wanted({ ...pair, voters: [1] })).toEqual([1, 2]);
    expect(wanted({ ...pair, voters: [1, 2], self: 2 })).toEqual([2]);
  });

  it('become fewer from the end, but never without the leader', () => {
    expect(wanted({ count: 1, self: 3, voters: [1, 2, 3], members: [up(1), up(2), up(3)] })).toEqual([3]);
  });
});
