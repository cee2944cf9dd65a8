import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { replayConfChange } from './confchange.ts';
import { replayInteraction } from './interaction.ts';
import { replayQuorum } from './quorum.ts';
import { CaseError, type Directive, type Line, readDirectives } from './reader.ts';

/** Does what one directive says and returns what it prints. State is kept from one directive of a file to the next. */
export type Replay = (directive: Directive) => string;

type Kind = 'interaction' | 'confchange' | 'quorum';

/** How a kind begins a file, and the commands that only it has. */
const kinds: Readonly<Record<Kind, { readonly start: () => Replay; readonly commands: readonly string[] }>> = {
  interaction: { start: replayInteraction, commands: [] },
  confchange: { start: replayConfChange, commands: ['simple', 'enter-joint', 'leave-joint'] },
  quorum: { start: replayQuorum, commands: ['committed', 'vote'] },
};

export interface Difference {
  readonly file: string;
  readonly line: number;
  /** Undefined where nothing more was expected, or nothing more was printed. */
  readonly expected: string | undefined;
  readonly got: string | undefined;
}

export interface FileResult {
  readonly file: string;
  /** How many were replayed. */
  readonly directives: number;
  /** The first line that differs. Nothing after it was replayed. */
  readonly difference: Difference | undefined;
}

/** All cases at `path`: a file, or every `.txt` file of a folder and of those in it. */
export function caseFiles(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) return caseFiles(inner);
      return entry.name.endsWith('.txt') ? [inner] : [];
    });
}

export function replayFile(file: string): FileResult {
  let directives: readonly Directive[] = [];
  let done = 0;
  try {
    directives = readDirectives(readFileSync(file, 'utf8'));
    const replay = kinds[kindOf(file, directives)].start();
    for (const directive of directives) {
      const difference = compare(directive, replay(directive));
      if (difference !== undefined) return { file, directives: done, difference: { file, ...difference } };
      done++;
    }
    return { file, directives: done, difference: undefined };
  } catch (error) {
    const line = (error instanceof CaseError ? error.line : undefined) ?? directives[done]?.line ?? 1;
    const expected = directives[done]?.expected[0]?.text;
    return { file, directives: done, difference: { file, line, expected, got: String(error) } };
  }
}

/** By the commands, which the kinds do not share; the nearest folder with the name of a kind decides for a file that has none of them. */
function kindOf(file: string, directives: readonly Directive[]): Kind {
  const names = Object.keys(kinds) as Kind[];
  for (const { command } of directives) {
    const kind = names.find((name) => kinds[name].commands.includes(command));
    if (kind !== undefined) return kind;
  }
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const kind = names.find((name) => name === basename(folder));
    if (kind !== undefined) return kind;
  }
  return 'interaction';
}

const logLine = /^\s*(DEBUG|INFO|WARN|ERROR)\b/;

/** The first line that differs, log lines apart. */
function compare(directive: Directive, output: string): Omit<Difference, 'file'> | undefined {
  const printed = output === '' ? [] : output.replace(/\n$/, '').split('\n');
  let got = printed.filter((line) => !logLine.test(line));
  let expected: readonly Line[] = directive.expected.filter(({ text }) => !logLine.test(text));
  // A directive that prints nothing prints "ok", unless it logs: whether it logs is not compared.
  if (isOk(got) && expected.length === 0 && directive.expected.length > 0) got = [];
  if (isOk(expected.map(({ text }) => text)) && got.length === 0 && printed.length > 0) expected = [];
  for (let at = 0; at < Math.max(got.length, expected.length); at++) {
    const want = expected[at];
    if (want?.text === got[at]) continue;
    return { line: want?.number ?? directive.end, expected: want?.text, got: got[at] };
  }
  return undefined;
}

function isOk(lines: readonly string[]): boolean {
  return lines.length === 1 && lines[0] === 'ok';
}
