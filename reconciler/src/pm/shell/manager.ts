import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Plan, type SourceInput, sourceInputSchema, type SyncRun } from '@oaas/commons/client/pm';
import { oaasError, type OaasError } from '@oaas/commons/errors';
import type { Logger, Metrics } from '@oaas/commons/telemetry';
import { type Clock, type Random, randomHex, type Timers, toRfc3339 } from '@oaas/commons/time';
import { createGitSource, type GitSource } from '../../git/index.ts';
import type { Store } from '../../store/index.ts';
import { ClusterAgent, type ClusterConfig, type ClusterPort } from '../cluster/agent.ts';
import type { UnitState } from '../model/state.ts';
import { carryOut, release } from '../plan/commit.ts';
import { planUnits, unitsToCount } from '../plan/plan.ts';
import { ApiOwner } from './api-owner.ts';
import { AuditLog } from './audit.ts';
import { conditionsOf } from './conditions.ts';
import { EventHub } from './events.ts';
import { measuredGit } from './measured-git.ts';
import { createPmMetrics, type PmMetrics } from './metrics.ts';
import { Planner } from './planner.ts';
import { RunTracker } from './runs.ts';
import { refOf } from './refs.ts';
import { gitAuth, settledInput } from './source-input.ts';
import { SourceController } from './source.ts';
import { PmState, type SourceState } from './state.ts';

export interface PackageManagerOptions {
  readonly store: Store;
  readonly clusters: readonly ClusterConfig[];
  /** Caches of repositories; may be deleted while PM is down. */
  readonly cacheDir: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** PM without its REST API: sources in, units out to the clusters, and everything about both in between. */
export class PackageManager {
  readonly state: PmState;
  readonly audit: AuditLog;
  readonly events: EventHub;
  readonly metrics: PmMetrics;
  readonly agents: ReadonlyMap<string, ClusterAgent>;
  readonly runs: RunTracker;
  readonly api: ApiOwner;
  readonly #options: PackageManagerOptions;
  readonly #planner: Planner;
  readonly #controllers = new Map<string, SourceController>();
  readonly #unitsByCluster = new Map<string, Set<string>>();
  readonly #connected = new Set<string>();

