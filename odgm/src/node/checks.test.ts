import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestEngine } from '../../testkit/hosts.ts';
import { type RunningGrid, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';
import { applyMutation } from '../shard/apply.ts';
import { contentOf } from '../shard/content-scan.ts';
import { defaultLimits, type Mutation } from '../shard/model.ts';
import { decodeTotals, totalsKey } from '../shard/records.ts';
import { ShardTransaction } from '../shard/transaction.ts';

let directory: TempDir;
let grid: RunningGrid;
let collections: object[];
const restarted: RunningNode[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.all([grid.stop(), ...restarted.splice(0).map((node) => node.stop())]);
  await directory.remove();
});

const ids = ['n1', 'n2', 'n3'];
const raft = { name: 'c', shardType: 'raft', replicaCount: 3, partitionCount: 2 };

async function start(...given: object[]): Promise<RunningNode> {
  collections = given.length === 0 ? [raft] : given;
  grid = await startGrid({ dataDir: directory.path, ids, collections });
  return nodeOf('n1');
}

function nodeOf(id: string): RunningNode {
  return restarted.findLast((node) => node.id === id) ?? (grid.nodes.find((node) => node.id === id) as RunningNode);
}

/** Stops a node, does something to its directory, and starts it again where it was. */
async function restart(id: string, meanwhile: (dataDir: string) => Promise<void> = () => Promise.resolve()) {
  const before = nodeOf(id);
  await before.stop();
  const dataDir = join(directory.path, id);
  await meanwhile(dataDir);
  const grpcPort = Number(before.grpc.split(':')[1]);
  restarted.push(await startNode({ id, dataDir, grpcPort, collections, members: grid.members }));
}

interface Check {
  readonly partition: number;
  readonly status: string;
  readonly differing: string[];
  readonly reason: string;
  readonly replicas: { node: string; hash: string; index: number; minority: boolean; problem: string }[];
}
interface Task {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly message: string;
  readonly findings: { severity: string; code: string; message: string; evidence: string }[];
  readonly moves: { readonly move: { readonly what: string; readonly why: string }; readonly state: string }[];
  readonly checks: Check[];
}
interface Shard {
  readonly partition: number;
  readonly leader: string;
  readonly state: string;
  readonly replicas: { readonly node: string; readonly role: string; readonly state: string }[];
}

/** Again while the meta group has no leader. */
function call<T>(path: string, method = 'GET', node = nodeOf('n1')): Promise<T> {
  return eventually(
    async () => {
      const response = await fetch(node.admin + path, { method });
      const body = (await response.json()) as T;
      if (!response.ok) throw new Error(JSON.stringify(body));
      return body;
    },
    { timeoutMs: 10_000 },
  );
}

const isOpen = ({ state }: Task): boolean => state === 'running' || state === 'cancelling';

async function ended(id: string): Promise<Task> {
  return eventually(
    async () => {
      const task = await call<Task>(`/admin/tasks/${id}`);
      return !isOpen(task) && task;
    },
    { timeoutMs: 60_000 },
  );
}

async function checked(query = ''): Promise<Task> {
  const { task_id: id } = await call<{ task_id: string }>(`/admin/collections/c/consistency-check${query}`, 'POST');
  return ended(id);
}

/** Waits until the grid has repaired what it found by itself, once more than before. */
async function repaired(before = 0): Promise<Task> {
  return eventually(
    async () => {
      const { tasks } = await call<{ tasks: Task[] }>('/admin/tasks');
      const [last, ...others] = tasks.filter((task) => task.kind === 'repair' && !isOpen(task));
      return last !== undefined && others.length >= before && last;
    },
    { timeoutMs: 60_000 },
  );
}

async function shard(partition: number, name = 'c'): Promise<Shard> {
  const { shard_distribution: shards } = await call<{ shard_distribution: Shard[] }>(`/admin/collections/${name}`);
  return shards.find((one) => one.partition === partition) as Shard;
}

const at = (i: number) => ({ clsId: 'c', partitionId: i % 2, objectId: `o${String(i)}`, key: 'k' });
const textOf = (i: number): string => `value-of-${String(i)}-`.repeat(20);

