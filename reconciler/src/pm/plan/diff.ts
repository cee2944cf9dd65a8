import type { FieldChange } from '@oaas/commons/client/pm';
import { canonicalJson } from '../digest.ts';

/** Changes that a plan shows of one unit; the rest is counted in the last one. */
export const changesMax = 200;

/**
 * What differs between two values, field by field, in the order of the names. Items of lists that have a key are compared by it,
 * so that `functions[counter].config.STEP` is one change wherever the function stands.
 */
export function diff(before: unknown, after: unknown): FieldChange[] {
  const changes: FieldChange[] = [];
  compare('', before, after, changes);
  if (changes.length <= changesMax) return changes;
  return [...changes.slice(0, changesMax - 1), { path: `and ${String(changes.length - changesMax + 1)} more` }];
}

function compare(path: string, before: unknown, after: unknown, changes: FieldChange[]): void {
  if (canonicalJson(before) === canonicalJson(after)) return;
  if (isMap(before) && isMap(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    for (const name of names) compare(path === '' ? name : `${path}.${name}`, before[name], after[name], changes);
    return;
  }
  const left = byKey(before);
  const right = byKey(after);
  if (left !== undefined && right !== undefined) {
    for (const name of [...new Set([...left.keys(), ...right.keys()])].sort()) {
      compare(`${path}[${name}]`, left.get(name), right.get(name), changes);
    }
    return;
  }
  changes.push({ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) });
}

function byKey(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  for (const field of ['key', 'name']) {
    const keys = value.map((item: unknown) => (isMap(item) ? item[field] : undefined));
    if (keys.every((key) => typeof key === 'string') && new Set(keys).size === keys.length) {
      return new Map(keys.map((key, index) => [key, value[index] as unknown]));
    }
  }
  return undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
