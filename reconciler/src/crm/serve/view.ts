import type { deployment, runtime } from '@oaas/proto';
import { toRfc3339 } from '@oaas/commons/time';
import {
  annotations,
  type DeploymentRecord,
  findCondition,
  labels,
  type RecordSpec,
  sourceToWire,
} from '../../record/index.ts';
import { byRecord, type Caches } from '../cluster/caches.ts';
import { eventTimes, type KubeEvent } from '../cluster/kube-event.ts';
import { digestOf } from '../digest.ts';
import { childKinds, type Pod, type VolumeClaim, type Workload } from '../objects.ts';
import type { GridObservation } from '../observe/grid.ts';
import { isPodReady, podProblems, podRestarts } from '../observe/pods.ts';
import type { KubeObject } from '../../kubernetes/index.ts';

/** Events of a record that travel. */
const eventsMax = 50;

/** A record as PM and console see it: put together from the caches, nothing is asked of the server. */
export function recordView(
  record: DeploymentRecord,
  caches: Caches,
  observation: GridObservation | undefined,
): deployment.DeploymentRecord {
  const { metadata, spec, status = {} } = record;
  const id = metadata.name;
  return {
    id,
    namespace: metadata.namespace ?? '',
    uid: metadata.uid ?? '',
    packageName: spec.deploymentUnit.packageName,
    classKey: spec.deploymentUnit.classKey,
    targetEnv: spec.targetEnvironment,
    source: sourceView(record),
    generation: metadata.generation ?? 0,
    observedGeneration: Math.max(0, status.observedGeneration ?? 0),
    phase: status.phase ?? 'TemplateSelection',
    condition: status.condition ?? 'Pending',
    conditions: (status.conditions ?? []).map((condition) => ({
      ...condition,
      observedGeneration: condition.observedGeneration ?? 0,
    })),
    resources: resourceTree(id, caches),
    events: recordEvents(caches.events.byIndex(byRecord, id)),
    endpoints: status.endpoints ?? [],
    grid: gridView(record, observation),
    functions: functionViews(record),
    nfrCompliance: undefined,
    selectedTemplate: status.selectedTemplate ?? '',
    createdAt: metadata.creationTimestamp ?? '',
    updatedAt: status.lastUpdated ?? metadata.creationTimestamp ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    message: status.message ?? '',
  };
}

/**
 * Where the record comes from. A spec that is no longer what was deployed has no digest: it is nobody's desired state,
 * and whoever compares digests sees that it must be put back.
 */
function sourceView(record: DeploymentRecord): deployment.DeploymentRecord['source'] {
  const { source } = record.spec;
  if (source === undefined) return undefined;
  return { ...sourceToWire(source), ...(isChangedByHand(record) ? { digest: '' } : {}) };
}

export function isChangedByHand(record: DeploymentRecord): boolean {
  const deployed = record.metadata.annotations?.[annotations.specDigest];
  return deployed !== undefined && deployed !== specDigest(record.spec);
}

/** Digest of what PM decides; `suspend` is an operator's switch. */
export function specDigest(spec: RecordSpec): string {
  return digestOf({ ...spec, suspend: undefined });
}

function functionViews(record: DeploymentRecord): runtime.FunctionStatus[] {
  const { functionContainerStatus = [], selectedTemplate, conditions } = record.status ?? {};
  const changedAt = findCondition(conditions, 'Ready')?.lastTransitionTime;
  return functionContainerStatus.map((fn) => ({
    functionKey: fn.functionKey,
    service: fn.service ?? '',
    port: fn.port ?? 0,
    predictedUrl: fn.url ?? '',
    observedUrl: fn.ready ? fn.url : undefined,
    template: selectedTemplate ?? '',
    ready: fn.ready,
    reason: fn.reason,
    message: fn.message,
    lastTransitionTime: changedAt,
  }));
}

