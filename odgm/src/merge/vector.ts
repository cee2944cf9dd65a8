import type { Reader, Writer } from './bytes.ts';

export interface VectorEntry {
  /** Member number, or 0: see {@link maxVectorMembers}. */
  readonly member: number;
  /** Batches that this member accepted, at least 1. */
  readonly count: number;
}

/**
 * Counts per member, in ascending order of members, each member once. A plain version vector: the dots of a dotted one tell
 * siblings apart, and entries here have stamps and no siblings.
 */
export type VersionVector = readonly VectorEntry[];

export const emptyVector: VersionVector = [];

/**
 * Members that a vector counts by name. Only replicas of the shard accept batches, so this is reached after that many
 * replacements of replicas that all wrote the same object. From then on a further member counts under number 0, which
 * it shares: two batches accepted at once there may count as one, and comparing vectors may call them equal. Versions
 * still never go back.
 */
export const maxVectorMembers = 64;

/** One more batch accepted by `member`. The sum grows by exactly 1. */
export function incrementVector(vector: VersionVector, member: number): VersionVector {
  const isNamed = vector.some((entry) => entry.member === member);
  const name = isNamed || vector.length < maxVectorMembers ? member : 0;
  const next: VectorEntry[] = [];
  let isIn = false;
  for (const entry of vector) {
    if (!isIn && entry.member >= name) {
      isIn = true;
      const count = entry.member === name ? entry.count + 1 : 1;
      next.push({ member: name, count });
      if (entry.member === name) continue;
    }
    next.push(entry);
  }
  if (!isIn) next.push({ member: name, count: 1 });
  return next;
}

/** The higher count of each member: commutative, associative, idempotent. */
export function mergeVectors(a: VersionVector, b: VersionVector): VersionVector {
  const merged: VectorEntry[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (left === undefined && right === undefined) return merged;
    if (right === undefined || (left !== undefined && left.member < right.member)) {
      if (left !== undefined) merged.push(left);
      i++;
    } else if (left === undefined || right.member < left.member) {
      merged.push(right);
      j++;
    } else {
      merged.push(left.count >= right.count ? left : right);
      i++;
      j++;
    }
  }
}

/** The sum of all counts: batches that this replica knows of. */
export function vectorTotal(vector: VersionVector): number {
  return vector.reduce((sum, entry) => sum + entry.count, 0);
}

/**
 * How what `a` counts stands to what `b` counts. `before`: `b` has seen all of `a` and more. `concurrent`: each has
 * seen something that the other has not.
 */
export function compareVectors(a: VersionVector, b: VersionVector): 'equal' | 'before' | 'after' | 'concurrent' {
  const merged = vectorTotal(mergeVectors(a, b));
  const aLacks = merged > vectorTotal(a);
  const bLacks = merged > vectorTotal(b);
  if (aLacks && bLacks) return 'concurrent';
  if (aLacks) return 'before';
  return bLacks ? 'after' : 'equal';
}

/** Bytes that {@link writeVector} writes. */
export function vectorBytes(vector: VersionVector): number {
  return 2 + vector.length * 16;
}

export function writeVector(out: Writer, vector: VersionVector): void {
  out.uint(vector.length, 2);
  for (const { member, count } of vector) {
    out.uint(member, 8);
    out.uint(count, 8);
  }
}

/** Marks `from` as failed when members are out of order or a count is 0. */
export function readVector(from: Reader): VersionVector {
  const length = from.uint(2);
  const vector: VectorEntry[] = [];
  let last = -1;
  for (let i = 0; i < length && !from.failed; i++) {
    const entry = { member: from.uint(8), count: from.uint(8) };
    if (entry.member <= last || entry.count === 0) from.failed = true;
    last = entry.member;
    vector.push(entry);
  }
  return vector;
}
