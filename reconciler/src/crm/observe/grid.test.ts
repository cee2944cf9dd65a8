import { describe, expect, it } from 'vitest';
import { clusterStatusSchema, collectionsSchema, gridNumbers } from './grid.ts';

const cluster = clusterStatusSchema.parse({ cluster_id: 'c', total_nodes: 1, active_nodes: 1 });
const collection = { name: 'c_data', shard_type: 'mst', partition_count: 4, replica_count: 1, shards_ready: 0 };

function unavailable(change: object) {
  const collections = collectionsSchema.parse({ collections: [{ ...collection, state: 'unavailable', ...change }] });
  return gridNumbers(cluster, collections).unavailable;
}

describe('a collection of which no shard serves', () => {
  it('is refused for good where the grid says so by its code', () => {
    const reason = 'mst comes with a later version';
    expect(unavailable({ reason, code: 'ShardTypeUnsupported' })).toEqual([
      { name: 'c_data', reason, refusal: 'ShardTypeUnsupported' },
    ]);
  });

  it('is only away where its shards do not answer, whatever the words', () => {
    const reason = '4 of 4 shards do not answer; replica and shard type are unknown';
    expect(unavailable({ reason, code: '' })).toEqual([{ name: 'c_data', reason }]);
    expect(unavailable({ reason })).toEqual([{ name: 'c_data', reason }]);
  });

  it('of a grid that gives no codes is told by what that grid says', () => {
    expect(unavailable({ reason: 'shard type mst is not part of this build' })).toMatchObject([
      { refusal: 'ShardTypeUnsupported' },
    ]);
  });

  it('is none while some of it serves', () => {
    expect(unavailable({ state: 'degraded', reason: '1 of 4 shards do not answer' })).toEqual([]);
  });
});