/** The newest numbers there are: of the last answer, else of the status. */
function gridView(
  record: DeploymentRecord,
  observation: GridObservation | undefined,
): deployment.GridStatus | undefined {
  const stored = record.status?.odgmClusterStatus;
  const fresh = observation?.result.ok === true ? observation.result.status : undefined;
  const status = fresh ?? stored;
  if (status === undefined) return undefined;
  return {
    clusterId: status.clusterId,
    membersTotal: status.membersTotal,
    membersReady: status.membersReady,
    shardsTotal: status.shardsTotal,
    shardsReady: status.shardsReady,
    objects: status.objects,
    bytes: status.bytes,
    collections: (status.collections ?? []).map((one) => ({ ...one, shardType: one.shardType ?? '' })),
    observedAt: fresh === undefined ? (stored?.observedAt ?? '') : toRfc3339(observation?.at ?? 0),
  };
}

export function resourceTree(id: string, caches: Caches): deployment.ResourceStatus[] {
  const children = childKinds.flatMap((type) => caches.children.get(type.plural)?.byIndex(byRecord, id) ?? []);
  const owners = new Map(children.map((child) => [child.metadata.name, child]));
  const workloadUid = (object: KubeObject): string => {
    const name = object.metadata.labels?.[labels.workload] ?? '';
    const owner = owners.get(name);
    // A Deployment and its Service share a name; pods hang on the workload.
    const workload = children.find((child) => child.metadata.name === name && isWorkload(child));
    return (workload ?? owner)?.metadata.uid ?? '';
  };
  return [
    ...children.map((child) => resource(child, '', childHealth(child))),
    ...caches.pods
      .byIndex(byRecord, id)
      .map((pod) => resource(pod, workloadUid(pod), podHealth(pod), podRestarts(pod))),
    ...caches.claims.byIndex(byRecord, id).map((claim) => resource(claim, workloadUid(claim), claimHealth(claim))),
  ].sort((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

interface HealthView {
  readonly health: 'Healthy' | 'Progressing' | 'Degraded' | 'Unknown';
  readonly message: string;
}

function resource(object: KubeObject, parentUid: string, health: HealthView, restarts = 0): deployment.ResourceStatus {
  const { name, namespace = '', uid = '', creationTimestamp = '', deletionTimestamp } = object.metadata;
  const seen: HealthView =
    deletionTimestamp === undefined ? health : { health: 'Progressing', message: 'is being deleted' };
  return { kind: object.kind, name, namespace, uid, parentUid, ...seen, createdAt: creationTimestamp, restarts };
}

function isWorkload(object: KubeObject): object is Workload {
  return object.kind === 'StatefulSet' || object.kind === 'Deployment';
}

function childHealth(object: KubeObject): HealthView {
  if (!isWorkload(object)) return { health: 'Healthy', message: '' };
  const desired = object.spec?.replicas ?? 1;
  const ready = object.status?.readyReplicas ?? 0;
  const message = `${String(ready)} of ${String(desired)} ready`;
  const failed = object.status?.conditions?.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  if (failed !== undefined) return { health: 'Degraded', message: failed.message ?? message };
  return { health: ready >= desired ? 'Healthy' : 'Progressing', message };
}

function podHealth(pod: Pod): HealthView {
  const [problem] = podProblems(pod);
  if (problem !== undefined) return { health: 'Degraded', message: problem.message };
  if (isPodReady(pod)) return { health: 'Healthy', message: '' };
  return { health: 'Progressing', message: pod.status?.message ?? pod.status?.phase ?? 'Pending' };
}

function claimHealth(claim: VolumeClaim): HealthView {
  switch (claim.status?.phase) {
    case 'Bound':
      return { health: 'Healthy', message: '' };
    case 'Lost':
      return { health: 'Degraded', message: 'its volume is lost' };
    default:
      return { health: 'Progressing', message: 'no volume is bound' };
  }
}

function recordEvents(events: readonly KubeEvent[]): deployment.RecordEvent[] {
  return events
    .map((event) => {
      const { first, last, count } = eventTimes(event);
      return {
        type: event.type ?? 'Normal',
        reason: event.reason ?? '',
        message: event.note ?? '',
        count,
        firstSeen: first,
        lastSeen: last,
        regarding: `${event.regarding?.kind ?? ''}/${event.regarding?.name ?? ''}`,
      };
    })
    .sort((a, b) => (a.lastSeen > b.lastSeen ? -1 : 1))
    .slice(0, eventsMax);
}
