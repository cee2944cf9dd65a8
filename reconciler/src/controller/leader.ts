import { isOaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import { type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';

/** The spec of a coordination.k8s.io Lease. */
export interface LeaseRecord {
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  /** Milliseconds since the Unix epoch, by the holder's clock. Shown to people, never compared. */
  readonly acquireTime: number;
  readonly renewTime: number;
  readonly leaseTransitions: number;
}

/** One lease at a server. `write` replaces what was read and fails with `Conflict` if it changed meanwhile. */
export interface LeaseStore {
  read(signal: AbortSignal): Promise<{ readonly record: LeaseRecord; readonly version: string } | undefined>;
  /** Without `version` the lease is created; fails with `AlreadyExists` if it is there. */
  write(record: LeaseRecord, version: string | undefined, signal: AbortSignal): Promise<void>;
}

export interface LeaderElectorOptions {
  readonly lease: LeaseStore;
  /** Names this process; must be its own. */
  readonly identity: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** How long others respect a lease that is not renewed. Default 15 s. */
  readonly leaseDurationMs?: number | undefined;
  /** How long the leader tries to renew before it steps down. Less than the lease's duration. Default 10 s. */
  readonly renewDeadlineMs?: number | undefined;
  /** Time between tries. Default 2 s. */
  readonly retryMs?: number | undefined;
  /** Called once, when this process has become the leader. */
  readonly onElected: () => void;
  /** Called once, when a leader could not renew in time. It must stop its work at once; the elector ends. */
  readonly onLost: (reason: string) => void;
  readonly onError?: ((error: OaasError) => void) | undefined;
}

/**
 * Leader election by a Lease. A candidate takes a lease that is free, its own, or that it has not seen change for the
 * lease's duration by its own clock, so that clocks need not agree. It gives no guarantee against two leaders when a
 * process is paused: writes must be safe on their own.
 *
 * Source: the behaviour of k8s.io/client-go/tools/leaderelection.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #stop = new AbortController();
  #observed: { readonly fingerprint: string; readonly at: number } | undefined;
  #leading = false;
  #running: Promise<void> | undefined;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  /** Ends the election, and gives the lease up if it is held, so that the next leader need not wait. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (!this.#leading) return;
    this.#leading = false;
    await this.#release().catch((error: unknown) => this.#options.onError?.(toOaasError(error)));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, timers, random } = this.#options;
    const retryMs = this.#options.retryMs ?? 2000;
    const deadlineMs = this.#options.renewDeadlineMs ?? 10_000;
    let renewedAt = 0;
    while (!signal.aborted) {
      const leftMs = this.#leading ? deadlineMs - (clock.monotonic() - renewedAt) : undefined;
      const startedAt = clock.monotonic();
      if (await this.#attempt(signal, leftMs)) {
        // Others count from when the lease was written, which is after the attempt began.
        renewedAt = startedAt;
        if (!this.#leading) {
          this.#leading = true;
          this.#options.onElected();
        }
      } else if (this.#leading && clock.monotonic() - renewedAt >= deadlineMs) {
        this.#leading = false;
        this.#options.onLost('the lease could not be renewed in time');
        return;
      }
      const jitterMs = this.#leading ? 0 : random.next() * retryMs * 0.2;
      await sleep(timers, retryMs + jitterMs, signal).catch(() => undefined);
    }
  }

  /**
   * Takes or renews the lease; false when someone else has it or the server did not answer. A leader may not wait longer than it
   * may lead: a server that hangs must not make it believe that nobody else has taken over.
   */
  async #attempt(signal: AbortSignal, withinMs: number | undefined): Promise<boolean> {
    const limit = new AbortController();
    const giveUp = (): void => {
      limit.abort();
    };
    signal.addEventListener('abort', giveUp, { once: true });
    const timer = withinMs === undefined ? undefined : this.#options.timers.after(Math.max(0, withinMs), giveUp);
    try {
      return await this.#tryLease(limit.signal);
    } catch (thrown) {
      const error = toOaasError(thrown);
      // Someone was faster: an election, not a failure.
      const isRace = isOaasError(error, 'Conflict') || isOaasError(error, 'AlreadyExists');
      if (!signal.aborted && !isRace) this.#options.onError?.(error);
      return false;
    } finally {
      timer?.cancel();
      signal.removeEventListener('abort', giveUp);
    }
  }

  async #tryLease(signal: AbortSignal): Promise<boolean> {
    const { lease, identity, clock } = this.#options;
    const current = await lease.read(signal);
    const now = clock.now();
    const mine = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(this.#durationMs / 1000), renewTime: now };
    if (current === undefined) {
      await lease.write({ ...mine, acquireTime: now, leaseTransitions: 0 }, undefined, signal);
      return true;
    }
    const { record } = current;
    const isOurs = record.holderIdentity === identity;
    if (!isOurs && !this.#isFree(record)) return false;
    await lease.write(
      {
        ...mine,
        acquireTime: isOurs ? record.acquireTime : now,
        leaseTransitions: isOurs ? record.leaseTransitions : record.leaseTransitions + 1,
      },
      current.version,
      signal,
    );
    return true;
  }

  #isFree(record: LeaseRecord): boolean {
    if (record.holderIdentity === '') return true;
    const { clock } = this.#options;
    const fingerprint = `${record.holderIdentity}/${String(record.renewTime)}/${String(record.leaseTransitions)}`;
    if (this.#observed?.fingerprint !== fingerprint) this.#observed = { fingerprint, at: clock.monotonic() };
    return clock.monotonic() - this.#observed.at > Math.max(this.#durationMs, record.leaseDurationSeconds * 1000);
  }

  async #release(): Promise<void> {
    const { lease, identity, clock } = this.#options;
    const limit = new AbortController();
    const timer = this.#options.timers.after(2000, () => {
      limit.abort();
    });
    try {
      const current = await lease.read(limit.signal);
      if (current?.record.holderIdentity !== identity) return;
      const record = { ...current.record, holderIdentity: '', leaseDurationSeconds: 1, renewTime: clock.now() };
      await lease.write(record, current.version, limit.signal);
    } finally {
      timer.cancel();
    }
  }

  get #durationMs(): number {
    return this.#options.leaseDurationMs ?? 15_000;
  }
}
