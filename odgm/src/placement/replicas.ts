import { levelOut } from './level.ts';
import type { GridModel, ModelShard } from './model.ts';
import type { MoveCause } from './types.ts';

/** Valid shards that are compared before one is taken: bounds the time of a plan, not its balance. */
const maxCandidates = 128;

/**
 * Evens out the numbers of replicas of members that are up, within one where shards, zones and capacity allow.
 * `onlyNew`: only replicas that this plan places anyway may be placed elsewhere.
 */
export function balanceReplicas(model: GridModel, onlyNew: boolean): void {
  const size = model.members.length;
  /** Shards with a replica on the row's member that may go to the column's member, capacity apart. */
  const shiftable = new Int32Array(size * size);
  const mayLeave = (shard: ModelShard, member: number): boolean =>
    shard.movable && model.isUp[member] === true && (!onlyNew || !shard.original.includes(member));
  const candidates = new Candidates(model, mayLeave);
  const count = (index: number, sign: 1 | -1): void => {
    const shard = model.shards[index];
    if (shard?.movable !== true) return;
    for (const from of shard.holders) {
      if (!mayLeave(shard, from)) continue;
      for (const to of model.up) {
        if (shard.holders.includes(to) || !model.keepsZones(shard, from, to)) continue;
        shiftable[from * size + to] = (shiftable[from * size + to] ?? 0) + sign;
        if (sign > 0) candidates.add(from, to, index);
      }
    }
  };
  for (let index = 0; index < model.shards.length; index++) count(index, 1);
  model.onHolders = count;
  const total = model.up.reduce((sum, member) => sum + (model.replicaCounts[member] ?? 0), 0);
  const target = total / Math.max(1, model.up.length);
  const meanBytes =
    model.up.reduce((sum, member) => sum + (model.bytes[member] ?? 0), 0) / Math.max(1, model.up.length);
  const cause: MoveCause = 'replica-balance';
  levelOut({
    members: model.up,
    loads: model.replicaCounts,
    canShift: (from, to) => (shiftable[from * size + to] ?? 0) > 0,
    shift: (from, to) => {
      const missing = Math.max(1, target - (model.replicaCounts[to] ?? 0));
      const ideal = Math.max(0, meanBytes - (model.bytes[to] ?? 0)) / missing;
      const index = candidates.best(from, to, ideal);
      if (index >= 0) model.replace(index, from, to, cause);
      return index;
    },
    unshift: (index, from, to) => {
      model.replace(index, to, from, cause);
    },
  });
  model.onHolders = undefined;
}

/** Shards that may move between two members, so that not all of a member's are looked at each time. */
class Candidates {
  readonly #model: GridModel;
  readonly #mayLeave: (shard: ModelShard, member: number) => boolean;
  /** By pair of members. Each holds all shards that can move, and some that no longer can. */
  readonly #lists: readonly number[][];

  constructor(model: GridModel, mayLeave: (shard: ModelShard, member: number) => boolean) {
    this.#model = model;
    this.#mayLeave = mayLeave;
    this.#lists = Array.from({ length: model.members.length ** 2 }, () => []);
  }

  add(from: number, to: number, index: number): void {
    this.#lists[from * this.#model.members.length + to]?.push(index);
  }

  /** The shard whose move costs least and brings the receiver nearest to its share of bytes; -1 when none can move. */
  best(from: number, to: number, idealBytes: number): number {
    return this.#bestOf(this.#lists[from * this.#model.members.length + to] ?? [], from, to, idealBytes);
  }

  #bestOf(list: number[], from: number, to: number, idealBytes: number): number {
    let best = -1;
    let bestRank = Infinity;
    let bestTie = 0;
    let i = 0;
    while (i < list.length && (i < maxCandidates || best < 0)) {
      const index = list[i] ?? -1;
      const shard = this.#model.shards[index];
      if (shard === undefined || !this.#isMovable(shard, from, to)) {
        list[i] = list.at(-1) ?? -1;
        list.pop();
        continue;
      }
      i++;
      if (!this.#model.fits(shard, to)) continue;
      const { bytes } = shard.source;
      const rank = moveCost(shard, from, to) + Math.abs(bytes - idealBytes) / (idealBytes + bytes + 1);
      const tie = this.#model.tieBreak(shard, to);
      if (best >= 0 && (rank > bestRank || (rank === bestRank && tie >= bestTie))) continue;
      best = index;
      bestRank = rank;
      bestTie = tie;
    }
    return best;
  }

  #isMovable(shard: ModelShard, from: number, to: number): boolean {
    if (!shard.holders.includes(from) || shard.holders.includes(to) || !this.#mayLeave(shard, from)) return false;
    return this.#model.keepsZones(shard, from, to);
  }
}

/** Going home costs nothing, a replica that moves anyway little, one that leads most. */
function moveCost(shard: ModelShard, from: number, to: number): number {
  if (shard.original.includes(to)) return -2;
  if (!shard.original.includes(from)) return -1;
  return shard.leader === from ? 0.25 : 0;
}
