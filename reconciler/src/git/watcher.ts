import { type OaasError, toOaasError } from '@oaas/commons/errors';
import { backoffDelay, type Clock, type Random, type Timer, type Timers } from '@oaas/commons/time';
import type { GitRef, GitSource } from './types.ts';

export type CheckTrigger = 'startup' | 'poll' | 'webhook' | 'manual';

interface CheckRequest {
  readonly trigger: CheckTrigger;
  /** When the check was asked for, in milliseconds since the Unix epoch. */
  readonly requestedAtMs: number;
}

/** What the last look at a repository brought. */
export interface CheckResult extends CheckRequest {
  readonly outcome:
    { readonly commit: string } | { readonly error: OaasError; readonly failures: number; readonly isStalled: boolean };
  /** When the next check is due if nobody asks before. */
  readonly nextCheckAtMs: number;
}

export interface WatcherOptions {
  readonly source: GitSource;
  readonly ref: GitRef;
  /** Time between two checks that succeed; a tenth of it is random, so that many sources do not ask at once. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Called after each check; must not throw. */
  readonly onResult: (result: CheckResult) => void;
}

/** Failures in a row after which a source is stalled. Refused credentials and a missing ref stall it at once. */
const failuresToStall = 3;
const retry = { baseMs: 1000, maxMs: 300_000, factor: 2, jitter: 0.3 };

/**
 * Looks at one ref again and again. A webhook or a person makes it look at once; requests that come during a check lead to exactly
 * one more. After failures it looks less and less often, and comes back by itself.
 */
export class SourceWatcher {
  readonly #options: WatcherOptions;
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #again: CheckRequest | undefined;
  #failures = 0;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  start(): void {
    this.trigger('startup');
  }

  /** Looks now; during a check, once more right after it. */
  trigger(trigger: CheckTrigger): void {
    this.#request({ trigger, requestedAtMs: this.#options.clock.now() });
  }

  #request(request: CheckRequest): void {
    if (this.#abort.signal.aborted) return;
    if (this.#running !== undefined) {
      // A person's wish is told apart from what a poll or a forge asks for.
      if (this.#again === undefined || request.trigger === 'manual') this.#again = request;
      return;
    }
    this.#timer?.cancel();
    this.#running = this.#check(request).finally(() => {
      this.#running = undefined;
      const again = this.#again;
      this.#again = undefined;
      if (again !== undefined) this.#request(again);
    });
  }

  /** Ends a check that is under way and waits for it. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    await this.#running;
  }

  async #check(request: CheckRequest): Promise<void> {
    const { source, ref, clock, timers, onResult } = this.#options;
    let outcome: CheckResult['outcome'];
    try {
      const commit = await source.check(ref, this.#abort.signal);
      this.#failures = 0;
      outcome = { commit };
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      const error = toOaasError(thrown);
      this.#failures += 1;
      outcome = { error, failures: this.#failures, isStalled: isPermanent(error) || this.#failures >= failuresToStall };
    }
    if (this.#abort.signal.aborted) return;
    const delayMs = this.#delay(outcome);
    this.#timer = timers.after(delayMs, () => {
      this.trigger('poll');
    });
    onResult({ ...request, outcome, nextCheckAtMs: clock.now() + delayMs });
  }

  #delay(outcome: CheckResult['outcome']): number {
    const { intervalMs, random } = this.#options;
    if ('commit' in outcome) return intervalMs * (1 - 0.1 * random.next());
    // Asking again soon with credentials that were refused may lock an account.
    if (outcome.error.code === 'SourceAuthFailed') return retry.maxMs * (1 - 0.1 * random.next());
    return backoffDelay(this.#failures - 1, retry, random);
  }
}

function isPermanent(error: OaasError): boolean {
  return error.code === 'SourceAuthFailed' || error.code === 'RefNotFound' || error.code === 'ConfigInvalid';
}
