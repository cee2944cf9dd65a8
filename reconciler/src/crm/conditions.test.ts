import { createGridAdminClient } from '@oaas/commons/client';
import { eventually } from '@oaas/commons/testkit';
import { unit as wire } from '@oaas/proto';
import { expect, it } from 'vitest';
import { kinds, type KubeObject } from '../kubernetes/index.ts';
import { childNames, findCondition } from '../record/index.ts';
import { platformKinds } from './objects.ts';
import { counterUnit, describeCrm, namespace, token } from '../../testkit/crm-under-test/index.ts';

describeCrm((crm) => {
  it('shows why a pod does not start, with container, image and message', async () => {
    const unit = counterUnit('broken');
    const name = childNames(unit.id).workload('increment');
    await crm.client.deploy({ deploymentUnit: unit });
    const workload = await eventually(() => crm.get(kinds.deployment, name));
    const waiting = { waiting: { reason: 'ErrImagePull', message: 'no such image' } };
    await crm.kubelet.pod(workload, `${name}-pod`, waiting, false);
    const condition = await crm.untilReason(unit.id, 'Degraded', 'ImagePullFailed');
    expect(condition?.status).toBe('True');
    expect(condition?.message).toContain(
      'container function (image oaas/example-increment:1): ErrImagePull: no such image',
    );
    expect(findCondition((await crm.record(unit.id)).status?.conditions, 'Ready')?.status).toBe('False');
    const { record: view } = await crm.client.getDeploymentStatus({ deploymentId: unit.id });
    expect(view?.resources.find(({ kind }) => kind === 'Pod')).toMatchObject({
      health: 'Degraded',
      parentUid: workload.metadata.uid,
    });
    expect((await crm.record(unit.id)).status?.health).toBe('Degraded');
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
    await crm.api.apply(kinds.configMap, theirs, { fieldManager: 'them' });
    await crm.client.deploy({ deploymentUnit: unit });
    const stalled = await crm.untilReason(unit.id, 'Stalled', 'FieldConflict');
    expect(stalled?.message).toContain(config);
    expect((await crm.api.get(kinds.configMap, { name: config, namespace }))['data']).toEqual({
      'odgm-config.yaml': 'theirs',
    });
    await crm.api.delete(kinds.configMap, { name: config, namespace });
    await crm.api.patch(
      platformKinds.record,
      { name: unit.id, namespace },
      'merge',
      { metadata: { annotations: { 'oaas.io/requestedAt': 'now' } } },
      { fieldManager: 'them' },
    );
    await crm.untilReason(unit.id, 'Ready', 'PodsScheduling');
  });

  it.runIf(crm.hasProxy)(
    'is ready when pods and grid are, and keeps the layout of a grid that holds objects',
    async () => {
      const unit = counterUnit('whole');
      const names = childNames(unit.id);
      await crm.client.deploy({ deploymentUnit: unit });
      await eventually(async () => {
        expect(await crm.children(unit.id)).toHaveLength(7);
      });
      await crm.kubelet.report('StatefulSet', names.grid);
      await crm.kubelet.report('Deployment', names.workload('increment'));
      await crm.kubelet.report('Deployment', names.workload('reset'));
      await crm.untilReason(unit.id, 'Ready', 'ReconciliationSucceeded');
      const { status } = await crm.record(unit.id);
      expect(status).toMatchObject({
        phase: 'Ready',
        condition: 'Running',
        health: 'Healthy',
        revision: 'c0ffee00',
        odgmClusterStatus: { summary: '1/1 nodes, 4/4 shards' },
      });

      crm.grid.state.objects = 12;
      const wider = {
        ...unit,
        odgmConfig: { ...wire.OdgmConfig.fromPartial({}), partitionCount: 8 },
        source: { ...unit.source, digest: 'wider' },
      };
      await crm.client.deploy({ deploymentUnit: wider });
      const blocked = await crm.untilReason(unit.id, 'Stalled', 'LayoutChangeBlocked');
      expect(blocked?.message).toContain('counter_data.partitionCount 4 -> 8');
      const sts = await crm.get(kinds.statefulSet, names.grid);
      expect(JSON.stringify(sts.spec?.template)).toContain('\\"partitionCount\\":4');

      await crm.client.deploy({ deploymentUnit: unit });
      await crm.kubelet.report('StatefulSet', names.grid);
      await crm.untilReason(unit.id, 'Ready', 'ReconciliationSucceeded');
      const admin = createGridAdminClient(crm.channel, { metadata: { authorization: `Bearer ${token}` } });
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
      crm.grid.state.objects = 0;
    },
  );
});
