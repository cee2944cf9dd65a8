import { existingPath, fieldAt, type FieldNode, leavesOf, wordsOf } from './fields.ts';
import type { Layer, Setting } from './layer.ts';
import { type ConfigProblem, suggestion } from './problems.ts';
import { readText } from './text-value.ts';

export interface EnvironmentOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Every setting is also the variable `<prefix><PATH_IN_UPPER_SNAKE_CASE>`; others of this prefix are refused. */
  readonly envPrefix: string;
  /** Further names of variables, with the dotted path of their setting. The name with the prefix wins over them. */
  readonly envNames?: Readonly<Record<string, string>> | undefined;
  /** Variables with the prefix that the program reads in its own way. */
  readonly envIgnored?: ((name: string) => boolean) | undefined;
}

/** The variable of a setting. */
export function variableName(prefix: string, path: readonly string[]): string {
  return prefix + wordsOf(path).join('_').toUpperCase();
}

/** Reads the environment. An empty variable counts as not set. */
export function readEnvironment(root: FieldNode, options: EnvironmentOptions): Layer {
  const { env, envPrefix, envNames = {} } = options;
  const settings: Setting[] = [];
  const problems: ConfigProblem[] = [];
  const known = new Map<string, readonly string[]>();
  for (const [name, path] of Object.entries(envNames)) known.set(name, existingPath(root, path));
  for (const { path } of leavesOf(root)) known.set(variableName(envPrefix, path), path);

  for (const [name, path] of known) {
    const text = env[name];
    const field = fieldAt(root, path);
    if (text === undefined || text === '' || field === undefined || isServiceUrl(name, text)) continue;
    const read = readText(text, field);
    const origin = `variable ${name}`;
    if ('value' in read) settings.push({ path, value: read.value, origin });
    else problems.push({ origin, path: path.join('.'), message: `expected ${read.expected}` });
  }
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(envPrefix) || envPrefix === '' || known.has(name) || text === undefined) continue;
    if (options.envIgnored?.(name) === true || isServiceLink(name, text)) continue;
    problems.push({
      origin: `variable ${name}`,
      path: '',
      message: `unknown setting${suggestion(name, known.keys())}`,
    });
  }
  return { settings, problems };
}

/**
 * Kubernetes sets variables such as `ODGM_PORT=tcp://10.0.0.7:80` in every pod beside a Service named `odgm`
 * (kubernetes.io, "Accessing the Service"). They are not meant for the program.
 */
function isServiceLink(name: string, value: string): boolean {
  return (
    isServiceUrl(name, value) ||
    /_SERVICE_HOST$|_SERVICE_PORT(?:_\w+)?$|_PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)$/.test(name)
  );
}

function isServiceUrl(name: string, value: string): boolean {
  return /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value);
}
