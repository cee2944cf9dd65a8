import { fieldErrors, type FieldError } from '../status.ts';
import { deepEqual, isJson, type Json } from '../types.ts';
import { hasScalarType } from './normalise.ts';
import { childNode, type RawSchema, type SchemaNode } from './schema.ts';

const MAX_ERRORS = 50;

/**
 * Checks a value against its schema: types, required fields, enums, bounds, patterns, lists' keys, and the
 * value validations under allOf, anyOf, oneOf and not. CEL rules are not evaluated. Finds at most 50 errors.
 * @param nulls whether null stands for absent, as in what Go encodes of built-in kinds.
 */
export function validateSchema(value: unknown, node: SchemaNode, nulls: 'allowed' | 'checked'): FieldError[] {
  const found: FieldError[] = [];
  walk(value, node, '', { found, areNullsAllowed: nulls === 'allowed' });
  return found;
}

interface Walk {
  readonly found: FieldError[];
  readonly areNullsAllowed: boolean;
}

function walk(value: unknown, node: SchemaNode, path: string, state: Walk): void {
  const { found } = state;
  if (found.length >= MAX_ERRORS) return;
  if (value === null && (node.nullable || state.areNullsAllowed || node.shape === 'any')) return;
  const wrong = wrongType(value, node);
  if (wrong !== undefined) {
    found.push(
      fieldErrors.type(
        path === '' ? '<nil>' : path,
        typeName(value),
        `${path} in body must be of type ${wrong}: ${JSON.stringify(typeName(value))}`,
      ),
    );
    return;
  }
  checkValue(value, node.raw, path, found);
  if (Array.isArray(value)) {
    checkListKeys(value, node, path, found);
    if (node.items !== undefined)
      for (const [index, item] of value.entries()) walk(item, node.items, `${path}[${String(index)}]`, state);
    return;
  }
  if (!isJson(value)) return;
  for (const name of node.required) {
    if (!Object.hasOwn(value, name)) found.push(fieldErrors.required(join(path, name)));
  }
  for (const key of Object.keys(value)) {
    const child = childNode(node, key);
    if (child !== undefined) walk(value[key], child, join(path, key), state);
  }
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function shown(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'array' : 'object') : value;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function wrongType(value: unknown, node: SchemaNode): string | undefined {
  switch (node.shape) {
    case 'any':
      return undefined;
    case 'object':
      return isJson(value) ? undefined : 'object';
    case 'array':
      return Array.isArray(value) ? undefined : 'array';
    case 'scalar':
      if (hasScalarType(value, node)) return undefined;
      return node.scalar === 'int-or-string' ? 'integer,string' : (node.scalar ?? 'string');
  }
}

function checkListKeys(list: readonly unknown[], node: SchemaNode, path: string, found: FieldError[]): void {
  if (node.listType === 'atomic') return;
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const at = `${path}[${String(index)}]`;
    let key = JSON.stringify(item);
    let shownKey: unknown = item;
    if (node.listType === 'map') {
      if (!isJson(item)) continue;
      const keys: Json = Object.fromEntries(
        node.listKeys.map((name) => [name, item[name] ?? node.items?.fields.get(name)?.default]),
      );
      key = JSON.stringify(keys);
      shownKey = keys;
    }
    if (seen.has(key)) found.push(fieldErrors.duplicate(at, shownKey));
    seen.add(key);
  }
}

