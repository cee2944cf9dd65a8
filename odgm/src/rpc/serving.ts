import { type OaasError, toOaasError } from '@oaas/commons/errors';
import type { CallContext, Client } from '@oaas/commons/grpc';
import type { Clock } from '@oaas/commons/time';
import type { data } from '@oaas/proto';
import {
  type GridNode,
  type HostedCollection,
  isWrite,
  type Member,
  type NodeMetrics,
  type Operation,
} from '../node/index.ts';
import {
  EventualShard,
  type Mutation,
  type MutationResult,
  type ShardHandle,
  type ShardReader,
} from '../shard/index.ts';
import { consistencyOf, isPassedOn, type Route, routeOf, stalenessTrailer, type Target } from './router.ts';

export type DataService = typeof data.DataServiceDefinition;

export interface ServingOptions {
  readonly node: GridNode;
  /** A client to the data service of another member. */
  readonly clientOf: (member: Member) => Client<DataService>;
  readonly metrics: NodeMetrics;
  readonly clock: Clock;
}

export type RemoteRoute = Extract<Route, { kind: 'remote' }>;
type Remote<T> = (client: Client<DataService>, route: RemoteRoute) => Promise<T>;

/** Counts one operation on one collection. */
interface Meter {
  readonly ok: () => void;
  readonly error: () => void;
  readonly seconds: (seconds: number) => void;
}

/** How long a call without a deadline waits for a leader. */
const patienceMs = 5000;

/**
 * Runs operations where their shard is: here, or at the member that leads it. While leadership moves, a call waits for
 * the new leader instead of failing, as long as it is certain that nothing has come of it yet.
 */
export class Serving {
  readonly #options: ServingOptions;
  readonly #meters = new WeakMap<HostedCollection, Map<Operation, Meter>>();

  constructor(options: ServingOptions) {
    this.#options = options;
  }

  /** A read, from a state as fresh as the caller asks for. */
  read<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (reader: ShardReader, partition: number) => T,
    remote: Remote<T>,
  ): Promise<T> {
    const consistency = consistencyOf(context);
    const run = async (shard: ShardHandle, partition: number): Promise<T> => {
      const reader = shard.read(consistency);
      if (consistency === 'local' && shard instanceof EventualShard) {
        context.setTrailer(stalenessTrailer, String(shard.staleMs ?? 'unknown'));
      }
      return local(reader instanceof Promise ? await reader : reader, partition);
    };
    return this.#serve(operation, target, context, run, remote);
  }

  /** A change, which `answer` turns into the response. */
  write<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    mutation: Mutation,
    answer: (result: MutationResult, shard: ShardHandle, partition: number) => T,
    remote: Remote<T>,
  ): Promise<T> {
    const run = async (shard: ShardHandle, partition: number): Promise<T> =>
      answer(await shard.mutate(mutation), shard, partition);
    return this.#serve(operation, target, context, run, remote);
  }

  /** Where a list is read; lists are not tried again once they have begun. */
  route(target: Target, context: CallContext): Route {
    const { node, clock } = this.#options;
    return routeOf(node, clock, target, context, consistencyOf(context));
  }

  observe(operation: Operation, collection: HostedCollection, startedAt: number, result: 'ok' | 'error'): void {
    const ms = this.#options.clock.monotonic() - startedAt;
    const meter = this.#meters.get(collection)?.get(operation) ?? this.#newMeter(operation, collection);
    meter[result]();
    meter.seconds(ms / 1000);
    (isWrite(operation) ? collection.writes : collection.reads).record(ms);
  }

  forwarded(operation: Operation, collection: HostedCollection): void {
    this.#options.metrics.forwarded.inc({ collection: collection.spec.name, operation });
  }

  #newMeter(operation: Operation, collection: HostedCollection): Meter {
    const { metrics } = this.#options;
    const labels = { collection: collection.spec.name, operation };
    const meter = {
      ok: metrics.operations.bind({ ...labels, result: 'ok' }),
      error: metrics.operations.bind({ ...labels, result: 'error' }),
      seconds: metrics.operationSeconds.bind(labels),
    };
    const meters = this.#meters.get(collection) ?? new Map<Operation, Meter>();
    this.#meters.set(collection, meters.set(operation, meter));
    return meter;
  }

  async #serve<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (shard: ShardHandle, partition: number) => Promise<T>,
    remote: Remote<T>,
  ): Promise<T> {
    const { node, clock, clientOf } = this.#options;
    const consistency = isWrite(operation) ? 'linearizable' : consistencyOf(context);
    const startedAt = clock.monotonic();
    for (;;) {
      let to: Route | undefined;
      try {
        to = routeOf(node, clock, target, context, consistency);
        if (to.kind === 'remote') {
          this.forwarded(operation, to.collection);
          return await remote(clientOf(to.member), to);
        }
        const answer = await local(to.shard, to.partition);
        this.observe(operation, to.collection, startedAt, 'ok');
        return answer;
      } catch (thrown) {
        const error = toOaasError(thrown);
        const replicas = to?.collection.spec.replicaCount ?? 1;
        if (!this.#canTryAgain(operation, error, replicas, context, startedAt)) {
          if (to?.kind === 'local') this.observe(operation, to.collection, startedAt, 'error');
          throw error;
        }
      }
      const collection = node.collection(target.classId);
      const partition = to?.partition ?? target.partition;
      const led = node.leaderOf(collection.shardId(partition) ?? 0);
      await node.leaderChange(collection, partition, led, context.signal);
    }
  }

  #canTryAgain(
    operation: Operation,
    error: OaasError,
    replicas: number,
    context: CallContext,
    startedAt: number,
  ): boolean {
    const { clock } = this.#options;
    if (isPassedOn(context) || context.signal.aborted) return false;
    const hasTime =
      context.deadlineMs === undefined
        ? clock.monotonic() - startedAt < patienceMs
        : clock.now() < context.deadlineMs - 50;
    if (!hasTime) return false;
    if (error.code === 'NoLeader') return true;
    // The replica that could not read it is set apart by now; others have it.
    if (error.code === 'StorageCorrupt') return !isWrite(operation) && replicas > 1;
    if (error.code !== 'Unavailable') return false;
    return !isWrite(operation) || error.details?.['outcome'] === 'notApplied';
  }
}
