import { oaasError, type OaasError, toOaasError } from '../errors/index.ts';
import { backoffDelay, type BackoffOptions, type Clock, type Random, type Timer, type Timers } from '../time/index.ts';
import type { WorkQueueMetrics } from './metrics.ts';

/** What a worker says about a key that it has dealt with. Failures are thrown instead. */
export type Outcome = { readonly done: true } | { readonly requeueAfterMs: number };

export type Worker = (key: string, signal: AbortSignal) => Promise<Outcome>;

export interface WorkQueueOptions {
  /** Names the queue in errors. */
  readonly name: string;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: {
    /** Distinct keys that are queued, delayed or in work. `add…` of a further one throws `ResourceExhausted`. */
    readonly depthMax: number;
    /** Workers at once; further keys wait in order of arrival. */
    readonly concurrency: number;
  };
  /** Delay between the tries of a failing key. Default: 1 s doubling to 5 min, half of it random. */
  readonly backoff?: BackoffOptions | undefined;
  readonly metrics?: WorkQueueMetrics | undefined;
  /** Told of every failure, with the delay until the next try (none: the key waits for its next `add`). */
  readonly onFailure?: ((key: string, error: OaasError, retryInMs: number | undefined) => void) | undefined;
}

interface Entry {
  phase: 'idle' | 'queued' | 'running';
  /** Added again while running: runs once more right after. */
  dirty: boolean;
  failures: number;
  queuedAt: number;
  delay: { readonly timer: Timer; readonly dueAt: number } | undefined;
}

const defaultBackoff: BackoffOptions = { baseMs: 1000, maxMs: 300_000, factor: 2, jitter: 0.5 };

