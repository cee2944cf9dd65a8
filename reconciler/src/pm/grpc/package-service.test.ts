import { packages } from '@oaas/proto';
import { type Channel, type Client, createGrpcChannel, createGrpcClient, type GrpcServer } from '@oaas/commons/grpc';
import { HealthRegistry } from '@oaas/commons/lifecycle';
import { createLogger, createMetrics } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeCrm, startFakeCrm } from '../../../testkit/crm/index.ts';
import { unitId } from '../../record/index.ts';
import { createMemoryStore } from '../../store/index.ts';
import { createPackageServer, PackageManager } from '../index.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const tokens = (['viewer', 'operator'] as const).map((role) => ({
  name: `the-${role}`,
  role,
  token: `token-of-the-${role}`,
}));
const logger = createLogger({ service: 'pm', level: 'fatal' });

let dir: TempDir;
let crm: FakeCrm;
let pm: PackageManager;
let server: GrpcServer;
let channel: Channel;

beforeEach(async () => {
  dir = await tempDir();
  crm = await startFakeCrm({ name: 'cloud' });
  const metrics = createMetrics({ service: 'pm' });
  const clusters = [{ name: 'cloud', url: crm.url }];
  pm = await PackageManager.create({
    store: createMemoryStore(),
    clusters,
    cacheDir: dir.path,
    metrics,
    logger,
    ...time,
  });
  const health = new HealthRegistry({ timers: systemTimers });
  server = createPackageServer({ pm, auth: { tokens }, health, metrics, logger, ...time });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  channel = createGrpcChannel(`127.0.0.1:${String(port)}`);
  pm.start();
});
afterEach(async () => {
  channel.close();
  server.stop();
  await pm.stop();
  await crm.stop();
  await dir.remove();
});

const as = (role?: string): Client<typeof packages.PackageServiceDefinition> =>
  createGrpcClient(
    packages.PackageServiceDefinition,
    channel,
    role === undefined ? {} : { metadata: { authorization: `Bearer token-of-the-${role}` } },
  );

const shop = packages.OPackage.fromPartial({
  name: 'shop',
  version: '1.2',
  metadata: { author: 'Ada', tags: ['example'] },
  classes: [
    {
      key: 'Cart',
      stateSpec: { type: 'READ_YOUR_WRITE', persistent: true },
      functions: [{ functionKey: 'add', name: 'add_item', stateless: true }],
    },
  ],
  functions: [
    {
      key: 'add',
      metadata: { description: 'Adds.', resourceRequirements: { cpuRequest: '100m' } },
      provisionConfig: { containerImage: 'shop/add:1', port: 9000, minScale: 2 },
      config: { CURRENCY: 'EUR' },
    },
  ],
});

describe('packages over gRPC', () => {
  it('are created, read, listed, deployed and deleted, as over REST', async () => {
    const client = as('operator');
    expect(await client.createPackage({ package: shop })).toMatchObject({ packageId: 'shop' });
    expect(pm.state.package('shop')?.spec.functions[0]).toMatchObject({
      function_type: 'CUSTOM',
      provision_config: { container_image: 'shop/add:1', port: 9000, min_scale: 2, cpu_request: '100m' },
      config: { CURRENCY: 'EUR' },
    });
    const { package: read } = await client.getPackage({ name: 'shop' });
    expect(read).toMatchObject({
      version: '1.2',
      classes: [{ key: 'Cart', functions: [{ name: 'add_item', functionKey: 'add', stateless: true }] }],
      functions: [{ key: 'add', functionType: 'CUSTOM', provisionConfig: { containerImage: 'shop/add:1' } }],
    });
    expect(await client.listPackages({ filter: 'SHO', limit: 10 })).toMatchObject({ totalCount: 1 });
    expect((await client.listPackages({ offset: 1 })).packages).toEqual([]);

    const id = unitId('shop', 'Cart', 'cloud');
    const deployed = await client.deployClass({
      packageName: 'shop',
      classKey: 'Cart',
      targetEnv: 'cloud',
      nfrRequirements: { minThroughputRps: 100 },
      odgmConfig: { partitionCount: 2 },
    });
    expect(deployed).toMatchObject({ deploymentId: id, deploymentIds: [id] });
    await eventually(() => {
      expect(crm.records.has(id)).toBe(true);
    });
    expect(pm.state.unit(id)?.spec).toMatchObject({
      odgm: { partition_count: 2 },
      nfr_requirements: { min_throughput_rps: 100 },
    });
    expect(await client.reportDeploymentStatus({ deploymentId: id })).toMatchObject({ status: 0 });

    await client.deletePackage({ name: 'shop' });
    await eventually(() => {
      expect(crm.records.has(id)).toBe(false);
    });
    await expect(client.getPackage({ name: 'shop' })).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('that read back what was read stay as they are', async () => {
    const client = as('operator');
    await client.createPackage({ package: shop });
    const before = pm.state.package('shop');
    const { package: read } = await client.getPackage({ name: 'shop' });
    await client.createPackage({ package: read, replace: true });
    expect(pm.state.package('shop')?.digest).toBe(before?.digest);
  });

  it('are not created twice unless they shall be replaced', async () => {
    const client = as('operator');
    await client.createPackage({ package: shop });
    await expect(client.createPackage({ package: shop })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await client.createPackage({ package: { ...shop, version: '2' }, replace: true });
    expect(pm.state.package('shop')?.spec.version).toBe('2');
  });

  it.each([
    ['without an image', { functions: [{ key: 'add' }] }, 'has no image'],
    ['with a binding to nothing', { functions: [] }, 'add'],
    ['with a part that is disabled', { disabled: true }, 'is disabled'],
  ])('%s are refused with what is wrong', async (_what, change, message) => {
    const wrong = packages.OPackage.fromPartial({ ...shop, ...change });
    await expect(as('operator').createPackage({ package: wrong })).rejects.toThrow(message);
  });

  it('are for those with a token of the right role, and every change is in the audit', async () => {
    await expect(as().listPackages({})).rejects.toMatchObject({ code: 'Unauthenticated' });
    expect((await as('viewer').listPackages({})).totalCount).toBe(0);
    await expect(as('viewer').createPackage({ package: shop })).rejects.toMatchObject({ code: 'PermissionDenied' });
    await as('operator').createPackage({ package: shop });
    expect(
      pm.audit.recent().map(({ actor, role, action, resource, result }) => [actor, role, action, resource, result]),
    )
      // The newest first; reading leaves no record.
      .toEqual([
        ['the-operator', 'operator', 'package.create', 'shop', 'succeeded'],
        ['the-viewer', 'viewer', 'package.create', 'shop', 'denied'],
      ]);
  });
});
