import { oaasError } from '@oaas/commons/errors';
import { sleep, toRfc3339 } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import {
  type CollectionAsk,
  type DeletedCollection,
  makeAnew,
  type MetaGroup,
  metaShard,
  type ShardRecord,
} from '../meta/index.ts';
import type { EventualCounters } from '../replication/index.ts';
import type { Consistency, ShardHandle } from '../shard/index.ts';
import type { Engine } from '../storage/index.ts';
import type { TaskCoordinator } from '../tasks/index.ts';
import { admit } from './admission.ts';
import { indexByClassId } from './collection.ts';
import type { FunctionEvents } from './function-events.ts';
import { ConfiguredCollections } from './configured-collections.ts';
import { Elections } from './elections.ts';
import type { HostedCollection } from './hosted.ts';
import { HostedCollections } from './hosted-collections.ts';
import type { NodeIdentity } from './identity.ts';
import type { Member } from './members.ts';
import { OwnMembership, type OwnMembershipOptions } from './own-membership.ts';
import {
  collectionReport,
  eventReport,
  groupReport,
  linkBytes,
  linkReport,
  ownLoads,
  ownReplicas,
  storageReport,
} from './own-report.ts';
import { assembleParts, closeParts, type NodeParts, type PartsOptions } from './parts.ts';
import { Quarantine } from './quarantine.ts';
import { type MemberView, Reports, type ReportPort } from './reports.ts';

export interface NodeOptions extends PartsOptions, Omit<OwnMembershipOptions, 'signal'> {
  readonly version: string;
  readonly collections: readonly CollectionAsk[];
  /** Called at most once per durability. `onCorruption`: to be told of all that cannot be read, when it is read. */
  readonly openEngine: (
    durability: 'persistent' | 'ephemeral',
    onCorruption: (error: Error) => void,
  ) => Promise<Engine>;
  readonly reportPort: ReportPort;
  readonly joinTimeoutMs: number;
  /** Resident memory in bytes. */
  readonly memoryBytes: () => number;
  /** What only the process knows of what it uses. */
  readonly resources: () => Omit<peer.ResourceReport, keyof ReturnType<typeof storageReport>>;
}

/** `opening`: what is stored is not known yet. `joining`: looks for its cluster, or opens its shards. */
export type Phase = 'opening' | 'joining' | 'ready' | 'draining' | 'removed';

/** Where a call belongs. */
export type Located =
  | { readonly kind: 'local'; readonly collection: HostedCollection; readonly shard: ShardHandle }
  | {
      readonly kind: 'remote';
      readonly collection: HostedCollection;
      readonly partition: number;
      readonly member: Member;
    };

/** Retry hint of a call that came while the node starts or nobody leads. */
const retryAfterMs = 100;
const lookMs = 20;

/** One node of the grid: a member of the meta group, its shard replicas, and where a call that comes here belongs. */
export class GridNode {
  readonly #options: NodeOptions;
  readonly #startedAt: number;
  readonly #collections: HostedCollections;
  readonly #engines = new Map<'persistent' | 'ephemeral', Engine>();
  readonly #stop = new AbortController();
  readonly reports: Reports;
  readonly elections: Elections;
  readonly #quarantine: Quarantine;
  readonly #membership: OwnMembership;
  readonly #configured: ConfiguredCollections;
  #parts: NodeParts | undefined;
  #phase: Phase = 'opening';

