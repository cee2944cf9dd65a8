import { beforeEach, describe, expect, it } from 'vitest';
import { planPlacement } from '../placement/index.ts';
import {
  createMetaState,
  decodeState,
  encodeState,
  metaShard,
  ownersOf,
  placementSnapshot,
  refusalError,
  shardsOfMember,
} from './index.ts';
import { member, MetaUnderTest, spec } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('collections', () => {
  beforeEach(() => {
    meta.bootstrap();
  });

  it('get shards with numbers that are never used again', () => {
    expect(meta.accept({ type: 'putCollection', spec: spec('c') }).shards).toEqual([1, 2]);
    expect(meta.state.collections.get('c')?.status).toBe('placing');
    meta.accept({ type: 'deleteCollection', name: 'c' });
    expect(meta.accept({ type: 'putCollection', spec: spec('c'), anew: true }).shards).toEqual([3, 4]);
    expect([...meta.state.shards.keys()]).toEqual([metaShard, 3, 4]);
  });

  it('that were deleted come back only where that is said, also in a state that was restored', () => {
    meta.accept({ type: 'putCollection', spec: spec('c', { classIds: ['k'] }) });
    meta.accept({ type: 'deleteCollection', name: 'c' });
    expect(meta.run({ type: 'deleteCollection', name: 'c' })).toMatchObject({ code: 'CollectionUnknown' });
    meta.state = decodeState(encodeState(meta.state));
    const refusal = meta.run({ type: 'putCollection', spec: spec('c') });
    expect(refusal).toMatchObject({ code: 'CollectionDeleted' });
    expect(refusalError(refusal as never)).toMatchObject({
      code: 'FailedPrecondition',
      remedy: expect.stringContaining('PUT /admin/collections') as string,
    });
    expect(meta.state.deleted).toMatchObject([{ spec: { name: 'c', classIds: ['k'] } }]);
    meta.accept({ type: 'putCollection', spec: spec('other', { classIds: ['k'] }) });
    expect(meta.run({ type: 'putCollection', spec: spec('c', { classIds: ['k'] }), anew: true })).toMatchObject({
      code: 'NameTaken',
    });
    meta.accept({ type: 'putCollection', spec: spec('c'), anew: true });
    expect(meta.state.deleted).toEqual([]);
    // An unneeded word changes nothing.
    expect(meta.run({ type: 'putCollection', spec: spec('c'), anew: true })).toMatchObject({
      ok: true,
      changed: false,
    });
  });

  it('cannot be deleted while a member runs a build that would let them come back', () => {
    meta.state = createMetaState();
    meta.accept({ type: 'bootstrap', clusterId: 'blue', members: [member('grid-0', { commandVersion: 1 })] });
    meta.accept({ type: 'putCollection', spec: spec('c') });
    expect(meta.run({ type: 'deleteCollection', name: 'c' })).toMatchObject({ code: 'UnsupportedCommand' });
    meta.accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-0') });
    meta.accept({ type: 'deleteCollection', name: 'c' });
  });

  it('that were deleted are remembered up to a bound', () => {
    for (let i = 0; i <= 1000; i++) {
      meta.accept({ type: 'putCollection', spec: spec(`c${i}`, { partitionCount: 1 }) });
      meta.accept({ type: 'deleteCollection', name: `c${i}` });
    }
    expect(meta.state.deleted).toHaveLength(1000);
    expect(meta.state.deleted[0]?.spec.name).toBe('c1');
  });

  it('keep partitions, type and durability, and take another number of replicas', () => {
    const shards = meta.placed();
    expect(meta.state.collections.get('c')?.status).toBe('ready');
    for (const change of [{ partitionCount: 4 }, { shardType: 'mst' }, { durability: 'ephemeral' }] as const) {
      expect(meta.run({ type: 'putCollection', spec: spec('c', change) })).toMatchObject({ code: 'Immutable' });
    }
    expect(meta.run({ type: 'putCollection', spec: spec('c') })).toMatchObject({ ok: true, changed: false });
    expect(meta.accept({ type: 'putCollection', spec: spec('c', { replicaCount: 1 }) }).shards).toEqual(shards);
    const plan = planPlacement(placementSnapshot(meta.state, new Map(), { kind: 'replica-count' }, meta.isGone));
    expect(plan.moves.filter(({ to }) => to === undefined)).toHaveLength(4);
  });

  it('of type basic keep how their shards are stored when the number of replicas changes', () => {
    const merges = (): (boolean | undefined)[] => [1, 2, 3, 4].map((id) => meta.state.shards.get(id)?.merges);
    meta.accept({ type: 'putCollection', spec: spec('one', { shardType: 'basic', replicaCount: 1 }) });
    meta.accept({ type: 'putCollection', spec: spec('many', { shardType: 'basic', replicaCount: 3 }) });
    expect(merges()).toEqual([false, false, true, true]);
    meta.accept({ type: 'putCollection', spec: spec('one', { shardType: 'basic', replicaCount: 3 }) });
    meta.accept({ type: 'putCollection', spec: spec('many', { shardType: 'basic', replicaCount: 1 }) });
    expect(merges()).toEqual([false, false, true, true]);
    // What agrees by a log cannot be changed without a majority.
    const { shards } = placementSnapshot(meta.state, new Map(), { kind: 'rebalance' }, meta.isGone);
    expect(shards.map(({ needsQuorum }) => needsQuorum)).toEqual([true, true, false, false]);
  });

  it('claim names and class ids for themselves', () => {
    meta.accept({ type: 'putCollection', spec: spec('c', { classIds: ['p.C'] }) });
    expect(meta.run({ type: 'putCollection', spec: spec('p.C') })).toMatchObject({ code: 'NameTaken' });
    expect(meta.run({ type: 'putCollection', spec: spec('d', { classIds: ['c'] }) })).toMatchObject({
      code: 'NameTaken',
    });
    expect(meta.run({ type: 'putCollection', spec: spec('') })).toMatchObject({ code: 'Invalid' });
    expect(meta.run({ type: 'putCollection', spec: spec('e', { partitionCount: 0 }) })).toMatchObject({
      code: 'Invalid',
    });
  });

  it('are placed once, all shards of a command or none', () => {
    const shards = meta.accept({ type: 'putCollection', spec: spec('c') }).shards ?? [];
    const [first, second] = shards as [number, number];
    const bad = meta.run({
      type: 'assignShards',
      assignments: [
        { shard: first, replicas: [1, 2] },
        { shard: second, replicas: [1, 9] },
      ],
    });
    expect(bad).toMatchObject({ code: 'MemberUnknown' });
    expect(meta.state.shards.get(first)?.replicas).toEqual([]);
    const double = { shard: first, replicas: [1, 1] };
    expect(meta.run({ type: 'assignShards', assignments: [double] })).toMatchObject({ code: 'Invalid' });
    meta.accept({ type: 'assignShards', assignments: [{ shard: first, replicas: [3, 2], leader: 2 }] });
    expect(meta.run({ type: 'assignShards', assignments: [{ shard: first, replicas: [1] }] })).toMatchObject({
      code: 'AlreadyPlaced',
    });
    expect(ownersOf(meta.state, 'c')?.map((owners) => owners.map(({ id }) => id))).toEqual([['grid-1', 'grid-2'], []]);
    expect(shardsOfMember(meta.state, 3).map(({ id }) => id)).toEqual([metaShard, first]);
  });
});
