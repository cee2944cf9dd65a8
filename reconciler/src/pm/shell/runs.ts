import type { SyncRun } from '@oaas/commons/client/pm';
import type { OaasError } from '@oaas/commons/errors';
import { type Clock, type Timers, toRfc3339 } from '@oaas/commons/time';
import type { ClusterAgent } from '../cluster/agent.ts';
import type { UnitState } from '../model/state.ts';

export interface RunTrackerOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly agent: (cluster: string) => ClusterAgent | undefined;
  /** A run has ended: every cluster that PM knows has the commit, or some units failed for good, or a newer run took its place. */
  readonly onFinished: (run: SyncRun) => void;
  /** A run has advanced; at most ten times a second. */
  readonly onProgress: (run: SyncRun) => void;
}

interface ActiveRun {
  readonly base: SyncRun;
  /** By cluster: the units that it shall have (or not have any more). */
  readonly totals: ReadonlyMap<string, number>;
  readonly pending: Map<string, string>;
  readonly failed: Map<string, { readonly cluster: string; readonly message: string }>;
  isAnnounced: boolean;
}

const progressMs = 100;

/** Watches how the newest commit of each source comes into its clusters. */
export class RunTracker {
  readonly #options: RunTrackerOptions;
  readonly #active = new Map<string, ActiveRun>();

  constructor(options: RunTrackerOptions) {
    this.#options = options;
  }

  /** Begins a run; one of the same source that is still going is superseded. What its clusters already have counts as applied. */
  begin(run: SyncRun, units: readonly UnitState[]): void {
    this.supersede(run.source);
    const wanted = units.filter((unit) => unit.intent !== 'keep');
    const totals = new Map<string, number>();
    const pending = new Map<string, string>();
    for (const unit of wanted) {
      const cluster = unit.spec.target_env;
      totals.set(cluster, (totals.get(cluster) ?? 0) + 1);
      const agent = this.#options.agent(cluster);
      if (agent !== undefined && !agent.isSettled(unit)) pending.set(unit.id, cluster);
    }
    const active: ActiveRun = { base: run, totals, pending, failed: new Map(), isAnnounced: false };
    this.#active.set(run.source, active);
    this.#finishIfDone(active);
  }

  supersede(source: string): void {
    const active = this.#active.get(source);
    if (active === undefined) return;
    this.#active.delete(source);
    this.#options.onFinished(this.#ended(active, 'Superseded', 'A newer commit took its place.'));
  }

  /** Forgets a run without a word: its source is gone. */
  drop(source: string): void {
    this.#active.delete(source);
  }

  settled(unit: UnitState): void {
    const active = this.#of(unit);
    if (active === undefined) return;
    const wasOpen = active.pending.delete(unit.id);
    if (!active.failed.delete(unit.id) && !wasOpen) return;
    this.#advanced(active);
  }

  failed(unit: UnitState, error: OaasError, willRetry: boolean): void {
    const active = this.#of(unit);
    if (active === undefined || willRetry || !active.pending.delete(unit.id)) return;
    active.failed.set(unit.id, {
      cluster: unit.spec.target_env,
      message: `${unit.spec.package_name}.${unit.spec.class_key}: ${error.message}`,
    });
    this.#advanced(active);
  }

  /** The run of a source as it stands now; undefined where none is going. */
  current(source: string): SyncRun | undefined {
    const active = this.#active.get(source);
    return active === undefined ? undefined : this.#view(active);
  }

  #of(unit: UnitState): ActiveRun | undefined {
    return unit.owner.type === 'git' ? this.#active.get(unit.owner.source) : undefined;
  }

  #advanced(active: ActiveRun): void {
    if (this.#finishIfDone(active) || active.isAnnounced) return;
    active.isAnnounced = true;
    this.#options.timers.after(progressMs, () => {
      active.isAnnounced = false;
      if (this.#active.get(active.base.source) === active) this.#options.onProgress(this.#view(active));
    });
  }

  #finishIfDone(active: ActiveRun): boolean {
    if (active.pending.size > 0) return false;
    this.#active.delete(active.base.source);
    const [failure] = active.failed.values();
    const run =
      failure === undefined
        ? this.#ended(active, 'Succeeded', 'Every cluster has it.')
        : this.#ended(active, 'Failed', `${String(active.failed.size)} of its units failed, first ${failure.message}`);
    this.#options.onFinished(run);
    return true;
  }

  #ended(active: ActiveRun, phase: SyncRun['phase'], message: string): SyncRun {
    const now = this.#options.clock.now();
    return {
      ...this.#view(active),
      phase,
      message,
      finished_at: toRfc3339(now),
      duration_ms: Math.max(0, now - Date.parse(active.base.started_at)),
    };
  }

  #view(active: ActiveRun): SyncRun {
    const clusters = [...active.totals]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([environment, total]) => {
        const failures = [...active.failed.values()].filter((each) => each.cluster === environment);
        const open = [...active.pending.values()].filter((cluster) => cluster === environment).length;
        const agent = this.#options.agent(environment);
        const base = { environment, total, applied: total - open - failures.length, failed: failures.length };
        if (agent === undefined)
          return { ...base, applied: 0, phase: 'Waiting' as const, message: 'No cluster has this name.' };
        if (open > 0) {
          return agent.isSynced
            ? { ...base, phase: 'Applying' as const, message: '' }
            : { ...base, phase: 'Unreachable' as const, message: agent.message };
        }
        const [failure] = failures;
        return failure === undefined
          ? { ...base, phase: 'Applied' as const, message: '' }
          : { ...base, phase: 'Failed' as const, message: failure.message };
      });
    return { ...active.base, clusters };
  }
}
