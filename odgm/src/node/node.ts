import { createHash } from 'node:crypto';
import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, randomHex, type Random, sleep, type Timer, type Timers, toRfc3339 } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import { channels, type Mesh, type MeshPeer } from '../mesh/index.ts';
import {
  type CollectionSpec,
  commandVersion,
  type DeletedCollection,
  deletedOf,
  makeAnew,
  MetaDuties,
  MetaGroup,
  MetaMachine,
  metaShard,
  type MetaState,
  type ShardRecord,
} from '../meta/index.ts';
import {
  type EventualCounters,
  EventualHost,
  type HostEvents,
  type HostOptions,
  RaftHost,
  type RaftTracer,
  type Tuning,
} from '../replication/index.ts';
import {
  CheckService,
  ConsistencyChecker,
  type LocalShards,
  Scrubber,
  ShardService,
  TaskCoordinator,
  throttleOf,
} from '../tasks/index.ts';
import { type Consistency, EventualShard, RaftShard, type ShardHandle } from '../shard/index.ts';
import type { Engine, EngineStatus } from '../storage/index.ts';
import { indexByClassId } from './collection.ts';
import { Elections } from './elections.ts';
import { HostedCollection } from './hosted.ts';
import { type NodeIdentity, openIdentity, saveIdentity } from './identity.ts';
import { findCluster, type JoinOutcome, type JoinPort, type Seeds } from './join.ts';
import { LeaderBoard } from './leaders.ts';
import type { Member } from './members.ts';
import { collectionReport, groupReport, type OwnReplica } from './own-report.ts';
import { Quarantine } from './quarantine.ts';
import { type MemberView, Reports, type ReportPort } from './reports.ts';
import { Replicas } from './replicas.ts';
import { type ReplicaHome, ShardFactory } from './shard-factory.ts';

export interface NodeOptions {
  readonly clusterId: string;
  readonly version: string;
  /** Where to look for the cluster. */
  readonly seeds: Seeds;
  readonly self: Member;
  readonly collections: readonly CollectionSpec[];
  /** Called at most once per durability. `onCorruption`: to be told of all that cannot be read, when it is read. */
  readonly openEngine: (
    durability: 'persistent' | 'ephemeral',
    onCorruption: (error: Error) => void,
  ) => Promise<Engine>;
  /** Links of a member of this cluster: `clusterId` is the name and the birth of it. */
  readonly openMesh: (self: { number: number; id: string; incarnation: number; clusterId: string }) => Mesh;
  readonly joinPort: JoinPort;
  readonly reportPort: ReportPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Runs something once what has arrived by now is dealt with. */
  readonly schedule: (run: () => void) => void;
  readonly joinTimeoutMs: number;
  readonly tuning?: Partial<Tuning> | undefined;
  /** Records what consensus groups do. */
  readonly tracer?: RaftTracer | undefined;
  /** Resident memory in bytes. */
  readonly memoryBytes: () => number;
  /** Told how long each move of a replica took that this node drove to its end. */
  readonly onMoved?: ((seconds: number) => void) | undefined;
  /** What only the process knows of what it uses. */
  readonly resources: () => Omit<
    peer.ResourceReport,
    'storageBytes' | 'journalBytes' | 'unflushedBytes' | 'storageRefusal'
  >;
}

/** `opening`: what is stored is not known yet. `joining`: looks for its cluster, or opens its shards. */
export type Phase = 'opening' | 'joining' | 'ready' | 'draining';

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
const expireMs = 1000;
const expireMax = 256;
const lookMs = 20;
/** A node that cannot catch up asks others for the members, this often. */
const strangersMs = 2000;

/** What a node has once it is a member. */
interface Joined {
  readonly mesh: Mesh;
  /** Of the meta group, and of shards that are as durable. */
  readonly host: RaftHost;
  readonly hosts: readonly RaftHost[];
  readonly merging: EventualHost;
  readonly meta: MetaGroup;
  readonly duties: MetaDuties;
  readonly leaders: LeaderBoard;
  readonly replicas: Replicas;
  readonly tasks: TaskCoordinator;
  readonly scrubber: Scrubber;
  readonly timers: readonly Timer[];
}

