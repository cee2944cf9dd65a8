import type { GridModel, ModelShard } from './model.ts';
import type { Blocked, MoveCause, PlacementOptions } from './types.ts';

/** Puts right what the kind of plan is for: members that should hold nothing, counts, zones, capacity. */
export function meetHardGoals(model: GridModel, options: PlacementOptions): Blocked[] {
  const blocked: Blocked[] = [];
  // Shards with fewest live replicas choose first: they may not find room later.
  const order = model.shards.map((shard, index) => ({ index, live: liveCount(model, shard) }));
  order.sort((a, b) => a.live - b.live || a.index - b.index);
  for (const { index } of order) settleCount(model, index, options, blocked);
  if (options.kind === 'rebalance') {
    for (let index = 0; index < model.shards.length; index++) spreadZones(model, index);
    for (const member of model.up) relieve(model, member, blocked);
  }
  return blocked;
}

/** Replicas that answer. */
function liveCount(model: GridModel, shard: ModelShard): number {
  return shard.holders.filter((member) => isLive(model, member)).length;
}

function isLive(model: GridModel, member: number): boolean {
  const state = model.members[member]?.state;
  return state === 'up' || state === 'draining';
}

/** Why the kind of plan takes a replica off the member; undefined when it may stay. */
function leaveCause(model: GridModel, member: number, options: PlacementOptions): MoveCause | undefined {
  const { state, number } = model.members[member] ?? { state: 'down', number: 0 };
  const { kind, members } = options;
  if (kind !== 'rebalance' && members !== undefined && !members.includes(number)) return undefined;
  if (state === 'draining' && (kind === 'drain' || kind === 'rebalance')) return 'drain';
  if (state === 'down' && (kind === 'repair' || kind === 'rebalance')) return 'repair';
  return undefined;
}

function wantedCount(shard: ModelShard, staying: number, options: PlacementOptions): number {
  const { wantedReplicas } = shard.source;
  switch (options.kind) {
    case 'initial':
    case 'rebalance':
    case 'replica-count':
      return wantedReplicas;
    case 'repair':
      return Math.max(staying, wantedReplicas);
    case 'drain':
      return Math.max(staying, Math.min(shard.holders.length, wantedReplicas));
  }
}

function settleCount(model: GridModel, index: number, options: PlacementOptions, blocked: Blocked[]): void {
  const shard = model.shards[index];
  if (shard?.movable !== true) return;
  const isNew = shard.holders.length === 0;
  if (isNew !== (options.kind === 'initial') && options.kind !== 'rebalance') return;
  const leaving = shard.holders.filter((member) => leaveCause(model, member, options) !== undefined);
  const wanted = wantedCount(shard, shard.holders.length - leaving.length, options);
  if (leaving.length === 0 && shard.holders.length === wanted) return;
  const stop = unchangeable(model, shard);
  if (stop !== undefined) {
    const cause = leaving[0] === undefined ? 'replica-count' : (leaveCause(model, leaving[0], options) ?? 'repair');
    block(model, blocked, shard, leaving[0] ?? -1, cause, stop);
    return;
  }
  replaceLeaving(model, index, leaving, wanted, options, blocked);
  while (shard.holders.length > wanted) model.replace(index, mostExpendable(model, shard), -1, 'replica-count');
  const cause = isNew ? 'initial' : options.kind === 'repair' ? 'repair' : 'replica-count';
  while (shard.holders.length < wanted) {
    const to = bestTarget(model, shard, -1);
    if (to.member < 0) {
      block(model, blocked, shard, -1, cause, to.reason);
      return;
    }
    model.replace(index, -1, to.member, cause);
  }
}

function replaceLeaving(
  model: GridModel,
  index: number,
  leaving: readonly number[],
  wanted: number,
  options: PlacementOptions,
  blocked: Blocked[],
): void {
  const shard = model.shards[index];
  if (shard === undefined) return;
  // Those that are gone first: where only some can be replaced, a draining one still serves.
  const order = [...leaving].sort((a, b) => Number(isLive(model, a)) - Number(isLive(model, b)) || a - b);
  for (const from of order) {
    const cause = leaveCause(model, from, options) ?? 'repair';
    if (shard.holders.length > wanted) {
      model.replace(index, from, -1, cause);
      continue;
    }
    const to = bestTarget(model, shard, from);
    if (to.member < 0) block(model, blocked, shard, from, cause, to.reason);
    else model.replace(index, from, to.member, cause);
  }
}

/** Why no change of replicas is possible. */
function unchangeable(model: GridModel, shard: ModelShard): 'no-quorum' | 'no-live-replica' | undefined {
  if (shard.original.length === 0) return undefined;
  const live = liveCount(model, shard);
  if (live === 0) return 'no-live-replica';
  return shard.source.needsQuorum === true && live <= shard.original.length / 2 ? 'no-quorum' : undefined;
}

