import { toOaasError } from '@oaas/commons/errors';
import { type Outcome, WorkQueue, type WorkQueueMetrics } from '@oaas/commons/queue';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { clusterStatusSchema, collectionsSchema, gridNumbers, type GridObservation } from './grid.ts';
import type { GridHttp } from './grid-http.ts';

export interface GridObserverOptions {
  readonly http: GridHttp;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** A grid says something else than before. */
  readonly onChange: (id: string) => void;
  readonly metrics?: WorkQueueMetrics | undefined;
}

/** How often a grid is asked while it is well, and while it is not. */
const calmMs = 15_000;
const anxiousMs = 1000;
/** Each grid that is watched adds this much to everybody's pause, so that the load stays bounded: 20 grids a second. */
const perGridMs = 50;
const concurrency = 8;
const gridsMax = 100_000;

/** Asks grids how they are, beside the reconciling, so that a slow grid holds nothing up. Remembers the last answer of each. */
export class GridObserver {
  readonly #options: GridObserverOptions;
  readonly #queue: WorkQueue;
  readonly #observations = new Map<string, GridObservation>();
  readonly #tracked = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(options: GridObserverOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({
      name: 'grids',
      clock: options.clock,
      timers: options.timers,
      random: options.random,
      limits: { depthMax: gridsMax, concurrency },
      metrics: options.metrics,
    });
  }

  get(id: string): GridObservation | undefined {
    return this.#observations.get(id);
  }

  /** From now on the grid is asked again and again, at first at once. */
  track(id: string): void {
    if (this.#tracked.has(id)) return;
    this.#tracked.add(id);
    this.#queue.add(id);
  }

  /** Asks at once, for a grid whose pods have just changed. */
  hurry(id: string): void {
    if (this.#tracked.has(id)) this.#queue.add(id);
  }

  /** Asks now and waits for the answer: for a decision that an answer of a while ago is not good enough for. */
  async ask(id: string, signal: AbortSignal): Promise<GridObservation> {
    const observation = { at: this.#options.clock.now(), result: await this.#ask(id, signal) };
    if (this.#tracked.has(id)) this.#observations.set(id, observation);
    return observation;
  }

  forget(id: string): void {
    this.#tracked.delete(id);
    this.#observations.delete(id);
  }

  start(): void {
    this.#running ??= this.#queue.run((id, signal) => this.#observe(id, signal));
  }

  async stop(): Promise<void> {
    await this.#queue.stop({ timeoutMs: 0 }).catch(() => undefined);
    await this.#running;
  }

  async #observe(id: string, signal: AbortSignal): Promise<Outcome> {
    if (!this.#tracked.has(id)) return { done: true };
    const before = this.#observations.get(id);
    const result = await this.#ask(id, signal);
    if (!this.#tracked.has(id)) return { done: true };
    this.#observations.set(id, { at: this.#options.clock.now(), result });
    if (JSON.stringify(before?.result) !== JSON.stringify(result)) this.#options.onChange(id);
    const isWell =
      result.ok && result.status.shardsReady === result.status.shardsTotal && result.status.shardsTotal > 0;
    const pauseMs = (isWell ? calmMs : anxiousMs) + this.#tracked.size * perGridMs;
    return { requeueAfterMs: pauseMs * (0.9 + 0.2 * this.#options.random.next()) };
  }

  async #ask(id: string, signal: AbortSignal): Promise<GridObservation['result']> {
    const { http } = this.#options;
    try {
      const [cluster, collections] = await Promise.all([
        http.get(id, '/admin/cluster/status', signal),
        http.get(id, '/admin/collections', signal),
      ]);
      return {
        ok: true,
        status: gridNumbers(clusterStatusSchema.parse(cluster), collectionsSchema.parse(collections)),
      };
    } catch (error) {
      return { ok: false, message: toOaasError(error).message };
    }
  }
}
