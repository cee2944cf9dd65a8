import { type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { backoffDelay, type BackoffOptions, type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';
import type { ListWatch, Watched } from './ports.ts';
import type { Store } from './store.ts';

export interface ReflectorOptions<Raw extends Watched, T extends Watched> {
  /** Names the collection in errors. */
  readonly name: string;
  readonly source: ListWatch<Raw>;
  readonly store: Store<T>;
  /** Keeps of an object what is needed; undefined leaves it out. */
  readonly transform: (object: Raw) => T | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Told of each failure; the reflector goes on by itself. */
  readonly onError?: ((error: OaasError) => void) | undefined;
  /** Delay before the next try. Default: 0.8 s doubling to 30 s, half of it random. */
  readonly backoff?: BackoffOptions | undefined;
}

const defaultBackoff: BackoffOptions = { baseMs: 800, maxMs: 30_000, factor: 2, jitter: 0.5 };
/** Pages of one list. A list that never ends is an error of the server. */
const pagesMax = 2000;
/** A watch that lasted this long was a good one: the next failure starts with a short delay again. */
const goodWatchMs = 10_000;
/** Between watches that the server ended in peace: spreads the load of many clients. */
const rewatchMs = 100;

/**
 * Keeps a store equal to a collection of the server: lists page by page, then follows the watch, forever. A watch that
 * ends goes on from the last version (bookmarks count); a version that is too old means a new list; any other failure is
 * tried again with a growing, jittered delay. So a server may die and come back at any time.
 */
export class Reflector<Raw extends Watched, T extends Watched> {
  readonly #options: ReflectorOptions<Raw, T>;
  readonly #backoff: BackoffOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #version: string | undefined;
  #failures = 0;
  #synced = false;
  #tellSynced: () => void = () => undefined;
  readonly #whenSynced = new Promise<void>((resolve) => {
    this.#tellSynced = resolve;
  });

  constructor(options: ReflectorOptions<Raw, T>) {
    this.#options = options;
    this.#backoff = options.backoff ?? defaultBackoff;
  }

  get name(): string {
    return this.#options.name;
  }

  /** The first list has been taken. */
  get hasSynced(): boolean {
    return this.#synced;
  }

  /** Failures in a row; 0 while it follows the server. */
  get failures(): number {
    return this.#failures;
  }

  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  /** Resolves after the first list. Rejects with `Cancelled` when the signal aborts before. */
  async synced(signal: AbortSignal): Promise<void> {
    let giveUp: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => {
        reject(oaasError('Cancelled', `nobody waits for ${this.#options.name} any more`));
      };
      signal.addEventListener('abort', giveUp, { once: true });
      if (signal.aborted) giveUp();
    });
    try {
      await Promise.race([this.#whenSynced, aborted]);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted;
    while (!isStopped()) {
      const startedAt = this.#options.clock.monotonic();
      let pauseMs = rewatchMs * this.#options.random.next();
      try {
        if (this.#version === undefined) await this.#list(signal);
        await this.#watch(signal);
        this.#failures = 0;
      } catch (thrown) {
        if (isStopped()) return;
        pauseMs = this.#failed(thrown, startedAt);
      }
      await sleep(this.#options.timers, pauseMs, signal).catch(() => undefined);
    }
  }

  #failed(thrown: unknown, startedAt: number): number {
    const error = toOaasError(thrown);
    if (this.#options.source.isExpired(thrown)) {
      // Not a failure unless it happens again at once: then the backoff applies.
      this.#version = undefined;
    } else {
      this.#options.onError?.(error);
    }
    if (this.#options.clock.monotonic() - startedAt > goodWatchMs) this.#failures = 0;
    const delayMs = backoffDelay(this.#failures, this.#backoff, this.#options.random);
    this.#failures += 1;
    return Math.max(delayMs, error.retryAfterMs ?? 0);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { source, store, transform } = this.#options;
    const objects: T[] = [];
    let continueToken: string | undefined;
    for (let pages = 0; ; pages += 1) {
      if (pages === pagesMax) throw oaasError('ResourceExhausted', `the list of ${this.#options.name} does not end`);
      const page = await source.list({ continueToken, signal });
      for (const raw of page.items) {
        const object = transform(raw);
        if (object !== undefined) objects.push(object);
      }
      continueToken = page.continueToken;
      if (continueToken !== undefined) continue;
      store.replace(objects, page.resourceVersion);
      this.#version = page.resourceVersion;
      break;
    }
    this.#synced = true;
    this.#tellSynced();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { source, store, transform } = this.#options;
    for await (const change of source.watch({ resourceVersion: this.#version ?? '', signal })) {
      // The server is heard again.
      this.#failures = 0;
      if (change.type === 'BOOKMARK') {
        this.#version = change.resourceVersion;
        store.observeVersion(change.resourceVersion);
        continue;
      }
      this.#version = change.object.metadata.resourceVersion ?? this.#version;
      const object = transform(change.object);
      if (object === undefined) continue;
      if (change.type === 'DELETED') store.observeDeleted(object);
      else store.observe(object);
    }
  }
}
