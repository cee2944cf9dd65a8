/** What {@link levelOut} works on: loads of members, and where a unit of load can go. */
export interface Levels {
  /** Positions of members that take part. */
  readonly members: readonly number[];
  readonly loads: Int32Array;
  /** Whether any unit can go directly from one member to the other. */
  canShift(from: number, to: number): boolean;
  /** Takes the best unit there and returns it; -1 when there is none after all. */
  shift(from: number, to: number): number;
  /** Takes a unit that was shifted back. */
  unshift(unit: number, from: number, to: number): void;
}

/**
 * Evens out loads until no chain of shifts leads from a member to one that has at least 2 less, which for loads of
 * this kind (flows through shards) is the optimum. Heaviest first, and by shortest chains, so that little moves.
 * Ends because each chain lowers the sum of squares of the loads.
 */
export function levelOut(levels: Levels): void {
  const size = levels.loads.length;
  /** Pairs for which `shift` failed in the present state. */
  const failed = new Uint8Array(size * size);
  for (;;) {
    const chain = findChain(levels, failed);
    if (chain === undefined) return;
    if (followChain(levels, chain, failed)) failed.fill(0);
  }
}

function findChain(levels: Levels, failed: Uint8Array): number[] | undefined {
  const { members, loads } = levels;
  const byLoad = [...members].sort((a, b) => (loads[b] ?? 0) - (loads[a] ?? 0) || a - b);
  const least = loads[byLoad.at(-1) ?? 0] ?? 0;
  for (const start of byLoad) {
    const load = loads[start] ?? 0;
    if (load - least < 2) return undefined;
    const chain = chainFrom(levels, failed, start);
    if (chain !== undefined) return chain;
  }
  return undefined;
}

/** Breadth first: the shortest chain to the least loaded member that is reachable. */
function chainFrom(levels: Levels, failed: Uint8Array, start: number): number[] | undefined {
  const { members, loads } = levels;
  const size = loads.length;
  const previous = new Int32Array(size).fill(-1);
  previous[start] = start;
  const queue = [start];
  let best = -1;
  for (const from of queue) {
    for (const to of members) {
      if (previous[to] !== -1 || failed[from * size + to] === 1 || !levels.canShift(from, to)) continue;
      previous[to] = from;
      queue.push(to);
      const isLower = best < 0 || (loads[to] ?? 0) < (loads[best] ?? 0);
      if (isLower && (loads[start] ?? 0) - (loads[to] ?? 0) >= 2) best = to;
    }
  }
  if (best < 0) return undefined;
  const chain = [best];
  while (chain[0] !== start) chain.unshift(previous[chain[0] ?? 0] ?? start);
  return chain;
}

/** All shifts of the chain, or none. From its end, so that no member is over its load in between. */
function followChain(levels: Levels, chain: readonly number[], failed: Uint8Array): boolean {
  const done: { unit: number; from: number; to: number }[] = [];
  for (let i = chain.length - 2; i >= 0; i--) {
    const [from, to] = [chain[i] ?? 0, chain[i + 1] ?? 0];
    const unit = levels.shift(from, to);
    if (unit >= 0) {
      done.push({ unit, from, to });
      continue;
    }
    failed[from * levels.loads.length + to] = 1;
    for (const step of done.reverse()) levels.unshift(step.unit, step.from, step.to);
    return false;
  }
  return true;
}
