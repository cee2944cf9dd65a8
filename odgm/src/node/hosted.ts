import type { Clock } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import { placePartitions, stableHash } from '../placement/index.ts';
import { Shard, type ShardCounters } from '../shard/index.ts';
import type { Storage } from '../storage/index.ts';
import { type CollectionSpec, limitsOf, unsupportedReason } from './collection.ts';
import type { LayoutBook } from './layout.ts';
import { type Holding, ownersOf, servedPartitionCount } from './ownership.ts';
import type { OperationWindow } from './performance.ts';

export interface CollectionStorage {
  readonly storage: Storage;
  readonly layouts: LayoutBook;
}

/** One collection on this node: the shards that are stored here, and who serves which partition. */
export class HostedCollection {
  readonly spec: CollectionSpec;
  readonly reads: OperationWindow;
  readonly writes: OperationWindow;
  readonly #self: string;
  readonly #clock: Clock;
  readonly #members: readonly string[];
  readonly #shards = new Map<number, Shard>();
  #store: CollectionStorage | undefined;
  #slot = 0;
  #partitionCount: number;
  #owners: readonly string[] = [];
  #reason: string | undefined;
  #displaced: readonly number[] = [];

  constructor(options: {
    readonly spec: CollectionSpec;
    readonly self: string;
    readonly clock: Clock;
    readonly members: readonly string[];
    readonly reads: OperationWindow;
    readonly writes: OperationWindow;
  }) {
    this.spec = options.spec;
    this.reads = options.reads;
    this.writes = options.writes;
    this.#self = options.self;
    this.#clock = options.clock;
    this.#members = options.members;
    this.#partitionCount = options.spec.partitionCount;
    this.#reason = unsupportedReason(options.spec);
    if (this.#reason !== undefined) this.#owners = [];
  }

  /** False when this build cannot serve the collection at all. */
  get isSupported(): boolean {
    return unsupportedReason(this.spec) === undefined;
  }

  get partitionCount(): number {
    return this.#partitionCount;
  }

  /** Why the collection is not served, or not as configured. */
  get reason(): string | undefined {
    if (this.#reason !== undefined || this.#displaced.length === 0) return this.#reason;
    return `partitions ${this.#displaced.join(', ')} are served where their objects are, not where placement puts them`;
  }

  /** Member that serves the partition; empty when nobody does. */
  ownerOf(partition: number): string {
    return this.#owners[partition] ?? '';
  }

  shard(partition: number): Shard | undefined {
    return this.#shards.get(partition);
  }

  /** Shards that this node serves. */
  ownShards(): { readonly partition: number; readonly shardId: number; readonly counters: ShardCounters }[] {
    return [...this.#shards.values()]
      .filter(({ partition }) => this.ownerOf(partition) === this.#self)
      .map(({ partition, counters }) => ({ partition, shardId: shardIdOf(this.spec.name, partition), counters }));
  }

  /** Opens what is stored. Other members can be told about it from then on. */
  openStored(store: CollectionStorage): void {
    this.#store = store;
    const layout = store.layouts.get(this.spec.name);
    if (layout === undefined) return;
    this.#slot = layout.slot;
    this.#partitionCount = layout.partitionCount;
    for (let partition = 0; partition < layout.partitionCount; partition++) this.#open(partition);
  }

  /** Settles the layout for this run, after hearing from the others as far as they answer. */
  async settle(others: readonly Holding[]): Promise<void> {
    if (this.#store === undefined) return;
    const { partitionCount, reason } = servedPartitionCount(this.spec.partitionCount, this.holding(), others);
    if (partitionCount !== this.#partitionCount) this.#shards.clear();
    const layout = await this.#store.layouts.set(this.spec.name, partitionCount);
    this.#slot = layout.slot;
    this.#partitionCount = partitionCount;
    this.#reason = reason;
    this.refreshOwners(others);
  }

  /** Takes what the other members hold into account. */
  refreshOwners(others: readonly Holding[]): void {
    const own = this.holding();
    const placed = placePartitions({
      collection: this.spec.name,
      partitionCount: this.#partitionCount,
      replicaCount: 1,
      members: this.#members,
    });
    const { owners, displaced } = ownersOf(placed, own === undefined ? others : [own, ...others]);
    owners.forEach((owner, partition) => {
      if (owner === this.#self && !this.#shards.has(partition)) this.#open(partition);
    });
    this.#owners = owners;
    this.#displaced = displaced;
  }

  /** What this node holds, for the others. */
  holding(): Holding | undefined {
    if (this.#slot === 0) return undefined;
    const partitions = [...this.#shards.values()].filter(({ counters }) => counters.objects > 0);
    return {
      member: this.#self,
      partitionCount: this.#partitionCount,
      partitions: new Set(partitions.map(({ partition }) => partition)),
    };
  }

  report(): peer.CollectionReport {
    const reads = this.reads.read();
    const writes = this.writes.read();
    return {
      name: this.spec.name,
      partitionCount: this.#partitionCount,
      reason: this.reason ?? '',
      shards: [...this.#shards.values()]
        .filter(({ partition, counters }) => counters.objects > 0 || this.ownerOf(partition) === this.#self)
        .map(({ partition, counters }) => ({
          partition,
          ...counters,
          state: 'ready',
          shardId: shardIdOf(this.spec.name, partition),
          group: undefined,
          reason: '',
        })),
      performanceStats: {
        readsPerSecond: reads.perSecond,
        writesPerSecond: writes.perSecond,
        readP99Ms: reads.p99Ms,
        writeP99Ms: writes.p99Ms,
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shards.values()].map((shard) => shard.close()));
  }

  #open(partition: number): void {
    if (this.#store === undefined) return;
    const shard = new Shard({
      collection: this.spec.name,
      partition,
      location: { shard: soleShardId(this.#slot, partition), generation: 0 },
      clock: this.#clock,
      storage: this.#store.storage,
      limits: limitsOf(this.spec),
    });
    this.#shards.set(partition, shard);
  }
}

/** Number of a shard that only this node has, by what the node's storage calls its collection: apart from those that a grid gives. */
function soleShardId(slot: number, partition: number): number {
  return 2 ** 46 + slot * 2 ** 16 + partition;
}

/** A number for the shard that is the same on every node; 32 bits, never 0. */
export function shardIdOf(collection: string, partition: number): number {
  return stableHash('shard', collection, String(partition)) || 1;
}
