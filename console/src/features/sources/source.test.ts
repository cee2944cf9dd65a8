import type { Commit, Source } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { commitTrail, refText, summaryText } from './source.ts';

const commit = (id: string) => ({ id }) as Commit;
const source = (change: Partial<Source>) =>
  ({
    phase: 'Synced',
    suspended: null,
    pinned: null,
    observed_commit: commit('b'),
    attempted_commit: commit('b'),
    applied_commit: commit('b'),
    ...change,
  }) as Source;
const tones = (change: Partial<Source>) => commitTrail(source(change)).map((station) => station.tone);

describe('the way of a commit', () => {
  it('is all good when every cluster has the newest', () => {
    expect(tones({})).toEqual(['ok', 'ok', 'ok']);
  });

  it('waits at the station that has not got it yet', () => {
    expect(tones({ phase: 'Applying', applied_commit: commit('a') })).toEqual(['ok', 'ok', 'busy']);
    expect(tones({ phase: 'Fetching', attempted_commit: commit('a'), applied_commit: commit('a') })).toEqual([
      'ok',
      'busy',
      'ok',
    ]);
  });

  it('ends at the plan when the commit is refused, while what runs only lags behind', () => {
    expect(tones({ phase: 'Refused', applied_commit: commit('a') })).toEqual(['ok', 'bad', 'warn']);
  });

  it('is held back on purpose by a suspension or a pin', () => {
    const pinned = { commit: 'a', by: 'admin', at: '' };
    expect(tones({ pinned, attempted_commit: commit('a'), applied_commit: commit('a') })).toEqual([
      'ok',
      'pause',
      'ok',
    ]);
  });

  it('has not begun without a commit', () => {
    expect(tones({ phase: 'Pending', observed_commit: null, attempted_commit: null, applied_commit: null })).toEqual([
      'idle',
      'idle',
      'idle',
    ]);
  });
});

it('a plan is told by what it changes', () => {
  const none = { create: 0, update: 0, unchanged: 0, prune: 0, keep: 0, hold: 0, refused: 0 };
  expect(summaryText({ ...none, create: 2, update: 1, unchanged: 9 })).toBe('2 create, 1 update');
  expect(summaryText({ ...none, unchanged: 9 })).toBe('9 unchanged');
  expect(summaryText(none)).toBe('nothing to do');
});

it('a source follows its branch, tag or commit', () => {
  expect(refText({ tag: 'v1' })).toBe('v1');
  expect(refText({ commit: '0123456789' })).toBe('01234567');
  expect(refText({})).toBe('main');
});
