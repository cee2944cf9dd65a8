import { eventually, type TempDir, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningGrid, startGrid } from '../../testkit/index.ts';
import type { CollectionSpec } from '../meta/index.ts';

/** Collections that get another number of replicas while they are in use, on real nodes. */
let directory: TempDir;
let grid: RunningGrid | undefined;

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await grid?.stop();
  await directory.remove();
});

const objects = 60;
const value = (text: string) => ({ data: Buffer.from(text) });

interface Distribution {
  readonly shards: { readonly state: string; readonly replicas: readonly { readonly role: string }[] }[];
}

async function resize(replicaCount: number): Promise<void> {
  const { program, admin } = grid!.nodes[0]!;
  const spec = program.node.meta?.state.collections.get('c')?.spec as CollectionSpec;
  await program.node.putCollections([{ ...spec, replicaCount }]);
  expect(program.node.refusalOf('c')).toBeUndefined();
  await eventually(
    async () => {
      const { shards } = (await (await fetch(`${admin}/admin/shards/distribution`)).json()) as Distribution;
      return shards.every(
        ({ state, replicas }) =>
          state === 'ready' && replicas.length === replicaCount && replicas.every(({ role }) => role !== 'learner'),
      );
    },
    { timeoutMs: 30_000 },
  );
}

async function expectAll(text: string): Promise<void> {
  for (const { data } of grid!.nodes) {
    for (let i = 0; i < objects; i++) {
      const { value: found } = await data.getValue({
        clsId: 'c',
        partitionId: i % 2,
        objectId: `o${String(i)}`,
        key: 'k',
      });
      expect(found?.data.toString()).toBe(text);
    }
  }
}

async function writeAll(text: string): Promise<void> {
  for (let i = 0; i < objects; i++) {
    const { data } = grid!.nodes[i % 3]!;
    await data.set({
      clsId: 'c',
      partitionId: i % 2,
      objectId: `o${String(i)}`,
      object: { entries: { k: value(text) } },
    });
  }
}

describe.each([
  ['raft', 1],
  ['basic', 1],
  ['basic', 3],
  ['mst', 3],
])('a collection of type %s that began with %i replicas', (shardType, began) => {
  it('keeps every object when it gets more replicas and fewer again', async () => {
    const collections = [{ name: 'c', shardType, partitionCount: 2, replicaCount: began }];
    grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2', 'n3'], collections });
    await writeAll('first');
    await resize(began === 1 ? 3 : 1);
    await eventually(() => expectAll('first').then(() => true));
    await writeAll('second');
    await resize(began);
    await eventually(() => expectAll('second').then(() => true));
  });
});
