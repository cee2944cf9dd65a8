import { createDataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { fill, type Filled, Load, p99AtRest, runTask } from './load.ts';
import { startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

/** 100 MiB in all, three times. */
const filled: Filled = { cls: 'checked', partitions: 4, objects: 12_800, entries: 8 };

/** How fast replicas are compared, by what they keep and by all that they have stored, and what clients notice of it. */
export async function checks(plan: GridPlan): Promise<Figure[]> {
  const args = ['--nodes', '3', '--port-base', String(plan.portBase)];
  args.push('--collection', `name=${filled.cls},type=raft,partitions=${filled.partitions},replicas=3`);
  const grid = await startGrid(`${plan.dir}/check`, args);
  const [first] = grid.members();
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  const channel = createEdgeChannel(first?.grpc ?? '', time);
  try {
    const client = createDataClient(channel);
    await fill(client, filled);
    const before = await p99AtRest(client, filled);
    const figures: Figure[] = [{ name: 'p99 of calls without a check', value: before, unit: 'ms' }];
    for (const mode of ['fast', 'deep'] as const) {
      const busy = new Load(client, filled);
      const startedAt = performance.now();
      await runTask(first?.http ?? '', `/admin/collections/${filled.cls}/consistency-check?mode=${mode}`);
      const seconds = (performance.now() - startedAt) / 1000;
      const during = await busy.stop();
      const name = mode === 'fast' ? 'consistency check' : 'scrub of all that is stored';
      const mebibytes = (filled.objects * filled.entries) / 1024;
      figures.push(
        { name: `${name}, objects a second`, value: filled.objects / seconds, unit: '/s' },
        { name: `${name}, MiB of each replica a second`, value: mebibytes / seconds, unit: 'MiB/s' },
        { name: `${name}: p99 of calls meanwhile`, value: during.p99, unit: 'ms' },
        {
          name: `${name}: calls failed meanwhile, of ${during.calls}`,
          ...{ value: during.failed, unit: '', bar: { text: '0', met: during.failed === 0 } },
        },
      );
    }
    return figures;
  } finally {
    channel.close();
    await grid.stop();
  }
}
