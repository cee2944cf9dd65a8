import type { DocumentProblem } from '@oaas/commons/client/pm';
import type { z } from 'zod';
import { type Converted, type Path, pathText, type Position } from './convert.ts';
import { childSchema, knownKeys } from './schema-walk.ts';

export type Issue = z.core.$ZodIssue;

export interface ProblemOptions {
  readonly severity?: 'error' | 'warning';
  readonly code?: DocumentProblem['code'];
  readonly message: string;
  readonly remedy: string;
  readonly path: string;
  readonly at: Position;
  readonly field?: string;
}

/** A problem with a document. Default: an error with code PackageInvalid. */
export function problem(options: ProblemOptions): DocumentProblem {
  return {
    severity: options.severity ?? 'error',
    code: options.code ?? 'PackageInvalid',
    message: options.message,
    remedy: options.remedy,
    path: options.path,
    line: options.at.line,
    column: options.at.column,
    ...(options.field === undefined || options.field === '' ? {} : { field: options.field }),
  };
}

/** The name among `known` that somebody probably meant; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const word of known) {
    const distance = editDistance(name.toLowerCase(), word.toLowerCase());
    if (
      distance <= Math.max(2, Math.floor(Math.max(name.length, word.length) / 3)) &&
      (best === undefined || distance < best.distance)
    ) {
      best = { word, distance };
    }
  }
  return best?.word;
}

/** Levenshtein's distance: insertions, deletions and replacements between two words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] ?? a.length;
}

/** Allowed words, as a remedy lists them. */
export function oneOf(words: readonly unknown[]): string {
  return words.map(String).join(', ');
}

/** The problems that one issue of zod stands for: one, but one for each unknown field. */
export function problemsOf(
  issue: Issue,
  schema: z.ZodType,
  converted: Converted,
  path: string,
  unknownKeys: 'error' | 'warning',
): DocumentProblem[] {
  const here = issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(schema, here));
    return issue.keys.map((name) => {
      const meant = nearest(name, known);
      return problem({
        severity: unknownKeys,
        message: `unknown field "${name}"${unknownKeys === 'warning' ? ', ignored' : ''}`,
        remedy: meant === undefined ? `Remove it. Known here: ${oneOf(known)}.` : `Did you mean "${meant}"?`,
        path,
        at: converted.locateKey([...here, name]),
        field: pathText([...here, name]),
      });
    });
  }
  const { message, remedy } = describe(issue, here);
  const at = issue.code === 'invalid_key' ? converted.locateKey(here) : converted.locate(here);
  return [problem({ message, remedy, path, at, field: pathText(here) })];
}

function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  let current: z.ZodType | undefined = schema;
  for (const segment of path) current = childSchema(current, segment);
  return current;
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of fields',
  record: 'a map of fields',
};

function describe(
  issue: Exclude<Issue, { code: 'unrecognized_keys' }>,
  path: Path,
): { message: string; remedy: string } {
  const field = path.length === 0 ? 'the document' : `"${pathText(path)}"`;
  switch (issue.code) {
    case 'invalid_type': {
      const expected = typeWords[issue.expected] ?? issue.expected;
      if (issue.input === undefined)
        return { message: `${field} is missing`, remedy: `Add it: it must be ${expected}.` };
      return {
        message: `${field} must be ${expected}, not ${wordFor(issue.input)}`,
        remedy: `Write ${expected} there.`,
      };
    }
    case 'invalid_value': {
      if (issue.input === undefined)
        return { message: `${field} is missing`, remedy: `Add it: one of ${oneOf(issue.values)}.` };
      const text = wordFor(issue.input);
      const meant = typeof issue.input === 'string' ? nearest(issue.input, issue.values.map(String)) : undefined;
      return {
        message: `${field} must be one of ${oneOf(issue.values)}, not ${text}`,
        remedy: meant === undefined ? `Use one of ${oneOf(issue.values)}.` : `Did you mean "${meant}"?`,
      };
    }
    case 'too_small':
    case 'too_big': {
      const word = issue.code === 'too_small' ? 'at least' : 'at most';
      const bound = String(issue.code === 'too_small' ? issue.minimum : issue.maximum);
      const unit =
        issue.origin === 'array' || issue.origin === 'set' ? ' items' : issue.origin === 'string' ? ' characters' : '';
      return {
        message: `${field} must ${unit === '' ? 'be' : 'have'} ${word} ${bound}${unit}`,
        remedy: `Choose a value of ${word} ${bound}${unit}.`,
      };
    }
    case 'invalid_key': {
      const why = issue.issues[0]?.message ?? 'is not a valid name';
      return { message: `the name ${field} ${why}`, remedy: 'Rename the field.' };
    }
    case 'invalid_format':
      return {
        message: `${field} ${issue.message}${typeof issue.input === 'string' ? `, not "${short(issue.input)}"` : ''}`,
        remedy: 'Correct the value.',
      };
    default:
      return { message: `${field}: ${issue.message}`, remedy: 'Correct the value.' };
  }
}

function wordFor(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the text "${short(value)}"`;
  if (typeof value === 'object') return 'a map of fields';
  return `${typeof value === 'number' ? 'the number' : 'the value'} ${JSON.stringify(value)}`;
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
