import { isOaasError, type OaasError } from '@oaas/commons/errors';
import { type Outcome, WorkQueue, type WorkQueueMetrics } from '@oaas/commons/queue';
import type { BackoffOptions, Clock, Random, Timer, Timers } from '@oaas/commons/time';
import type { Watched } from './ports.ts';
import type { Store, StoreChange } from './store.ts';

export interface ControllerOptions {
  readonly name: string;
  /** Brings the object named `key` to where it should be. Reads stores, never the event that asked for it. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Keys in work at once. */
  readonly concurrency: number;
  /** Distinct keys that wait. A key over it is tried again later; only its name is kept. Default 100,000. */
  readonly depthMax?: number | undefined;
  readonly backoff?: BackoffOptions | undefined;
  readonly metrics?: WorkQueueMetrics | undefined;
  readonly onFailure?: ((key: string, error: OaasError, retryInMs: number | undefined) => void) | undefined;
}

const defaultDepthMax = 100_000;
/** Keys that found no place are enqueued again this much later. */
const recoveryMs = 10_000;

/**
 * A work queue with the stores that feed it. Handlers only enqueue keys; the reconcile function is the one place where
 * something is done.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #unsubscribes: (() => void)[] = [];
  /** Keys that found no place. Bounded by the objects that there are. */
  readonly #refused = new Set<string>();
  #recovery: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({
      name: options.name,
      clock: options.clock,
      timers: options.timers,
      random: options.random,
      limits: { concurrency: options.concurrency, depthMax: options.depthMax ?? defaultDepthMax },
      backoff: options.backoff,
      metrics: options.metrics,
      onFailure: options.onFailure,
    });
  }

  /**
   * Enqueues, for every change in `store`, the keys that `map` names. `delayMs` (default 0) lets changes that come
   * together be one piece of work.
   */
  watch<T extends Watched>(
    store: Store<T>,
    map: (change: StoreChange<T>) => readonly string[],
    options: { readonly delayMs?: number } = {},
  ): void {
    const delayMs = options.delayMs ?? 0;
    this.#unsubscribes.push(
      store.subscribe((change) => {
        for (const key of map(change)) this.#enqueue(key, delayMs);
      }),
    );
  }

  /** Asks for work on `key`, now or in `delayMs`. Never throws. */
  enqueue(key: string, delayMs = 0): void {
    this.#enqueue(key, delayMs);
  }

  get depth(): number {
    return this.#queue.depth;
  }

  /** Starts the workers. Keys that were enqueued before are waiting for them. */
  start(): void {
    this.#running ??= this.#queue.run(this.#options.reconcile);
  }

  /** Finishes what is in work within `timeoutMs`; what waits is dropped, since a later start looks at everything anyway. */
  async stop(timeoutMs: number): Promise<void> {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    this.#recovery?.cancel();
    await this.#queue.stop({ timeoutMs });
    await this.#running;
  }

  #enqueue(key: string, delayMs: number): void {
    try {
      if (delayMs > 0) this.#queue.addAfter(key, delayMs);
      else this.#queue.add(key);
    } catch (error) {
      if (!isOaasError(error, 'ResourceExhausted')) throw error;
      this.#options.onFailure?.(key, error, recoveryMs);
      this.#refused.add(key);
      this.#recovery ??= this.#options.timers.after(recoveryMs, () => {
        this.#recovery = undefined;
        const again = [...this.#refused];
        this.#refused.clear();
        for (const each of again) this.#enqueue(each, 0);
      });
    }
  }
}
