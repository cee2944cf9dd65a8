import { isJson, type Json } from '../types.ts';
import { ANY_NODE, childNode, type SchemaNode } from './schema.ts';

/** What decoding found besides the value. */
export interface DecodeFindings {
  /** Paths of fields that the schema does not know, such as `spec.foo`. They were dropped. */
  readonly unknown: string[];
  /** Go's complaints about values of the wrong type. */
  readonly mistyped: string[];
}

/** How the two kinds of schemas differ when a request's body is decoded. */
export type DecodeMode =
  /** Built-in kinds: null and a missing field are the same, a wrong type is an error. */
  | 'native'
  /** Custom resources: null stays until defaulting prunes it, types are checked by validation. */
  | 'custom';

/**
 * Returns `value` without what its schema does not know. Never changes its input.
 * `findings` collects what was dropped or cannot be decoded.
 */
export function normalise(
  value: unknown,
  node: SchemaNode,
  mode: DecodeMode,
  findings: DecodeFindings,
  path = '',
): unknown {
  if (node === ANY_NODE || node.shape === 'any') return value;
  if (value === null) return value;
  switch (node.shape) {
    case 'object': {
      if (!isJson(value)) return mistyped(value, node, mode, findings, path);
      return normaliseObject(value, node, mode, findings, path);
    }
    case 'array': {
      if (!Array.isArray(value)) return mistyped(value, node, mode, findings, path);
      const items = node.items ?? ANY_NODE;
      return value.map((item, index) => normalise(item, items, mode, findings, `${path}[${String(index)}]`));
    }
    case 'scalar':
      return hasScalarType(value, node) ? value : mistyped(value, node, mode, findings, path);
  }
}

function normaliseObject(
  value: Json,
  node: SchemaNode,
  mode: DecodeMode,
  findings: DecodeFindings,
  path: string,
): Json {
  const out: Json = {};
  for (const key of Object.keys(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const child = embeddedField(node, key) ?? childNode(node, key);
    if (child === undefined) {
      findings.unknown.push(at);
      continue;
    }
    const inner = normalise(value[key], child, mode, findings, at);
    if (mode === 'native' && (inner === null || inner === undefined)) continue;
    out[key] = inner;
  }
  return out;
}

/** apiVersion, kind and metadata of an embedded resource are known without being declared. */
function embeddedField(node: SchemaNode, key: string): SchemaNode | undefined {
  return node.embedded && (key === 'apiVersion' || key === 'kind' || key === 'metadata') ? ANY_NODE : undefined;
}

function mistyped(value: unknown, node: SchemaNode, mode: DecodeMode, findings: DecodeFindings, path: string): unknown {
  if (mode === 'native') {
    const found = Array.isArray(value)
      ? 'array'
      : isJson(value)
        ? 'object'
        : typeof value === 'boolean'
          ? 'bool'
          : typeof value;
    findings.mistyped.push(`json: cannot unmarshal ${found} into Go struct field ${path} of type ${goType(node)}`);
  }
  return value;
}

function goType(node: SchemaNode): string {
  if (node.shape === 'array') return '[]';
  if (node.shape === 'object') return 'map';
  switch (node.scalar) {
    case 'integer':
      return node.format ?? 'int64';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float64';
    default:
      return 'string';
  }
}

export function hasScalarType(value: unknown, node: SchemaNode): boolean {
  switch (node.scalar) {
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'int-or-string':
      return typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value));
    case 'quantity':
      return typeof value === 'string' || typeof value === 'number';
    case 'string':
    case undefined:
      return typeof value === 'string';
  }
}