/**
 * The work queue of a controller: a set of keys, each dealt with by one worker at a time. A key that is added again
 * while it waits is one piece of work; while it runs, it runs once more afterwards. So a worker always sees the newest
 * state, and no change is lost. A thrown error decides by its consequence: `retry` comes back with a growing delay,
 * `wait` after `retryAfterMs` (without one, like `retry`), `stop` is forgotten until the next `add`.
 *
 * Source: the behaviour of k8s.io/client-go/util/workqueue and sigs.k8s.io/controller-runtime.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #backoff: BackoffOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #abort = new AbortController();
  readonly #idleWaiters = new Set<() => void>();
  readonly #ended = deferred();
  #worker: Worker | undefined;
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? defaultBackoff;
  }

  /** Keys that are queued, delayed or in work. */
  get size(): number {
    return this.#entries.size;
  }

  /** Keys that wait for a free worker. */
  get depth(): number {
    return this.#ready.size;
  }

  /** Asks for work on `key`, now. Throws `ResourceExhausted` over `depthMax`; does nothing after `stop`. */
  add(key: string): void {
    if (this.#stopped) return;
    const entry = this.#entry(key);
    this.#options.metrics?.added();
    this.#enqueue(key, entry);
  }

  /** Asks for work on `key` in `delayMs`. The earliest of several delays counts. Throws as {@link add} does. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    this.#delay(key, this.#entry(key), delayMs);
  }

  /** Counts a failure of `key` and adds it after the backoff that belongs to the count. Throws as {@link add} does. */
  addRateLimited(key: string): void {
    if (this.#stopped) return;
    this.#retry(key, this.#entry(key));
  }

  /** Sets the count of failures of `key` back to 0. Its pending work stays. */
  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.failures = 0;
  }

  /** Failures of `key` in a row. */
  failures(key: string): number {
    return this.#entries.get(key)?.failures ?? 0;
  }

  /** Starts the workers. Resolves when {@link stop} has finished. To be called once. */
  async run(worker: Worker): Promise<void> {
    if (this.#worker !== undefined) throw oaasError('Internal', `queue ${this.#options.name} runs already`);
    this.#worker = worker;
    this.#pump();
    await this.#ended.promise;
  }

  /** Resolves when no key is queued or in work; delayed keys do not count. Rejects with `DeadlineExceeded`. */
  async drain(options: { readonly timeoutMs: number }): Promise<void> {
    const isIdle = () => this.#ready.size === 0 && this.#running.size === 0;
    if (await this.#until(isIdle, options.timeoutMs)) return;
    throw oaasError('DeadlineExceeded', `queue ${this.#options.name} still has work`, {
      details: { queued: this.#ready.size, running: [...this.#running.keys()] },
    });
  }

  /**
   * Takes no more keys, drops those that wait, and lets running workers finish for `timeoutMs`; then aborts their
   * signal. Rejects with `DeadlineExceeded` and the names of the keys whose workers had to be aborted.
   */
  async stop(options: { readonly timeoutMs: number }): Promise<void> {
    this.#stopped = true;
    this.#ready.clear();
    for (const [key, entry] of this.#entries) {
      entry.delay?.timer.cancel();
      entry.delay = undefined;
      entry.dirty = false;
      if (entry.phase !== 'running') this.#entries.delete(key);
    }
    this.#options.metrics?.depth(0);
    const finished = await this.#until(() => this.#running.size === 0, options.timeoutMs);
    this.#ended.resolve();
    if (finished) return;
    const aborted = [...this.#running.keys()];
    this.#abort.abort(oaasError('Cancelled', `queue ${this.#options.name} is stopping`));
    throw oaasError('DeadlineExceeded', `queue ${this.#options.name} did not finish its work in time`, {
      details: { aborted },
    });
  }

  #entry(key: string): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const { name, limits } = this.#options;
    if (this.#entries.size >= limits.depthMax) {
      throw oaasError('ResourceExhausted', `queue ${name} is full`, {
        details: { queue: name, depthMax: limits.depthMax },
        retryAfterMs: this.#backoff.baseMs,
      });
    }
    const entry: Entry = { phase: 'idle', dirty: false, failures: 0, queuedAt: 0, delay: undefined };
    this.#entries.set(key, entry);
    return entry;
  }

  #enqueue(key: string, entry: Entry): void {
    switch (entry.phase) {
      case 'queued':
        return;
      case 'running':
        entry.dirty = true;
        return;
      case 'idle':
        entry.phase = 'queued';
        entry.queuedAt = this.#options.clock.monotonic();
        this.#ready.add(key);
        this.#options.metrics?.depth(this.#ready.size);
        this.#pump();
    }
  }

  #delay(key: string, entry: Entry, delayMs: number): void {
    const dueAt = this.#options.clock.monotonic() + delayMs;
    if (entry.delay !== undefined) {
      if (entry.delay.dueAt <= dueAt) return;
      entry.delay.timer.cancel();
    }
    const timer = this.#options.timers.after(delayMs, () => {
      entry.delay = undefined;
      this.#options.metrics?.added();
      this.#enqueue(key, entry);
    });
    entry.delay = { timer, dueAt };
  }

  #retry(key: string, entry: Entry): number {
    const delayMs = backoffDelay(entry.failures, this.#backoff, this.#options.random);
    entry.failures += 1;
    this.#options.metrics?.retried();
    this.#delay(key, entry, delayMs);
    return delayMs;
  }

  #pump(): void {
    const worker = this.#worker;
    if (worker === undefined || this.#stopped) return;
    for (const key of this.#ready) {
      if (this.#running.size >= this.#options.limits.concurrency) return;
      this.#ready.delete(key);
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      entry.phase = 'running';
      this.#options.metrics?.depth(this.#ready.size);
      this.#running.set(key, this.#process(key, entry, worker));
    }
  }

  async #process(key: string, entry: Entry, worker: Worker): Promise<void> {
    // Whoever adds a key must not find the worker's first step run inside that call.
    await Promise.resolve();
    const { clock, metrics } = this.#options;
    const startedAt = clock.monotonic();
    metrics?.waited(startedAt - entry.queuedAt);
    try {
      const outcome = await worker(key, this.#abort.signal);
      entry.failures = 0;
      if ('requeueAfterMs' in outcome && !this.#stopped) this.addAfter(key, outcome.requeueAfterMs);
    } catch (thrown) {
      this.#failed(key, entry, toOaasError(thrown));
    }
    metrics?.worked(clock.monotonic() - startedAt);
    this.#running.delete(key);
    entry.phase = 'idle';
    if (entry.dirty && !this.#stopped) {
      entry.dirty = false;
      this.#enqueue(key, entry);
    } else if (entry.delay === undefined) {
      this.#entries.delete(key);
    }
    this.#pump();
    for (const wake of [...this.#idleWaiters]) wake();
  }

  #failed(key: string, entry: Entry, error: OaasError): void {
    this.#options.metrics?.failed(error.consequence);
    const retryInMs = this.#stopped ? undefined : this.#next(key, entry, error);
    this.#options.onFailure?.(key, error, retryInMs);
  }

  #next(key: string, entry: Entry, error: OaasError): number | undefined {
    switch (error.consequence) {
      case 'stop':
        entry.failures = 0;
        return undefined;
      case 'wait':
        if (error.retryAfterMs === undefined) return this.#retry(key, entry);
        this.#delay(key, entry, error.retryAfterMs);
        return error.retryAfterMs;
      case 'retry':
        return this.#retry(key, entry);
    }
  }

  /** True once `condition` holds (looked at whenever a worker ends), false when `timeoutMs` passed before. */
  #until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (holds: boolean) => {
        timer.cancel();
        this.#idleWaiters.delete(wake);
        resolve(holds);
      };
      const wake = () => {
        if (condition()) finish(true);
      };
      const timer = this.#options.timers.after(timeoutMs, () => {
        finish(condition());
      });
      this.#idleWaiters.add(wake);
    });
  }
}

/** Promise.withResolvers is newer than the oldest supported Node.js. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
