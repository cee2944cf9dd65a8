import type { Timer, Timers } from '@oaas/commons/time';
import type { Probe } from '../workloads/objects.ts';
import type { ProbeResult } from './probe-check.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

export interface ProbeEvents {
  /** The container has started: its startup probe succeeded, or it has none. */
  onStarted(): void;
  onReady(isReady: boolean): void;
  /** A probe failed, once; said in a Kubernetes Event. */
  onUnhealthy(kind: ProbeKind, message: string): void;
  /** The container has to be restarted. */
  onDead(kind: ProbeKind): void;
}

export interface ProbesOptions extends ProbeEvents {
  readonly startup?: Probe | undefined;
  readonly readiness?: Probe | undefined;
  readonly liveness?: Probe | undefined;
  readonly check: (probe: Probe) => Promise<ProbeResult>;
  readonly timers: Timers;
}

/**
 * Until a probe has succeeded for the first time it is tried this often, at most, instead of once per period: a process
 * starts faster than an image is pulled, and `periodSeconds` is meant for its later life. Such early tries do not count
 * as failures; the period does.
 */
const eagerMs = 200;

/**
 * The probes of one run of a container, as a kubelet runs them: startup first, and only then readiness and liveness.
 *
 * Source: kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes
 */
export class Probes {
  readonly #options: ProbesOptions;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  constructor(options: ProbesOptions) {
    this.#options = options;
  }

  start(): void {
    const { startup } = this.#options;
    if (startup === undefined) this.#started();
    else {
      this.#run('startup', startup, {
        up: () => this.#started(),
        down: () => this.#options.onDead('startup'),
        once: true,
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #started(): void {
    this.#options.onStarted();
    const { readiness, liveness } = this.#options;
    if (readiness === undefined) this.#options.onReady(true);
    else {
      this.#run('readiness', readiness, {
        up: () => this.#options.onReady(true),
        down: () => this.#options.onReady(false),
        once: false,
      });
    }
    if (liveness !== undefined) {
      this.#run('liveness', liveness, {
        up: () => undefined,
        down: () => this.#options.onDead('liveness'),
        once: false,
      });
    }
  }

  #run(
    kind: ProbeKind,
    probe: Probe,
    on: { readonly up: () => void; readonly down: () => void; readonly once: boolean },
  ): void {
    const periodMs = Math.max(1, probe.periodSeconds ?? 10) * 1000;
    const tryMs = kind === 'liveness' ? periodMs : Math.min(eagerMs, periodMs);
    let successes = 0;
    let failures = 0;
    let hasSucceeded = false;
    let sinceCountedMs = 0;

    const next = (delayMs: number): void => {
      if (this.#stopped) return;
      const timer = this.#options.timers.after(delayMs, () => {
        this.#timers.delete(timer);
        void this.#options.check(probe).then((result) => {
          if (!this.#stopped) judge(result);
        });
      });
      this.#timers.add(timer);
    };

    const judge = (result: ProbeResult): void => {
      if (result.ok) {
        failures = 0;
        successes += 1;
        if (successes === (probe.successThreshold ?? 1)) {
          hasSucceeded = true;
          on.up();
        }
        if (on.once && hasSucceeded) return;
        next(hasSucceeded ? periodMs : tryMs);
        return;
      }
      successes = 0;
      sinceCountedMs += hasSucceeded ? periodMs : tryMs;
      if (hasSucceeded || sinceCountedMs >= periodMs) {
        sinceCountedMs = 0;
        failures += 1;
        this.#options.onUnhealthy(kind, result.message);
        if (failures === (probe.failureThreshold ?? 3)) on.down();
      }
      next(hasSucceeded ? periodMs : tryMs);
    };

    next((probe.initialDelaySeconds ?? 0) * 1000);
  }
}
