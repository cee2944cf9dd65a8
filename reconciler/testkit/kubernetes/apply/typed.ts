import { deepCopy, deepEqual, isJson, type Json } from '../types.ts';
import { ANY_NODE, childNode, type SchemaNode } from '../schema/schema.ts';
import { child, emptySet, type FieldSet } from './fieldset.ts';

/**
 * The walks of server-side apply over typed values: which fields a value sets, how two values differ, how an applied
 * configuration merges into a live object, and the removal of fields. The semantics are those of structured-merge-diff
 * (KEP-555): maps are granular unless atomic, lists are atomic unless they are of type `set` or `map`.
 */

function isAtomicMap(node: SchemaNode): boolean {
  return node.atomicMap;
}

/** The path element of a list's item; undefined when the list is atomic or the item lacks its keys. */
export function itemElement(item: unknown, node: SchemaNode): string | undefined {
  switch (node.listType) {
    case 'atomic':
      return undefined;
    case 'set':
      return `v:${JSON.stringify(item)}`;
    case 'map': {
      if (!isJson(item)) return undefined;
      const keys: Json = {};
      for (const name of [...node.listKeys].sort()) {
        const value = item[name] ?? node.items?.fields.get(name)?.default;
        if (value !== undefined) keys[name] = value;
      }
      return `k:${JSON.stringify(keys)}`;
    }
  }
}

/** The fields that a configuration sets. */
export function fieldsOf(value: unknown, node: SchemaNode): FieldSet {
  const set = emptySet();
  collect(value, node, set);
  return set;
}

/** Fills `set` with what lies below; says at `set.member` whether the value itself is a leaf. */
function collect(value: unknown, node: SchemaNode, set: FieldSet): void {
  if (Array.isArray(value)) {
    if (node.shape !== 'array' || node.listType === 'atomic') {
      set.member = true;
      return;
    }
    for (const item of value) {
      const element = itemElement(item, node);
      if (element === undefined) continue;
      const inner = child(set, element);
      collect(item, node.items ?? ANY_NODE, inner);
      inner.member = true;
    }
    return;
  }
  if (isJson(value)) {
    if (isAtomicMap(node)) {
      set.member = true;
      return;
    }
    for (const key of Object.keys(value)) {
      const field = value[key];
      const inner = child(set, `f:${key}`);
      collect(field, childNode(node, key) ?? ANY_NODE, inner);
      const isEmptyMap = isJson(field) && Object.keys(field).length === 0;
      const isDeclared = node.fields.has(key);
      if (field === null || isEmptyMap || !isDeclared) inner.member = true;
      // An empty list of a declared field sets nothing.
      if (!inner.member && inner.children.size === 0) set.children.delete(`f:${key}`);
    }
    return;
  }
  set.member = true;
}

/** How one value became another. */
export interface Comparison {
  readonly added: FieldSet;
  readonly removed: FieldSet;
  readonly modified: FieldSet;
}

/** Compares two values of one type. */
export function compareTyped(before: unknown, after: unknown, node: SchemaNode): Comparison {
  const comparison = { added: emptySet(), removed: emptySet(), modified: emptySet() };
  compare(before, after, node, [], comparison);
  return comparison;
}

function mark(root: FieldSet, path: readonly string[]): void {
  let current = root;
  for (const element of path) current = child(current, element);
  current.member = true;
}

function compare(before: unknown, after: unknown, node: SchemaNode, path: string[], out: Comparison): void {
  if (before === undefined && after === undefined) return;
  if (path.length > 0) {
    if (before === undefined) mark(out.added, path);
    else if (after === undefined) mark(out.removed, path);
  }
  const model = after ?? before;
  if (Array.isArray(model) && node.shape === 'array' && node.listType !== 'atomic') {
    compareLists(asList(before), asList(after), node, path, out);
    return;
  }
  if (isJson(model) && !isAtomicMap(node) && (before === undefined || before === null || isJson(before))) {
    const left = isJson(before) ? before : {};
    const right = isJson(after) ? after : {};
    const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
    if (keys.size > 0) {
      for (const key of keys) {
        path.push(`f:${key}`);
        compare(left[key], right[key], childNode(node, key) ?? ANY_NODE, path, out);
        path.pop();
      }
      return;
    }
  }
  if (before !== undefined && after !== undefined && path.length > 0 && !deepEqual(before, after))
    mark(out.modified, path);
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  node: SchemaNode,
  path: string[],
  out: Comparison,
): void {
  const left = indexItems(before, node);
  const right = indexItems(after, node);
  for (const element of new Set([...left.keys(), ...right.keys()])) {
    path.push(element);
    compare(left.get(element), right.get(element), node.items ?? ANY_NODE, path, out);
    path.pop();
  }
}

