import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createDataClient, type DataClient } from '@oaas/commons/client';
import { createGrpcChannel } from '@oaas/commons/grpc';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, type NodeProcess, spawnNode, untilReady } from '../testkit/index.ts';

/**
 * Three processes, one grid, and a hand that flips bytes in their files. The scenarios follow one another on the same
 * grid: each begins with all replicas consistent and ends so.
 */
const ids = ['n1', 'n2', 'n3'] as const;
type Id = (typeof ids)[number];

const collections = [{ name: 'c', shardType: 'raft', replicaCount: 3, partitionCount: 2 }];
const local = { metadata: { 'x-oaas-consistency': 'local' } };

let directory: TempDir;
let ports: number[];
const processes = new Map<Id, NodeProcess>();
const channels: { close(): void }[] = [];

beforeAll(async () => {
  directory = await tempDir();
  ports = await freePorts(6);
  await Promise.all(ids.map((id) => start(id)));
  await Promise.all(ids.map((id) => untilReady(nodeOf(id))));
  for (let i = 0; i < 40; i++) await write(i);
}, 120_000);
afterAll(async () => {
  for (const channel of channels) channel.close();
  for (const { child } of processes.values()) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all([...processes.values()].map(({ ended }) => ended));
  await directory.remove();
});

const dataDir = (id: Id): string => join(directory.path, id);
const nodeOf = (id: Id): NodeProcess => processes.get(id) as NodeProcess;

async function start(id: Id): Promise<NodeProcess> {
  const at = ids.indexOf(id);
  const node = await spawnNode({
    ...{ id, collections, dataDir: dataDir(id) },
    members: ids.map((one, i) => `${one}=127.0.0.1:${String(ports[i])}`),
    ports: [ports[at] ?? 0, ports[at + 3] ?? 0],
  });
  processes.set(id, node);
  return node;
}

async function stop(id: Id, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  nodeOf(id).child.kill(signal);
  await nodeOf(id).ended;
}

const clients = new Map<Id, DataClient>();
function clientOf(id: Id): DataClient {
  let client = clients.get(id);
  if (client === undefined) {
    const channel = createGrpcChannel(nodeOf(id).grpc);
    channels.push(channel);
    clients.set(id, (client = createDataClient(channel)));
  }
  return client;
}

const at = (i: number) => ({ clsId: 'c', partitionId: i % 2, objectId: `o${String(i)}`, key: 'k' });
const textOf = (i: number): string => `content-number-${String(i)}-`.repeat(20);
const write = (i: number) => clientOf('n1').setValue({ ...at(i), value: { data: Buffer.from(textOf(i)) } });

async function read(id: Id, i: number, options: object = {}): Promise<string | undefined> {
  return (await clientOf(id).getValue(at(i), options)).value?.data.toString();
}

/** Flips a bit wherever one of the files has this text; gives how often that was. */
async function flip(paths: readonly string[], text: string): Promise<number> {
  let count = 0;
  for (const path of paths) {
    const bytes = await readFile(path);
    const file = await open(path, 'r+');
    for (let from = bytes.indexOf(text); from >= 0; from = bytes.indexOf(text, from + text.length)) {
      await file.write(Buffer.of((bytes[from + 3] ?? 0) ^ 1), 0, 1, from + 3);
      count += 1;
    }
    await file.close();
  }
  return count;
}

/** Once it has been brought into the base. */
async function flipBase(id: Id, i: number): Promise<void> {
  await eventually(async () => (await flip([join(dataDir(id), 'base', 'data.mdb')], textOf(i))) > 0, {
    timeoutMs: 10_000,
  });
}

async function flipJournal(id: Id, i: number): Promise<void> {
  const names = await readdir(join(dataDir(id), 'journal'));
  const paths = names.filter((name) => name.endsWith('.journal')).map((name) => join(dataDir(id), 'journal', name));
  expect(await flip(paths, textOf(i))).toBeGreaterThan(0);
}

interface Check {
  readonly partition: number;
  readonly status: string;
  readonly differing: string[];
  readonly replicas: { readonly node: string; readonly minority: boolean; readonly problem: string }[];
}
interface Task {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly message: string;
  readonly findings: { readonly code: string; readonly evidence: string }[];
  readonly checks: Check[];
}
interface Shard {
  readonly partition: number;
  readonly leader: string;
  readonly state: string;
  readonly replicas: { readonly node: string; readonly role: string; readonly state: string }[];
}

/** Of a node that is up, and again while the meta group has no leader. */
function call<T>(path: string, method = 'GET'): Promise<T> {
  return eventually(
    async () => {
      const up = ids.find((id) => nodeOf(id).child.exitCode === null) ?? 'n1';
      const response = await fetch(nodeOf(up).admin + path, { method });
      const body = (await response.json()) as T;
      if (!response.ok) throw new Error(JSON.stringify(body));
      return body;
    },
    { timeoutMs: 20_000 },
  );
}

