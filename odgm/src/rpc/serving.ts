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
import type { Consistency, Mutation, MutationResult, ShardHandle, ShardReader } from '../shard/index.ts';
import type { GridTracing, OperationSpan } from './tracing.ts';
import {
  consistencyOf,
  depthOf,
  isPassedOn,
  partitionIn,
  type Route,
  routeOf,
  stalenessTrailer,
  type Target,
} from './router.ts';

export type DataService = typeof data.DataServiceDefinition;

export interface ServingOptions {
  readonly node: GridNode;
  /** A client to the data service of another member. */
  readonly clientOf: (member: Member) => Client<DataService>;
  readonly metrics: NodeMetrics;
  readonly clock: Clock;
  /** Absent: calls are not traced. */
  readonly tracing?: GridTracing | undefined;
}

type RemoteRoute = Extract<Route, { kind: 'remote' }>;
type Remote<T> = (client: Client<DataService>, route: RemoteRoute) => Promise<T>;

/** Counts one operation on one collection. */
interface Meter {
  readonly ok: () => void;
  readonly error: () => void;
  readonly seconds: (seconds: number) => void;
}

/** How long a call without a deadline waits for a leader. */
const patienceMs = 5000;
/** Of the time of a call with a deadline so much is kept for the answer on its way back. */
const answerMs = 50;

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
      if (consistency === 'local') tellStaleness(shard, context);
      return local(reader instanceof Promise ? await reader : reader, partition);
    };
    return this.#serve(operation, target, context, run, remote);
  }

  /** A change, whose result `answer` turns into the response: what is read after it may be the work of others. */
  write<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    mutation: Mutation,
    answer: (result: MutationResult, partition: number) => T,
    remote: Remote<T>,
  ): Promise<T> {
    const depth = depthOf(context);
    const asked = depth === 0 ? mutation : { ...mutation, depth };
    const run = async (shard: ShardHandle, partition: number): Promise<T> =>
      answer(await shard.mutate(asked), partition);
    return this.#serve(operation, target, context, run, remote);
  }

  /**
   * A list, read at once where the shard is and passed on as it comes from elsewhere. While leadership moves it begins
   * anew, until it has a first item.
   */
  list<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (reader: ShardReader) => readonly T[],
    remote: (client: Client<DataService>, route: RemoteRoute) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    const span = this.#options.tracing?.operation(`collection.${operation}`, context);
    const items = this.#listed(operation, target, context, local, remote, span);
    return span === undefined ? items : span.aroundAll(items);
  }

  async *#listed<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (reader: ShardReader) => readonly T[],
    remote: (client: Client<DataService>, route: RemoteRoute) => AsyncIterable<T>,
    span: OperationSpan | undefined,
  ): AsyncGenerator<T> {
    const { node, clock, clientOf } = this.#options;
    const consistency = consistencyOf(context);
    const startedAt = clock.monotonic();
    for (;;) {
      let to: Route | undefined;
      let items: AsyncIterable<T> | readonly T[];
      try {
        to = routeOf(node, clock, target, context, consistency);
        if (span !== undefined) to = spanned(to, span);
        if (to.kind === 'remote') {
          this.#forwarded(operation, to.collection);
          items = await begun(remote(clientOf(to.member), to));
        } else {
          items = local(await this.#readerOf(to.shard, consistency, context, span));
          this.#observe(operation, to.collection, startedAt, 'ok');
        }
      } catch (thrown) {
        await this.#untilAgain(thrown, operation, target, to, context, startedAt);
        continue;
      }
      yield* items;
      return;
    }
  }

  /** What a list is read from. */
  #readerOf(
    shard: ShardHandle,
    consistency: Consistency,
    context: CallContext,
    span: OperationSpan | undefined,
  ): ShardReader | Promise<ShardReader> {
    const { tracing } = this.#options;
    if (consistency === 'local') tellStaleness(shard, context);
    if (tracing === undefined || span === undefined) return shard.read(consistency);
    return tracing.within(span, () => shard.read(consistency));
  }

  #observe(operation: Operation, collection: HostedCollection, startedAt: number, result: 'ok' | 'error'): void {
    const ms = this.#options.clock.monotonic() - startedAt;
    const meter = this.#meters.get(collection)?.get(operation) ?? this.#newMeter(operation, collection);
    meter[result]();
    meter.seconds(ms / 1000);
    (isWrite(operation) ? collection.writes : collection.reads).record(ms);
  }

  #forwarded(operation: Operation, collection: HostedCollection): void {
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

  #serve<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (shard: ShardHandle, partition: number) => Promise<T>,
    remote: Remote<T>,
  ): Promise<T> {
    const { tracing } = this.#options;
    if (tracing === undefined) return this.#run(operation, target, context, local, remote, undefined);
    const span = tracing.operation(`collection.${operation}`, context);
    const within = (shard: ShardHandle, partition: number): Promise<T> =>
      tracing.within(span, () => local(shard, partition));
    return span.around(this.#run(operation, target, context, within, remote, span));
  }

  async #run<T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (shard: ShardHandle, partition: number) => Promise<T>,
    remote: Remote<T>,
    span: OperationSpan | undefined,
  ): Promise<T> {
    const { node, clock, clientOf } = this.#options;
    const consistency = isWrite(operation) ? 'linearizable' : consistencyOf(context);
    const startedAt = clock.monotonic();
    for (;;) {
      let to: Route | undefined;
      try {
        to = routeOf(node, clock, target, context, consistency);
        if (span !== undefined) to = spanned(to, span);
        if (to.kind === 'remote') {
          this.#forwarded(operation, to.collection);
          return await remote(clientOf(to.member), to);
        }
        const answer = await local(to.shard, to.partition);
        this.#observe(operation, to.collection, startedAt, 'ok');
        return answer;
      } catch (thrown) {
        await this.#untilAgain(thrown, operation, target, to, context, startedAt);
      }
    }
  }

  /** Waits until a call that failed can be tried again. Throws its error when it cannot, and counts it where the caller hears of it. */
  async #untilAgain(
    thrown: unknown,
    operation: Operation,
    target: Target,
    to: Route | undefined,
    context: CallContext,
    startedAt: number,
  ): Promise<void> {
    const { node } = this.#options;
    const error = toOaasError(thrown);
    const replicas = to?.collection.spec.replicaCount ?? 1;
    const collection = to?.collection ?? collectionOf(node, target);
    if (collection === undefined || !this.#canTryAgain(operation, error, replicas, context, startedAt)) {
      // Whoever passed the call on tells the caller.
      if (collection !== undefined && !isPassedOn(context)) this.#observe(operation, collection, startedAt, 'error');
      throw error;
    }
    const partition = to?.partition ?? partitionIn(collection, target, context);
    const led = node.leaderOf(collection.shardId(partition) ?? 0);
    await node.leaderChange(collection, partition, led, this.#msLeft(context, startedAt), context.signal);
  }

  #canTryAgain(
    operation: Operation,
    error: OaasError,
    replicas: number,
    context: CallContext,
    startedAt: number,
  ): boolean {
    if (isPassedOn(context) || context.signal.aborted || this.#msLeft(context, startedAt) <= 0) return false;
    if (error.code === 'NoLeader') return true;
    // The replica that could not read it is set apart by now; others have it.
    if (error.code === 'StorageCorrupt') return !isWrite(operation) && replicas > 1;
    if (error.code !== 'Unavailable') return false;
    return !isWrite(operation) || error.details?.['outcome'] === 'notApplied';
  }

  /** Time for other tries, so that the caller still hears why the last one failed. */
  #msLeft({ deadlineMs }: CallContext, startedAt: number): number {
    const { clock } = this.#options;
    return deadlineMs === undefined ? startedAt + patienceMs - clock.monotonic() : deadlineMs - answerMs - clock.now();
  }
}

/** Undefined where there is none, or none is known yet. */
function collectionOf(node: GridNode, { classId }: Target): HostedCollection | undefined {
  try {
    return node.collection(classId);
  } catch {
    return undefined;
  }
}

/** The same items, as soon as it is known whether there are any. */
async function begun<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const rest = items[Symbol.asyncIterator]();
  return goingOn(await rest.next(), rest);
}

async function* goingOn<T>(first: IteratorResult<T>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (let item = first; item.done !== true; item = await rest.next()) yield item.value;
  } finally {
    await rest.return?.();
  }
}

function tellStaleness(shard: ShardHandle, context: CallContext): void {
  context.setTrailer(stalenessTrailer, shard.staleMs === undefined ? 'unknown' : String(Math.round(shard.staleMs)));
}

/** The same route, of which the span knows and whose other side goes on with the trace. */
function spanned(to: Route, span: OperationSpan): Route {
  const isRemote = to.kind === 'remote';
  span.of(to.collection.spec.name, to.partition, isRemote ? to.member.id : undefined);
  return isRemote ? { ...to, options: span.onward(to.options) } : to;
}
