import type { Reason } from '../../record/index.ts';
import type { ContainerStatus, Pod } from '../objects.ts';

/** Why a pod is not ready, as far as one can say from outside. */
export interface PodProblem {
  readonly reason: Reason;
  /** Kubernetes' own word, such as `ImagePullBackOff`. */
  readonly cause: string;
  readonly message: string;
  /** Nobody but the author of the record can mend it: trying again does not help. */
  readonly isFinal: boolean;
}

/** How the reasons of a waiting container read. */
const waitingReasons: Readonly<Record<string, { readonly reason: Reason; readonly isFinal: boolean }>> = {
  ErrImagePull: { reason: 'ImagePullFailed', isFinal: false },
  ImagePullBackOff: { reason: 'ImagePullFailed', isFinal: false },
  ErrImageNeverPull: { reason: 'ImagePullFailed', isFinal: true },
  InvalidImageName: { reason: 'ImagePullFailed', isFinal: true },
  ImageInspectError: { reason: 'ImagePullFailed', isFinal: false },
  RegistryUnavailable: { reason: 'ImagePullFailed', isFinal: false },
  CreateContainerConfigError: { reason: 'ContainerConfigFailed', isFinal: false },
  CreateContainerError: { reason: 'ContainerConfigFailed', isFinal: false },
  RunContainerError: { reason: 'ContainerConfigFailed', isFinal: false },
  CrashLoopBackOff: { reason: 'CrashLooping', isFinal: false },
};

/** Restarts after which a container that is running, but not ready, counts as one that crashes. */
const crashingRestarts = 3;

/** The problems of one pod, the worst first. Empty for a pod that is fine or still on its way. */
export function podProblems(pod: Pod): readonly PodProblem[] {
  if (pod.metadata.deletionTimestamp !== undefined) return [];
  const problems = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].flatMap(
    (status) => containerProblem(pod, status) ?? [],
  );
  const unscheduled = pod.status?.conditions?.find(
    (condition) => condition.type === 'PodScheduled' && condition.status === 'False',
  );
  if (unscheduled?.reason === 'Unschedulable') {
    problems.unshift({
      reason: 'PodUnschedulable',
      cause: unscheduled.reason,
      message: `pod ${pod.metadata.name}: ${unscheduled.message ?? 'no node fits'}`,
      isFinal: false,
    });
  }
  return problems;
}

function containerProblem(pod: Pod, status: ContainerStatus): PodProblem | undefined {
  const where = `pod ${pod.metadata.name}, container ${status.name}`;
  const waiting = status.state?.waiting;
  const known = waiting?.reason === undefined ? undefined : waitingReasons[waiting.reason];
  if (waiting?.reason !== undefined && known !== undefined) {
    const image = status.image === undefined || known.reason !== 'ImagePullFailed' ? '' : ` (image ${status.image})`;
    const ended = known.reason === 'CrashLooping' ? endOf(status) : undefined;
    const isOutOfMemory = status.lastState?.terminated?.reason === 'OOMKilled';
    return {
      reason: isOutOfMemory && known.reason === 'CrashLooping' ? 'OutOfMemory' : known.reason,
      cause: waiting.reason,
      message: `${where}${image}: ${waiting.reason}: ${[ended, waiting.message].filter(Boolean).join('; ') || 'no message'}`,
      isFinal: known.isFinal,
    };
  }
  const restarts = status.restartCount ?? 0;
  const hasFailed = (status.state?.terminated?.exitCode ?? 0) !== 0;
  if (!hasFailed && (restarts < crashingRestarts || status.ready === true)) return undefined;
  const isOutOfMemory = [status.state, status.lastState].some((state) => state?.terminated?.reason === 'OOMKilled');
  return {
    reason: isOutOfMemory ? 'OutOfMemory' : 'CrashLooping',
    cause: isOutOfMemory ? 'OOMKilled' : 'Error',
    message: `${where}: restarted ${String(restarts)} times; ${endOf(status) ?? 'not ready'}`,
    isFinal: false,
  };
}

function endOf(status: ContainerStatus): string | undefined {
  const terminated = status.state?.terminated ?? status.lastState?.terminated;
  if (terminated === undefined) return undefined;
  const message = terminated.message === undefined || terminated.message === '' ? '' : `: ${terminated.message.trim()}`;
  return `last exit code ${String(terminated.exitCode ?? 0)} (${terminated.reason ?? 'Error'})${message}`;
}

export function isPodReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

export function isPodScheduled(pod: Pod): boolean {
  return pod.spec?.nodeName !== undefined;
}

export function podRestarts(pod: Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, status) => sum + (status.restartCount ?? 0), 0);
}
