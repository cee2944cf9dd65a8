import type { Condition, ContainerState, ContainerStatus, Pod, PodPhase, PodStatus } from '../workloads/objects.ts';
import { withCondition } from '../workloads/objects.ts';

/** What a kubelet writes of a pod. Pure: the same facts give the same status. */
export function renderPodStatus(
  pod: Pod,
  before: readonly Condition[],
  containers: readonly ContainerStatus[],
  startTime: string,
  now: string,
): PodStatus {
  const phase = phaseOf(containers, pod.spec.restartPolicy ?? 'Always');
  const unready = containers.filter((container) => !container.ready).map((container) => container.name);
  const isDone = phase === 'Succeeded' || phase === 'Failed';
  const readiness: Omit<Condition, 'type' | 'lastTransitionTime'> =
    unready.length === 0
      ? { status: 'True' }
      : isDone && phase === 'Succeeded'
        ? { status: 'False', reason: 'PodCompleted' }
        : isDone
          ? { status: 'False', reason: 'PodFailed' }
          : {
              status: 'False',
              reason: 'ContainersNotReady',
              message: `containers with unready status: [${unready.join(' ')}]`,
            };
  let conditions = before;
  conditions = withCondition(conditions, { type: 'PodScheduled', status: 'True' }, now);
  conditions = withCondition(conditions, { type: 'Initialized', status: 'True' }, now);
  conditions = withCondition(conditions, { type: 'ContainersReady', ...readiness }, now);
  conditions = withCondition(conditions, { type: 'Ready', ...readiness }, now);
  return {
    phase,
    conditions,
    containerStatuses: containers,
    hostIP: '127.0.0.1',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    startTime,
  };
}

/** Source: the kubelet's getPhase. A container between two runs counts as stopped, not as waiting. */
function phaseOf(containers: readonly ContainerStatus[], restartPolicy: string): PodPhase {
  const kinds = containers.map(({ state, lastState }) => lifeOf(state, lastState));
  if (kinds.includes('waiting')) return 'Pending';
  if (kinds.includes('running') || restartPolicy === 'Always') return 'Running';
  if (kinds.every((kind) => kind === 'succeeded')) return 'Succeeded';
  return restartPolicy === 'Never' ? 'Failed' : 'Running';
}

function lifeOf(state: ContainerState, lastState: ContainerState): 'waiting' | 'running' | 'succeeded' | 'stopped' {
  if (state.running !== undefined) return 'running';
  const terminated = state.terminated ?? lastState.terminated;
  if (terminated === undefined) return 'waiting';
  return state.terminated?.exitCode === 0 ? 'succeeded' : 'stopped';
}
