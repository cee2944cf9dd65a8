import { levelOut } from './level.ts';
import type { GridModel, ModelShard } from './model.ts';

/** Differences below this are not worth a move, in operations a second. */
const leastGap = 100;
/** An exchange must shift at least so many. */
const leastGain = leastGap / 4;
const maxExchanges = 2000;
const maxCandidates = 128;

/**
 * Gives shards that lose their leader another one (`drains`: also those that a draining member leads), then evens out
 * leaders. `onlyNew`: of those shards only.
 */
export function balanceLeaders(
  model: GridModel,
  { onlyNew, drains }: { readonly onlyNew: boolean; readonly drains: boolean },
): void {
  const size = model.members.length;
  /** Shards that the row's member leads and the column's member could. */
  const shiftable = new Int32Array(size * size);
  const isFree = model.shards.map((shard) => canChange(shard) && (!onlyNew || mustChange(model, shard, drains)));
  const count = (index: number, sign: 1 | -1): void => {
    const shard = model.shards[index];
    if (shard === undefined || isFree[index] !== true || model.isUp[shard.leader] !== true) return;
    for (const to of shard.holders) {
      if (to === shard.leader || model.isUp[to] !== true) continue;
      shiftable[shard.leader * size + to] = (shiftable[shard.leader * size + to] ?? 0) + sign;
    }
  };
  model.shards.forEach((shard, index) => {
    if (canChange(shard) && mustChange(model, shard, drains)) elect(model, index);
  });
  model.shards.forEach((_, index) => {
    count(index, 1);
  });
  const relead = (index: number, member: number): void => {
    count(index, -1);
    model.lead(index, member, 'leader-balance');
    count(index, 1);
  };
  levelOut({
    members: model.up,
    loads: model.leaderCounts,
    canShift: (from, to) => (shiftable[from * size + to] ?? 0) > 0,
    shift: (from, to) => {
      const index = bestLed(model, from, to, isFree);
      if (index >= 0) relead(index, to);
      return index;
    },
    unshift: (index, from) => {
      relead(index, from);
    },
  });
}

function canChange(shard: ModelShard): boolean {
  return shard.movable && shard.source.leaderless !== true;
}

/** No leader yet, one whose replica goes, or one on a draining member while another could lead. */
function mustChange(model: GridModel, shard: ModelShard, drains: boolean): boolean {
  // Nobody is known to lead: the replicas are about to elect one, and not by this plan.
  if (shard.originalLeader < 0 && shard.original.length > 0) return false;
  if (shard.leader < 0 || !shard.holders.includes(shard.leader)) return true;
  const isDraining = model.members[shard.leader]?.state === 'draining';
  return drains && isDraining && shard.holders.some((member) => model.isUp[member]);
}

/** The member that is up and leads least; -1 when none of the holders is up. */
function elect(model: GridModel, index: number): void {
  const shard = model.shards[index];
  if (shard === undefined) return;
  let best = -1;
  for (const member of shard.holders) {
    if (model.isUp[member] !== true) continue;
    const difference = best < 0 ? -1 : (model.leaderCounts[member] ?? 0) - (model.leaderCounts[best] ?? 0);
    const isFirst = difference === 0 && model.tieBreak(shard, member) < model.tieBreak(shard, best);
    if (difference < 0 || isFirst) best = member;
  }
  model.lead(index, best, shard.leaveCauses.get(shard.leader) ?? 'drain');
}

/** Prefers giving leadership back, then shards whose leadership moves anyway, then few operations. */
function bestLed(model: GridModel, from: number, to: number, isFree: readonly boolean[]): number {
  let best = -1;
  let bestRank = Infinity;
  let candidates = 0;
  for (const index of model.led[from] ?? []) {
    const shard = model.shards[index];
    if (shard === undefined || isFree[index] !== true || !shard.holders.includes(to)) continue;
    const cost = shard.originalLeader === to ? -2 : shard.originalLeader === from ? 0 : -1;
    const rank = cost + shard.source.ops / (shard.source.ops + 1000);
    if (best < 0 || rank < bestRank || (rank === bestRank && index < best)) {
      best = index;
      bestRank = rank;
    }
    if (++candidates === maxCandidates) break;
  }
  return best;
}

/** Evens out operations by exchanging leadership between two members: no data moves, and leader counts stay. */
export function balanceOps(model: GridModel, tolerance: number): void {
  for (let done = 0; done < maxExchanges; done++) {
    if (!pairsOutOfTolerance(model, tolerance).some(([from, to]) => exchange(model, from, to))) return;
  }
}

function pairsOutOfTolerance(model: GridModel, tolerance: number): (readonly [number, number])[] {
  const opsOf = (member: number): number => model.ops[member] ?? 0;
  const mean = model.up.reduce((sum, member) => sum + opsOf(member), 0) / Math.max(1, model.up.length);
  const gap = ([from, to]: readonly [number, number]): number => opsOf(from) - opsOf(to);
  return model.up
    .flatMap((from) => model.up.map((to) => [from, to] as const))
    .filter(([from, to]) => opsOf(from) > mean * (1 + tolerance) || opsOf(to) < mean * (1 - tolerance))
    .filter((pair) => gap(pair) > leastGap)
    .sort((a, b) => gap(b) - gap(a) || a[0] - b[0] || a[1] - b[1]);
}

function exchange(model: GridModel, from: number, to: number): boolean {
  const gap = (model.ops[from] ?? 0) - (model.ops[to] ?? 0);
  const given = ledWithFollower(model, from, to);
  const taken = ledWithFollower(model, to, from);
  let best: readonly [number, number] | undefined;
  let bestDistance = Infinity;
  const consider = (give: number, take: number): void => {
    const gain = (model.shards[give]?.source.ops ?? 0) - (take < 0 ? 0 : (model.shards[take]?.source.ops ?? 0));
    const distance = Math.abs(gain - gap / 2);
    if (gain < leastGain || gain > gap - leastGain || distance >= bestDistance) return;
    best = [give, take];
    bestDistance = distance;
  };
  for (const give of given) {
    if ((model.leaderCounts[from] ?? 0) === (model.leaderCounts[to] ?? 0) + 1) consider(give, -1);
    for (const take of taken) consider(give, take);
  }
  if (best === undefined) return false;
  model.lead(best[0], to, 'ops-balance');
  if (best[1] >= 0) model.lead(best[1], from, 'ops-balance');
  return true;
}

/** The busiest and the idlest shards that one leads and the other follows, at most {@link maxCandidates} of them. */
function ledWithFollower(model: GridModel, leader: number, follower: number): number[] {
  const opsOf = (index: number): number => model.shards[index]?.source.ops ?? 0;
  const found = [...(model.led[leader] ?? [])]
    .filter((index) => {
      const shard = model.shards[index];
      return shard !== undefined && canChange(shard) && shard.holders.includes(follower);
    })
    .sort((a, b) => opsOf(b) - opsOf(a) || a - b);
  if (found.length <= maxCandidates) return found;
  const half = maxCandidates / 2;
  return [...found.slice(0, half), ...found.slice(-half)];
}
