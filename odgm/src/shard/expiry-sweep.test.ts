import { describe, expect, it } from 'vitest';
import { ExpirySweep } from './expiry-sweep.ts';
import type { ExpiringEntry } from './model.ts';

/** So many entries that have expired; batches are taken away when the test says so. */
function sweepOf(count: number) {
  const due: ExpiringEntry[] = Array.from({ length: count }, (_, i) => ({
    objectId: `o${String(i)}`,
    key: 'k',
    expiresAt: i,
  }));
  const batches: number[] = [];
  const settles: ((isTaken: boolean) => void)[] = [];
  const state = { isLeader: true, none: 0 };
  const sweep = new ExpirySweep({
    isDue: () => state.isLeader,
    expired: (limit) => due.slice(0, limit),
    take: (entries) => {
      batches.push(entries.length);
      return new Promise((resolve, reject) => {
        settles.push((isTaken) => {
          if (isTaken) resolve(due.splice(0, entries.length));
          else reject(new Error('not now'));
        });
      });
    },
    onNone: () => {
      state.none += 1;
    },
  });
  const settle = async (isTaken = true): Promise<void> => {
    settles.shift()?.(isTaken);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  return { sweep, batches, state, settle };
}

describe('a sweep of what has expired', () => {
  it('goes on after a full batch until none is left, with one batch under way at a time', async () => {
    const { sweep, batches, settle } = sweepOf(5);
    sweep.begin(2);
    sweep.begin(2);
    expect(batches).toEqual([2]);
    await settle();
    sweep.begin(2);
    expect(batches).toEqual([2, 2]);
    await settle();
    await settle();
    expect(batches).toEqual([2, 2, 1]);
  });

  it('says so when none is left after batches that were all full', async () => {
    const { sweep, batches, state, settle } = sweepOf(4);
    sweep.begin(2);
    await settle();
    expect(state.none).toBe(0);
    await settle();
    expect(batches).toEqual([2, 2]);
    expect(state.none).toBe(1);
  });

  it('ends with a batch that cannot be taken away, and goes on when it is begun again', async () => {
    const { sweep, batches, settle } = sweepOf(5);
    sweep.begin(2);
    await settle(false);
    expect(batches).toEqual([2]);
    sweep.begin(2);
    await settle();
    expect(batches).toEqual([2, 2, 2]);
  });

  it('ends when another replica is to do it', async () => {
    const { sweep, batches, state, settle } = sweepOf(5);
    sweep.begin(2);
    state.isLeader = false;
    await settle();
    expect(batches).toEqual([2]);
  });
});
