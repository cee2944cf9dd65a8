import { type Client, type ServiceHandlers, type CallContext } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type { data } from '@oaas/proto';
import { type GridNode, isWrite, type Member, type NodeMetrics, type Operation } from '../node/index.ts';
import type { Mutation, MutationResult, Shard } from '../shard/index.ts';
import * as codec from './codec.ts';
import { type Route, routeOf, type Target } from './router.ts';

type DataService = typeof data.DataServiceDefinition;

export interface DataServiceOptions {
  readonly node: GridNode;
  /** A client to the data service of another member. */
  readonly clientOf: (member: Member) => Client<DataService>;
  readonly metrics: NodeMetrics;
  readonly clock: Clock;
}

const empty: data.EmptyResponse = {};

/** `oprc.DataService`: reads and changes objects of local shards, and passes calls for others on to their owners. */
export function dataService(options: DataServiceOptions): ServiceHandlers<DataService> {
  const { node, clientOf, metrics, clock } = options;

  const route = (target: Target, context: CallContext): Route => routeOf(node, clock, target, context);

  const observe = (operation: Operation, { collection }: Route, startedAt: number, result: 'ok' | 'error'): void => {
    const ms = clock.monotonic() - startedAt;
    const labels = { collection: collection.spec.name, operation };
    metrics.operations.inc({ ...labels, result });
    metrics.operationSeconds.observe(labels, ms / 1000);
    (isWrite(operation) ? collection.writes : collection.reads).record(ms);
  };

  /** Runs an operation where its shard is. */
  const serve = async <T>(
    operation: Operation,
    target: Target,
    context: CallContext,
    local: (shard: Shard, partition: number) => T | Promise<T>,
    remote: (client: Client<DataService>, route: Extract<Route, { kind: 'remote' }>) => Promise<T>,
  ): Promise<T> => {
    const to = route(target, context);
    if (to.kind === 'remote') {
      metrics.forwarded.inc({ collection: to.collection.spec.name, operation });
      return remote(clientOf(to.member), to);
    }
    const startedAt = clock.monotonic();
    try {
      const answer = await local(to.shard, to.partition);
      observe(operation, to, startedAt, 'ok');
      return answer;
    } catch (error) {
      observe(operation, to, startedAt, 'error');
      throw error;
    }
  };

  const mutate = (shard: Shard, mutation: Mutation): Promise<MutationResult> => shard.mutate(mutation);

  return {
    get: (request, context) => {
      const address = codec.addressOf(request);
      return serve(
        'get',
        address,
        context,
        (shard, partition) => {
          const object = shard.reader.object(address.objectId);
          if (object === undefined) throw notFound(address);
          return { obj: codec.wireObject(address, partition, object) };
        },
        (client, to) => client.get({ ...request, partitionId: to.partition }, to.options),
      );
    },

    set: (request, context) => {
      const { address, object } = codec.objectAddressOf(request);
      const mutation = codec.setMutation(address.objectId, object);
      return serve(
        'set',
        address,
        context,
        async (shard) => {
          await mutate(shard, mutation);
          return empty;
        },
        (client, to) => client.set({ ...request, partitionId: to.partition }, to.options),
      );
    },

    merge: (request, context) => {
      const { address, object } = codec.objectAddressOf(request);
      const mutation = codec.mergeMutation(address.objectId, object);
      return serve(
        'merge',
        address,
        context,
        async (shard, partition) => {
          await mutate(shard, mutation);
          const merged = shard.reader.object(address.objectId);
          if (merged === undefined) return { obj: undefined };
          return { obj: codec.wireObject(address, partition, merged) };
        },
        (client, to) => client.merge({ ...request, partitionId: to.partition }, to.options),
      );
    },

    delete: (request, context) => {
      const address = codec.addressOf(request);
      return serve(
        'delete',
        address,
        context,
        async (shard) => {
          await mutate(shard, { type: 'delete', objectId: address.objectId });
          return empty;
        },
        (client, to) => client.delete({ ...request, partitionId: to.partition }, to.options),
      );
    },

    getValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      return serve(
        'get_value',
        address,
        context,
        ({ reader }) =>
          codec.wireValueResponse(key, reader.value(address.objectId, key), reader.meta(address.objectId)),
        (client, to) => client.getValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    setValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      const mutation = codec.setValueMutation(address.objectId, key, request.value);
      return serve(
        'set_value',
        address,
        context,
        async (shard) => {
          await mutate(shard, mutation);
          return empty;
        },
        (client, to) => client.setValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    deleteValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      return serve(
        'delete_value',
        address,
        context,
        async (shard) => {
          await mutate(shard, codec.deleteValueMutation(address.objectId, key));
          return empty;
        },
        (client, to) => client.deleteValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    batchSetValues: (request, context) => {
      const address = codec.addressOf(request);
      const mutation = codec.batchMutation(address.objectId, request);
      return serve(
        'batch_set_values',
        address,
        context,
        async (shard) => {
          await mutate(shard, mutation);
          return empty;
        },
        (client, to) => client.batchSetValues({ ...request, partitionId: to.partition }, to.options),
      );
    },

    async *listObjects(request, context) {
      const query = codec.listQuery(request.objectIdPrefix, request.limit, request.cursor);
      const to = route({ classId: request.clsId, partition: request.partitionId }, context);
      if (to.kind === 'remote') {
        metrics.forwarded.inc({ collection: to.collection.spec.name, operation: 'list_objects' });
        yield* clientOf(to.member).listObjects(request, to.options);
        return;
      }
      const startedAt = clock.monotonic();
      const { items, next } = to.shard.reader.listObjects(query);
      observe('list_objects', to, startedAt, 'ok');
      for (const [index, { id, meta }] of items.entries()) {
        yield {
          objectId: id,
          version: meta.version,
          entryCount: meta.entryCount,
          nextCursor: index === items.length - 1 && next !== undefined ? codec.bufferOf(next) : undefined,
        };
      }
    },

    async *listValues(request, context) {
      const address = codec.addressOf(request);
      const query = codec.listQuery(request.keyPrefix, request.limit, request.cursor);
      const to = route(address, context);
      if (to.kind === 'remote') {
        metrics.forwarded.inc({ collection: to.collection.spec.name, operation: 'list_values' });
        yield* clientOf(to.member).listValues({ ...request, partitionId: to.partition }, to.options);
        return;
      }
      const startedAt = clock.monotonic();
      const version = to.shard.reader.meta(address.objectId)?.version ?? 0;
      const { items, next } = to.shard.reader.listValues(address.objectId, query);
      observe('list_values', to, startedAt, 'ok');
      for (const [index, { key, value }] of items.entries()) {
        yield {
          key,
          value: codec.wireValue(value),
          version,
          nextCursor: index === items.length - 1 && next !== undefined ? codec.bufferOf(next) : undefined,
        };
      }
    },

    // eslint-disable-next-line @typescript-eslint/require-await -- handlers are asynchronous
    stats: async () => ({
      shards: node.collections().flatMap((collection) =>
        collection.ownShards().map(({ partition, shardId, counters }) => ({
          collection: collection.spec.name,
          partitionId: partition,
          shardId,
          count: counters.objects,
        })),
      ),
    }),

    // eslint-disable-next-line @typescript-eslint/require-await -- handlers are asynchronous
    capabilities: async () => ({
      stringIds: true,
      stringEntryKeys: true,
      granularEntryStorage: true,
      eventPipelineV2: false,
    }),
  };
}

function notFound({ classId, objectId }: codec.ObjectAddress): Error {
  return oaasError('NotFound', `there is no object ${objectId} of ${classId}`, { details: { classId, objectId } });
}
