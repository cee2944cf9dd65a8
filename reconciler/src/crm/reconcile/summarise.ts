import type { OaasError } from '@oaas/commons/errors';
import { toRfc3339 } from '@oaas/commons/time';
import {
  annotations,
  type Condition,
  type ConditionType,
  type DeploymentRecord,
  findCondition,
  type Health,
  type OverallCondition,
  type Reason,
  type RecordPhase,
  type RecordStatus,
  reasons,
  removeCondition,
  setCondition,
} from '../../record/index.ts';
import { canonicalJson } from '../digest.ts';
import type { Facts } from './facts.ts';
import { gridStatus, judgeGrid } from './judge-grid.ts';
import { judgeWorkloads } from './judge-workloads.ts';
import { transitionEvents, type EventWish } from './transitions.ts';

export interface Summary {
  /** The whole status, as it should be. */
  readonly status: RecordStatus;
  readonly isChanged: boolean;
  readonly events: readonly EventWish[];
  /** Look again after this time even if nothing happens. Absent: only when something happens. */
  readonly requeueAfterMs?: number | undefined;
}

/** Everything is watched; looking again is for what no watch can tell. */
const lookAgain = { working: 60_000, settled: 600_000 } as const;

/** What one axis says, and how grave it is. */
export interface Verdict {
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

/** The overall judgement, before it is spread over conditions. */
interface Judgement {
  readonly ready: Verdict;
  readonly phase: RecordPhase;
  /** Something is wrong, not only unfinished. */
  readonly isDegraded: boolean;
  /** Nothing gets better by itself. */
  readonly isStalled: boolean;
}

const layoutRemedy =
  'Undo the change of the layout in Git, or move the data to a new deployment; live rebalancing is not available.';

/**
 * The status of a record from what its steps found. Pure: the same record, facts, error and time give the same answer.
 * `error` is what stopped the steps, if something did.
 */
export function summarise(record: DeploymentRecord, facts: Facts, error: OaasError | undefined, now: number): Summary {
  const at = toRfc3339(now);
  const previous = record.status ?? {};
  const judgement = judge(record, facts, error);
  const grid = judgeGrid(facts);
  const workloads = judgeWorkloads(facts.workloads);
  const generation = record.metadata.generation ?? 0;
  const isSuspended = record.spec.suspend === true;

  let conditions: readonly Condition[] = previous.conditions ?? [];
  const set = (type: ConditionType, verdict: Verdict): void => {
    conditions = setCondition(conditions, { type, ...verdict }, generation, at);
  };
  set('Ready', judgement.ready);
  const isWorking = judgement.ready.status !== 'True' && !judgement.isStalled && !isSuspended;
  if (isWorking) set('Reconciling', { ...judgement.ready, status: 'True' });
  else conditions = removeCondition(conditions, 'Reconciling');
  if (judgement.isStalled && !isSuspended) set('Stalled', { ...judgement.ready, status: 'True' });
  else conditions = removeCondition(conditions, 'Stalled');
  set('Available', workloads.available);
  set('Progressing', {
    status: isWorking ? 'True' : 'False',
    reason: judgement.ready.reason,
    message: judgement.ready.message,
  });
  set(
    'Degraded',
    judgement.isDegraded
      ? { ...judgement.ready, status: 'True' }
      : { status: 'False', reason: 'Healthy', message: 'no failure is known' },
  );
  set('GridHealthy', facts.layout?.blocked === undefined ? grid : blockedVerdict(facts.layout.blocked.changes));
  const measured: Verdict = {
    status: 'False',
    reason: 'NotMeasured',
    message: 'this CRM does not measure requirements',
  };
  set('NfrObserved', measured);
  set('NfrCompliant', { ...measured, status: 'Unknown' });

  const requestedAt = record.metadata.annotations?.[annotations.requestedAt];
  const status: RecordStatus = prune({
    observedGeneration: generation,
    phase: judgement.phase,
    condition: overall(record, judgement, previous),
    health: healthOf(judgement, isSuspended),
    message: judgement.ready.message,
    revision: shortCommit(record.spec.source?.commit) ?? previous.revision,
    selectedTemplate: facts.selection?.name ?? previous.selectedTemplate,
    conditions: [...conditions],
    resourceRefs: resourceRefs(record, facts) ?? previous.resourceRefs,
    endpoints: facts.services?.map(({ name, address }) => ({ name, protocol: 'grpc', address })) ?? previous.endpoints,
    functionContainerStatus: functionStatus(facts) ?? previous.functionContainerStatus,
    odgmClusterStatus: gridStatus(facts.grid, previous.odgmClusterStatus, now),
    lastHandledRequestedAt: requestedAt ?? previous.lastHandledRequestedAt,
    lastUpdated: previous.lastUpdated,
  });
  const isChanged = canonicalJson(status) !== canonicalJson(previous);
  return {
    status: isChanged ? { ...status, lastUpdated: at } : status,
    isChanged,
    events: transitionEvents(previous, status, facts),
    requeueAfterMs: isSuspended ? undefined : isWorking ? lookAgain.working : lookAgain.settled,
  };
}

/** The first thing that stands in the way, from the outside in. */
function judge(record: DeploymentRecord, facts: Facts, error: OaasError | undefined): Judgement {
  const healthy = { isDegraded: false, isStalled: false };
  if (record.metadata.deletionTimestamp !== undefined) {
    const left = facts.remaining ?? [];
    const message =
      error?.message ?? (left.length === 0 ? 'everything is gone' : `waiting for ${left.slice(0, 8).join(', ')}`);
    return { ready: { status: 'False', reason: 'Deleting', message }, phase: 'ResourceProvisioning', ...healthy };
  }
  if (record.spec.suspend === true) {
    const message = 'suspended: nothing is changed until spec.suspend is false';
    return {
      ready: { status: 'False', reason: 'Suspended', message },
      phase: record.status?.phase ?? 'TemplateSelection',
      ...healthy,
    };
  }
  if (error !== undefined) return judgeError(facts, error);
  const workloads = judgeWorkloads(facts.workloads);
  if (workloads.problem !== undefined) {
    return {
      ready: { status: 'False', reason: workloads.problem.reason, message: workloads.problem.message },
      phase: workloads.problem.reason === 'PodUnschedulable' ? 'PodScheduling' : 'HealthChecking',
      isDegraded: true,
      isStalled: workloads.problem.isFinal,
    };
  }
  if (facts.layout?.blocked !== undefined) {
    const { changes, why } = facts.layout.blocked;
    const message = `not applied (${changes.join(', ')}): ${why}. ${layoutRemedy}`;
    return {
      ready: { status: 'False', reason: 'LayoutChangeBlocked', message },
      phase: 'ResourceProvisioning',
      isDegraded: false,
      isStalled: true,
    };
  }
  const unbound = (facts.services ?? []).filter((service) => !service.isBound);
  if (unbound.length > 0) {
    const message = `waiting for Service ${unbound.map(({ service }) => service).join(', ')}`;
    return { ready: { status: 'False', reason: 'Progressing', message }, phase: 'ServiceBinding', ...healthy };
  }
  if (!workloads.isComplete) {
    return {
      ready: { status: 'False', reason: workloads.progress.reason, message: workloads.progress.message },
      phase: workloads.progress.reason === 'PodsScheduling' ? 'PodScheduling' : 'HealthChecking',
      ...healthy,
    };
  }
  const grid = judgeGrid(facts);
  if (grid.status !== 'True') {
    const isFinal = grid.reason === 'ShardTypeUnsupported';
    return {
      ready: { ...grid, status: 'False' },
      phase: 'HealthChecking',
      isDegraded: isFinal || grid.reason === 'GridIncomplete',
      isStalled: isFinal,
    };
  }
  const commit = shortCommit(record.spec.source?.commit);
  return {
    ready: {
      status: 'True',
      reason: 'ReconciliationSucceeded',
      message: `${commit === undefined ? '' : `${commit}: `}${workloads.progress.message}`,
    },
    phase: 'Ready',
    ...healthy,
  };
}

function judgeError(facts: Facts, error: OaasError): Judgement {
  const known = error.details?.['reason'];
  const reason = reasons.find((candidate) => candidate === known);
  const isStalled = error.consequence === 'stop' || reason === 'TemplateNotFound' || reason === 'FieldConflict';
  const message = error.remedy === undefined ? error.message : `${error.message}. ${error.remedy}`;
  return {
    ready: {
      status: 'False',
      reason: reason ?? (isStalled ? 'ReconciliationFailed' : 'ProgressingWithRetry'),
      message,
    },
    phase: facts.selection === undefined ? 'TemplateSelection' : 'ResourceProvisioning',
    isDegraded: isStalled,
    isStalled,
  };
}

function blockedVerdict(changes: readonly string[]): Verdict {
  return { status: 'False', reason: 'LayoutChangeBlocked', message: `${changes.join(', ')}. ${layoutRemedy}` };
}

function overall(record: DeploymentRecord, judgement: Judgement, previous: RecordStatus): OverallCondition {
  if (record.metadata.deletionTimestamp !== undefined) return 'Terminated';
  if (record.spec.suspend === true) return previous.condition ?? 'Pending';
  if (judgement.isDegraded || judgement.isStalled) return 'Failed';
  if (judgement.ready.status === 'True') return 'Running';
  if (judgement.phase === 'TemplateSelection') return 'Pending';
  const wasReady = findCondition(previous.conditions, 'Ready')?.status === 'True' || previous.condition === 'Scaling';
  return wasReady && previous.observedGeneration === record.metadata.generation ? 'Scaling' : 'Provisioning';
}

function healthOf(judgement: Judgement, isSuspended: boolean): Health {
  if (isSuspended) return 'Suspended';
  if (judgement.isDegraded || judgement.isStalled) return 'Degraded';
  return judgement.ready.status === 'True' ? 'Healthy' : 'Progressing';
}

function resourceRefs(record: DeploymentRecord, facts: Facts): RecordStatus['resourceRefs'] {
  const present = facts.applied.filter(({ action }) => action !== 'pruned');
  if (present.length === 0) return undefined;
  return present
    .map(({ kind, name, uid }) => ({ kind, name, namespace: record.metadata.namespace, uid }))
    .sort((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

function functionStatus(facts: Facts): RecordStatus['functionContainerStatus'] {
  if (facts.workloads === undefined) return undefined;
  return facts.workloads.flatMap((workload) => {
    if (workload.functionKey === undefined) return [];
    const service = facts.services?.find(({ name }) => name === workload.functionKey);
    const [problem] = workload.problems;
    return [
      {
        functionKey: workload.functionKey,
        service: service?.service,
        port: service?.port,
        url: service === undefined ? undefined : `http://${service.address}`,
        replicas: workload.desired,
        readyReplicas: workload.ready,
        ready: workload.isComplete,
        reason: problem?.reason,
        message: problem?.message,
      },
    ];
  });
}

/** What git shows: enough to tell commits apart, short enough for a column. */
function shortCommit(commit: string | undefined): string | undefined {
  return commit?.slice(0, 8);
}

/** Without what is undefined, as the server will give it back. */
function prune<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