function checkValue(value: unknown, raw: RawSchema, path: string, found: FieldError[]): void {
  const add = (detail: string): void => {
    found.push(fieldErrors.invalid(path, shown(value), `${path} in body ${detail}`));
  };
  if (raw.enum !== undefined && !raw.enum.some((item) => deepEqual(item, value))) {
    found.push(fieldErrors.unsupported(path, value, raw.enum));
  }
  if (typeof value === 'string') {
    const length = Array.from(value).length;
    if (raw.minLength !== undefined && length < raw.minLength)
      add(`should be at least ${String(raw.minLength)} chars long`);
    if (raw.maxLength !== undefined && length > raw.maxLength) {
      found.push({
        field: path,
        reason: 'FieldValueTooLong',
        message: `Too long: may not be more than ${String(raw.maxLength)} bytes`,
      });
    }
    if (raw.pattern !== undefined && !patternOf(raw.pattern).test(value)) add(`should match '${raw.pattern}'`);
    const format = raw.format === undefined ? undefined : FORMATS[raw.format];
    if (format !== undefined && !format(value)) add(`must be of type ${raw.format ?? ''}: ${JSON.stringify(value)}`);
    return;
  }
  if (typeof value === 'number') {
    if (raw.minimum !== undefined && (raw.exclusiveMinimum === true ? value <= raw.minimum : value < raw.minimum)) {
      add(
        `should be ${raw.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to'} ${String(raw.minimum)}`,
      );
    }
    if (raw.maximum !== undefined && (raw.exclusiveMaximum === true ? value >= raw.maximum : value > raw.maximum)) {
      add(`should be ${raw.exclusiveMaximum === true ? 'less than' : 'less than or equal to'} ${String(raw.maximum)}`);
    }
    if (raw.multipleOf !== undefined && !isMultiple(value, raw.multipleOf))
      add(`should be a multiple of ${String(raw.multipleOf)}`);
    if (raw.format === 'int32' && (value > 2_147_483_647 || value < -2_147_483_648)) add('must be of type int32');
    return;
  }
  if (Array.isArray(value)) {
    if (raw.minItems !== undefined && value.length < raw.minItems)
      add(`should have at least ${String(raw.minItems)} items`);
    if (raw.maxItems !== undefined && value.length > raw.maxItems) {
      found.push({
        field: path,
        reason: 'FieldValueTooMany',
        message: `Too many: ${String(value.length)}: must have at most ${String(raw.maxItems)} items`,
      });
    }
  } else if (isJson(value)) {
    const size = Object.keys(value).length;
    if (raw.minProperties !== undefined && size < raw.minProperties)
      add(`should have at least ${String(raw.minProperties)} properties`);
    if (raw.maxProperties !== undefined && size > raw.maxProperties) {
      found.push({
        field: path,
        reason: 'FieldValueTooMany',
        message: `Too many: ${String(size)}: must have at most ${String(raw.maxProperties)} items`,
      });
    }
  }
  checkJunctors(value, raw, path, found);
}

function checkJunctors(value: unknown, raw: RawSchema, path: string, found: FieldError[]): void {
  for (const part of raw.allOf ?? []) found.push(...partErrors(value, part, path));
  if (
    raw.anyOf !== undefined &&
    raw['x-kubernetes-int-or-string'] !== true &&
    !raw.anyOf.some((part) => holds(value, part, path))
  ) {
    found.push(fieldErrors.invalid(path, shown(value), `${path} in body must validate at least one schema (anyOf)`));
  }
  if (raw.oneOf !== undefined && raw.oneOf.filter((part) => holds(value, part, path)).length !== 1) {
    found.push(
      fieldErrors.invalid(path, shown(value), `${path} in body must validate one and only one schema (oneOf)`),
    );
  }
  if (raw.not !== undefined && holds(value, raw.not, path)) {
    found.push(fieldErrors.invalid(path, shown(value), `${path} in body must not validate the schema (not)`));
  }
}

function holds(value: unknown, raw: RawSchema, path: string): boolean {
  return partErrors(value, raw, path).length === 0;
}

/** The errors of a schema that stands under a junctor: value validations and required fields, on any level. */
function partErrors(value: unknown, raw: RawSchema, path: string): FieldError[] {
  const found: FieldError[] = [];
  checkValue(value, raw, path, found);
  if (typeof value === 'string' || typeof value === 'number') checkJunctors(value, raw, path, found);
  if (isJson(value)) {
    for (const name of raw.required ?? [])
      if (!Object.hasOwn(value, name)) found.push(fieldErrors.required(join(path, name)));
    for (const [name, field] of Object.entries(raw.properties ?? {})) {
      if (Object.hasOwn(value, name)) found.push(...partErrors(value[name], field, join(path, name)));
    }
  }
  if (Array.isArray(value) && raw.items !== undefined) {
    for (const [index, item] of value.entries())
      found.push(...partErrors(item, raw.items, `${path}[${String(index)}]`));
  }
  return found;
}

function isMultiple(value: number, of: number): boolean {
  const quotient = value / of;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9;
}

/** Patterns are Go's RE2 without `u`; what JavaScript cannot read matches everything rather than refusing objects. */
function patternOf(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    try {
      return new RegExp(pattern);
    } catch {
      return /(?:)/;
    }
  }
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const DURATION = /^(-?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))+$|^0$/;

const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: (value) => DURATION.test(value),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  uuid: (value) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(value),
  ipv4: (value) => /^(\d{1,3}\.){3}\d{1,3}$/.test(value) && value.split('.').every((part) => Number(part) < 256),
  uri: (value) => URL.canParse(value),
};