/** Items by their path element, in order; of duplicates the first one counts. */
function indexItems(items: readonly unknown[], node: SchemaNode): Map<string, unknown> {
  const out = new Map<string, unknown>();
  for (const item of items) {
    const element = itemElement(item, node);
    if (element !== undefined && !out.has(element)) out.set(element, item);
  }
  return out;
}

/** Merges an applied configuration into a live value: what the configuration sets wins, the rest stays. */
export function mergeTyped(live: unknown, config: unknown, node: SchemaNode): unknown {
  if (live === undefined) return deepCopy(config);
  if (config === undefined) return live;
  if (Array.isArray(config)) {
    if (node.shape !== 'array' || node.listType === 'atomic' || !Array.isArray(live)) return deepCopy(config);
    return mergeLists(live, config, node);
  }
  if (isJson(config) && isJson(live) && !isAtomicMap(node)) {
    const out: Json = { ...live };
    for (const key of Object.keys(config))
      out[key] = mergeTyped(live[key], config[key], childNode(node, key) ?? ANY_NODE);
    return out;
  }
  return deepCopy(config);
}

/** Keeps the configuration's order for what it names; what only the live list has stays where it stood among them. */
function mergeLists(live: readonly unknown[], config: readonly unknown[], node: SchemaNode): unknown[] {
  const left = indexItems(live, node);
  const right = indexItems(config, node);
  const leftOrder = [...left.keys()];
  const rightOrder = [...right.keys()];
  const shared = rightOrder.filter((element) => left.has(element));
  const out: unknown[] = [];
  const emit = (element: string): void => {
    out.push(mergeTyped(left.get(element), right.get(element), node.items ?? ANY_NODE));
  };
  let l = 0;
  let r = 0;
  let nextShared = 0;
  while (l < leftOrder.length || r < rightOrder.length) {
    const leftElement = leftOrder[l];
    const rightElement = rightOrder[r];
    if (leftElement !== undefined && rightElement !== undefined) {
      if (leftElement === rightElement) {
        emit(leftElement);
        l += 1;
        r += 1;
        nextShared += 1;
        continue;
      }
      if (right.has(leftElement) && shared[nextShared] !== undefined && shared[nextShared] !== leftElement) {
        l += 1;
        continue;
      }
    }
    if (leftElement !== undefined && !right.has(leftElement)) {
      emit(leftElement);
      l += 1;
      continue;
    }
    if (rightElement !== undefined) {
      emit(rightElement);
      r += 1;
      if (shared[nextShared] === rightElement) nextShared += 1;
      continue;
    }
    l += 1;
  }
  return out;
}

/** The value without the members of `set`; containers that become empty go as well. Does not change its input. */
export function removeFields(value: unknown, set: FieldSet, node: SchemaNode): unknown {
  if (Array.isArray(value)) {
    if (node.shape !== 'array' || node.listType === 'atomic') return value;
    const out: unknown[] = [];
    for (const item of value) {
      const element = itemElement(item, node);
      const inner = element === undefined ? undefined : set.children.get(element);
      if (inner === undefined) out.push(item);
      else if (!inner.member) out.push(removeFields(item, inner, node.items ?? ANY_NODE));
    }
    return out.length === 0 && value.length > 0 ? null : out;
  }
  if (!isJson(value) || isAtomicMap(node)) return value;
  const out: Json = {};
  for (const key of Object.keys(value)) {
    const inner = set.children.get(`f:${key}`);
    if (inner === undefined) out[key] = value[key];
    else if (!inner.member) out[key] = removeFields(value[key], inner, childNode(node, key) ?? ANY_NODE);
  }
  return Object.keys(out).length === 0 && Object.keys(value).length > 0 ? null : out;
}

/** Adds, as members, the declared fields that have owned fields below them. */
export function withNamedParents(set: FieldSet, node: SchemaNode): FieldSet {
  const out = emptySet(set.member);
  for (const [element, inner] of set.children) {
    const name = element.startsWith('f:') ? element.slice(2) : undefined;
    const nextNode = name === undefined ? (node.items ?? ANY_NODE) : (childNode(node, name) ?? ANY_NODE);
    const next = withNamedParents(inner, nextNode);
    if (name !== undefined && inner.children.size > 0 && node.fields.has(name)) next.member = true;
    out.children.set(element, next);
  }
  return out;
}
