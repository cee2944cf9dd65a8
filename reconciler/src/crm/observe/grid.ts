import { z } from 'zod';
import type { GridStatus } from '../../record/index.ts';

/** What a grid says about itself, and when. */
export interface GridObservation {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly result:
    { readonly ok: true; readonly status: GridNumbers } | { readonly ok: false; readonly message: string };
}

export interface GridNumbers extends Omit<GridStatus, 'summary' | 'observedAt'> {
  /** Collections of which no shard serves, and why. */
  readonly unavailable: readonly UnavailableCollection[];
}

export interface UnavailableCollection {
  readonly name: string;
  readonly reason: string;
  /** The grid cannot serve it as it is configured, however long one waits: code of the error table. */
  readonly refusal?: 'ShardTypeUnsupported' | undefined;
}

const wholeNumber = z.number().int().nonnegative().catch(0);

/** The parts of the admin API's answers that are read. What is not understood counts as zero, never as an error. */
export const clusterStatusSchema = z.object({
  cluster_id: z.string().catch(''),
  total_nodes: wholeNumber,
  active_nodes: wholeNumber,
});

export const collectionsSchema = z.object({
  collections: z
    .array(
      z.object({
        name: z.string(),
        shard_type: z.string().catch(''),
        partition_count: wholeNumber,
        replica_count: wholeNumber,
        total_objects: wholeNumber,
        size_bytes: wholeNumber,
        shards_ready: wholeNumber,
        state: z.string().catch(''),
        reason: z.string().catch(''),
        // Code of the error table; grids of older versions say it in the reason only.
        code: z.string().optional().catch(undefined),
      }),
    )
    .max(1024),
});

export function gridNumbers(
  cluster: z.infer<typeof clusterStatusSchema>,
  { collections }: z.infer<typeof collectionsSchema>,
): GridNumbers {
  const sum = (value: (one: (typeof collections)[number]) => number) =>
    collections.reduce((total, one) => total + value(one), 0);
  return {
    clusterId: cluster.cluster_id,
    membersTotal: cluster.total_nodes,
    membersReady: cluster.active_nodes,
    shardsTotal: sum((one) => one.partition_count),
    shardsReady: sum((one) => one.shards_ready),
    objects: sum((one) => one.total_objects),
    bytes: sum((one) => one.size_bytes),
    collections: collections.map((one) => ({
      name: one.name,
      shardType: one.shard_type,
      partitionCount: one.partition_count,
      replicaCount: one.replica_count,
      objects: one.total_objects,
      bytes: one.size_bytes,
      shardsReady: one.shards_ready,
    })),
    unavailable: collections
      .filter((one) => one.state === 'unavailable' && one.reason !== '')
      .map((one) => ({
        name: one.name,
        reason: one.reason,
        ...(isUnsupported(one) ? { refusal: 'ShardTypeUnsupported' as const } : {}),
      })),
  };
}

function isUnsupported({ code, reason }: { readonly code?: string | undefined; readonly reason: string }): boolean {
  return code === undefined ? /is not part of this build/.test(reason) : code === 'ShardTypeUnsupported';
}
