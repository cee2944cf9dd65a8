import { createDataClient, createFunctionClient, partitionOf } from '@oaas/commons/client';
import { createGrpcChannel } from '@oaas/commons/grpc';
import type { PmClient } from '@oaas/commons/client/pm';
import { eventually } from './eventually.ts';

/** gRPC clients of the grid of one class, by the address that the record itself shows. */
export async function openGrid(pm: PmClient, recordId: string) {
  const record = await eventually(
    () => pm.getRecord(recordId),
    (found) => found.endpoints.some((endpoint) => endpoint.name === 'grid') && found.axes.health.status === 'Healthy',
    { what: `the grid of ${recordId} has an address and its workloads are healthy`, withinMs: 90_000 },
  );
  const address = record.endpoints.find((endpoint) => endpoint.name === 'grid')?.address ?? '';
  const channel = createGrpcChannel(address, {});
  const classId = `${record.package_name}.${record.class_key}`;
  const partitions = record.collections[0]?.partition_count ?? 1;
  const data = createDataClient(channel);
  const functions = createFunctionClient(channel);
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
  return {
    classId,
    partitions,
    async set(objectId: string, entries: Record<string, unknown>): Promise<void> {
      await data.set({
        clsId: classId,
        partitionId: partitionOf(objectId, partitions),
        objectId,
        object: {
          legacyEntries: {},
          entries: Object.fromEntries(
            Object.entries(entries).map(([key, value]) => [key, { data: bytes(value), type: 0 }]),
          ),
        },
      });
    },
    async get(objectId: string): Promise<Record<string, unknown>> {
      const answer = await data.get({ clsId: classId, partitionId: partitionOf(objectId, partitions), objectId });
      return Object.fromEntries(
        Object.entries(answer.obj?.entries ?? {}).map(([key, value]) => [
          key,
          JSON.parse(value.data.toString('utf8')) as unknown,
        ]),
      );
    },
    async remove(objectId: string): Promise<void> {
      await data.delete({ clsId: classId, partitionId: partitionOf(objectId, partitions), objectId });
    },
    /** Calls a function on an object and reads its JSON answer. Throws with the status and text of a refusal. */
    async invoke(objectId: string, fn: string, payload: unknown = {}): Promise<unknown> {
      const answer = await functions.invokeObj({
        clsId: classId,
        partitionId: partitionOf(objectId, partitions),
        objectId,
        fnId: fn,
        options: {},
        payload: bytes(payload),
      });
      const text = answer.payload?.toString('utf8') ?? '';
      if (answer.status !== 0) throw new Error(`status ${answer.status}: ${text}`);
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    },
    close: () => channel.close(),
  };
}
