import type { Pod, Workload } from '../objects.ts';
import { isPodReady, isPodScheduled, podProblems, type PodProblem } from './pods.ts';

/** What can be seen of one StatefulSet or Deployment and its pods. */
export interface WorkloadFacts {
  readonly kind: Workload['kind'];
  readonly name: string;
  /** Absent for the grid. */
  readonly functionKey?: string | undefined;
  readonly desired: number;
  readonly ready: number;
  /** Pods of the newest form. */
  readonly updated: number;
  /** Pods that exist and are not going. */
  readonly pods: number;
  readonly scheduled: number;
  /** The workload's controller has seen its newest form, and every pod is of it and ready. */
  readonly isComplete: boolean;
  readonly problems: readonly PodProblem[];
}

/** @param workload what the cache has; absent when the object is not there yet */
export function workloadFacts(
  expected: {
    readonly kind: Workload['kind'];
    readonly name: string;
    readonly functionKey?: string;
    readonly desired: number;
  },
  workload: Workload | undefined,
  pods: readonly Pod[],
): WorkloadFacts {
  const alive = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const { generation } = workload?.metadata ?? {};
  const status = workload?.status;
  const isObserved = status?.observedGeneration !== undefined && status.observedGeneration === generation;
  const ready = isObserved
    ? (status.readyReplicas ?? 0)
    : Math.min(status?.readyReplicas ?? 0, alive.filter(isPodReady).length);
  // A StatefulSet that never rolled an update reports no updated replicas on some versions.
  const isSettled = status?.updateRevision !== undefined && status.currentRevision === status.updateRevision;
  const updated = status?.updatedReplicas ?? (isSettled ? (status.replicas ?? 0) : 0);
  const surplus = (status?.replicas ?? 0) - expected.desired;
  return {
    ...expected,
    ready,
    updated,
    pods: alive.length,
    scheduled: alive.filter(isPodScheduled).length,
    isComplete: isObserved && ready >= expected.desired && (updated >= expected.desired || isSettled) && surplus <= 0,
    problems: [...workloadProblems(workload), ...alive.flatMap(podProblems)],
  };
}

/** A workload whose pods cannot even be made says so in a condition of its own. */
function workloadProblems(workload: Workload | undefined): readonly PodProblem[] {
  const failed = workload?.status?.conditions?.find(
    (condition) => condition.type === 'ReplicaFailure' && condition.status === 'True',
  );
  if (workload === undefined || failed === undefined) return [];
  return [
    {
      reason: 'PodsNotReady',
      cause: failed.reason ?? 'ReplicaFailure',
      message: `${workload.kind} ${workload.metadata.name}: ${failed.message ?? 'pods cannot be created'}`,
      isFinal: false,
    },
  ];
}
