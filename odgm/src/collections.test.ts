import { createDataClient, createGridAdminClient } from '@oaas/commons/client';
import { createGrpcChannel } from '@oaas/commons/grpc';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemTimers } from '@oaas/commons/time/system';
import { createLogger } from '@oaas/commons/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  freePorts,
  type NodeProcess,
  type RunningNode,
  spawnNode,
  startGrid,
  startNode,
  untilReady,
} from '../testkit/index.ts';
import { openDurableEngine } from './storage/durable.ts';

/** Collections that are deleted and made anew, on three real nodes whose configuration goes on listing them. */
let directory: TempDir;
let nodes: RunningNode[];
let members: readonly string[];

const ids = ['n1', 'n2', 'n3'];
const objects = 40;
const marker = 'what-is-to-go';

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await directory.remove();
});

const collectionsOf = (shardType: string, replicaCount = 3) => [
  { name: 'c', classIds: ['pkg.C'], shardType, partitionCount: 2, replicaCount },
  { name: 'kept', shardType, partitionCount: 1, replicaCount: 3 },
];

async function start(collections: readonly object[]): Promise<void> {
  const grid = await startGrid({ dataDir: directory.path, ids, collections });
  nodes = [...grid.nodes];
  members = grid.members;
}

async function restart(id: string, collections: readonly object[]): Promise<RunningNode> {
  const grpcPort = Number(members[ids.indexOf(id)]?.split(':')[1]);
  const node = await startNode({ id, members, grpcPort, collections, dataDir: `${directory.path}/${id}` });
  nodes.push(node);
  return node;
}

async function stop(node: RunningNode): Promise<void> {
  nodes = nodes.filter((one) => one !== node);
  await node.stop();
}

const target = (i: number, clsId = 'c') => ({ clsId, partitionId: i % (clsId === 'kept' ? 1 : 2), objectId: `o${i}` });

async function write(node: RunningNode, clsId = 'c', text = marker): Promise<void> {
  for (let i = 0; i < objects; i++) {
    await node.data.set({ ...target(i, clsId), object: { entries: { k: { data: Buffer.from(text) } } } });
  }
}

interface Going {
  readonly done: boolean;
  readonly objects: number;
  readonly bytes: number;
  readonly shards: number;
  readonly replicas: number;
  readonly unknown_shards: number;
  readonly tasks: readonly string[];
  readonly waiting_members: readonly string[];
}

