/** One shard: objects, their versions, and the order of their changes. */
export { defaultLimits } from './model.ts';
export type { Mutation, MutationResult, ObjectMeta, ShardCounters, ShardLimits, StoredObject, Value } from './model.ts';
export type { ListQuery } from './reader.ts';
export { Shard } from './shard.ts';