/** Best member for one more replica: emptiest zone, then fewest replicas, then fewest bytes. */
function bestTarget(
  model: GridModel,
  shard: ModelShard,
  leaving: number,
): { readonly member: number; readonly reason: 'capacity' | 'no-member-to-move-to' } {
  let best = -1;
  let bestRank: readonly number[] = [];
  let isFull = false;
  for (const member of model.up) {
    if (shard.holders.includes(member)) continue;
    if (!model.fits(shard, member)) {
      isFull = true;
      continue;
    }
    const zone = model.zones[member] ?? 0;
    const ownZone = leaving >= 0 && model.zones[leaving] === zone ? 1 : 0;
    const learner = shard.leftovers.includes(member) ? 0 : 1;
    const rank = [
      model.inZone(shard, zone) - ownZone,
      model.replicaCounts[member] ?? 0,
      learner,
      model.bytes[member] ?? 0,
      model.tieBreak(shard, member),
    ];
    if (best < 0 || isLess(rank, bestRank)) {
      best = member;
      bestRank = rank;
    }
  }
  return { member: best, reason: isFull ? 'capacity' : 'no-member-to-move-to' };
}

/** Which replica goes when there are too many: one that does not answer, then of the fullest zone and member. */
function mostExpendable(model: GridModel, shard: ModelShard): number {
  const rank = (member: number): readonly number[] => [
    isLive(model, member) ? 1 : 0,
    model.isUp[member] === true ? 1 : 0,
    -model.inZone(shard, model.zones[member] ?? 0),
    shard.leader === member ? 1 : 0,
    -(model.replicaCounts[member] ?? 0),
    member,
  ];
  return shard.holders.reduce((worst, member) => (isLess(rank(member), rank(worst)) ? member : worst));
}

/** Moves replicas from full zones to empty ones while that makes zones more even. */
function spreadZones(model: GridModel, index: number): void {
  const shard = model.shards[index];
  if (shard?.movable !== true || shard.holders.length < 2 || unchangeable(model, shard) !== undefined) return;
  for (let round = 0; round < shard.source.wantedReplicas; round++) {
    const change = zoneChange(model, shard, true);
    if (change === undefined) return;
    model.replace(index, change.from, change.to, 'zone');
  }
}

/** The replacement that evens zones out most; undefined when they are as even as members allow. */
export function zoneChange(
  model: GridModel,
  shard: ModelShard,
  mindCapacity: boolean,
): { readonly from: number; readonly to: number } | undefined {
  if (model.zoneCount < 2) return undefined;
  let best: { from: number; to: number } | undefined;
  let bestRank: readonly number[] = [];
  for (const from of shard.holders) {
    if (model.isUp[from] !== true) continue;
    const full = model.inZone(shard, model.zones[from] ?? 0);
    if (full < 2) continue;
    for (const to of model.up) {
      const empty = model.inZone(shard, model.zones[to] ?? 0);
      if (empty + 1 >= full || shard.holders.includes(to) || (mindCapacity && !model.fits(shard, to))) continue;
      const rank = [
        empty - full,
        model.replicaCounts[to] ?? 0,
        -(model.replicaCounts[from] ?? 0),
        shard.leader === from ? 1 : 0,
        model.tieBreak(shard, to),
      ];
      if (best === undefined || isLess(rank, bestRank)) {
        best = { from, to };
        bestRank = rank;
      }
    }
  }
  return best;
}

/** Moves as few shards as it takes off a member that holds more than it may. */
function relieve(model: GridModel, member: number, blocked: Blocked[]): void {
  for (;;) {
    const excess = (model.bytes[member] ?? 0) - (model.capacity[member] ?? 0);
    if (excess <= 0) return;
    let best: { index: number; to: number; bytes: number } | undefined;
    let first: ModelShard | undefined;
    for (const index of model.held[member] ?? []) {
      const shard = model.shards[index];
      if (shard?.movable !== true || shard.source.bytes === 0) continue;
      first ??= shard;
      const { bytes } = shard.source;
      // The smallest that is enough, else the largest.
      if (best !== undefined && (bytes >= excess ? best.bytes >= excess && best.bytes <= bytes : best.bytes >= bytes))
        continue;
      if (unchangeable(model, shard) !== undefined) continue;
      const to = roomiest(model, shard, member);
      if (to >= 0) best = { index, to, bytes };
    }
    if (best === undefined) {
      if (first !== undefined) block(model, blocked, first, member, 'capacity', 'capacity');
      return;
    }
    model.replace(best.index, member, best.to, 'capacity');
  }
}

function roomiest(model: GridModel, shard: ModelShard, from: number): number {
  let best = -1;
  let bestRoom = -1;
  for (const to of model.up) {
    if (shard.holders.includes(to) || !model.fits(shard, to) || !model.keepsZones(shard, from, to)) continue;
    const room = Math.min((model.capacity[to] ?? 0) - (model.bytes[to] ?? 0), Number.MAX_SAFE_INTEGER);
    const isBetter = room > bestRoom || (room === bestRoom && (model.bytes[to] ?? 0) < (model.bytes[best] ?? 0));
    if (!isBetter) continue;
    best = to;
    bestRoom = room;
  }
  return best;
}

function block(
  model: GridModel,
  blocked: Blocked[],
  shard: ModelShard,
  from: number,
  why: MoveCause,
  reason: Blocked['reason'],
): void {
  const { id, collection, partition } = shard.source;
  blocked.push({ shard: id, collection, partition, from: model.members[from]?.number, why, reason });
}

/** Lexicographic order. */
function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
