import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import type { Shard } from '../shard/index.ts';
import type { Storage } from '../storage/index.ts';
import { type CollectionSpec, indexByClassId } from './collection.ts';
import { type CollectionStorage, HostedCollection } from './hosted.ts';
import { LayoutBook } from './layout.ts';
import type { Member } from './members.ts';
import { Membership, type MemberView, type PeerPort } from './membership.ts';
import type { Holding } from './ownership.ts';
import { OperationWindow } from './performance.ts';

export interface NodeOptions {
  readonly clusterId: string;
  readonly version: string;
  readonly members: readonly Member[];
  readonly self: Member;
  readonly collections: readonly CollectionSpec[];
  /** Called at most once per durability, and only for one that a collection uses. */
  readonly openStorage: (durability: 'persistent' | 'ephemeral') => Promise<Storage>;
  readonly peers: PeerPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  /** How long a start waits to hear from every other member before it goes on with those that answered. */
  readonly joinTimeoutMs: number;
  /** Resident memory in bytes. */
  readonly memoryBytes: () => number;
}

/** `opening`: what is stored is not known yet. `joining`: it is, and the other members are being heard. */
export type Phase = 'opening' | 'joining' | 'ready' | 'draining';

/** Where a call belongs. */
export type Located =
  | { readonly kind: 'local'; readonly collection: HostedCollection; readonly shard: Shard }
  | {
      readonly kind: 'remote';
      readonly collection: HostedCollection;
      readonly partition: number;
      readonly member: Member;
    };

/** Retry hint of a call that came while the node starts or an owner is unknown. */
const retryAfterMs = 500;
const joinRetryMs = 100;

/** One node of the grid: its collections, its view of the members, and which of the two a call needs. */
export class GridNode {
  readonly #options: NodeOptions;
  readonly #classIndex: ReadonlyMap<string, string>;
  readonly #collections: ReadonlyMap<string, HostedCollection>;
  readonly #membership: Membership;
  readonly #stores = new Map<'persistent' | 'ephemeral', CollectionStorage>();
  readonly #startedAt: number;
  #phase: Phase = 'opening';

