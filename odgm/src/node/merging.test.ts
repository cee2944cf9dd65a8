import { type TempDir, eventually, tempDir } from '@oaas/commons/testkit';
import type { ReadonlyMetadata } from '@oaas/commons/grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startGrid, startNode } from '../../testkit/index.ts';

/** Collections whose replicas all take writes and merge, on real nodes. */
let directory: TempDir;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

interface Distribution {
  readonly shards: {
    partition: number;
    type: string;
    leader: string;
    state: string;
    objects: number;
    replicas: { node: string; role: string; state: string; lag: number }[];
  }[];
}

async function json<T>(node: RunningNode, path: string, method = 'GET'): Promise<T> {
  return (await (await fetch(node.admin + path, { method })).json()) as T;
}

const own = { metadata: { 'x-oaas-hop': '1' } };
const value = (text: string) => ({ data: Buffer.from(text) });

/** What this node's own replica has, without asking others. */
async function ownValue(node: RunningNode, partitionId: number, objectId: string, key: string): Promise<string> {
  const { value: found } = await node.data.getValue({ clsId: 'c', partitionId, objectId, key }, own);
  return found?.data.toString() ?? '';
}

describe.each(['basic', 'mst'])('a collection of type %s with three replicas', (shardType) => {
  const collections = [{ name: 'c', shardType, partitionCount: 2, replicaCount: 3 }];
  const ids = ['n1', 'n2', 'n3'];

  it('takes writes on every node, and all end with the same objects', async () => {
    const grid = await startGrid({ dataDir: directory.path, ids, collections });
    running.push(grid);
    for (const [i, node] of grid.nodes.entries()) {
      const objectId = `o${String(i)}`;
      await node.data.set(
        { clsId: 'c', partitionId: i % 2, objectId, object: { entries: { k: value(node.id) } } },
        own,
      );
    }
    for (const node of grid.nodes) {
      for (const [i, { id }] of grid.nodes.entries()) {
        await eventually(async () => (await ownValue(node, i % 2, `o${String(i)}`, 'k')) === id);
      }
    }
    await grid.nodes[0]!.data.delete({ clsId: 'c', partitionId: 0, objectId: 'o0' }, own);
    await eventually(async () => (await ownValue(grid.nodes[2]!, 0, 'o0', 'k')) === '');
    const batch = { clsId: 'c', partitionId: 1, objectId: 'o1', values: { k: value('x') }, expectedObjectVersion: 7 };
    await expect(grid.nodes[0]!.data.batchSetValues(batch, own)).rejects.toMatchObject({
      code: 'VersionConflict',
      details: { currentVersion: 1 },
    });
    let said: string | undefined;
    const local = {
      metadata: { 'x-oaas-consistency': 'local' },
      onTrailer: (given: ReadonlyMetadata) => (said = given.get('x-oaas-staleness-ms')),
    };
    await eventually(async () => {
      await grid.nodes[2]!.data.get({ clsId: 'c', partitionId: 1, objectId: 'o1' }, local);
      return /^\d+$/.test(said ?? '');
    });
    const view = await eventually(async () => {
      const { shards } = await json<Distribution>(grid.nodes[1]!, '/admin/shards/distribution');
      return (
        shards.every(({ state, replicas }) => state === 'ready' && replicas.every(({ lag }) => lag === 0)) && shards
      );
    });
    expect(view).toHaveLength(2);
    for (const shard of view) {
      expect(shard).toMatchObject({ type: shardType, leader: '' });
      expect(shard.replicas.map(({ role, state }) => [role, state])).toEqual(Array(3).fill(['replica', 'ready']));
    }
  });

  it('is drained at the rate that holds now, and what has arrived can be seen meanwhile', async () => {
    const grid = await startGrid({
      dataDir: directory.path,
      ids,
      collections: [{ ...collections[0]!, replicaCount: 2 }],
    });
    running.push(grid);
    const first = grid.nodes[0]!;
    const data = Buffer.alloc(50_000, 'x');
    for (let i = 0; i < 240; i++) {
      const set = { clsId: 'c', partitionId: i % 2, objectId: `o${String(i)}`, object: { entries: { k: { data } } } };
      await first.data.set(set);
    }
    const { shards } = await json<Distribution>(first, '/admin/shards/distribution');
    const leaving = shards[0]!.replicas[0]!.node;
    const drain = `/admin/members/${leaving}/drain?bytesPerSecond=65536`;
    const { task_id: id } = await json<{ task_id: string }>(first, drain, 'POST');
    interface Seen {
      readonly state: string;
      readonly bytes_done: number;
      readonly bytes_total: number;
      readonly eta_seconds?: number;
    }
    const look = (): Promise<Seen> => json<Seen>(first, `/admin/tasks/${id}`);
    const early = await look();
    expect(early.bytes_done === 0 ? early.eta_seconds : undefined).toBeUndefined();
    const under = await eventually(
      async () => {
        const seen = await look();
        return seen.bytes_done > 0 && seen;
      },
      { timeoutMs: 20_000 },
    );
    expect(under.state).toBe('running');
    expect(under.bytes_done).toBeLessThan(under.bytes_total);
    await json(first, `/admin/tasks/${id}/throttle?bytesPerSecond=1000000000`, 'POST');
    const over = await eventually(
      async () => {
        const seen = await look();
        return seen.state !== 'running' && seen;
      },
      { timeoutMs: 20_000 },
    );
    expect(over).toMatchObject({ state: 'succeeded', bytes_done: under.bytes_total });
  });

  it('is found converged by a check, a deep one too', async () => {
    const grid = await startGrid({ dataDir: directory.path, ids, collections });
    running.push(grid);
    const first = grid.nodes[0]!;
    for (let i = 0; i < 20; i++) {
      const set = { clsId: 'c', partitionId: i % 2, objectId: `o${String(i)}`, object: { entries: { k: value('v') } } };
      await grid.nodes[i % 3]!.data.set(set);
    }
    for (const mode of ['fast', 'deep']) {
      const path = `/admin/collections/c/consistency-check?mode=${mode}`;
      const { task_id: id } = await json<{ task_id: string }>(first, path, 'POST');
      const task = await eventually(
        async () => {
          const found = await json<{ state: string; message: string }>(first, `/admin/tasks/${id}`);
          return found.state !== 'running' && found;
        },
        { timeoutMs: 30_000 },
      );
      expect(task).toMatchObject({ state: 'succeeded', message: expect.stringContaining('2 converged') as string });
    }
  });

  it('goes on with one node of three, and the others have what they missed when they come back', async () => {
    const ports = await freePorts(3);
    const members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
    const start = async (i: number): Promise<RunningNode> => {
      const id = ids[i]!;
      const node = await startNode({
        id,
        members,
        collections,
        grpcPort: ports[i]!,
        dataDir: `${directory.path}/${id}`,
      });
      running.push(node);
      return node;
    };
    const [first, second, third] = (await Promise.all([0, 1, 2].map(start))) as [RunningNode, RunningNode, RunningNode];
    await first.data.set({ clsId: 'c', objectId: 'a', object: { entries: { k: value('1'), gone: value('x') } } });
    await eventually(async () => (await ownValue(third, 0, 'a', 'gone')) === 'x');
    await Promise.all([second.stop(), third.stop()]);
    await first.data.setValue({ clsId: 'c', objectId: 'a', key: 'k', value: value('2') });
    await first.data.deleteValue({ clsId: 'c', objectId: 'a', key: 'gone' });
    const back = await Promise.all([start(1), start(2)]);
    for (const node of back) {
      await eventually(async () => (await ownValue(node, 0, 'a', 'k')) === '2', { timeoutMs: 15_000 });
      await eventually(async () => (await ownValue(node, 0, 'a', 'gone')) === '', { timeoutMs: 15_000 });
      expect((await node.data.get({ clsId: 'c', objectId: 'a' }, own)).obj?.metadata?.version).toBe(3);
    }
  });

  it('moves replicas to a node that joins and off one that is drained, with all that clients write meanwhile', async () => {
    const grid = await startGrid({ dataDir: directory.path, ids, collections });
    running.push(grid);
    const first = grid.nodes[0]!;
    const [port] = (await freePorts(1)) as [number];
    const joined = await startNode({
      id: 'n4',
      members: [...grid.members, `n4=127.0.0.1:${String(port)}`],
      dataDir: `${directory.path}/n4`,
      grpcPort: port,
      collections,
    });
    running.push(joined);
    let written = 0;
    let failed: unknown;
    const stop = new AbortController();
    const writing = (async () => {
      while (!stop.signal.aborted) {
        const to = grid.nodes[written % 3]!;
        const objectId = `w${String(written)}`;
        try {
          await to.data.set({
            clsId: 'c',
            partitionId: written % 2,
            objectId,
            object: { entries: { k: value(objectId) } },
          });
          written += 1;
        } catch (error) {
          failed = error;
          return;
        }
      }
    })();
    // A member that is draining is emptied by itself; whoever asks for it may come second.
    await json(first, '/admin/members/n3/drain', 'POST');
    const shards = await eventually(
      async () => {
        const view = await json<Distribution>(first, '/admin/shards/distribution');
        return (
          view.shards.every(
            ({ state, replicas }) =>
              state === 'ready' &&
              replicas.length === 3 &&
              replicas.every(({ node, role }) => node !== 'n3' && role === 'replica'),
          ) && view.shards
        );
      },
      { timeoutMs: 30_000 },
    );
    expect(shards).toHaveLength(2);
    stop.abort();
    await writing;
    expect(failed).toBeUndefined();
    expect(written).toBeGreaterThan(10);
    for (let i = 0; i < written; i++) {
      const id = `w${String(i)}`;
      await eventually(async () => (await ownValue(joined, i % 2, id, 'k')) === id);
    }
  });
});

