import type { Controller } from './controller.ts';
import type { LeaderElector } from './leader.ts';

/** The part of a reflector that a manager needs. */
interface Cache {
  readonly name: string;
  readonly hasSynced: boolean;
  start(): void;
  stop(): Promise<void>;
  synced(signal: AbortSignal): Promise<void>;
}

export interface ManagerOptions {
  readonly caches: readonly Cache[];
  readonly controllers: readonly Controller[];
  /** Absent: this process works without asking. The elector's `onElected` must call {@link Manager.work}. */
  readonly elector?: LeaderElector | undefined;
}

/**
 * Starts and stops in the one right order: caches, and when all of them have synced, the election, and when it is won,
 * the workers. Stops in reverse: the lease goes last, when no worker can write any more.
 */
export class Manager {
  readonly #options: ManagerOptions;

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  /** Caches that have not been filled yet, by name. Empty: ready to serve. */
  get waitingFor(): readonly string[] {
    return this.#options.caches.filter((cache) => !cache.hasSynced).map((cache) => cache.name);
  }

  get isLeader(): boolean {
    return this.#options.elector?.isLeader ?? true;
  }

  /** Resolves when all caches have synced; workers follow when the election is won. */
  async start(signal: AbortSignal): Promise<void> {
    const { caches, elector } = this.#options;
    for (const cache of caches) cache.start();
    await Promise.all(caches.map((cache) => cache.synced(signal)));
    if (elector === undefined) this.work();
    else elector.start();
  }

  /** Starts the workers. */
  work(): void {
    for (const controller of this.#options.controllers) controller.start();
  }

  /** `timeoutMs` bounds the work that is going on. */
  async stop(timeoutMs: number): Promise<void> {
    const { caches, controllers, elector } = this.#options;
    try {
      await Promise.all(controllers.map((controller) => controller.stop(timeoutMs)));
    } finally {
      await elector?.stop();
      await Promise.all(caches.map((cache) => cache.stop()));
    }
  }
}
