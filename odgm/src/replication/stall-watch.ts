import type { Clock, Timer, Timers } from '@oaas/commons/time';

export interface StallWatchOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** How often it looks, in milliseconds. */
  readonly lookMs: number;
  /** Longest time of one wait, in milliseconds. Asked at each look. */
  readonly boundMs: () => number;
  /** Called once for a wait that is longer. */
  readonly onStalled: () => void;
}

/** Looks after waits for somebody who may never answer, one at a time. */
export class StallWatch {
  readonly #options: StallWatchOptions;
  #since = 0;
  #timer: Timer | undefined;
  /** A wait was too long. */
  hasStalled = false;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  /** A wait begins: another one than that before, which is over. */
  begin(): void {
    this.end();
    this.#since = this.#options.clock.monotonic();
    this.#lookLater();
  }

  /** Nothing is waited for. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookLater(): void {
    const { clock, timers, lookMs, boundMs, onStalled } = this.#options;
    this.#timer = timers.after(lookMs, () => {
      if (clock.monotonic() - this.#since < boundMs()) this.#lookLater();
      else {
        this.#timer = undefined;
        this.hasStalled = true;
        onStalled();
      }
    });
  }
}
