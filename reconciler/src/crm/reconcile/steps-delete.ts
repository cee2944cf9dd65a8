import { isOaasError } from '@oaas/commons/errors';
import { kinds } from '../../kubernetes/index.ts';
import { annotations, fieldManagers, finalizer } from '../../record/index.ts';
import { byRecord } from '../cluster/caches.ts';
import { childKinds, platformKinds } from '../objects.ts';
import type { Step, StepContext } from './step.ts';

const forgetGrid: Step = {
  name: 'forgetGrid',
  run({ grids, record }) {
    grids.forget(record.metadata.name);
    return Promise.resolve({});
  },
};

/** Deletes what is left and says what is: the record goes when its children have gone, pods included. */
const deleteChildren: Step = {
  name: 'deleteChildren',
  async run({ caches, applier, record, signal }) {
    const id = record.metadata.name;
    const remaining: string[] = [];
    for (const type of childKinds.toReversed()) {
      for (const object of caches.children.get(type.plural)?.byIndex(byRecord, id) ?? []) {
        remaining.push(`${type.kind} ${object.metadata.name}`);
        if (object.metadata.deletionTimestamp !== undefined) continue;
        await applier.remove(type, object, 'Foreground', signal);
      }
    }
    for (const pod of caches.pods.byIndex(byRecord, id)) remaining.push(`Pod ${pod.metadata.name}`);
    return { remaining };
  },
};

/** Volumes outlive their record, unless whoever deleted it said otherwise: a record that comes back finds its data. */
const settleData: Step = {
  name: 'settleData',
  async run({ api, caches, record, facts, signal }) {
    if (hasRemaining(facts.remaining) || record.metadata.annotations?.[annotations.dataPolicy] !== 'delete') return {};
    for (const claim of caches.claims.byIndex(byRecord, record.metadata.name)) {
      const { name, namespace, deletionTimestamp } = claim.metadata;
      if (deletionTimestamp !== undefined) continue;
      await api.delete(kinds.volumeClaim, { name, namespace }, { signal }).catch(ignoreMissing);
    }
    return {};
  },
};

const removeFinalizer: Step = {
  name: 'removeFinalizer',
  async run({ api, record, facts, signal }) {
    if (hasRemaining(facts.remaining)) return {};
    const { name, namespace, resourceVersion, finalizers = [] } = record.metadata;
    const patch = { metadata: { resourceVersion, finalizers: finalizers.filter((entry) => entry !== finalizer) } };
    await api
      .patch(platformKinds.record, { name, namespace }, 'merge', patch, { fieldManager: fieldManagers.render, signal })
      .catch(ignoreMissing);
    return {};
  },
};

function hasRemaining(remaining: StepContext['facts']['remaining']): boolean {
  return remaining === undefined || remaining.length > 0;
}

function ignoreMissing(error: unknown): void {
  if (!isOaasError(error, 'NotFound')) throw error;
}

export const deleteSteps: readonly Step[] = [forgetGrid, deleteChildren, settleData, removeFinalizer];