  /** Throws `ConfigInvalid` when two collections claim one name. */
  constructor(options: NodeOptions) {
    const { clock } = options;
    this.#options = options;
    this.#startedAt = clock.monotonic();
    indexByClassId(options.collections);
    this.#collections = new HostedCollections(clock);
    const { signal } = this.#stop;
    this.#membership = new OwnMembership({ ...options, signal });
    this.#configured = new ConfiguredCollections({ timers: options.timers, logger: options.logger, signal });
    this.elections = new Elections(clock);
    this.#quarantine = new Quarantine({
      ...{ clock, timers: options.timers, logger: options.logger },
      self: () => this.number,
      meta: () => this.#parts?.meta,
      replicas: () => this.#parts?.replicas,
    });
    this.reports = new Reports({
      port: options.reportPort,
      clock,
      clusterId: options.clusterId,
      self: options.self,
      ownReport: () => this.report(),
      ownLoads: () => ownLoads(this.collections(), this.number),
      state: () => this.#parts?.meta.state,
      links: () => this.#parts?.mesh.peers() ?? [],
    });
  }

  get self(): Member {
    return this.#options.self;
  }

  /** Number of this member; 0 before it has joined. */
  get number(): number {
    return this.#membership.number;
  }

  get clusterId(): string {
    return this.#options.clusterId;
  }

  /** True when the node has joined, its shards are open, and it is not stopping. */
  get isReady(): boolean {
    return this.phase === 'ready';
  }

  /** Triggers that changes and the ends of calls set off; undefined before this node has joined. */
  get events(): FunctionEvents | undefined {
    return this.#parts?.functionEvents;
  }

  /** Why the node is not ready. */
  get phase(): Phase {
    return this.#phase === 'ready' && this.#membership.removal !== undefined ? 'removed' : this.#phase;
  }

  /** Undefined before the node has joined. */
  get meta(): MetaGroup | undefined {
    return this.#parts?.meta;
  }

  /** Undefined before the node has joined. */
  get tasks(): TaskCoordinator | undefined {
    return this.#parts?.tasks;
  }

  /** Opens storage, joins or forms the cluster, opens the shards, and takes up service. Must be reachable by then. */
  async start(signal?: AbortSignal): Promise<void> {
    const { self, logger } = this.#options;
    signal?.addEventListener('abort', () => {
      this.#stop.abort();
    });
    // Whatever the configured collections are: one that keeps its objects may be made at any time.
    const engine = await this.#engineFor('persistent');
    await this.#membership.open(engine);
    this.#phase = 'joining';
    const identity = await this.#membership.join(engine);
    if (!this.#stop.signal.aborted) await this.#run(engine, identity);
    if (this.#isStopping()) return;
    if (this.#membership.removal !== undefined) throw this.#membership.removal;
    this.#phase = 'ready';
    logger.info({ node: self.id, member: this.number, collections: this.#collections.size }, 'node ready');
  }

  /** Takes the node out of readiness and hands its leaderships over; calls are still answered. */
  async drain(): Promise<void> {
    this.#phase = 'draining';
    await Promise.all((this.#parts?.hosts ?? []).map((host) => host.resign()));
  }

  /** Commits what is under way and closes storage. */
  async stop(): Promise<void> {
    this.#phase = 'draining';
    this.#stop.abort();
    this.#quarantine.close();
    if (this.#parts !== undefined) await closeParts(this.#parts);
    for (const engine of this.#engines.values()) await engine.close();
    this.#engines.clear();
  }

  /**
   * The collection that a class id or collection name leads to. Throws `NotFound`, `Unavailable` while the node has not
   * joined.
   */
  collection(classId: string): HostedCollection {
    const collection = this.#collections.find(classId);
    if (collection === undefined) {
      if (this.#isStarting()) throw oaasError('Unavailable', 'the node is starting', { retryAfterMs });
      const deleted = this.#deletedBy(classId);
      if (deleted !== undefined) {
        throw oaasError('NotFound', `collection ${deleted.spec.name} was deleted at ${toRfc3339(deleted.at)}`, {
          remedy: makeAnew,
        });
      }
      throw oaasError('NotFound', `there is no collection or class "${classId}"`, {
        remedy: 'Use <package>.<class> or the name of a collection.',
        details: { known: this.#collections.classIds.slice(0, 50) },
      });
    }
    return collection;
  }

  /**
   * Where a partition is served. `local` reads are served by any replica that is filled. Throws as {@link collection}, `InvalidArgument`
   * for a partition out of range, `NoLeader`, `Unavailable`.
   */
  locate(collection: HostedCollection, partition: number, consistency: Consistency = 'linearizable'): Located {
    const id = collection.shardId(partition);
    if (id === undefined) {
      throw oaasError('InvalidArgument', `partition ${String(partition)} is out of range`, {
        remedy: `Collection ${collection.spec.name} has partitions 0 to ${String(collection.partitionCount - 1)}.`,
        details: { partitionCount: collection.partitionCount },
      });
    }
    const joined = this.#parts;
    if (joined === undefined) throw oaasError('Unavailable', 'the node is starting', { retryAfterMs });
    const shard = collection.handle(partition);
    const isServed = shard !== undefined && (shard.isPrimary || (consistency === 'local' && shard.isReadable));
    if (isServed) return { kind: 'local', collection, shard };
    const leader = joined.leaders.leaderOf(id);
    const number = leader !== 0 && leader !== this.number && joined.mesh.isUp(leader) ? leader : this.#anyReplica(id);
    const record = joined.meta.state.members.get(number);
    if (record === undefined) {
      if (shard !== undefined) return { kind: 'local', collection, shard };
      throw oaasError('NoLeader', 'no member is known to serve the partition', { retryAfterMs });
    }
    return { kind: 'remote', collection, partition, member: { id: record.id, address: record.address } };
  }

  /** Waits until somebody else leads the partition, or for a moment, `maxMs` at most: whoever it was did not. */
  async leaderChange(
    collection: HostedCollection,
    partition: number,
    not: number,
    maxMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { timers, clock } = this.#options;
    const id = collection.shardId(partition) ?? 0;
    const until = clock.monotonic() + Math.min(10 * lookMs, maxMs);
    do await sleep(timers, Math.max(0, Math.min(lookMs, until - clock.monotonic())), signal);
    while (this.#parts?.leaders.leaderOf(id) === not && clock.monotonic() < until);
  }

  /** Member that is known to lead; 0 for nobody. */
  leaderOf(shard: number): number {
    if (shard === metaShard) return this.#parts?.meta.leader ?? 0;
    return this.#parts?.leaders.leaderOf(shard) ?? 0;
  }

  /** Storage needs the space of these old entries of logs. */
  relieve(hints: readonly { readonly group: number; readonly index: number }[]): void {
    for (const host of this.#parts?.hosts ?? []) host.relieve(hints);
  }

  /** The deleted collection that a class id or collection name led to. */
  #deletedBy(classId: string): DeletedCollection | undefined {
    const deleted = this.#parts?.meta.state.deleted ?? [];
    return deleted.findLast(({ spec }) => spec.name === classId || spec.classIds.includes(classId));
  }

  /** As the configuration of this node has it. */
  configured(collection: string): CollectionAsk | undefined {
    return this.#options.collections.find(({ name }) => name === collection);
  }

  collections(): HostedCollection[] {
    return this.#collections.all();
  }

  /** Why a collection is not as the configuration of this node asks for it. */
  refusalOf(collection: string): string | undefined {
    return this.#configured.refusalOf(collection);
  }

  members(): MemberView[] {
    return this.reports.members();
  }

  /** Bytes of links with other members since this node joined. */
  linkBytes(): { readonly received: number; readonly sent: number } {
    return linkBytes(this.#parts?.mesh.peers() ?? []);
  }

  /** What replicas that merge have done to come to have the same; undefined before this node has joined. */
  get antiEntropy(): EventualCounters | undefined {
    return this.#parts?.merging.counters;
  }

  /** Who this node is, for node `from`, which looks for a cluster. */
  identify(from: string): peer.NodeIdentity {
    return this.#membership.identify(from, this.#parts?.meta.state);
  }

  /** Takes another node in, or notes where it is now. */
  async admit(request: peer.JoinRequest): Promise<peer.JoinResponse> {
    const meta = this.#parts?.meta;
    const cluster = meta?.state.cluster;
    if (meta === undefined || cluster === undefined) {
      throw oaasError('Unavailable', 'this node is no member itself yet', { retryAfterMs });
    }
    return admit(meta, cluster, request);
  }

  /** What this node tells another member. Throws `Unavailable` before it knows what it holds: that is not nothing. */
  reportToPeer(): peer.NodeReport {
    if (this.#phase === 'opening') throw oaasError('Unavailable', 'the node opens its storage', { retryAfterMs });
    return this.report();
  }

  /** What this node knows of itself. */
  report(): peer.NodeReport {
    const { clock, clusterId, version, memoryBytes } = this.#options;
    const peers = this.#parts?.mesh.peers() ?? [];
    return {
      clusterId,
      nodeId: this.self.id,
      version,
      uptimeSeconds: Math.floor((clock.monotonic() - this.#startedAt) / 1000),
      memoryBytes: memoryBytes(),
      ready: this.isReady,
      draining: this.#phase === 'draining',
      collections: this.collections().map((collection) => this.#collectionReport(collection)),
      member: this.number,
      meta: this.#parts === undefined ? undefined : groupReport(this.#parts.meta.group.status(), this.elections),
      ...linkReport(peers, clock.monotonic()),
      resources: this.#stop.signal.aborted ? undefined : this.#resources(),
      storageProblems: [...this.#quarantine.storageProblems],
      clockMs: Math.max(0, Math.round(clock.now())),
      events: this.#parts === undefined ? undefined : eventReport(this.#parts, clock.now()),
    };
  }

  // ---- start

  #isStarting(): boolean {
    return this.#phase === 'opening' || this.#phase === 'joining';
  }

  #isStopping(): boolean {
    return this.#phase === 'draining';
  }

  async #engineFor(durability: 'persistent' | 'ephemeral'): Promise<Engine> {
    const known = this.#engines.get(durability);
    if (known !== undefined) return known;
    const engine = await this.#options.openEngine(durability, (error) => {
      this.#quarantine.damaged(error);
    });
    this.#engines.set(durability, engine);
    return engine;
  }

  async #run(engine: Engine, identity: NodeIdentity): Promise<void> {
    const parts = await assembleParts(this.#options, {
      ...{ identity, engine, elections: this.elections, quarantine: this.#quarantine, reports: this.reports },
      ephemeralEngine: () => this.#engineFor('ephemeral'),
      isCurrent: () => this.#membership.isCurrent,
      onMetaChanged: () => this.#parts?.meta.changed(),
      onOpen: (shard, handle) => {
        this.#onOpen(shard, handle);
      },
      onClose: (shard) => {
        this.#onClose(shard);
      },
    });
    this.#parts = parts;
    const { meta } = parts;
    meta.onChange(() => void this.#onMeta());
    const { voters } = meta.group.confState;
    if (voters.length === 1 && voters[0] === identity.member) meta.group.campaign();
    await this.#takeUp(parts);
  }

  /** Until the node has its part of the cluster's state, and the collections of its configuration are there. */
  async #takeUp({ meta, mesh }: NodeParts): Promise<void> {
    const { timers, logger, clusterId, collections, self, joinTimeoutMs, clock } = this.#options;
    const { signal } = this.#stop;
    await this.#membership.settle(meta);
    await this.#onMeta();
    void this.#membership.follow(meta, mesh, () => void this.#onMeta());
    void this.#membership.announce(meta);
    while (meta.state.cluster === undefined) await sleep(timers, lookMs, signal);
    await this.putCollections(collections);
    // Shards that are being made or elected are soon there; a start does not wait for ever for what others must do.
    const deadline = clock.monotonic() + joinTimeoutMs;
    const isWaiting = (): boolean => collections.some(({ name }) => !this.#isServed(name));
    await this.#onMeta();
    const isInTime = (): boolean => clock.monotonic() < deadline && this.#membership.removal === undefined;
    while (isWaiting() && isInTime() && !signal.aborted) await sleep(timers, lookMs, signal);
    if (this.#membership.removal !== undefined) return;
    if (isWaiting()) logger.warn({ node: self.id, joinTimeoutMs, clusterId }, 'not all shards have a leader yet');
  }

  /**
   * Makes collections, or changes those that there are to what is given. Resolves when the cluster has taken or refused
   * each of them; why it refused one, {@link refusalOf} says. Nothing else is changed or taken away. One that was deleted
   * is refused, unless it is among those to make `anew`.
   */
  async putCollections(asks: readonly CollectionAsk[], anew: readonly string[] = []): Promise<void> {
    const meta = this.#parts?.meta;
    if (meta !== undefined) await this.#configured.put(meta, asks, anew);
  }

  /** All shards of the collection are placed, those of this node are open, and all have a leader as far as is known. */
  #isServed(name: string): boolean {
    if (this.#configured.refusalOf(name) !== undefined) return true;
    // It was deleted while this node was away.
    if ((this.#parts?.meta.state.deleted ?? []).some(({ spec }) => spec.name === name)) return true;
    const collection = this.#collections.named(name);
    if (collection === undefined) return false;
    for (let partition = 0; partition < collection.partitionCount; partition++) {
      if (!this.#isShardServed(collection.shardId(partition) ?? 0)) return false;
    }
    return true;
  }

  /** Led by somebody; where replicas merge, that of this node is open, if there is to be one. */
  #isShardServed(id: number): boolean {
    const joined = this.#parts;
    const shard = joined?.meta.state.shards.get(id);
    if (joined === undefined || shard === undefined || !shard.merges) return this.leaderOf(id) !== 0;
    const isHere = shard.replicas.some(({ member }) => member === this.number);
    return isHere ? joined.replicas.get(id) !== undefined : shard.replicas.length > 0;
  }

  // ---- what the meta state asks for

  async #onMeta(): Promise<void> {
    const joined = this.#parts;
    if (joined === undefined) return;
    const { state } = joined.meta;
    joined.mesh.setPeers(this.#membership.peersOf(state));
    joined.rates.update(state);
    this.#collections.update(state);
    this.#quarantine.settle();
    await joined.replicas.sync(() => joined.meta.state);
  }

  #onOpen(shard: ShardRecord, handle: ShardHandle): void {
    this.#collections.opened(shard, handle);
    const { leader, term } = handle.status();
    if (leader !== 0) this.#parts?.leaders.observe(shard.id, leader, term);
  }

  #onClose(id: number): void {
    this.#collections.closed(id);
    this.#parts?.leaders.left(id);
    if (this.#parts?.meta.state.shards.has(id) !== true) this.elections.forget(id);
  }

  /** A replica to ask when the leader is not known: one that can be reached, and is not this node. */
  #anyReplica(id: number): number {
    const joined = this.#parts;
    const replicas = joined?.meta.state.shards.get(id)?.replicas ?? [];
    const others = replicas.filter(({ member }) => member !== this.number && joined?.mesh.isUp(member) === true);
    return (others.find(({ role }) => role === 'voter') ?? others[0])?.member ?? 0;
  }

  #collectionReport(collection: HostedCollection): peer.CollectionReport {
    const replicas = this.#parts === undefined ? [] : ownReplicas(collection, this.#parts, this.number);
    const reason = this.#configured.refusalOf(collection.spec.name) ?? '';
    return collectionReport(collection, replicas, this.elections, reason);
  }

  #resources(): peer.ResourceReport {
    const refusal = this.#parts?.hosts.find((host) => host.refusal !== undefined)?.refusal;
    return { ...this.#options.resources(), ...storageReport([...this.#engines.values()], refusal) };
  }
}
