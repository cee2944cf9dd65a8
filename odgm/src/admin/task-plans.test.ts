import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { expect, it } from 'vitest';
import type { ShardLoad } from '../meta/index.ts';
import { MetaUnderTest, spec } from '../meta/testing.ts';
import type { GridNode } from '../node/index.ts';
import { Tasks } from './tasks.ts';

/** Four shards on one of two members. `loads`: as they are each time that the members are asked for them. */
function tasksOf(loads: readonly ((shard: number) => number)[]) {
  const meta = new MetaUnderTest();
  meta.bootstrap(2);
  const { shards = [] } = meta.accept({
    type: 'putCollection',
    spec: spec('c', { partitionCount: 4, replicaCount: 1 }),
  });
  meta.accept({ type: 'assignShards', assignments: shards.map((shard) => ({ shard, replicas: [1], leader: 1 })) });
  let asked = 0;
  const bytes = (shard: number): number => (loads[Math.min(asked, loads.length) - 1] ?? ((): number => 0))(shard);
  const node = {
    meta: {
      ...{ state: meta.state, isGone: () => false },
      catchUp: () => Promise.resolve(),
      propose: (command: Parameters<MetaUnderTest['accept']>[0]) => Promise.resolve(meta.accept(command)),
    },
    reports: {
      refresh: () => {
        asked += 1;
        return Promise.resolve();
      },
      loads: () =>
        new Map(shards.map((shard): [number, ShardLoad] => [shard, { leader: 1, bytes: bytes(shard), ops: 0 }])),
    },
    members: () => [],
    collections: () => [],
  };
  return { meta, tasks: new Tasks({ node: node as unknown as GridNode, clock: systemClock, timers: systemTimers }) };
}

const wish = { kind: 'rebalance', collection: '', member: '', options: {} };
/** Other shards are worth moving. */
const early = (shard: number): number => 1024 ** 2 * [8, 8, 1, 4][shard - 1]!;
const late = (shard: number): number => 1024 ** 2 * [1, 4, 8, 8][shard - 1]!;

it('starts what was looked at and nothing else, when the loads change after the start has begun', async () => {
  const { meta, tasks } = tasksOf([early, early, late]);
  const plan = await tasks.plan({ ...wish, planId: '' });
  await tasks.start({ ...wish, planId: plan.planId }, 'tester');
  const started = [...meta.state.tasks.values()].flatMap(({ moves }) => moves);
  expect(started.map(({ partition }) => partition)).toEqual(plan.moves.map(({ partition }) => partition));
  expect(started.length).toBeGreaterThan(0);
});

it('refuses to start what was looked at when the loads have changed by the start', async () => {
  const { meta, tasks } = tasksOf([early, late]);
  const plan = await tasks.plan({ ...wish, planId: '' });
  await expect(tasks.start({ ...wish, planId: plan.planId }, 'tester')).rejects.toThrow('the grid has changed');
  expect(meta.state.tasks.size).toBe(0);
});
