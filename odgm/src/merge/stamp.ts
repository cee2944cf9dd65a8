import type { Reader, Writer } from './bytes.ts';

/**
 * When and where a write was accepted: a reading of a hybrid logical clock. Stamps have one total order (time, counter,
 * member), the same on every replica; no two batches of a correct grid have the same one.
 *
 * Source: S. Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014.
 */
export interface Stamp {
  /** Milliseconds since the Unix epoch, 48 bits: until the year 10889. */
  readonly ms: number;
  /** Tells apart what happens within one millisecond, 16 bits. */
  readonly counter: number;
  /** Number of the member that accepted the write: 1 to 2^53 - 1; 0 only in {@link zeroStamp}. */
  readonly member: number;
}

/** Bytes of an encoded stamp: ms (6), counter (2), member (8), big-endian: bytes sort as stamps do. */
export const stampBytes = 16;
export const maxStampMs = 2 ** 48 - 1;
export const maxStampCounter = 2 ** 16 - 1;

/** Before every stamp that a clock gives. */
export const zeroStamp: Stamp = { ms: 0, counter: 0, member: 0 };

/** Negative, 0 or positive as `a` is before, the same as, or after `b`. */
export function compareStamps(a: Stamp, b: Stamp): number {
  return a.ms - b.ms || a.counter - b.counter || a.member - b.member;
}

export function laterStamp(a: Stamp, b: Stamp): Stamp {
  return compareStamps(a, b) < 0 ? b : a;
}

export function earlierStamp(a: Stamp, b: Stamp): Stamp {
  return compareStamps(a, b) > 0 ? b : a;
}

export function writeStamp(out: Writer, stamp: Stamp): void {
  out.uint(stamp.ms, 6);
  out.uint(stamp.counter, 2);
  out.uint(stamp.member, 8);
}

export function readStamp(from: Reader): Stamp {
  return { ms: from.uint(6), counter: from.uint(2), member: from.uint(8) };
}
