import { oaasError } from '@oaas/commons/errors';

/**
 * How the objects of a class are laid out in its grid. Pure: PM uses it to show what a change would move, the CRM to
 * configure the grid, and both must come to the same answer.
 */

export type ShardType = 'basic' | 'raft' | 'mst';

export type Durability = 'persistent' | 'ephemeral';

export const shardTypes: readonly ShardType[] = ['basic', 'raft', 'mst'];

/** Largest values that a layout may ask for; validation refuses more. */
export const layoutBounds = { partitionCount: 1024, replicaCount: 9, nodeCount: 64, collections: 16 } as const;

/** The part of a class and its deployment that decides the layout. A record's spec and a unit of the wire both fit. */
export interface LayoutInput {
  readonly packageName: string;
  readonly classKey: string;
  readonly stateSpec?:
    | {
        readonly persistent?: boolean | undefined;
        readonly requiresSingleton?: boolean | undefined;
        readonly supportsBatchOperations?: boolean | undefined;
      }
    | undefined;
  readonly nfr?:
    | {
        /** Requests a second. */
        readonly minThroughputRps?: number | undefined;
        readonly maxLatencyMs?: number | undefined;
        /** Fraction of time, 0..1. */
        readonly availability?: number | undefined;
      }
    | undefined;
  /** What the deployment asks for by name. It wins over what is derived. */
  readonly odgm?:
    | {
        readonly collections?: readonly string[] | undefined;
        readonly partitionCount?: number | undefined;
        readonly replicaCount?: number | undefined;
        readonly shardType?: string | undefined;
        /** `node_count`: nodes of the grid. `durability`: persistent or ephemeral. */
        readonly options?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
}

export interface CollectionLayout {
  readonly name: string;
  /** Class ids that the collection answers to; only the first collection of a class has one. */
  readonly classIds: readonly string[];
  readonly partitionCount: number;
  readonly replicaCount: number;
  readonly shardType: ShardType;
  readonly durability: Durability;
}

export interface GridLayout {
  readonly collections: readonly CollectionLayout[];
  /** Nodes of the grid: as asked for, but never fewer than the replicas of a shard. */
  readonly nodeCount: number;
  /** Copies that the availability asks for; an explicit replica count does not change it. */
  readonly replicationFactor: number;
}

/**
 * The layout of one class.
 *
 * Source: section 7.2 of the platform's specification of the CRM. It gives fixed replica counts of 2 and 3 in its code
 * while its text says that the replication factor comes from the availability; the text is followed here: the replica
 * count is the explicit one, else the replication factor. A class always has a collection, with or without a state
 * specification, because its functions are called through one.
 *
 * Throws `InvalidArgument` for a shard type or durability that does not exist.
 */
export function gridLayout(input: LayoutInput): GridLayout {
  const { odgm } = input;
  const replicationFactor = replicationFactorFor(input.nfr?.availability);
  const replicaCount = odgm?.replicaCount ?? replicationFactor;
  const shape = {
    partitionCount: odgm?.partitionCount ?? derivedPartitionCount(input),
    replicaCount,
    shardType: odgm?.shardType === undefined ? derivedShardType(input, replicaCount) : parseShardType(odgm.shardType),
    durability: durabilityOf(input),
  };
  const classId = `${input.packageName}.${input.classKey}`;
  const names = collectionNames(input);
  return {
    collections: names.map((name, index) => ({ name, classIds: index === 0 ? [classId] : [], ...shape })),
    nodeCount: Math.max(replicaCount, wholeNumber(odgm?.options?.['node_count']) ?? replicaCount),
    replicationFactor,
  };
}

/** Copies of each shard for an availability (fraction of time). */
export function replicationFactorFor(availability: number | undefined): number {
  if (availability === undefined) return 1;
  if (availability >= 0.999) return 3;
  return availability >= 0.99 ? 2 : 1;
}

/** A name of the platform's id rules: lower case, `[a-z0-9._:-]`, other characters become dashes. */
export function collectionName(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9._:-]/g, '-');
}

function collectionNames(input: LayoutInput): readonly string[] {
  const explicit = [...new Set((input.odgm?.collections ?? []).map(collectionName))];
  if (explicit.length > 0) return explicit;
  return [collectionName(`${input.classKey}_${suffixOf(input)}`)];
}

function suffixOf({ stateSpec }: LayoutInput): 'singleton' | 'collection' | 'data' {
  if (stateSpec?.requiresSingleton === true) return 'singleton';
  return stateSpec?.supportsBatchOperations === true ? 'collection' : 'data';
}

function derivedPartitionCount(input: LayoutInput): number {
  const byThroughput = partitionCountFor(input.nfr?.minThroughputRps);
  switch (suffixOf(input)) {
    case 'singleton':
      return 1;
    case 'collection':
      return Math.max(4, byThroughput);
    case 'data':
      return byThroughput;
  }
}

function partitionCountFor(throughputRps: number | undefined): number {
  if (throughputRps === undefined) return 4;
  if (throughputRps <= 1000) return 1;
  if (throughputRps <= 5000) return 4;
  return throughputRps <= 20_000 ? 8 : 16;
}

/** Consensus costs round trips: replicated data under 50 ms is spread without it and may be read stale. */
function derivedShardType(input: LayoutInput, replicaCount: number): ShardType {
  if (replicaCount <= 1) return 'basic';
  const latencyMs = input.nfr?.maxLatencyMs;
  return latencyMs !== undefined && latencyMs < 50 ? 'basic' : 'raft';
}

function parseShardType(text: string): ShardType {
  const wanted = text.toLowerCase();
  const known = shardTypes.find((type) => type === wanted);
  if (known !== undefined) return known;
  throw oaasError('InvalidArgument', `"${text}" is not a shard type`, {
    remedy: `Use one of ${shardTypes.join(', ')}.`,
    details: { field: 'odgm.shard_type' },
  });
}

function durabilityOf(input: LayoutInput): Durability {
  const explicit = input.odgm?.options?.['durability'];
  if (explicit === undefined) return input.stateSpec?.persistent === false ? 'ephemeral' : 'persistent';
  if (explicit === 'persistent' || explicit === 'ephemeral') return explicit;
  throw oaasError('InvalidArgument', `"${explicit}" is not a durability`, {
    remedy: 'Use persistent or ephemeral.',
    details: { field: 'odgm.options.durability' },
  });
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,4}$/.test(text.trim()) ? Number(text) : undefined;
}
