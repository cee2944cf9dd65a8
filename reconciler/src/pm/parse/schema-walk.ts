import type { z } from 'zod';

/** The parts of a zod definition that a walk along a document needs. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

/** The schema behind `optional` and `default`. */
export function unwrap(schema: z.ZodType): z.ZodType {
  let current = schema;
  for (;;) {
    const inner = definition(current).innerType;
    if (inner === undefined) return current;
    current = inner;
  }
}

/** The schema of a field or list item; undefined where the schema knows none. */
export function childSchema(schema: z.ZodType | undefined, segment: string | number): z.ZodType | undefined {
  if (schema === undefined) return undefined;
  const { type, shape, element, valueType } = definition(unwrap(schema));
  switch (type) {
    case 'object':
      return shape?.[String(segment)];
    case 'array':
      return element;
    case 'record':
      return valueType;
    default:
      return undefined;
  }
}

/** Names that a map may have; empty where they are free. */
export function knownKeys(schema: z.ZodType | undefined): readonly string[] {
  return schema === undefined ? [] : Object.keys(definition(unwrap(schema)).shape ?? {});
}

function definition(schema: z.ZodType): Definition {
  return schema.def;
}
