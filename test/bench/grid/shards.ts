import { readFileSync } from 'node:fs';
import type { GridPlan } from './grid.ts';
import { pause, startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

/** After a start: what was compiled and laid out for it is cleared away. */
const settleMs = 15_000;
/** How long the processor is watched while nothing happens: longer than from one major collection to the next. */
const watchMs = 30_000;

/** What idle shards cost: memory, processor and the time of a start. One node, so that a replica is all there is. */
export async function idleShards(plan: GridPlan): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const count of [100, 1000, 10_000]) {
    const args = ['--nodes', '1', '--port-base', String(plan.portBase)];
    args.push('--collection', `name=idle,type=raft,partitions=${count},replicas=1`, '--env', 'ODGM_JOIN_TIMEOUT=60s');
    const dir = `${plan.dir}/shards-${count}`;
    const first = await startGrid(dir, args);
    await pause(3000);
    await first.stop();
    const startedAt = performance.now();
    const grid = await startGrid(dir, args);
    const seconds = (performance.now() - startedAt) / 1000;
    try {
      const pid = grid.members()[0]?.pid ?? 0;
      await pause(settleMs);
      const before = cpuMs(pid);
      await pause(watchMs);
      const core = (100 * (cpuMs(pid) - before)) / watchMs;
      const memory = rssBytes(pid) / 2 ** 20;
      const isMost = count === 10_000;
      figures.push(
        { name: `${count} shards on a node: start`, value: seconds, unit: 's' },
        {
          name: `${count} shards on a node: memory`,
          value: memory,
          unit: 'MiB',
          bar: isMost ? { text: '< 600 MiB', met: memory < 600 } : undefined,
        },
        {
          name: `${count} shards on a node: % of a core when idle`,
          value: core,
          unit: '',
          bar: isMost ? { text: '< 5', met: core < 5 } : undefined,
        },
      );
    } finally {
      await grid.stop();
    }
  }
  return figures;
}

/** Processor time of a process so far. Ticks are hundredths of a second. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}
