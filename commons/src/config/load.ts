import { existsSync } from 'node:fs';
import type { z } from 'zod';
import { ExitRequest } from '../errors/index.ts';
import { type EnvironmentOptions, readEnvironment } from './environment.ts';
import { describeField, type FieldNode, leavesOf } from './fields.ts';
import { readFile } from './file.ts';
import { type FlagOptions, readFlags } from './flags.ts';
import { helpText } from './help.ts';
import type { Layer, Setting } from './layer.ts';
import { printConfig } from './print.ts';
import { configInvalid, suggestion } from './problems.ts';

export type DeepReadonly<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T;

export interface LoadConfigOptions<S extends z.ZodObject> extends EnvironmentOptions, FlagOptions {
  readonly schema: S;
  /** Values under all others, beside the defaults of the schema. */
  readonly defaults?: DeepPartial<z.input<S>> | undefined;
  /** Named sets of values between the defaults and the file. */
  readonly profiles?: Readonly<Record<string, DeepPartial<z.input<S>>>> | undefined;
  /** Dotted path of the setting that names the profile. */
  readonly profileKey?: string | undefined;
  /** Path of a YAML or TOML (`.toml`) file. Absent: no file. */
  readonly file?: string | undefined;
  /** A file that does not exist counts as empty. Default false. */
  readonly fileOptional?: boolean | undefined;
  /** Name of the program in `--help`. */
  readonly program?: string | undefined;
}

export interface LoadedConfig<T> {
  /** Complete, checked and frozen. */
  readonly config: DeepReadonly<T>;
  /** Where each value comes from, by dotted path. */
  readonly origins: Readonly<Record<string, string>>;
  /** YAML with the origin of each value, secrets redacted. */
  print(): string;
}

/**
 * Reads the configuration of a program, once: defaults < profile < file < environment < flags. A later place replaces a
 * whole value; lists and records are values. Throws `ConfigInvalid` with everything that is wrong at once, unknown names
 * included, and {@link ExitRequest} for `--help` and `--print-config`.
 */
export function loadConfig<S extends z.ZodObject>(options: LoadConfigOptions<S>): LoadedConfig<z.output<S>> {
  const root = describeField(options.schema);
  const flags = options.flags.filter((flag) => flag !== '--help' && flag !== '-h' && flag !== '--print-config');
  if (options.flags.includes('--help') || options.flags.includes('-h'))
    throw new ExitRequest(0, helpText(root, options));

  const hasFile =
    options.file !== undefined && (options.fileOptional !== true || existsSync(options.file))
      ? options.file
      : undefined;
  const file = hasFile === undefined ? undefined : readFile(root, hasFile);
  const explicit = [
    file ?? noLayer,
    readEnvironment(root, options),
    readFlags(root, { flags, flagNames: options.flagNames }),
  ];
  const defaults = settingsOf(root, options.defaults, 'default');
  const layers = [defaults, profileLayer(root, options, [defaults, ...explicit]), ...explicit];

  const input = emptyInput(root);
  const origins: Record<string, string> = {};
  for (const { path, value, origin } of layers.flatMap((layer) => layer.settings)) {
    if (!assign(input, path, value)) continue;
    origins[path.join('.')] = origin;
  }
  const problems = layers.flatMap((layer) => layer.problems);
  const parsed = options.schema.safeParse(input);
  if (!parsed.success) {
    const reported = new Set(problems.map((problem) => problem.path));
    for (const issue of parsed.error.issues) {
      const path = issue.path.map(String).join('.');
      if (reported.has(path) || issue.code === 'unrecognized_keys') continue;
      problems.push({ origin: originOf(issue.path, origins, file), path, message: lowerFirst(issue.message) });
    }
  }
  if (problems.length > 0 || !parsed.success) throw configInvalid(problems);

  const loaded: LoadedConfig<z.output<S>> = {
    config: deepFreeze(parsed.data) as DeepReadonly<z.output<S>>,
    origins: Object.freeze(
      Object.fromEntries(leavesOf(root).map(({ path }) => [path.join('.'), origins[path.join('.')] ?? 'default'])),
    ),
    print: () => printConfig(root, parsed.data, origins),
  };
  if (options.flags.includes('--print-config')) throw new ExitRequest(0, loaded.print().trimEnd());
  return loaded;
}

const noLayer: Layer = { settings: [], problems: [] };

function settingsOf(root: FieldNode, values: unknown, origin: string): Layer {
  const settings: Setting[] = [];
  const visit = (field: FieldNode | undefined, value: unknown, path: readonly string[]): void => {
    if (value === undefined) return;
    if (field?.kind !== 'object' || typeof value !== 'object' || value === null) {
      settings.push({ path, value, origin });
      return;
    }
    for (const [name, child] of Object.entries(value)) visit(field.fields.get(name), child, [...path, name]);
  };
  visit(root, values, []);
  return { settings, problems: [] };
}

/** The profile is chosen before it is applied, by what the other places say. */
function profileLayer<S extends z.ZodObject>(
  root: FieldNode,
  options: LoadConfigOptions<S>,
  layers: readonly Layer[],
): Layer {
  const { profiles, profileKey } = options;
  if (profiles === undefined || profileKey === undefined) return noLayer;
  const leaf = leavesOf(root).find(({ path }) => path.join('.') === profileKey);
  const chosen = layers.flatMap((layer) => layer.settings).findLast(({ path }) => path.join('.') === profileKey);
  const name = chosen?.value ?? leaf?.field.fallback;
  if (name === undefined) return noLayer;
  if (typeof name === 'string' && Object.hasOwn(profiles, name)) {
    return settingsOf(root, profiles[name], `profile "${name}"`);
  }
  const known = Object.keys(profiles);
  const hint = typeof name === 'string' ? suggestion(name, known) : '';
  const message = `there is no such profile; known are ${known.join(', ')}${hint}`;
  return { settings: [], problems: [{ origin: chosen?.origin ?? 'default', path: profileKey, message }] };
}

type Input = Record<string, unknown>;

/** Objects that are not optional exist even when no setting in them is given, so that their defaults apply. */
function emptyInput(field: FieldNode): Input {
  const input: Input = {};
  for (const [name, child] of field.fields) {
    if (child.kind !== 'object' || (child.isOptional && child.fallback === undefined)) continue;
    input[name] = { ...emptyInput(child), ...structuredClone(child.fallback as Input | undefined) };
  }
  return input;
}

function assign(input: Input, path: readonly string[], value: unknown): boolean {
  const last = path.at(-1);
  if (last === undefined) return false;
  let target = input;
  for (const name of path.slice(0, -1)) {
    const next = target[name];
    if (typeof next === 'object' && next !== null && !Array.isArray(next)) target = next as Input;
    else target = target[name] = {} as Input;
  }
  // A file may hold any name; this one would change the prototype instead of the value.
  if (last === '__proto__') return false;
  target[last] = value;
  return true;
}

function originOf(
  path: readonly PropertyKey[],
  origins: Readonly<Record<string, string>>,
  file: ReturnType<typeof readFile> | undefined,
): string {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = origins[path.slice(0, length).map(String).join('.')];
    if (origin === undefined) continue;
    return file !== undefined && origin === file.originOf(path.slice(0, length)) ? file.originOf(path) : origin;
  }
  return 'default';
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function deepFreeze<T>(value: T): T {
  // Bytes cannot be frozen, and nothing in a configuration changes them.
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
