import { deepCopy, isJson } from '../types.ts';
import { childNode, type SchemaNode } from './schema.ts';

/** Fills in the schema's defaults, in place. A null where the schema is not nullable and has a default counts as absent. */
export function applyDefaults(value: unknown, node: SchemaNode): void {
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (const item of value) applyDefaults(item, node.items);
    return;
  }
  if (!isJson(value)) return;
  for (const [name, field] of node.fields) {
    if (value[name] === null && !field.nullable && field.hasDefault) Reflect.deleteProperty(value, name);
    if (!Object.hasOwn(value, name) && field.hasDefault) value[name] = deepCopy(field.default);
  }
  for (const key of Object.keys(value)) {
    const child = childNode(node, key);
    if (child !== undefined && child.shape !== 'scalar') applyDefaults(value[key], child);
  }
}

/** Removes nulls that the schema does not allow and that defaulting did not replace, in place (custom resources). */
export function dropForbiddenNulls(value: unknown, node: SchemaNode): void {
  if (Array.isArray(value)) {
    if (node.items !== undefined) for (const item of value) dropForbiddenNulls(item, node.items);
    return;
  }
  if (!isJson(value)) return;
  for (const key of Object.keys(value)) {
    const child = childNode(node, key);
    if (child === undefined) continue;
    if (
      value[key] === null &&
      node.fields.has(key) &&
      !child.nullable &&
      child.shape !== 'any' &&
      !node.required.includes(key)
    ) {
      Reflect.deleteProperty(value, key);
      continue;
    }
    dropForbiddenNulls(value[key], child);
  }
}
