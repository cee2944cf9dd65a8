import { mkdir, rm } from 'node:fs/promises';
import { isOaasError } from '@oaas/commons/errors';
import type { Outcome } from '@oaas/commons/queue';
import { type Controller, keyOf } from '@oaas/reconciler/controller';
import type { ResourceType } from '@oaas/reconciler/kubernetes';
import { byNamespace, sandboxKinds, tolerating } from './caches.ts';
import { fieldManager, makeController, type WorkloadContext } from './context.ts';
import { type KubeObject, splitKey, type VolumeClaim } from './objects.ts';

const storageClass = 'sandbox-local';
const claimProtection = 'kubernetes.io/pvc-protection';
const volumeProtection = 'kubernetes.io/pv-protection';
/** How long a claim that is in use waits until it is looked at again. */
const inUseMs = 500;

/**
 * Binds each claim to a folder of this machine, by a PersistentVolume that says where it is. A claim that was deleted
 * takes its data with it (reclaim policy Delete), as soon as no pod uses it any more.
 */
export function claimController(context: WorkloadContext): Controller {
  const { api, caches } = context;

  const controller = makeController(context, 'volumeclaims', async (key) => {
    const { namespace, name } = splitKey(key);
    const claim = caches.claims.get(key);
    if (claim === undefined) return reclaim(namespace, name);
    if (claim.metadata.deletionTimestamp !== undefined) return unprotect(claim, namespace);
    if (claim.status?.phase === 'Bound') return { done: true };
    // A claim of this name that was deleted a moment ago must not hand on its data.
    const before = await volumeOf(namespace, name);
    if (before !== undefined && claimUidOf(before) !== claim.metadata.uid) {
      const outcome = await reclaim(namespace, name);
      if ('requeueAfterMs' in outcome) return outcome;
    }
    await bind(claim, namespace);
    return { done: true };
  });

  async function bind(claim: VolumeClaim, namespace: string): Promise<void> {
    const { name, uid = '' } = claim.metadata;
    const path = context.claimDir(namespace, name);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const capacity = { storage: claim.spec.resources?.requests?.['storage'] ?? '1Gi' };
    const accessModes = claim.spec.accessModes ?? ['ReadWriteOnce'];
    const storageClassName = claim.spec.storageClassName ?? storageClass;
    const volumeName = volumeNameOf(namespace, name);
    const volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volumeName },
      spec: {
        capacity,
        accessModes,
        storageClassName,
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
        hostPath: { path },
      },
    };
    await api.apply(sandboxKinds.volume, volume, { fieldManager, force: true });
    const status = { phase: 'Bound' };
    const onVolume = { fieldManager, subresource: 'status' } as const;
    await api.patch(sandboxKinds.volume, { name: volumeName }, 'merge', { status }, onVolume);
    await api.patch(sandboxKinds.volumeClaim, { name, namespace }, 'merge', { spec: { volumeName } }, { fieldManager });
    const bound = { status: { ...status, accessModes, capacity } };
    await api.patch(sandboxKinds.volumeClaim, { name, namespace }, 'merge', bound, onVolume);
  }

  function isUsed(namespace: string, name: string): boolean {
    return caches.pods
      .byIndex(byNamespace, namespace)
      .some((pod) => (pod.spec.volumes ?? []).some((volume) => volume.persistentVolumeClaim?.claimName === name));
  }

  /** The API server keeps a deleted claim by a finalizer until somebody has seen that no pod uses it. */
  async function unprotect(claim: VolumeClaim, namespace: string): Promise<Outcome> {
    const { name, finalizers = [] } = claim.metadata;
    if (!finalizers.includes(claimProtection)) return { done: true };
    if (isUsed(namespace, name)) return { requeueAfterMs: inUseMs };
    await removeFinalizer(sandboxKinds.volumeClaim, claim, claimProtection);
    return { done: true };
  }

  async function removeFinalizer(type: ResourceType, object: KubeObject, finalizer: string): Promise<void> {
    const { name, namespace, resourceVersion, finalizers = [] } = object.metadata;
    const metadata = { resourceVersion, finalizers: finalizers.filter((each) => each !== finalizer) };
    await tolerating('NotFound', api.patch(type, { name, namespace }, 'merge', { metadata }, { fieldManager }));
  }

  async function reclaim(namespace: string, name: string): Promise<Outcome> {
    if (isUsed(namespace, name)) return { requeueAfterMs: inUseMs };
    const volume = await volumeOf(namespace, name);
    if (volume === undefined) return { done: true };
    await rm(context.claimDir(namespace, name), { recursive: true, force: true, maxRetries: 3 });
    await tolerating('NotFound', api.delete(sandboxKinds.volume, { name: volume.metadata.name }));
    const leaving = await volumeOf(namespace, name);
    if (leaving !== undefined) await removeFinalizer(sandboxKinds.volume, leaving, volumeProtection);
    return { done: true };
  }

  async function volumeOf(namespace: string, name: string): Promise<KubeObject | undefined> {
    try {
      return await api.get(sandboxKinds.volume, { name: volumeNameOf(namespace, name) });
    } catch (error) {
      if (isOaasError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  controller.watch(caches.claims, ({ object }) => [keyOf(object)]);
  return controller;
}

function claimUidOf(volume: KubeObject): string | undefined {
  return (volume['spec'] as { claimRef?: { uid?: string } }).claimRef?.uid;
}

/** One volume per claim: its name is found again without asking. */
function volumeNameOf(namespace: string, claim: string): string {
  return `${namespace}.${claim}`;
}
