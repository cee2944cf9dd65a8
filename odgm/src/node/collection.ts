import { oaasError } from '@oaas/commons/errors';
import type { CollectionAsk, CollectionSpec } from '../meta/index.ts';
import { defaultLimits, type ShardLimits } from '../shard/index.ts';

/** Bounds from the collection's options. Throws `ConfigInvalid` for a value that is no positive whole number. */
export function limitsOf(spec: CollectionSpec): ShardLimits {
  const limits = { ...defaultLimits };
  for (const key of ['maxValueBytes', 'maxEntriesPerObject', 'maxObjectBytes'] as const) {
    const text = spec.options[key];
    if (text === undefined) continue;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw oaasError('ConfigInvalid', `option ${key} of collection ${spec.name} is "${text}"`, {
        remedy: 'Give a whole number of at least 1.',
      });
    }
    limits[key] = value;
  }
  return limits;
}

/** Every name that a caller may use as class id -> the collection. Throws `ConfigInvalid` when two claim one name. */
export function indexByClassId(specs: readonly CollectionAsk[]): Map<string, string> {
  const index = new Map<string, string>();
  const claim = (id: string, collection: string): void => {
    const other = index.get(id);
    if (other !== undefined && other !== collection) {
      throw oaasError('ConfigInvalid', `class id ${id} belongs to both ${other} and ${collection}`, {
        remedy: 'Give each class id and each collection name to one collection only.',
      });
    }
    index.set(id, collection);
  };
  const names = new Set<string>();
  for (const spec of specs) {
    if (names.has(spec.name)) {
      throw oaasError('ConfigInvalid', `collection ${spec.name} is configured twice`, {
        remedy: 'Give each collection a name of its own.',
      });
    }
    names.add(spec.name);
    claim(spec.name, spec.name);
  }
  for (const spec of specs) for (const id of spec.classIds) claim(id, spec.name);
  return index;
}
