import { isJson, type Json } from '../types.ts';

/**
 * A set of field paths as a trie. The key of a child is its path element as fieldsV1 writes it:
 * `f:<name>` a field, `k:<json>` a list item by its keys, `v:<json>` a list item by its value, `i:<n>` by its index.
 */
export interface FieldSet {
  /** Whether the path that leads here is itself in the set. Meaningless for the root. */
  member: boolean;
  readonly children: Map<string, FieldSet>;
}

export function emptySet(member = false): FieldSet {
  return { member, children: new Map() };
}

export function isEmptySet(set: FieldSet): boolean {
  return set.children.size === 0;
}

/** The child under `element`, made when absent. */
export function child(set: FieldSet, element: string): FieldSet {
  let found = set.children.get(element);
  if (found === undefined) {
    found = emptySet();
    set.children.set(element, found);
  }
  return found;
}

/** Decodes `fieldsV1`. */
export function decodeFields(fields: Json | undefined): FieldSet {
  const set = emptySet();
  for (const [element, inner] of Object.entries(fields ?? {})) {
    if (element === '.') continue;
    const decoded = decodeFields(isJson(inner) ? inner : undefined);
    decoded.member = !isJson(inner) || Object.keys(inner).length === 0 || Object.hasOwn(inner, '.');
    set.children.set(element, decoded);
  }
  return set;
}

/** Encodes as `fieldsV1`, with sorted elements, so that equal sets give equal text. */
export function encodeFields(set: FieldSet): Json {
  const out: Json = {};
  for (const element of [...set.children.keys()].sort()) {
    const inner = set.children.get(element);
    if (inner === undefined) continue;
    if (inner.children.size === 0) {
      out[element] = {};
      continue;
    }
    out[element] = inner.member ? { '.': {}, ...encodeFields(inner) } : encodeFields(inner);
  }
  return out;
}

export function unionSets(a: FieldSet, b: FieldSet): FieldSet {
  const out = emptySet(a.member || b.member);
  for (const [element, inner] of a.children) {
    const other = b.children.get(element);
    out.children.set(element, other === undefined ? inner : unionSets(inner, other));
  }
  for (const [element, inner] of b.children) if (!a.children.has(element)) out.children.set(element, inner);
  return out;
}

/** What is in `a` and not in `b`. */
export function subtractSets(a: FieldSet, b: FieldSet): FieldSet {
  const out = emptySet(a.member && !b.member);
  for (const [element, inner] of a.children) {
    const other = b.children.get(element);
    const left = other === undefined ? inner : subtractSets(inner, other);
    if (left.member || left.children.size > 0) out.children.set(element, left);
  }
  return out;
}

export function intersectSets(a: FieldSet, b: FieldSet): FieldSet {
  const out = emptySet(a.member && b.member);
  for (const [element, inner] of a.children) {
    const other = b.children.get(element);
    if (other === undefined) continue;
    const both = intersectSets(inner, other);
    if (both.member || both.children.size > 0) out.children.set(element, both);
  }
  return out;
}

/** What is in `a`, without any path at or below a member of `b`. */
export function subtractRecursively(a: FieldSet, b: FieldSet): FieldSet {
  const out = emptySet(a.member);
  for (const [element, inner] of a.children) {
    const other = b.children.get(element);
    if (other?.member === true) continue;
    const left = other === undefined ? inner : subtractRecursively(inner, other);
    if (left.member || left.children.size > 0) out.children.set(element, left);
  }
  return out;
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, inner] of a.children) {
    const other = b.children.get(element);
    if (other === undefined || !equalSets(inner, other)) return false;
  }
  return true;
}

/** A set of fields by plain names: `setOf(['metadata', 'name'], ['status'])`. */
export function setOf(...paths: readonly (readonly string[])[]): FieldSet {
  const set = emptySet();
  for (const path of paths) {
    let current = set;
    for (const name of path) current = child(current, `f:${name}`);
    current.member = true;
  }
  return set;
}

/** Every member as a path the way conflicts print it: `.spec.containers[name="x"].image`. Sorted as in fieldsV1. */
export function printPaths(set: FieldSet): string[] {
  const out: string[] = [];
  const visit = (current: FieldSet, path: string): void => {
    for (const element of [...current.children.keys()].sort()) {
      const inner = current.children.get(element);
      if (inner === undefined) continue;
      const at = path + printElement(element);
      if (inner.member) out.push(at);
      visit(inner, at);
    }
  };
  visit(set, '');
  return out;
}

function printElement(element: string): string {
  const text = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'k:': {
      const keys = JSON.parse(text) as Json;
      const parts = Object.entries(keys).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
      return `[${parts.join(',')}]`;
    }
    case 'v:':
      return `[=${text}]`;
    case 'i:':
      return `[${text}]`;
    default:
      return `.${text}`;
  }
}
