import { collectionOptionProblems } from '@oaas/commons/config';
import { oaasError } from '@oaas/commons/errors';
import type { CollectionAsk } from '../meta/index.ts';

/** Throws `InvalidArgument` that names the options which the collection cannot have, and says why. */
export function checkOptions({ name, options }: Pick<CollectionAsk, 'name' | 'options'>): void {
  const problems = collectionOptionProblems(options);
  if (problems.length === 0) return;
  throw oaasError('InvalidArgument', `collection ${name}: ${problems.map(({ message }) => message).join('; ')}`, {
    remedy: [...new Set(problems.map(({ remedy }) => remedy))].join(' '),
    details: { field: `options.${problems[0]?.option ?? ''}` },
  });
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
