import { deployment, type health } from '@oaas/proto';
import {
  createCrmInfoClient,
  createDeploymentClient,
  createGridAdminClient,
  createTopologyClient,
  type DeploymentClient,
  type GridAdminClient,
  type TopologyClient,
} from '@oaas/commons/client';
import { isOaasError, oaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import { type Breaker, type Channel, createBreaker, createGrpcChannel } from '@oaas/commons/grpc';
import { type Outcome, WorkQueue } from '@oaas/commons/queue';
import type { Logger } from '@oaas/commons/telemetry';
import { backoffDelay, type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';
import type { UnitState } from '../model/state.ts';
import { toWire } from './wire.ts';

export type Observed = deployment.DeploymentRecord;

export interface ClusterConfig {
  /** Name of the environment that units target. */
  readonly name: string;
  /** `http://host:port` of its CRM. */
  readonly url: string;
  readonly token?: string | undefined;
}

/** What an agent asks of the rest of PM, and tells it. */
export interface ClusterPort {
  unit(id: string): UnitState | undefined;
  /** Ids of the units that are meant for a cluster. */
  unitsOf(cluster: string): readonly string[];
  /** Called before the first call for a unit that may create something. */
  markAttempted(id: string): Promise<void>;
  /** A unit is as wanted; `deleted`: the cluster does not have it any more. */
  onSettled(unit: UnitState, result: 'created' | 'updated' | 'unchanged' | 'deleted'): void;
  onFailed(unit: UnitState, error: OaasError, willRetry: boolean): void;
  onObserved(cluster: string, id: string): void;
  onDrift(cluster: string, id: string, kind: 'deleted' | 'changed'): void;
  onConnection(cluster: string): void;
}

export interface ClusterAgentOptions {
  readonly config: ClusterConfig;
  readonly port: ClusterPort;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

const limits = {
  /** Units that wait or are in work. Over it `enqueue` throws; the next full sync of the stream brings them again. */
  queue: 50_000,
  concurrency: 16,
  deployMs: 15_000,
  readMs: 5_000,
  healthMs: 15_000,
} as const;
const reconnect = { baseMs: 200, maxMs: 10_000, factor: 2, jitter: 0.5 };

/**
 * One cluster: what its CRM has (a watched copy of its records), and a queue that makes it what PM wants. Level-triggered: a worker
 * reads the newest wish, so an older commit is never applied after a newer one, and whatever differs is put right again.
 */
export class ClusterAgent {
  readonly config: ClusterConfig;
  readonly gridAdmin: GridAdminClient;
  readonly topology: TopologyClient;
  readonly #options: ClusterAgentOptions;
  readonly #channel: Channel;
  readonly #breaker: Breaker;
  readonly #deployments: DeploymentClient;
  readonly #info: ReturnType<typeof createCrmInfoClient>;
  readonly #queue: WorkQueue;
  readonly #abort = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  readonly #failures = new Map<string, OaasError>();
  /** Generation of the record's spec when it was last as wanted: a higher one means that somebody else changed it. */
  readonly #generations = new Map<string, number>();
  readonly #tampered = new Set<string>();
  /** Units whose removal the CRM has confirmed: that the stream shows no record is not enough, for it may be behind. */
  readonly #deleted = new Set<string>();
  #observed = new Map<string, Observed>();
  #isSynced = false;
  #hasTried = false;
  #message = 'Not connected yet.';
  #health: health.CrmEnvHealth | undefined;
  #lastSeenMs: number | undefined;

  constructor(options: ClusterAgentOptions) {
    const { config, clock, timers, random } = options;
    this.#options = options;
    this.config = config;
    this.#channel = createGrpcChannel(config.url, { reconnectMaxMs: 2000 });
    this.#breaker = createBreaker({
      halfOpenAfterMs: 5000,
      onStateChange: () => {
        options.port.onConnection(config.name);
      },
    });
    const token = config.token;
    const shared = {
      breaker: this.#breaker,
      ...(token === undefined ? {} : { metadata: { authorization: `Bearer ${token}` } }),
    };
    this.#deployments = createDeploymentClient(this.#channel, { ...shared, deadlineMs: limits.deployMs });
    this.gridAdmin = createGridAdminClient(this.#channel, { ...shared, deadlineMs: limits.readMs });
    this.topology = createTopologyClient(this.#channel, { ...shared, deadlineMs: limits.readMs });
    this.#info = createCrmInfoClient(this.#channel, { ...shared, deadlineMs: limits.readMs });
    this.#queue = new WorkQueue({
      name: `cluster-${config.name}`,
      clock,
      timers,
      random,
      limits: { depthMax: limits.queue, concurrency: limits.concurrency },
      backoff: { baseMs: 250, maxMs: 60_000, factor: 2, jitter: 0.5 },
      onFailure: (id, error, retryInMs) => {
        this.#failed(id, error, retryInMs !== undefined);
      },
    });
  }

  get name(): string {
    return this.config.name;
  }
  get connection(): 'Connected' | 'Connecting' | 'BreakerOpen' | 'Disconnected' {
    if (this.#breaker.state === 'open') return 'BreakerOpen';
    if (this.#isSynced) return 'Connected';
    return this.#hasTried ? 'Disconnected' : 'Connecting';
  }
  get message(): string {
    return this.#isSynced ? '' : this.#message;
  }
  get health(): health.CrmEnvHealth | undefined {
    return this.#health;
  }
  get lastSeenMs(): number | undefined {
    return this.#lastSeenMs;
  }
  get queueDepth(): number {
    return this.#queue.size;
  }
  /** Whether `observed` is what the cluster has now; otherwise what it had when it was last seen. */
  get isSynced(): boolean {
    return this.#isSynced;
  }
  observed(id: string): Observed | undefined {
    return this.#observed.get(id);
  }
  observedIds(): IterableIterator<string> {
    return this.#observed.keys();
  }
  get observedCount(): number {
    return this.#observed.size;
  }
  failure(id: string): OaasError | undefined {
    return this.#failures.get(id);
  }

  start(): void {
    this.#running.push(
      this.#queue.run((id, signal) => this.#reconcile(id, signal)),
      this.#watch(),
      this.#pollHealth(),
    );
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#queue.stop({ timeoutMs: 2000 }).catch(() => undefined);
    this.#channel.close();
    await Promise.allSettled(this.#running);
  }

  /** Makes the cluster have what is wanted of a unit. */
  enqueue(id: string): void {
    try {
      this.#queue.add(id);
    } catch (error) {
      this.#options.logger.warn({ err: error, cluster: this.name, unit: id }, 'the queue of a cluster is full');
    }
  }

  /** Whether a unit is, for all that is known, as wanted. */
  isSettled(unit: UnitState): boolean {
    if (!this.#isSynced) return false;
    const record = this.#observed.get(unit.id);
    switch (unit.intent) {
      case 'apply':
        return record?.source?.digest === unit.digest && !record.deleting && !this.#tampered.has(unit.id);
      case 'delete':
        return record === undefined && this.#deleted.has(unit.id);
      case 'keep':
        return true;
    }
  }

  /** Objects in the grid of a unit now; null where the grid cannot be asked. 0 where the cluster has no record of it. */
  async countObjects(id: string): Promise<number | null> {
    try {
      const { collections } = await this.gridAdmin.listCollections(
        { deploymentId: id },
        { signal: AbortSignal.any([this.#abort.signal]) },
      );
      return collections.reduce((sum, each) => sum + each.totalObjects, 0);
    } catch (error) {
      // The stream may be behind: only the CRM's own word counts that there is nothing.
      if (isOaasError(error, 'NotFound') && this.#isSynced && !this.#observed.has(id)) return 0;
      this.#options.logger.info(
        { err: error, cluster: this.name, unit: id },
        'the objects of a grid could not be counted',
      );
      return null;
    }
  }

  // Each call has a signal of its own: many listeners on one are taken for a leak.
  async #reconcile(id: string, signal: AbortSignal): Promise<Outcome> {
    const { port } = this.#options;
    const unit = port.unit(id);
    // Without a view of the cluster nothing can be decided; when the stream is back, every unit is queued again.
    if (unit === undefined || unit.spec.target_env !== this.name || !this.#isSynced) return { done: true };
    const record = this.#observed.get(id);
    if (unit.intent === 'keep') return { done: true };
    if (this.isSettled(unit)) {
      this.#settled(unit, unit.intent === 'delete' ? 'deleted' : 'unchanged');
      return { done: true };
    }
    // What is on its way out is waited for: its end comes by the stream.
    if (record?.deleting === true) return unit.intent === 'delete' ? { done: true } : { requeueAfterMs: 500 };
    if (unit.intent === 'delete') {
      await this.#delete(unit, signal);
      if (this.isSettled(unit)) this.#settled(unit, 'deleted');
      return { done: true };
    }
    this.#deleted.delete(id);
    if (!unit.attempted) await port.markAttempted(id);
    const response = await this.#deployments.deploy(
      { deploymentUnit: toWire(unit) },
      { signal: AbortSignal.any([signal]) },
    );
    this.#tampered.delete(id);
    this.#generations.delete(id);
    this.#settled(unit, resultOf(response.result));
    return { done: true };
  }

  async #delete(unit: UnitState, signal: AbortSignal): Promise<void> {
    try {
      await this.#deployments.deleteDeployment(
        { deploymentId: unit.id, deleteData: false },
        { signal: AbortSignal.any([signal]) },
      );
    } catch (error) {
      if (!isOaasError(error, 'NotFound')) throw error;
    }
    this.#deleted.add(unit.id);
  }

  #settled(unit: UnitState, result: 'created' | 'updated' | 'unchanged' | 'deleted'): void {
    this.#failures.delete(unit.id);
    if (result === 'deleted') this.#deleted.delete(unit.id);
    this.#options.port.onSettled(unit, result);
  }

  #failed(id: string, error: OaasError, willRetry: boolean): void {
    const unit = this.#options.port.unit(id);
    if (unit === undefined || error.code === 'Cancelled') return;
    this.#failures.set(id, error);
    this.#options.logger.warn(
      { err: error, cluster: this.name, unit: id, will_retry: willRetry },
      'a unit could not be applied',
    );
    this.#options.port.onFailed(unit, error, willRetry);
  }

  /** Follows the records of the cluster for ever. */
  async #watch(): Promise<void> {
    const { timers, random, logger, port } = this.#options;
    const { signal } = this.#abort;
    let attempt = 0;
    const isStopped = () => signal.aborted;
    for (; !isStopped(); attempt += 1) {
      try {
        await this.#follow(() => {
          attempt = 0;
        });
        throw oaasError('Unavailable', 'the CRM ended the stream');
      } catch (thrown) {
        if (isStopped()) return;
        const error = toOaasError(thrown);
        const isNew = this.#isSynced || !this.#hasTried || this.#message !== error.message;
        this.#isSynced = false;
        this.#hasTried = true;
        this.#message = error.message;
        if (isNew) {
          logger.warn(
            { cluster: this.name, code: error.code, reason: error.message },
            'the records of a cluster cannot be followed',
          );
          port.onConnection(this.name);
        }
      }
      await sleep(timers, backoffDelay(attempt, reconnect, random), signal).catch(() => undefined);
    }
  }

  async #follow(onSynced: () => void): Promise<void> {
    const { signal } = this.#abort;
    const fresh = new Map<string, Observed>();
    for await (const { type, record } of this.#deployments.watchDeploymentRecords({}, { signal })) {
      this.#lastSeenMs = this.#options.clock.now();
      if (type === deployment.RecordEventType.RECORD_EVENT_SYNCED) {
        onSynced();
        this.#synced(fresh);
      } else if (record !== undefined && !this.#isSynced) {
        if (type !== deployment.RecordEventType.RECORD_EVENT_DELETED) fresh.set(record.id, record);
        else fresh.delete(record.id);
      } else if (record !== undefined) {
        this.#changed(record, type === deployment.RecordEventType.RECORD_EVENT_DELETED);
      }
    }
  }

  /** The whole cluster is known: everything that is wanted of it is looked at. */
  #synced(fresh: Map<string, Observed>): void {
    const { port } = this.#options;
    const before = this.#observed;
    this.#observed = fresh;
    this.#isSynced = true;
    this.#generations.clear();
    port.onConnection(this.name);
    for (const id of new Set([...before.keys(), ...fresh.keys()])) {
      if (before.get(id)?.updatedAt !== fresh.get(id)?.updatedAt) port.onObserved(this.name, id);
    }
    for (const id of port.unitsOf(this.name)) this.enqueue(id);
  }

  #changed(record: Observed, isDeleted: boolean): void {
    const { port } = this.#options;
    const { id } = record;
    const before = this.#observed.get(id);
    if (isDeleted) this.#observed.delete(id);
    else this.#observed.set(id, record);
    port.onObserved(this.name, id);
    const unit = port.unit(id);
    if (unit === undefined || unit.spec.target_env !== this.name) return;
    if (unit.intent === 'apply' && before?.source?.digest === unit.digest && !before.deleting)
      this.#lookForDrift(unit, record, isDeleted);
    if (!this.isSettled(unit)) this.enqueue(id);
    else if (unit.intent === 'delete') this.#settled(unit, 'deleted');
  }

  /** The record was as wanted before. If it is not now, somebody else changed it. */
  #lookForDrift(unit: UnitState, record: Observed, isDeleted: boolean): void {
    const { port } = this.#options;
    if (isDeleted || record.deleting) {
      port.onDrift(this.name, unit.id, 'deleted');
      return;
    }
    const generation = this.#generations.get(unit.id);
    if (record.source?.digest !== unit.digest || (generation !== undefined && record.generation > generation)) {
      this.#tampered.add(unit.id);
      port.onDrift(this.name, unit.id, 'changed');
    } else {
      this.#generations.set(unit.id, record.generation);
    }
  }

  async #pollHealth(): Promise<void> {
    const { timers, random, port, clock } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const next = await this.#info.getEnvHealth({ env: this.name }, { signal });
        const isNew = this.#health?.status !== next.status || this.#health.readyNodes !== next.readyNodes;
        this.#health = next;
        this.#lastSeenMs = clock.now();
        if (isNew) port.onConnection(this.name);
      } catch {
        // The watch says that the cluster is away; its last known health stays, with the time it was seen.
      }
      await sleep(timers, limits.healthMs * (1 - 0.2 * random.next()), signal).catch(() => undefined);
    }
  }
}

function resultOf(result: deployment.DeployResult): 'created' | 'updated' | 'unchanged' {
  switch (result) {
    case deployment.DeployResult.DEPLOY_RESULT_CREATED:
      return 'created';
    case deployment.DeployResult.DEPLOY_RESULT_UNCHANGED:
      return 'unchanged';
    // Older CRMs say nothing of the kind.
    default:
      return 'updated';
  }
}
