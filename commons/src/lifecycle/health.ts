import { isOaasError, oaasError, toOaasError } from '../errors/index.ts';
import { sleep, type Timers } from '../time/index.ts';

/** `liveness`: restart me when it fails. `readiness`: send me no work while it fails. */
export type HealthKind = 'liveness' | 'readiness';

export interface HealthResult {
  readonly ok: boolean;
  /** Why not, or a remark, for people. */
  readonly reason?: string | undefined;
}

export type HealthCheck = () => HealthResult | Promise<HealthResult>;

export interface HealthReport {
  /** True when every check is. A registry without checks is healthy. */
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason?: string }[];
}

/** A check whose state is set by its owner. */
export interface HealthGate {
  pass(reason?: string): void;
  fail(reason: string): void;
  /** Takes the check out of the registry. */
  remove(): void;
}

/** Named checks of a program. `/health` answers with the liveness checks, `/ready` with the readiness checks. */
export class HealthRegistry {
  readonly #timers: Timers;
  readonly #timeoutMs: number;
  readonly #checks: Record<HealthKind, Map<string, HealthCheck>> = { liveness: new Map(), readiness: new Map() };

  /** `timeoutMs` bounds each check, default 2,000; a slower one has failed. */
  constructor(options: { readonly timers: Timers; readonly timeoutMs?: number | undefined }) {
    this.#timers = options.timers;
    this.#timeoutMs = options.timeoutMs ?? 2000;
  }

  /** Adds a check and returns what removes it. Throws `AlreadyExists` for a name that is taken. */
  register(kind: HealthKind, name: string, check: HealthCheck): () => void {
    const checks = this.#checks[kind];
    if (checks.has(name)) throw oaasError('AlreadyExists', `there is a ${kind} check "${name}" already`);
    checks.set(name, check);
    return () => {
      if (checks.get(name) === check) checks.delete(name);
    };
  }

  /** A check that fails with `reason` until its owner lets it pass. */
  gate(kind: HealthKind, name: string, reason: string): HealthGate {
    let state: HealthResult = { ok: false, reason };
    const remove = this.register(kind, name, () => state);
    return {
      pass: (remark) => {
        state = { ok: true, reason: remark };
      },
      fail: (why) => {
        state = { ok: false, reason: why };
      },
      remove,
    };
  }

  /** Runs all checks of a kind at once. Never rejects: a check that throws or takes too long has failed. */
  async report(kind: HealthKind): Promise<HealthReport> {
    const checks = await Promise.all(
      [...this.#checks[kind]].map(async ([name, check]) => {
        const { ok, reason } = await this.#bounded(check);
        return { name, ok, ...(reason === undefined ? {} : { reason }) };
      }),
    );
    return { ok: checks.every((check) => check.ok), checks };
  }

  /** The report of a kind now, and again whenever its `ok` changes, looked at every `intervalMs`; ends with `signal`. */
  async *watch(
    kind: HealthKind,
    options: { readonly intervalMs: number; readonly signal: AbortSignal },
  ): AsyncGenerator<HealthReport> {
    let last: boolean | undefined;
    while (!options.signal.aborted) {
      const report = await this.report(kind);
      if (report.ok !== last) yield report;
      last = report.ok;
      await sleep(this.#timers, options.intervalMs, options.signal).catch((error: unknown) => {
        if (!isOaasError(error, 'Cancelled')) throw error;
      });
    }
  }

  #bounded(check: HealthCheck): Promise<HealthResult> {
    return new Promise((resolve) => {
      const timer = this.#timers.after(this.#timeoutMs, () => {
        resolve({ ok: false, reason: `no answer within ${String(this.#timeoutMs)} ms` });
      });
      Promise.resolve()
        .then(check)
        .catch((error: unknown): HealthResult => ({ ok: false, reason: toOaasError(error).message }))
        .then(
          (result) => {
            timer.cancel();
            resolve(result);
          },
          () => undefined,
        );
    });
  }
}
