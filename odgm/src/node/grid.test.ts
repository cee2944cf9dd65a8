import { toOaasError } from '@oaas/commons/errors';
import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import type { ReadonlyMetadata } from '@oaas/commons/grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningGrid, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

let directory: TempDir;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

async function grid(ids: string[], collections: object[]): Promise<RunningGrid> {
  const started = await startGrid({ dataDir: directory.path, ids, collections });
  running.push(started);
  return started;
}
async function single(options: Parameters<typeof startNode>[0]): Promise<RunningNode> {
  const started = await startNode(options);
  running.push(started);
  return started;
}
async function json(node: RunningNode, path: string): Promise<never> {
  const response = await fetch(node.admin + path);
  return (await response.json()) as never;
}

interface Distribution {
  readonly shards: { partition: number; leader: string; objects: number; state: string }[];
  readonly balance_score: number;
}
interface Members {
  readonly members: {
    id: string;
    state: string;
    shards: number;
    objects: number;
    last_seen: string;
    address: string;
  }[];
}

const collection = { name: 'c', classIds: ['p.C'], partitionCount: 6 };
const object = (partitionId: number, objectId = `o${String(partitionId)}`) => ({ clsId: 'c', partitionId, objectId });
const entries = { k: { data: Buffer.from('v') } };

describe('a local read', () => {
  it.each(['raft', 'basic', 'mst'])(
    'says how stale it may be, from each replica, passed on and in a list: %s',
    async (shardType) => {
      const spec = { name: 'c', partitionCount: 1, shardType, replicaCount: 3 };
      const { nodes } = await grid(['n1', 'n2', 'n3', 'n4'], [spec]);
      await eventually(() => nodes[0]!.data.set({ ...object(0), object: { entries } }).then(() => true));
      const passed = new Set<boolean>();
      for (const node of nodes) {
        const told: ReadonlyMetadata[] = [];
        const metadata = { 'x-oaas-consistency': 'local' };
        const options = { metadata, onTrailer: (trailer: ReadonlyMetadata) => told.push(trailer) };
        /** What is read has arrived, and it is told how stale it may be. */
        const ask = async (call: () => Promise<string[]>): Promise<boolean> => {
          told.length = 0;
          const found = await call().catch(() => []);
          passed.add(told[0]?.get('x-oaas-owner') !== undefined);
          return found.length === 1 && /^\d+$/.test(told[0]?.get('x-oaas-staleness-ms') ?? '');
        };
        await eventually(() => ask(async () => Object.keys((await node.data.get(object(0), options)).obj!.entries)));
        await eventually(() =>
          ask(async () => {
            const found: string[] = [];
            for await (const { objectId } of node.data.listObjects({ clsId: 'c', partitionId: 0 }, options))
              found.push(objectId);
            return found;
          }),
        );
      }
      expect([...passed].sort()).toEqual([false, true]);
    },
  );
});

describe('a local read during a move', () => {
  it('is passed on by the replica that is being filled: nothing is missing, and nobody says that it is fresh', async () => {
    const spec = { name: 'c', partitionCount: 1, shardType: 'raft', replicaCount: 2 };
    const { nodes } = await grid(['n1', 'n2', 'n3'], [spec]);
    await eventually(() => nodes[0]!.data.set({ ...object(0), object: { entries } }).then(() => true));
    const data = Buffer.alloc(100_000, 'x');
    for (let i = 1; i <= 20; i++)
      await nodes[0]!.data.set({ ...object(0, `o${String(i)}`), object: { entries: { k: { data } } } });
    const replicas = async (): Promise<{ node: string; role: string }[]> => {
      const view = await json(nodes[0]!, '/admin/shards/distribution');
      return (view as { shards: { replicas: { node: string; role: string }[] }[] }).shards[0]!.replicas;
    };
    const before = (await replicas()).map(({ node }) => node);
    const target = nodes.find(({ id }) => !before.includes(id))!;
    const drain = `/admin/members/${before[0]!}/drain?bytesPerSecond=65536`;
    const { task_id: id } = (await (await fetch(nodes[0]!.admin + drain, { method: 'POST' })).json()) as {
      task_id: string;
    };
    await eventually(async () => {
      const task = (await json(nodes[0]!, `/admin/tasks/${id}`)) as { bytes_done: number };
      return task.bytes_done > 0;
    });
    for (let i = 0; i < 10; i++) {
      let trailer: ReadonlyMetadata | undefined;
      const options = {
        metadata: { 'x-oaas-consistency': 'local' },
        onTrailer: (given: ReadonlyMetadata) => (trailer = given),
      };
      const { obj: found } = await target.data.get(object(0), options);
      expect(Object.keys(found!.entries)).toEqual(['k']);
      expect(trailer?.get('x-oaas-owner')).toBeDefined();
    }
    expect((await replicas()).find(({ node }) => node === target.id)?.role).toBe('learner');
  }, 60_000);
});

