import { simulatedTime } from '@oaas/commons/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { createMetaState, type MetaState, type Throttle } from '../meta/index.ts';
import { CopyRates } from './copy-rates.ts';

let time: ReturnType<typeof simulatedTime>;
let state: MetaState;
let rates: CopyRates;
const { signal } = new AbortController();

/** A task with a rate of its own that changes these shards. */
function task(id: number, kind: 'rebalance' | 'repair', bytesPerSecond: number, shards: readonly number[]): void {
  const throttle: Throttle = { ...state.settings.throttle, bytesPerSecond };
  state.tasks.set(id, { id, kind, state: 'running', throttle } as never);
  for (const shard of shards) state.shards.set(shard, { id: shard, change: { task: id, move: 0 } } as never);
  rates.update(state);
}

/** Bytes of the shard that go within so many seconds, 1,000 at a time. */
async function sent(shards: readonly number[], seconds: number): Promise<number[]> {
  const sum = shards.map(() => 0);
  let isOver = false;
  const copy = async (shard: number, index: number): Promise<void> => {
    for (;;) {
      await rates.of(shard).take(1000, signal);
      if (isOver) return;
      sum[index] = (sum[index] ?? 0) + 1000;
    }
  };
  for (const [index, shard] of shards.entries()) void copy(shard, index);
  for (let i = 0; i < seconds * 20; i++) await time.advance(50);
  isOver = true;
  return sum;
}

beforeEach(() => {
  time = simulatedTime(1_000_000);
  state = createMetaState();
  rates = new CopyRates({ clock: time.clock, timers: time.timers });
});

describe('the rate of copies', () => {
  it('is one for all copies of a task on the node', async () => {
    task(1, 'rebalance', 10_000, [1, 2, 3, 4]);
    const each = await sent([1, 2, 3, 4], 10);
    const all = each.reduce((sum, one) => sum + one, 0);
    expect(all).toBeGreaterThan(80_000);
    expect(all).toBeLessThanOrEqual(105_000);
  });

  it('of a rebalance stays what it is while a repair goes at its own', async () => {
    task(1, 'rebalance', 10_000, [1]);
    task(2, 'repair', 100_000, [2]);
    const [rebalanced = 0, repaired = 0] = await sent([1, 2], 10);
    expect(rebalanced).toBeLessThanOrEqual(105_000);
    expect(repaired).toBeGreaterThan(600_000);
  });

  it('of what no task has asked for is that of repair, whatever a rebalance may use', async () => {
    state.settings.repairThrottle = { ...state.settings.repairThrottle, bytesPerSecond: 50_000 };
    task(1, 'rebalance', 1, [1]);
    const [free = 0] = await sent([9], 10);
    expect(free).toBeGreaterThan(300_000);
    expect(free).toBeLessThanOrEqual(510_000);
  });

  it('changes for a copy under way', async () => {
    task(1, 'rebalance', 1, [1]);
    // Goes on credit; the next one waits for the debt.
    void rates.of(1).take(1000, signal);
    await time.advance(1000);
    let isThrough = false;
    void Promise.resolve(rates.of(1).take(1000, signal)).then(() => {
      isThrough = true;
    });
    await time.advance(60_000);
    expect(isThrough).toBe(false);
    task(1, 'rebalance', 1_000_000, [1]);
    await time.advance(250);
    expect(isThrough).toBe(true);
  });
});
