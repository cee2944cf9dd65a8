import { isOaasError, oaasError } from '@oaas/commons/errors';
import { keyOf, type Store } from '../../controller/index.ts';
import {
  createdEntries,
  fieldConflicts,
  type KubernetesApi,
  type KubeObject,
  ownByApply,
} from '../../kubernetes/index.ts';
import { annotations, fieldManagers } from '../../record/index.ts';
import { lean } from '../cluster/caches.ts';
import { digestOf } from '../digest.ts';
import { divergence } from '../drift.ts';
import type { Child } from '../manifests/index.ts';
import type { AppliedChild } from './facts.ts';

/** How long until an object that goes away, or that belongs to an older record, is looked at again. */
const waitForOldMs = 1000;
const waitForForeignMs = 30_000;

/**
 * Applies rendered children, and only those that are not already as rendered. What the server makes of an object beyond
 * recognition (a webhook, an unknown default) is remembered, so that it is not applied for ever.
 */
export class ChildApplier {
  readonly #api: KubernetesApi;
  readonly #stores: ReadonlyMap<string, Store<KubeObject>>;
  /** By kind and key: paths that stay different after an apply of that digest. Bounded by the children. */
  readonly #tolerated = new Map<string, { readonly digest: string; readonly paths: readonly string[] }>();

  constructor(api: KubernetesApi, stores: ReadonlyMap<string, Store<KubeObject>>) {
    this.#api = api;
    this.#stores = stores;
  }

  /** Throws `FailedPrecondition` with the reason `FieldConflict` when the object is someone else's. */
  async apply(child: Child, ownerUid: string, signal: AbortSignal): Promise<AppliedChild> {
    const { type, object } = child;
    const store = this.#store(type.plural);
    const key = keyOf(object);
    const cached = store.get(key);
    if (cached !== undefined) refuseIfNotOurs(cached, ownerUid);
    const digest = digestOf(withAnnotations(object, { [annotations.gitCommit]: undefined }));
    const marks = cached?.metadata.annotations;
    const known = marks?.[annotations.renderedDigest] === digest;
    // The commit on a child is the one that changed it last: a commit that changes one function writes one Deployment.
    const changedBy = known ? marks[annotations.gitCommit] : undefined;
    const desired = withAnnotations(object, {
      [annotations.renderedDigest]: digest,
      ...(changedBy === undefined ? {} : { [annotations.gitCommit]: changedBy }),
    });
    const drift = cached !== undefined && known ? this.#drift(child, key, digest, desired, cached) : undefined;
    if (cached !== undefined && drift?.length === 0) return applied(cached, 'unchanged');

    const answer = await this.#write(child, desired, cached, signal);
    store.put(lean(answer));
    this.#tolerated.set(`${type.plural}/${key}`, { digest, paths: divergence(desired, answer) });
    return {
      ...applied(answer, cached === undefined ? 'created' : 'updated'),
      ...(drift === undefined ? {} : { drift }),
    };
  }

  /** Deletes a child that is no longer rendered. One that is gone already is fine. */
  async remove(
    type: Child['type'],
    object: KubeObject,
    propagation: 'Background' | 'Foreground',
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace, uid } = object.metadata;
    this.#tolerated.delete(`${type.plural}/${keyOf(object)}`);
    try {
      await this.#api.delete(
        type,
        { name, namespace },
        { propagation, signal, ...(uid === undefined ? {} : { preconditions: { uid } }) },
      );
    } catch (error) {
      // A conflict here means that another object has that name by now.
      if (!isOaasError(error, 'NotFound') && !isOaasError(error, 'Conflict')) throw error;
    }
  }

  #drift(child: Child, key: string, digest: string, desired: KubeObject, cached: KubeObject): readonly string[] {
    const tolerated = this.#tolerated.get(`${child.type.plural}/${key}`);
    const ignored = tolerated?.digest === digest ? tolerated.paths : [];
    return divergence(desired, cached).filter((path) => !ignored.includes(path));
  }

  async #write(
    { type }: Child,
    desired: KubeObject,
    cached: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<KubeObject> {
    const writing = { fieldManager: fieldManagers.render, signal };
    try {
      if (cached === undefined) return await this.#api.create(type, desired, writing);
    } catch (error) {
      // It is there after all: someone else's, or ours and not seen yet.
      if (!isOaasError(error, 'AlreadyExists')) throw error;
    }
    if (cached !== undefined && createdEntries(cached, fieldManagers.render).length > 0) {
      await ownByApply(this.#api, type, desired.metadata, fieldManagers.render, signal);
    }
    try {
      return await this.#api.apply(type, desired, { ...writing, force: cached !== undefined });
    } catch (error) {
      const conflicts = isOaasError(error) ? fieldConflicts(error) : [];
      if (conflicts.length === 0) throw error;
      const { kind, metadata } = desired;
      throw oaasError(
        'FailedPrecondition',
        `${kind} ${metadata.name} is managed by someone else: ${conflicts.join('; ')}`,
        {
          remedy: `Remove or rename the other ${kind}.`,
          details: { reason: 'FieldConflict' },
          retryAfterMs: waitForForeignMs,
          cause: error,
        },
      );
    }
  }

  #store(plural: string): Store<KubeObject> {
    const store = this.#stores.get(plural);
    if (store === undefined) throw oaasError('Internal', `there is no cache of ${plural}`);
    return store;
  }
}

function refuseIfNotOurs(cached: KubeObject, ownerUid: string): void {
  const { kind, metadata } = cached;
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true);
  const isOld = owner !== undefined && owner.uid !== ownerUid;
  if (metadata.deletionTimestamp === undefined && !isOld) return;
  throw oaasError('FailedPrecondition', `waiting for the old ${kind} ${metadata.name} to go`, {
    retryAfterMs: waitForOldMs,
  });
}

function withAnnotations(object: KubeObject, change: Readonly<Record<string, string | undefined>>): KubeObject {
  const { metadata } = object;
  const all = Object.entries({ ...metadata.annotations, ...change });
  const kept = all.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...object, metadata: { ...metadata, annotations: Object.fromEntries(kept) } };
}

function applied(object: KubeObject, action: AppliedChild['action']): AppliedChild {
  return { kind: object.kind, name: object.metadata.name, uid: object.metadata.uid ?? '', action };
}
