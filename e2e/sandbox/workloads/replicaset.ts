import {
  availableInMs,
  controllerReference,
  isActive,
  isControlledBy,
  isReady,
  matches,
  type Pod,
  type ReplicaSet,
} from './objects.ts';

/** What is to be done so that a ReplicaSet has as many pods as it asks for. */
export interface ReplicaSetPlan {
  /** Pods to create, each with its final name. */
  readonly create: readonly Pod[];
  /** Names of pods to delete. */
  readonly remove: readonly string[];
  readonly status: NonNullable<ReplicaSet['status']>;
  /** When a ready pod turns available by the mere passing of time (minReadySeconds). */
  readonly requeueAfterMs?: number;
}

export interface ReplicaSetInput {
  readonly replicaSet: ReplicaSet;
  /** Pods of the namespace; those of other owners are left alone. */
  readonly pods: readonly Pod[];
  /** Node that new pods are bound to: the sandbox has one per cluster, so there is nothing to schedule. */
  readonly nodeName: string;
  /** Suffix for a pod's name; called once per pod. */
  readonly suffix: () => string;
  readonly nowMs: number;
}

/** Counts the pods of a ReplicaSet and says which to create or delete. A set that is being deleted makes none. */
export function planReplicaSet(input: ReplicaSetInput): ReplicaSetPlan {
  const { replicaSet, nowMs } = input;
  const desired = replicaSet.metadata.deletionTimestamp === undefined ? (replicaSet.spec.replicas ?? 1) : 0;
  const minReadySeconds = replicaSet.spec.minReadySeconds ?? 0;
  const active = input.pods.filter((pod) => isControlledBy(pod, replicaSet) && isActive(pod));
  const waits = active.map((pod) => availableInMs(pod, minReadySeconds, nowMs));
  const pending = waits.filter((wait) => wait !== undefined && wait > 0) as number[];
  const missing = Math.max(0, desired - active.length);
  const surplus = Math.max(0, active.length - desired);
  const templateLabels = { matchLabels: replicaSet.spec.template.metadata?.labels ?? {} };
  return {
    create: Array.from({ length: missing }, () => newPod(input)),
    remove: [...active]
      .sort(cheapestToLose)
      .slice(0, surplus)
      .map((pod) => pod.metadata.name),
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => matches(templateLabels, pod.metadata.labels)).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      observedGeneration: replicaSet.metadata.generation ?? 0,
    },
    ...(pending.length === 0 ? {} : { requeueAfterMs: Math.min(...pending) }),
  };
}

function newPod({ replicaSet, nodeName, suffix }: ReplicaSetInput): Pod {
  const { template } = replicaSet.spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...template.metadata,
      name: `${replicaSet.metadata.name}-${suffix()}`,
      namespace: replicaSet.metadata.namespace ?? 'default',
      ownerReferences: [controllerReference(replicaSet)],
    },
    spec: { ...template.spec, nodeName },
  };
}

/** Pods that are not ready go before those that are, and the young before the old. */
function cheapestToLose(a: Pod, b: Pod): number {
  if (isReady(a) !== isReady(b)) return isReady(a) ? 1 : -1;
  const [left, right] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (left !== right) return left < right ? 1 : -1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
