import { createDataClient, createFunctionClient, createGridAdminClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel, createGrpcClient } from '@oaas/commons/grpc';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { grpcHealth, invoke, peer, reflection } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';

let directory: TempDir;
let node: RunningNode;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({
    dataDir: directory.path,
    collections: [{ name: 'things' }],
    env: { ODGM_REFLECTION_ENABLED: 'true' },
  });
});

afterAll(async () => {
  await node.stop();
  await directory.remove();
});

const carriers = {
  'our own HTTP/2': (address: string) =>
    createEdgeChannel(address, { clock: systemClock, timers: systemTimers, random: systemRandom }),
  'grpc-js': (address: string) => createGrpcChannel(address),
} as const;

describe.each(['our own HTTP/2', 'grpc-js'] as const)('one port of a node serves clients over %s with', (carrier) => {
  let channel: Channel;
  beforeAll(() => {
    channel = carriers[carrier](node.grpc);
  });
  afterAll(() => {
    channel.close();
  });

  it('objects and entries', async () => {
    const client = createDataClient(channel);
    const target = { clsId: 'things', partitionId: 0, objectId: 'o' };
    const content = Buffer.alloc(100_000, 'ä');
    await client.set({ ...target, object: { entries: { k: { data: content } } } });
    await client.setValue({ ...target, key: 'l', value: { data: Buffer.from('v') } });
    expect((await client.get(target)).obj?.entries['k']?.data.equals(content)).toBe(true);
    const keys: string[] = [];
    for await (const { key } of client.listValues(target)) keys.push(key);
    expect(keys).toEqual(['k', 'l']);
  });

  it('function calls', async () => {
    const response = await createFunctionClient(channel).invokeFn({ clsId: 'things', fnId: 'none' });
    expect(response.status).toBe(invoke.ResponseStatus.INVALID_REQUEST);
  });

  it('the administration of the grid', async () => {
    const { collections } = await createGridAdminClient(channel).listCollections({});
    expect(collections.map(({ name }) => name)).toContain('things');
  });

  it('the reports that other members ask for', async () => {
    const report = createGrpcClient(peer.GridPeerDefinition, channel).report({ clusterId: 'another', from: 'n2' });
    await expect(report).rejects.toMatchObject({ code: 'FailedPrecondition' });
  });

  it('health', async () => {
    const client = createGrpcClient(grpcHealth.HealthDefinition, channel);
    const { status } = await client.check({ service: 'oprc.DataService' });
    expect(status).toBe(grpcHealth.HealthCheckResponse_ServingStatus.SERVING);
  });

  it('reflection, which names them all', async () => {
    const client = createGrpcClient(reflection.ServerReflectionDefinition, channel);
    async function* ask() {
      yield await Promise.resolve({ listServices: '*' });
    }
    const names: string[] = [];
    for await (const { listServicesResponse } of client.serverReflectionInfo(ask())) {
      names.push(...(listServicesResponse?.service ?? []).map(({ name }) => name));
    }
    expect(names).toEqual(
      expect.arrayContaining([
        ...['oprc.DataService', 'oprc.OprcFunction', 'oaas.admin.v1.GridAdmin', 'oaas.peer.v1.GridPeer'],
        ...['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'],
      ]),
    );
  });
});
