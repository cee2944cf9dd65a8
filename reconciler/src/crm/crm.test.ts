import { eventually } from '@oaas/commons/testkit';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import {
  createDeploymentClient,
  createGridAdminClient,
  createCrmInfoClient,
  type DeploymentClient,
} from '@oaas/commons/client';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { deployment, unit as wire } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedApi, startRealApi } from '../../testkit/kubernetes/index.ts';
import {
  createKubernetesClient,
  kinds,
  type KubernetesClient,
  type KubeObject,
  type ResourceType,
} from '../kubernetes/index.ts';
import { childNames, type DeploymentRecord, findCondition, unitId } from '../record/index.ts';
import { loadCrmConfig } from './config.ts';
import { platformKinds, type Workload } from './objects.ts';
import { type CrmProgram, createCrmProgram } from './program.ts';
import { startHandGrid, type HandGrid } from './testing/grid.ts';
import { HandKubelet } from './testing/kubelet.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const namespace = 'default';
const token = 'a-token-of-this-test';

interface Server {
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

interface Target {
  readonly name: string;
  readonly isSkipped: boolean;
  /** The API server's proxy reaches the grid of this test. */
  readonly hasProxy: boolean;
  start(grid: HandGrid): Promise<Server>;
}

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };

const targets: readonly Target[] = [
  {
    name: 'the embedded API',
    isSkipped: false,
    hasProxy: true,
    start: (grid) =>
      startEmbeddedApi({ name: 'embedded', ...time, subresources: { proxy: () => Promise.resolve(grid.url) } }),
  },
  {
    name: `a real API server${assets === undefined ? ' (skipped: KUBEBUILDER_ASSETS is not set)' : ''}`,
    isSkipped: assets === undefined,
    hasProxy: false,
    start: () => startRealApi({ assets: assets ?? '', controllers: ['garbage-collector-controller'] }),
  },
];

function counterUnit(packageName: string, change: Parameters<typeof wire.DeploymentUnit.fromPartial>[0] = {}) {
  return wire.DeploymentUnit.fromPartial({
    id: unitId(packageName, 'Counter', 'cloud'),
    packageName,
    classKey: 'Counter',
    targetEnv: 'cloud',
    functions: ['increment', 'reset'].map((functionKey) => ({
      functionKey,
      functionType: 'CUSTOM',
      provisionConfig: { containerImage: `oaas/example-${functionKey}:1`, cpuRequest: '0.5' },
      config: { GREETING: 'hello' },
    })),
    functionBindings: [
      { name: 'inc', functionKey: 'increment' },
      { name: 'reset', functionKey: 'reset' },
    ],
    source: { source: 's', repo: 'r', ref: 'main', commit: 'c0ffee0011223344', path: 'p.yaml', digest: 'digest-1' },
    generation: 1,
    ...change,
  });
}

