import { isJson, type Json } from '../types.ts';
import { childNode, type SchemaNode } from './schema.ts';

/** Adds, in place, the structs that Go encodes even when they are empty, such as a Deployment's `status: {}`. */
export function fillStructs(value: unknown, node: SchemaNode): void {
  if (Array.isArray(value)) {
    if (node.items !== undefined) for (const item of value) fillStructs(item, node.items);
    return;
  }
  if (!isJson(value)) return;
  for (const [name, field] of node.fields) {
    if (field.alwaysThere && !Object.hasOwn(value, name)) value[name] = emptyStruct(field);
  }
  for (const key of Object.keys(value)) {
    const child = childNode(node, key);
    if (child !== undefined && child.shape !== 'scalar' && child.shape !== 'any') fillStructs(value[key], child);
  }
}

/**
 * What Go encodes of a struct in which nothing is set: its structs, and the zero values of what is not `omitempty`,
 * which schemas call required. Ownership of a new object's fields is computed against it.
 */
export function emptyStruct(node: SchemaNode): Json {
  const out: Json = {};
  for (const name of node.required) {
    const field = node.fields.get(name);
    if (field?.shape === 'scalar') out[name] = zeroOf(field);
    else if (field?.shape === 'array') out[name] = null;
  }
  fillStructs(out, node);
  return out;
}

function zeroOf(field: SchemaNode): unknown {
  if (field.scalar === 'integer' || field.scalar === 'number') return 0;
  return field.scalar === 'boolean' ? false : '';
}
