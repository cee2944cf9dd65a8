import { describe, expect, it } from 'vitest';
import { type FormerHistoryState, type HistoryLimits, type HistoryState, VersionHistory } from './index.ts';

let ms = 0;

/** Of the replica of a member. */
function historyOf(
  limits: Partial<HistoryLimits> = {},
  state?: HistoryState | FormerHistoryState,
  member = 1,
): VersionHistory {
  const author = { member, epoch: 1, stamp: () => ({ ms: (ms += 1), counter: 0, member }) };
  return new VersionHistory({ author, limits, state });
}

const stored = ({ state }: VersionHistory): HistoryState => JSON.parse(JSON.stringify(state)) as HistoryState;

describe('the versions of a tree', () => {
  it('are found by number, label and time', () => {
    const history = historyOf();
    history.record('a', 1000);
    history.record('b', 2000);
    history.record('c', 3000);
    history.label(2, 'release');
    expect(history.find(1)?.root).toBe('a');
    expect(history.find('release')?.root).toBe('b');
    expect(history.find('other')).toBeUndefined();
    expect([999, 1000, 2999, 9000].map((ms) => history.at(ms)?.root)).toEqual([undefined, 'a', 'b', 'c']);
    expect(history.latest?.root).toBe('c');
  });

  it('do not grow when nothing changed, and come in order of time even when the clock goes back', () => {
    const history = historyOf();
    history.record('a', 5000);
    expect(history.record('a', 6000).sequence).toBe(1);
    expect(history.record('b', 4000)).toEqual({ sequence: 2, root: 'b', atMs: 5000 });
    expect(history.versions).toHaveLength(2);
  });

  it('are kept up to the bound, labelled ones longer', () => {
    const history = historyOf({ versions: 2 });
    history.record('a', 1);
    history.label(1, 'first');
    for (const [i, root] of ['b', 'c', 'd', 'e'].entries()) history.record(root, 2 + i);
    expect(history.versions.map(({ root }) => root)).toEqual(['a', 'd', 'e']);
    history.label(1, undefined);
    expect(history.versions.map(({ root }) => root)).toEqual(['d', 'e']);
    expect(history.find(1)).toBeUndefined();
  });

  it('are not made up: a time whose version is gone has none, although an older one is kept', () => {
    const history = historyOf({ versions: 1 });
    history.record('a', 1);
    history.label(1, 'first');
    history.record('b', 2);
    history.record('c', 3);
    expect(history.at(2)).toBeUndefined();
    expect(history.at(3)?.root).toBe('c');
  });

  it('have distinct labels, as many as the bound allows', () => {
    const history = historyOf({ labels: 1 });
    history.record('a', 1);
    history.record('b', 2);
    history.label(1, 'x');
    history.label(1, 'y');
    expect(() => history.label(2, 'y')).toThrow('version 1 has the label y');
    expect(() => history.label(2, 'z')).toThrow('at most 1 labels');
    expect(() => history.label(9, 'z')).toThrow('version 9 is not kept');
    expect(() => history.label(1, 'Bad Name')).toThrow('is no name');
    expect(() => history.label(1, '12')).toThrow('is no name');
  });

  it('come back from their state', () => {
    const history = historyOf({ versions: 1 });
    history.record('a', 1);
    history.record('b', 2);
    history.createBranch('draft', 'a');
    const again = historyOf({ versions: 1 }, stored(history));
    expect(again.state).toEqual(history.state);
    expect(again.record('c', 3).sequence).toBe(3);
  });
});

describe('branches', () => {
  it('move only from where the mover saw them, and remember the base of the next merge', () => {
    const history = historyOf();
    history.createBranch('draft', 'a');
    expect(history.moveBranch('draft', 'a', 'b')).toEqual({ name: 'draft', root: 'b', base: 'a' });
    expect(() => history.moveBranch('draft', 'a', 'c')).toThrow('the branch draft has moved');
    expect(history.moveBranch('draft', 'b', 'm', 'm').base).toBe('m');
    expect(() => history.moveBranch('none', 'a', 'b')).toThrow('no branch none');
    expect(history.branch('draft')?.root).toBe('m');
    expect(history.deleteBranch('draft')).toBe(true);
    expect(history.deleteBranch('draft')).toBe(false);
  });

  it('are refused twice under one name, under a bad name, and over the bound', () => {
    const history = historyOf({ branches: 1 });
    history.createBranch('draft', 'a');
    expect(() => history.createBranch('draft', 'a')).toThrow('there is a branch draft');
    expect(() => history.createBranch('other', 'a')).toThrow('at most 1 branches');
    expect(() => history.createBranch('', 'a')).toThrow('is no name');
  });

  it('keep their root and their base, as versions keep theirs', () => {
    const history = historyOf();
    history.record('a', 1);
    history.createBranch('draft', 'b');
    history.moveBranch('draft', 'b', 'c');
    expect(history.roots()).toEqual(new Set(['a', 'b', 'c']));
    expect(history.branches).toHaveLength(1);
  });
});