async function ask<T>(node: RunningNode, method: string, path: string, body?: object): Promise<[number, T]> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${node.admin}/admin/${path}`, { method, ...init });
  return [response.status, (await response.json()) as T];
}

/** Values with the text that are stored in the directory of a node that does not run. */
async function stored(id: string, text: string): Promise<number> {
  const engine = await openDurableEngine({
    directory: `${directory.path}/${id}`,
    owner: 'the test',
    timers: systemTimers,
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  try {
    return [...engine.range({ start: Uint8Array.of(0), end: new Uint8Array(16).fill(0xff) })].filter(({ value }) =>
      Buffer.from(value).includes(text),
    ).length;
  } finally {
    await engine.close();
  }
}

const gone = { code: 'NotFound', message: expect.stringContaining('deleted') as string };

const saysGone = (node: RunningNode): Promise<unknown> =>
  eventually(
    () =>
      expect(node.data.get(target(0)))
        .rejects.toMatchObject(gone)
        .then(() => true),
    { timeoutMs: 20_000 },
  );

/** What is deleted in the background goes on after another start of these nodes. */
async function expectNothingLeft(of: readonly string[], collections: readonly object[]): Promise<void> {
  await eventually(
    async () => {
      const left = await Promise.all(of.map((id) => stored(id, marker)));
      if (left.every((count) => count === 0)) return;
      const again = await Promise.all(of.map((id) => restart(id, collections)));
      await Promise.all(again.map(saysGone));
      await Promise.all(again.map(stop));
      throw new Error(`left: ${left.join()}`);
    },
    { timeoutMs: 40_000 },
  );
}

describe.each(['raft', 'basic', 'mst'])('a collection of type %s that is deleted', (shardType) => {
  it('goes from every node with its data, and begins empty when it is made anew', async () => {
    const collections = collectionsOf(shardType);
    await start(collections);
    const [first, second] = nodes as [RunningNode, RunningNode, RunningNode];
    await write(first);
    await write(first, 'kept', 'what stays');
    await eventually(async () => {
      const [status, going] = await ask<Going>(second, 'DELETE', 'collections/c?dry_run=true');
      expect(status).toBe(200);
      expect(going).toMatchObject({ done: false, objects, shards: 2, replicas: 6, unknown_shards: 0, tasks: [] });
      expect(going.bytes).toBeGreaterThan(objects * marker.length);
    });
    expect((await first.data.get(target(0))).obj?.entries['k']?.data.toString()).toBe(marker);

    const [status, going] = await ask<Going>(second, 'DELETE', 'collections/c');
    expect([status, going]).toMatchObject([200, { done: true, objects, waiting_members: [] }]);
    for (const node of nodes) {
      await expect(node.data.get(target(0))).rejects.toMatchObject(gone);
      await expect(node.data.get(target(0, 'pkg.C'))).rejects.toMatchObject(gone);
      expect((await ask(node, 'GET', 'collections/c'))[0]).toBe(404);
      expect(await (await fetch(`${node.admin}/metrics`)).text()).not.toMatch(/_objects_total{[^}]*"c"/);
    }
    expect(await ask(first, 'DELETE', 'collections/c')).toMatchObject([404, { code: 'NotFound' }]);

    const made = await createGridAdminClient(first.channel).createCollection({ name: 'c' });
    expect(made).toMatchObject({ name: 'c', partitionCount: 2, replicaCount: 3, shardType, classIds: ['pkg.C'] });
    for (let i = 0; i < objects; i++) {
      await expect(second.data.get(target(i))).rejects.toMatchObject({
        code: 'NotFound',
        message: expect.not.stringContaining('deleted') as string,
      });
    }
    await write(second, 'c', 'what came after');
    expect((await first.data.get(target(1, 'pkg.C'))).obj?.entries['k']?.data.toString()).toBe('what came after');
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
    for (const id of ids) {
      expect(await stored(id, marker)).toBe(0);
      expect(await stored(id, 'what came after')).toBeGreaterThan(0);
      expect(await stored(id, 'what stays')).toBeGreaterThan(0);
    }
  });

  it('goes from a node that was down meanwhile when that comes back, though its configuration still has it', async () => {
    const collections = collectionsOf(shardType);
    await start(collections);
    const [first, , third] = nodes as [RunningNode, RunningNode, RunningNode];
    await write(first);
    await stop(third);
    expect(await stored('n3', marker)).toBeGreaterThan(0);
    // The one that stopped may have led the meta group: until another one does, nothing is decided.
    const going = await eventually(() => createGridAdminClient(first.channel).deleteCollection({ name: 'c' }));
    expect(going).toMatchObject({ done: true, waitingMembers: ['n3'] });
    const back = await restart('n3', collections);
    await saysGone(back);
    expect(back.program.node.isReady).toBe(true);
    await eventually(async () => {
      expect((await ask(back, 'GET', 'collections'))[1]).toMatchObject({ collections: [{ name: 'kept' }] });
    });
    await stop(back);
    await expectNothingLeft(['n3'], collections);
  }, 60_000);
});

describe('the deletion of a collection', () => {
  it('is not undone by the end of the node that coordinated it, nor by a start of the whole grid', async () => {
    const collections = collectionsOf('raft');
    await start(collections);
    await write(nodes[0]!);
    const leader = nodes.find(({ program }) => program.node.meta?.isLeader === true)!;
    const [other] = nodes.filter((node) => node !== leader);
    const deleting = ask<Going>(other!, 'DELETE', 'collections/c');
    await Promise.all([deleting, eventually(() => leader.program.node.meta?.state.collections.has('c') === false)]);
    await stop(leader);
    await expect(other!.data.get(target(0))).rejects.toMatchObject(gone);
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
    nodes = await Promise.all(ids.map((id) => restart(id, collections)));
    await Promise.all(nodes.map(saysGone));
  });

  it('is kept when the node that coordinated it is killed before it has cleaned up', async () => {
    nodes = [];
    const ports = await freePorts(6);
    members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
    const spawn = (i: number): Promise<NodeProcess> =>
      spawnNode({
        ...{ id: ids[i] ?? '', dataDir: `${directory.path}/${String(ids[i])}`, members },
        ...{ collections: collectionsOf('raft'), ports: [ports[i] ?? 0, ports[i + 3] ?? 0] },
      });
    const processes = await Promise.all([0, 1, 2].map(spawn));
    const channels = processes.map(({ grpc }) => createGrpcChannel(grpc));
    try {
      await Promise.all(processes.map(untilReady));
      const status = await (await fetch(`${processes[0]!.admin}/admin/cluster/status`)).json();
      const leader = ids.indexOf((status as { leader_node: string }).leader_node);
      const data = channels.map((channel) => createDataClient(channel));
      const text = Buffer.alloc(64 * 1024, marker);
      for (let i = 0; i < objects; i++) {
        await data[leader]!.set({ ...target(i), object: { entries: { k: { data: text } } } });
      }
      const response = await fetch(`${processes[leader]!.admin}/admin/collections/c`, { method: 'DELETE' });
      processes[leader]!.child.kill('SIGKILL');
      expect(response.status).toBe(200);
      await processes[leader]!.ended;
      const rest = data.filter((_, i) => i !== leader);
      for (const one of rest) await expect(one.get(target(0))).rejects.toMatchObject(gone);
      processes[leader] = await spawn(leader);
      await untilReady(processes[leader]);
      await eventually(() =>
        expect(data[leader]!.get(target(0)))
          .rejects.toMatchObject(gone)
          .then(() => true),
      );
      for (const { child } of processes) child.kill('SIGTERM');
      await Promise.all(processes.map(({ ended }) => ended));
      await expectNothingLeft(ids, collectionsOf('raft'));
    } finally {
      for (const channel of channels) channel.close();
      for (const { child } of processes) if (child.exitCode === null) child.kill('SIGKILL');
      await Promise.all(processes.map(({ ended }) => ended));
    }
  }, 60_000);

  it('ends tasks of it with a typed reason, and names them before', async () => {
    await start(collectionsOf('raft'));
    await write(nodes[0]!);
    const client = createGridAdminClient(nodes[0]!.channel);
    const paused = { kind: 'consistency-check', collection: 'c', options: { checks: '0' } };
    const { id } = await client.startTask(paused);
    const all = await client.startTask({ kind: 'consistency-check', options: { checks: '0' } });
    expect((await client.deleteCollection({ name: 'c', dryRun: true })).tasks).toEqual([id]);
    await client.deleteCollection({ name: 'c' });
    await client.updateTask({ taskId: all.id, options: { checks: '4' } });
    expect(await client.getTask({ taskId: id })).toMatchObject({
      ...{ state: 'cancelled', message: expect.stringContaining('collection c was deleted') as string },
      findings: [{ code: 'ShardGone', severity: 'info' }],
    });
    await eventually(async () => {
      const task = await client.getTask({ taskId: all.id });
      expect(task.state).toBe('succeeded');
      expect(task.findings).toMatchObject([{ code: 'ShardGone', evidence: 'c' }]);
    });
  });

  it('lets no call fail in another way than as not found, or with an outcome that is not known', async () => {
    await start(collectionsOf('raft'));
    const ends = new Map<string, number>();
    let isOver = false;
    const clients = nodes.map(async ({ data }, n) => {
      for (let i = 0; !isOver; i++) {
        try {
          await data.setValue({
            ...target(i % 10),
            objectId: `w${n}-${i % 10}`,
            key: 'k',
            value: { data: Buffer.of(1) },
          });
        } catch (thrown) {
          const { code, details, message } = thrown as {
            code: string;
            details?: { outcome?: string };
            message: string;
          };
          const end = code === 'NotFound' ? code : details?.outcome === 'unknown' ? 'unknown' : `${code}: ${message}`;
          ends.set(end, (ends.get(end) ?? 0) + 1);
        }
      }
    });
    await write(nodes[0]!);
    await ask(nodes[1]!, 'DELETE', 'collections/c');
    await eventually(() => (ends.get('NotFound') ?? 0) > 10);
    isOver = true;
    await Promise.all(clients);
    expect([...ends.keys()].filter((end) => end !== 'NotFound' && end !== 'unknown')).toEqual([]);
  });
});

describe('a collection', () => {
  it('is made with what is asked for, and refused with the field that is wrong', async () => {
    await start(collectionsOf('basic', 1));
    const [node] = nodes as [RunningNode];
    const body = { partition_count: 3, replica_count: 2, shard_type: 'mst', class_ids: ['pkg.New'] };
    const [status, made] = await ask(node, 'PUT', 'collections/fresh', body);
    expect([status, made]).toMatchObject([
      201,
      { name: 'fresh', partition_count: 3, replica_count: 2, shard_type: 'mst' },
    ]);
    await eventually(async () => {
      const entries = { k: { data: Buffer.of(1) } };
      await node.data.set({ clsId: 'pkg.New', partitionId: 2, objectId: 'o', object: { entries } });
    });
    expect(await ask(node, 'PUT', 'collections/fresh')).toMatchObject([409, { code: 'AlreadyExists' }]);
    for (const [name, wrong, text] of [
      ['other', { shard_type: 'rafft' }, 'shard_type'],
      ['other', { partitions: 1 }, 'partition_count'],
      ['other', { replica_count: 10 }, 'replicas are 1 to 9'],
      ['no%20id', {}, 'name is no id'],
      [
        'other',
        { options: { maxValueBytes: 'lots' } },
        'option maxValueBytes cannot be "lots" Give maxValueBytes a whole',
      ],
      ['other', { options: { maxValueBytes: 0 } }, 'option maxValueBytes cannot be "0"'],
      [
        'other',
        { options: { maxValueByte: '5' } },
        'no option "maxValueByte" (given as "5"); did you mean "maxValueBytes"?',
      ],
    ] as const) {
      const [refused, problem] = await ask<{ detail: string; remedy?: string }>(
        node,
        'PUT',
        `collections/${name}`,
        wrong,
      );
      expect([refused, `${problem.detail} ${problem.remedy ?? ''}`]).toEqual([
        400,
        expect.stringContaining(text) as string,
      ]);
    }
    await expect(
      createGridAdminClient(node.channel).createCollection({ name: 'other', options: { maxObjectByte: '5' } }),
    ).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining('"maxObjectBytes"') as string,
    });
    expect(node.program.node.collections().map(({ spec }) => spec.name)).not.toContain('other');
    const taken = await ask(node, 'PUT', 'collections/other', { class_ids: ['pkg.New'] });
    expect(taken).toMatchObject([409, { code: 'AlreadyExists' }]);
  });

  it.each([
    ['raft', 'raft', 3],
    ['basic with one replica', 'basic', 1],
    ['basic with several', 'basic', 3],
    ['mst', 'mst', 3],
  ] as const)(
    'of type %s follows an option that changes at once, on every node',
    async (_, shardType, replicaCount) => {
      await start([{ name: 'c', shardType, replicaCount, options: { maxValueBytes: '8' } }]);
      const put = (node: RunningNode, bytes: number, objectId = node.id) => {
        const entries = { a: { data: Buffer.alloc(bytes) } };
        return node.data.set({ clsId: 'c', partitionId: 0, objectId, object: { entries } });
      };
      for (const node of nodes) {
        await eventually(() => put(node, 8));
        await expect(put(node, 9)).rejects.toMatchObject({ code: 'ResourceExhausted' });
      }
      const { spec } = nodes[0]!.program.node.meta!.state.collections.get('c')!;
      await nodes[0]!.program.node.putCollections([{ ...spec, options: { maxValueBytes: '16' } }]);
      for (const node of nodes) await eventually(() => put(node, 16));
      await nodes[1]!.program.node.putCollections([{ ...spec, options: { maxValueBytes: '4' } }]);
      for (const node of nodes) {
        await eventually(() => expect(put(node, 5, 'other')).rejects.toMatchObject({ code: 'ResourceExhausted' }));
        const { value } = await node.data.getValue({ clsId: 'c', partitionId: 0, objectId: node.id, key: 'a' });
        expect(value?.data.length).toBe(16);
      }
    },
  );

  it('that a former version stored with options which it cannot have is served, without them, and this is a finding', async () => {
    await start([{ name: 'c' }]);
    const [node] = nodes as [RunningNode];
    const { meta } = node.program.node;
    const known = meta!.state.collections.get('c')!.spec;
    const options = { maxValueBytes: 'lots', maxEntriesPerObject: '1', flavour: 'x' };
    await meta!.propose({ type: 'putCollection', spec: { ...known, name: 'old', options } });
    const put = (entries: Record<string, { data: Buffer }>) =>
      node.data.set({ clsId: 'old', partitionId: 0, objectId: 'o', object: { entries } });
    await eventually(() => put({ a: { data: Buffer.alloc(100) } }));
    await expect(put({ a: { data: Buffer.of(1) }, b: { data: Buffer.of(1) } })).rejects.toMatchObject({
      code: 'ResourceExhausted',
    });
    const [, report] = await ask<{ resources: { message: string; evidence: string }[] }>(node, 'GET', 'diagnostics');
    expect(
      report.resources
        .filter(({ message }) => message.includes('old'))
        .map(({ evidence }) => evidence)
        .sort(),
    ).toEqual([
      'option maxValueBytes cannot be "lots"; 4194304 counts instead',
      'there is no option "flavour" (given as "x"); it is ignored',
    ]);
    // Other changes go on; one to the options has to mend them.
    await node.program.node.putCollections([{ ...known, name: 'old', options, classIds: ['pkg.Old'] }]);
    expect(node.program.node.refusalOf('old')).toBeUndefined();
    expect(meta!.state.collections.get('old')?.spec.classIds).toEqual(['pkg.Old']);
    await node.program.node.putCollections([{ ...known, name: 'old', options: { ...options, maxObjectBytes: '9' } }]);
    expect(node.program.node.refusalOf('old')).toContain('option maxValueBytes cannot be "lots"');
  });

  it('without a type agrees when it has several replicas, and keeps the type that it has', async () => {
    const typed = [
      { name: 'one' },
      { name: 'many', replicaCount: 3 },
      { name: 'merging', replicaCount: 3, shardType: 'basic' },
    ];
    const options = { dataDir: directory.path, env: { ODGM_JOIN_TIMEOUT: '100ms' } };
    const typesOf = ({ program }: RunningNode): object =>
      Object.fromEntries([...program.node.meta!.state.collections].map(([name, { spec }]) => [name, spec.shardType]));
    const first = await startNode({ ...options, collections: typed });
    nodes = [first];
    const grpc = createGridAdminClient(first.channel);
    await ask(first, 'PUT', 'collections/put', { replica_count: 2 });
    await ask(first, 'PUT', 'collections/put-one');
    await grpc.createCollection({ name: 'grpc', replicaCount: 2 });
    await grpc.createCollection({ name: 'grpc-one' });
    const made = { one: 'basic', many: 'raft', put: 'raft', 'put-one': 'basic', grpc: 'raft', 'grpc-one': 'basic' };
    expect(typesOf(first)).toEqual({ ...made, merging: 'basic' });
    await stop(first);

    const untyped = typed.map(({ name, replicaCount = 1 }) => ({ name, replicaCount: replicaCount === 1 ? 2 : 3 }));
    const again = await startNode({ ...options, collections: untyped });
    nodes = [again];
    expect(typed.map(({ name }) => again.program.node.refusalOf(name))).toEqual([undefined, undefined, undefined]);
    expect(typesOf(again)).toEqual({ ...made, merging: 'basic' });
    expect(again.program.node.meta?.state.collections.get('one')?.spec.replicaCount).toBe(2);
  });
});
