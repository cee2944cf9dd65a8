import { ANY_NODE, childNode, type SchemaNode } from '../schema/schema.ts';
import { deepCopy, deepEqual, isJson, type Json } from '../types.ts';
import { PatchError } from './json-patch.ts';

const DIRECTIVE = '$patch';
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/';
const ELEMENT_ORDER = '$setElementOrder/';
const RETAIN_KEYS = '$retainKeys';

/**
 * Applies a strategic merge patch and returns the new document: lists merge by the schema's patchMergeKey, and the
 * directives `$patch` (delete, replace, merge), `$deleteFromPrimitiveList`, `$setElementOrder` and `$retainKeys` hold.
 */
export function applyStrategicPatch(document: unknown, patch: unknown, node: SchemaNode): unknown {
  if (!isJson(patch)) return deepCopy(patch);
  return mergeObject(isJson(document) ? document : {}, patch, node);
}

function mergeObject(current: Json, patch: Json, node: SchemaNode): Json {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') return plainObject(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw new PatchError(`invalid value of ${DIRECTIVE}: ${JSON.stringify(directive)}`);
  let out: Json = { ...current };
  const retain = patch[RETAIN_KEYS];
  if (Array.isArray(retain)) out = Object.fromEntries(Object.entries(out).filter(([key]) => retain.includes(key)));
  for (const key of Object.keys(patch)) {
    if (key.startsWith(DELETE_PRIMITIVES)) {
      const name = key.slice(DELETE_PRIMITIVES.length);
      const gone: unknown = patch[key];
      const list = out[name];
      if (Array.isArray(list) && Array.isArray(gone))
        out[name] = list.filter((item) => !gone.some((value) => deepEqual(value, item)));
    }
  }
  for (const key of Object.keys(patch)) {
    if (key.startsWith('$')) continue;
    const value = patch[key];
    if (value === null) {
      Reflect.deleteProperty(out, key);
      continue;
    }
    out[key] = mergeValue(out[key], value, childNode(node, key) ?? ANY_NODE);
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(ELEMENT_ORDER)) continue;
    const name = key.slice(ELEMENT_ORDER.length);
    const order: unknown = patch[key];
    const list = out[name];
    if (Array.isArray(list) && Array.isArray(order))
      out[name] = reorder(list, order, childNode(node, name)?.patchMergeKey);
  }
  return out;
}

function mergeValue(current: unknown, patch: unknown, node: SchemaNode): unknown {
  if (isJson(patch)) {
    if (node.patchStrategy.includes('replace')) return withoutDirectives(patch);
    return mergeObject(isJson(current) ? current : {}, patch, node);
  }
  if (Array.isArray(patch)) return mergeList(Array.isArray(current) ? current : [], patch, node);
  return patch;
}

function mergeList(current: readonly unknown[], patch: readonly unknown[], node: SchemaNode): unknown[] {
  const replaces = patch.some((item) => isJson(item) && item[DIRECTIVE] === 'replace');
  if (!node.patchStrategy.includes('merge') || replaces) {
    return patch
      .filter((item) => !(isJson(item) && item[DIRECTIVE] === 'replace' && Object.keys(item).length === 1))
      .map(withoutDirectives);
  }
  const mergeKey = node.patchMergeKey;
  if (mergeKey === undefined) {
    const out = [...current];
    for (const item of patch) if (!out.some((value) => deepEqual(value, item))) out.push(deepCopy(item));
    return out;
  }
  let out = [...current];
  for (const item of patch) {
    if (!isJson(item)) throw new PatchError('an item of a list that merges by key must be an object');
    const key = item[mergeKey];
    if (item[DIRECTIVE] === 'delete') {
      out = out.filter((value) => !(isJson(value) && deepEqual(value[mergeKey], key)));
      continue;
    }
    if (key === undefined)
      throw new PatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    const at = out.findIndex((value) => isJson(value) && deepEqual(value[mergeKey], key));
    if (at === -1) out.push(withoutDirectives(item));
    else out[at] = mergeValue(out[at], item, node.items ?? ANY_NODE);
  }
  return out;
}

/** Puts the items in the order of `order`; those that it does not name keep their place behind the one they followed. */
function reorder(list: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const keyOf = (item: unknown): unknown => (mergeKey !== undefined && isJson(item) ? item[mergeKey] : item);
  const rank = (item: unknown): number => order.findIndex((wanted) => deepEqual(keyOf(wanted), keyOf(item)));
  const named = list.filter((item) => rank(item) !== -1).sort((a, b) => rank(a) - rank(b));
  const out: unknown[] = [];
  let next = 0;
  for (const item of list) {
    if (rank(item) === -1) out.push(item);
    else {
      out.push(named[next]);
      next += 1;
    }
  }
  return out;
}

/** A copy of a patch's value without the directives, as it is stored where there was nothing to merge into. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value))
    return value.filter((item) => !(isJson(item) && item[DIRECTIVE] === 'delete')).map(withoutDirectives);
  return isJson(value) ? plainObject(value) : value;
}

function plainObject(value: Json): Json {
  const out: Json = {};
  for (const key of Object.keys(value)) {
    if (key.startsWith('$') || value[key] === null) continue;
    out[key] = withoutDirectives(value[key]);
  }
  return out;
}
