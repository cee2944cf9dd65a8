import { stableHash } from './hash.ts';

export interface PlacementInput {
  /** Salt: collections with the same numbers are placed apart, so that small ones do not pile up on one member. */
  readonly collection: string;
  readonly partitionCount: number;
  /** Wanted replicas of each partition, at least 1. With fewer members each partition has one replica per member. */
  readonly replicaCount: number;
  /** Ids of the members, in any order, each once. */
  readonly members: readonly string[];
}

/** Per partition the members that hold it, the primary first. Empty lists when there are no members. */
export type Placement = readonly (readonly string[])[];

/**
 * Where the replicas of a collection live, as a function of the member list alone: every node computes the same.
 *
 * Members join one after the other in natural order (`n-2` before `n-10`). Each joiner takes its share, `floor` or
 * `ceil` of replicas / members, from the members that hold most; nothing else moves. So loads differ by at most one,
 * and a grid that grows at the end of the order (as the pods of a StatefulSet do) moves the least that balance allows:
 * the joiner's share. A list that changes elsewhere may move more.
 */
export function placePartitions(input: PlacementInput): Placement {
  const members = [...input.members].sort(byNaturalOrder);
  const holders: string[][] = Array.from({ length: input.partitionCount }, () => []);
  const seeds = Math.min(input.replicaCount, members.length);
  for (const seed of members.slice(0, seeds)) for (const replicas of holders) replicas.push(seed);
  for (let count = seeds + 1; count <= members.length; count++) {
    join(input, holders, members.slice(0, count - 1), members[count - 1] ?? '');
  }
  return holders.map((replicas, partition) =>
    [...replicas].sort((a, b) => rank(input, partition, b) - rank(input, partition, a) || byNaturalOrder(a, b)),
  );
}

function join(input: PlacementInput, holders: string[][], present: readonly string[], joiner: string): void {
  const held = new Map<string, Set<number>>(present.map((member) => [member, new Set()]));
  holders.forEach((replicas, partition) => {
    for (const member of replicas) held.get(member)?.add(partition);
  });
  const taken = new Set<number>();
  for (let left = shareOf(input, holders, present.length + 1, joiner); left > 0; left--) {
    const donors = present
      .filter((member) => [...(held.get(member) ?? [])].some((partition) => !taken.has(partition)))
      .sort((a, b) => sizeOf(held, b) - sizeOf(held, a) || rank(input, -1, b) - rank(input, -1, a));
    const donor = donors[0];
    if (donor === undefined) return;
    const partition = [...(held.get(donor) ?? [])]
      .filter((candidate) => !taken.has(candidate))
      .reduce((best, next) => (rank(input, next, joiner) > rank(input, best, joiner) ? next : best));
    held.get(donor)?.delete(partition);
    taken.add(partition);
    const replicas = holders[partition];
    if (replicas !== undefined) replicas[replicas.indexOf(donor)] = joiner;
  }
}

/** `floor` or `ceil` of the even share; who gets the rounding is decided by hash, so that it is not always the first. */
function shareOf(input: PlacementInput, holders: readonly string[][], memberCount: number, joiner: string): number {
  const total = holders.reduce((sum, replicas) => sum + replicas.length, 0);
  const remainder = total % memberCount;
  const getsOneMore = stableHash(input.collection, 'share', joiner) / 2 ** 32 < remainder / memberCount;
  return Math.floor(total / memberCount) + (getsOneMore ? 1 : 0);
}

function sizeOf(held: ReadonlyMap<string, ReadonlySet<number>>, member: string): number {
  return held.get(member)?.size ?? 0;
}

function rank(input: PlacementInput, partition: number, member: string): number {
  return stableHash(input.collection, String(partition), member);
}

/** Compares runs of digits as numbers and everything else by code unit, without any locale. */
export function byNaturalOrder(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i] ?? '', right[i] ?? ''];
    const difference = Number(x) - Number(y);
    if (!Number.isNaN(difference) && difference !== 0) return difference;
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length;
}