/** One node of the grid: a member of the meta group, its shard replicas, and where a call that comes here belongs. */
export class GridNode {
  readonly #options: NodeOptions;
  readonly #startedAt: number;
  readonly #collections = new Map<string, HostedCollection>();
  readonly #engines = new Map<'persistent' | 'ephemeral', Engine>();
  readonly #stop = new AbortController();
  readonly reports: Reports;
  readonly elections: Elections;
  readonly #quarantine: Quarantine;
  #classIndex: ReadonlyMap<string, string> = new Map();
  #identity: NodeIdentity | undefined;
  /** Members that were there when this node joined: whom to talk to until it has the meta state. */
  #firstPeers: readonly MeshPeer[] = [];
  #joined: Joined | undefined;
  #phase: Phase = 'opening';
  #isCurrent = false;
  /** Collections of the configuration that the cluster refused, and why. */
  readonly #refused = new Map<string, string>();

  /** Throws `ConfigInvalid` when two collections claim one name. */
  constructor(options: NodeOptions) {
    const { clock } = options;
    this.#options = options;
    this.#startedAt = clock.monotonic();
    indexByClassId(options.collections);
    this.elections = new Elections(clock);
    this.#quarantine = new Quarantine({
      ...{ clock, timers: options.timers, logger: options.logger },
      self: () => this.number,
      meta: () => this.#joined?.meta,
      replicas: () => this.#joined?.replicas,
    });
    this.reports = new Reports({
      port: options.reportPort,
      clock,
      clusterId: options.clusterId,
      self: options.self,
      ownReport: () => this.report(),
      state: () => this.#joined?.meta.state,
      links: () => this.#joined?.mesh.peers() ?? [],
    });
  }

  get self(): Member {
    return this.#options.self;
  }

  /** Number of this member; 0 before it has joined. */
  get number(): number {
    return this.#identity?.member ?? 0;
  }

  get clusterId(): string {
    return this.#options.clusterId;
  }

  /** True when the node has joined, its shards are open, and it is not stopping. */
  get isReady(): boolean {
    return this.#phase === 'ready';
  }

  /** Why the node is not ready. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Undefined before the node has joined. */
  get meta(): MetaGroup | undefined {
    return this.#joined?.meta;
  }

  /** Undefined before the node has joined. */
  get tasks(): TaskCoordinator | undefined {
    return this.#joined?.tasks;
  }

  /** Opens storage, joins or forms the cluster, opens the shards, and takes up service. Must be reachable by then. */
  async start(signal?: AbortSignal): Promise<void> {
    const { collections, self, random, logger } = this.#options;
    signal?.addEventListener('abort', () => {
      this.#stop.abort();
    });
    // The node's own state is as durable as the most durable thing that it keeps.
    const isPersistent = collections.some(({ durability }) => durability === 'persistent') || collections.length === 0;
    const engine = await this.#engineFor(isPersistent ? 'persistent' : 'ephemeral');
    this.#identity = await openIdentity(engine, self.id, random);
    this.#phase = 'joining';
    if (this.#identity.member === 0) await this.#join(engine, this.#identity);
    await this.#run(engine);
    if (this.#isStopping()) return;
    this.#phase = 'ready';
    logger.info({ node: self.id, member: this.number, collections: this.#collections.size }, 'node ready');
  }

  /** Takes the node out of readiness and hands its leaderships over; calls are still answered. */
  async drain(): Promise<void> {
    this.#phase = 'draining';
    await Promise.all((this.#joined?.hosts ?? []).map((host) => host.resign()));
  }

  /** Commits what is under way and closes storage. */
  async stop(): Promise<void> {
    this.#phase = 'draining';
    this.#stop.abort();
    this.#quarantine.close();
    if (this.#joined !== undefined) {
      const { duties, tasks, scrubber, replicas, hosts, merging, leaders, mesh, timers } = this.#joined;
      for (const timer of timers) timer.cancel();
      duties.close();
      tasks.close();
      scrubber.close();
      await replicas.close();
      merging.close();
      await Promise.all(hosts.map((host) => host.stop()));
      leaders.close();
      await mesh.close();
    }
    for (const engine of this.#engines.values()) await engine.close();
    this.#engines.clear();
  }

  /**
   * The collection that a class id or collection name leads to. Throws `NotFound`, `Unavailable` while the node has not
   * joined.
   */
  collection(classId: string): HostedCollection {
    const collection = this.#collections.get(this.#classIndex.get(classId) ?? '');
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
        details: { known: [...this.#classIndex.keys()].slice(0, 50) },
      });
    }
    return collection;
  }

  /**
   * Where a partition is served. `local` reads are served by any replica. Throws as {@link collection}, `InvalidArgument`
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
    const joined = this.#joined;
    if (joined === undefined) throw oaasError('Unavailable', 'the node is starting', { retryAfterMs });
    const shard = collection.handle(partition);
    const isReadable = consistency === 'local' && !(shard instanceof EventualShard && !shard.isComplete);
    if (shard !== undefined && (isReadable || shard.isPrimary)) return { kind: 'local', collection, shard };
    const leader = joined.leaders.leaderOf(id);
    const number = leader !== 0 && leader !== this.number && joined.mesh.isUp(leader) ? leader : this.#anyReplica(id);
    const record = joined.meta.state.members.get(number);
    if (record === undefined) {
      if (shard !== undefined) return { kind: 'local', collection, shard };
      throw oaasError('NoLeader', 'no member is known to serve the partition', { retryAfterMs });
    }
    return { kind: 'remote', collection, partition, member: { id: record.id, address: record.address } };
  }

  /** Waits until somebody else leads the partition, or for a moment: whoever it was did not. */
  async leaderChange(
    collection: HostedCollection,
    partition: number,
    not: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { timers, clock } = this.#options;
    const id = collection.shardId(partition) ?? 0;
    const until = clock.monotonic() + 10 * lookMs;
    do await sleep(timers, lookMs, signal);
    while (this.#joined?.leaders.leaderOf(id) === not && clock.monotonic() < until);
  }

  /** Member that is known to lead; 0 for nobody. */
  leaderOf(shard: number): number {
    if (shard === metaShard) return this.#joined?.meta.leader ?? 0;
    return this.#joined?.leaders.leaderOf(shard) ?? 0;
  }

  /** Storage needs the space of these old entries of logs. */
  relieve(hints: readonly { readonly group: number; readonly index: number }[]): void {
    for (const host of this.#joined?.hosts ?? []) host.relieve(hints);
  }

  /** The deleted collection that a class id or collection name led to. */
  #deletedBy(classId: string): DeletedCollection | undefined {
    const deleted = this.#joined?.meta.state.deleted ?? [];
    return deleted.findLast(({ spec }) => spec.name === classId || spec.classIds.includes(classId));
  }

  /** As the configuration of this node has it. */
  configured(collection: string): CollectionSpec | undefined {
    return this.#options.collections.find(({ name }) => name === collection);
  }

  collections(): HostedCollection[] {
    return [...this.#collections.values()];
  }

  /** Why a collection is not as the configuration of this node asks for it. */
  refusalOf(collection: string): string | undefined {
    return this.#refused.get(collection);
  }

  members(): MemberView[] {
    return this.reports.members();
  }

  /** Bytes of links with other members since this node joined. */
  linkBytes(): { readonly received: number; readonly sent: number } {
    const peers = this.#joined?.mesh.peers() ?? [];
    return {
      received: peers.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0),
      sent: peers.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    };
  }

  /** What replicas that merge have done to come to have the same; undefined before this node has joined. */
  get antiEntropy(): EventualCounters | undefined {
    return this.#joined?.merging.counters;
  }

  /** Who this node is, for one that looks for a cluster. */
  identify(): peer.NodeIdentity {
    const identity = this.#identity;
    if (identity === undefined) throw oaasError('Unavailable', 'the node opens its storage', { retryAfterMs });
    const { nodeId, clusterUid, member } = identity;
    return { clusterId: this.clusterId, nodeId, clusterUid, member };
  }

  /** Takes another node in, or notes where it is now. */
  async admit(request: peer.JoinRequest): Promise<peer.JoinResponse> {
    const meta = this.#joined?.meta;
    const cluster = meta?.state.cluster;
    if (meta === undefined || cluster === undefined) {
      throw oaasError('Unavailable', 'this node is no member itself yet', { retryAfterMs });
    }
    const { nodeId: id, address, admin, zone, incarnation } = request;
    const clusterId = request.clusterUid === '' ? cluster.id : request.clusterUid;
    const { id: member = 0 } = await meta.propose({
      type: 'joinMember',
      clusterId,
      member: { id, address, admin, zone, incarnation, commandVersion: Math.max(1, request.commandVersion) },
    });
    const members = [...meta.state.members.values()].map((record) => ({
      number: record.number,
      id: record.id,
      address: record.address,
      admin: record.admin,
      zone: record.zone,
    }));
    return { clusterUid: cluster.id, member, members };
  }

  /** What this node tells another member. Throws `Unavailable` before it knows what it holds: that is not nothing. */
  reportToPeer(): peer.NodeReport {
    if (this.#phase === 'opening') throw oaasError('Unavailable', 'the node opens its storage', { retryAfterMs });
    return this.report();
  }

  /** What this node knows of itself. */
  report(): peer.NodeReport {
    const { clock, clusterId, version, memoryBytes } = this.#options;
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
      meta: this.#joined === undefined ? undefined : groupReport(this.#joined.meta.group.status(), this.elections),
      links: (this.#joined?.mesh.peers() ?? []).filter(({ state }) => state === 'up').map(({ number }) => number),
      resources: this.#stop.signal.aborted ? undefined : this.#resources(),
      storageProblems: [...this.#quarantine.storageProblems],
      clockMs: Math.max(0, Math.round(clock.now())),
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

  /** Finds the cluster, or forms it: the identity is settled after that. */
  async #join(engine: Engine, identity: NodeIdentity): Promise<void> {
    const { clusterId, random, logger } = this.#options;
    const outcome = await this.#findCluster(identity);
    const joined =
      outcome.kind === 'joined'
        ? { ...identity, clusterUid: outcome.clusterUid, member: outcome.member }
        : { ...identity, clusterUid: `${clusterId}-${randomHex(random, 8)}`, member: 1 };
    if (outcome.kind === 'bootstrap') logger.info({ clusterUid: joined.clusterUid }, 'forming a cluster');
    // A crash in between: the number is asked for again, and the same one is given for the same incarnation.
    await saveIdentity(engine, joined);
    this.#identity = joined;
  }

  async #findCluster(identity: NodeIdentity): Promise<JoinOutcome> {
    const { clusterId, self, seeds, joinPort, clock, timers, logger } = this.#options;
    const outcome = await findCluster(
      { clusterId, self, seeds, identity, port: joinPort, clock, timers, logger },
      this.#stop.signal,
    );
    if (outcome.kind === 'joined') this.#firstPeers = outcome.members;
    return outcome;
  }

  async #run(engine: Engine): Promise<void> {
    const { self, clock, timers, random, logger, schedule, tuning, openMesh, seeds, tracer } = this.#options;
    const identity = this.#identity;
    if (identity === undefined || this.#stop.signal.aborted) return;
    const mesh = openMesh({
      number: identity.member,
      id: self.id,
      incarnation: Math.max(1, Math.floor(clock.now())),
      clusterId: identity.clusterUid,
    });
    const leaders = new LeaderBoard({ mesh, timers });
    const events: HostEvents = {
      leader: (group, leader, term) => {
        this.elections.observe(group, leader, term);
        if (group === metaShard) this.#joined?.meta.changed();
        else leaders.observe(group, leader, term);
      },
      failed: (group, error) => {
        this.#quarantine.suspect(group, error);
      },
      members: (group) => {
        if (group === metaShard) this.#joined?.meta.changed();
      },
    };
    const hostOptions = {
      mesh,
      self: identity.member,
      clock,
      timers,
      random,
      logger,
      schedule,
      events,
      tuning,
      tracer,
    };
    const host = new RaftHost({ ...hostOptions, engine });
    const homes = await this.#openHomes(engine, host, hostOptions);
    const engines = [...homes.values()].map((home) => home.engine);
    const merging = new EventualHost({ mesh, clock, timers, random, logger, engines });
    const machine = new MetaMachine(engine, () => this.#joined?.meta.changed());
    const group = await host.create(
      { group: metaShard, epoch: 1, machine },
      // Who forms the cluster is its first voter; everybody else is made one by it.
      { voters: identity.member === 1 ? [1] : [] },
    );
    const meta = new MetaGroup({ group, machine, mesh, clock, timers });
    const scrubber = new Scrubber({ clock, timers, logger, bytesPerSecond: () => checkRateOf(meta.state) });
    const replicas = new Replicas({
      self: identity.member,
      logger,
      factory: new ShardFactory({
        ...{ homes, merging, levelKey: levelKeyOf(identity), notes: engine, self: identity.member, clock },
        onScan: (source) => {
          scrubber.scan(source);
        },
      }),
      onProblem: (shard, epoch, error) => {
        this.#quarantine.suspect(shard, error, epoch);
      },
      isCurrent: () => this.#isCurrent,
      isSuspect: (shard, epoch) => this.#quarantine.isSuspect(shard, epoch),
      onOpen: (shard, handle) => {
        this.#onOpen(shard, handle);
      },
      onClose: (shard) => {
        this.#onClose(shard);
      },
    });
    const duties = new MetaDuties({
      meta,
      mesh,
      clock,
      timers,
      logger,
      expectedMembers: seeds.expected,
      loads: () => this.reports.loads(),
    });
    const hosts = [...homes.values()].map((home) => home.host);
    const replica = (shard: number): RaftShard | undefined => {
      const handle = replicas.get(shard);
      return handle instanceof RaftShard ? handle : undefined;
    };
    const leaderOf = (shard: number): number => leaders.leaderOf(shard);
    const mergingReplica = (shard: number): EventualShard | undefined => {
      const handle = replicas.get(shard);
      return handle instanceof EventualShard ? handle : undefined;
    };
    const checks = new CheckService({ mesh, scrubber, replica, merging: mergingReplica });
    const tasks = new TaskCoordinator({
      meta,
      mesh,
      shards: new ShardService(mesh, localShards(hosts, replicas)),
      checker: new ConsistencyChecker({ meta, checks, leaderOf, clock, timers, logger }),
      leaderOf,
      onMoved: (seconds) => this.#options.onMoved?.(seconds),
      loads: async () => {
        await this.reports.refresh();
        return this.reports.loads();
      },
      clock,
      timers,
      logger,
    });
    this.#joined = {
      mesh,
      host,
      hosts,
      merging,
      meta,
      duties,
      tasks,
      leaders,
      replicas,
      scrubber,
      timers: [
        timers.every(expireMs, () => {
          for (const handle of replicas.serving()) handle.expire(expireMax);
        }),
      ],
    };
    meta.onChange(() => void this.#onMeta());
    if (group.confState.voters.length === 1 && group.confState.voters[0] === identity.member) group.campaign();
    await this.#takeUp(identity);
  }

  /** Where replicas live: with the node's own state, and in memory where a collection is ephemeral. */
  async #openHomes(
    engine: Engine,
    host: RaftHost,
    options: Omit<HostOptions, 'engine'>,
  ): Promise<Map<'persistent' | 'ephemeral', ReplicaHome>> {
    const homes = new Map<'persistent' | 'ephemeral', ReplicaHome>();
    homes.set(engine.isDurable ? 'persistent' : 'ephemeral', { host, engine });
    if (engine.isDurable) {
      const memory = await this.#engineFor('ephemeral');
      const { ephemeralRaft, ephemeralSnapshotOffer, ephemeralSnapshot } = channels;
      const used = { raft: ephemeralRaft, snapshotOffer: ephemeralSnapshotOffer, snapshot: ephemeralSnapshot };
      homes.set('ephemeral', { host: new RaftHost({ ...options, engine: memory, channels: used }), engine: memory });
    }
    return homes;
  }

  /** Until the node has its part of the cluster's state, and the collections of its configuration are there. */
  async #takeUp(identity: NodeIdentity): Promise<void> {
    const { timers, logger, clusterId, collections, self, joinTimeoutMs, clock } = this.#options;
    const meta = this.#joined?.meta;
    if (meta === undefined) return;
    const { signal } = this.#stop;
    if (meta.state.cluster === undefined && identity.member === 1) {
      await this.#untilItWorks('form the cluster', () =>
        meta.propose(
          { type: 'bootstrap', clusterId: identity.clusterUid, members: [this.#asMember(identity)] },
          signal,
        ),
      );
    }
    // A node that stopped before it got the state asks again whom it belongs to.
    const isNew = meta.state.cluster === undefined && identity.member !== 1;
    if (isNew && this.#firstPeers.length === 0) await this.#findCluster(identity);
    await this.#onMeta();
    void this.#catchUp(meta, identity);
    void this.#announce(identity);
    while (meta.state.cluster === undefined) await sleep(timers, lookMs, signal);
    await this.putCollections(collections);
    // Shards that are being made or elected are soon there; a start does not wait for ever for what others must do.
    const deadline = clock.monotonic() + joinTimeoutMs;
    const isWaiting = (): boolean => collections.some(({ name }) => !this.#isServed(name));
    await this.#onMeta();
    while (isWaiting() && clock.monotonic() < deadline && !signal.aborted) await sleep(timers, lookMs, signal);
    if (isWaiting()) logger.warn({ node: self.id, joinTimeoutMs, clusterId }, 'not all shards have a leader yet');
  }

  /**
   * Makes collections, or changes those that there are to what is given. Resolves when the cluster has taken or refused
   * each of them; why it refused one, {@link refusalOf} says. Nothing else is changed or taken away. One that was deleted
   * is refused, unless it is among those to make `anew`.
   */
  async putCollections(specs: readonly CollectionSpec[], anew: readonly string[] = []): Promise<void> {
    const { logger } = this.#options;
    const meta = this.#joined?.meta;
    if (meta === undefined) return;
    for (const spec of specs) {
      const known = meta.state.collections.get(spec.name);
      if (known !== undefined && JSON.stringify(known.spec) === JSON.stringify(spec)) {
        this.#refused.delete(spec.name);
        continue;
      }
      await this.#untilItWorks(`put collection ${spec.name}`, async () => {
        try {
          const isAnew = anew.includes(spec.name) && deletedOf(meta.state, spec.name) !== undefined;
          await meta.propose({ type: 'putCollection', spec, ...(isAnew ? { anew: true } : {}) }, this.#stop.signal);
          this.#refused.delete(spec.name);
        } catch (thrown) {
          const error = toOaasError(thrown);
          if (error.code === 'Unavailable' || error.code === 'NoLeader' || error.code === 'Cancelled') throw error;
          logger.error({ err: error, collection: spec.name }, 'the cluster refuses a collection of the configuration');
          this.#refused.set(spec.name, error.message);
        }
      });
    }
  }

  /** All shards of the collection are placed, those of this node are open, and all have a leader as far as is known. */
  #isServed(name: string): boolean {
    if (this.#refused.has(name)) return true;
    // It was deleted while this node was away.
    if ((this.#joined?.meta.state.deleted ?? []).some(({ spec }) => spec.name === name)) return true;
    const collection = this.#collections.get(name);
    if (collection === undefined) return false;
    for (let partition = 0; partition < collection.partitionCount; partition++) {
      if (!this.#isShardServed(collection.shardId(partition) ?? 0)) return false;
    }
    return true;
  }

  /** Led by somebody; where replicas merge, that of this node is open, if there is to be one. */
  #isShardServed(id: number): boolean {
    const joined = this.#joined;
    const shard = joined?.meta.state.shards.get(id);
    if (joined === undefined || shard === undefined || !shard.merges) return this.leaderOf(id) !== 0;
    const isHere = shard.replicas.some(({ member }) => member === this.number);
    return isHere ? joined.replicas.get(id) !== undefined : shard.replicas.length > 0;
  }

  /** From then on the meta state is as new as anything that this member has ever seen. */
  async #catchUp(meta: MetaGroup, identity: NodeIdentity): Promise<void> {
    const { clock } = this.#options;
    let askAt = clock.monotonic() + strangersMs;
    try {
      await this.#untilItWorks('catch up with the meta group', async () => {
        try {
          await meta.catchUp();
        } catch (error) {
          if (clock.monotonic() >= askAt) {
            await this.#meetStrangers(meta, identity);
            askAt = clock.monotonic() + strangersMs;
          }
          throw error;
        }
      });
    } catch {
      return; // stopped
    }
    this.#isCurrent = true;
    await this.#onMeta();
  }

  /**
   * Who leads the meta group may have joined since this node was last there: it would refuse the link of a member that it
   * does not know, and never hear what it lacks. Anybody who can be reached says who the members are now.
   */
  async #meetStrangers(meta: MetaGroup, identity: NodeIdentity): Promise<void> {
    const response = await this.#askToJoin(meta, identity).catch(() => undefined);
    if (response === undefined) return;
    this.#firstPeers = response.members;
    this.#joined?.mesh.setPeers(this.#peersOf(meta.state));
  }

  /** Asks everybody who may be there; the first answer counts. Found anew each time: all may have other addresses by now. */
  async #askToJoin(meta: MetaGroup, identity: NodeIdentity): Promise<peer.JoinResponse> {
    const { clusterId, self, joinPort, seeds } = this.#options;
    const request = { ...this.#asMember(identity), clusterId, clusterUid: identity.clusterUid, nodeId: self.id };
    const found = await seeds.find().catch(() => []);
    const others = [...found, ...meta.state.members.values()].filter(({ id }) => id !== self.id);
    return Promise.any(others.map(({ address }) => joinPort.join(address, request, this.#stop.signal)));
  }

  /** Says where this node is now; its address may be another one than before. */
  async #announce(identity: NodeIdentity): Promise<void> {
    const meta = this.#joined?.meta;
    const record = meta?.state.members.get(identity.member);
    const member = this.#asMember(identity);
    const isKnown =
      record?.state === 'up' &&
      record.address === member.address &&
      record.admin === member.admin &&
      record.zone === member.zone &&
      record.commandVersion === member.commandVersion;
    if (isKnown || meta === undefined) return;
    const { logger } = this.#options;
    await this.#untilItWorks('tell the others where this node is', async () => {
      if (meta.isLeader) {
        await meta.propose({ type: 'joinMember', clusterId: identity.clusterUid, member }, this.#stop.signal);
        return;
      }
      await this.#askToJoin(meta, identity);
    }).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) logger.error({ err: error }, 'the cluster does not take this node back');
    });
  }

  #asMember(identity: NodeIdentity) {
    const { address, admin = '', zone = '' } = this.self;
    const { incarnation } = identity;
    return { id: this.self.id, address, admin, zone, incarnation, commandVersion };
  }

  /** Tries again until `run` resolves or the node stops. */
  async #untilItWorks(what: string, run: () => Promise<unknown>): Promise<void> {
    const { timers, logger } = this.#options;
    for (let tries = 0; ; tries++) {
      try {
        await run();
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) throw error;
        if (tries === 10) logger.warn({ err: error, what }, 'still waiting for the cluster');
      }
      await sleep(timers, 5 * lookMs, this.#stop.signal);
    }
  }

  // ---- what the meta state asks for

  async #onMeta(): Promise<void> {
    const joined = this.#joined;
    if (joined === undefined) return;
    const { state } = joined.meta;
    joined.mesh.setPeers(this.#peersOf(state));
    for (const host of joined.hosts) host.setSnapshotRate(snapshotRateOf(state));
    joined.merging.setRate(snapshotRateOf(state));
    this.#refreshCollections(state);
    this.#quarantine.settle();
    await joined.replicas.sync(() => joined.meta.state);
  }

  #peersOf(state: MetaState): readonly MeshPeer[] {
    const members = [...state.members.values()].filter(({ replacedBy }) => replacedBy === undefined);
    const known: readonly MeshPeer[] = members.map(({ number, id, address }) => ({ number, id, address }));
    // What others said of the members is newer than a state that may be older than anything.
    const told = this.#isCurrent ? [] : this.#firstPeers;
    const peers = new Map([...known, ...told].map((one) => [one.number, one]));
    peers.delete(this.number);
    return [...peers.values()];
  }

  #refreshCollections(state: MetaState): void {
    for (const [name, record] of state.collections) {
      const known = this.#collections.get(name);
      if (known?.isSame(record) === true) known.update(record);
      else this.#collections.set(name, new HostedCollection(record, this.#options.clock));
    }
    for (const name of [...this.#collections.keys()]) if (!state.collections.has(name)) this.#collections.delete(name);
    this.#classIndex = indexByClassId([...state.collections.values()].map(({ spec }) => spec));
  }

  #onOpen(shard: ShardRecord, handle: ShardHandle): void {
    const collection = this.#collections.get(shard.collection);
    // Another one where the collection was deleted, and made anew, while this was being opened.
    if (collection?.shardId(shard.partition) === shard.id) collection.setHandle(shard.partition, handle);
    const { leader, term } = handle.status();
    if (leader !== 0) this.#joined?.leaders.observe(shard.id, leader, term);
  }

  #onClose(id: number): void {
    for (const collection of this.#collections.values()) {
      for (const handle of collection.handles()) {
        if (handle.id === id) collection.setHandle(handle.partition, undefined);
      }
    }
    this.#joined?.leaders.left(id);
    if (this.#joined?.meta.state.shards.has(id) !== true) this.elections.forget(id);
  }

  /** A replica to ask when the leader is not known: one that can be reached, and is not this node. */
  #anyReplica(id: number): number {
    const joined = this.#joined;
    const replicas = joined?.meta.state.shards.get(id)?.replicas ?? [];
    const others = replicas.filter(({ member }) => member !== this.number && joined?.mesh.isUp(member) === true);
    return (others.find(({ role }) => role === 'voter') ?? others[0])?.member ?? 0;
  }

  #collectionReport(collection: HostedCollection): peer.CollectionReport {
    const { name } = collection.spec;
    const reason = this.#refused.get(name) ?? '';
    return collectionReport(collection, this.#ownReplicas(collection), this.elections, reason);
  }

  /** The replicas of the collection that are, or should be, on this node. */
  #ownReplicas(collection: HostedCollection): OwnReplica[] {
    const joined = this.#joined;
    if (joined === undefined) return [];
    const { meta, replicas } = joined;
    return Array.from({ length: collection.partitionCount }, (_, partition) => partition).flatMap((partition) => {
      const shard = meta.state.shards.get(collection.shardId(partition) ?? 0);
      if (shard?.replicas.some(({ member }) => member === this.number) !== true) return [];
      return [{ shard, handle: replicas.get(shard.id), problem: replicas.problemOf(shard.id) }];
    });
  }

  #resources(): peer.ResourceReport {
    const engines = [...this.#engines.values()];
    const sum = (value: (status: EngineStatus) => number): number =>
      engines.reduce((total, engine) => total + value(engine.status()), 0);
    return {
      ...this.#options.resources(),
      storageBytes:
        sum(({ memtableBytes }) => memtableBytes) + engines.reduce((total, engine) => total + diskBytes(engine), 0),
      journalBytes: sum(({ journalBytes }) => journalBytes),
      unflushedBytes: sum(({ memtableBytes }) => memtableBytes),
      storageRefusal: this.#joined?.hosts.find(({ refusal }) => refusal !== undefined)?.refusal?.message ?? '',
    };
  }
}

