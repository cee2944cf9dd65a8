import { oaasError } from '@oaas/commons/errors';
import { describe, expect, it } from 'vitest';
import { type DeploymentRecord, findCondition, gridLayout, kstatus, type RecordStatus } from '../../record/index.ts';
import type { GridNumbers } from '../observe/grid.ts';
import type { WorkloadFacts } from '../observe/workloads.ts';
import type { Facts } from './facts.ts';
import { summarise } from './summarise.ts';

const now = Date.parse('2026-01-01T12:00:00.000Z');
const layout = gridLayout({ packageName: 'p', classKey: 'C', odgm: { partitionCount: 2 } });

function record(
  change: { status?: RecordStatus; suspend?: boolean; generation?: number; deleting?: boolean } = {},
): DeploymentRecord {
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: {
      name: 'p-c-00000000',
      namespace: 'ns',
      uid: 'u',
      generation: change.generation ?? 1,
      ...(change.deleting === true ? { deletionTimestamp: '2026-01-01T11:00:00Z' } : {}),
    },
    spec: {
      deploymentUnit: { packageName: 'p', classKey: 'C' },
      targetEnvironment: 'e',
      source: { commit: '0123456789abcdef' },
      ...(change.suspend === true ? { suspend: true } : {}),
    },
    ...(change.status === undefined ? {} : { status: change.status }),
  };
}

function workload(change: Partial<WorkloadFacts> = {}): WorkloadFacts {
  return {
    kind: 'StatefulSet',
    name: 'grid',
    desired: 1,
    ready: 1,
    updated: 1,
    pods: 1,
    scheduled: 1,
    isComplete: true,
    problems: [],
    ...change,
  };
}

function numbers(change: Partial<GridNumbers> = {}): GridNumbers {
  const collections = [{ name: 'c_data', partitionCount: 2, replicaCount: 1, objects: 0, bytes: 0, shardsReady: 2 }];
  return {
    clusterId: 'g',
    membersTotal: 1,
    membersReady: 1,
    shardsTotal: 2,
    shardsReady: 2,
    objects: 0,
    bytes: 0,
    collections,
    unavailable: [],
    ...change,
  };
}

function facts(change: Partial<Facts> = {}): Facts {
  return {
    selection: { name: 'k8s_deployment', template: { templateType: 'k8s_deployment' }, variables: {} },
    layout: { wanted: layout, effective: layout },
    applied: [{ kind: 'StatefulSet', name: 'grid', uid: '1', action: 'unchanged' }],
    workloads: [workload()],
    services: [{ name: 'grid', service: 'grid', port: 8080, address: 'grid.ns.svc:8080', isBound: true }],
    grid: { at: now, result: { ok: true, status: numbers() } },
    ...change,
  };
}

const pulling = { reason: 'ImagePullFailed', cause: 'ErrImagePull', message: 'no such image', isFinal: false } as const;

