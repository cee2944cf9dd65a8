import { toRfc3339 } from '@oaas/commons/time';
import {
  type Condition,
  controllerReference,
  type Deployment,
  isControlledBy,
  type KubeObject,
  type ReplicaSet,
  templateHash,
  withCondition,
} from './objects.ts';

/** Annotation with the number of a rollout, on the Deployment and on each of its ReplicaSets. */
const revisionAnnotation = 'deployment.kubernetes.io/revision';
const hashLabel = 'pod-template-hash';
/** Old ReplicaSets kept for a rollback where the Deployment does not say. */
const defaultHistory = 10;
const defaultDeadlineSeconds = 600;

/** The next step of a Deployment towards its template. Applied again and again, it ends in the rollout being complete. */
export interface DeploymentPlan {
  /** The ReplicaSet of the present template, if there is one. */
  readonly current: ReplicaSet | undefined;
  readonly create?: ReplicaSet;
  readonly scale: readonly { readonly name: string; readonly replicas: number }[];
  /** Names of old, empty ReplicaSets beyond the history limit. */
  readonly remove: readonly string[];
  /** Number of the rollout, to be kept as an annotation of the Deployment and of its current ReplicaSet. */
  readonly revision: string;
  readonly status: NonNullable<Deployment['status']>;
  /** When the rollout is to be called stuck, if nothing moves before. */
  readonly requeueAfterMs?: number;
}

