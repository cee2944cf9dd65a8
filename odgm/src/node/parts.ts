import { createHash } from 'node:crypto';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Random, Timer, Timers } from '@oaas/commons/time';
import { channels, type Mesh, type RateLimit } from '../mesh/index.ts';
import { firesTriggers, MetaDuties, MetaGroup, MetaMachine, metaShard, type ShardRecord } from '../meta/index.ts';
import {
  EventualHost,
  type HostEvents,
  type HostOptions,
  RaftHost,
  type RaftTracer,
  type Tuning,
} from '../replication/index.ts';
import { Deliverer, type DeliveryObserver, type DeliveryPolicy, type TriggerPort } from '../events/index.ts';
import { EventualShard, RaftShard, type ShardHandle } from '../shard/index.ts';
import type { Engine } from '../storage/index.ts';
import {
  CheckService,
  ConsistencyChecker,
  type LocalShards,
  Scrubber,
  ShardService,
  TaskCoordinator,
} from '../tasks/index.ts';
import type { Elections } from './elections.ts';
import { EventHandOver } from './event-hand-over.ts';
import { FunctionEvents } from './function-events.ts';
import type { NodeIdentity } from './identity.ts';
import type { Seeds } from './join.ts';
import { LeaderBoard } from './leaders.ts';
import type { Member } from './members.ts';
import type { Quarantine } from './quarantine.ts';
import { Replicas } from './replicas.ts';
import type { Reports } from './reports.ts';
import { type ReplicaHome, ShardFactory } from './shard-factory.ts';
import { CopyRates } from './copy-rates.ts';
import { checkRateOf } from './task-rates.ts';

/** How often replicas are looked at for what is due. */
const lookMs = 1000;
/** What a rate of operations is taken over. */
const sampleMs = 5000;
/** Entries that have expired, taken away at once. */
const expireMax = 256;

export interface PartsOptions {
  readonly self: Member;
  readonly seeds: Seeds;
  /** Links of a member of this cluster: `clusterId` is the name and the birth of it. */
  readonly openMesh: (self: { number: number; id: string; incarnation: number; clusterId: string }) => Mesh;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Runs something once what has arrived by now is dealt with. */
  readonly schedule: (run: () => void) => void;
  readonly tuning?: Partial<Tuning> | undefined;
  /** Records what consensus groups do. */
  readonly tracer?: RaftTracer | undefined;
  /** Told how long each move of a replica took that this node drove to its end. */
  readonly onMoved?: ((seconds: number) => void) | undefined;
  /** Absent: changes set off no triggers, and none of those that wait is delivered. */
  readonly events?: EventsOptions | undefined;
}

/** How triggers are delivered. */
export interface EventsOptions {
  readonly port: TriggerPort;
  /** See {@link DelivererOptions}. */
  readonly maxDepth: number;
  readonly timeoutMs: number;
  readonly policy?: DeliveryPolicy | undefined;
  readonly observer?: DeliveryObserver | undefined;
}

/** The node that the parts belong to. */
export interface PartsOwner {
  readonly identity: NodeIdentity;
  /** Of the node's own state. */
  readonly engine: Engine;
  readonly elections: Elections;
  readonly quarantine: Quarantine;
  readonly reports: Reports;
  /** Storage of what need not outlive the process. */
  ephemeralEngine(): Promise<Engine>;
  isCurrent(): boolean;
  onMetaChanged(): void;
  onOpen(shard: ShardRecord, handle: ShardHandle): void;
  onClose(shard: number): void;
}

/** What a node has once it is a member. */
export interface NodeParts {
  readonly mesh: Mesh;
  /** Where consensus groups live: first the meta group, and shards that are as durable. */
  readonly hosts: readonly RaftHost[];
  readonly merging: EventualHost;
  readonly meta: MetaGroup;
  readonly duties: MetaDuties;
  readonly leaders: LeaderBoard;
  readonly replicas: Replicas;
  readonly tasks: TaskCoordinator;
  readonly rates: CopyRates;
  readonly scrubber: Scrubber;
  /** Undefined where triggers are off. */
  readonly deliverer: Deliverer | undefined;
  readonly functionEvents: FunctionEvents;
  readonly timers: readonly Timer[];
}