describe('summarise', () => {
  it.each([
    ['all is well', facts(), 'True', 'ReconciliationSucceeded', 'Ready', 'Running', 'Healthy', 'Current'],
    [
      'pods are not there yet',
      facts({ workloads: [workload({ ready: 0, pods: 0, scheduled: 0, isComplete: false })] }),
      'False',
      'PodsScheduling',
      'PodScheduling',
      'Provisioning',
      'Progressing',
      'InProgress',
    ],
    [
      'pods run and are not ready',
      facts({ workloads: [workload({ ready: 0, isComplete: false })] }),
      'False',
      'PodsNotReady',
      'HealthChecking',
      'Provisioning',
      'Progressing',
      'InProgress',
    ],
    [
      'an image cannot be pulled',
      facts({ workloads: [workload({ ready: 0, isComplete: false, problems: [pulling] })] }),
      'False',
      'ImagePullFailed',
      'HealthChecking',
      'Failed',
      'Degraded',
      'InProgress',
    ],
    [
      'an image name is nonsense',
      facts({ workloads: [workload({ ready: 0, isComplete: false, problems: [{ ...pulling, isFinal: true }] })] }),
      'False',
      'ImagePullFailed',
      'HealthChecking',
      'Failed',
      'Degraded',
      'Failed',
    ],
    [
      'a Service has no address',
      facts({ services: [{ name: 'grid', service: 'grid', port: 1, address: 'a', isBound: false }] }),
      'False',
      'Progressing',
      'ServiceBinding',
      'Provisioning',
      'Progressing',
      'InProgress',
    ],
    [
      'the grid has not answered',
      facts({ grid: undefined }),
      'False',
      'GridStarting',
      'HealthChecking',
      'Provisioning',
      'Progressing',
      'InProgress',
    ],
    [
      'the grid is silent',
      facts({ grid: { at: now, result: { ok: false, message: 'timeout' } } }),
      'False',
      'GridUnreachable',
      'HealthChecking',
      'Provisioning',
      'Progressing',
      'InProgress',
    ],
    [
      'a shard is missing',
      facts({ grid: { at: now, result: { ok: true, status: numbers({ shardsReady: 1 }) } } }),
      'False',
      'GridIncomplete',
      'HealthChecking',
      'Failed',
      'Degraded',
      'InProgress',
    ],
    [
      'the grid cannot serve the shard type',
      facts({
        grid: {
          at: now,
          result: {
            ok: true,
            status: numbers({
              shardsReady: 0,
              unavailable: [
                { name: 'c_data', reason: 'shard type mst is not built in', refusal: 'ShardTypeUnsupported' },
              ],
            }),
          },
        },
      }),
      'False',
      'ShardTypeUnsupported',
      'HealthChecking',
      'Failed',
      'Degraded',
      'Failed',
    ],
    [
      'a layout change is held back',
      facts({ layout: { wanted: layout, effective: layout, blocked: { changes: ['x'], why: 'it holds 3 objects' } } }),
      'False',
      'LayoutChangeBlocked',
      'ResourceProvisioning',
      'Failed',
      'Degraded',
      'Failed',
    ],
  ])('when %s', (_, found, status, reason, phase, condition, health, read) => {
    const summary = summarise(record(), found, undefined, now);
    const ready = findCondition(summary.status.conditions, 'Ready');
    expect([
      ready?.status,
      ready?.reason,
      summary.status.phase,
      summary.status.condition,
      summary.status.health,
    ]).toEqual([status, reason, phase, condition, health]);
    expect(kstatus({ ...record(), status: summary.status })).toBe(read);
    expect(summary.status.observedGeneration).toBe(1);
  });

  it('is not changed by looking again: the same facts give the same status, and no event', () => {
    const first = summarise(record(), facts(), undefined, now);
    expect(first.isChanged).toBe(true);
    expect(first.events.map(({ reason }) => reason)).toEqual(['ReconciliationSucceeded']);
    const later = facts({ grid: { at: now + 30_000, result: { ok: true, status: numbers() } } });
    const second = summarise(record({ status: first.status }), later, undefined, now + 30_000);
    expect([second.isChanged, second.events]).toEqual([false, []]);
  });

  it('writes moving numbers of objects once a minute, and at once when the first object comes', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const look = (from: RecordStatus, objects: number, afterMs: number) =>
      summarise(
        record({ status: from }),
        facts({ grid: { at: now + afterMs, result: { ok: true, status: numbers({ objects }) } } }),
        undefined,
        now + afterMs,
      );
    const first = look(status, 1, 1000);
    expect(first.status.odgmClusterStatus?.objects).toBe(1);
    expect(look(first.status, 500, 2000).isChanged).toBe(false);
    expect(look(first.status, 500, 62_000).status.odgmClusterStatus?.objects).toBe(500);
  });

  it('keeps what it knew when a step fails, and tells a retry from a dead end', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const retried = summarise(
      record({ status }),
      facts({ workloads: undefined, services: undefined, grid: undefined }),
      oaasError('Unavailable', 'no answer'),
      now,
    );
    expect(findCondition(retried.status.conditions, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ProgressingWithRetry',
      message: 'no answer',
    });
    expect(retried.status.endpoints).toEqual(status.endpoints);
    expect(retried.status.odgmClusterStatus).toEqual(status.odgmClusterStatus);
    const dead = summarise(record({ status }), facts(), oaasError('InvalidArgument', 'bad quantity'), now);
    expect(findCondition(dead.status.conditions, 'Stalled')).toMatchObject({
      status: 'True',
      reason: 'ReconciliationFailed',
    });
    expect(dead.events.map(({ type, reason }) => `${type} ${reason}`)).toEqual(['Warning ReconciliationFailed']);
  });

  it('says Scaling, not Provisioning, when a pod of a ready record goes away', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const lost = facts({ workloads: [workload({ ready: 0, isComplete: false })] });
    const first = summarise(record({ status }), lost, undefined, now);
    expect(first.status.condition).toBe('Scaling');
    expect(summarise(record({ status: first.status }), lost, undefined, now).status.condition).toBe('Scaling');
    expect(summarise(record({ status, generation: 2 }), lost, undefined, now).status.condition).toBe('Provisioning');
  });

  it('leaves everything else as it was while a record is suspended', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const paused = summarise(record({ status, suspend: true }), facts({ applied: [] }), undefined, now);
    expect(paused.status).toMatchObject({
      health: 'Suspended',
      condition: 'Running',
      phase: 'Ready',
      resourceRefs: status.resourceRefs,
    });
    expect(findCondition(paused.status.conditions, 'Stalled')).toBeUndefined();
    expect(paused.requeueAfterMs).toBeUndefined();
  });

  it('names what a deletion waits for', () => {
    const going = summarise(record({ deleting: true }), { applied: [], remaining: ['Pod x'] }, undefined, now);
    expect(going.status).toMatchObject({ condition: 'Terminated', message: 'waiting for Pod x' });
  });

  it('says in an event that another template was selected, and not that there is a first one', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const before = { ...status, selectedTemplate: 'other' };
    const { events } = summarise(record({ status: before }), facts(), undefined, now);
    expect(events.map(({ reason, note }) => `${reason}: ${note}`)).toEqual([
      `TemplateSelected: template ${status.selectedTemplate ?? ''}`,
    ]);
  });

  it('reports drift as a warning with the fields, and work as normal events', () => {
    const { status } = summarise(record(), facts(), undefined, now);
    const { events } = summarise(
      record({ status }),
      facts({
        applied: [
          { kind: 'Deployment', name: 'd', uid: '1', action: 'updated', drift: ['.spec.replicas'] },
          { kind: 'Service', name: 's', uid: '2', action: 'created' },
          { kind: 'Service', name: 'old', uid: '3', action: 'pruned' },
        ],
      }),
      undefined,
      now,
    );
    expect(events.map(({ type, reason, note }) => `${type} ${reason}: ${note}`)).toEqual([
      'Normal ResourceApplied: applied Service s',
      'Normal ResourcePruned: removed Service old',
      'Warning DriftCorrected: Deployment d was changed by someone else (.spec.replicas) and put back',
    ]);
  });
});
