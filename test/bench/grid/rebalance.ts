import { createDataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { type Filled, fill, Load, p99AtRest, runTask } from './load.ts';
import { startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

/** 100 MiB in all. */
const filled: Filled = { cls: 'moved', partitions: 12, objects: 1600, entries: 64 };

/** Drains one of four nodes, with 100 MiB in the grid, while clients go on. */
export async function rebalance(plan: GridPlan): Promise<Figure[]> {
  const collection = `name=moved,type=raft,partitions=${filled.partitions},replicas=3`;
  const args = ['--nodes', '4', '--port-base', String(plan.portBase), '--collection', collection];
  const grid = await startGrid(`${plan.dir}/rebalance`, args);
  const address = grid.members()[0]?.grpc ?? '';
  const channel = createEdgeChannel(address, { clock: systemClock, timers: systemTimers, random: systemRandom });
  try {
    const client = createDataClient(channel);
    await fill(client, filled);
    const before = await p99AtRest(client, filled);
    const busy = new Load(client, filled);
    const startedAt = performance.now();
    const task = await runTask(grid.members()[0]?.http ?? '', '/admin/members/n4/drain');
    const seconds = (performance.now() - startedAt) / 1000;
    const during = await busy.stop();
    const mebibytes = Number(task['bytes_done']) / 2 ** 20;
    const ratio = during.p99 / before;
    return [
      {
        name: `drain of a node, ${String(task['shards_total'])} moves, ${mebibytes.toFixed(0)} MiB, under load`,
        value: seconds,
        unit: 's',
      },
      {
        name: `calls failed meanwhile, of ${during.calls}`,
        value: during.failed,
        unit: '',
        bar: { text: '0', met: during.failed === 0 },
      },
      { name: 'p99 of calls without a rebalance', value: before, unit: 'ms' },
      {
        name: 'p99 of calls meanwhile',
        value: during.p99,
        unit: 'ms',
        bar: { text: `< 3x idle (${ratio.toFixed(2)}x)`, met: ratio < 3 },
      },
    ];
  } finally {
    channel.close();
    await grid.stop();
  }
}
