import type { ShardType } from './types.ts';

/**
 * The type of a new collection for which none is asked: several replicas agree, one alone needs nobody. Source: section
 * 7.2 of the platform's specification of the CRM; its exception for short latencies needs requirements, which only the
 * CRM knows: it names the type.
 */
export function defaultShardType(replicaCount: number): ShardType {
  return replicaCount > 1 ? 'raft' : 'basic';
}
