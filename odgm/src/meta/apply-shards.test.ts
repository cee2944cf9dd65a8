import { beforeEach, describe, expect, it } from 'vitest';
import { MetaUnderTest } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('replicas of a shard', () => {
  it('change only from the epoch that the change was decided on', () => {
    meta.bootstrap();
    const [shard] = meta.placed() as [number];
    const replicas = [{ member: 1, role: 'voter' as const }];
    expect(meta.run({ type: 'updateShardReplicas', shard, expectedEpoch: 0, replicas })).toMatchObject({
      code: 'EpochConflict',
      epoch: 1,
    });
    meta.accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas });
    expect(meta.state.shards.get(shard)).toMatchObject({ epoch: 2, replicas, preferredLeader: 1 });
    meta.accept({
      type: 'updateShardReplicas',
      shard,
      expectedEpoch: 2,
      replicas: [...replicas, { member: 2, role: 'learner' }],
    });
    expect(meta.state.shards.get(shard)?.replicas).toEqual([
      { member: 1, role: 'voter', epoch: 1 },
      { member: 2, role: 'learner', epoch: 3 },
    ]);
    const learners = [{ member: 1, role: 'learner' as const }];
    expect(meta.run({ type: 'updateShardReplicas', shard, expectedEpoch: 3, replicas: learners })).toMatchObject({
      code: 'Invalid',
    });
  });
});