async function fill(count = 40): Promise<void> {
  for (let i = 0; i < count; i++) {
    await nodeOf('n1').data.setValue({ ...at(i), value: { data: Buffer.from(textOf(i)) } });
  }
}

/** Flips a bit wherever a file has this text; gives how often that was. */
async function damage(path: string, text: string): Promise<number> {
  const bytes = await readFile(path);
  const file = await open(path, 'r+');
  let count = 0;
  for (let from = bytes.indexOf(text); from >= 0; from = bytes.indexOf(text, from + 1)) {
    await file.write(Buffer.of((bytes[from + 3] ?? 0) ^ 1), 0, 1, from + 3);
    count += 1;
  }
  await file.close();
  return count;
}

/** Once it has been brought into the base. */
async function damageBase(id: string, i: number): Promise<void> {
  const path = join(directory.path, id, 'base', 'data.mdb');
  await eventually(async () => (await damage(path, textOf(i))) > 0, { timeoutMs: 10_000 });
}

/** Applies a mutation to one replica alone, as a fault of the program could. The first generation of shard 1 or 2. */
async function diverge(dataDir: string, partition: number, objectId: string, text: string): Promise<void> {
  const engine = await openTestEngine(dataDir);
  const location = { shard: 1 + partition, generation: 1 };
  const { counters, content } = decodeTotals(engine.get(totalsKey(location)));
  const transaction = new ShardTransaction(engine, location, {
    counters,
    content: content ?? contentOf(engine, location),
  });
  const put = new Map([['k', { data: Buffer.from(text), type: 'bytes' as const }]]);
  const mutation: Mutation = { type: 'change', objectId, put, remove: [], replace: true };
  applyMutation(transaction, mutation, defaultLimits);
  await engine.write(transaction.operations());
  await engine.close();
}

const longTest = 120_000;

describe('a consistency check', () => {
  it('finds replicas of one content alike, fast and deep, while writes go on', async () => {
    const { data } = await start();
    await fill();
    const over = new AbortController();
    const writing = (async () => {
      for (let i = 0; !over.signal.aborted; i++) {
        await data.setValue({ ...at(i % 9), value: { data: Buffer.from(String(i)) } });
      }
    })();
    for (const query of ['', '?mode=deep']) {
      const task = await checked(query);
      expect(task).toMatchObject({ state: 'succeeded', message: '2 of 2 done: 2 consistent', findings: [] });
      for (const check of task.checks) {
        expect(check.replicas.map(({ node }) => node).sort()).toEqual(ids);
        expect(new Set(check.replicas.map(({ hash }) => hash)).size).toBe(1);
        expect(check.replicas[0]?.hash).toMatch(/^[0-9a-f]{16}$/);
      }
    }
    over.abort();
    await writing;
    const { checks } = await call<{ checks: Check[] }>('/admin/checks');
    expect(checks.map(({ partition, status }) => [partition, status])).toEqual([
      [0, 'consistent'],
      [1, 'consistent'],
    ]);
  });

  it('of a shard with a replica that does not answer is indeterminate, which is no success', async () => {
    await start();
    await fill(4);
    await nodeOf('n3').stop();
    const task = await checked();
    expect(task).toMatchObject({ state: 'failed', message: '2 of 2 done: 2 indeterminate' });
    expect(task.findings[0]).toMatchObject({ severity: 'warning', code: 'check.indeterminate' });
    expect(task.findings[0]?.evidence).toContain('n3: no answer');
  });

  it('can be cancelled, and then leaves no outcome', async () => {
    await start();
    await fill(200);
    const path = '/admin/collections/c/consistency-check?mode=deep&checkBytesPerSecond=65536';
    const { task_id: id } = await call<{ task_id: string }>(path, 'POST');
    await call(`/admin/tasks/${id}/cancel`, 'POST');
    expect(await ended(id)).toMatchObject({ state: 'cancelled', checks: [] });
  });
});

