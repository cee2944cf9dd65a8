import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../edge/report.ts';
import type { GridPlan } from './grid.ts';
import { end, pause } from './servers.ts';
import { batchSize, type Figure } from './throughput.ts';

const execute = promisify(execFile);

/** Clients of which each has one call under way: what redis-benchmark offers. */
const shapes = [1, 64, 256] as const;
/** When a change is on disk: before it is answered, or within a second. */
const policies = ['always', 'everysec'] as const;

const valueBytes = 1024;
/** A batch as ours: as many values, all of them or none. */
const batch = [
  'MSET',
  ...Array.from({ length: batchSize }, (_, i) => [`object-2/k${i}`, 'a'.repeat(valueBytes)]).flat(),
];
/** Commands as redis-benchmark calls them, of which the last one is named with all that it sets. */
const tests = { SET: 'SET', GET: 'GET', MSET: `MSET of ${batchSize} puts` } as const;

/** One redis with its append-only file, measured by its own tool: for orientation, since it does not replicate. */
export async function redis(plan: GridPlan): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const policy of policies) {
    const server = await startRedis(join(plan.dir, `redis-${policy}`), plan.portBase + 60, policy);
    try {
      for (const clients of shapes) {
        const rates = new Map<string, number[]>();
        for (let run = 0; run < plan.runs; run++) {
          const calls = clients === 1 ? 2000 : 40_000;
          const measured = [
            ...(await load(plan.portBase + 60, clients, calls, ['-d', String(valueBytes), '-t', 'set,get'])),
            // Each carries as much as many of the others.
            ...(await load(plan.portBase + 60, clients, Math.min(calls, 5000), batch)),
          ];
          for (const [test, perSecond] of measured) rates.set(test, [...(rates.get(test) ?? []), perSecond]);
        }
        for (const [test, all] of rates) {
          if (test === 'GET' && policy !== 'always') continue;
          figures.push({ name: `redis ${test} (AOF ${policy}), ${clients} clients`, value: median(all), unit: '/s' });
        }
      }
    } finally {
      await server.stop();
    }
  }
  return figures;
}

export async function hasRedis(): Promise<boolean> {
  return execute('redis-server', ['--version']).then(
    () => true,
    () => false,
  );
}

async function startRedis(dir: string, port: number, policy: string): Promise<{ stop(): Promise<void> }> {
  mkdirSync(dir, { recursive: true });
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''];
  args.push('--appendonly', 'yes', '--appendfsync', policy);
  const child: ChildProcess = spawn('redis-server', args, { stdio: 'ignore' });
  for (let tries = 0; tries < 100; tries++) {
    const answer = await execute('redis-cli', ['-p', String(port), 'ping']).catch(() => undefined);
    if (answer?.stdout.trim() === 'PONG') return { stop: () => end(child, 'SIGTERM') };
    await pause(50);
  }
  await end(child, 'SIGKILL');
  throw new Error('redis was not ready in time');
}

/** Calls a second by test, as its CSV says: "test","rps",… */
async function load(
  port: number,
  clients: number,
  calls: number,
  what: readonly string[],
): Promise<readonly (readonly [test: string, perSecond: number])[]> {
  const args = ['-p', String(port), '-c', String(clients), '-n', String(calls), '--csv', ...what];
  const { stdout } = await execute('redis-benchmark', args);
  return stdout.split('\n').flatMap((line) => {
    const [command = '', rps] = line.split(',').map((cell) => cell.replaceAll('"', ''));
    const test = Object.entries(tests).find(([name]) => name === command.split(' ')[0])?.[1];
    return test === undefined ? [] : [[test, Number(rps)] as const];
  });
}
