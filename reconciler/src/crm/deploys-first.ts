import { setMaxListeners } from 'node:events';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';

/** Nothing was stored for this long: the burst is over. */
const quietMs = 25;
const pollMs = 10;
/** No record waits longer than this for others to be stored. */
const waitMsMax = 10_000;

/**
 * Lets the storing of records go before their reconciling. Storing one is quick and is what a push waits for; bringing
 * its children about takes ten times the writes, and both meet at the same API server.
 */
export class DeploysFirst {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #storing = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = options.clock;
    this.#timers = options.timers;
  }

  async store<T>(write: () => Promise<T>): Promise<T> {
    this.#storing += 1;
    try {
      return await write();
    } finally {
      this.#storing -= 1;
      this.#lastMs = this.#clock.monotonic();
    }
  }

  /** Resolves when no record is being stored, or after 10 s. Rejects with `Cancelled` when the signal aborts. */
  async turn(signal: AbortSignal): Promise<void> {
    const until = this.#clock.monotonic() + waitMsMax;
    // All workers wait on the queue's one signal, and each leaves when its wait is over: that is no leak.
    setMaxListeners(0, signal);
    while (this.#isBusy() && this.#clock.monotonic() < until) await sleep(this.#timers, pollMs, signal);
  }

  #isBusy(): boolean {
    return this.#storing > 0 || this.#clock.monotonic() - this.#lastMs < quietMs;
  }
}
