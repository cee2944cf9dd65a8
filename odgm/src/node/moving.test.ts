import { createDataClient, type DataClient } from '@oaas/commons/client';
import { toOaasError } from '@oaas/commons/errors';
import type { Channel } from '@oaas/commons/grpc';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningGrid, startGrid } from '../../testkit/index.ts';

/** Replicas move between real nodes while clients go on, which send each call once: what they see is what is counted. */
const ids = ['n1', 'n2', 'n3', 'n4'];
const partitions = 4;
const kept = 200;
const callers = 8;
const taskMs = 60_000;

let directory: TempDir;
let grid: RunningGrid;
let channels: Channel[];
let clients: DataClient[];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  for (const channel of channels) channel.close();
  await grid.stop();
  await directory.remove();
});

async function start(shardType: string): Promise<void> {
  const collections = [{ name: 'c', shardType, partitionCount: partitions, replicaCount: 3 }];
  grid = await startGrid({ dataDir: directory.path, ids, collections });
  const parts = { clock: systemClock, timers: systemTimers, random: systemRandom };
  channels = grid.nodes.map(({ grpc }) => createEdgeChannel(grpc, parts));
  clients = channels.map((channel) => createDataClient(channel));
}

/** The number in an object's name says where it is. */
const at = (objectId: string) => ({ clsId: 'c', partitionId: Number(objectId.slice(1)) % partitions, objectId });
const contentOf = (objectId: string): Buffer => Buffer.alloc(4096, objectId);
const entriesOf = (objectId: string) => ({ entries: { k: { data: contentOf(objectId) } } });

const set = (client: DataClient, objectId: string) => client.set({ ...at(objectId), object: entriesOf(objectId) });

/** Waits until the client is told all of them. */
async function allHeld(client: DataClient, objectIds: readonly string[]): Promise<void> {
  const left = [...objectIds];
  const reader = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const objectId = next;
      await eventually(() => holds(client, objectId));
    }
  };
  await Promise.all(Array.from({ length: callers }, reader));
}

async function ask<T>(path: string, method = 'GET'): Promise<T> {
  const response = await fetch(grid.nodes[0]!.admin + path, { method });
  const body = (await response.json()) as T;
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(body)}`);
  return body;
}

/** Resolves when the task has ended. */
async function runTask(path: string): Promise<{ readonly state: string; readonly shards_total: number }> {
  const { task_id: id } = await ask<{ task_id: string }>(path, 'POST');
  const look = () => ask<Awaited<ReturnType<typeof runTask>>>(`/admin/tasks/${id}`);
  return eventually(
    async () => {
      const task = await look();
      return task.state !== 'running' && task;
    },
    { timeoutMs: taskMs },
  );
}

interface Shard {
  readonly leader: string;
  readonly replicas: readonly { readonly node: string }[];
}

async function shards(): Promise<readonly Shard[]> {
  return (await ask<{ shards: Shard[] }>('/admin/shards/distribution')).shards;
}

async function replicasOn(id: string): Promise<number> {
  return (await shards()).flatMap(({ replicas }) => replicas).filter(({ node }) => node === id).length;
}

async function holds(client: DataClient, objectId: string): Promise<boolean> {
  const { obj } = await client.get(at(objectId));
  return obj?.entries['k']?.data.equals(contentOf(objectId)) === true;
}

/** Calls through all nodes in turn. Each counts as its caller sees it. */
class Load {
  readonly failures: string[] = [];
  readonly written: string[] = [];
  readonly #readable: () => readonly string[];
  readonly #loops: Promise<void>[];
  #isStopped = false;

  /** @param seesAll A read sees all that was written before: otherwise those of `before` only are read. */
  constructor(before: readonly string[], seesAll: boolean) {
    this.#readable = () => (seesAll && this.written.length > 0 ? this.written : before);
    this.#loops = Array.from({ length: callers }, (_, caller) => this.#loop(caller, before));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(caller: number, before: readonly string[]): Promise<void> {
    for (let n = caller; !this.#isStopped; n += callers) {
      const through = (i: number): number => (n + Math.floor(n / callers) + i) % ids.length;
      const objectId = `w${String(n)}`;
      await this.#call(`set of ${objectId}`, through(0), async (client) => {
        await set(client, objectId);
        this.written.push(objectId);
        return true;
      });
      const wanted = this.#readable().at(systemRandom.next() * this.#readable().length) ?? objectId;
      await this.#call(`get of ${wanted}`, through(1), (client) => holds(client, wanted));
      if (n % 8 === 0) await this.#call(`list of ${String(n % partitions)}`, through(2), lists(before, n % partitions));
      // The nodes are in this process too.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async #call(what: string, through: number, call: (client: DataClient) => Promise<boolean>): Promise<void> {
    const problem = await call(clients[through]!).then(
      (isRight) => (isRight ? undefined : 'not what was written'),
      (error: unknown) => toOaasError(error).code + ': ' + toOaasError(error).message,
    );
    if (problem !== undefined) this.failures.push(`${what} through ${ids[through]!}: ${problem}`);
  }
}

/** A list of the partition has all of these that belong there. */
function lists(names: readonly string[], partitionId: number): (client: DataClient) => Promise<boolean> {
  return async (client) => {
    const found = new Set<string>();
    for await (const { objectId } of client.listObjects({ clsId: 'c', partitionId })) found.add(objectId);
    return names.every((name) => at(name).partitionId !== partitionId || found.has(name));
  };
}

describe('replicas that move under load', () => {
  it.each(['raft', 'basic', 'mst'])(
    'fail no call when a node is drained and the grid is balanced again, and lose nothing: %s',
    { timeout: 3 * taskMs },
    async (shardType) => {
      await start(shardType);
      const before = Array.from({ length: kept }, (_, n) => `k${String(n)}`);
      for (const objectId of before) await eventually(() => set(clients[0]!, objectId).then(() => true));
      for (const client of clients) await allHeld(client, before);

      // Replicas that merge have what another one took a while later.
      const load = new Load(before, shardType === 'raft');
      await eventually(() => load.written.length > 100);
      const [first] = await shards();
      const leaving = shardType === 'raft' ? first!.leader : first!.replicas[0]!.node;
      const held = await replicasOn(leaving);
      const drain = await runTask(`/admin/members/${leaving}/drain`);
      expect(drain).toMatchObject({ state: 'succeeded', shards_total: held });
      expect(await replicasOn(leaving)).toBe(0);
      await ask(`/admin/members/${leaving}/recommission`, 'POST');
      expect(await runTask('/admin/rebalance')).toMatchObject({ state: 'succeeded' });
      expect(await replicasOn(leaving)).toBeGreaterThan(0);
      const moved = load.written.length;
      await eventually(() => load.written.length > moved + 100);
      await load.stop();
      expect(load.failures).toEqual([]);
      for (const client of clients) await allHeld(client, [...before, ...load.written]);
    },
  );
});
