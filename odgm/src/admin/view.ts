import { toRfc3339 } from '@oaas/commons/time';
import type { admin, peer } from '@oaas/proto';
import { type GridNode, type HostedCollection, type MemberView, shardIdOf } from '../node/index.ts';

/**
 * What administrators see, made from this node's view of all members. A member that does not answer is listed with
 * its state and what it last said, never left out. Types are those of `oaas.admin.v1`.
 */

export function clusterStatus(node: GridNode): admin.ClusterStatus {
  const members = node.members();
  return {
    clusterId: node.clusterId,
    // Collections without consensus have no leader, term or log.
    leaderNode: '',
    totalNodes: members.length,
    activeNodes: members.filter(({ state }) => state === 'up' || state === 'draining').length,
    currentTerm: 0,
    committedIndex: 0,
    lastApplied: 0,
  };
}

export function memberList(node: GridNode): admin.Member[] {
  const primaries = new Map<string, number>();
  for (const collection of node.collections()) {
    for (let partition = 0; partition < collection.partitionCount; partition++) {
      const owner = collection.ownerOf(partition);
      primaries.set(owner, (primaries.get(owner) ?? 0) + 1);
    }
  }
  return node.members().map(({ member, state, report, lastSeen }) => {
    const shards = report?.collections.flatMap((collection) => collection.shards) ?? [];
    return {
      id: member.id,
      address: member.address,
      zone: member.zone ?? '',
      state,
      version: report?.version ?? '',
      shards: shards.length,
      leaders: primaries.get(member.id) ?? 0,
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
  const unreachable = shards.length - ready;
  const reason = collection.reason ?? reports.find((report) => report.reason !== '')?.reason ?? '';
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
    state: ready === shards.length && shards.length > 0 ? 'ready' : ready === 0 ? 'unavailable' : 'degraded',
    reason:
      reason === '' && unreachable > 0
        ? `${String(unreachable)} of ${String(shards.length)} shards do not answer`
        : reason,
  };
}

export function shardDistribution(node: GridNode, collection?: HostedCollection): admin.ShardDistribution {
  const collections = collection === undefined ? node.collections() : [collection];
  const shards = collections.flatMap((one) => shardsOf(node, one));
  return { shards, balanceScore: balanceOf(shards, node.members().length) };
}

function shardsOf(node: GridNode, collection: HostedCollection): admin.Shard[] {
  const members = new Map(node.members().map((view) => [view.member.id, view]));
  return Array.from({ length: collection.partitionCount }, (_, partition) => {
    const owner = collection.ownerOf(partition);
    const view = members.get(owner);
    const stored = storedShard(view, collection, partition);
    const state = collection.isSupported ? shardState(view, stored) : 'unavailable';
    return {
      collection: collection.spec.name,
      partition,
      shardId: shardIdOf(collection.spec.name, partition),
      type: collection.spec.shardType,
      leader: owner,
      term: 0,
      replicas: owner === '' ? [] : [{ node: owner, role: 'primary', state, match: 0, lag: 0 }],
      objects: stored?.objects ?? 0,
      bytes: stored?.bytes ?? 0,
      state,
    };
  });
}

function storedShard(
  view: MemberView | undefined,
  collection: HostedCollection,
  partition: number,
): peer.ShardReport | undefined {
  return view?.report?.collections
    .find(({ name }) => name === collection.spec.name)
    ?.shards.find((shard) => shard.partition === partition);
}

function shardState(view: MemberView | undefined, stored: peer.ShardReport | undefined): string {
  switch (view?.state) {
    case 'up':
    case 'draining':
      return stored?.state ?? 'recovering';
    case 'suspect':
      return 'degraded';
    case 'down':
    case undefined:
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

/** 1 when no member has more than its even share of the shards, 0 when one of several members has all. */
export function balanceOf(shards: readonly { readonly leader: string }[], memberCount: number): number {
  const placed = shards.filter(({ leader }) => leader !== '');
  const even = Math.ceil(placed.length / Math.max(1, memberCount));
  if (placed.length === even) return 1;
  const loads = new Map<string, number>();
  for (const { leader } of placed) loads.set(leader, (loads.get(leader) ?? 0) + 1);
  return 1 - (Math.max(...loads.values()) - even) / (placed.length - even);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
