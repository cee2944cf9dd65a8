import { connect } from 'node:net';
import { createGridAdminClient } from '@oaas/commons/client';
import { createLogger, createMetrics } from '@oaas/commons/telemetry';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';
import { AdminAccess } from './access.ts';
import { Audit } from './audit.ts';
import { Collections } from './collections.ts';
import { DeadLetters } from './dead-letters.ts';
import { createAdminHttp } from './http.ts';
import { Tasks } from './tasks.ts';
import { VersionHolders } from './version-holders.ts';

let directory: TempDir;
let node: RunningNode;

beforeEach(async () => {
  directory = await tempDir();
  node = await startNode({ dataDir: directory.path, collections: [{ name: 'c', partitionCount: 2 }] });
});
afterEach(async () => {
  await node.stop();
  await directory.remove();
});

interface Task {
  readonly id: string;
  readonly state: string;
  readonly options: Readonly<Record<string, string>>;
}

async function ask<T>(method: 'GET' | 'POST', path: string): Promise<T> {
  return (await (await fetch(`${node.admin}/admin/${path}`, { method })).json()) as T;
}

/** A task that does not end: no check of it may begin. */
const paused = async (): Promise<string> =>
  (await ask<{ task_id: string }>('POST', 'collections/c/consistency-check?checks=0')).task_id;

describe('the throttle of a task', () => {
  it('is taken as it is shown, at the start and on the way', async () => {
    const id = await paused();
    const { options } = await ask<Task>('GET', `tasks/${id}`);
    expect(options).toMatchObject({ checks: '0', moves_per_node: '1' });
    const changed = new URLSearchParams({ ...options, moves_per_node: '3' });
    expect(await ask<Task>('POST', `tasks/${id}/throttle?${changed.toString()}`)).toMatchObject({
      options: { ...options, moves_per_node: '3' },
    });
    const again = new URLSearchParams({ ...options, moves_per_node: '5', kind: 'rebalance' });
    const { task_id: other } = await ask<{ task_id: string }>('POST', `tasks?${again.toString()}`);
    expect((await ask<Task>('GET', `tasks/${other}`)).options).toEqual({ ...options, moves_per_node: '5' });
  });

  it('cannot be given under both of its names', async () => {
    const id = await paused();
    const refused = await ask('POST', `tasks/${id}/throttle?movesPerNode=1&moves_per_node=2`);
    expect(refused).toMatchObject({ code: 'InvalidArgument' });
    expect(JSON.stringify(refused)).toContain('option movesPerNode is given twice');
  });

  it('is that of repair for a repair, but for what is named', async () => {
    const client = createGridAdminClient(node.channel);
    const { options } = await client.startTask({ kind: 'repair', options: { movesPerNode: '1' } });
    expect(options).toMatchObject({ movesPerNode: '1', movesPerCluster: '32', bytesPerSecond: '67108864' });
    const rebalance = await client.startTask({ kind: 'rebalance', options: { movesPerNode: '1' } });
    expect(rebalance.options).toMatchObject({ movesPerCluster: '8', bytesPerSecond: '33554432' });
  });
});

/** Another server of the admin API of the same node. */
function serverOf(tasks?: Tasks): ReturnType<typeof createAdminHttp> {
  const { node: grid } = node.program;
  return createAdminHttp({
    ...{ node: grid, metrics: createMetrics({ service: 'odgm' }), clock: systemClock },
    audit: new Audit({ record: () => Promise.resolve() }, systemClock),
    access: new AdminAccess({ token: undefined, clock: systemClock }),
    tasks: tasks ?? new Tasks({ node: grid, clock: systemClock, timers: systemTimers }),
    collections: new Collections({ node: grid, clock: systemClock, timers: systemTimers }),
    versions: new VersionHolders(grid, () => expect.fail('there is no other member')),
    deadLetters: new DeadLetters({
      ...{ node: grid, clock: systemClock, clientOf: () => expect.fail('there is no other member') },
    }),
    ops: () => Promise.resolve(false),
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
}

describe('the events of a task', () => {
  /** Reads what has come until it holds this text. */
  async function until(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
    let read = '';
    while (!read.includes(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`it ended after ${read}`);
      read += new TextDecoder().decode(value);
    }
    return read;
  }

  it('are sent whenever something of it changes, and end with it', async () => {
    const id = await paused();
    const response = await fetch(`${node.admin}/admin/tasks/${id}/events`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body!.getReader();
    expect(await until(reader, '\n\n')).toMatch(/^event: task\ndata: \{"id":"\d+".*"state":"running".*\}\n\n$/);
    await ask('POST', `tasks/${id}/throttle?checks=4`);
    await until(reader, '"state":"succeeded"');
    await eventually(async () => (await reader.read()).done);
    expect((await fetch(`${node.admin}/admin/tasks/99/events`)).status).toBe(404);
  });

  it('wait for a slow reader: what it does not read is not produced', async () => {
    let told = 0;
    class Busy extends Tasks {
      override async *watch(taskId: string, signal: AbortSignal): ReturnType<Tasks['watch']> {
        const task = { ...this.get(taskId), message: 'x'.repeat(100_000) };
        for (; !signal.aborted; told += 1) yield await Promise.resolve(task);
      }
    }
    const app = serverOf(new Busy({ node: node.program.node, clock: systemClock, timers: systemTimers }));
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    const id = await paused();
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    socket.pause();
    socket.write(`GET /admin/tasks/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    let before = 0;
    await eventually(
      () => {
        const isStill = told > 0 && told === before;
        before = told;
        return isStill;
      },
      { intervalMs: 200 },
    );
    // What the kernel takes for a connection of the same host is some megabytes.
    expect(told).toBeLessThan(500);
    socket.resume();
    await eventually(() => told > before + 50);
    socket.destroy();
    await app.close();
  });

  it('are found by a name as long as names may be', async () => {
    const name = 'n'.repeat(160);
    const response = await fetch(`${node.admin}/admin/tasks/${name}/events`);
    expect(await response.json()).toMatchObject({ code: 'NotFound', detail: expect.stringContaining(name) as unknown });
  });

  it('end when the server closes, which does not wait for the task', async () => {
    const app = serverOf();
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    const id = await paused();
    const reader = (await fetch(`${address}/admin/tasks/${id}/events`)).body!.getReader();
    await until(reader, '"state":"running"');
    await app.close();
    expect(await reader.read()).toMatchObject({ done: true });
    expect((await ask<Task>('GET', `tasks/${id}`)).state).toBe('running');
  });
});
