import { variableName } from './environment.ts';
import { flagName } from './flags.ts';
import { type FieldNode, leavesOf } from './fields.ts';

export interface HelpOptions {
  /** Name of the program in the usage line. */
  readonly program?: string | undefined;
  readonly envPrefix: string;
  readonly envNames?: Readonly<Record<string, string>> | undefined;
  readonly flagNames?: Readonly<Record<string, string>> | undefined;
}

/** The text of `--help`: every setting with its flag, its variables, its meaning and its default. */
export function helpText(root: FieldNode, options: HelpOptions): string {
  const { envNames = {}, flagNames = {} } = options;
  const namesOf = (names: Readonly<Record<string, string>>, path: string) =>
    Object.keys(names).filter((name) => names[name] === path);
  const blocks = leavesOf(root).map(({ path, field }) => {
    const dotted = path.join('.');
    const flags = [flagName(path), ...namesOf(flagNames, dotted)].map((name) => `--${name}`);
    const variables = [variableName(options.envPrefix, path), ...namesOf(envNames, dotted)];
    return [
      `  ${flags.join(', ')} <${field.placeholder}>`,
      `      ${variables.join(', ')}`,
      ...(field.description === undefined ? [] : [`      ${field.description}`]),
      ...(field.fallback === undefined || field.isSecret ? [] : [`      default: ${JSON.stringify(field.fallback)}`]),
    ].join('\n');
  });
  return [
    `Usage: ${options.program ?? 'program'} [flags]`,
    '',
    'A flag wins over a variable, a variable over the file, the file over the profile, the profile over the default.',
    '',
    ...blocks,
    '  --print-config',
    '      Print the configuration with the origin of each value, and exit.',
    '  --help',
  ].join('\n');
}
