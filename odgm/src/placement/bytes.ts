import type { GridModel, ModelShard } from './model.ts';

/** Differences below this are not worth a move, in bytes. */
const leastGap = 16 * 1024 * 1024;
/** An exchange must shift at least so many bytes, and this part of what it copies. */
const leastGain = leastGap / 4;
const leastYield = 0.1;
/** Exchanges in one plan. What is left shows in the balance, and the next plan goes on. */
const maxExchanges = 2000;

/**
 * Evens out bytes by exchanging replicas between two members, so that their counts stay (or swap, when they differ by
 * one). Members within the tolerance of the mean are left alone. Returns whether anything changed.
 */
export function balanceBytes(model: GridModel, tolerance: number): boolean {
  for (let done = 0; done < maxExchanges; done++) {
    const pairs = pairsOutOfTolerance(model, tolerance);
    if (!pairs.some(([from, to]) => exchange(model, from, to))) return done > 0;
  }
  return true;
}

/** Pairs of which at least one side is out of tolerance and the gap is worth it, widest first. */
function pairsOutOfTolerance(model: GridModel, tolerance: number): (readonly [number, number])[] {
  const bytesOf = (member: number): number => model.bytes[member] ?? 0;
  const mean = model.up.reduce((sum, member) => sum + bytesOf(member), 0) / Math.max(1, model.up.length);
  const pairs: (readonly [number, number])[] = [];
  for (const from of model.up) {
    for (const to of model.up) {
      const isOut = bytesOf(from) > mean * (1 + tolerance) || bytesOf(to) < mean * (1 - tolerance);
      if (isOut && bytesOf(from) - bytesOf(to) > leastGap) pairs.push([from, to]);
    }
  }
  const gap = ([from, to]: readonly [number, number]): number => bytesOf(from) - bytesOf(to);
  return pairs.sort((a, b) => gap(b) - gap(a) || a[0] - b[0] || a[1] - b[1]);
}

interface Candidate {
  readonly index: number;
  readonly shard: ModelShard;
  readonly bytes: number;
}

function exchange(model: GridModel, from: number, to: number): boolean {
  const gap = (model.bytes[from] ?? 0) - (model.bytes[to] ?? 0);
  const given = candidates(model, from, to);
  const taken = candidates(model, to, from);
  let best: { give: Candidate; take: Candidate | undefined; rank: number } | undefined;
  const consider = (give: Candidate, take: Candidate | undefined): void => {
    const gain = give.bytes - (take?.bytes ?? 0);
    const copied = give.bytes + (take?.bytes ?? 0);
    if (gain < Math.max(leastGain, copied * leastYield) || gain > gap - leastGain) return;
    if ((model.bytes[to] ?? 0) + gain > (model.capacity[to] ?? 0)) return;
    const rank = Math.abs(gain - gap / 2) + copied / 16;
    if (best === undefined || rank < best.rank) best = { give, take, rank };
  };
  if ((model.replicaCounts[from] ?? 0) === (model.replicaCounts[to] ?? 0) + 1) {
    for (const give of given) consider(give, undefined);
  }
  for (const take of taken) {
    const at = lowerBound(given, take.bytes + gap / 2);
    for (let i = Math.max(0, at - 2); i < Math.min(given.length, at + 2); i++) {
      const give = given[i];
      if (give !== undefined) consider(give, take);
    }
  }
  if (best === undefined) return false;
  const { give, take } = best;
  model.replace(give.index, from, to, 'byte-balance');
  if (take !== undefined) model.replace(take.index, to, from, 'byte-balance');
  return true;
}

/** Shards on one member that may be on the other instead, by bytes. */
function candidates(model: GridModel, from: number, to: number): Candidate[] {
  const found: Candidate[] = [];
  for (const index of model.held[from] ?? []) {
    const shard = model.shards[index];
    if (shard?.movable !== true || shard.holders.includes(to) || !model.keepsZones(shard, from, to)) continue;
    found.push({ index, shard, bytes: shard.source.bytes });
  }
  return found.sort((a, b) => a.bytes - b.bytes || a.index - b.index);
}

function lowerBound(sorted: readonly Candidate[], bytes: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.bytes ?? 0) < bytes) low = middle + 1;
    else high = middle;
  }
  return low;
}
