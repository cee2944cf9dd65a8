import type { peer } from '@oaas/proto';
import type { PeerStatus } from '../mesh/index.ts';
import type { MetaState, ShardLoad, ShardRecord } from '../meta/index.ts';
import type { GroupStatus } from '../replication/index.ts';
import type { ShardHandle, ShardStatus } from '../shard/index.ts';
import type { Engine, EngineStatus } from '../storage/index.ts';
import type { Elections } from './elections.ts';
import type { HostedCollection } from './hosted.ts';
import type { NodeParts } from './parts.ts';

/** A replica that should be here, as this node has it. */
export interface OwnReplica {
  readonly shard: ShardRecord;
  /** Undefined: it is not open. */
  readonly handle: ShardHandle | undefined;
  /** Why it is not open, or does not serve. */
  readonly problem: string | undefined;
}

/** The replicas of the collection that are, or should be, on member `self`. */
export function ownReplicas(collection: HostedCollection, { meta, replicas }: NodeParts, self: number): OwnReplica[] {
  return Array.from({ length: collection.partitionCount }, (_, partition) => partition).flatMap((partition) => {
    const shard = meta.state.shards.get(collection.shardId(partition) ?? 0);
    if (shard?.replicas.some(({ member }) => member === self) !== true) return [];
    return [{ shard, handle: replicas.get(shard.id), problem: replicas.problemOf(shard.id) }];
  });
}

/** Loads of the shards that this node, member `self`, speaks for: see {@link Reports.loads}. */
export function ownLoads(
  collections: readonly HostedCollection[],
  self: number,
): (readonly [shard: number, ShardLoad])[] {
  return collections.flatMap((collection) => {
    const handles = Array.from({ length: collection.partitionCount }, (_, partition) => collection.handle(partition));
    const primaries = handles.filter((handle) => handle !== undefined).filter(({ isPrimary }) => isPrimary);
    return primaries.map(({ id, type, counters, operations }) => {
      const leader = type === 'raft' ? { leader: self } : {};
      return [id, { ...leader, bytes: counters.bytes, ops: operations.perSecond }] as const;
    });
  });
}

export function collectionReport(
  collection: HostedCollection,
  replicas: readonly OwnReplica[],
  elections: Elections,
  reason: string,
): peer.CollectionReport {
  const reads = collection.reads.read();
  const writes = collection.writes.read();
  return {
    name: collection.spec.name,
    partitionCount: collection.partitionCount,
    reason,
    shards: replicas.map((replica) => shardReport(replica, elections)),
    performanceStats: {
      readsPerSecond: reads.perSecond,
      writesPerSecond: writes.perSecond,
      readP99Ms: reads.p99Ms,
      writeP99Ms: writes.p99Ms,
    },
  };
}

function shardReport({ shard, handle, problem }: OwnReplica, elections: Elections): peer.ShardReport {
  if (handle === undefined) {
    return {
      ...{ partition: shard.partition, shardId: shard.id, objects: 0, entries: 0, bytes: 0 },
      state: problem === undefined ? 'recovering' : 'unavailable',
      group: undefined,
      reason: problem ?? '',
      operationsPerSecond: 0,
    };
  }
  const status = handle.status();
  const isServing = status.state === 'serving' && problem === undefined;
  const { count, recent } = elections.of(shard.id);
  return {
    partition: shard.partition,
    ...handle.counters,
    state: isServing ? stateOf(status) : 'unavailable',
    shardId: shard.id,
    group: {
      role: status.role,
      leader: status.leader,
      term: status.term,
      commit: status.commit,
      applied: status.applied,
      voters: status.replicas.filter(({ role }) => role !== 'learner').map(({ member }) => member),
      learners: status.replicas.filter(({ role }) => role === 'learner').map(({ member }) => member),
      progress:
        status.role === 'leader' || status.role === 'replica'
          ? status.replicas.map(({ member, match, state, isActive, lag, staleMs = -1 }) => ({
              ...{ member, match, state, active: isActive, lag, staleMs },
            }))
          : [],
      elections: count,
      recentElections: recent,
    },
    reason: problem ?? status.problem ?? '',
    operationsPerSecond: handle.operations.perSecond,
  };
}

