import { describe, expect, it } from 'vitest';
import type { ContainerStatus, Pod, Workload } from '../objects.ts';
import { podProblems } from './pods.ts';
import { workloadFacts } from './workloads.ts';

function pod(container: Partial<ContainerStatus>, more: Partial<NonNullable<Pod['status']>> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x-0' },
    status: {
      containerStatuses: [{ name: 'main', image: 'a/b:1', ready: false, restartCount: 0, ...container }],
      ...more,
    },
  };
}

const waiting = (reason: string) => ({ state: { waiting: { reason, message: 'because' } } });

describe('podProblems', () => {
  it.each([
    ['ErrImagePull', 'ImagePullFailed', false],
    ['ImagePullBackOff', 'ImagePullFailed', false],
    ['InvalidImageName', 'ImagePullFailed', true],
    ['ErrImageNeverPull', 'ImagePullFailed', true],
    ['CreateContainerConfigError', 'ContainerConfigFailed', false],
    ['CrashLoopBackOff', 'CrashLooping', false],
  ])('reads a container that waits for %s as %s', (cause, reason, isFinal) => {
    const [problem] = podProblems(pod(waiting(cause)));
    expect(problem).toMatchObject({ reason, isFinal, cause });
    expect(problem?.message).toContain(`pod x-0, container main`);
    expect(problem?.message).toContain('because');
  });

  it('names the image that cannot be pulled', () => {
    expect(podProblems(pod(waiting('ErrImagePull')))[0]?.message).toContain('(image a/b:1)');
  });

  it('says how a container that crashes ended, and that it was memory when it was', () => {
    const ended = { terminated: { exitCode: 7, reason: 'Error', message: 'boom\n' } };
    expect(podProblems(pod({ ...waiting('CrashLoopBackOff'), lastState: ended }))[0]?.message).toContain(
      'last exit code 7 (Error): boom',
    );
    const killed = { terminated: { exitCode: 137, reason: 'OOMKilled' } };
    expect(podProblems(pod({ ...waiting('CrashLoopBackOff'), lastState: killed }))[0]?.reason).toBe('OutOfMemory');
  });

  it('sees a crash between two restarts, and forgives restarts of a container that is ready', () => {
    const crashing = { restartCount: 3, state: { running: {} }, lastState: { terminated: { exitCode: 1 } } };
    expect(podProblems(pod(crashing))[0]?.reason).toBe('CrashLooping');
    expect(podProblems(pod({ ...crashing, ready: true }))).toEqual([]);
  });

  it('puts a pod that no node takes first', () => {
    const conditions = [
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes: Insufficient cpu' },
    ];
    expect(podProblems(pod({}, { conditions }))[0]).toMatchObject({ reason: 'PodUnschedulable' });
  });

  it('finds nothing wrong with a pod that starts, or that is on its way out', () => {
    expect(podProblems(pod(waiting('ContainerCreating')))).toEqual([]);
    const dying = pod(waiting('ErrImagePull'));
    expect(podProblems({ ...dying, metadata: { ...dying.metadata, deletionTimestamp: 'now' } })).toEqual([]);
  });
});

describe('workloadFacts', () => {
  const expected = { kind: 'Deployment', name: 'd', desired: 2 } as const;
  const workload = (generation: number, status: Workload['status']): Workload => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', generation },
    ...(status === undefined ? {} : { status }),
  });

  it.each([
    ['all pods are new and ready', { observedGeneration: 2, replicas: 2, readyReplicas: 2, updatedReplicas: 2 }, true],
    [
      'the status is of an older form',
      { observedGeneration: 1, replicas: 2, readyReplicas: 2, updatedReplicas: 2 },
      false,
    ],
    ['one pod is not ready', { observedGeneration: 2, replicas: 2, readyReplicas: 1, updatedReplicas: 2 }, false],
    ['an old pod is still there', { observedGeneration: 2, replicas: 3, readyReplicas: 3, updatedReplicas: 2 }, false],
    ['old pods serve', { observedGeneration: 2, replicas: 2, readyReplicas: 2, updatedReplicas: 0 }, false],
    ['nothing was reported', undefined, false],
  ])('is complete or not when %s', (_, status, isComplete) => {
    expect(workloadFacts(expected, workload(2, status), []).isComplete).toBe(isComplete);
  });

  it('reads a StatefulSet without updated pods as complete when it is of one revision', () => {
    const status = { observedGeneration: 1, replicas: 2, readyReplicas: 2, currentRevision: 'a', updateRevision: 'a' };
    const set = { ...workload(1, status), kind: 'StatefulSet' as const };
    expect(workloadFacts({ ...expected, kind: 'StatefulSet' }, set, []).isComplete).toBe(true);
  });
});