async function checked(): Promise<Task> {
  const path = '/admin/collections/c/consistency-check?mode=deep';
  const { task_id: id } = await call<{ task_id: string }>(path, 'POST');
  return eventually(
    async () => {
      const task = await call<Task>(`/admin/tasks/${id}`);
      return task.state !== 'running' && task;
    },
    { timeoutMs: 60_000 },
  );
}

const shards = async (): Promise<Shard[]> => (await call<{ shards: Shard[] }>('/admin/shards/distribution')).shards;

/** Waits until the grid has repaired itself: all replicas serve, and a deep check finds them alike. */
async function repaired(): Promise<void> {
  await eventually(
    async () => {
      const { tasks } = await call<{ tasks: Task[] }>('/admin/tasks');
      expect(tasks.filter(({ state }) => state === 'running')).toEqual([]);
      for (const { replicas } of await shards()) {
        expect(replicas.map(({ node, state }) => `${node} ${state}`).sort()).toEqual(ids.map((id) => `${id} ready`));
      }
      const task = await checked();
      expect(task).toMatchObject({ state: 'succeeded', message: '2 of 2 done: 2 consistent' });
    },
    { timeoutMs: 90_000, intervalMs: 500 },
  );
  for (let i = 0; i < 40; i++) expect(await read('n1', i)).toBe(textOf(i));
}

const longTest = 180_000;

describe('a byte flipped in the base of a node', () => {
  it(
    'that runs is found by a deep check and named, and the replica is rebuilt',
    async () => {
      await flipBase('n2', 8);
      const task = await checked();
      const [bad] = task.checks.filter(({ status }) => status === 'inconsistent');
      expect(bad).toMatchObject({ partition: 0, differing: ['o8'] });
      expect(bad?.replicas.filter(({ minority }) => minority)).toMatchObject([
        { node: 'n2', problem: '1 stored values cannot be read (o8)' },
      ]);
      expect(task.findings[0]?.evidence).toContain('objects: o8');
      await repaired();
      expect(await read('n2', 8, local)).toBe(textOf(8));
    },
    longTest,
  );

  it(
    'that runs is found by a normal read, which is answered all the same, and the replica is rebuilt',
    async () => {
      const { leader } = (await shards()).find(({ partition }) => partition === 1) as Shard;
      await flipBase(leader as Id, 9);
      expect(await read(leader as Id, 9)).toBe(textOf(9));
      expect(nodeOf(leader as Id).output()).toContain('a replica of this node is not to be trusted');
      await repaired();
    },
    longTest,
  );

  it(
    'that is stopped is found after its start',
    async () => {
      await stop('n3');
      await flipBase('n3', 10);
      await start('n3');
      await untilReady(nodeOf('n3'));
      const task = await eventually(
        async () => {
          const done = await checked();
          return done.findings.some(({ code }) => code === 'check.inconsistent') && done;
        },
        { timeoutMs: 60_000 },
      );
      expect(task.checks.find(({ status }) => status === 'inconsistent')).toMatchObject({ differing: ['o10'] });
      await repaired();
    },
    longTest,
  );
});

describe('a byte flipped in the journal of a node', () => {
  it(
    'that runs is found by a deep check with file and place, the replica is rebuilt, and the file is gone before it could stop a start',
    async () => {
      for (let i = 0; i < 40; i++) await write(i);
      await write(12);
      await flipJournal('n2', 11);
      const task = await checked();
      const problems = task.checks.flatMap(({ replicas }) => replicas).filter(({ problem }) => problem !== '');
      expect(problems.map(({ node }) => node)).toEqual(['n2']);
      expect(problems[0]?.problem).toMatch(/the log is damaged in .*\.journal at byte \d+/);
      await repaired();
      await eventually(async () => {
        await stop('n2');
        await start('n2');
        await untilReady(nodeOf('n2'));
        return true;
      });
      await repaired();
    },
    longTest,
  );

  it(
    'that is stopped keeps it from starting, which says where; with an empty directory it is filled from the others',
    async () => {
      for (let i = 0; i < 40; i++) await write(i);
      await stop('n3', 'SIGKILL');
      await flipJournal('n3', 11);
      const refused = await start('n3');
      expect(await refused.ended).not.toBe(0);
      expect(refused.output()).toMatch(/StorageCorrupt/);
      expect(refused.output()).toMatch(/\.journal cannot be used at byte \d+/);
      await rename(dataDir('n3'), `${dataDir('n3')}.damaged`);
      await start('n3');
      await untilReady(nodeOf('n3'));
      await repaired();
    },
    longTest,
  );
});