describe('a replica that is not what it should be', () => {
  it(
    'because a stored value was damaged is found by a deep check, named, made anew and found good',
    async () => {
      await start();
      await fill();
      await damageBase('n2', 8);
      const task = await checked('?mode=deep');
      expect(task.state).toBe('failed');
      expect(task.findings).toMatchObject([{ severity: 'error', code: 'check.inconsistent' }]);
      const [bad] = task.checks.filter(({ status }) => status === 'inconsistent');
      expect(bad).toMatchObject({ partition: 0, differing: ['o8'] });
      expect(bad?.replicas.filter(({ minority }) => minority)).toMatchObject([
        { node: 'n2', problem: '1 stored values cannot be read (o8)' },
      ]);
      expect(await repaired()).toMatchObject({ state: 'succeeded', message: '2 of 2 done: 1 consistent' });
      expect((await shard(0)).replicas.map(({ node, state }) => [node, state]).sort()).toEqual(
        ids.map((id) => [id, 'ready']),
      );
      expect((await checked('?mode=deep')).message).toContain('2 consistent');
    },
    longTest,
  );

  it(
    'because a stored value was damaged is found by a read, which is answered by another replica',
    async () => {
      await start();
      await fill();
      const { leader } = await shard(0);
      await damageBase(leader, 8);
      // On a busy machine another one may lead by now: a local read is of this replica in any case.
      const local = { metadata: { 'x-oaas-consistency': 'local' } };
      for (const options of [undefined, local]) {
        const { value } = await nodeOf(leader).data.getValue(at(8), options);
        expect(value?.data.toString()).toBe(textOf(8));
      }
      expect(await repaired()).toMatchObject({ state: 'succeeded' });
      expect((await checked('?mode=deep')).message).toContain('2 consistent');
    },
    longTest,
  );

  it(
    'because the program went wrong is found by a fast check, with the names of what differs',
    async () => {
      await start();
      await fill();
      await restart('n2', async (dataDir) => {
        await diverge(dataDir, 0, 'o8', 'something else');
        await diverge(dataDir, 0, 'o99', 'one too many');
      });
      await eventually(async () => (await shard(0)).state === 'ready', { timeoutMs: 10_000 });
      const task = await checked();
      const [bad] = task.checks.filter(({ status }) => status === 'inconsistent');
      expect(bad).toMatchObject({ partition: 0, differing: ['o8', 'o99'] });
      expect(bad?.replicas.filter(({ minority }) => minority).map(({ node }) => node)).toEqual(['n2']);
      expect(bad?.reason).toContain('2 different contents');
      expect(await repaired()).toMatchObject({ state: 'succeeded' });
      expect((await checked('?mode=deep')).message).toContain('2 consistent');
    },
    longTest,
  );

  it(
    'because its content went with the process is made anew by itself',
    async () => {
      await start({ ...raft, durability: 'ephemeral' }, { name: 'p' });
      await fill();
      await restart('n2');
      expect(await repaired()).toMatchObject({ state: 'succeeded' });
      const local = { metadata: { 'x-oaas-consistency': 'local' } };
      await eventually(async () => {
        const { value } = await nodeOf('n2').data.getValue(at(7), local);
        expect(value?.data.toString()).toBe(textOf(7));
      });
      expect((await checked()).message).toContain('2 consistent');
    },
    longTest,
  );
});

describe.each(['basic', 'mst'])('a damaged replica of a shard of type %s', (shardType) => {
  const merging = { name: 'c', shardType, replicaCount: 3, partitionCount: 2 };

  it(
    'is found by a deep check, named, made anew from the others and found good',
    async () => {
      await start(merging);
      await fill();
      await eventually(async () => (await checked()).message.includes('2 converged'), { timeoutMs: 10_000 });
      await damageBase('n2', 8);
      const task = await checked('?mode=deep');
      expect(task.state).toBe('failed');
      expect(task.findings).toMatchObject([{ severity: 'error', code: 'check.inconsistent' }]);
      const [bad] = task.checks.filter(({ status }) => status === 'inconsistent');
      expect(bad).toMatchObject({
        partition: 0,
        differing: ['o8'],
        reason: expect.stringMatching(/^damaged on member \d$/) as string,
      });
      expect(bad?.replicas.filter(({ minority }) => minority)).toMatchObject([
        { node: 'n2', problem: '1 stored values cannot be read (o8)' },
      ]);
      expect(await repaired()).toMatchObject({ state: 'succeeded', message: '2 of 2 done: 1 converged' });
      expect((await shard(0)).replicas.map(({ node, state }) => [node, state]).sort()).toEqual(
        ids.map((id) => [id, 'ready']),
      );
      expect((await checked('?mode=deep')).message).toContain('2 converged');
      const own = { metadata: { 'x-oaas-hop': '1' } };
      expect((await nodeOf('n2').data.getValue(at(8), own)).value?.data.toString()).toBe(textOf(8));
    },
    longTest,
  );
});

