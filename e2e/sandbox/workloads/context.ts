import type { OaasError } from '@oaas/commons/errors';
import type { Outcome } from '@oaas/commons/queue';
import type { BackoffOptions } from '@oaas/commons/time';
import { Controller, type EventRecorder, type StoreChange } from '@oaas/reconciler/controller';
import type { KubernetesApi, ResourceType } from '@oaas/reconciler/kubernetes';
import type { Ambient, Caches } from './caches.ts';
import { referenceOf } from './events.ts';
import { canonicalJson, controllerOf, type KubeObject } from './objects.ts';

/** What every controller of the sandbox works with. */
export interface WorkloadContext extends Ambient {
  readonly api: KubernetesApi;
  readonly caches: Caches;
  /** The node that all pods are bound to. */
  readonly nodeName: string;
  readonly events: EventRecorder;
  /** Folder of the data of a volume claim. */
  readonly claimDir: (namespace: string, claim: string) => string;
  readonly onFailure: (controller: string, key: string, error: OaasError) => void;
}

/** Who writes, in `managedFields`. */
export const fieldManager = 'sandbox-workloads';

const backoff: BackoffOptions = { baseMs: 100, maxMs: 30_000, factor: 2, jitter: 0.5 };
/** Objects of one kind in work at once. */
const concurrency = 4;

export function makeController(
  context: WorkloadContext,
  name: string,
  reconcile: (key: string) => Promise<Outcome>,
): Controller {
  return new Controller({
    name,
    reconcile,
    clock: context.clock,
    timers: context.timers,
    random: context.random,
    concurrency,
    backoff,
    onFailure: (key, error) => context.onFailure(name, key, error),
  });
}

/** The key of the object of `kind` that controls the one that changed. */
export function ownerKeys<T extends KubeObject>(kind: string): (change: StoreChange<T>) => string[] {
  return ({ object }) => {
    const owner = controllerOf(object);
    return owner?.kind === kind ? [`${object.metadata.namespace ?? 'default'}/${owner.name}`] : [];
  };
}

/** Writes the status of an object unless it says the same already. */
export async function writeStatus(
  context: WorkloadContext,
  type: ResourceType,
  object: KubeObject,
  status: object,
): Promise<void> {
  if (canonicalJson(object['status'] ?? {}) === canonicalJson(status)) return;
  const { name, namespace } = object.metadata;
  await context.api.patch(type, { name, namespace }, 'merge', { status }, { fieldManager, subresource: 'status' });
}

export function recordEvent(context: WorkloadContext, object: KubeObject, reason: string, note: string): void {
  context.events.record({ regarding: referenceOf(object), type: 'Normal', reason, action: reason, note });
}

export function after(requeueAfterMs: number | undefined): Outcome {
  return requeueAfterMs === undefined ? { done: true } : { requeueAfterMs };
}
