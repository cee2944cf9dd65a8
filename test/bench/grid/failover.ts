import { createDataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { pause, startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

/** Kills the leader again and again, and measures until a write through another node is answered. */
export async function failover(plan: GridPlan): Promise<Figure[]> {
  const grid = await startGrid(`${plan.dir}/failover`, [
    '--nodes',
    '3',
    '--port-base',
    String(plan.portBase),
    '--collection',
    'name=agreed,type=raft,partitions=1,replicas=3',
  ]);
  try {
    const times: number[] = [];
    for (let round = 0; round < plan.failovers; round++) {
      while (grid.members().length < 3) await pause(50);
      // The one that came back catches up first.
      await pause(1500);
      times.push(await once(grid, round));
    }
    times.sort((a, b) => a - b);
    const at = (part: number): number =>
      times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;
    const p99 = at(0.99);
    return [
      { name: `leader killed -> writes flow, p50 of ${times.length}`, value: at(0.5), unit: 'ms' },
      { name: 'the same, p99', value: p99, unit: 'ms', bar: { text: '< 1 s', met: p99 < 1000 } },
    ];
  } finally {
    await grid.stop();
  }
}

async function once(grid: Awaited<ReturnType<typeof startGrid>>, round: number): Promise<number> {
  const leader = await grid.leader('agreed');
  const other = grid.members().find(({ id }) => id !== leader.id);
  if (other === undefined) throw new Error('there is no other member');
  const channel = createEdgeChannel(other.grpc, { clock: systemClock, timers: systemTimers, random: systemRandom });
  try {
    const client = createDataClient(channel);
    const write = (n: number): Promise<unknown> =>
      client.setValue(
        { clsId: 'agreed', partitionId: 0, objectId: 'o', key: 'k', value: { data: Buffer.from(`${round}/${n}`) } },
        { deadlineMs: 5000 },
      );
    await write(0);
    const killedAt = performance.now();
    process.kill(leader.pid, 'SIGKILL');
    for (let n = 1; ; n++) {
      const isWritten = await write(n).then(
        () => true,
        () => false,
      );
      if (isWritten) return performance.now() - killedAt;
    }
  } finally {
    channel.close();
  }
}