describe('labels and branches of several replicas', () => {
  const told = (to: VersionHistory, from: VersionHistory): void => {
    to.merge(from.refs);
  };

  it('are versions of their own where the root was not recorded, with numbers that stay', () => {
    const [one, two] = [historyOf({}, undefined, 1), historyOf({}, undefined, 2)];
    one.record('a', 1000);
    one.label(1, 'release');
    two.record('b', 500);
    two.record('c', 2000);
    told(two, one);
    expect(two.versions).toEqual([
      { sequence: 1, root: 'b', atMs: 500 },
      { sequence: 3, root: 'a', atMs: 1000, label: 'release' },
      { sequence: 2, root: 'c', atMs: 2000 },
    ]);
    expect([two.find('release')?.sequence, two.find(3)?.root, two.latest?.root]).toEqual([3, 'a', 'c']);
    expect([two.at(1500)?.root, two.at(2500)?.root]).toEqual(['b', 'c']);
    expect(historyOf({}, stored(two), 2).versions).toEqual(two.versions);
    expect(two.record('d', 3000).sequence).toBe(4);
    expect(two.roots()).toEqual(new Set(['a', 'b', 'c', 'd']));
    two.label(3, undefined);
    expect(two.find(3)).toBeUndefined();
    told(one, two);
    expect(one.versions).toEqual([{ sequence: 1, root: 'a', atMs: 1000 }]);
  });

  it('are labels of the version that was recorded here, where it is the same', () => {
    const [one, two] = [historyOf({}, undefined, 1), historyOf({}, undefined, 2)];
    for (const history of [one, two]) history.record('a', 1000);
    one.label(1, 'release');
    told(two, one);
    expect(two.versions).toEqual([{ sequence: 1, root: 'a', atMs: 1000, label: 'release' }]);
    // Asked for again at another replica, it is what it is already.
    two.label(1, 'release');
    two.record('b', 2000);
    expect(() => {
      two.label(2, 'release');
    }).toThrow('version 1 has the label release');
  });

  it('come from the form of former builds, in which they were of one replica', () => {
    const former: FormerHistoryState = {
      nextSequence: 4,
      versions: [
        { sequence: 1, root: 'a', atMs: 1000, label: 'release' },
        { sequence: 3, root: 'b', atMs: 2000 },
      ],
      branches: [{ name: 'try', root: 'c', base: 'b' }],
    };
    const [one, again] = [historyOf({}, former), historyOf({}, former)];
    expect(one.versions).toEqual(former.versions);
    expect(one.branches).toEqual(former.branches);
    // Until it is stored in the new form it must not be something else with each start.
    expect(again.state).toEqual(one.state);
    one.moveBranch('try', 'c', 'd');
    told(one, again);
    expect(one.branches).toEqual([{ name: 'try', root: 'd', base: 'b' }]);
  });

  it('are refused over the bound, and changed no more when others have begun as many again', () => {
    const [one, two, three] = [1, 2, 3].map((member) => historyOf({ branches: 1 }, undefined, member)) as [
      VersionHistory,
      VersionHistory,
      VersionHistory,
    ];
    one.createBranch('a', 'a');
    two.createBranch('b', 'b');
    three.createBranch('c', 'c');
    told(one, two);
    expect(() => one.createBranch('d', 'd')).toThrow('at most 1 branches');
    one.moveBranch('a', 'a', 'e');
    told(one, three);
    expect(() => one.moveBranch('a', 'e', 'f')).toThrow('there are 3 branches');
    expect(one.moveBranch('a', 'e', 'e', 'f').base).toBe('f');
    expect(one.deleteBranch('c')).toBe(true);
    expect(one.moveBranch('a', 'e', 'f').root).toBe('f');
  });

  it('are as they were before when what was changed could not be stored', () => {
    const history = historyOf();
    history.record('a', 1);
    history.createBranch('try', 'a');
    const before = stored(history);
    history.record('b', 2);
    history.label(2, 'x');
    history.deleteBranch('try');
    history.reset(before);
    expect(history.state).toEqual(before);
  });
});
