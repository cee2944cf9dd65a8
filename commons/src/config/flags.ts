import { existingPath, fieldAt, type FieldNode, leavesOf, wordsOf } from './fields.ts';
import type { Layer, Setting } from './layer.ts';
import { type ConfigProblem, suggestion } from './problems.ts';
import { readText } from './text-value.ts';

export interface FlagOptions {
  /** Arguments of the program, without its name. */
  readonly flags: readonly string[];
  /** Further names of flags (without dashes), with the dotted path of their setting. */
  readonly flagNames?: Readonly<Record<string, string>> | undefined;
}

/** The flag of a setting, without dashes. */
export function flagName(path: readonly string[]): string {
  return wordsOf(path).join('-');
}

/**
 * Reads `--name value`, `--name=value`, `--switch` and `--no-switch`. Of a flag that is given twice the last counts,
 * but a list collects them.
 */
export function readFlags(root: FieldNode, options: FlagOptions): Layer {
  const known = new Map<string, readonly string[]>();
  for (const { path } of leavesOf(root)) known.set(flagName(path), path);
  for (const [name, path] of Object.entries(options.flagNames ?? {})) known.set(name, existingPath(root, path));
  const collected = new Map<string, Setting>();
  const problems: ConfigProblem[] = [];

  const rest = [...options.flags];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const match = /^--?([^=]+)(?:=(.*))?$/s.exec(argument);
    const origin = match === null ? `argument "${argument}"` : `flag --${match[1] ?? ''}`;
    const target = match === null ? undefined : resolve(root, known, match[1] ?? '');
    if (target === undefined) {
      if (match !== null && rest[0]?.startsWith('-') === false && match[2] === undefined) rest.shift();
      const hint = suggestion(match?.[1] ?? argument, known.keys());
      problems.push({ origin, path: '', message: match === null ? 'not expected here' : `unknown setting${hint}` });
      continue;
    }
    const path = target.path.join('.');
    const text = match?.[2] ?? target.implied ?? rest.shift();
    const read = text === undefined ? { expected: 'a value' } : readText(text, target.field);
    if ('expected' in read) {
      problems.push({ origin, path, message: `expected ${read.expected}` });
      continue;
    }
    const before = collected.get(path)?.value;
    const value = isList(before) && isList(read.value) ? [...before, ...read.value] : read.value;
    collected.set(path, { path: target.path, value, origin });
  }
  return { settings: [...collected.values()], problems };
}

interface Target {
  readonly path: readonly string[];
  readonly field: FieldNode;
  /** Value of a switch that is given alone. */
  readonly implied: string | undefined;
}

function resolve(root: FieldNode, known: ReadonlyMap<string, readonly string[]>, name: string): Target | undefined {
  const path = known.get(name);
  const field = path && fieldAt(root, path);
  if (path !== undefined && field !== undefined) {
    return { path, field, implied: field.kind === 'boolean' ? 'true' : undefined };
  }
  if (!name.startsWith('no-')) return undefined;
  const positive = resolve(root, known, name.slice(3));
  return positive?.field.kind === 'boolean' ? { ...positive, implied: 'false' } : undefined;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
