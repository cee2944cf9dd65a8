import { createDataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { fill, type Filled } from './load.ts';
import { pause, startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

/** 1 GiB in all. */
const filled: Filled = { cls: 'kept', partitions: 4, objects: 16_384, entries: 64 };
const most = 10;

/** A node with 1 GiB is killed, and started again at once: until it answers for all partitions. */
export async function recovery(plan: GridPlan): Promise<Figure[]> {
  const args = ['--nodes', '1', '--port-base', String(plan.portBase)];
  args.push('--collection', `name=${filled.cls},type=raft,partitions=${filled.partitions},replicas=1`);
  const grid = await startGrid(`${plan.dir}/recovery`, args);
  const [node] = grid.members();
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  const channel = createEdgeChannel(node?.grpc ?? '', time);
  try {
    const client = createDataClient(channel);
    await fill(client, filled);
    process.kill(node?.pid ?? 0, 'SIGKILL');
    const killedAt = performance.now();
    for (let n = filled.objects - filled.partitions; n < filled.objects;) {
      const isThere = await client
        .getValue({ clsId: filled.cls, partitionId: n % filled.partitions, objectId: `o${n}`, key: 'e0' })
        .then(
          () => true,
          () => false,
        );
      if (isThere) n += 1;
      else await pause(20);
    }
    const seconds = (performance.now() - killedAt) / 1000;
    const bar = { text: `< ${most} s`, met: seconds < most };
    return [{ name: 'node with 1 GiB killed -> answers again', value: seconds, unit: 's', bar }];
  } finally {
    channel.close();
    await grid.stop();
  }
}
