import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGrid, type RunningNode, startGrid } from '../../testkit/index.ts';

/** Calls over gRPC to all nodes of a grid at once. */
let grid: RunningGrid;
let directory: TempDir;

beforeAll(async () => {
  directory = await tempDir();
  const collections = ['raft', 'mst'].map((shardType) => ({ name: shardType, shardType, replicaCount: 3 }));
  grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2', 'n3'], collections });
});
afterAll(async () => {
  await grid.stop();
  await directory.remove();
});

const val = (text: string) => ({ data: Buffer.from(text) });
const replicaOf = (node: RunningNode, collection: string) => node.program.node.collection(collection).handle(0);

describe.each(['raft', 'mst'])('merges of one object of type %s from many clients at once', (clsId) => {
  it('lose nothing: each answers with its own entries, and every replica ends with those of all', async () => {
    const target = { clsId, objectId: 'o' };
    await grid.nodes[0]!.data.set({ ...target, object: { entries: { first: val('first') } } });
    await eventually(() => grid.nodes.every((node) => replicaOf(node, clsId)?.reader.meta('o') !== undefined));
    const names = Array.from({ length: 150 }, (_, i) => `k${String(i).padStart(3, '0')}`);
    const answers = await Promise.all(
      names.map((name, i) =>
        grid.nodes[i % 3]!.data.merge({ ...target, object: { entries: { [name]: val(name), shared: val(name) } } }),
      ),
    );
    for (const [i, { obj }] of answers.entries()) {
      expect(obj?.entries[names[i] ?? '']?.data.toString()).toBe(names[i]);
      expect(obj?.entries['first']).toBeDefined();
    }
    // The one set and each merge are a batch of their own.
    await eventually(() => {
      for (const node of grid.nodes) {
        const object = replicaOf(node, clsId)?.reader.object('o');
        expect([...(object?.entries.keys() ?? [])]).toEqual(['first', ...names, 'shared']);
        expect(object?.meta.version).toBe(1 + names.length);
      }
    });
    const shared = grid.nodes.map((node) => replicaOf(node, clsId)?.reader.value('o', 'shared')?.data);
    expect(new Set(shared.map((data) => Buffer.from(data ?? []).toString())).size).toBe(1);
  });
});

it.each(['raft', 'mst'])(
  'merges of one object of type %s that others delete at once answer with what they made of it, whichever node is asked',
  async (clsId) => {
    const target = { clsId, objectId: 'gone' };
    const deletes: Promise<unknown>[] = [];
    const merges = Array.from({ length: 150 }, (_, i) => {
      const node = grid.nodes[i % 3]!;
      if (i % 5 === 0) deletes.push(node.data.delete(target));
      return node.data.merge({ ...target, object: { entries: { [`k${String(i)}`]: val(String(i)) } } });
    });
    for (const [i, { obj }] of (await Promise.all(merges)).entries()) {
      expect(obj?.entries[`k${String(i)}`]?.data.toString()).toBe(String(i));
    }
    await Promise.all(deletes);
  },
);

it('a batch is one entry of the log, whatever it has in it and whichever node is asked', async () => {
  const target = { clsId: 'raft', objectId: 'b' };
  await grid.nodes[0]!.data.set({ ...target, object: { entries: { old: val('1'), older: val('1') } } });
  const last = () => Math.max(...grid.nodes.map((node) => replicaOf(node, 'raft')?.status().lastIndex ?? 0));
  for (const [i, node] of grid.nodes.entries()) {
    const before = last();
    const values = Object.fromEntries(
      Array.from({ length: 200 }, (_, k) => [`k${String(k)}`, val(`${node.id} ${String(k)}`)]),
    );
    const deleteKeys = i === 0 ? ['old', 'older'] : [];
    await node.data.batchSetValues({ ...target, values, deleteKeys, expectedObjectVersion: 1 + i });
    expect(last() - before).toBe(1);
  }
  const { obj } = await grid.nodes[0]!.data.get(target);
  expect([Object.keys(obj?.entries ?? {}).length, obj?.metadata?.version]).toEqual([200, 4]);
});