describe('a shard in memory', () => {
  it(
    'begins anew, empty, when a majority of its replicas has gone with their processes',
    async () => {
      await start({ ...raft, durability: 'ephemeral' }, { name: 'p' });
      await fill(10);
      await Promise.all([restart('n2'), restart('n3')]);
      const { data } = nodeOf('n1');
      await eventually(
        async () => {
          expect((await data.getValue(at(8))).value).toBeUndefined();
          await data.setValue({ ...at(8), value: { data: Buffer.from('new') } });
        },
        { timeoutMs: 30_000 },
      );
      await eventually(async () => (await checked()).message.includes('2 consistent'), { timeoutMs: 30_000 });
    },
    longTest,
  );
});

describe('a shard of two replicas', () => {
  it(
    'has the damaged one made anew from the other, although both must vote for that',
    async () => {
      await start({ ...raft, replicaCount: 2 });
      await fill();
      const { replicas, leader } = await shard(0);
      const follower = replicas.find(({ node }) => node !== leader)?.node ?? '';
      for (const [round, id] of [follower, leader].entries()) {
        await damageBase(id, 8);
        const task = await checked('?mode=deep');
        expect(task.findings).toMatchObject([{ code: 'check.inconsistent' }]);
        expect(await repaired(round)).toMatchObject({ state: 'succeeded' });
        expect((await checked('?mode=deep')).message).toContain('2 consistent');
      }
    },
    longTest,
  );
});

describe('a shard of which nobody knows the right content', () => {
  it(
    'takes no writes, others do, until somebody has said which replicas are wrong',
    async () => {
      await start();
      await fill();
      await restart('n2', (dataDir) => diverge(dataDir, 0, 'o8', 'second'));
      await restart('n3', (dataDir) => diverge(dataDir, 0, 'o8', 'third'));
      await eventually(async () => (await shard(0)).state === 'ready', { timeoutMs: 20_000 });
      const task = await checked();
      expect(task.findings).toMatchObject([
        { code: 'check.inconsistent', message: expect.stringContaining('none with a majority') as string },
      ]);
      const { data } = nodeOf('n1');
      const write = (i: number) => data.setValue({ ...at(i), value: { data: Buffer.from('new') } });
      await eventually(async () => {
        await expect(write(8)).rejects.toMatchObject({ code: 'FailedPrecondition', details: { reason: 'frozen' } });
      });
      expect((await data.getValue(at(8))).value).toBeDefined();
      await write(9);
      // Whoever leads by then is right.
      const { leader } = await shard(0);
      const [other] = ids.filter((id) => id !== leader);
      const path = `/admin/members/${String(other)}/repair?collection=c&partition=0`;
      const { task_id: id } = await call<{ task_id: string }>(path, 'POST');
      expect((await ended(id)).checks).toMatchObject([{ status: 'inconsistent' }]);
      expect(await repaired(1)).toMatchObject({ state: 'succeeded' });
      await eventually(() => write(8));
      expect((await checked('?mode=deep')).message).toContain('2 consistent');
    },
    longTest,
  );

  it(
    'because its only replica is damaged serves what can be read, and takes no writes',
    async () => {
      await start({ ...raft, shardType: 'basic', replicaCount: 1 });
      await fill();
      const { leader } = await shard(0);
      await damageBase(leader, 8);
      const { data } = nodeOf('n1');
      // Not before the engine has let go of what it wrote to the file.
      await eventually(() => expect(data.getValue(at(8))).rejects.toMatchObject({ code: 'StorageCorrupt' }));
      expect((await data.getValue(at(10))).value?.data.toString()).toBe(textOf(10));
      await eventually(async () => {
        await expect(data.setValue({ ...at(10), value: { data: Buffer.from('x') } })).rejects.toMatchObject({
          code: 'FailedPrecondition',
        });
      });
      await data.setValue({ ...at(11), value: { data: Buffer.from('x') } });
    },
    longTest,
  );
});
