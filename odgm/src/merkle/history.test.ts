import { describe, expect, it } from 'vitest';
import { VersionHistory } from './index.ts';

describe('the versions of a tree', () => {
  it('are found by number, label and time', () => {
    const history = new VersionHistory();
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
    const history = new VersionHistory();
    history.record('a', 5000);
    expect(history.record('a', 6000).sequence).toBe(1);
    expect(history.record('b', 4000)).toEqual({ sequence: 2, root: 'b', atMs: 5000 });
    expect(history.versions).toHaveLength(2);
  });

  it('are kept up to the bound, labelled ones longer', () => {
    const history = new VersionHistory({ versions: 2 });
    history.record('a', 1);
    history.label(1, 'first');
    for (const [i, root] of ['b', 'c', 'd', 'e'].entries()) history.record(root, 2 + i);
    expect(history.versions.map(({ root }) => root)).toEqual(['a', 'd', 'e']);
    history.label(1, undefined);
    expect(history.versions.map(({ root }) => root)).toEqual(['d', 'e']);
    expect(history.find(1)).toBeUndefined();
  });

  it('are not made up: a time whose version is gone has none, although an older one is kept', () => {
    const history = new VersionHistory({ versions: 1 });
    history.record('a', 1);
    history.label(1, 'first');
    history.record('b', 2);
    history.record('c', 3);
    expect(history.at(2)).toBeUndefined();
    expect(history.at(3)?.root).toBe('c');
  });

  it('have distinct labels, as many as the bound allows', () => {
    const history = new VersionHistory({ labels: 1 });
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
    const history = new VersionHistory({ versions: 1 });
    history.record('a', 1);
    history.record('b', 2);
    history.createBranch('draft', 'a');
    const again = new VersionHistory(
      { versions: 1 },
      JSON.parse(JSON.stringify(history.state)) as typeof history.state,
    );
    expect(again.state).toEqual(history.state);
    expect(again.record('c', 3).sequence).toBe(3);
  });
});

describe('branches', () => {
  it('move only from where the mover saw them, and remember the base of the next merge', () => {
    const history = new VersionHistory();
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
    const history = new VersionHistory({ branches: 1 });
    history.createBranch('draft', 'a');
    expect(() => history.createBranch('draft', 'a')).toThrow('there is a branch draft');
    expect(() => history.createBranch('other', 'a')).toThrow('at most 1 branches');
    expect(() => history.createBranch('', 'a')).toThrow('is no name');
  });

  it('keep their root and their base, as versions keep theirs', () => {
    const history = new VersionHistory();
    history.record('a', 1);
    history.createBranch('draft', 'b');
    history.moveBranch('draft', 'b', 'c');
    expect(history.roots()).toEqual(new Set(['a', 'b', 'c']));
    expect(history.branches).toHaveLength(1);
  });
});
