import type { ServiceHandlers } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import type { data } from '@oaas/proto';
import * as codec from './codec.ts';
import { type DataService, Serving, type ServingOptions } from './serving.ts';

const empty: data.EmptyResponse = {};
const done = (): data.EmptyResponse => empty;

/** `oprc.DataService`: reads and changes objects of local shards, and passes calls for others on to their leaders. */
export function dataService(options: ServingOptions): ServiceHandlers<DataService> {
  const { node, clock } = options;
  const serving = new Serving(options);

  return {
    get: (request, context) => {
      const address = codec.addressOf(request);
      return serving.read(
        'get',
        address,
        context,
        (reader, partition) => {
          const object = reader.object(address.objectId);
          if (object === undefined) throw notFound(address);
          return { obj: codec.wireObject(address, partition, object) };
        },
        (client, to) => client.get({ ...request, partitionId: to.partition }, to.options),
      );
    },

    set: (request, context) => {
      const { address, object } = codec.objectAddressOf(request);
      const mutation = codec.setMutation(address.objectId, object, clock.now());
      return serving.write('set', address, context, mutation, done, (client, to) =>
        client.set({ ...request, partitionId: to.partition }, to.options),
      );
    },

    merge: (request, context) => {
      const { address, object } = codec.objectAddressOf(request);
      const mutation = codec.mergeMutation(address.objectId, object, clock.now());
      return serving.write(
        'merge',
        address,
        context,
        mutation,
        ({ object: merged }, partition) => {
          if (merged instanceof Error) throw merged;
          return { obj: merged === undefined ? undefined : codec.wireObject(address, partition, merged) };
        },
        (client, to) => client.merge({ ...request, partitionId: to.partition }, to.options),
      );
    },

    delete: (request, context) => {
      const address = codec.addressOf(request);
      return serving.write(
        'delete',
        address,
        context,
        { type: 'delete', objectId: address.objectId, at: clock.now() },
        done,
        (client, to) => client.delete({ ...request, partitionId: to.partition }, to.options),
      );
    },

    getValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      return serving.read(
        'get_value',
        address,
        context,
        (reader) => codec.wireValueResponse(key, reader.value(address.objectId, key), reader.meta(address.objectId)),
        (client, to) => client.getValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    setValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      const mutation = codec.setValueMutation(address.objectId, key, request.value, clock.now());
      return serving.write('set_value', address, context, mutation, done, (client, to) =>
        client.setValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    deleteValue: (request, context) => {
      const { address, key } = codec.entryAddressOf(request);
      return serving.write(
        'delete_value',
        address,
        context,
        codec.deleteValueMutation(address.objectId, key, clock.now()),
        done,
        (client, to) => client.deleteValue({ ...request, partitionId: to.partition }, to.options),
      );
    },

    batchSetValues: (request, context) => {
      const address = codec.addressOf(request);
      const mutation = codec.batchMutation(address.objectId, request, clock.now());
      return serving.write('batch_set_values', address, context, mutation, done, (client, to) =>
        client.batchSetValues({ ...request, partitionId: to.partition }, to.options),
      );
    },

    listObjects: (request, context) => {
      const query = codec.listQuery(request.objectIdPrefix, request.limit, request.cursor);
      return serving.list(
        'list_objects',
        { classId: request.clsId, partition: request.partitionId },
        context,
        (reader) => codec.wireObjectList(reader.listObjects(query)),
        (client, to) => client.listObjects(request, to.options),
      );
    },

    listValues: (request, context) => {
      const address = codec.addressOf(request);
      const query = codec.listQuery(request.keyPrefix, request.limit, request.cursor);
      return serving.list(
        'list_values',
        address,
        context,
        (reader) => {
          const page = reader.listValues(address.objectId, query);
          // It stays until its last value is taken, which a slow reader may put off.
          context.keeps?.(page.items.reduce((bytes, { value }) => bytes + value.data.length, 0));
          return codec.wireValueList(page, reader.meta(address.objectId)?.version ?? 0);
        },
        (client, to) => client.listValues({ ...request, partitionId: to.partition }, to.options),
      );
    },

    // eslint-disable-next-line @typescript-eslint/require-await -- handlers are asynchronous
    stats: async () => ({
      shards: node.collections().flatMap((collection) =>
        collection.handles().map(({ partition, id, counters }) => ({
          collection: collection.spec.name,
          partitionId: partition,
          shardId: id,
          count: counters.objects,
        })),
      ),
    }),

    // eslint-disable-next-line @typescript-eslint/require-await -- handlers are asynchronous
    capabilities: async () => ({
      stringIds: true,
      stringEntryKeys: true,
      granularEntryStorage: true,
      eventPipelineV2: node.events?.fires === true,
    }),
  };
}

function notFound({ classId, objectId }: codec.ObjectAddress): Error {
  return oaasError('NotFound', `there is no object ${objectId} of ${classId}`, { details: { classId, objectId } });
}
