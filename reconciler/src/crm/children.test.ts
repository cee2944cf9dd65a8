import { eventually } from '@oaas/commons/testkit';
import { deployment, unit as wire } from '@oaas/proto';
import { expect, it } from 'vitest';
import { kinds, type KubeObject, type ResourceType } from '../kubernetes/index.ts';
import { childNames, unitId } from '../record/index.ts';
import { platformKinds } from './objects.ts';
import { counterUnit, describeCrm, namespace } from '../../testkit/crm-under-test/index.ts';

describeCrm((crm) => {
  it('turns a unit into a record and its children, once, and says so', async () => {
    const unit = counterUnit('first');
    const dry = await crm.client.deploy({ deploymentUnit: unit, dryRun: true });
    expect(dry.result).toBe(deployment.DeployResult.DEPLOY_RESULT_CREATED);
    await expect(crm.record(unit.id)).rejects.toMatchObject({ code: 'NotFound' });

    const created = await crm.client.deploy({ deploymentUnit: unit });
    expect(created.result).toBe(deployment.DeployResult.DEPLOY_RESULT_CREATED);
    await crm.untilReason(unit.id, 'Ready', 'PodsScheduling');
    expect(await crm.children(unit.id)).toEqual([
      'ConfigMap -odgm-config',
      'Deployment -fn-increment',
      'Deployment -fn-reset',
      'Service -fn-increment',
      'Service -fn-reset',
      'Service -odgm',
      'StatefulSet -odgm',
    ]);
    const sts = await crm.get(kinds.statefulSet, childNames(unit.id).grid);
    expect(sts.metadata.ownerReferences?.[0]).toMatchObject({
      kind: 'DeploymentRecord',
      name: unit.id,
      controller: true,
    });
    expect(sts.metadata.annotations?.['oaas.io/git-commit']).toBe('c0ffee0011223344');

    const again = await crm.client.deploy({ deploymentUnit: unit });
    expect(again.result).toBe(deployment.DeployResult.DEPLOY_RESULT_UNCHANGED);
  });

  it('writes nothing more once everything is as it should be', async () => {
    const id = unitId('first', 'Counter', 'cloud');
    await eventually(async () => {
      expect((await crm.record(id)).status?.resourceRefs).toHaveLength(7);
    });
    const before = await crm.versions(id);
    // Someone else's annotation on a child is looked at, and is none of our business.
    await crm.api.patch(
      kinds.configMap,
      { name: childNames(id).config, namespace },
      'merge',
      { metadata: { annotations: { theirs: 'x' } } },
      { fieldManager: 'them' },
    );
    await crm.api.patch(
      platformKinds.record,
      { name: id, namespace },
      'merge',
      { metadata: { annotations: { 'oaas.io/requestedAt': 't1' } } },
      { fieldManager: 'them' },
    );
    await eventually(async () => {
      expect((await crm.record(id)).status?.lastHandledRequestedAt).toBe('t1');
    });
    const after = await crm.versions(id);
    // The record and its ConfigMap were written by this test and by the echo; the workloads and Services by nobody.
    expect(after.slice(2)).toEqual(before.slice(2));
  });

  it('puts back what someone changes or deletes', async () => {
    const names = childNames(unitId('first', 'Counter', 'cloud'));
    const gridName = names.grid;
    const name = names.workload('increment');
    await crm.api.patch(
      kinds.deployment,
      { name, namespace },
      'merge',
      { spec: { replicas: 4 } },
      { fieldManager: 'them' },
    );
    await crm.api.delete(kinds.service, { name: gridName, namespace });
    await eventually(async () => {
      expect((await crm.get(kinds.deployment, name)).spec?.replicas).toBe(1);
      await crm.api.get(kinds.service, { name: gridName, namespace });
    });
    await eventually(async () => {
      const { items } = await crm.api.list(kinds.eventV1, { namespace });
      expect(items.map((item) => item['reason'])).toContain('DriftCorrected');
    });
  });

  it('puts a spec back that was changed by hand, extra fields included, and shows meanwhile that it is nobody’s', async () => {
    const unit = counterUnit('first');
    const change = { spec: { deploymentUnit: { packageVersion: '99' }, suspend: false } };
    await crm.api.patch(platformKinds.record, { name: unit.id, namespace }, 'merge', change, { fieldManager: 'them' });
    await eventually(async () => {
      const { record: view } = await crm.client.getDeploymentStatus({ deploymentId: unit.id });
      expect(view?.source?.digest).toBe('');
    });
    expect((await crm.client.deploy({ deploymentUnit: unit })).result).toBe(
      deployment.DeployResult.DEPLOY_RESULT_UPDATED,
    );
    const { spec } = await crm.record(unit.id);
    expect(spec.deploymentUnit.packageVersion).toBeUndefined();
    expect(spec.suspend).toBe(false);
    expect((await crm.client.deploy({ deploymentUnit: unit })).result).toBe(
      deployment.DeployResult.DEPLOY_RESULT_UNCHANGED,
    );
  });

  it('takes away what it no longer asks for, though it created the objects and did not apply them', async () => {
    const unit = counterUnit('fading');
    const name = childNames(unit.id).workload('increment');
    await crm.client.deploy({ deploymentUnit: unit });
    await eventually(async () => {
      expect(await crm.children(unit.id)).toHaveLength(7);
    });
    const env = async () => {
      const { spec } = await crm.get(kinds.deployment, name);
      return (spec?.template?.spec?.containers?.[0] as { env?: { name: string }[] } | undefined)?.env ?? [];
    };
    expect((await env()).map((each) => each.name)).toContain('GREETING');
    await crm.api.patch(
      kinds.deployment,
      { name, namespace },
      'merge',
      { metadata: { annotations: { theirs: 'x' } } },
      { fieldManager: 'them' },
    );
    const quiet = { ...unit, functions: unit.functions.map((fn) => ({ ...fn, config: {} })) };
    await crm.client.deploy({ deploymentUnit: { ...quiet, source: { ...unit.source, digest: 'digest-quiet' } } });
    await eventually(async () => {
      expect((await env()).map((each) => each.name)).not.toContain('GREETING');
    });
    const { metadata } = await crm.get(kinds.deployment, name);
    expect(metadata.annotations?.['theirs']).toBe('x');
    const own = (metadata.managedFields as { manager: string; operation: string }[]).filter(
      ({ manager }) => manager === 'oaas-crm',
    );
    expect(own.map(({ operation }) => operation)).toEqual(['Apply']);
    expect((await crm.record(unit.id)).spec.deploymentUnit.functions?.[0]?.config).toBeUndefined();
  });

  it('tells of every record of a burst, though children come first', async () => {
    const units = Array.from({ length: 40 }, (_, i) => counterUnit(`burst-${String(i)}`));
    await Promise.all(units.map((unit) => crm.client.deploy({ deploymentUnit: unit })));
    for (const unit of units) {
      await crm.untilReason(unit.id, 'Ready', 'PodsScheduling');
      expect((await crm.record(unit.id)).status?.resourceRefs).toHaveLength(7);
    }
  });

  it('writes only the children that a commit changes, and leaves on the others the commit that they come from', async () => {
    const unit = counterUnit('partly');
    await crm.client.deploy({ deploymentUnit: unit });
    await crm.untilReason(unit.id, 'Ready', 'PodsScheduling');
    const before = await crm.versions(unit.id);
    const [first, ...others] = unit.functions;
    const changed = {
      ...unit,
      functions: [{ ...first!, config: { GREETING: 'good day' } }, ...others],
      source: { ...unit.source, commit: 'beef0011223344c0', digest: 'digest-partly' },
    };
    await crm.client.deploy({ deploymentUnit: changed });
    await eventually(async () => {
      expect((await crm.record(unit.id)).status).toMatchObject({ revision: 'beef0011', observedGeneration: 2 });
    });
    const after = await crm.versions(unit.id);
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
      (await crm.get(type, name)).metadata.annotations?.['oaas.io/git-commit'];
    expect(await commitOf(kinds.deployment, names.workload('increment'))).toBe('beef0011223344c0');
    expect(await commitOf(kinds.statefulSet, names.grid)).toBe('c0ffee0011223344');
  });

  it('gives a grid the Service for its peers once it has peers', async () => {
    const unit = counterUnit('growing');
    await crm.client.deploy({ deploymentUnit: unit });
    await eventually(async () => {
      expect(await crm.children(unit.id)).toHaveLength(7);
    });
    const grown = { ...unit, odgmConfig: wire.OdgmConfig.fromPartial({ options: { node_count: '2' } }) };
    await crm.client.deploy({ deploymentUnit: { ...grown, source: { ...unit.source, digest: 'digest-grown' } } });
    await eventually(async () => {
      expect(await crm.children(unit.id)).toContain('Service -odgm-peers');
      expect((await crm.get(kinds.statefulSet, childNames(unit.id).grid)).spec?.replicas).toBe(2);
    });
  });

  it('removes the children of a function that left the class', async () => {
    const unit = counterUnit('pruned');
    await crm.client.deploy({ deploymentUnit: unit });
    await eventually(async () => {
      expect(await crm.children(unit.id)).toHaveLength(7);
    });
    const smaller = {
      ...unit,
      functions: unit.functions.slice(0, 1),
      functionBindings: unit.functionBindings.slice(0, 1),
    };
    await crm.client.deploy({ deploymentUnit: { ...smaller, source: { ...unit.source, digest: 'digest-2' } } });
    await eventually(async () => {
      expect(await crm.children(unit.id)).not.toContain('Deployment -fn-reset');
      expect(await crm.children(unit.id)).not.toContain('Service -fn-reset');
    });
  });

  it('changes nothing while a record is suspended, and catches up afterwards', async () => {
    const unit = counterUnit('paused');
    const names = childNames(unit.id);
    await crm.client.deploy({ deploymentUnit: unit });
    await eventually(async () => {
      expect(await crm.children(unit.id)).toHaveLength(7);
    });
    const key = { name: unit.id, namespace };
    await crm.api.patch(platformKinds.record, key, 'merge', { spec: { suspend: true } }, { fieldManager: 'them' });
    await crm.untilReason(unit.id, 'Ready', 'Suspended');
    await crm.api.delete(kinds.service, { name: names.grid, namespace });
    await crm.api.patch(
      platformKinds.record,
      key,
      'merge',
      { metadata: { annotations: { 'oaas.io/requestedAt': 't2' } } },
      { fieldManager: 'them' },
    );
    await eventually(async () => {
      expect((await crm.record(unit.id)).status?.lastHandledRequestedAt).toBe('t2');
    });
    await expect(crm.api.get(kinds.service, { name: names.grid, namespace })).rejects.toMatchObject({
      code: 'NotFound',
    });
    await crm.api.patch(platformKinds.record, key, 'merge', { spec: { suspend: null } }, { fieldManager: 'them' });
    await eventually(() => crm.api.get(kinds.service, { name: names.grid, namespace }));
  });

  it('deletes children before the record, and keeps the volumes unless told otherwise', async () => {
    for (const deleteData of [false, true]) {
      const unit = counterUnit(deleteData ? 'gone-data' : 'gone');
      const names = childNames(unit.id);
      await crm.client.deploy({ deploymentUnit: unit });
      const sts = await eventually(() => crm.get(kinds.statefulSet, names.grid));
      const claim: KubeObject = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: `data-${names.grid}-0`, namespace, labels: { ...sts.metadata.labels } },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      };
      await crm.api.create(kinds.volumeClaim, claim, { fieldManager: 'them' });
      await eventually(async () => {
        const { record: view } = await crm.client.getDeploymentStatus({ deploymentId: unit.id });
        expect(view?.resources.map(({ kind }) => kind)).toContain('PersistentVolumeClaim');
      });
      await crm.client.deleteDeployment({ deploymentId: unit.id, deleteData });
      await eventually(async () => {
        await expect(crm.record(unit.id)).rejects.toMatchObject({ code: 'NotFound' });
      });
      expect(await crm.children(unit.id)).toEqual([]);
      const left = await crm.api.list(kinds.volumeClaim, { namespace, labelSelector: `oaas.io/deployment=${unit.id}` });
      const alive = left.items.filter((item) => item.metadata.deletionTimestamp === undefined);
      expect(alive).toHaveLength(deleteData ? 0 : 1);
      await crm.client.deleteDeployment({ deploymentId: unit.id });
    }
  });

  it('is replaced by another CRM at once when it stops, and that one finds everything as it is', async () => {
    const id = unitId('first', 'Counter', 'cloud');
    const before = await crm.versions(id);
    await crm.replace();
    await crm.api.patch(
      platformKinds.record,
      { name: id, namespace },
      'merge',
      { metadata: { annotations: { 'oaas.io/requestedAt': 't3' } } },
      { fieldManager: 'them' },
    );
    await eventually(async () => {
      expect((await crm.record(id)).status?.lastHandledRequestedAt).toBe('t3');
    });
    expect((await crm.versions(id)).slice(1)).toEqual(before.slice(1));
  });
});
