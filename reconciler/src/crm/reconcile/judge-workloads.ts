import type { PodProblem } from '../observe/pods.ts';
import type { WorkloadFacts } from '../observe/workloads.ts';
import type { Verdict } from './summarise.ts';

export interface WorkloadsVerdict {
  readonly isComplete: boolean;
  /** The worst problem, if there is one. */
  readonly problem?: PodProblem | undefined;
  /** How far it is. */
  readonly progress: Omit<Verdict, 'status'>;
  /** Whether callers are served at all. */
  readonly available: Verdict;
}

export function judgeWorkloads(workloads: readonly WorkloadFacts[] | undefined): WorkloadsVerdict {
  if (workloads === undefined) {
    const progress = { reason: 'Progressing', message: 'no workload has been looked at' } as const;
    return { isComplete: false, progress, available: { status: 'Unknown', ...progress } };
  }
  // A pod that is replaced may fail on its way out: what is complete has no problem.
  const unfinished = workloads.filter((workload) => !workload.isComplete);
  const problems = unfinished.flatMap((workload) => workload.problems);
  const missing = workloads.filter((workload) => workload.ready === 0 && workload.desired > 0);
  return {
    isComplete: unfinished.length === 0,
    problem: problems.find((problem) => problem.isFinal) ?? problems[0],
    progress: progressOf(workloads, unfinished),
    available:
      missing.length === 0
        ? { status: 'True', reason: 'WorkloadsAvailable', message: 'every workload has a ready pod' }
        : { status: 'False', reason: 'PodsNotReady', message: `no pod is ready of ${names(missing)}` },
  };
}

function progressOf(
  workloads: readonly WorkloadFacts[],
  unfinished: readonly WorkloadFacts[],
): Omit<Verdict, 'status'> {
  const ready = workloads.reduce((sum, workload) => sum + Math.min(workload.ready, workload.desired), 0);
  const desired = workloads.reduce((sum, workload) => sum + workload.desired, 0);
  const count = `${String(ready)} of ${String(desired)} pods ready`;
  if (unfinished.length === 0) return { reason: 'ReconciliationSucceeded', message: count };
  const isScheduling = unfinished.some(
    (workload) => workload.scheduled < workload.desired && workload.ready < workload.desired,
  );
  return {
    reason: isScheduling ? 'PodsScheduling' : 'PodsNotReady',
    message: `${count}; waiting for ${names(unfinished)}`,
  };
}

/** Names that a message can bear; a class may have many functions. */
const namesMax = 5;

function names(workloads: readonly WorkloadFacts[]): string {
  const shown = workloads
    .slice(0, namesMax)
    .map(({ name, ready, desired }) => `${name} (${String(ready)}/${String(desired)})`);
  const more = workloads.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${String(more)} more` : '');
}
