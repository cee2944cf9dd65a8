import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isPortFree } from '../sandbox/runner/host-ports.ts';
import { isAlive } from '../support/processes.ts';
import type { ReadyNode } from './grid.ts';

const program = fileURLToPath(new URL('start.mjs', import.meta.url));
/** It builds what is stale first. */
const startMs = 120_000;
const waitMs = { timeoutMs: 30_000 };
let directory: TempDir;
let child: ChildProcess | undefined;

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGINT');
    await once(child, 'exit');
  }
  child = undefined;
  await directory.remove();
});

const readyFile = (): string => join(directory.path, 'grid', 'ready.json');

/** What ready.json lists; nothing while it is not there. */
function ready(): readonly ReadyNode[] {
  if (!existsSync(readyFile())) return [];
  return (JSON.parse(readFileSync(readyFile(), 'utf8')) as { nodes: ReadyNode[] }).nodes;
}

/** Ports for `nodes` nodes, free a moment ago. */
async function portBase(nodes: number): Promise<number> {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await Promise.all(Array.from({ length: 2 * nodes }, (_, i) => isPortFree(base + i)));
    if (free.every(Boolean)) return base;
  }
}

async function start(nodes: number, ...flags: string[]): Promise<number> {
  const base = await portBase(nodes);
  const args = ['--dir', join(directory.path, 'grid'), '--nodes', String(nodes), '--port-base', String(base)];
  const started = spawn(process.execPath, [program, ...args, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] });
  child = started;
  await eventually(
    () => {
      if (started.exitCode !== null) throw new Error('the grid ended');
      return ready().length === nodes;
    },
    { timeoutMs: startMs },
  );
  return base;
}

describe('npm run grid', () => {
  it(
    'lists the nodes that are ready, starts one that died again, and leaves out one that does not answer',
    async () => {
      const base = await start(3, '--collection', 'name=c,type=raft,partitions=2,replicas=3');
      const nodes = ready();
      expect(nodes).toEqual(
        ['n1', 'n2', 'n3'].map((id, i) => ({
          ...{ id, pid: expect.any(Number) as number },
          grpc: `127.0.0.1:${String(base + 2 * i)}`,
          http: `http://127.0.0.1:${String(base + 2 * i + 1)}`,
        })),
      );
      const [first, second] = nodes as [ReadyNode, ReadyNode];
      process.kill(first.pid, 'SIGKILL');
      await eventually(() => !ready().some(({ pid }) => pid === first.pid), waitMs);
      const again = await eventually(() => ready().find(({ id }) => id === 'n1') ?? false, waitMs);
      expect(again.pid).not.toBe(first.pid);
      expect(again).toMatchObject({ grpc: first.grpc, http: first.http });
      process.kill(second.pid, 'SIGSTOP');
      try {
        await eventually(() => !ready().some(({ id }) => id === 'n2'), waitMs);
      } finally {
        process.kill(second.pid, 'SIGCONT');
      }
      await eventually(() => ready().some(({ pid }) => pid === second.pid), waitMs);
      const pids = ready().map(({ pid }) => pid);
      child?.kill('SIGINT');
      if (child !== undefined) expect(await once(child, 'exit')).toEqual([0, null]);
      expect(pids.filter(isAlive)).toEqual([]);
      expect(existsSync(readyFile())).toBe(false);
    },
    2 * startMs,
  );

  it(
    'leaves a node that died as it is when it is told to',
    async () => {
      await start(1, '--restart', 'never');
      const [only] = ready() as [ReadyNode];
      process.kill(only.pid, 'SIGKILL');
      await eventually(() => ready().length === 0, waitMs);
      // Longer than the longest delay before a first start.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      expect(ready()).toEqual([]);
      expect(child?.exitCode).toBeNull();
    },
    2 * startMs,
  );
});
