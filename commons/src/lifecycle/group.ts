import { oaasError, type OaasError, toOaasError } from '../errors/index.ts';
import type { Timers } from '../time/index.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface LifecycleMember {
  /** Names the member in errors and logs. */
  readonly name: string;
  /** Done when it resolves. `signal` aborts when the start takes too long or the program is asked to stop. */
  readonly start?: ((signal: AbortSignal) => Promise<void> | void) | undefined;
  /** `signal` aborts when the time for stopping is over; what is not done by then is left behind. */
  readonly stop?: ((signal: AbortSignal) => Promise<void> | void) | undefined;
  /** Bound for `start` and for `stop`, each. Default 10,000 ms. */
  readonly timeoutMs?: number | undefined;
}

const defaultTimeoutMs = 10_000;

/**
 * Parts of a program that start in the order they were added, one after the other, and stop in reverse. If one does not
 * start, those before it are stopped and the error names the culprit. Stopping always reaches every member.
 */
export class LifecycleGroup {
  readonly #timers: Timers;
  readonly #logger: Logger | undefined;
  readonly #members: LifecycleMember[] = [];
  readonly #started: LifecycleMember[] = [];
  readonly #stopRequested = new AbortController();
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: { readonly timers: Timers; readonly logger?: Logger | undefined }) {
    this.#timers = options.timers;
    this.#logger = options.logger;
  }

  /** Adds a member. Only before `start`. */
  add(member: LifecycleMember): this {
    this.#members.push(member);
    return this;
  }

  /**
   * Starts all members. Rejects with the error of the first that fails, after stopping those that had started; the one
   * that failed cleans up after itself. To be called once.
   */
  async start(signal?: AbortSignal): Promise<void> {
    const stopped = this.#stopRequested.signal;
    this.#starting = this.#startAll(signal === undefined ? stopped : AbortSignal.any([signal, stopped]));
    try {
      await this.#starting;
    } catch (failure) {
      await this.stop().catch((error: unknown) => {
        this.#logger?.error({ err: error }, 'not everything stopped after a failed start');
      });
      throw failure;
    }
  }

  /** Stops what has started, in reverse, also in the middle of a start. Rejects at the end, naming each that failed. Idempotent. */
  stop(): Promise<void> {
    this.#stopRequested.abort();
    this.#stopping ??= Promise.resolve(this.#starting)
      .catch(() => undefined)
      .then(() => this.#stopAll());
    return this.#stopping;
  }

  async #startAll(signal: AbortSignal): Promise<void> {
    for (const member of this.#members) {
      try {
        if (signal.aborted) throw oaasError('Cancelled', 'the program was asked to stop while it started');
        await this.#bounded(member, 'start', signal);
      } catch (thrown) {
        throw named(member, 'start', toOaasError(thrown));
      }
      this.#started.push(member);
      this.#logger?.debug({ member: member.name }, 'started');
    }
  }

  async #stopAll(): Promise<void> {
    const failures: OaasError[] = [];
    for (const member of this.#started.reverse()) {
      try {
        await this.#bounded(member, 'stop', undefined);
        this.#logger?.debug({ member: member.name }, 'stopped');
      } catch (thrown) {
        failures.push(named(member, 'stop', toOaasError(thrown)));
      }
    }
    const [first] = failures;
    if (first === undefined) return;
    throw failures.length === 1
      ? first
      : oaasError(first.code, failures.map((failure) => failure.message).join('; '), { cause: failures });
  }

  #bounded(member: LifecycleMember, verb: 'start' | 'stop', outer: AbortSignal | undefined): Promise<void> {
    const step = member[verb];
    if (step === undefined) return Promise.resolve();
    const timeoutMs = member.timeoutMs ?? defaultTimeoutMs;
    const timeout = new AbortController();
    const signal = outer === undefined ? timeout.signal : AbortSignal.any([timeout.signal, outer]);
    return new Promise((resolve, reject) => {
      const timer = this.#timers.after(timeoutMs, () => {
        const late = oaasError('DeadlineExceeded', `took longer than ${String(timeoutMs)} ms`);
        timeout.abort(late);
        reject(late);
      });
      Promise.resolve()
        .then(() => step.call(member, signal))
        .then(resolve, reject)
        .finally(() => {
          timer.cancel();
        });
    });
  }
}

function named(member: LifecycleMember, verb: string, error: OaasError): OaasError {
  return oaasError(error.code, `${member.name} did not ${verb}: ${error.message}`, {
    remedy: error.remedy,
    details: error.details,
    cause: error,
  });
}
