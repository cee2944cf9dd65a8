import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createDataClient, type DataClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NodeProcess, spawnNode, untilReady } from '../testkit/index.ts';

/** Real processes, real files, real signals. */
let directory: TempDir;
const processes: NodeProcess[] = [];
const channels: Channel[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  for (const channel of channels.splice(0)) channel.close();
  for (const { child } of processes) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(processes.splice(0).map(({ ended }) => ended));
  await directory.remove();
});

const collections = [{ name: 'c', partitionCount: 2 }];

async function spawned(options: Partial<Parameters<typeof spawnNode>[0]> = {}): Promise<NodeProcess> {
  const node = await spawnNode({ dataDir: directory.path, collections, ...options });
  processes.push(node);
  return node;
}
async function started(options: Partial<Parameters<typeof spawnNode>[0]> = {}): Promise<NodeProcess> {
  const node = await spawned(options);
  await untilReady(node);
  return node;
}
function clientOf({ grpc }: NodeProcess): DataClient {
  const channel = createGrpcChannel(grpc);
  channels.push(channel);
  return createDataClient(channel);
}

/** Writes without end until the node is gone; gives the last number of each writer that was acknowledged. */
async function writeUntilGone(client: DataClient, acknowledged: Map<string, number>): Promise<void> {
  await Promise.all(
    Array.from({ length: 16 }, async (_, writer) => {
      const objectId = `w${String(writer)}`;
      for (let n = 1; ; n++) {
        const values = { a: { data: Buffer.from(String(n)) }, b: { data: Buffer.from(String(n)) } };
        try {
          await client.batchSetValues({ clsId: 'c', partitionId: writer % 2, objectId, values });
        } catch {
          return;
        }
        acknowledged.set(objectId, n);
      }
    }),
  );
}

describe('kill -9 in the middle of writes', () => {
  it('loses no acknowledged write and leaves none half applied, time after time', async () => {
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 2; round++) {
      const node = await started();
      acknowledged.clear();
      const writing = writeUntilGone(clientOf(node), acknowledged);
      while (acknowledged.size < 16 || [...acknowledged.values()].some((n) => n < 20)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      node.child.kill('SIGKILL');
      await writing;
      expect(await node.ended).toBe('SIGKILL');

      const again = await started();
      const client = clientOf(again);
      for (const [objectId, last] of acknowledged) {
        const partitionId = Number(objectId.slice(1)) % 2;
        const { obj } = await client.get({ clsId: 'c', partitionId, objectId });
        const [a, b] = ['a', 'b'].map((key) => Number(obj?.entries[key]?.data.toString()));
        expect(a).toBe(b);
        // The write that was under way may have been applied or not; the acknowledged one must be there.
        expect(a === last || a === last + 1).toBe(true);
      }
      const { shards } = await client.stats({});
      expect(shards.map(({ count }) => count)).toEqual([8, 8]);
      again.child.kill('SIGTERM');
      expect(await again.ended).toBe(0);
    }
  });
});

describe('SIGTERM', () => {
  it('ends with exit code 0 after what was under way is answered and on disk', async () => {
    const node = await started();
    const client = clientOf(node);
    await client.set({ clsId: 'c', objectId: 'warm', object: {} });
    const large = Buffer.alloc(1024 * 1024, 1);
    const writes = Array.from({ length: 8 }, (_, i) =>
      client.setValue({ clsId: 'c', objectId: `o${String(i)}`, key: 'k', value: { data: large } }),
    );
    const outcomes = Promise.allSettled(writes);
    await writes[0];
    node.child.kill('SIGTERM');
    const answered = (await outcomes).map(({ status }) => status === 'fulfilled');
    expect(await node.ended).toBe(0);
    const again = clientOf(await started());
    for (const [i, isAnswered] of answered.entries()) {
      if (!isAnswered) continue;
      const { value } = await again.getValue({ clsId: 'c', objectId: `o${String(i)}`, key: 'k' });
      expect(value?.data.length).toBe(large.length);
    }
  });
});

describe('the data directory', () => {
  it('is refused to a second process, which names the first', async () => {
    const first = await started();
    const second = await spawned();
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain('StorageLocked');
    expect(second.output()).toContain(`ODGM node n1 (pid ${String(first.child.pid)})`);
    await clientOf(first).set({ clsId: 'c', objectId: 'a', object: {} });
  });

  it('is free again after its owner was killed', async () => {
    const first = await started();
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await started();
    expect(second.child.exitCode).toBeNull();
  });
});

/** A small file system of its own, where this user may mount one. */
function mountSmall(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a full disk', () => {
  it('refuses writes with StorageFull, applies none of them by half, and serves on when there is space', async (context) => {
    const path = join(directory.path, 'small');
    await mkdir(path);
    if (!mountSmall(path)) {
      context.skip('mounting a tmpfs needs the right to do so');
      return;
    }
    try {
      const node = await started({ dataDir: path });
      const client = clientOf(node);
      const value = { data: Buffer.alloc(16 * 1024, 1) };
      const write = (n: number) =>
        client.batchSetValues(
          { clsId: 'c', objectId: `o${String(n)}`, values: { a: value, b: value } },
          { deadlineMs: 3000 },
        );
      let written = 0;
      let late: unknown;
      while (late === undefined && written < 500) {
        await write(written).then(
          () => (written += 1),
          (error: unknown) => (late = error),
        );
      }
      // The one that met the end of the space waits for more of it: nobody can say yet that it did not happen.
      expect(late).toMatchObject({ code: expect.stringMatching(/StorageFull|DeadlineExceeded/) as string });
      expect(written).toBeGreaterThan(10);
      await expect(write(written + 1)).rejects.toMatchObject({ code: 'StorageFull' });
      expect((await client.stats({})).shards[0]?.count).toBe(written);
      expect((await client.get({ clsId: 'c', objectId: 'o0' })).obj?.entries['b']?.data.length).toBe(value.data.length);
      execFileSync('mount', ['-o', 'remount,size=16m', path]);
      await eventually(() => write(written + 1).then(() => true));
      const refused = await client.getValue({ clsId: 'c', objectId: `o${String(written)}`, key: 'a' });
      expect((await client.stats({})).shards[0]?.count).toBe(written + (refused.value === undefined ? 1 : 2));
      node.child.kill('SIGTERM');
      expect(await node.ended).toBe(0);
    } finally {
      execFileSync('umount', ['-l', path]);
    }
  });
});
