import { toRfc3339 } from '@oaas/commons/time';
import type { admin, peer } from '@oaas/proto';
import { metaShard, type ShardRecord, shardsOfMember } from '../meta/index.ts';
import { type GridNode, type HostedCollection, type MemberView } from '../node/index.ts';
import { evenness } from '../placement/index.ts';

/**
 * What administrators see, made from the meta state and from what the members last said of themselves. A member that
 * does not answer is listed with its state and what it last said, never left out. Types are those of `oaas.admin.v1`.
 */

export function clusterStatus(node: GridNode): admin.ClusterStatus {
  const members = node.members().filter((view) => shownState(node, view) !== 'drained');
  const status = node.meta?.group.status();
  return {
    clusterId: node.clusterId,
    leaderNode: memberId(node, node.meta?.leader ?? 0),
    totalNodes: members.length,
    activeNodes: members.filter(isAnswering).length,
    currentTerm: status?.term ?? 0,
    committedIndex: status?.commit ?? 0,
    lastApplied: status?.applied ?? 0,
  };
}

/** Empty for a number that is no member's. */
function memberId(node: GridNode, number: number): string {
  return node.meta?.state.members.get(number)?.id ?? '';
}

export function memberList(node: GridNode): admin.Member[] {
  return node.members().map((view) => {
    const { record, report, lastSeen } = view;
    const shards = report?.collections.flatMap((collection) => collection.shards) ?? [];
    return {
      id: record.id,
      address: record.address,
      zone: record.zone,
      state: shownState(node, view),
      version: report?.version ?? '',
      shards: shards.length,
      leaders: shards.filter(({ group }) => group?.leader === record.number).length,
      objects: sum(shards, ({ objects }) => objects),
      bytes: sum(shards, ({ bytes }) => bytes),
      uptimeSeconds: report?.uptimeSeconds ?? 0,
      memoryBytes: report?.memoryBytes ?? 0,
      lastSeen: lastSeen === undefined ? '' : toRfc3339(lastSeen),
    };
  });
}

export type CollectionState = 'ready' | 'degraded' | 'unavailable';

/** A collection with what `oaas.admin.v1` has no field for. */
export interface CollectionView extends admin.Collection {
  readonly state: CollectionState;
  /** Why it is not ready, or not as configured; empty when all is well. */
  readonly reason: string;
}

export function collectionView(node: GridNode, collection: HostedCollection): CollectionView {
  const { spec } = collection;
  const shards = shardsOf(node, collection);
  const reports = node
    .members()
    .flatMap(({ report }) => report?.collections.filter(({ name }) => name === spec.name) ?? []);
  const ready = shards.filter(({ state }) => state === 'ready').length;
  const unreachable = shards.filter(({ state }) => state === 'unavailable').length;
  const refusal = node.refusalOf(spec.name) ?? reports.find((report) => report.reason !== '')?.reason ?? '';
  return {
    name: spec.name,
    partitionCount: collection.partitionCount,
    replicaCount: spec.replicaCount,
    shardType: spec.shardType,
    durability: spec.durability,
    totalObjects: sum(shards, ({ objects }) => objects),
    sizeBytes: sum(shards, ({ bytes }) => bytes),
    shardsReady: ready,
    shards,
    performanceStats: performanceOf(reports),
    classIds: [...spec.classIds],
    state:
      ready === shards.length && shards.length > 0
        ? 'ready'
        : unreachable === shards.length
          ? 'unavailable'
          : 'degraded',
    reason:
      refusal === '' && unreachable > 0
        ? `${String(unreachable)} of ${String(shards.length)} shards do not answer`
        : refusal,
  };
}

export function shardDistribution(node: GridNode, collection?: HostedCollection): admin.ShardDistribution {
  const collections = collection === undefined ? node.collections() : [collection];
  const shards = collections.flatMap((one) => shardsOf(node, one));
  const there = node.members().filter(({ state }) => state === 'up' || state === 'suspect');
  const members = there.map(({ record }) => record.id);
  return { shards, balanceScore: balanceOf(shards, members) };
}

interface SeenReplica {
  readonly view: MemberView;
  readonly report: peer.ShardReport | undefined;
}

function shardsOf(node: GridNode, collection: HostedCollection): admin.Shard[] {
  const views = new Map(node.members().map((view) => [view.record.number, view]));
  const reports = new Map<number, Map<number, peer.ShardReport>>();
  for (const [number, { report }] of views) {
    const shards = report?.collections.find(({ name }) => name === collection.spec.name)?.shards ?? [];
    reports.set(number, new Map(shards.map((shard) => [shard.shardId, shard])));
  }
  return Array.from({ length: collection.partitionCount }, (_, partition) => {
    const id = collection.shardId(partition) ?? 0;
    const record = node.meta?.state.shards.get(id);
    const seen = (record?.replicas ?? []).flatMap(({ member }): SeenReplica[] => {
      const view = views.get(member);
      return view === undefined ? [] : [{ view, report: reports.get(member)?.get(id) }];
    });
    return shardView(node, collection, partition, id, record, seen);
  });
}