function stateOf({ leader, role, problem }: ShardStatus): string {
  if (problem !== undefined) return 'degraded';
  return leader === 0 && role !== 'replica' ? 'recovering' : 'ready';
}

export function groupReport(status: GroupStatus, elections: Elections): peer.GroupReport {
  const { count, recent } = elections.of(status.group);
  return {
    role: status.role,
    leader: status.leader,
    term: status.term,
    commit: status.commit,
    applied: status.applied,
    voters: [...status.confState.voters],
    learners: [...status.confState.learners],
    progress: status.progress.map(({ member, match, state, lag, recentActive }) => ({
      ...{ member, match, state, lag },
      active: recentActive,
      staleMs: -1,
    })),
    elections: count,
    recentElections: recent,
  };
}

/** The members, for one that joins. */
export function peerMembers({ members }: MetaState): peer.PeerMember[] {
  return [...members.values()].map(({ number, id, address, admin, zone }) => ({ number, id, address, admin, zone }));
}

/** Bytes of all links since this node joined. */
export function linkBytes(peers: readonly PeerStatus[]): { readonly received: number; readonly sent: number } {
  return {
    received: peers.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0),
    sent: peers.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
  };
}

/** Members that this node has a link to, and those that it had one to; `now` is monotonic. */
export function linkReport(peers: readonly PeerStatus[], now: number): Pick<peer.NodeReport, 'links' | 'lostLinks'> {
  return {
    links: peers.filter(({ state }) => state === 'up').map(({ number }) => number),
    lostLinks: peers.flatMap(({ number: member, lostAt }) =>
      lostAt === undefined ? [] : [{ member, agoMs: Math.round(now - lostAt) }],
    ),
  };
}

const failingShown = 20;

/** Of the shards whose events this node delivers. Reads one event of each of them that has any. */
export function eventReport({ deliverer, functionEvents, replicas }: NodeParts, now: number): peer.EventReport {
  const report = { waiting: 0, oldestMs: 0, deadLetters: 0, dropped: 0 };
  for (const { outbox } of replicas.serving()) {
    if (!outbox.isActive) continue;
    const { events, letters, dropped } = outbox.counts;
    report.waiting += events;
    report.deadLetters += letters;
    report.dropped += dropped;
    const [oldest] = events === 0 ? [] : readable(() => outbox.events(undefined, 1));
    if (oldest !== undefined) report.oldestMs = Math.max(report.oldestMs, Math.round(now - oldest.event.at));
  }
  const failing = (deliverer?.failing ?? []).slice(-failingShown).map(({ target, failures, since, error }) => ({
    ...{ target, failures, error, forMs: Math.max(0, Math.round(now - since)) },
  }));
  return { ...report, fires: functionEvents.fires, inFlight: deliverer?.inFlight ?? 0, failing };
}

/** Nothing of what is damaged: the storage has said so, and a report goes on without it. */
function readable<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** What a node's storage uses; `refusal`: why it takes no writes now. */
export function storageReport(
  engines: readonly Engine[],
  refusal: Error | undefined,
): Pick<peer.ResourceReport, 'storageBytes' | 'journalBytes' | 'unflushedBytes' | 'storageRefusal'> {
  const sum = (value: (status: EngineStatus) => number): number =>
    engines.reduce((total, engine) => total + value(engine.status()), 0);
  return {
    storageBytes:
      sum(({ memtableBytes }) => memtableBytes) + engines.reduce((total, engine) => total + diskBytes(engine), 0),
    journalBytes: sum(({ journalBytes }) => journalBytes),
    unflushedBytes: sum(({ memtableBytes }) => memtableBytes),
    storageRefusal: refusal?.message ?? '',
  };
}

function diskBytes(engine: Engine): number {
  return engine.isDurable ? engine.usage().bytes : 0;
}
