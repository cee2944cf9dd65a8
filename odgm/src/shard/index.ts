/** One shard: objects, their versions, and the order of their changes. */
export { defaultLimits } from './model.ts';
export type {
  Mutation,
  MutationResult,
  ObjectMeta,
  ShardCounters,
  ShardLimits,
  StoredObject,
  Value,
  ValueType,
} from './model.ts';
export type { ShardLocation } from './records.ts';
export { defaultPageSize, type ListQuery, maxPageBytes, maxPageSize, type Page } from './reader.ts';
export { Shard, type ShardOptions } from './shard.ts';
