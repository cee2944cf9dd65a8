import { expect, it } from 'vitest';
import { apply, type Command, createMetaState } from '../meta/index.ts';
import { planTask, type TaskWish } from './index.ts';

const state = createMetaState();

function accept(command: Command extends infer C ? (C extends Command ? Omit<C, 'at'> : never) : never): void {
  expect(apply(state, { known: true, version: 1, command: { ...command, at: 0 } as Command })).toMatchObject({
    ok: true,
  });
}

it('leaves a shard alone that has no place yet: taken one by one, its replicas would have nobody to begin from', () => {
  const members = ['grid-0', 'grid-1', 'grid-2'].map((id) => ({
    ...{ id, address: '', admin: '', zone: '', incarnation: id, commandVersion: 1 },
  }));
  accept({ type: 'bootstrap', clusterId: 'c', members });
  const invocations = { fnRoutes: {}, disabledFn: [] };
  const spec = { name: 'c', classIds: [], partitionCount: 2, replicaCount: 3, options: {}, invocations };
  accept({ type: 'putCollection', spec: { ...spec, shardType: 'raft', durability: 'persistent' } });
  const kinds: TaskWish['kind'][] = ['rebalance', 'drain', 'repair', 'change-replicas'];
  for (const kind of kinds) {
    expect(
      planTask(state, new Map(), { kind, collection: '', member: kind === 'drain' ? 1 : undefined }, () => false).moves,
    ).toEqual([]);
  }
  const [shard = 0] = state.collections.get('c')?.shards ?? [];
  accept({ type: 'assignShards', assignments: [{ shard, replicas: [1] }] });
  const { moves } = planTask(state, new Map(), { kind: 'change-replicas', collection: '' }, () => false);
  expect(new Set(moves.map((move) => move.shard))).toEqual(new Set([shard]));
});
