import type { Clock } from '@oaas/commons/time';

/** Seconds that rates and percentiles look back, the running one left out. */
const windowSeconds = 10;
/** Bucket i holds durations up to 0.05 ms * 1.5^i; the last one everything above (about 12 s). */
const bucketCount = 32;

interface Slot {
  second: number;
  count: number;
  readonly buckets: Uint32Array;
}

/** Rate and 99th percentile of one kind of operation over the last seconds. Fixed memory. */
export class OperationWindow {
  readonly #clock: Clock;
  readonly #slots: Slot[];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#slots = Array.from({ length: windowSeconds + 1 }, () => ({
      second: -1,
      count: 0,
      buckets: new Uint32Array(bucketCount),
    }));
  }

  record(durationMs: number): void {
    const second = Math.floor(this.#clock.monotonic() / 1000);
    const slot = this.#slots[second % this.#slots.length];
    if (slot === undefined) return;
    if (slot.second !== second) {
      slot.second = second;
      slot.count = 0;
      slot.buckets.fill(0);
    }
    slot.count += 1;
    const bucket = Math.min(bucketCount - 1, Math.max(0, Math.ceil(Math.log(durationMs / 0.05) / Math.log(1.5))));
    slot.buckets[bucket] = (slot.buckets[bucket] ?? 0) + 1;
  }

  /** `p99Ms` is the upper bound of the bucket that holds it, 0 without operations. */
  read(): { readonly perSecond: number; readonly p99Ms: number } {
    const now = Math.floor(this.#clock.monotonic() / 1000);
    const recent = this.#slots.filter(({ second }) => second < now && second >= now - windowSeconds);
    const total = recent.reduce((sum, { count }) => sum + count, 0);
    if (total === 0) return { perSecond: 0, p99Ms: 0 };
    let left = Math.ceil(total * 0.99);
    let bucket = 0;
    for (; bucket < bucketCount - 1; bucket++) {
      left -= recent.reduce((sum, { buckets }) => sum + (buckets[bucket] ?? 0), 0);
      if (left <= 0) break;
    }
    return { perSecond: total / windowSeconds, p99Ms: Number((0.05 * 1.5 ** bucket).toFixed(3)) };
  }
}