/** Opens the links and the meta group of a member, and makes all that works on them. */
export async function assembleParts(options: PartsOptions, owner: PartsOwner): Promise<NodeParts> {
  const { self, clock, timers, random, logger, schedule, tuning, openMesh, seeds, tracer, onMoved } = options;
  const { identity, engine, elections, quarantine, reports } = owner;
  const mesh = openMesh({
    number: identity.member,
    id: self.id,
    incarnation: Math.max(1, Math.floor(clock.now())),
    clusterId: identity.clusterUid,
  });
  const leaders = new LeaderBoard({ mesh, timers });
  const events: HostEvents = {
    leader: (group, leader, term) => {
      elections.observe(group, leader, term);
      if (group === metaShard) owner.onMetaChanged();
      else leaders.observe(group, leader, term);
    },
    failed: (group, error) => {
      quarantine.suspect(group, error);
    },
    members: (group) => {
      if (group === metaShard) owner.onMetaChanged();
    },
  };
  const rates = new CopyRates({ clock, timers });
  const rateOf = (shard: number): RateLimit => rates.of(shard);
  const hostOptions = {
    ...{ mesh, self: identity.member, clock, timers, random, logger, schedule, events, tuning, tracer, rateOf },
  };
  const host = new RaftHost({ ...hostOptions, engine });
  const homes = await openHomes(owner, host, hostOptions);
  const engines = [...homes.values()].map((home) => home.engine);
  const merging = new EventualHost({ mesh, clock, timers, random, logger, engines, rateOf });
  const machine = new MetaMachine(engine, () => {
    owner.onMetaChanged();
  });
  const group = await host.create(
    { group: metaShard, epoch: 1, machine },
    // Who forms the cluster is its first voter; everybody else is made one by it.
    { voters: identity.member === 1 ? [1] : [] },
  );
  const meta = new MetaGroup({ group, machine, mesh, clock, timers });
  const scrubber = new Scrubber({ clock, timers, logger, bytesPerSecond: () => checkRateOf(meta.state) });
  const eventHandOver = new EventHandOver(mesh, clock, (shard) => mergingReplica(shard));
  const deliverer =
    options.events === undefined
      ? undefined
      : new Deliverer({ ...options.events, clock, timers, random, logger, schedule });
  const fires = (): boolean => deliverer !== undefined && (meta.state.cluster?.commandVersion ?? 0) >= firesTriggers;
  const replicas: Replicas = new Replicas({
    self: identity.member,
    ...{ logger, timers },
    factory: new ShardFactory({
      ...{ homes, merging, eventHandOver, levelKey: levelKeyOf(identity), notes: engine, self: identity.member, clock },
      onScan: (source) => {
        scrubber.scan(source);
      },
      fires,
      onEvents: (shard) => {
        const handle = replicas.get(shard);
        if (handle?.outbox.isActive === true) deliverer?.poke(handle);
      },
    }),
    onProblem: (shard, epoch, error) => {
      quarantine.suspect(shard, error, epoch);
    },
    isCurrent: () => owner.isCurrent(),
    isSuspect: (shard, epoch) => quarantine.isSuspect(shard, epoch),
    onOpen: (shard, handle) => {
      owner.onOpen(shard, handle);
    },
    onClose: (shard) => {
      deliverer?.retire(shard);
      owner.onClose(shard);
    },
  });
  const functionEvents = new FunctionEvents({
    ...{ mesh, logger, fires },
    replica: (shard) => (replicas.isServing(shard) ? replicas.get(shard) : undefined),
    writerOf: (shard) => {
      const leader = leaders.leaderOf(shard);
      const others = meta.state.shards.get(shard)?.replicas ?? [];
      return leader !== 0 ? leader : (others.find(({ member }) => mesh.isUp(member))?.member ?? 0);
    },
  });
  const duties = new MetaDuties({
    meta,
    mesh,
    clock,
    timers,
    logger,
    expectedMembers: seeds.expected,
    loads: () => reports.loads(),
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
    onMoved: (seconds) => onMoved?.(seconds),
    loads: async () => {
      await reports.refresh();
      return reports.loads();
    },
    clock,
    timers,
    logger,
  });
  let sampledAt = clock.monotonic();
  const looks = timers.every(lookMs, () => {
    const sinceMs = clock.monotonic() - sampledAt;
    const isSampling = sinceMs >= sampleMs;
    if (isSampling) sampledAt += sinceMs;
    for (const handle of replicas.serving()) {
      if (isSampling) handle.operations.sample(sinceMs / 1000);
      handle.expire(expireMax);
      // Also what others took before this replica came to lead.
      if (handle.outbox.counts.events > 0) deliverer?.poke(handle);
    }
  });
  return {
    mesh,
    deliverer,
    functionEvents,
    hosts,
    merging,
    meta,
    duties,
    tasks,
    rates,
    leaders,
    replicas,
    scrubber,
    timers: [looks],
  };
}

/** Commits what is under way, then closes everything but storage. */
export async function closeParts(parts: NodeParts): Promise<void> {
  const { duties, tasks, scrubber, deliverer, replicas, hosts, merging, leaders, mesh, timers } = parts;
  for (const timer of timers) timer.cancel();
  deliverer?.close();
  duties.close();
  tasks.close();
  scrubber.close();
  await replicas.close();
  merging.close();
  await Promise.all(hosts.map((host) => host.stop()));
  leaders.close();
  await mesh.close();
}

/** Where replicas live: with the node's own state, and in memory where a collection is ephemeral. */
async function openHomes(
  owner: PartsOwner,
  host: RaftHost,
  options: Omit<HostOptions, 'engine'>,
): Promise<Map<'persistent' | 'ephemeral', ReplicaHome>> {
  const memory = await owner.ephemeralEngine();
  const { ephemeralRaft, ephemeralSnapshotOffer, ephemeralSnapshot } = channels;
  const used = { raft: ephemeralRaft, snapshotOffer: ephemeralSnapshotOffer, snapshot: ephemeralSnapshot };
  return new Map([
    ['persistent', { host, engine: owner.engine }],
    ['ephemeral', { host: new RaftHost({ ...options, engine: memory, channels: used }), engine: memory }],
  ]);
}

/** The same on all members of a cluster, and known to nobody else. */
function levelKeyOf({ clusterUid }: NodeIdentity): Uint8Array {
  return createHash('sha256').update(`levels of the trees of ${clusterUid}`).digest().subarray(0, 16);
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