interface Limits {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

interface Rollout {
  readonly limits: Limits;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/**
 * Plans one step of a rollout: new pods before old ones go (RollingUpdate), never more than `maxSurge` pods beyond, and
 * never fewer than `maxUnavailable` short of the number asked for; or all old ones first (Recreate).
 *
 * Source: the behaviour of the Deployment controller, kubernetes.io/docs/concepts/workloads/controllers/deployment.
 */
export function planDeployment(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
  nowMs: number,
): DeploymentPlan {
  const owned = replicaSets.filter((set) => isControlledBy(set, deployment));
  const hash = templateHash(deployment.spec.template);
  const current = owned.find((set) => set.metadata.labels?.[hashLabel] === hash);
  const old = owned.filter((set) => set !== current);
  const rollout: Rollout = { limits: limitsOf(deployment), current, old };
  const revision = revisionOf(current, owned);
  const isMoving = deployment.spec.paused !== true && deployment.metadata.deletionTimestamp === undefined;
  const steps = isMoving ? stepsOf(deployment, rollout) : { scale: [] };
  const replicas = 'newReplicas' in steps ? steps.newReplicas : undefined;
  const status = statusOf(deployment, rollout, nowMs);
  const deadlineMs = untilDeadline(deployment, status, nowMs);
  return {
    current,
    ...(replicas === undefined ? {} : { create: newReplicaSet(deployment, hash, replicas, revision) }),
    scale: steps.scale,
    remove: isMoving ? beyondHistory(deployment, old) : [],
    revision,
    status,
    ...(deadlineMs === undefined ? {} : { requeueAfterMs: deadlineMs }),
  };
}

interface Steps {
  readonly newReplicas?: number;
  readonly scale: readonly { readonly name: string; readonly replicas: number }[];
}

function stepsOf(deployment: Deployment, rollout: Rollout): Steps {
  const { limits, current, old } = rollout;
  if (deployment.spec.strategy?.type === 'Recreate') return recreateSteps(rollout);
  const surgeRoom = limits.desired + limits.maxSurge - total(old, asked) - (current === undefined ? 0 : asked(current));
  if (current === undefined) {
    return { newReplicas: clamp(surgeRoom, 0, limits.desired), scale: scaleDownOld(rollout) };
  }
  const replicas =
    asked(current) > limits.desired
      ? limits.desired
      : asked(current) + clamp(surgeRoom, 0, limits.desired - asked(current));
  const grow = replicas === asked(current) ? [] : [{ name: current.metadata.name, replicas }];
  return { scale: [...grow, ...scaleDownOld(rollout)] };
}

function recreateSteps({ limits, current, old }: Rollout): Steps {
  const shrink = old.filter((set) => asked(set) > 0).map((set) => ({ name: set.metadata.name, replicas: 0 }));
  const isGone = shrink.length === 0 && total(old, existing) === 0;
  if (current === undefined) return isGone ? { newReplicas: limits.desired, scale: [] } : { scale: shrink };
  if (isGone && asked(current) !== limits.desired) {
    return { scale: [{ name: current.metadata.name, replicas: limits.desired }] };
  }
  return { scale: shrink };
}

/** Takes old pods away as far as availability allows: first those that do not serve anyway, then the oldest sets. */
function scaleDownOld({ limits, current, old }: Rollout): { name: string; replicas: number }[] {
  const minAvailable = limits.desired - limits.maxUnavailable;
  const all = total(old, asked) + (current === undefined ? 0 : asked(current));
  const newUnavailable = current === undefined ? 0 : Math.max(0, asked(current) - available(current));
  const targets = new Map(old.map((set) => [set.metadata.name, asked(set)]));
  const byAge = [...old].sort(olderFirst);
  const take = (set: ReplicaSet, count: number): void => {
    targets.set(set.metadata.name, (targets.get(set.metadata.name) ?? 0) - count);
  };

  let spare = all - minAvailable - newUnavailable;
  for (const set of byAge) {
    const count = clamp(asked(set) - available(set), 0, Math.max(0, spare));
    take(set, count);
    spare -= count;
  }
  let surplus = total(old, available) + (current === undefined ? 0 : available(current)) - minAvailable;
  for (const set of byAge) {
    const count = clamp(Math.min(targets.get(set.metadata.name) ?? 0, surplus), 0, Math.max(0, spare));
    take(set, count);
    surplus -= count;
    spare -= count;
  }
  return old
    .map((set) => ({ name: set.metadata.name, replicas: targets.get(set.metadata.name) ?? 0, before: asked(set) }))
    .filter(({ replicas, before }) => replicas !== before)
    .map(({ name, replicas }) => ({ name, replicas }));
}

function newReplicaSet(deployment: Deployment, hash: string, replicas: number, revision: string): ReplicaSet {
  const { template, selector } = deployment.spec;
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? 'default',
      labels,
      annotations: { [revisionAnnotation]: revision },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      minReadySeconds: deployment.spec.minReadySeconds ?? 0,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function statusOf(deployment: Deployment, rollout: Rollout, nowMs: number): NonNullable<Deployment['status']> {
  const { limits, current, old } = rollout;
  const all = current === undefined ? old : [...old, current];
  const now = toRfc3339(nowMs);
  const counts = {
    replicas: total(all, existing),
    updatedReplicas: current === undefined ? 0 : existing(current),
    readyReplicas: total(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas: total(all, available),
  };
  const before = deployment.status?.conditions ?? [];
  const isAvailable = counts.availableReplicas >= limits.desired - limits.maxUnavailable;
  const withAvailable = withCondition(
    before,
    {
      type: 'Available',
      status: isAvailable ? 'True' : 'False',
      reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: isAvailable ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
      lastUpdateTime: now,
    },
    now,
  );
  const isComplete =
    counts.updatedReplicas === limits.desired &&
    counts.replicas === limits.desired &&
    counts.availableReplicas === limits.desired;
  const hasMoved =
    counts.updatedReplicas !== (deployment.status?.updatedReplicas ?? 0) ||
    counts.readyReplicas !== (deployment.status?.readyReplicas ?? 0) ||
    counts.availableReplicas !== (deployment.status?.availableReplicas ?? 0) ||
    counts.replicas !== (deployment.status?.replicas ?? 0);
  const progressing = progressOf(deployment, current, { isComplete, hasMoved, nowMs });
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...counts,
    unavailableReplicas: Math.max(0, Math.max(counts.replicas, limits.desired) - counts.availableReplicas),
    conditions: keepUpdateTimes(before, withCondition(withAvailable, progressing, now)),
  };
}

function progressOf(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  facts: { readonly isComplete: boolean; readonly hasMoved: boolean; readonly nowMs: number },
): Omit<Condition, 'lastTransitionTime'> {
  const now = toRfc3339(facts.nowMs);
  const before = deployment.status?.conditions?.find((condition) => condition.type === 'Progressing');
  const name = current?.metadata.name ?? `${deployment.metadata.name}-${templateHash(deployment.spec.template)}`;
  if (facts.isComplete) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    return { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message, lastUpdateTime: now };
  }
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? defaultDeadlineSeconds) * 1000;
  const since = Date.parse(before?.lastUpdateTime ?? now);
  const isNewGeneration = deployment.status?.observedGeneration !== deployment.metadata.generation;
  const isStuck =
    !facts.hasMoved &&
    !isNewGeneration &&
    before?.reason !== 'NewReplicaSetAvailable' &&
    facts.nowMs - since > deadlineMs;
  if (isStuck) {
    const message = `ReplicaSet "${name}" has timed out progressing.`;
    return { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message, lastUpdateTime: now };
  }
  const message = `ReplicaSet "${name}" is progressing.`;
  const lastUpdateTime =
    facts.hasMoved || isNewGeneration || before?.reason !== 'ReplicaSetUpdated' ? now : (before.lastUpdateTime ?? now);
  return { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message, lastUpdateTime };
}

function untilDeadline(
  deployment: Deployment,
  status: NonNullable<Deployment['status']>,
  nowMs: number,
): number | undefined {
  const progressing = status.conditions?.find((condition) => condition.type === 'Progressing');
  if (progressing?.reason !== 'ReplicaSetUpdated') return undefined;
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? defaultDeadlineSeconds) * 1000;
  return Math.max(0, Date.parse(progressing.lastUpdateTime ?? '') + deadlineMs - nowMs) + 1000;
}

