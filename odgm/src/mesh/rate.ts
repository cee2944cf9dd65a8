import { type CancelSignal, type Clock, sleep, type Timers } from '@oaas/commons/time';
import type { RateLimit } from './port.ts';

export interface ByteRateOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** 0 holds all bytes back; Infinity lets all pass. */
  readonly bytesPerSecond: number;
  /** Bytes that may pass at once after a rest, in milliseconds of the rate. Default 100 ms. */
  readonly burstMs?: number | undefined;
}

/** How often held-back bytes look whether the rate has changed. */
const lookMs = 200;

/** A token bucket whose rate can change while bytes wait. One may meter several streams together: first come, first served. */
export class ByteRate implements RateLimit {
  bytesPerSecond: number;
  private readonly options: ByteRateOptions;
  private tokens = 0;
  private filledAt: number;
  private turn: Promise<void> = Promise.resolve();

  constructor(options: ByteRateOptions) {
    this.options = options;
    this.bytesPerSecond = options.bytesPerSecond;
    this.filledAt = options.clock.monotonic();
  }

  take(bytes: number, signal: CancelSignal): Promise<void> | undefined {
    if (this.bytesPerSecond === Number.POSITIVE_INFINITY) return undefined;
    const mine = this.turn.then(() => this.wait(bytes, signal));
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private async wait(bytes: number, signal: CancelSignal): Promise<void> {
    const { timers } = this.options;
    for (;;) {
      this.fill();
      // A chunk larger than the burst passes on credit; the next one waits for the debt.
      if (this.tokens > 0 || this.bytesPerSecond === Number.POSITIVE_INFINITY) break;
      const missing = this.bytesPerSecond > 0 ? ((1 - this.tokens) / this.bytesPerSecond) * 1000 : lookMs;
      await sleep(timers, Math.min(lookMs, Math.max(1, missing)), signal);
    }
    this.tokens -= bytes;
  }

  private fill(): void {
    const { clock, burstMs = 100 } = this.options;
    const now = clock.monotonic();
    const rate = Number.isFinite(this.bytesPerSecond) ? this.bytesPerSecond : 0;
    this.tokens = Math.min((rate * burstMs) / 1000, this.tokens + (rate * (now - this.filledAt)) / 1000);
    this.filledAt = now;
  }
}
