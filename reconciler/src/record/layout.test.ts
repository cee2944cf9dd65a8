import { describe, expect, it } from 'vitest';
import { gridLayout, type LayoutInput, replicationFactorFor } from './layout.ts';

function layout(part: Partial<LayoutInput> = {}) {
  return gridLayout({ packageName: 'shop', classKey: 'Cart', ...part });
}

describe('gridLayout', () => {
  it('gives a class without any wish one durable collection of four partitions on one node', () => {
    expect(layout()).toEqual({
      collections: [
        {
          name: 'cart_data',
          classIds: ['shop.Cart'],
          partitionCount: 4,
          replicaCount: 1,
          shardType: 'basic',
          durability: 'persistent',
        },
      ],
      nodeCount: 1,
      replicationFactor: 1,
    });
  });

  it.each([
    [undefined, 1],
    [0.9, 1],
    [0.989, 1],
    [0.99, 2],
    [0.9989, 2],
    [0.999, 3],
    [1, 3],
  ])('an availability of %s asks for %i copies', (availability, copies) => {
    expect(replicationFactorFor(availability)).toBe(copies);
    const { replicationFactor, nodeCount, collections } = layout({ nfr: { availability } });
    expect([replicationFactor, nodeCount, collections[0]?.replicaCount]).toEqual([copies, copies, copies]);
  });

  it.each([
    [undefined, 4, 4],
    [0, 1, 4],
    [1000, 1, 4],
    [1001, 4, 4],
    [5000, 4, 4],
    [5001, 8, 8],
    [20_000, 8, 8],
    [20_001, 16, 16],
  ])('a throughput of %s rps makes %i partitions, %i for batches, and 1 for a singleton', (rps, plain, batch) => {
    const count = (stateSpec: LayoutInput['stateSpec']) =>
      layout({ stateSpec, nfr: { minThroughputRps: rps } }).collections[0]?.partitionCount;
    expect([
      count({}),
      count({ supportsBatchOperations: true }),
      count({ requiresSingleton: true, supportsBatchOperations: true }),
    ]).toEqual([plain, batch, 1]);
  });

  it.each([
    [{ requiresSingleton: true }, 'cart_singleton'],
    [{ supportsBatchOperations: true }, 'cart_collection'],
    [{}, 'cart_data'],
  ])('names the collection after the kind of state %j', (stateSpec, name) => {
    expect(layout({ stateSpec }).collections.map((collection) => collection.name)).toEqual([name]);
  });

  it.each([
    [0.9, undefined, 'basic'],
    [0.9, 10, 'basic'],
    [0.99, undefined, 'raft'],
    [0.99, 50, 'raft'],
    [0.99, 49, 'basic'],
    [0.999, 200, 'raft'],
  ])('availability %s with a latency of %s ms is served by %s shards', (availability, maxLatencyMs, type) => {
    expect(layout({ nfr: { availability, maxLatencyMs } }).collections[0]?.shardType).toBe(type);
  });

  it('lets explicit wishes win over what would be derived', () => {
    const result = layout({
      nfr: { availability: 0.999, minThroughputRps: 50_000 },
      stateSpec: { requiresSingleton: true },
      odgm: {
        collections: ['Carts', 'carts', 'Lost & Found'],
        partitionCount: 2,
        replicaCount: 1,
        shardType: 'MST',
        options: { node_count: '3', durability: 'ephemeral' },
      },
    });
    const shape = { partitionCount: 2, replicaCount: 1, shardType: 'mst', durability: 'ephemeral' };
    expect(result).toEqual({
      collections: [
        { name: 'carts', classIds: ['shop.Cart'], ...shape },
        { name: 'lost---found', classIds: [], ...shape },
      ],
      nodeCount: 3,
      replicationFactor: 3,
    });
  });

  it('decides on consensus by the replicas that there are, not by the availability', () => {
    expect(layout({ nfr: { availability: 0.999 }, odgm: { replicaCount: 1 } }).collections[0]?.shardType).toBe('basic');
    expect(layout({ odgm: { replicaCount: 3 } }).collections[0]?.shardType).toBe('raft');
  });

  it('never has fewer nodes than replicas, and ignores a node count that is no number', () => {
    expect(layout({ odgm: { replicaCount: 3, options: { node_count: '1' } } }).nodeCount).toBe(3);
    expect(layout({ odgm: { options: { node_count: 'many' } } }).nodeCount).toBe(1);
  });

  it('keeps state that is declared volatile in memory', () => {
    expect(layout({ stateSpec: { persistent: false } }).collections[0]?.durability).toBe('ephemeral');
    expect(layout({ stateSpec: { persistent: true } }).collections[0]?.durability).toBe('persistent');
  });

  it('refuses a shard type and a durability that do not exist, naming the field', () => {
    expect(() => layout({ odgm: { shardType: 'paxos' } })).toThrow('"paxos" is not a shard type');
    expect(() => layout({ odgm: { options: { durability: 'maybe' } } })).toThrow('"maybe" is not a durability');
  });
});