describe('a list', () => {
  it('waits for the member that has the shard to come back, until it has begun, as other calls do', async () => {
    const spec = { name: 'c', partitionCount: 1, shardType: 'raft', replicaCount: 1 };
    const { nodes, members } = await grid(['n1', 'n2', 'n3'], [spec]);
    await eventually(() => nodes[0]!.data.set({ ...object(0), object: { entries } }).then(() => true));
    const { shards } = (await json(nodes[0]!, '/admin/shards/distribution')) as Distribution;
    const owner = nodes.find(({ id }) => id === shards[0]?.leader)!;
    const other = nodes.find((node) => node !== owner)!;
    await owner.stop();
    const found: string[] = [];
    const listed = async <T>(items: AsyncIterable<T>, name: (item: T) => string): Promise<void> => {
      for await (const item of items) found.push(name(item));
    };
    const options = { deadlineMs: 60_000 };
    const lists = Promise.all([
      listed(other.data.listObjects({ clsId: 'c', partitionId: 0 }, options), ({ objectId }) => objectId),
      listed(other.data.listValues(object(0), options), ({ key }) => key),
    ]);
    await Promise.race([lists, new Promise((resolve) => setTimeout(resolve, 1000))]);
    expect(found).toEqual([]);
    const grpcPort = Number(owner.grpc.split(':')[1]);
    await single({
      ...{ id: owner.id, members, grpcPort },
      ...{ collections: [spec], dataDir: `${directory.path}/${owner.id}` },
    });
    await lists;
    expect(found.sort()).toEqual(['k', 'o0']);
  }, 90_000);
});