  private constructor(options: PackageManagerOptions, state: PmState, audit: AuditLog) {
    const { clock, timers, random } = options;
    this.#options = options;
    this.state = state;
    this.audit = audit;
    this.metrics = createPmMetrics(options.metrics);
    this.events = new EventHub({ clock, epoch: randomHex(random, 4) });
    const port = this.#clusterPort();
    const { logger } = options;
    this.agents = new Map(
      options.clusters.map((config) => [
        config.name,
        new ClusterAgent({ config, port, logger, clock, timers, random }),
      ]),
    );
    this.#planner = new Planner({ state, clock, random, agents: this.agents });
    this.runs = new RunTracker({
      clock,
      timers,
      agent: (cluster) => this.agents.get(cluster),
      onProgress: (run) => {
        this.events.publish('run', 'modified', run.source);
      },
      onFinished: (run) => {
        this.#finished(run).catch((error: unknown) => {
          logger.error({ err: error, source: run.source }, 'the end of a run could not be stored');
        });
      },
    });
    const enqueue = (ids: readonly string[]) => {
      this.#enqueue(ids);
    };
    this.api = new ApiOwner({ state, planner: this.#planner, clock, enqueue });
    for (const unit of state.units()) this.#index(unit);
    state.onChange((change) => {
      for (const unit of change.units ?? []) {
        this.#index(unit);
        this.events.publish('record', 'modified', unit.id);
      }
      for (const id of change.forgetUnits ?? []) this.events.publish('record', 'deleted', id);
      for (const each of change.packages ?? []) this.events.publish('package', 'modified', each.spec.name);
      for (const name of change.forgetPackages ?? []) this.events.publish('package', 'deleted', name);
      for (const plan of change.plans ?? []) this.events.publish('plan', 'added', plan.id);
      for (const run of change.runs ?? []) this.events.publish('run', 'modified', run.source);
      for (const source of change.sources ?? []) this.events.publish('source', 'modified', source.input.name);
    });
  }

  static async create(options: PackageManagerOptions): Promise<PackageManager> {
    const { store, clock, random } = options;
    return new PackageManager(options, await PmState.load(store), await AuditLog.load({ store, clock, random }));
  }

  start(): void {
    for (const agent of this.agents.values()) {
      this.metrics.clusterConnected.set({ cluster: agent.name }, 0);
      agent.start();
    }
    for (const source of this.state.sources()) this.#open(source.input).start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#controllers.values()].map((each) => each.stop()));
    await Promise.all([...this.agents.values()].map((each) => each.stop()));
  }

  controller(name: string): SourceController {
    const controller = this.#controllers.get(name);
    if (controller === undefined) throw oaasError('NotFound', `there is no source "${name}"`);
    return controller;
  }

  sourceState(name: string): SourceState {
    const source = this.state.source(name);
    if (source === undefined) throw oaasError('NotFound', `there is no source "${name}"`);
    return source;
  }

  /** Creates a source, or replaces its settings. Secrets that are left out stay as they were. */
  async putSource(given: SourceInput): Promise<void> {
    const before = this.state.source(given.name);
    const input = settledInput(given, before?.input);
    if (
      before !== undefined &&
      JSON.stringify(sourceInputSchema.parse(before.input)) === JSON.stringify(sourceInputSchema.parse(input))
    )
      return;
    const at = toRfc3339(this.#options.clock.now());
    const next: SourceState = before === undefined ? newSource(input, at) : { ...before, input, updatedAt: at };
    await this.#close(input.name);
    await this.state.apply({ sources: [{ ...next, conditions: conditionsOf(next, undefined, undefined, at) }] });
    this.#open(input).start();
  }

  /** Creates or updates sources of the configuration; all others stay. */
  async putConfigured(inputs: readonly SourceInput[]): Promise<void> {
    for (const input of inputs) await this.putSource(input);
  }

  /**
   * Removes a source. By its prune policy its units are left running and forgotten, or removed; rejects with `PruneBlocked` where a
   * removal would need a confirmation.
   */
  async deleteSource(name: string): Promise<void> {
    const source = this.sourceState(name);
    const owner = { type: 'git', source: name } as const;
    await this.#planner.exclusive(async () => {
      const previous = this.state.unitsOf(owner);
      const input = { previous, desired: [], prune: source.input.prune, emptied: false };
      const objects = new Map<string, number | null>();
      for (const id of unitsToCount(input)) {
        objects.set(id, (await this.agents.get(this.state.unit(id)?.spec.target_env ?? '')?.countObjects(id)) ?? null);
      }
      const planned = planUnits({ ...input, objects });
      const held = planned.find(({ change }) => change.action === 'hold');
      if (held !== undefined) {
        throw oaasError(
          'PruneBlocked',
          `${held.change.package_name}.${held.change.class_key} in ${held.change.environment}: ${held.change.reason}`,
          {
            remedy: 'Set the prune policy of the source to keep, or remove the objects first.',
          },
        );
      }
      const at = toRfc3339(this.#options.clock.now());
      const changes = carryOut(
        previous,
        planned,
        { owner, commit: null, ref: '', repo: '', at },
        this.#planner.clusters,
      );
      const kept = planned.filter(({ next }) => next.intent === 'keep').map(({ change }) => change.unit_id);
      await this.#close(name);
      this.runs.drop(name);
      await this.state.removeSource(name, {
        units: changes.units.filter((unit) => unit.intent === 'delete'),
        forgetUnits: [...changes.forgetUnits, ...kept],
        forgetPackages: this.state.packagesOf(owner).map((each) => each.spec.name),
      });
      this.#enqueue(changes.units.map((unit) => unit.id));
    });
    await rm(this.#cacheDir(source.input), { recursive: true, force: true });
    this.events.publish('source', 'deleted', name);
  }

  async suspend(name: string, by: string, reason: string): Promise<void> {
    const at = toRfc3339(this.#options.clock.now());
    await this.#update(name, (source) => ({ ...source, suspended: { by, reason, at }, updatedAt: at }));
  }

  /** Ends a suspension and a rollback, and syncs. */
  async resume(name: string, by: string): Promise<void> {
    const at = toRfc3339(this.#options.clock.now());
    await this.#update(name, (source) => ({ ...source, suspended: null, pinned: null, updatedAt: at }));
    this.controller(name).requested(by, 'resume');
  }

  sync(name: string, by: string): void {
    const source = this.sourceState(name);
    if (source.suspended !== null)
      throw oaasError('FailedPrecondition', `the source "${name}" is suspended`, { remedy: 'Resume it first.' });
    this.controller(name).requested(by, 'manual');
  }

  async rollback(name: string, commit: string, by: string): Promise<void> {
    const known = this.state.runs(name).map((run) => run.commit.id);
    const full = known.find((id) => commit.length >= 7 && id.startsWith(commit)) ?? commit;
    if (!/^[0-9a-f]{40}$/.test(full)) {
      throw oaasError('InvalidArgument', `"${commit}" is no commit of this source`, {
        remedy: 'Give the full id, or the beginning of one in its history.',
      });
    }
    const at = toRfc3339(this.#options.clock.now());
    await this.#update(name, (source) => ({
      ...source,
      suspended: null,
      pinned: { commit: full, by, at },
      updatedAt: at,
    }));
    this.controller(name).rollback(full, by);
  }

  preview(
    name: string,
    ref: { branch?: string | undefined; tag?: string | undefined; commit?: string | undefined },
  ): Promise<Plan> {
    return this.controller(name).preview(refOf(ref));
  }

  /** Carries out what a unit holds. Rejects with `FailedPrecondition` where the text is not the one that is asked for. */
  async confirm(id: string, text: string): Promise<void> {
    await this.#planner.exclusive(async () => {
      const unit = this.state.unit(id);
      if (unit === undefined) throw oaasError('NotFound', `there is no deployment record "${id}"`);
      if (unit.hold === null)
        throw oaasError('FailedPrecondition', `"${id}" waits for no confirmation`, {
          remedy: 'Nothing needs to be done.',
        });
      if (unit.hold.confirm !== text) {
        throw oaasError('FailedPrecondition', 'the confirmation is not the text that is asked for', {
          remedy: `Send {"confirm": "${unit.hold.confirm}"}.`,
          details: { confirm: unit.hold.confirm },
        });
      }
      const source = unit.owner.type === 'git' ? this.state.source(unit.owner.source) : undefined;
      const from = {
        commit: source?.attempted?.id ?? unit.commit,
        ref: source?.attempted?.ref ?? unit.ref,
        repo: unit.repo,
        at: toRfc3339(this.#options.clock.now()),
      };
      await this.state.apply({ units: [release(unit, from, this.#planner.clusters)] });
      this.#enqueue([id]);
    });
  }

  /** A webhook of the source was accepted. */
  async notified(name: string): Promise<void> {
    const at = toRfc3339(this.#options.clock.now());
    this.controller(name).notified();
    await this.#update(name, (source) => ({ ...source, lastDeliveryAt: at }));
  }

  async #update(name: string, change: (source: SourceState) => SourceState): Promise<void> {
    await this.state.updateSource(name, (before) => {
      const next = change(before);
      const trouble = this.#controllers.get(name)?.activity.trouble;
      return { ...next, conditions: conditionsOf(next, trouble, undefined, toRfc3339(this.#options.clock.now())) };
    });
  }

  #open(input: SourceInput): SourceController {
    const { timers, clock, random, logger } = this.#options;
    const controller = new SourceController({
      name: input.name,
      git: measuredGit(this.#gitSource(input), input.name, this.metrics, clock),
      state: this.state,
      planner: this.#planner,
      runs: this.runs,
      metrics: this.metrics,
      logger,
      clock,
      timers,
      random,
      enqueue: (ids) => {
        this.#enqueue(ids);
      },
      onChanged: () => {
        this.events.publish('source', 'modified', input.name);
      },
    });
    this.#controllers.set(input.name, controller);
    return controller;
  }

  #gitSource(input: SourceInput): GitSource {
    return createGitSource({
      url: input.url,
      auth: gitAuth(input),
      cacheDir: this.#cacheDir(input),
      path: input.path,
      wants: (path) => path.endsWith('.yaml') || path.endsWith('.yml'),
      timers: this.#options.timers,
      timeoutMs: input.timeout_seconds * 1000,
    });
  }

  /** By name and address: a source that is pointed at another repository begins with an empty cache. */
  #cacheDir(input: SourceInput): string {
    const address = createHash('sha256').update(input.url).digest('hex').slice(0, 12);
    return join(this.#options.cacheDir, `${input.name}-${address}`);
  }

  async #close(name: string): Promise<void> {
    await this.#controllers.get(name)?.stop();
    this.#controllers.delete(name);
  }

  #enqueue(ids: readonly string[]): void {
    for (const id of ids) {
      const unit = this.state.unit(id);
      if (unit !== undefined) this.agents.get(unit.spec.target_env)?.enqueue(id);
    }
  }

  #index(unit: UnitState): void {
    const cluster = unit.spec.target_env;
    const ids = this.#unitsByCluster.get(cluster) ?? new Set();
    ids.add(unit.id);
    this.#unitsByCluster.set(cluster, ids);
  }

  #clusterPort(): ClusterPort {
    const { logger } = this.#options;
    return {
      unit: (id) => this.state.unit(id),
      unitsOf: (cluster) =>
        [...(this.#unitsByCluster.get(cluster) ?? [])].filter((id) => this.state.unit(id) !== undefined),
      markAttempted: async (id) => {
        const unit = this.state.unit(id);
        if (unit !== undefined) await this.state.apply({ units: [{ ...unit, attempted: true }] });
      },
      onSettled: (unit, result) => {
        this.metrics.syncs.inc({ package: unit.spec.package_name, env: unit.spec.target_env, phase: result });
        this.runs.settled(unit);
        this.events.publish('record', 'modified', unit.id);
        if (result === 'deleted') this.#forget(unit);
      },
      onFailed: (unit, error: OaasError, willRetry) => {
        this.metrics.syncs.inc({ package: unit.spec.package_name, env: unit.spec.target_env, phase: 'failed' });
        this.runs.failed(unit, error, willRetry);
        this.events.publish('record', 'modified', unit.id);
      },
      onObserved: (_cluster, id) => {
        this.events.publish('record', 'modified', id);
      },
      onDrift: (cluster, id, kind) => {
        this.metrics.drift.inc({ env: cluster, kind });
        logger.warn(
          { cluster, unit: id, kind },
          'a record was changed in its cluster by somebody else; it is put back',
        );
      },
      onConnection: (cluster) => {
        const isConnected = this.agents.get(cluster)?.isSynced === true;
        this.metrics.clusterConnected.set({ cluster }, isConnected ? 1 : 0);
        // Its health and its breaker are told by the same call, and are no news of the connection.
        if (isConnected && !this.#connected.has(cluster)) logger.info({ cluster }, 'a cluster is connected');
        if (isConnected) this.#connected.add(cluster);
        else this.#connected.delete(cluster);
        this.events.publish('cluster', 'modified', cluster);
      },
    };
  }

  /** The cluster does not have it any more: nothing is left to know of it, unless it is wanted again meanwhile. */
  #forget(unit: UnitState): void {
    this.state.forgetDeleted(unit.id).catch((error: unknown) => {
      this.#options.logger.error({ err: error, unit: unit.id }, 'a removed unit could not be forgotten');
    });
  }

  async #finished(run: SyncRun): Promise<void> {
    if (run.phase === 'Succeeded' && run.duration_ms !== null)
      this.metrics.commitToApplied.observe({}, run.duration_ms / 1000);
    await this.state.apply({ runs: [run] });
    if (run.phase === 'Superseded') return;
    const outcome = run.phase === 'Succeeded' ? 'synced' : 'failed';
    await this.#update(run.source, (source) => {
      if (source.attempted?.id !== run.commit.id) return source;
      const applied = outcome === 'synced' ? run.commit : source.applied;
      return { ...source, outcome, applied, message: run.message, updatedAt: run.finished_at ?? source.updatedAt };
    });
  }
}

function newSource(input: SourceInput, at: string): SourceState {
  return {
    input,
    suspended: null,
    pinned: null,
    observed: null,
    attempted: null,
    applied: null,
    outcome: 'none',
    message: 'No commit has been seen yet.',
    conditions: [],
    planId: null,
    planSummary: null,
    lastDeliveryAt: null,
    createdAt: at,
    updatedAt: at,
  };
}
