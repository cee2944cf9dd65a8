import { z } from 'zod';
import { invariant } from '../errors/index.ts';
import { parseDuration } from '../time/index.ts';

/** Marks a setting as secret: it prints as `***`, and no error message shows its value. The type stays. */
export function secret<S extends z.ZodType>(schema: S): S {
  return schema.meta({ ...schema.meta(), secret: true });
}

/** A duration: text such as `15s` or `500ms`, or a number of milliseconds. The value is milliseconds, at least 0. */
export function duration() {
  return z
    .union([z.number().min(0), z.string()])
    .transform((value, context): number => {
      if (typeof value === 'number') return value;
      if (/^\d+$/.test(value)) return Number(value);
      try {
        return parseDuration(value);
      } catch {
        context.addIssue('expected a duration such as 500ms, 15s, 2m or 1h30m');
        return z.NEVER;
      }
    })
    .meta({ placeholder: 'duration' });
}

/** What kind of text a setting takes, and how it divides into further settings. */
export interface FieldNode {
  readonly kind: 'object' | 'list' | 'record' | 'number' | 'boolean' | 'text' | 'choice' | 'other';
  /** The schema without wrappers. */
  readonly schema: z.core.$ZodType;
  /** Settings of an object by name. */
  readonly fields: ReadonlyMap<string, FieldNode>;
  /** Of a list or a record: its values. */
  readonly element: FieldNode | undefined;
  /** The object takes names beyond `fields`. */
  readonly isOpen: boolean;
  readonly isOptional: boolean;
  readonly isSecret: boolean;
  readonly description: string | undefined;
  readonly placeholder: string;
  /** Default of the schema, in the form of its input or output. */
  readonly fallback: unknown;
}

const noFields: ReadonlyMap<string, FieldNode> = new Map();

interface Wrapping {
  isOptional: boolean;
  isSecret: boolean;
  description: string | undefined;
  placeholder: string | undefined;
  fallback: unknown;
}

/** Reads a zod schema as a tree of settings. */
export function describeField(schema: z.core.$ZodType): FieldNode {
  const wrapping: Wrapping = {
    isOptional: false,
    isSecret: false,
    description: undefined,
    placeholder: undefined,
    fallback: undefined,
  };
  const inner = unwrap(schema, wrapping);
  return { ...wrapping, schema: inner, ...shape(inner, wrapping.placeholder) };
}

function unwrap(schema: z.core.$ZodType, wrapping: Wrapping): z.core.$ZodType {
  const meta = z.globalRegistry.get(schema) as
    { secret?: boolean; description?: string; placeholder?: string } | undefined;
  wrapping.isSecret ||= meta?.secret === true;
  wrapping.description ??= meta?.description;
  wrapping.placeholder ??= meta?.placeholder;
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'optional':
    case 'nullable':
      wrapping.isOptional = true;
      return unwrap(def.innerType, wrapping);
    case 'default':
    case 'prefault':
      wrapping.fallback ??= def.defaultValue;
      return unwrap(def.innerType, wrapping);
    case 'readonly':
    case 'nonoptional':
    case 'catch':
      return unwrap(def.innerType, wrapping);
    case 'pipe':
      return unwrap((def.in as z.core.$ZodTypes)._zod.def.type === 'transform' ? def.out : def.in, wrapping);
    default:
      return schema;
  }
}

type Shape = Pick<FieldNode, 'kind' | 'fields' | 'element' | 'isOpen' | 'placeholder'>;

function shape(schema: z.core.$ZodType, placeholder: string | undefined): Shape {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const leaf = (kind: FieldNode['kind'], text: string): Shape => ({
    kind,
    fields: noFields,
    element: undefined,
    isOpen: false,
    placeholder: placeholder ?? text,
  });
  switch (def.type) {
    case 'object':
      return {
        ...leaf('object', 'object'),
        fields: new Map(Object.entries(def.shape).map(([name, field]) => [name, describeField(field)])),
        isOpen: def.catchall !== undefined && (def.catchall as z.core.$ZodTypes)._zod.def.type !== 'never',
      };
    case 'array':
      return { ...leaf('list', 'a,b,c'), element: describeField(def.element) };
    case 'record':
      return { ...leaf('record', 'name=value,…'), element: describeField(def.valueType) };
    case 'number':
      return leaf('number', 'number');
    case 'boolean':
      return leaf('boolean', 'true|false');
    case 'string':
      return leaf('text', 'text');
    case 'enum':
      return leaf('choice', Object.values(def.entries).join('|'));
    case 'literal':
      return leaf('choice', def.values.map(String).join('|'));
    default:
      return leaf('other', 'value');
  }
}

/** A setting that takes a value: everything but objects with fields. */
export interface Leaf {
  readonly path: readonly string[];
  readonly field: FieldNode;
}

export function leavesOf(field: FieldNode, path: readonly string[] = []): Leaf[] {
  if (field.kind !== 'object' || field.fields.size === 0) return [{ path, field }];
  return [...field.fields].flatMap(([name, child]) => leavesOf(child, [...path, name]));
}

/** The field at `path`, if the schema has it; entries of lists and records are found by any name. */
export function fieldAt(root: FieldNode, path: readonly PropertyKey[]): FieldNode | undefined {
  let field: FieldNode | undefined = root;
  for (const name of path) field = field?.fields.get(String(name)) ?? field?.element;
  return field;
}

/** The parts of a dotted path that the program itself names. Throws `Internal` when the schema does not have it. */
export function existingPath(root: FieldNode, dotted: string): readonly string[] {
  const path = dotted.split('.');
  invariant(fieldAt(root, path) !== undefined, `the schema has no setting "${dotted}"`);
  return path;
}

/** `pollIntervalMs` of `git` as its words: git, poll, interval, ms. */
export function wordsOf(path: readonly string[]): string[] {
  return path.flatMap((name) =>
    name
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
      .split(/[\s_-]+/)
      .map((word) => word.toLowerCase()),
  );
}
