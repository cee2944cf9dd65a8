import { describe, expect, it } from 'vitest';
import { classifyEventual, classifyRaft, differingObjects, type EntryState, type EventualSample } from './index.ts';

describe('replicas of a raft shard', () => {
  const answer = (member: number, root: string, index = 7, algorithm = 1) => ({ member, root, index, algorithm });
  const voters = [1, 2, 3];

  it('are consistent only when all of them answered alike at one index', () => {
    expect(classifyRaft([answer(1, 'a'), answer(2, 'a'), answer(3, 'a')], voters, []).verdict).toBe('consistent');
    for (const answers of [
      [answer(1, 'a'), answer(2, 'a')],
      [answer(1, 'a'), answer(2, 'a'), answer(3, 'a', 8)],
      [answer(1, 'a'), answer(2, 'a'), answer(3, 'b', 8)],
      [answer(1, 'a'), answer(2, 'a'), answer(3, 'b', 7, 2)],
      [],
    ]) {
      expect(classifyRaft(answers, voters, [])).toMatchObject({ verdict: 'indeterminate', minority: [] });
    }
    expect(classifyRaft([answer(1, 'a'), answer(2, 'a')], voters, []).reason).toContain('member 3');
    const learning = [answer(1, 'a'), answer(2, 'a'), answer(3, 'a')];
    expect(classifyRaft(learning, voters, [4]).verdict).toBe('indeterminate');
  });

  it('that differ name the minority, also when one is silent', () => {
    const differing = [answer(1, 'a'), answer(2, 'b'), answer(3, 'a')];
    expect(classifyRaft(differing, voters, [])).toMatchObject({ verdict: 'inconsistent', minority: [2] });
    const silent = [answer(1, 'a'), answer(2, 'b'), answer(3, 'a')];
    const bigger = [...silent, answer(4, 'a')];
    expect(classifyRaft(bigger, [1, 2, 3, 4, 5], [])).toMatchObject({ minority: [2], hasNoMajority: false });
  });

  it('that differ are not known to be without a majority while one that is silent may make one', () => {
    const undecided = { verdict: 'indeterminate', minority: [], hasNoMajority: false };
    const split = [answer(1, 'a'), answer(2, 'b')];
    expect(classifyRaft(split, voters, [])).toEqual({
      ...undecided,
      reason: '2 different contents at index 7, none with a majority, no answer from member 3',
    });
    expect(classifyRaft([...split, answer(3, 'a')], [1, 2, 3, 4, 5], [])).toMatchObject(undecided);
    const damaged = (member: number) => ({ ...answer(member, 'a'), isDamaged: true });
    expect(classifyRaft([damaged(1)], [1, 2], [])).toMatchObject(undecided);
    expect(classifyRaft([damaged(1), damaged(2)], voters, [])).toMatchObject(undecided);
    // Whatever the fifth says.
    const hopeless = [...split, answer(3, 'c'), answer(4, 'd')];
    expect(classifyRaft(hopeless, [1, 2, 3, 4, 5], [])).toMatchObject({ verdict: 'inconsistent', hasNoMajority: true });
  });

  it('without a majority name nobody, and a learner does not make one', () => {
    const split = [answer(1, 'a'), answer(2, 'b')];
    expect(classifyRaft(split, [1, 2], [])).toMatchObject({
      verdict: 'inconsistent',
      minority: [],
      hasNoMajority: true,
    });
    const withLearner = [...split, answer(3, 'a')];
    expect(classifyRaft(withLearner, [1, 2], [3])).toMatchObject({ hasNoMajority: true });
  });

  it('that are damaged are set apart although their roots are right, as long as one is well', () => {
    const damaged = (member: number, root = 'a') => ({ ...answer(member, root), isDamaged: true });
    const one = [answer(1, 'a'), damaged(2), answer(3, 'a')];
    expect(classifyRaft(one, voters, [])).toEqual({
      verdict: 'inconsistent',
      minority: [2],
      hasNoMajority: false,
      reason: 'damaged on member 2',
    });
    const two = [answer(1, 'a'), damaged(2), damaged(3)];
    expect(classifyRaft(two, voters, [])).toMatchObject({ minority: [2, 3], hasNoMajority: false });
    const ofTwo = [damaged(1), answer(2, 'a')];
    expect(classifyRaft(ofTwo, [1, 2], [])).toMatchObject({ minority: [1], hasNoMajority: false });
    const other = [answer(1, 'b'), damaged(2), answer(3, 'a')];
    expect(classifyRaft(other, voters, [])).toMatchObject({ minority: [1, 2], hasNoMajority: false });
    const all = [damaged(1), damaged(2), damaged(3)];
    expect(classifyRaft(all, voters, [])).toMatchObject({ minority: [], hasNoMajority: true });
    expect(classifyRaft([damaged(1)], [1], [])).toMatchObject({ verdict: 'inconsistent', hasNoMajority: true });
  });

  it('name the objects that differ, in order and bounded', () => {
    const hashes = new Map([
      [1, new Map(Object.entries({ a: '1', b: '1', c: '1' }))],
      [2, new Map(Object.entries({ a: '1', b: '2', d: '1' }))],
    ]);
    expect(differingObjects(hashes, 10)).toEqual(['b', 'c', 'd']);
    expect(differingObjects(hashes, 2)).toEqual(['b', 'c']);
  });
});

