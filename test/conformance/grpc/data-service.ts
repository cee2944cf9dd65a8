import type { ServiceHandlers } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import type { data } from '@oaas/proto';

/** `oprc.DataService` over a map, for what is measured of the carrier alone. Keeps at most `objectsMax` objects. */
export function mapDataService(objectsMax = 1_000_000): ServiceHandlers<data.DataServiceDefinition> {
  const objects = new Map<string, data.ObjData>();
  const keyOf = (request: { clsId: string; partitionId: number; objectId?: string | undefined }): string =>
    `${request.clsId}/${request.partitionId}/${request.objectId ?? ''}`;
  return {
    get(request) {
      const object = objects.get(keyOf(request));
      if (object === undefined) return Promise.reject(oaasError('NotFound', 'there is no such object'));
      return Promise.resolve({ obj: object });
    },
    set(request) {
      const key = keyOf(request);
      if (objects.size >= objectsMax && !objects.has(key)) {
        return Promise.reject(oaasError('ResourceExhausted', 'the map is full'));
      }
      objects.set(key, request.object ?? { metadata: undefined, event: undefined, legacyEntries: {}, entries: {} });
      return Promise.resolve({});
    },
    delete(request) {
      objects.delete(keyOf(request));
      return Promise.resolve({});
    },
    getValue(request) {
      const value = objects.get(keyOf(request))?.entries[request.key ?? ''];
      return Promise.resolve({ value, objectVersion: undefined, key: request.key, deleted: undefined });
    },
    setValue(request) {
      const key = keyOf(request);
      const { value } = request;
      if (value === undefined) return Promise.reject(oaasError('InvalidArgument', 'the value is missing'));
      const object = objects.get(key) ?? { metadata: undefined, event: undefined, legacyEntries: {}, entries: {} };
      object.entries[request.key ?? ''] = value;
      objects.set(key, object);
      return Promise.resolve({});
    },
    // Streams `limit` entries of 100 bytes, whatever the object holds: a measure of server streaming.
    async *listValues(request) {
      const value = { data: Buffer.alloc(100, 0x61), type: 0 as const };
      const limit = request.limit === 0 ? 100 : request.limit;
      for (let i = 0; i < limit; i += 1) {
        yield await Promise.resolve({ key: `key-${i}`, value, version: 1, nextCursor: undefined });
      }
    },
  };
}
