import { listAt, numberAt, objectAt, textAt, valueAt, type KubeObject } from '../types.ts';
import { humanDuration } from './ages.ts';

/** What `kubectl get pods` shows of a pod. */
export interface PodCells {
  readonly ready: string;
  readonly status: string;
  readonly restarts: string;
  readonly gates: string;
}

/** Computes a pod's cells the way the API server's printer does. */
export function podCells(pod: KubeObject, now = 0): PodCells {
  const containers = listAt(pod.spec, 'containers');
  const statuses = listAt(pod.status, 'containerStatuses');
  let reason = textAt(pod.status, 'reason') ?? textAt(pod.status, 'phase') ?? '';
  let restarts = 0;
  let ready = 0;
  let lastRestart: number | undefined;

  const initializing = initReason(pod);
  for (const status of listAt(pod.status, 'initContainerStatuses')) restarts += numberAt(status, 'restartCount') ?? 0;
  if (initializing !== undefined) reason = initializing;
  else {
    restarts = 0;
    let hasRunning = false;
    for (const status of statuses.toReversed()) {
      restarts += numberAt(status, 'restartCount') ?? 0;
      const finished = Date.parse(textAt(status, 'lastState', 'terminated', 'finishedAt') ?? '');
      if (!Number.isNaN(finished) && (lastRestart === undefined || finished > lastRestart)) lastRestart = finished;
      const waiting = textAt(status, 'state', 'waiting', 'reason') ?? '';
      const terminated = objectAt(status, 'state', 'terminated');
      const isTerminated = valueAt(status, 'state', 'terminated') !== undefined;
      if (waiting !== '') reason = waiting;
      else if (isTerminated) reason = terminatedReason(terminated);
      else if (objectAt(status)['ready'] === true && valueAt(status, 'state', 'running') !== undefined) {
        hasRunning = true;
        ready += 1;
      }
    }
    if (reason === 'Completed' && hasRunning) reason = isConditionTrue(pod, 'Ready') ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const phase = textAt(pod.status, 'phase');
    if (textAt(pod.status, 'reason') === 'NodeLost') reason = 'Unknown';
    else if (phase !== 'Failed' && phase !== 'Succeeded') reason = 'Terminating';
  }
  const since = restarts > 0 && lastRestart !== undefined ? ` (${humanDuration(now - lastRestart)} ago)` : '';
  return {
    ready: `${String(ready)}/${String(containers.length)}`,
    status: reason,
    restarts: `${String(restarts)}${since}`,
    gates: gates(pod),
  };
}

function initReason(pod: KubeObject): string | undefined {
  const total = listAt(pod.spec, 'initContainers').length;
  for (const [index, status] of listAt(pod.status, 'initContainerStatuses').entries()) {
    const exit = numberAt(status, 'state', 'terminated', 'exitCode');
    if (exit === 0) continue;
    if (exit !== undefined) return `Init:${terminatedReason(objectAt(status, 'state', 'terminated'))}`;
    const waiting = textAt(status, 'state', 'waiting', 'reason') ?? '';
    if (waiting !== '' && waiting !== 'PodInitializing') return `Init:${waiting}`;
    return `Init:${String(index)}/${String(total)}`;
  }
  return undefined;
}

function terminatedReason(terminated: unknown): string {
  const reason = textAt(terminated, 'reason') ?? '';
  if (reason !== '') return reason;
  const signal = numberAt(terminated, 'signal') ?? 0;
  return signal === 0 ? `ExitCode:${String(numberAt(terminated, 'exitCode') ?? 0)}` : `Signal:${String(signal)}`;
}

function isConditionTrue(pod: KubeObject, type: string): boolean {
  return listAt(pod.status, 'conditions').some(
    (item) => textAt(item, 'type') === type && textAt(item, 'status') === 'True',
  );
}

function gates(pod: KubeObject): string {
  const wanted = listAt(pod.spec, 'readinessGates');
  if (wanted.length === 0) return '<none>';
  const passed = wanted.filter((gate) => isConditionTrue(pod, textAt(gate, 'conditionType') ?? '')).length;
  return `${String(passed)}/${String(wanted.length)}`;
}