describe('replicas of an eventual shard', () => {
  const options = { firstAt: 100_000, secondAt: 110_000, syncIntervalMs: 5000, lagMs: 30_000 };
  const live = (stamp: string, at: number, hash = stamp): EntryState => ({ stamp, at, hash, deleted: false });
  const tombstone = (stamp: string, at: number): EntryState => ({ stamp, at, hash: '', deleted: true });
  const sample = (member: number, entries: Record<string, EntryState>): EventualSample => ({
    member,
    algorithm: 1,
    root: JSON.stringify(entries),
    entries: new Map(Object.entries(entries)),
  });
  const twice = (a: Record<string, EntryState>, b: Record<string, EntryState>) =>
    classifyEventual([sample(1, a), sample(2, b)], [sample(1, a), sample(2, b)], [1, 2], options);

  it('are converged when the second sample is the same everywhere', () => {
    const first = [sample(1, { k: live('2', 1000) }), sample(2, {})];
    const second = [sample(1, { k: live('2', 1000) }), sample(2, { k: live('2', 1000) })];
    expect(classifyEventual(first, second, [1, 2], options).verdict).toBe('converged');
  });

  it('lag while differences are young, or change', () => {
    expect(twice({ k: live('2', 100_000) }, { k: live('1', 1) })).toMatchObject({
      verdict: 'lagging',
      oldestDifferenceMs: 10_000,
    });
    const first = [sample(1, { k: live('3', 1000) }), sample(2, {})];
    const second = [sample(1, { k: live('3', 1000) }), sample(2, { k: live('2', 1000) })];
    expect(classifyEventual(first, second, [1, 2], options).verdict).toBe('lagging');
  });

  it('are stuck with one version of two contents, or with old versions that do not spread', () => {
    expect(twice({ k: live('2', 109_000, 'x') }, { k: live('2', 109_000, 'y') }).verdict).toBe('stuck');
    expect(twice({ k: live('2', 1000) }, { k: live('1', 500) }).verdict).toBe('stuck');
  });

  it('miss an entry that one side has had for long', () => {
    const outcome = twice({ k: live('2', 1000), same: live('1', 1) }, { same: live('1', 1) });
    expect(outcome).toMatchObject({ verdict: 'missing', differences: [{ key: 'k', ageMs: 109_000 }] });
  });

  it('have resurrected what is deleted on one side and older but alive on the other', () => {
    expect(twice({ k: tombstone('2', 1000) }, { k: live('1', 500) }).verdict).toBe('resurrected');
    expect(twice({ k: tombstone('2', 109_000) }, { k: live('1', 500) }).verdict).toBe('lagging');
  });

  it('show the worst of their differences', () => {
    const outcome = twice(
      { a: live('2', 105_000), b: tombstone('2', 1000), c: live('2', 2000) },
      { a: live('1', 1), b: live('1', 500) },
    );
    expect(outcome.differences.map(({ key, verdict }) => [key, verdict])).toEqual([
      ['b', 'resurrected'],
      ['c', 'missing'],
      ['a', 'lagging'],
    ]);
    expect(outcome).toMatchObject({ verdict: 'resurrected', oldestDifferenceMs: 109_000 });
  });

  it('are indeterminate when a replica is silent, hashes otherwise, or the samples are too close', () => {
    const one = sample(1, { k: live('1', 1) });
    const two = sample(2, {});
    expect(classifyEventual([one, two], [one], [1, 2], options).verdict).toBe('indeterminate');
    expect(classifyEventual([one], [one], [1, 2], options).verdict).toBe('indeterminate');
    const other = { ...two, algorithm: 2 };
    expect(classifyEventual([one, other], [one, other], [1, 2], options).verdict).toBe('indeterminate');
    const close = { ...options, secondAt: 104_999 };
    expect(classifyEventual([one, two], [one, two], [1, 2], close).verdict).toBe('indeterminate');
    const hidden = { ...two, entries: one.entries };
    expect(classifyEventual([one, hidden], [one, hidden], [1, 2], options).verdict).toBe('indeterminate');
  });
});
