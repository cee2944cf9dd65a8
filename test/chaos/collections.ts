export const partitions = 2;
export const replicas = 3;

/** Collections whose shards agree, and have a leader. */
export const agreeing = ['registers', 'ledger'] as const;
/** Types whose replicas merge, each with a collection of its name. */
export const merging = ['basic', 'mst'] as const;

/** All that is put on the grid. A collection of another type comes here with a workload of its own. */
export const collections = [
  ...agreeing.map((name) => ({ name, shardType: 'raft' })),
  ...merging.map((name) => ({ name, shardType: name })),
].map((one) => ({ ...one, partitionCount: partitions, replicaCount: replicas }));
