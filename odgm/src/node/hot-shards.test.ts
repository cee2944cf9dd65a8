import { eventually, type TempDir, tempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RunningGrid, startGrid } from '../../testkit/index.ts';

let directory: TempDir;
let grid: RunningGrid;

beforeEach(async () => {
  directory = await tempDir();
  const spec = { name: 'c', partitionCount: 6, shardType: 'raft', replicaCount: 2 };
  grid = await startGrid({ dataDir: directory.path, ids: ['n1', 'n2'], collections: [spec] });
});
afterEach(async () => {
  await grid.stop();
  await directory.remove();
});

interface Distribution {
  readonly shards: readonly { readonly partition: number; readonly leader: string }[];
}
interface Plan {
  readonly moves: readonly { readonly what: string; readonly partition: number; readonly why: string }[];
}

async function ask<T>(method: 'GET' | 'POST', path: string): Promise<T> {
  return (await (await fetch(`${grid.nodes[0]!.admin}/admin/${path}`, { method })).json()) as T;
}

const entries = { k: { data: Buffer.from('v') } };

it('a member that leads all busy shards gives one of them away, though each leads as many and all have as much', async () => {
  const ledBy = async (id: string): Promise<number[]> => {
    const { shards } = await ask<Distribution>('GET', 'shards/distribution');
    return shards.filter(({ leader }) => leader === id).map(({ partition }) => partition);
  };
  const [idle, ...hot] = await eventually(async () => {
    const [one, other] = [await ledBy('n1'), await ledBy('n2')];
    if (one.length === 3 && other.length === 3) return one;
    if (one.length + other.length === 6) await ask('POST', 'rebalance');
    return false;
  });
  // All have the same: bytes say nothing.
  for (const partitionId of [0, 1, 2, 3, 4, 5])
    await grid.nodes[0]!.data.set({ clsId: 'c', partitionId, objectId: 'o', object: { entries } });
  const moves = await eventually(async () => {
    const reads = hot.flatMap((partitionId) =>
      Array.from({ length: 200 }, () => grid.nodes[0]!.data.get({ clsId: 'c', partitionId, objectId: 'o' })),
    );
    await Promise.all(reads);
    const { moves } = await ask<Plan>('POST', 'rebalance?dry_run=true');
    // Until all has been reported, other reasons may be seen.
    return moves.length > 0 && moves.every(({ why }) => why === 'ops-balance') && moves;
  });
  expect(moves.map(({ what }) => what)).toEqual(moves.map(() => 'leader'));
  expect(moves.filter(({ partition }) => hot.includes(partition))).toHaveLength(1);
  expect(moves.filter(({ partition }) => partition === idle)).toEqual([]);
});