function shardView(
  node: GridNode,
  collection: HostedCollection,
  partition: number,
  id: number,
  record: ShardRecord | undefined,
  seen: readonly SeenReplica[],
): admin.Shard {
  const merges = record !== undefined && record.merges;
  const leader = node.leaderOf(id);
  const leading = seen.find(({ view }) => view.record.number === leader && isAnswering(view));
  const progress = new Map((leading?.report?.group?.progress ?? []).map((one) => [one.member, one]));
  const last = Math.max(0, ...[...progress.values()].map(({ match }) => match));
  const replicas = (record?.replicas ?? []).map(({ member, role }): admin.ShardReplica => {
    const found = seen.find(({ view }) => view.record.number === member);
    const match = progress.get(member)?.match ?? found?.report?.group?.applied ?? 0;
    return {
      node: memberId(node, member),
      role: member === leader ? 'leader' : role === 'learner' ? 'learner' : merges ? 'replica' : 'follower',
      state: replicaState(found),
      match,
      lag: merges ? lagOf(member, seen) : progress.has(member) ? Math.max(0, last - match) : 0,
    };
  });
  const source = leading ?? seen.find(({ view, report }) => report !== undefined && isAnswering(view));
  return {
    collection: collection.spec.name,
    partition,
    shardId: id,
    type: collection.spec.shardType,
    leader: leading === undefined ? '' : memberId(node, leader),
    term: leading?.report?.group?.term ?? 0,
    replicas,
    objects: source?.report?.objects ?? 0,
    bytes: source?.report?.bytes ?? 0,
    state: shardState(record, merges ? source : leading, replicas),
  };
}

/** The most that another replica, which merges with it, says that it lacks. */
function lagOf(member: number, seen: readonly SeenReplica[]): number {
  const known = seen.filter(({ view }) => isAnswering(view)).flatMap(({ report }) => report?.group?.progress ?? []);
  return Math.max(0, ...known.filter((one) => one.member === member).map(({ lag }) => lag));
}

/** `ready`: it has a leader, or a replica that merges answers, and all wanted replicas are well. `degraded`: it is served with fewer. */
function shardState(
  record: ShardRecord | undefined,
  leading: SeenReplica | undefined,
  replicas: readonly admin.ShardReplica[],
): string {
  if (leading === undefined) return record === undefined || replicas.length === 0 ? 'recovering' : 'unavailable';
  const well = replicas.filter(({ state, role }) => state === 'ready' && role !== 'learner').length;
  return well >= (record?.wanted ?? 1) ? 'ready' : 'degraded';
}

/** State of a member; `drained` is one that is away as it was wished, and holds nothing: nobody misses it. */
export function shownState({ meta }: GridNode, view: MemberView): MemberView['state'] | 'drained' {
  const { record, state } = view;
  if (isAnswering(view) || record.drains !== true || meta === undefined) return state;
  return shardsOfMember(meta.state, record.number).every(({ id }) => id === metaShard) ? 'drained' : state;
}

/** What it says of itself counts. */
export function isAnswering({ state }: MemberView): boolean {
  return state === 'up' || state === 'draining';
}

function replicaState(found: SeenReplica | undefined): string {
  if (found === undefined) return 'unavailable';
  switch (found.view.state) {
    case 'up':
    case 'draining':
      return found.report?.state ?? 'recovering';
    case 'suspect':
      return 'degraded';
    case 'down':
      return 'unavailable';
  }
}

function performanceOf(reports: readonly peer.CollectionReport[]): admin.PerformanceStats {
  const stats = reports.flatMap(({ performanceStats }) => (performanceStats === undefined ? [] : [performanceStats]));
  return {
    readsPerSecond: sum(stats, ({ readsPerSecond }) => readsPerSecond),
    writesPerSecond: sum(stats, ({ writesPerSecond }) => writesPerSecond),
    readP99Ms: Math.max(0, ...stats.map(({ readP99Ms }) => readP99Ms)),
    writeP99Ms: Math.max(0, ...stats.map(({ writeP99Ms }) => writeP99Ms)),
  };
}

/** Of a shard, what counts for the balance. */
export interface PlacedShard {
  readonly replicas: readonly Pick<admin.ShardReplica, 'node' | 'role'>[];
}

/**
 * How evenly the replicas of the shards, whoever leads, lie on these members: 1 when as evenly as whole replicas can, 0
 * when all are on one of several. The same measure as in plans. Learners, and replicas on other members, do not count.
 */
export function balanceOf(shards: readonly PlacedShard[], members: readonly string[]): number {
  const positions = new Map(members.map((member, i) => [member, i]));
  const loads = new Int32Array(members.length);
  for (const { node, role } of shards.flatMap(({ replicas }) => replicas)) {
    const at = positions.get(node);
    if (at !== undefined && role !== 'learner') loads[at] = (loads[at] ?? 0) + 1;
  }
  return evenness([...positions.values()], loads, true);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
