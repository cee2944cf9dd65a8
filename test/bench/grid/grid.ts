import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasH2load } from '../edge/h2load.ts';
import { client } from './client.ts';
import { failover } from './failover.ts';
import { rebalance } from './rebalance.ts';
import { hasRedis, redis } from './redis.ts';
import { idleShards } from './shards.ts';
import { type Figure, throughput } from './throughput.ts';

const parts = ['throughput', 'redis', 'client', 'failover', 'rebalance', 'shards'] as const;
type Part = (typeof parts)[number];

export interface GridPlan {
  /** Measurements of each thing; the median counts. */
  readonly runs: number;
  /** Length of a measurement; each has a second of warm-up before it. */
  readonly seconds: number;
  /** Times that the leader is killed. */
  readonly failovers: number;
  readonly portBase: number;
  /** For files of the run; on a disk, since every write is to be on one. */
  readonly dir: string;
}

/** The grid of node processes beside etcd, on one machine with the load. True when all bars are met. */
export async function runGridBench(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      failovers: { type: 'string', default: '20' },
      only: { type: 'string', default: parts.join(',') },
      'port-base': { type: 'string', default: '23000' },
    },
  });
  const wanted = new Set(values.only.split(','));
  const plan: GridPlan = {
    runs: Number(values.runs),
    seconds: Number(values.seconds),
    failovers: Number(values.failovers),
    portBase: Number(values['port-base']),
    dir: mkdtempSync(join(tmpdir(), 'oaas-bench-grid-')),
  };
  const machine = `Node ${process.version}, ${process.platform}/${process.arch}, ${availableParallelism()} cores`;
  console.log(`${machine}; 1 KiB values, every write on disk; medians of ${plan.runs}`);
  const figures: Figure[] = [];
  const part = async (name: Part, run: () => Promise<Figure[]>): Promise<void> => {
    if (!wanted.has(name)) return;
    console.error(`measuring: ${name}`);
    const measured = await run();
    // At once: a part that fails later takes nothing away.
    print(measured);
    figures.push(...measured);
  };
  try {
    if (await hasH2load()) await part('throughput', () => throughput(plan));
    else console.log('SKIPPED: throughput, since h2load (nghttp2-client) is not on PATH.');
    if (await hasRedis()) await part('redis', () => redis(plan));
    else console.log('SKIPPED: redis beside it, since redis-server is not on PATH.');
    await part('client', () => client(plan));
    await part('failover', () => failover(plan));
    await part('rebalance', () => rebalance(plan));
    if (process.platform === 'linux') await part('shards', () => idleShards(plan));
  } finally {
    rmSync(plan.dir, { recursive: true, force: true });
  }
  return figures.every(({ bar }) => bar?.met !== false);
}

function print(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const { name, value, unit, bar } of figures) {
    const shown = unit === '/s' ? `${(value / 1000).toFixed(1)} k/s` : `${value.toFixed(1)} ${unit}`.trimEnd();
    const verdict = bar === undefined ? '' : `  ${bar.text}: ${bar.met ? 'met' : 'MISSED'}`;
    console.log(`${name.padEnd(width)}  ${shown.padStart(12)}${verdict}`);
  }
}