for (const target of targets) {
  describe.skipIf(target.isSkipped)(`a CRM against ${target.name}`, () => {
    let grid: HandGrid;
    let server: Server;
    let api: KubernetesClient;
    let crm: CrmProgram;
    let channel: Channel;
    let client: DeploymentClient;
    let kubelet: HandKubelet;

    function startCrm(): CrmProgram {
      const { config } = loadCrmConfig(
        {
          OPRC_CRM_ENV: 'cloud',
          OPRC_CRM_GRPC_PORT: '0',
          OPRC_CRM_OPS_PORT: '0',
          OPRC_CRM_K8S_NAMESPACE: namespace,
          OPRC_CRM_GRID_ACCESS: 'proxy',
          OPRC_CRM_TOKEN: token,
        },
        [],
      );
      return createCrmProgram(config, {
        ...time,
        api: createKubernetesClient({ kubeconfigText: server.kubeconfig, ...time }),
        logger: createLogger({ service: 'crm', level: 'silent' }),
        version: 'test',
        hostName: 'test',
        onFatal: (reason) => {
          throw new Error(reason);
        },
      });
    }

    beforeAll(async () => {
      grid = await startHandGrid();
      server = await target.start(grid);
      api = createKubernetesClient({ kubeconfigText: server.kubeconfig, ...time });
      kubelet = new HandKubelet(api, namespace);
      crm = startCrm();
      await crm.group.start();
      channel = createGrpcChannel(crm.listening.grpc);
      client = createDeploymentClient(channel, { metadata: { authorization: `Bearer ${token}` } });
    });

    afterAll(async () => {
      channel.close();
      await crm.group.stop();
      await api.close();
      await server.stop();
      await grid.stop();
    });

    async function record(id: string): Promise<DeploymentRecord> {
      return (await api.get(platformKinds.record, { name: id, namespace })) as unknown as DeploymentRecord;
    }

    async function untilReason(id: string, type: Parameters<typeof findCondition>[1], reason: string) {
      return eventually(async () => {
        const condition = findCondition((await record(id)).status?.conditions, type);
        expect(condition?.reason, condition?.message).toBe(reason);
        return condition;
      });
    }

    async function children(id: string): Promise<string[]> {
      const listed: string[] = [];
      for (const type of [kinds.configMap, kinds.deployment, kinds.service, kinds.statefulSet]) {
        const { items } = await api.list(type, { namespace, labelSelector: `oaas.io/deployment=${id}` });
        listed.push(...items.map((item) => `${item.kind} ${item.metadata.name.replace(id, '')}`));
      }
      return listed.sort();
    }

    async function versions(id: string): Promise<string[]> {
      const found: (string | undefined)[] = [(await record(id)).metadata.resourceVersion];
      for (const type of [kinds.configMap, kinds.deployment, kinds.service, kinds.statefulSet]) {
        const { items } = await api.list(type, { namespace, labelSelector: `oaas.io/deployment=${id}` });
        found.push(...items.map((item) => item.metadata.resourceVersion));
      }
      return found.map(String);
    }

    const get = (type: ResourceType, name: string) => api.get(type, { name, namespace }) as Promise<Workload>;

    it('turns a unit into a record and its children, once, and says so', async () => {
      const unit = counterUnit('first');
      const dry = await client.deploy({ deploymentUnit: unit, dryRun: true });
      expect(dry.result).toBe(deployment.DeployResult.DEPLOY_RESULT_CREATED);
      await expect(record(unit.id)).rejects.toMatchObject({ code: 'NotFound' });

      const created = await client.deploy({ deploymentUnit: unit });
      expect(created.result).toBe(deployment.DeployResult.DEPLOY_RESULT_CREATED);
      await untilReason(unit.id, 'Ready', 'PodsScheduling');
      expect(await children(unit.id)).toEqual([
        'ConfigMap -odgm-config',
        'Deployment -fn-increment',
        'Deployment -fn-reset',
        'Service -fn-increment',
        'Service -fn-reset',
        'Service -odgm',
        'StatefulSet -odgm',
      ]);
      const sts = await get(kinds.statefulSet, childNames(unit.id).grid);
      expect(sts.metadata.ownerReferences?.[0]).toMatchObject({
        kind: 'DeploymentRecord',
        name: unit.id,
        controller: true,
      });
      expect(sts.metadata.annotations?.['oaas.io/git-commit']).toBe('c0ffee0011223344');

      const again = await client.deploy({ deploymentUnit: unit });
      expect(again.result).toBe(deployment.DeployResult.DEPLOY_RESULT_UNCHANGED);
    });

    it('writes nothing more once everything is as it should be', async () => {
      const id = unitId('first', 'Counter', 'cloud');
      await eventually(async () => {
        expect((await record(id)).status?.resourceRefs).toHaveLength(7);
      });
      const before = await versions(id);
      // Someone else's annotation on a child is looked at, and is none of our business.
      await api.patch(
        kinds.configMap,
        { name: childNames(id).config, namespace },
        'merge',
        { metadata: { annotations: { theirs: 'x' } } },
        { fieldManager: 'them' },
      );
      await api.patch(
        platformKinds.record,
        { name: id, namespace },
        'merge',
        { metadata: { annotations: { 'oaas.io/requestedAt': 't1' } } },
        { fieldManager: 'them' },
      );
      await eventually(async () => {
        expect((await record(id)).status?.lastHandledRequestedAt).toBe('t1');
      });
      const after = await versions(id);
      // The record and its ConfigMap were written by this test and by the echo; the workloads and Services by nobody.
      expect(after.slice(2)).toEqual(before.slice(2));
    });

    it('puts back what someone changes or deletes', async () => {
      const names = childNames(unitId('first', 'Counter', 'cloud'));
      const gridName = names.grid;
      const name = names.workload('increment');
      await api.patch(
        kinds.deployment,
        { name, namespace },
        'merge',
        { spec: { replicas: 4 } },
        { fieldManager: 'them' },
      );
      await api.delete(kinds.service, { name: gridName, namespace });
      await eventually(async () => {
        expect((await get(kinds.deployment, name)).spec?.replicas).toBe(1);
        await api.get(kinds.service, { name: gridName, namespace });
      });
      await eventually(async () => {
        const { items } = await api.list(kinds.eventV1, { namespace });
        expect(items.map((item) => item['reason'])).toContain('DriftCorrected');
      });
    });

    it('puts a spec back that was changed by hand, extra fields included, and shows meanwhile that it is nobody’s', async () => {
      const unit = counterUnit('first');
      const change = { spec: { deploymentUnit: { packageVersion: '99' }, suspend: false } };
      await api.patch(platformKinds.record, { name: unit.id, namespace }, 'merge', change, { fieldManager: 'them' });
      await eventually(async () => {
        const { record: view } = await client.getDeploymentStatus({ deploymentId: unit.id });
        expect(view?.source?.digest).toBe('');
      });
      expect((await client.deploy({ deploymentUnit: unit })).result).toBe(
        deployment.DeployResult.DEPLOY_RESULT_UPDATED,
      );
      const { spec } = await record(unit.id);
      expect(spec.deploymentUnit.packageVersion).toBeUndefined();
      expect(spec.suspend).toBe(false);
      expect((await client.deploy({ deploymentUnit: unit })).result).toBe(
        deployment.DeployResult.DEPLOY_RESULT_UNCHANGED,
      );
    });

    it('takes away what it no longer asks for, though it created the objects and did not apply them', async () => {
      const unit = counterUnit('fading');
      const name = childNames(unit.id).workload('increment');
      await client.deploy({ deploymentUnit: unit });
      await eventually(async () => {
        expect(await children(unit.id)).toHaveLength(7);
      });
      const env = async () => {
        const { spec } = await get(kinds.deployment, name);
        return (spec?.template?.spec?.containers?.[0] as { env?: { name: string }[] } | undefined)?.env ?? [];
      };
      expect((await env()).map((each) => each.name)).toContain('GREETING');
      await api.patch(
        kinds.deployment,
        { name, namespace },
        'merge',
        { metadata: { annotations: { theirs: 'x' } } },
        { fieldManager: 'them' },
      );
      const quiet = { ...unit, functions: unit.functions.map((fn) => ({ ...fn, config: {} })) };
      await client.deploy({ deploymentUnit: { ...quiet, source: { ...unit.source, digest: 'digest-quiet' } } });
      await eventually(async () => {
        expect((await env()).map((each) => each.name)).not.toContain('GREETING');
      });
      const { metadata } = await get(kinds.deployment, name);
      expect(metadata.annotations?.['theirs']).toBe('x');
      const own = (metadata.managedFields as { manager: string; operation: string }[]).filter(
        ({ manager }) => manager === 'oaas-crm',
      );
      expect(own.map(({ operation }) => operation)).toEqual(['Apply']);
      expect((await record(unit.id)).spec.deploymentUnit.functions?.[0]?.config).toBeUndefined();
    });

    it('tells of every record of a burst, though children come first', async () => {
      const units = Array.from({ length: 40 }, (_, i) => counterUnit(`burst-${String(i)}`));
      await Promise.all(units.map((unit) => client.deploy({ deploymentUnit: unit })));
      for (const unit of units) {
        await untilReason(unit.id, 'Ready', 'PodsScheduling');
        expect((await record(unit.id)).status?.resourceRefs).toHaveLength(7);
      }
    });

    it('writes only the children that a commit changes, and leaves on the others the commit that they come from', async () => {
      const unit = counterUnit('partly');
      await client.deploy({ deploymentUnit: unit });
      await untilReason(unit.id, 'Ready', 'PodsScheduling');
      const before = await versions(unit.id);
      const [first, ...others] = unit.functions;
      const changed = {
        ...unit,
        functions: [{ ...first!, config: { GREETING: 'good day' } }, ...others],
        source: { ...unit.source, commit: 'beef0011223344c0', digest: 'digest-partly' },
      };
      await client.deploy({ deploymentUnit: changed });
      await eventually(async () => {
        expect((await record(unit.id)).status).toMatchObject({ revision: 'beef0011', observedGeneration: 2 });
      });
      const after = await versions(unit.id);
      // The record, the ConfigMap, two Deployments, three Services, the StatefulSet.
      expect(after.map((version, index) => version !== before[index])).toEqual([
        true,
        false,
        true,
        false,
        false,
        false,
        false,
        false,
      ]);
      const names = childNames(unit.id);
      const commitOf = async (type: ResourceType, name: string) =>
        (await get(type, name)).metadata.annotations?.['oaas.io/git-commit'];
      expect(await commitOf(kinds.deployment, names.workload('increment'))).toBe('beef0011223344c0');
      expect(await commitOf(kinds.statefulSet, names.grid)).toBe('c0ffee0011223344');
    });

    it('gives a grid the Service for its peers once it has peers', async () => {
      const unit = counterUnit('growing');
      await client.deploy({ deploymentUnit: unit });
      await eventually(async () => {
        expect(await children(unit.id)).toHaveLength(7);
      });
      const grown = { ...unit, odgmConfig: wire.OdgmConfig.fromPartial({ options: { node_count: '2' } }) };
      await client.deploy({ deploymentUnit: { ...grown, source: { ...unit.source, digest: 'digest-grown' } } });
      await eventually(async () => {
        expect(await children(unit.id)).toContain('Service -odgm-peers');
        expect((await get(kinds.statefulSet, childNames(unit.id).grid)).spec?.replicas).toBe(2);
      });
    });

    it('removes the children of a function that left the class', async () => {
      const unit = counterUnit('pruned');
      await client.deploy({ deploymentUnit: unit });
      await eventually(async () => {
        expect(await children(unit.id)).toHaveLength(7);
      });
      const smaller = {
        ...unit,
        functions: unit.functions.slice(0, 1),
        functionBindings: unit.functionBindings.slice(0, 1),
      };
      await client.deploy({ deploymentUnit: { ...smaller, source: { ...unit.source, digest: 'digest-2' } } });
      await eventually(async () => {
        expect(await children(unit.id)).not.toContain('Deployment -fn-reset');
        expect(await children(unit.id)).not.toContain('Service -fn-reset');
      });
    });

    it('changes nothing while a record is suspended, and catches up afterwards', async () => {
      const unit = counterUnit('paused');
      const names = childNames(unit.id);
      await client.deploy({ deploymentUnit: unit });
      await eventually(async () => {
        expect(await children(unit.id)).toHaveLength(7);
      });
      const key = { name: unit.id, namespace };
      await api.patch(platformKinds.record, key, 'merge', { spec: { suspend: true } }, { fieldManager: 'them' });
      await untilReason(unit.id, 'Ready', 'Suspended');
      await api.delete(kinds.service, { name: names.grid, namespace });
      await api.patch(
        platformKinds.record,
        key,
        'merge',
        { metadata: { annotations: { 'oaas.io/requestedAt': 't2' } } },
        { fieldManager: 'them' },
      );
      await eventually(async () => {
        expect((await record(unit.id)).status?.lastHandledRequestedAt).toBe('t2');
      });
      await expect(api.get(kinds.service, { name: names.grid, namespace })).rejects.toMatchObject({ code: 'NotFound' });
      await api.patch(platformKinds.record, key, 'merge', { spec: { suspend: null } }, { fieldManager: 'them' });
      await eventually(() => api.get(kinds.service, { name: names.grid, namespace }));
    });

    it('shows why a pod does not start, with container, image and message', async () => {
      const unit = counterUnit('broken');
      const name = childNames(unit.id).workload('increment');
      await client.deploy({ deploymentUnit: unit });
      const workload = await eventually(() => get(kinds.deployment, name));
      const waiting = { waiting: { reason: 'ErrImagePull', message: 'no such image' } };
      await kubelet.pod(workload, `${name}-pod`, waiting, false);
      const condition = await untilReason(unit.id, 'Degraded', 'ImagePullFailed');
      expect(condition?.status).toBe('True');
      expect(condition?.message).toContain(
        'container function (image oaas/example-increment:1): ErrImagePull: no such image',
      );
      expect(findCondition((await record(unit.id)).status?.conditions, 'Ready')?.status).toBe('False');
      const { record: view } = await client.getDeploymentStatus({ deploymentId: unit.id });
      expect(view?.resources.find(({ kind }) => kind === 'Pod')).toMatchObject({
        health: 'Degraded',
        parentUid: workload.metadata.uid,
      });
      expect((await record(unit.id)).status?.health).toBe('Degraded');
    });

    it('reports a foreign object in the way and takes the name over when it has gone', async () => {
      const unit = counterUnit('taken');
      const { config } = childNames(unit.id);
      const theirs: KubeObject = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: config, namespace },
        data: { 'odgm-config.yaml': 'theirs' },
      };
      await api.apply(kinds.configMap, theirs, { fieldManager: 'them' });
      await client.deploy({ deploymentUnit: unit });
      const stalled = await untilReason(unit.id, 'Stalled', 'FieldConflict');
      expect(stalled?.message).toContain(config);
      expect((await api.get(kinds.configMap, { name: config, namespace }))['data']).toEqual({
        'odgm-config.yaml': 'theirs',
      });
      await api.delete(kinds.configMap, { name: config, namespace });
      await api.patch(
        platformKinds.record,
        { name: unit.id, namespace },
        'merge',
        { metadata: { annotations: { 'oaas.io/requestedAt': 'now' } } },
        { fieldManager: 'them' },
      );
      await untilReason(unit.id, 'Ready', 'PodsScheduling');
    });

    it.runIf(target.hasProxy)(
      'is ready when pods and grid are, and keeps the layout of a grid that holds objects',
      async () => {
        const unit = counterUnit('whole');
        const names = childNames(unit.id);
        await client.deploy({ deploymentUnit: unit });
        await eventually(async () => {
          expect(await children(unit.id)).toHaveLength(7);
        });
        await kubelet.report('StatefulSet', names.grid);
        await kubelet.report('Deployment', names.workload('increment'));
        await kubelet.report('Deployment', names.workload('reset'));
        await untilReason(unit.id, 'Ready', 'ReconciliationSucceeded');
        const { status } = await record(unit.id);
        expect(status).toMatchObject({
          phase: 'Ready',
          condition: 'Running',
          health: 'Healthy',
          revision: 'c0ffee00',
          odgmClusterStatus: { summary: '1/1 nodes, 4/4 shards' },
        });

        grid.state.objects = 12;
        const wider = {
          ...unit,
          odgmConfig: { ...emptyOdgm, partitionCount: 8 },
          source: { ...unit.source, digest: 'wider' },
        };
        await client.deploy({ deploymentUnit: wider });
        const blocked = await untilReason(unit.id, 'Stalled', 'LayoutChangeBlocked');
        expect(blocked?.message).toContain('counter_data.partitionCount 4 -> 8');
        const sts = await get(kinds.statefulSet, names.grid);
        expect(JSON.stringify(sts.spec?.template)).toContain('\\"partitionCount\\":4');

        await client.deploy({ deploymentUnit: unit });
        await kubelet.report('StatefulSet', names.grid);
        await untilReason(unit.id, 'Ready', 'ReconciliationSucceeded');
        const admin = createGridAdminClient(channel, { metadata: { authorization: `Bearer ${token}` } });
        const { collections } = await admin.listCollections({ deploymentId: unit.id });
        expect(collections[0]).toMatchObject({
          name: 'counter_data',
          partitionCount: 4,
          classIds: ['counter.Counter'],
        });
        expect(collections[0]?.shards[0]).toMatchObject({ leader: 'n0', shardId: 7 });
        expect(await admin.getDiagnostics({ deploymentId: unit.id })).toMatchObject({
          cluster: [{ area: 'consensus_health', code: 'consensus.ok', severity: 'info' }],
          shards: [{ area: 'consistency_issues', code: 'consistency.frozen' }],
          events: [{ area: 'events', code: 'events.off' }],
          performance: [],
          takenAt: '2026-01-01T00:00:00Z',
        });
        await expect(admin.planTask({ deploymentId: unit.id, kind: 'rebalance' })).rejects.toMatchObject({
          code: 'Unimplemented',
        });
        await expect(admin.listMembers({ deploymentId: 'nobody' })).rejects.toMatchObject({ code: 'NotFound' });
        grid.state.objects = 0;
      },
    );

    it('deletes children before the record, and keeps the volumes unless told otherwise', async () => {
      for (const deleteData of [false, true]) {
        const unit = counterUnit(deleteData ? 'gone-data' : 'gone');
        const names = childNames(unit.id);
        await client.deploy({ deploymentUnit: unit });
        const sts = await eventually(() => get(kinds.statefulSet, names.grid));
        const claim: KubeObject = {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: `data-${names.grid}-0`, namespace, labels: { ...sts.metadata.labels } },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        };
        await api.create(kinds.volumeClaim, claim, { fieldManager: 'them' });
        await eventually(async () => {
          const { record: view } = await client.getDeploymentStatus({ deploymentId: unit.id });
          expect(view?.resources.map(({ kind }) => kind)).toContain('PersistentVolumeClaim');
        });
        await client.deleteDeployment({ deploymentId: unit.id, deleteData });
        await eventually(async () => {
          await expect(record(unit.id)).rejects.toMatchObject({ code: 'NotFound' });
        });
        expect(await children(unit.id)).toEqual([]);
        const left = await api.list(kinds.volumeClaim, { namespace, labelSelector: `oaas.io/deployment=${unit.id}` });
        const alive = left.items.filter((item) => item.metadata.deletionTimestamp === undefined);
        expect(alive).toHaveLength(deleteData ? 0 : 1);
        await client.deleteDeployment({ deploymentId: unit.id });
      }
    });

    it('refuses a unit that cannot run, naming every field', async () => {
      const unit = counterUnit('bad', {
        id: 'Not_An_Id',
        functions: [{ functionKey: 'a', functionType: 'WASM' }, { functionKey: 'b' }],
        odgmConfig: { shardType: 'paxos', partitionCount: 4000 },
      });
      const error = await client.deploy({ deploymentUnit: unit }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'InvalidArgument' });
      for (const field of [
        'id',
        'odgm_config.shard_type',
        'odgm_config.partition_count',
        'functions[0].function_type',
        'functions[1].provision_config.container_image',
        'function_bindings[0].function_key',
      ]) {
        expect(String(error)).toContain(`${field}: `);
      }
    });

    it('refuses callers without the token', async () => {
      const stranger = createDeploymentClient(channel, {
        metadata: { authorization: 'Bearer something-else-entirely' },
      });
      await expect(stranger.listDeploymentRecords({})).rejects.toMatchObject({ code: 'Unauthenticated' });
    });

    it('streams all records, then SYNCED, then changes and deletions', async () => {
      const seen: string[] = [];
      const stop = new AbortController();
      const reading = (async () => {
        for await (const { type, record: view } of client.watchDeploymentRecords({}, { signal: stop.signal })) {
          seen.push(
            type === deployment.RecordEventType.RECORD_EVENT_SYNCED ? 'SYNCED' : `${String(type)} ${view?.id ?? ''}`,
          );
        }
      })().catch(() => undefined);
      await eventually(() => seen.includes('SYNCED'));
      expect(seen.slice(0, -1)).toContain(`1 ${unitId('first', 'Counter', 'cloud')}`);
      const unit = counterUnit('watched');
      await client.deploy({ deploymentUnit: unit });
      await eventually(() => seen.includes(`1 ${unit.id}`));
      await client.deploy({
        deploymentUnit: { ...unit, source: { ...unit.source, commit: 'f00d', digest: 'digest-2' } },
      });
      await eventually(() => seen.includes(`2 ${unit.id}`));
      await client.deleteDeployment({ deploymentId: unit.id });
      await eventually(() => seen.includes(`3 ${unit.id}`));
      stop.abort();
      await reading;
    });

    it('pages its records and tells about itself', async () => {
      const first = await client.listDeploymentRecords({ limit: 2 });
      const second = await client.listDeploymentRecords({ limit: 1000, cursor: first.nextCursor });
      const all = await client.listDeploymentRecords({});
      expect([...first.records, ...second.records].map(({ id }) => id)).toEqual(all.records.map(({ id }) => id));
      expect(second.nextCursor).toBe('');
      await expect(client.listDeploymentRecords({ cursor: 'bogus' })).rejects.toMatchObject({
        code: 'InvalidArgument',
      });
      const info = createCrmInfoClient(channel, { metadata: { authorization: `Bearer ${token}` } });
      expect(await info.getEnvHealth({ env: '' })).toMatchObject({
        envName: 'cloud',
        leader: true,
        records: all.records.length,
      });
      const ready = await fetch(`http://${crm.listening.ops}/ready`);
      expect(ready.status).toBe(200);
      expect(await (await fetch(`http://${crm.listening.ops}/metrics`)).text()).toContain('crm_nfr_violations_total');
    });

    it('is replaced by another CRM at once when it stops, and that one finds everything as it is', async () => {
      const id = unitId('first', 'Counter', 'cloud');
      const before = await versions(id);
      await crm.group.stop();
      channel.close();
      crm = startCrm();
      await crm.group.start();
      channel = createGrpcChannel(crm.listening.grpc);
      client = createDeploymentClient(channel, { metadata: { authorization: `Bearer ${token}` } });
      await api.patch(
        platformKinds.record,
        { name: id, namespace },
        'merge',
        { metadata: { annotations: { 'oaas.io/requestedAt': 't3' } } },
        { fieldManager: 'them' },
      );
      await eventually(async () => {
        expect((await record(id)).status?.lastHandledRequestedAt).toBe('t3');
      });
      expect((await versions(id)).slice(1)).toEqual(before.slice(1));
    });
  });
}

const emptyOdgm = wire.OdgmConfig.fromPartial({});
