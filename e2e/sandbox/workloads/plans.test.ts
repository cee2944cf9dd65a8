import { describe, expect, it } from 'vitest';
import { planDeployment } from './deployment.ts';
import { hostPortsAnnotation, renderEndpoints } from './endpoints.ts';
import type { Deployment, Pod, ReplicaSet, Service, StatefulSet } from './objects.ts';
import { planReplicaSet } from './replicaset.ts';
import { planStatefulSet } from './statefulset.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');
const template = (image: string) => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'main', image }] },
});

function deployment(image: string, spec: Partial<Deployment['spec']> = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', uid: 'deployment', generation: 1 },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: template(image), ...spec },
  };
}

/** The ReplicaSet that the plan makes, as it stands with `ready` of its pods ready. */
function made(of: Deployment, replicas: number, ready: number): ReplicaSet {
  const { create } = planDeployment({ ...of, spec: { ...of.spec, replicas } }, [], nowMs);
  if (create === undefined) throw new Error('no ReplicaSet was planned');
  const status = { replicas, readyReplicas: ready, availableReplicas: ready };
  return {
    ...create,
    metadata: { ...create.metadata, uid: create.metadata.name },
    spec: { ...create.spec, replicas },
    status,
  };
}

function pod(
  name: string,
  facts: { owner?: string; ready?: boolean; leaving?: boolean; labels?: Record<string, string> } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      labels: { app: 'web', ...facts.labels },
      annotations: { [hostPortsAnnotation]: '{"8080": 9001}' },
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(facts.leaving === true ? { deletionTimestamp: '2026-01-01T00:09:00Z' } : {}),
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Any', name: 'any', uid: facts.owner ?? 'set', controller: true },
      ],
    },
    spec: {
      nodeName: 'local',
      containers: [{ name: 'main', image: 'a', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIP: '127.0.0.1',
      conditions: [
        { type: 'Ready', status: facts.ready === false ? 'False' : 'True', lastTransitionTime: '2026-01-01T00:09:55Z' },
      ],
    },
  };
}

