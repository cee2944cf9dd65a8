import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { toOaasError } from '../errors/index.ts';
import type { FieldNode } from './fields.ts';
import type { Layer, Setting } from './layer.ts';
import { type ConfigProblem, suggestion } from './problems.ts';

/** Largest configuration file that is read; a larger one is refused. */
const fileBytesMax = 4 * 1024 * 1024;

interface ParsedFile {
  readonly value: unknown;
  /** Line (from 1) of the setting at a dotted path, or of the nearest one above it. */
  lineOf(path: readonly PropertyKey[]): number | undefined;
}

export interface FileLayer extends Layer {
  /** `name:line` of a setting. */
  originOf(path: readonly PropertyKey[]): string;
}

/** Reads a YAML or (by its ending) TOML file. */
export function readFile(root: FieldNode, file: string): FileLayer {
  const name = basename(file);
  const failed = (origin: string, message: string): FileLayer => ({
    settings: [],
    problems: [{ origin, path: '', message }],
    originOf: () => name,
  });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return failed(file, `cannot be read: ${toOaasError(error).message}`);
  }
  if (Buffer.byteLength(text) > fileBytesMax) return failed(file, `is larger than ${String(fileBytesMax)} bytes`);
  const parsed = extname(file) === '.toml' ? readToml(text) : readYaml(text);
  if ('line' in parsed) return failed(`${name}:${String(parsed.line)}`, parsed.message);

  const originOf = (path: readonly PropertyKey[]): string => {
    const line = parsed.lineOf(path);
    return line === undefined ? name : `${name}:${String(line)}`;
  };
  const layer = { settings: [] as Setting[], problems: [] as ConfigProblem[], originOf };
  if (parsed.value !== null && parsed.value !== undefined) collect(root, parsed.value, [], layer);
  return layer;
}

/** Takes the values of the known settings below `field` over into the layer, and names the unknown ones. */
function collect(
  field: FieldNode,
  value: unknown,
  path: readonly string[],
  layer: { settings: Setting[]; problems: ConfigProblem[]; originOf: FileLayer['originOf'] },
): void {
  if (field.kind !== 'object' || typeof value !== 'object' || value === null || Array.isArray(value)) {
    layer.settings.push({ path, value, origin: layer.originOf(path) });
    layer.problems.push(...unknownWithin(field, value, path, layer.originOf));
    return;
  }
  for (const [name, child] of Object.entries(value)) {
    const at = [...path, name];
    const known = field.fields.get(name);
    if (known !== undefined) collect(known, child, at, layer);
    else if (field.isOpen) layer.settings.push({ path: at, value: child, origin: layer.originOf(at) });
    else layer.problems.push(unknown(field, at, layer.originOf));
  }
}

/** Unknown names inside the entries of a list or a record. */
function unknownWithin(
  field: FieldNode,
  value: unknown,
  path: readonly string[],
  originOf: FileLayer['originOf'],
): ConfigProblem[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, child]) => {
    const at = [...path, name];
    const known = field.kind === 'object' ? field.fields.get(name) : field.element;
    if (known !== undefined) return unknownWithin(known, child, at, originOf);
    return field.kind === 'object' && !field.isOpen ? [unknown(field, at, originOf)] : [];
  });
}

function unknown(field: FieldNode, path: readonly string[], originOf: FileLayer['originOf']): ConfigProblem {
  const hint = suggestion(path.at(-1) ?? '', field.fields.keys());
  return { origin: originOf(path), path: path.join('.'), message: `unknown setting${hint}` };
}

interface Failure {
  readonly line: number;
  readonly message: string;
}

function readYaml(text: string): ParsedFile | Failure {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) return { line: lines.linePos(error.pos[0]).line, message: error.message };
  const known = new Map<string, number>();
  const visit = (node: unknown, path: string): void => {
    if (isMap(node)) {
      for (const pair of node.items) {
        if (!isPair(pair) || !isScalar(pair.key)) continue;
        const at = join(path, String(pair.key.value));
        if (pair.key.range) known.set(at, lines.linePos(pair.key.range[0]).line);
        visit(pair.value, at);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        visit(item, join(path, String(index)));
      });
    }
  };
  visit(document.contents, '');
  return { value: document.toJS({ maxAliasCount: 100 }) as unknown, lineOf: nearest(known) };
}

function readToml(text: string): ParsedFile | Failure {
  let value: unknown;
  try {
    value = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return { line: error.line, message: error.message.split('\n', 1)[0] ?? 'not valid TOML' };
  }
  const known = new Map<string, number>();
  let table = '';
  text.split('\n').forEach((line, index) => {
    const header = /^\s*\[([^[\]]+)\]\s*(?:#.*)?$/.exec(line)?.[1];
    const key = /^\s*([\w."'-]+)\s*=/.exec(line)?.[1];
    if (header !== undefined) table = header.replaceAll(/[\s"']/g, '');
    const at = header === undefined ? key && join(table, key.replaceAll(/["']/g, '')) : table;
    if (at !== undefined) known.set(at, index + 1);
  });
  return { value, lineOf: nearest(known) };
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function nearest(known: ReadonlyMap<string, number>): ParsedFile['lineOf'] {
  return (path) => {
    for (let length = path.length; length > 0; length -= 1) {
      const line = known.get(path.slice(0, length).map(String).join('.'));
      if (line !== undefined) return line;
    }
    return undefined;
  };
}
