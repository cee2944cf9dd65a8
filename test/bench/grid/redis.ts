import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../edge/report.ts';
import type { GridPlan } from './grid.ts';
import { end, pause } from './servers.ts';
import type { Figure } from './throughput.ts';

const execute = promisify(execFile);

/** Clients of which each has one call under way: what redis-benchmark offers. */
const shapes = [1, 64, 256] as const;
/** When a change is on disk: before it is answered, or within a second. */
const policies = ['always', 'everysec'] as const;

/** One redis with its append-only file, measured by its own tool: for orientation, since it does not replicate. */
export async function redis(plan: GridPlan): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const policy of policies) {
    const server = await startRedis(join(plan.dir, `redis-${policy}`), plan.portBase + 60, policy);
    try {
      for (const clients of shapes) {
        const rates = new Map<string, number[]>();
        for (let run = 0; run < plan.runs; run++) {
          for (const [test, perSecond] of await load(plan.portBase + 60, clients, clients === 1 ? 2000 : 40_000)) {
            rates.set(test, [...(rates.get(test) ?? []), perSecond]);
          }
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
async function load(port: number, clients: number, calls: number): Promise<Map<string, number>> {
  const args = ['-p', String(port), '-c', String(clients), '-n', String(calls), '-d', '1024', '-t', 'set,get', '--csv'];
  const { stdout } = await execute('redis-benchmark', args);
  const rows = stdout.split('\n').map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')));
  return new Map(
    rows.filter(([test]) => test === 'SET' || test === 'GET').map(([test = '', rps]) => [test, Number(rps)]),
  );
}