describe('a Deployment', () => {
  it('begins with one ReplicaSet of all its pods, under a name that its template gives', () => {
    const plan = planDeployment(deployment('a'), [], nowMs);
    expect(plan.create?.spec.replicas).toBe(2);
    expect(plan.create?.metadata.name).toMatch(/^web-[bcdf-hj-np-tv-z2456789]{10}$/);
    expect(plan.create?.spec.selector.matchLabels).toHaveProperty('pod-template-hash');
    expect(plan.revision).toBe('1');
  });

  it('starts one new pod and keeps both old ones while the new one is not ready', () => {
    const old = made(deployment('a'), 2, 2);
    const first = planDeployment(deployment('b'), [old], nowMs);
    expect(first.create?.spec.replicas).toBe(1);
    expect(first.scale).toEqual([]);
    expect(first.revision).toBe('2');
    const second = planDeployment(deployment('b'), [old, made(deployment('b'), 1, 0)], nowMs);
    expect(second.scale).toEqual([]);
  });

  it('takes an old pod away for each new one that is ready, until only new ones are left', () => {
    const old = made(deployment('a'), 2, 2);
    const oneNew = planDeployment(deployment('b'), [old, made(deployment('b'), 1, 1)], nowMs);
    expect(oneNew.scale).toEqual([{ name: old.metadata.name, replicas: 1 }]);
    const last = planDeployment(deployment('b'), [made(deployment('a'), 1, 1), made(deployment('b'), 2, 2)], nowMs);
    expect(last.scale).toEqual([{ name: old.metadata.name, replicas: 0 }]);
  });

  it('takes old pods that never got ready away at once, since nobody misses them', () => {
    const old = made(deployment('a'), 2, 0);
    const plan = planDeployment(deployment('b'), [old, made(deployment('b'), 1, 1)], nowMs);
    expect(plan.scale).toContainEqual({ name: old.metadata.name, replicas: 1 });
  });

  it('of type Recreate starts no new pod before the last old one is gone', () => {
    const recreate = deployment('b', { strategy: { type: 'Recreate' } });
    const old = made(deployment('a'), 2, 2);
    expect(planDeployment(recreate, [old], nowMs)).toMatchObject({ scale: [{ replicas: 0 }] });
    const leaving = { ...old, spec: { ...old.spec, replicas: 0 } };
    expect(planDeployment(recreate, [leaving], nowMs).create).toBeUndefined();
    const gone = { ...leaving, status: { replicas: 0 } };
    expect(planDeployment(recreate, [gone], nowMs).create?.spec.replicas).toBe(2);
  });

  it('that goes back to an earlier template takes its ReplicaSet up again, with a new revision', () => {
    const first = made(deployment('a'), 0, 0);
    const second = made(deployment('b'), 2, 2);
    const plan = planDeployment(
      deployment('a'),
      [
        first,
        { ...second, metadata: { ...second.metadata, annotations: { 'deployment.kubernetes.io/revision': '2' } } },
      ],
      nowMs,
    );
    expect(plan.create).toBeUndefined();
    expect(plan.scale).toEqual([{ name: first.metadata.name, replicas: 1 }]);
    expect(plan.revision).toBe('3');
  });

  it('says Available and NewReplicaSetAvailable when all pods are up, and nothing new after that', () => {
    const set = made(deployment('a'), 2, 2);
    const plan = planDeployment(deployment('a'), [set], nowMs);
    expect(plan.status).toMatchObject({ replicas: 2, readyReplicas: 2, unavailableReplicas: 0, observedGeneration: 1 });
    expect(plan.status.conditions).toMatchObject([
      { type: 'Available', status: 'True' },
      { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' },
    ]);
    const later = planDeployment({ ...deployment('a'), status: plan.status }, [set], nowMs + 60_000);
    expect(later.status).toEqual(plan.status);
  });

  it('that makes no progress until its deadline says so', () => {
    const set = made(deployment('a'), 2, 0);
    const { status, requeueAfterMs = 0 } = planDeployment(deployment('a'), [set], nowMs);
    const later = planDeployment({ ...deployment('a'), status }, [set], nowMs + requeueAfterMs);
    expect(later.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }),
    );
  });
});

describe('a ReplicaSet', () => {
  const set: ReplicaSet = {
    ...made(deployment('a'), 2, 0),
    metadata: { name: 'web-1', namespace: 'default', uid: 'set' },
  };
  const plan = (pods: readonly Pod[], spec: Partial<ReplicaSet['spec']> = {}) =>
    planReplicaSet({
      replicaSet: { ...set, spec: { ...set.spec, ...spec } },
      pods,
      nodeName: 'local',
      suffix: () => 'xxxxx',
      nowMs,
    });

  it('makes the pods that are missing, bound to the node, and counts those on their way out as gone', () => {
    const { create, status } = plan([pod('a'), pod('b', { leaving: true })]);
    expect(create.map((each) => [each.metadata.name, each.spec.nodeName])).toEqual([['web-1-xxxxx', 'local']]);
    expect(status.replicas).toBe(1);
  });

  it('that shrinks loses first the pods that are not ready', () => {
    const pods = [pod('a'), pod('b', { ready: false }), pod('c')];
    expect(plan(pods, { replicas: 2 }).remove).toEqual(['b']);
  });

  it('calls a pod available only after minReadySeconds, and says when to look again', () => {
    const { status, requeueAfterMs } = plan([pod('a'), pod('b')], { minReadySeconds: 30 });
    expect(status).toMatchObject({ readyReplicas: 2, availableReplicas: 0 });
    expect(requeueAfterMs).toBe(25_000);
  });

  it('leaves the pods of others alone', () => {
    expect(plan([pod('a'), pod('b'), pod('c', { owner: 'other' })]).remove).toEqual([]);
  });
});

