import { isOaasError } from '@oaas/commons/errors';
import type { KubernetesApi } from './api.ts';
import type { KubeObject, ObjectKey, ResourceType } from './types.ts';

/** metav1.ManagedFieldsEntry, as far as it is read here. */
export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: 'Apply' | 'Update';
  readonly subresource?: string;
  readonly fieldsV1?: FieldSet;
  readonly [field: string]: unknown;
}

/** Somebody who writes an object that often between two calls of ours is broken. */
const attemptsMax = 5;

interface FieldSet {
  readonly [path: string]: FieldSet;
}

/**
 * The entries by which `manager` owns fields because it created or replaced them, and not because it applied them. An apply of
 * the same manager adds an entry beside these: a field that it leaves out later is still owned, and stays.
 */
export function createdEntries(object: KubeObject, manager: string): readonly ManagedFieldsEntry[] {
  return entriesOf(object).filter((entry) => isOwn(entry, manager) && entry.operation === 'Update');
}

/**
 * Makes what `manager` created its own by apply, so that its next apply removes what it leaves out; the same as
 * `kubectl apply --server-side` does for what it once wrote without (client-go, csaupgrade). Creating and this later step exist because
 * a server spends a third less on creating an object than on applying one that is not there. An object that changes meanwhile, such as
 * its status, is read again; rejects with `Conflict` where that does not end.
 */
export async function ownByApply(
  api: Pick<KubernetesApi, 'get' | 'patch'>,
  type: ResourceType,
  key: ObjectKey,
  manager: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const object = await api.get(type, key, { signal });
    if (createdEntries(object, manager).length === 0) return;
    const patch = [
      { op: 'replace', path: '/metadata/managedFields', value: appliedEntries(entriesOf(object), manager) },
      // The entries belong to this version of the object only.
      { op: 'replace', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion },
    ];
    try {
      await api.patch(type, key, 'json', patch, { fieldManager: manager, signal });
      return;
    } catch (error) {
      if (!isOaasError(error, 'Conflict') || attempt === attemptsMax) throw error;
    }
  }
}

/** The entries with all of the manager's own as one, of an apply. */
export function appliedEntries(entries: readonly ManagedFieldsEntry[], manager: string): readonly ManagedFieldsEntry[] {
  const own = entries.filter((entry) => isOwn(entry, manager));
  const [first] = own;
  if (first === undefined) return entries;
  const fieldsV1 = own.reduce<FieldSet>((all, entry) => union(all, entry.fieldsV1 ?? {}), {});
  return [...entries.filter((entry) => !own.includes(entry)), { ...first, operation: 'Apply', fieldsV1 }];
}

function union(left: FieldSet, right: FieldSet): FieldSet {
  const all: Record<string, FieldSet> = { ...left };
  for (const [path, inner] of Object.entries(right)) all[path] = union(all[path] ?? {}, inner);
  return all;
}

function isOwn(entry: ManagedFieldsEntry, manager: string): boolean {
  return entry.manager === manager && (entry.subresource ?? '') === '';
}

function entriesOf(object: KubeObject): readonly ManagedFieldsEntry[] {
  return (object.metadata.managedFields ?? []) as readonly ManagedFieldsEntry[];
}
