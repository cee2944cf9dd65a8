import { byNaturalOrder } from '../placement/index.ts';

/** What a member said to hold of one collection. */
export interface Holding {
  readonly member: string;
  readonly partitionCount: number;
  /** Partitions with at least one object. */
  readonly partitions: ReadonlySet<number>;
}

/**
 * Who serves each partition: the member that placement names, unless it has nothing of the partition and another
 * member has. Data does not move by itself in this build, so a changed member list must not hide what an earlier one
 * wrote.
 */
export function ownersOf(
  placed: readonly (readonly string[])[],
  holdings: readonly Holding[],
): { readonly owners: readonly string[]; readonly displaced: readonly number[] } {
  const displaced: number[] = [];
  const owners = placed.map((replicas, partition) => {
    const primary = replicas[0] ?? '';
    const holders = holdings
      .filter((holding) => holding.partitionCount === placed.length && holding.partitions.has(partition))
      .map(({ member }) => member)
      .sort(byNaturalOrder);
    if (holders.length === 0 || holders.includes(primary)) return primary;
    displaced.push(partition);
    return holders[0] ?? primary;
  });
  return { owners, displaced };
}

/**
 * How many partitions a collection is served with. A layout that holds objects stays, here or on another member:
 * with another count the same ids would lead to other partitions, and the objects would seem to be gone.
 */
export function servedPartitionCount(
  wanted: number,
  own: Holding | undefined,
  others: readonly Holding[],
): { readonly partitionCount: number; readonly reason?: string } {
  const holder = [own, ...others].find((holding) => holding !== undefined && holding.partitions.size > 0);
  if (holder === undefined || holder.partitionCount === wanted) return { partitionCount: wanted };
  const count = String(holder.partitionCount);
  return {
    partitionCount: holder.partitionCount,
    reason:
      `partition count ${String(wanted)} is configured, but member ${holder.member} holds objects in a layout of ` +
      `${count} partitions; the layout of ${count} keeps serving`,
  };
}
