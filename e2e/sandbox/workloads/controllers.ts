import type { Controller } from '@oaas/reconciler/controller';
import { keyOf } from '@oaas/reconciler/controller';
import { byNamespace, byOwner, listNow, sandboxKinds, tolerating } from './caches.ts';
import { claimController } from './claims.ts';
import {
  after,
  fieldManager,
  makeController,
  ownerKeys,
  recordEvent,
  type WorkloadContext,
  writeStatus,
} from './context.ts';
import { needsRevision, planDeployment, revisionPatch } from './deployment.ts';
import { endpointsController } from './endpoints-controller.ts';
import { type Pod, randomSuffix, type ReplicaSet, splitKey, type VolumeClaim } from './objects.ts';
import { planReplicaSet } from './replicaset.ts';
import { planStatefulSet } from './statefulset.ts';

/**
 * The controllers of kube-controller-manager that the platform needs, for an API server that comes without: Deployments,
 * ReplicaSets, StatefulSets, Endpoints and volume claims. Each one plans by its cache, and before it acts it plans again
 * by the server itself: so it never does twice what it has just done.
 */
export function createWorkloadControllers(context: WorkloadContext): Controller[] {
  return [
    deploymentController(context),
    replicaSetController(context),
    statefulSetController(context),
    endpointsController(context),
    claimController(context),
  ];
}

function deploymentController(context: WorkloadContext): Controller {
  const { api, caches } = context;
  const controller = makeController(context, 'deployments', async (key) => {
    const deployment = caches.deployments.get(key);
    if (deployment === undefined) return { done: true };
    const { namespace } = splitKey(key);
    const plan = (replicaSets: readonly ReplicaSet[]) => planDeployment(deployment, replicaSets, context.clock.now());
    let next = plan(caches.replicaSets.byIndex(byOwner, deployment.metadata.uid ?? ''));
    if (next.create !== undefined || next.scale.length > 0 || next.remove.length > 0) {
      next = plan(await listNow<ReplicaSet>(api, sandboxKinds.replicaSet, namespace));
    }
    if (next.create !== undefined) {
      const { create } = next;
      await tolerating('AlreadyExists', api.create(sandboxKinds.replicaSet, create, { fieldManager }));
      const count = String(create.spec.replicas ?? 0);
      recordEvent(
        context,
        deployment,
        'ScalingReplicaSet',
        `Scaled up replica set ${create.metadata.name} to ${count}`,
      );
    }
    for (const { name, replicas } of next.scale) {
      await api.patch(sandboxKinds.replicaSet, { name, namespace }, 'merge', { spec: { replicas } }, { fieldManager });
      recordEvent(context, deployment, 'ScalingReplicaSet', `Scaled replica set ${name} to ${String(replicas)}`);
    }
    for (const name of next.remove) {
      await tolerating('NotFound', api.delete(sandboxKinds.replicaSet, { name, namespace }));
    }
    if (deployment.metadata.deletionTimestamp !== undefined) return { done: true };
    if (needsRevision(deployment, next.revision)) {
      const { name } = deployment.metadata;
      await api.patch(sandboxKinds.deployment, { name, namespace }, 'merge', revisionPatch(next.revision), {
        fieldManager,
      });
    }
    if (next.current !== undefined && needsRevision(next.current, next.revision)) {
      const { name } = next.current.metadata;
      await api.patch(sandboxKinds.replicaSet, { name, namespace }, 'merge', revisionPatch(next.revision), {
        fieldManager,
      });
    }
    await writeStatus(context, sandboxKinds.deployment, deployment, next.status);
    return after(next.requeueAfterMs);
  });
  controller.watch(caches.deployments, ({ object }) => [keyOf(object)]);
  controller.watch(caches.replicaSets, ownerKeys('Deployment'));
  return controller;
}

function replicaSetController(context: WorkloadContext): Controller {
  const { api, caches } = context;
  const controller = makeController(context, 'replicasets', async (key) => {
    const replicaSet = caches.replicaSets.get(key);
    if (replicaSet === undefined || replicaSet.metadata.deletionTimestamp !== undefined) return { done: true };
    const { namespace } = splitKey(key);
    const plan = (pods: readonly Pod[]) =>
      planReplicaSet({
        replicaSet,
        pods,
        nodeName: context.nodeName,
        suffix: () => randomSuffix(() => context.random.next()),
        nowMs: context.clock.now(),
      });
    let next = plan(caches.pods.byIndex(byOwner, replicaSet.metadata.uid ?? ''));
    if (next.create.length > 0 || next.remove.length > 0) {
      next = plan(await listNow<Pod>(api, sandboxKinds.pod, namespace));
    }
    for (const pod of next.create) {
      await tolerating('AlreadyExists', api.create(sandboxKinds.pod, pod, { fieldManager }));
      recordEvent(context, replicaSet, 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
    }
    for (const name of next.remove) {
      await tolerating('NotFound', api.delete(sandboxKinds.pod, { name, namespace }));
      recordEvent(context, replicaSet, 'SuccessfulDelete', `Deleted pod: ${name}`);
    }
    await writeStatus(context, sandboxKinds.replicaSet, replicaSet, next.status);
    return after(next.requeueAfterMs);
  });
  controller.watch(caches.replicaSets, ({ object }) => [keyOf(object)]);
  controller.watch(caches.pods, ownerKeys('ReplicaSet'));
  return controller;
}

function statefulSetController(context: WorkloadContext): Controller {
  const { api, caches } = context;
  const controller = makeController(context, 'statefulsets', async (key) => {
    const set = caches.statefulSets.get(key);
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return { done: true };
    const { namespace } = splitKey(key);
    const plan = (pods: readonly Pod[], claims: readonly VolumeClaim[]) =>
      planStatefulSet({ set, pods, claims, nodeName: context.nodeName, nowMs: context.clock.now() });
    let next = plan(
      caches.pods.byIndex(byOwner, set.metadata.uid ?? ''),
      caches.claims.byIndex(byNamespace, namespace),
    );
    if (next.create.length > 0 || next.remove.length > 0) {
      next = plan(
        await listNow<Pod>(api, sandboxKinds.pod, namespace),
        await listNow<VolumeClaim>(api, sandboxKinds.volumeClaim, namespace),
      );
    }
    for (const claim of next.claims) {
      await tolerating('AlreadyExists', api.create(sandboxKinds.volumeClaim, claim, { fieldManager }));
    }
    for (const pod of next.create) {
      await tolerating('AlreadyExists', api.create(sandboxKinds.pod, pod, { fieldManager }));
      const { name } = pod.metadata;
      recordEvent(
        context,
        set,
        'SuccessfulCreate',
        `create Pod ${name} in StatefulSet ${set.metadata.name} successful`,
      );
    }
    for (const name of next.remove) {
      await tolerating('NotFound', api.delete(sandboxKinds.pod, { name, namespace }));
      recordEvent(
        context,
        set,
        'SuccessfulDelete',
        `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`,
      );
    }
    await writeStatus(context, sandboxKinds.statefulSet, set, next.status);
    return after(next.requeueAfterMs);
  });
  controller.watch(caches.statefulSets, ({ object }) => [keyOf(object)]);
  controller.watch(caches.pods, ownerKeys('StatefulSet'));
  return controller;
}