describe('three nodes', () => {
  it('spread the partitions evenly, agree on where they are, and answer for each other', async () => {
    const { nodes } = await grid(['n1', 'n2', 'n3'], [collection]);
    const [first, second, third] = nodes as [RunningNode, RunningNode, RunningNode];
    for (let partition = 0; partition < 6; partition++) {
      await first.data.set({ ...object(partition), object: { entries } });
    }
    for (const node of nodes) {
      for (let partition = 0; partition < 6; partition++) {
        expect((await node.data.getValue({ ...object(partition), key: 'k' })).value?.data.toString()).toBe('v');
      }
    }
    const views = await eventually(async () => {
      const found = await Promise.all(
        nodes.map((node) => json(node, '/admin/shards/distribution') as Promise<Distribution>),
      );
      return found.every(({ shards }) => shards.every(({ objects }) => objects === 1)) && found;
    });
    for (const view of views) {
      expect(view.shards.map(({ leader }) => leader)).toEqual(views[0]?.shards.map(({ leader }) => leader));
      expect(view.balance_score).toBe(1);
    }
    await eventually(async () => {
      const { members } = (await json(second, '/admin/cluster/members')) as Members;
      expect(members.map(({ id, state, shards, objects }) => [id, state, shards, objects])).toEqual([
        ['n1', 'up', 2, 2],
        ['n2', 'up', 2, 2],
        ['n3', 'up', 2, 2],
      ]);
    });
    expect(await third.data.stats({})).toMatchObject({ shards: [{ count: 1 }, { count: 1 }] });
  });

  it('tell a client that asked the wrong one whom to ask, and lists are passed on too', async () => {
    const { nodes } = await grid(['n1', 'n2', 'n3'], [collection]);
    const [first] = nodes as [RunningNode];
    const owners = await json(first, '/admin/shards/distribution').then((view: Distribution) => view.shards);
    const foreign = owners.find(({ leader }) => leader !== 'n1')!;
    const own = owners.find(({ leader }) => leader === 'n1')!;
    const ownerOf = async (partition: number): Promise<string | undefined> => {
      let trailer: ReadonlyMetadata | undefined;
      await first.data.set({ ...object(partition), object: { entries } }, { onTrailer: (given) => (trailer = given) });
      return trailer?.get('x-oaas-owner');
    };
    expect(await ownerOf(foreign.partition)).toBe(nodes.find(({ id }) => id === foreign.leader)?.grpc);
    expect(await ownerOf(own.partition)).toBeUndefined();
    const listed: string[] = [];
    for await (const { objectId } of first.data.listObjects({ clsId: 'p.C', partitionId: foreign.partition }))
      listed.push(objectId);
    expect(listed).toEqual([`o${String(foreign.partition)}`]);
  });

  it('pass errors on as they are, and a call only once', async () => {
    const { nodes } = await grid(['n1', 'n2'], [collection]);
    const [first] = nodes as [RunningNode];
    const { shards } = (await json(first, '/admin/shards/distribution')) as Distribution;
    const { partition } = shards.find(({ leader }) => leader === 'n2')!;
    await first.data.set({ ...object(partition), object: { entries } });
    const batch = { ...object(partition), values: entries, expectedObjectVersion: 5 };
    await expect(first.data.batchSetValues(batch)).rejects.toMatchObject({
      code: 'VersionConflict',
      details: { currentVersion: 1 },
    });
    await expect(first.data.get(object(partition), { metadata: { 'x-oaas-hop': '1' } })).rejects.toMatchObject({
      code: 'NoLeader',
      details: { owner: 'n2' },
    });
  });

  it('keep a member that is gone in the list, as suspect and then down, with what it held', async () => {
    const { nodes } = await grid(['n1', 'n2'], [collection]);
    const [first, second] = nodes as [RunningNode, RunningNode];
    const { shards } = (await json(first, '/admin/shards/distribution')) as Distribution;
    const { partition } = shards.find(({ leader }) => leader === 'n2')!;
    await first.data.set({ ...object(partition), object: { entries } });
    await eventually(async () => ((await json(first, '/admin/cluster/members')) as Members).members[1]?.objects === 1);
    await second.stop();
    const gone = await eventually(async () => {
      const { members } = (await json(first, '/admin/cluster/members')) as Members;
      return members[1]?.state === 'down' && members[1];
    });
    expect(gone).toMatchObject({ id: 'n2', objects: 1 });
    expect(gone.last_seen).not.toBe('');
    const after = (await json(first, '/admin/shards/distribution')) as Distribution;
    expect(after.shards.find((shard) => shard.partition === partition)?.state).toBe('unavailable');
    // They hear why, and that nothing has come of it, before their time is over, as far as the machine is quick enough.
    const late = Array.from({ length: 24 }, (_, i) => {
      const options = { deadlineMs: 1000 + 37 * i };
      return i % 2 === 0
        ? first.data.get(object(partition), options)
        : first.data.set({ ...object(partition), object: { entries } }, options);
    });
    const codes = await Promise.all(
      late.map((one) =>
        one.then(
          () => 'OK',
          (error: unknown) => toOaasError(error).code,
        ),
      ),
    );
    expect(codes.filter((code) => !/^(NoLeader|Unavailable|DeadlineExceeded)$/.test(code))).toEqual([]);
    expect(codes.filter((code) => code === 'DeadlineExceeded').length).toBeLessThan(8);
    const { metrics } = (await json(first, '/admin/metrics')) as { metrics: Record<string, number> };
    expect(
      metrics['odgm_collection_operations_total{collection="c",operation="get",result="error",service="odgm"}'],
    ).toBeGreaterThan(0);
    const health = (await json(first, '/admin/health')) as { status: string; members: { id: string }[] };
    expect(health).toMatchObject({ status: 'degraded', members: [{ id: 'n2' }] });
  });

  it('refuse a node of another cluster', async () => {
    const [own, other] = (await freePorts(2)) as [number, number];
    await single({
      id: 'n2',
      dataDir: `${directory.path}/2`,
      grpcPort: other,
      collections: [collection],
      env: { ODGM_CLUSTER_ID: 'green' },
    });
    const blue = startNode({
      id: 'n1',
      members: [`n1=127.0.0.1:${String(own)}`, `n2=127.0.0.1:${String(other)}`],
      dataDir: `${directory.path}/1`,
      grpcPort: own,
      collections: [collection],
      env: { ODGM_CLUSTER_ID: 'blue' },
    });
    await expect(blue).rejects.toMatchObject({
      code: 'FailedPrecondition',
      message: expect.stringContaining('this is cluster green') as string,
    });
  });
});