describe('a replica in memory', () => {
  it('may be all that a node keeps, until a collection is made whose objects are to last', async () => {
    const options = { dataDir: directory.path, collections: [{ name: 'c', durability: 'ephemeral' }] };
    const node = await startNode(options);
    running.push(node);
    const made = await fetch(`${node.admin}/admin/collections/lasting`, { method: 'PUT' });
    expect(made.ok).toBe(true);
    const set = (clsId: string) => node.data.set({ clsId, objectId: 'o', object: { entries: { k: value('v') } } });
    await eventually(() => Promise.all([set('c'), set('lasting')]).then(() => true));
    await node.stop();
    const again = await startNode(options);
    running.push(again);
    const { obj } = await again.data.get({ clsId: 'lasting', objectId: 'o' });
    expect(Buffer.from(obj?.entries['k']?.data ?? []).toString()).toBe('v');
    await expect(again.data.get({ clsId: 'c', objectId: 'o' })).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('whose content went with its process is made anew from the others', async () => {
    const collections = [{ name: 'c', shardType: 'basic', replicaCount: 2, durability: 'ephemeral' }, { name: 'p' }];
    const ports = await freePorts(2);
    const members = ['n1', 'n2'].map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
    const start = async (id: string, i: number): Promise<RunningNode> => {
      const dataDir = `${directory.path}/${id}`;
      const node = await startNode({ id, members, collections, grpcPort: ports[i]!, dataDir });
      running.push(node);
      return node;
    };
    const [first, second] = (await Promise.all(['n1', 'n2'].map(start))) as [RunningNode, RunningNode];
    for (let i = 0; i < 20; i++) {
      await first.data.set({ clsId: 'c', objectId: `o${String(i)}`, object: { entries: { k: value('v') } } });
    }
    await eventually(async () => (await ownValue(second, 0, 'o19', 'k')) === 'v');
    await second.stop();
    const back = await start('n2', 1);
    await eventually(
      async () => {
        for (let i = 0; i < 20; i++) expect(await ownValue(back, 0, `o${String(i)}`, 'k')).toBe('v');
        const { shards } = await json<Distribution>(first, '/admin/shards/distribution');
        const shard = shards.find(({ type, replicas }) => type === 'basic' && replicas.length === 2);
        expect(shard).toMatchObject({ state: 'ready', objects: 20 });
        return true;
      },
      { timeoutMs: 30_000 },
    );
  });
});

describe('the admin API of a collection of type mst', () => {
  it('has versions, what differs between them, branches, and merges with a list of conflicts', async () => {
    const node = await startNode({ dataDir: directory.path, collections: [{ name: 'c', shardType: 'mst' }] });
    running.push(node);
    const at = '/admin/collections/c';
    const set = (text: string) => node.data.set({ clsId: 'c', objectId: 'o', object: { entries: { k: value(text) } } });
    const texts = (data: string): string => Buffer.from(data, 'base64').toString();
    interface Shown {
      readonly version: number;
      readonly entries: Record<string, { data: string }>;
    }
    await set('one');
    const first = await json<{ root: string; label: string }>(node, `${at}/versions/record?label=start`, 'POST');
    expect(first.label).toBe('start');
    await set('two');
    const old = await json<Shown>(node, `${at}/versions/objects/o?at=start`);
    expect([old.version, texts(old.entries['k']!.data)]).toEqual([1, 'one']);
    await json(node, `${at}/versions/record`, 'POST');
    const { differences } = await json<{
      differences: { key: string | null; before: { data: string } | null; after: { data: string } | null }[];
    }>(node, `${at}/versions/diff?from=${first.root}&to=now`);
    const [changed] = differences.filter(({ key }) => key === 'k');
    expect([texts(changed!.before!.data), texts(changed!.after!.data)]).toEqual(['one', 'two']);

    expect(await json(node, `${at}/branches/try`, 'POST')).toMatchObject({ name: 'try', node: 'n1' });
    const response = await fetch(`${node.admin}${at}/branches/try/objects/o`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ put: { k: { data: Buffer.from('branch').toString('base64') } } }),
    });
    expect(response.status).toBe(200);
    await set('three');
    const merged = await json<{ is_done: boolean; conflicts: { object_id: string; key: string }[] }>(
      node,
      `${at}/branches/try/merge`,
      'POST',
    );
    expect(merged).toMatchObject({ is_done: true, conflicts: [{ object_id: 'o', key: 'k' }] });
    expect((await node.data.getValue({ clsId: 'c', objectId: 'o', key: 'k' })).value?.data.toString()).toBe('three');
    await json(node, `${at}/branches/try/merge?policy=theirs`, 'POST');
    expect((await node.data.getValue({ clsId: 'c', objectId: 'o', key: 'k' })).value?.data.toString()).toBe('branch');
    const listed = await json<{ versions: object[]; branches: { name: string }[] }>(node, `${at}/versions`);
    expect(listed.branches.map(({ name }) => name)).toEqual(['try']);
    expect(listed.versions.length).toBeGreaterThan(1);
  });
});
