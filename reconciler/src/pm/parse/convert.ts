import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type YAMLMap,
} from 'yaml';
import type { z } from 'zod';
import { textFields } from '../model/schema.ts';
import { childSchema, unwrap } from './schema-walk.ts';

export interface Position {
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 units, as editors count. */
  readonly column: number;
}

export type Path = readonly (string | number)[];

/** Why a document cannot be converted, and where. */
export class ConversionError extends Error {
  readonly position: Position;
  readonly remedy: string;
  constructor(message: string, remedy: string, position: Position) {
    super(message);
    this.name = 'ConversionError';
    this.position = position;
    this.remedy = remedy;
  }
}

export interface Converted {
  readonly value: unknown;
  /** Where the value of a field stands; for a field that is absent, where the nearest one above it stands. */
  locate(path: Path): Position;
  /** Where the name of a field stands; falls back to {@link locate}. */
  locateKey(path: Path): Position;
}

/** Values of one document, aliases expanded. Over it the document is refused: 200 of 10 nested aliases would be 10^200 values. */
const valuesMax = 100_000;
/** Nesting of one document. Over it the document is refused. */
const depthMax = 64;

/**
 * Turns a YAML document into plain values and remembers where each stood. Fields without a value (`tags:`) are left out; where
 * `schema` says text, numbers and booleans keep the text of the file. Throws {@link ConversionError} over a bound.
 */
export function convert(document: Document, lines: LineCounter, schema: z.ZodType | undefined): Converted {
  const positions = new Map<string, Position>();
  const keyPositions = new Map<string, Position>();
  const expanding = new Set<Node>();
  let values = 0;
  /** The alias that is being expanded, seen from outside: where somebody has to look when it grows too big. */
  let outermost: Position | undefined;

  const at = (node: Node | null | undefined, fallback: Position): Position => {
    const offset = node?.range?.[0];
    if (offset === undefined) return fallback;
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };

  const resolve = (alias: Alias, position: Position): Node => {
    const target = alias.resolve(document);
    if (target === undefined) {
      throw new ConversionError(
        `the alias *${alias.source} has no anchor before it`,
        'Define the anchor first, or write the value out.',
        position,
      );
    }
    if (expanding.has(target)) {
      throw new ConversionError(`the alias *${alias.source} contains itself`, 'Write the value out.', position);
    }
    return target;
  };

  const visit = (node: unknown, path: Path, schemaHere: z.ZodType | undefined, parent: Position): unknown => {
    const position = at(node as Node | null, parent);
    values += 1;
    if (values > valuesMax) {
      throw new ConversionError(
        `the document expands to more than ${String(valuesMax)} values`,
        'Use fewer aliases, or split the document.',
        outermost ?? position,
      );
    }
    if (path.length > depthMax) {
      throw new ConversionError(
        `the document is nested deeper than ${String(depthMax)} levels`,
        'Make it flatter.',
        position,
      );
    }
    positions.set(pathText(path), position);
    if (isAlias(node)) {
      const target = resolve(node, position);
      const inner = outermost;
      outermost ??= position;
      expanding.add(target);
      const value = visit(target, path, schemaHere, position);
      expanding.delete(target);
      outermost = inner;
      positions.set(pathText(path), position);
      return value;
    }
    if (isScalar(node)) return scalarValue(node.value, node.source, schemaHere);
    if (isSeq(node)) {
      return node.items.map((item, index) => visit(item, [...path, index], childSchema(schemaHere, index), position));
    }
    if (isMap(node)) return visitMap(node, path, schemaHere, position);
    return null;
  };

  const visitMap = (map: YAMLMap, path: Path, schemaHere: z.ZodType | undefined, position: Position): unknown => {
    const result: Record<string, unknown> = {};
    const own = new Set<string>();
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null;
      const keyPosition = at(keyNode, position);
      if (!isScalar(keyNode)) {
        throw new ConversionError('a field name must be plain text', 'Write the field as name: value.', keyPosition);
      }
      const name = typeof keyNode.value === 'string' ? keyNode.value : (keyNode.source ?? String(keyNode.value));
      if (name === '<<') {
        mergeInto(result, own, pair.value, path, schemaHere, keyPosition);
        continue;
      }
      if (name === '__proto__')
        throw new ConversionError('a field cannot be named __proto__', 'Rename the field.', keyPosition);
      const here = [...path, name];
      keyPositions.set(pathText(here), keyPosition);
      const value = visit(pair.value, here, childSchema(schemaHere, name), keyPosition);
      own.add(name);
      // A merge before may have set it.
      if (value === null) Reflect.deleteProperty(result, name);
      else result[name] = value;
    }
    return result;
  };

  /** The merge key of YAML 1.1: fields of the map itself win over merged ones. */
  const mergeInto = (
    result: Record<string, unknown>,
    own: ReadonlySet<string>,
    source: unknown,
    path: Path,
    schemaHere: z.ZodType | undefined,
    position: Position,
  ): void => {
    const merged = visit(source, path, schemaHere, position);
    const parts: readonly unknown[] = Array.isArray(merged) ? merged : [merged];
    for (const part of parts) {
      if (typeof part !== 'object' || part === null || Array.isArray(part)) {
        throw new ConversionError('<< takes a map or a list of maps', 'Point it at an anchored map.', position);
      }
      for (const [name, value] of Object.entries(part)) if (!own.has(name) && !(name in result)) result[name] = value;
    }
  };

  const start: Position = at(document.contents, { line: 1, column: 1 });
  const value = visit(document.contents, [], schema, start);
  const nearest = (path: Path): Position => {
    for (let length = path.length; length >= 0; length -= 1) {
      const found = positions.get(pathText(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return start;
  };
  return { value, locate: nearest, locateKey: (path) => keyPositions.get(pathText(path)) ?? nearest(path) };
}

function scalarValue(value: unknown, source: string | undefined, schema: z.ZodType | undefined): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (
    (typeof value === 'number' || typeof value === 'boolean') &&
    schema !== undefined &&
    textFields.get(unwrap(schema)) !== undefined
  ) {
    return source ?? String(value);
  }
  return value ?? null;
}

/** `classes[0].key`, as messages name a field. */
export function pathText(path: Path): string {
  let text = '';
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${String(segment)}]`;
    else text += text === '' ? segment : `.${segment}`;
  }
  return text;
}
