import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { parseArgs } from 'node:util';
import { hasH2load } from '../edge/h2load.ts';
import { checks } from './check.ts';
import { client } from './client.ts';
import { divergence } from './divergence.ts';
import { failover } from './failover.ts';
import { join } from './join.ts';
import { rebalance } from './rebalance.ts';
import { recovery } from './recovery.ts';
import { hasRedis, redis } from './redis.ts';
import { idleShards } from './shards.ts';
import { type Figure, throughput } from './throughput.ts';
import { types } from './types.ts';

const parts = [
  ...(['throughput', 'redis', 'types', 'client', 'failover', 'rebalance', 'join'] as const),
  ...(['divergence', 'check', 'recovery', 'shards'] as const),
];
const usage = `npm run bench -- grid [--runs N] [--seconds S] [--failovers N] [--only PART,…] [--port-base P]
  parts: ${parts.join(', ')}`;
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
  const read = readOptions(args);
  if (typeof read === 'string') {
    console.error(`${read}\n${usage}`);
    return false;
  }
  const { wanted } = read;
  const plan: GridPlan = { ...read.numbers, dir: mkdtempSync(joinPath(tmpdir(), 'oaas-bench-grid-')) };
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
    if (!wanted.has('throughput') || (await hasH2load())) await part('throughput', () => throughput(plan));
    else console.log('SKIPPED: throughput, since h2load (nghttp2-client) is not on PATH.');
    if (!wanted.has('redis') || (await hasRedis())) await part('redis', () => redis(plan));
    else console.log('SKIPPED: redis beside it, since redis-server is not on PATH.');
    await part('types', () => types(plan));
    await part('client', () => client(plan));
    await part('failover', () => failover(plan));
    await part('rebalance', () => rebalance(plan));
    await part('join', () => join(plan));
    await part('divergence', divergence);
    await part('check', () => checks(plan));
    await part('recovery', () => recovery(plan));
    if (process.platform === 'linux') await part('shards', () => idleShards(plan));
  } finally {
    rmSync(plan.dir, { recursive: true, force: true });
  }
  return figures.every(({ bar }) => bar?.met !== false);
}

type Options = { readonly wanted: ReadonlySet<string>; readonly numbers: Omit<GridPlan, 'dir'> };

/** A text says what is wrong. */
function readOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', default: parts.join(',') },
        help: { type: 'boolean', default: false },
        runs: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '3' },
        failovers: { type: 'string', default: '20' },
        'port-base': { type: 'string', default: '23000' },
      },
    });
    if (values.help) return 'What the grid does on this machine, with the bars beside it.';
    for (const name of ['runs', 'seconds', 'failovers', 'port-base'] as const) {
      if (!/^[1-9]\d*$/.test(values[name])) return `--${name} ${values[name]} is not a number from 1 on.`;
    }
    const wanted = new Set(values.only.split(','));
    const strange = [...wanted].find((name) => !parts.some((part) => part === name));
    if (strange !== undefined) return `--only: there is no part ${strange}.`;
    const { runs, seconds, failovers } = values;
    const numbers = { runs: Number(runs), seconds: Number(seconds), failovers: Number(failovers) };
    return { wanted, numbers: { ...numbers, portBase: Number(values['port-base']) } };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function print(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const { name, value, unit, bar } of figures) {
    const shown = unit === '/s' ? `${(value / 1000).toFixed(1)} k/s` : `${value.toFixed(1)} ${unit}`.trimEnd();
    const verdict = bar === undefined ? '' : `  ${bar.text}: ${bar.met ? 'met' : 'MISSED'}`;
    console.log(`${name.padEnd(width)}  ${shown.padStart(12)}${verdict}`);
  }
}
