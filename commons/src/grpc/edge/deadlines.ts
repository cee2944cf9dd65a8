import type { Clock, Timer, Timers } from '../../time/index.ts';

/** Something that ends at its deadline. */
export interface Timed {
  /** When, by the monotonic clock; {@link untimed} while nothing watches it. */
  dueMs: number;
  /** Called once, when it is due. */
  expire(): void;
}

export const untimed = -1;

/** Deadlines are kept to within this time, in milliseconds. */
const coarseMs = 5;

/**
 * The deadlines of all calls of a server or a channel under one timer: it goes off when the first one of them is due, and
 * all are looked at then. Most calls end long before, so that theirs are only added and removed.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly timers: Timers;
  private readonly open = new Set<Timed>();
  private timer: Timer | undefined = undefined;
  private armedAt = Number.POSITIVE_INFINITY;
  private isClosed = false;

  constructor(clock: Clock, timers: Timers) {
    this.clock = clock;
    this.timers = timers;
  }

  add(timed: Timed, dueMs: number): void {
    if (this.isClosed) return;
    timed.dueMs = dueMs;
    this.open.add(timed);
    if (dueMs < this.armedAt) this.arm(dueMs);
  }

  remove(timed: Timed): void {
    if (timed.dueMs === untimed) return;
    timed.dueMs = untimed;
    this.open.delete(timed);
  }

  /** Watches nothing any more. */
  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.open.clear();
  }

  private arm(dueMs: number): void {
    this.timer?.cancel();
    this.armedAt = dueMs;
    this.timer = this.timers.after(Math.max(0, dueMs - this.clock.monotonic()), () => this.sweep());
  }

  private sweep(): void {
    this.timer = undefined;
    this.armedAt = Number.POSITIVE_INFINITY;
    const now = this.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const timed of this.open) {
      if (timed.dueMs > now) {
        next = Math.min(next, timed.dueMs);
        continue;
      }
      this.remove(timed);
      timed.expire();
    }
    next = Math.max(next, now + coarseMs);
    if (next < this.armedAt && this.open.size > 0) this.arm(next);
  }
}