describe('a StatefulSet', () => {
  const base: StatefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'grid', namespace: 'default', uid: 'set', generation: 1 },
    spec: {
      replicas: 3,
      serviceName: 'peers',
      selector: { matchLabels: { app: 'web' } },
      template: template('a'),
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
    },
  };
  const plan = (pods: readonly Pod[], spec: Partial<StatefulSet['spec']> = {}) =>
    planStatefulSet({ set: { ...base, spec: { ...base.spec, ...spec } }, pods, claims: [], nodeName: 'local', nowMs });
  const revision = plan([]).status.updateRevision ?? '';
  const current = (name: string, facts: Parameters<typeof pod>[1] = {}) =>
    pod(name, { ...facts, labels: { 'controller-revision-hash': revision } });
  const names = (pods: readonly Pod[]) => pods.map((each) => each.metadata.name);

  it('in order makes one pod at a time and waits until it is ready', () => {
    expect(names(plan([]).create)).toEqual(['grid-0']);
    expect(names(plan([current('grid-0', { ready: false })]).create)).toEqual([]);
    expect(names(plan([current('grid-0')]).create)).toEqual(['grid-1']);
  });

  it('in parallel makes all pods at once, each with its claim as a volume', () => {
    const { create, claims } = plan([], { podManagementPolicy: 'Parallel' });
    expect(names(create)).toEqual(['grid-0', 'grid-1', 'grid-2']);
    expect(claims.map((claim) => claim.metadata.name)).toEqual(['data-grid-0', 'data-grid-1', 'data-grid-2']);
    expect(create[1]?.spec).toMatchObject({
      hostname: 'grid-1',
      subdomain: 'peers',
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-grid-1' } }],
    });
  });

  it('that shrinks loses its highest ordinal first, and the next one only when that is gone', () => {
    const pods = [current('grid-0'), current('grid-1'), current('grid-2')];
    expect(plan(pods, { replicas: 1 }).remove).toEqual(['grid-2']);
    const leaving = [current('grid-0'), current('grid-1'), current('grid-2', { leaving: true })];
    expect(plan(leaving, { replicas: 1 }).remove).toEqual([]);
    expect(plan(pods, { replicas: 1, podManagementPolicy: 'Parallel' }).remove).toEqual(['grid-2', 'grid-1']);
  });

  it('with a new template replaces pods from the highest down, one after another', () => {
    const old = ['grid-0', 'grid-1', 'grid-2'].map((name) => pod(name));
    expect(plan(old).remove).toEqual(['grid-2']);
    expect(plan([...old.slice(0, 2), current('grid-2', { ready: false })]).remove).toEqual([]);
    expect(plan([...old.slice(0, 2), current('grid-2')]).remove).toEqual(['grid-1']);
    const partition = { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } };
    expect(plan([...old.slice(0, 2), current('grid-2')], partition).remove).toEqual([]);
    expect(plan(old, { updateStrategy: { type: 'OnDelete' } }).remove).toEqual([]);
  });

  it('calls the newest revision current only when every pod has it and is ready', () => {
    const all = ['grid-0', 'grid-1', 'grid-2'].map((name) => current(name));
    expect(plan(all).status).toMatchObject({ readyReplicas: 3, updatedReplicas: 3, currentRevision: revision });
    const status = { replicas: 3, currentRevision: 'grid-old' };
    const set = { ...base, status };
    const half = planStatefulSet({ set, pods: all.slice(0, 2), claims: [], nodeName: 'local', nowMs });
    expect(half.status.currentRevision).toBe('grid-old');
  });
});

describe('the endpoints of a Service', () => {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'service' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  };

  it('name the loopback port of each ready pod', () => {
    const { endpoints, slices } = renderEndpoints(service, [
      pod('a'),
      pod('b', { ready: false }),
      pod('c', { leaving: true }),
    ]);
    expect(endpoints.subsets).toMatchObject([
      { addresses: [{ ip: '127.0.0.1', targetRef: { name: 'a' } }], ports: [{ name: 'http', port: 9001 }] },
      { notReadyAddresses: [{ targetRef: { name: 'b' } }] },
    ]);
    expect(slices.map((slice) => slice.endpoints[0]?.conditions.ready)).toEqual([true, false]);
  });

  it('count pods that are not ready where the Service publishes them', () => {
    const open = { ...service, spec: { ...service.spec, publishNotReadyAddresses: true } };
    expect(renderEndpoints(open, [pod('b', { ready: false })]).endpoints.subsets[0]).toHaveProperty('addresses');
  });
});