/** A condition that says what it said before keeps its time, so that a status is written only when it says more. */
function keepUpdateTimes(before: readonly Condition[], after: readonly Condition[]): Condition[] {
  return after.map((condition) => {
    const same = before.find(
      (other) =>
        other.type === condition.type &&
        other.status === condition.status &&
        other.reason === condition.reason &&
        other.message === condition.message,
    );
    const isProgress = condition.type === 'Progressing' && condition.reason === 'ReplicaSetUpdated';
    return same?.lastUpdateTime === undefined || isProgress
      ? condition
      : { ...condition, lastUpdateTime: same.lastUpdateTime };
  });
}

function revisionOf(current: ReplicaSet | undefined, owned: readonly ReplicaSet[]): string {
  const newest = Math.max(0, ...owned.filter((set) => set !== current).map(revisionNumber));
  if (current !== undefined && revisionNumber(current) > newest) return String(revisionNumber(current));
  return String(newest + 1);
}

function revisionNumber(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0);
}

/** Whether the object carries the number of an earlier rollout, or none. */
export function needsRevision(set: KubeObject, revision: string): boolean {
  return set.metadata.annotations?.[revisionAnnotation] !== revision;
}

export function revisionPatch(revision: string): { metadata: { annotations: Record<string, string> } } {
  return { metadata: { annotations: { [revisionAnnotation]: revision } } };
}

function beyondHistory(deployment: Deployment, old: readonly ReplicaSet[]): string[] {
  const limit = deployment.spec.revisionHistoryLimit ?? defaultHistory;
  const empty = old.filter((set) => asked(set) === 0 && existing(set) === 0).sort(olderFirst);
  return empty.slice(0, Math.max(0, empty.length - limit)).map((set) => set.metadata.name);
}

function limitsOf(deployment: Deployment): Limits {
  const desired = deployment.spec.replicas ?? 1;
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const maxSurge = resolveBound(rolling?.maxSurge ?? '25%', desired, Math.ceil);
  const maxUnavailable = resolveBound(rolling?.maxUnavailable ?? '25%', desired, Math.floor);
  // Both 0 would never move; Kubernetes lets one pod go in that case.
  return { desired, maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

function resolveBound(value: number | string, desired: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  return value.endsWith('%') ? round((Number.parseFloat(value) / 100) * desired) : Number.parseInt(value, 10);
}

function asked(set: ReplicaSet): number {
  return set.spec.replicas ?? 1;
}

function existing(set: ReplicaSet): number {
  return set.status?.replicas ?? 0;
}

function available(set: ReplicaSet): number {
  return set.status?.availableReplicas ?? 0;
}

function total(sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number): number {
  return sets.reduce((sum, set) => sum + count(set), 0);
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function olderFirst(a: ReplicaSet, b: ReplicaSet): number {
  return revisionNumber(a) - revisionNumber(b);
}