  /** Throws `ConfigInvalid` when two collections claim one name. */
  constructor(options: NodeOptions) {
    const { clock } = options;
    this.#options = options;
    this.#startedAt = clock.monotonic();
    this.#classIndex = indexByClassId(options.collections);
    const members = options.members.map(({ id }) => id);
    this.#collections = new Map(
      options.collections.map((spec) => [
        spec.name,
        new HostedCollection({
          spec,
          self: options.self.id,
          clock,
          members,
          reads: new OperationWindow(clock),
          writes: new OperationWindow(clock),
        }),
      ]),
    );
    this.#membership = new Membership({
      members: options.members,
      self: options.self,
      peers: options.peers,
      clock,
      timers: options.timers,
      logger: options.logger,
      heartbeatMs: options.heartbeatMs,
      ownReport: () => this.report(),
      onChange: () => {
        this.#refreshOwners();
      },
    });
  }

  get self(): Member {
    return this.#options.self;
  }

  get clusterId(): string {
    return this.#options.clusterId;
  }

  /** True when all own shards are open and the node is not stopping. */
  get isReady(): boolean {
    return this.#phase === 'ready';
  }

  /** Why the node is not ready. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Opens storage and shards, hears the other members, and takes up service. Must be reachable for them by then. */
  async start(signal?: AbortSignal): Promise<void> {
    const supported = [...this.#collections.values()].filter(({ isSupported }) => isSupported);
    for (const { spec, isSupported, reason } of this.#collections.values()) {
      if (!isSupported) this.#options.logger.error({ collection: spec.name, reason }, 'collection cannot be served');
    }
    for (const collection of supported) {
      collection.openStored(await this.#storeFor(collection.spec.durability));
    }
    this.#phase = 'joining';
    await this.#hearFromAll(signal);
    for (const collection of supported) {
      await collection.settle(this.#othersHolding(collection.spec.name));
      const { spec, reason } = collection;
      if (reason !== undefined)
        this.#options.logger.warn({ collection: spec.name, reason }, 'collection differs from configuration');
    }
    this.#membership.start();
    // A stop may have come meanwhile.
    if (this.#isStarting()) this.#phase = 'ready';
    this.#options.logger.info({ node: this.self.id, collections: supported.length }, 'node ready');
  }

  /** Takes the node out of readiness; calls are still answered. */
  drain(): void {
    this.#phase = 'draining';
  }

  /** Commits what is under way and closes storage. */
  async stop(): Promise<void> {
    this.#phase = 'draining';
    this.#membership.stop();
    await Promise.all([...this.#collections.values()].map((collection) => collection.close()));
    for (const { storage } of this.#stores.values()) await storage.close();
    this.#stores.clear();
  }

  /**
   * The collection that a class id or collection name leads to. Throws `NotFound`, and `ShardTypeUnsupported` for a
   * collection that this build cannot serve.
   */
  collection(classId: string): HostedCollection {
    const collection = this.#collections.get(this.#classIndex.get(classId) ?? '');
    if (collection === undefined) {
      throw oaasError('NotFound', `there is no collection or class "${classId}"`, {
        remedy: 'Use <package>.<class> or the name of a collection.',
        details: { known: [...this.#classIndex.keys()].slice(0, 50) },
      });
    }
    if (!collection.isSupported) {
      throw oaasError('ShardTypeUnsupported', `collection ${collection.spec.name}: ${collection.reason ?? ''}`);
    }
    return collection;
  }

  /** Where a partition is served. Throws as {@link collection}, `InvalidArgument` for a partition out of range, `Unavailable`. */
  locate(collection: HostedCollection, partition: number): Located {
    if (this.#isStarting()) throw oaasError('Unavailable', 'the node is starting', { retryAfterMs });
    if (!Number.isInteger(partition) || partition < 0 || partition >= collection.partitionCount) {
      throw oaasError('InvalidArgument', `partition ${String(partition)} is out of range`, {
        remedy: `Collection ${collection.spec.name} has partitions 0 to ${String(collection.partitionCount - 1)}.`,
        details: { partitionCount: collection.partitionCount },
      });
    }
    const owner = collection.ownerOf(partition);
    if (owner === this.self.id) {
      const shard = collection.shard(partition);
      if (shard !== undefined) return { kind: 'local', collection, shard };
    }
    const member = this.#options.members.find(({ id }) => id === owner);
    if (member === undefined) throw oaasError('Unavailable', 'no member serves the partition', { retryAfterMs });
    return { kind: 'remote', collection, partition, member };
  }

  collections(): HostedCollection[] {
    return [...this.#collections.values()];
  }

  members(): MemberView[] {
    return this.#membership.view();
  }

  /** What this node tells another member. Throws `Unavailable` before it knows what it holds: that is not nothing. */
  reportToPeer(): peer.NodeReport {
    if (this.#phase === 'opening') throw oaasError('Unavailable', 'the node opens its storage', { retryAfterMs });
    return this.report();
  }

  /** What this node knows of itself. */
  report(): peer.NodeReport {
    return {
      clusterId: this.#options.clusterId,
      nodeId: this.self.id,
      version: this.#options.version,
      uptimeSeconds: Math.floor((this.#options.clock.monotonic() - this.#startedAt) / 1000),
      memoryBytes: this.#options.memoryBytes(),
      ready: this.isReady,
      draining: this.#phase === 'draining',
      collections: this.collections().map((collection) => collection.report()),
      member: 0,
      meta: undefined,
      links: [],
    };
  }

  #isStarting(): boolean {
    return this.#phase === 'opening' || this.#phase === 'joining';
  }

  async #storeFor(durability: 'persistent' | 'ephemeral'): Promise<CollectionStorage> {
    const known = this.#stores.get(durability);
    if (known !== undefined) return known;
    const storage = await this.#options.openStorage(durability);
    const store = { storage, layouts: new LayoutBook(storage) };
    this.#stores.set(durability, store);
    return store;
  }

  /** A member that is down does not keep the others from starting, but one that is only slow should be heard. */
  async #hearFromAll(signal: AbortSignal | undefined): Promise<void> {
    const { clock, timers, joinTimeoutMs, logger } = this.#options;
    const deadline = clock.monotonic() + joinTimeoutMs;
    while (!(await this.#membership.askAll())) {
      if (clock.monotonic() >= deadline) {
        logger.warn({ joinTimeoutMs }, 'not all members answered; starting without them');
        return;
      }
      await sleep(timers, joinRetryMs, signal);
    }
  }

  #refreshOwners(): void {
    if (this.#isStarting()) return;
    for (const collection of this.#collections.values()) {
      if (collection.isSupported) collection.refreshOwners(this.#othersHolding(collection.spec.name));
    }
  }

  #othersHolding(name: string): Holding[] {
    return this.#membership.view().flatMap(({ member, report }) => {
      const collection = report?.collections.find((candidate) => candidate.name === name);
      if (member.id === this.self.id || collection === undefined) return [];
      const partitions = collection.shards.filter(({ objects }) => objects > 0).map(({ partition }) => partition);
      return [{ member: member.id, partitionCount: collection.partitionCount, partitions: new Set(partitions) }];
    });
  }
}
