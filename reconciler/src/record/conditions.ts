import type { Condition } from './schema.ts';

/**
 * Conditions of a DeploymentRecord (metav1.Condition), readable by kstatus and by `kubectl wait`.
 *
 * `Reconciling` and `Stalled` are abnormal when true and are removed otherwise (kubernetes-sigs/cli-utils, pkg/kstatus);
 * the others are always there once a record was looked at. `Ready=True` is only said of the generation it carries.
 */
export const conditionTypes = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Available',
  'Progressing',
  'Degraded',
  'GridHealthy',
  'NfrObserved',
  'NfrCompliant',
] as const;

export type ConditionType = (typeof conditionTypes)[number];

/** Every reason that a condition or an event of a record may carry. Programs may match on them: they stay. */
export const reasons = [
  'ReconciliationSucceeded',
  'ReconciliationFailed',
  'Progressing',
  'ProgressingWithRetry',
  'Suspended',
  'Deleting',
  'SpecInvalid',
  'TemplateSelected',
  'TemplateNotFound',
  'FunctionTypeUnsupported',
  'FieldConflict',
  'LayoutChangeBlocked',
  'PodsNotReady',
  'PodsScheduling',
  'PodUnschedulable',
  'ImagePullFailed',
  'ContainerConfigFailed',
  'CrashLooping',
  'OutOfMemory',
  'ProbeFailing',
  'WorkloadsAvailable',
  'GridReady',
  'GridStarting',
  'GridUnreachable',
  'GridIncomplete',
  'ShardTypeUnsupported',
  'NotMeasured',
  'NoRequirements',
  'ResourceApplied',
  'ResourcePruned',
  'DriftCorrected',
  'DataKept',
  'DataDeleted',
  'Healthy',
] as const;

export type Reason = (typeof reasons)[number];

/** Longest message of a condition; longer ones are cut, since Kubernetes refuses more than 32 KiB. */
const messageLengthMax = 2048;

export interface ConditionInput {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

/**
 * The conditions after `next` was observed at `now` (RFC 3339) for `generation`. The transition time changes only when
 * the status does. Order of first appearance is kept, so that equal facts give equal lists.
 */
export function setCondition(
  conditions: readonly Condition[],
  next: ConditionInput,
  generation: number,
  now: string,
): Condition[] {
  const previous = conditions.find((condition) => condition.type === next.type);
  const condition: Condition = {
    type: next.type,
    status: next.status,
    reason: next.reason,
    message: next.message.slice(0, messageLengthMax),
    lastTransitionTime: previous?.status === next.status ? previous.lastTransitionTime : now,
    observedGeneration: generation,
  };
  if (previous === undefined) return [...conditions, condition];
  return conditions.map((entry) => (entry.type === next.type ? condition : entry));
}

export function removeCondition(conditions: readonly Condition[], type: ConditionType): Condition[] {
  return conditions.filter((condition) => condition.type !== type);
}

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** How kstatus reads a record: `Current` is done, `InProgress` and `Failed` are what they say. */
export type KStatus = 'Current' | 'InProgress' | 'Failed' | 'Terminating';

export function kstatus(record: {
  readonly metadata: { readonly generation?: number | undefined; readonly deletionTimestamp?: string | undefined };
  readonly status?:
    | { readonly observedGeneration?: number | undefined; readonly conditions?: readonly Condition[] | undefined }
    | undefined;
}): KStatus {
  if (record.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const { status } = record;
  if (status?.observedGeneration !== undefined && status.observedGeneration !== record.metadata.generation) {
    return 'InProgress';
  }
  if (findCondition(status?.conditions, 'Stalled')?.status === 'True') return 'Failed';
  if (findCondition(status?.conditions, 'Reconciling')?.status === 'True') return 'InProgress';
  return findCondition(status?.conditions, 'Ready')?.status === 'True' ? 'Current' : 'InProgress';
}