describe('a node that comes back', () => {
  it('has its objects, and forgets those of an ephemeral collection', async () => {
    const collections = [{ name: 'c' }, { name: 'v', durability: 'ephemeral' }];
    const before = await startNode({ dataDir: directory.path, collections });
    await before.data.set({ clsId: 'c', objectId: 'a', object: { entries } });
    await before.data.set({ clsId: 'v', objectId: 'a', object: { entries } });
    await before.stop();
    const after = await single({ dataDir: directory.path, collections });
    expect((await after.data.get({ clsId: 'c', objectId: 'a' })).obj?.metadata?.version).toBe(1);
    await expect(after.data.get({ clsId: 'v', objectId: 'a' })).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('keeps serving the old layout when another partition count is asked for and there are objects', async () => {
    const before = await startNode({ dataDir: directory.path, collections: [{ name: 'c', partitionCount: 4 }] });
    await before.data.set({ ...object(3, 'a'), object: { entries } });
    await before.stop();
    const after = await single({ dataDir: directory.path, collections: [{ name: 'c', partitionCount: 8 }] });
    expect((await after.data.get(object(3, 'a'))).obj?.metadata?.version).toBe(1);
    await expect(after.data.get(object(7, 'a'))).rejects.toMatchObject({ code: 'InvalidArgument' });
    const view = (await json(after, '/admin/collections/c')) as { partition_count: number; reason: string };
    expect(view.partition_count).toBe(4);
    expect(view.reason).toContain('partitionCount of collection c cannot change from 4 to 8');
  });

  it('does not give one collection the storage of another that was removed before it', async () => {
    const before = await startNode({ dataDir: directory.path, collections: [{ name: 'old' }] });
    await before.data.set({ clsId: 'old', objectId: 'a', object: { entries } });
    await before.stop();
    const between = await startNode({ dataDir: directory.path, collections: [{ name: 'new' }] });
    await expect(between.data.get({ clsId: 'new', objectId: 'a' })).rejects.toMatchObject({ code: 'NotFound' });
    await between.stop();
    const after = await single({ dataDir: directory.path, collections: [{ name: 'new' }, { name: 'old' }] });
    expect((await after.data.get({ clsId: 'old', objectId: 'a' })).obj?.metadata?.version).toBe(1);
  });

  it('leaves partitions with the member that has their objects when a member is added', async () => {
    const [own, other] = (await freePorts(2)) as [number, number];
    const alone = await startNode({
      id: 'n1',
      dataDir: `${directory.path}/1`,
      collections: [collection],
      grpcPort: own,
    });
    for (let partition = 0; partition < 6; partition++)
      await alone.data.set({ ...object(partition), object: { entries } });
    await alone.stop();
    const members = [`n1=127.0.0.1:${String(own)}`, `n2=127.0.0.1:${String(other)}`];
    const nodes = await Promise.all([
      single({ id: 'n1', members, dataDir: `${directory.path}/1`, collections: [collection], grpcPort: own }),
      single({ id: 'n2', members, dataDir: `${directory.path}/2`, collections: [collection], grpcPort: other }),
    ]);
    for (const node of nodes) {
      for (let partition = 0; partition < 6; partition++) {
        expect((await node.data.get(object(partition))).obj?.metadata?.version).toBe(1);
      }
    }
  });
});

describe('the admin API', () => {
  it('asks for its token where one is set, but not for health', async () => {
    const token = 'a-token-of-some-length';
    const node = await single({ dataDir: directory.path, collections: [collection], env: { ODGM_ADMIN_TOKEN: token } });
    const refused = await fetch(`${node.admin}/admin/collections`);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    const allowed = await fetch(`${node.admin}/admin/collections`, { headers: { authorization: `Bearer ${token}` } });
    expect(allowed.status).toBe(200);
    expect((await fetch(`${node.admin}/ready`)).status).toBe(200);
  });

  it('has problems for what it does not have, and no CORS headers', async () => {
    const node = await single({ dataDir: directory.path, collections: [collection] });
    for (const [method, path] of [
      ['POST', '/admin/collections/c/defragment'],
      ['GET', '/admin/nothing'],
      ['GET', '/admin/collections/x'],
    ] as const) {
      const response = await fetch(node.admin + path, { method, headers: { origin: 'http://elsewhere.example' } });
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ type: 'urn:oaas:error:NotFound', code: 'NotFound' });
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('counts operations and objects in its metrics', async () => {
    const node = await single({ dataDir: directory.path, collections: [collection] });
    await node.data.set({ ...object(0), object: { entries } });
    await node.data.get(object(0));
    const metrics = await (await fetch(`${node.admin}/metrics`)).text();
    expect(metrics).toMatch(
      /odgm_collection_operations_total\{collection="c",operation="set",result="ok",service="odgm"\} 1/,
    );
    expect(metrics).toMatch(/odgm_collection_objects_total\{collection="c",service="odgm"\} 1/);
    expect(metrics).toMatch(/odgm_collection_operation_duration_seconds_count\{.*operation="get".*\} 1/);
    const { metrics: values } = (await json(node, '/admin/metrics')) as { metrics: Record<string, number> };
    expect(values['odgm_cluster_nodes_total{service="odgm"}']).toBe(1);
  });
});