/** The same on all members of a cluster, and known to nobody else. */
function levelKeyOf({ clusterUid }: NodeIdentity): Uint8Array {
  return createHash('sha256').update(`levels of the trees of ${clusterUid}`).digest().subarray(0, 16);
}

function diskBytes(engine: Engine): number {
  return engine.isDurable ? engine.usage().bytes : 0;
}

/** The most that any check under way may read; without one, what settings allow. */
function checkRateOf(state: MetaState): number {
  const active = [...state.tasks.values()].filter(
    ({ state: at, kind }) => at === 'running' && (kind === 'consistency-check' || kind === 'repair'),
  );
  if (active.length === 0) return state.settings.throttle.checkBytesPerSecond;
  return Math.max(...active.map((task) => throttleOf(task, state.settings).checkBytesPerSecond));
}

/** The most that any task under way may use; without one, what settings allow for repair. */
function snapshotRateOf(state: MetaState): number {
  const active = [...state.tasks.values()].filter(({ state: at }) => at === 'running' || at === 'cancelling');
  if (active.length === 0) return state.settings.repairThrottle.bytesPerSecond;
  return Math.max(...active.map((task) => throttleOf(task, state.settings).bytesPerSecond));
}

function localShards(hosts: readonly RaftHost[], replicas: Replicas): LocalShards {
  return {
    handle: (shard) => replicas.get(shard),
    group: (shard) => {
      for (const host of hosts) {
        const group = host.group(shard);
        if (group === undefined) continue;
        const sentBytes = (to: number): number =>
          host.snapshots().sending.find((one) => one.group === shard && one.to === to)?.sentBytes ?? 0;
        return { group, sentBytes };
      }
      return undefined;
    },
  };
}
