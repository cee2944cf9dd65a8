// The form of data-driven cases: `command args`, lines of input, `----`, expected output up to a blank line (or, where the output itself has
// blank lines, between `----` twice and `----` twice). `#` begins a comment; a directive ending in `\` goes on in the next line.

export interface Argument {
  readonly key: string;
  /** Empty for an argument without `=`. */
  readonly values: readonly string[];
}

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

export interface Directive {
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  readonly expected: readonly Line[];
  /** Line of the command. */
  readonly line: number;
  /** Line after the last one that belongs to it. */
  readonly end: number;
}

/** A case that cannot be understood, or asks for something that does not exist. */
export class CaseError extends Error {
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

const separator = '----';

export function readDirectives(text: string): readonly Directive[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  if (lines[lines.length - 1] === '') lines.pop();
  const directives: Directive[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = at + 1;
    let head = (lines[at++] ?? '').trim();
    if (head === '' || head.startsWith('#')) continue;
    while (head.endsWith('\\') && at < lines.length) head = `${head.slice(0, -1)} ${(lines[at++] ?? '').trim()}`;
    const { command, args } = parseHead(head, line);
    if (command === 'subtest') continue;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== separator) input.push(lines[at++] ?? '');
    at++;
    const { expected, next } = readExpected(lines, at);
    at = next;
    directives.push({ command, args, input: input.join('\n').trim(), expected, line, end: at + 1 });
  }
  return directives;
}

function readExpected(lines: readonly string[], from: number): { expected: Line[]; next: number } {
  const expected: Line[] = [];
  let at = from;
  if (lines[at] !== separator) {
    for (; at < lines.length && lines[at]?.trim() !== ''; at++)
      expected.push({ number: at + 1, text: lines[at] ?? '' });
    return { expected, next: at };
  }
  for (at++; at < lines.length; at++) {
    if (lines[at] === separator && lines[at + 1] === separator) {
      const after = lines[at + 2];
      if (after !== undefined && after !== '') throw new CaseError('a blank line must follow the closing ----', at + 3);
      return { expected, next: at + 2 };
    }
    expected.push({ number: at + 1, text: lines[at] ?? '' });
  }
  throw new CaseError('the output that begins with two lines of ---- does not end with two', from + 1);
}

/** `command key key=value key=(value, value)`; a value in parentheses may hold parentheses. */
function parseHead(head: string, line: number): { command: string; args: Argument[] } {
  const command = /^\S+/.exec(head)?.[0] ?? '';
  const args: Argument[] = [];
  let rest = head.slice(command.length).trim();
  while (rest !== '') {
    const key = /^[^ =]+/.exec(rest)?.[0];
    if (key === undefined) throw new CaseError(`cannot parse the arguments from here: ${rest}`, line);
    rest = rest.slice(key.length);
    if (!rest.startsWith('=')) {
      args.push({ key, values: [] });
    } else if (rest.startsWith('=(')) {
      const { values, length } = parseList(rest.slice(1), line);
      args.push({ key, values });
      rest = rest.slice(1 + length);
    } else {
      const value = /^[^ ]*/.exec(rest.slice(1))?.[0] ?? '';
      args.push({ key, values: [value] });
      rest = rest.slice(1 + value.length);
    }
    rest = rest.trim();
  }
  return { command, args };
}

function parseList(text: string, line: number): { values: string[]; length: number } {
  const values: string[] = [];
  let depth = 0;
  let value = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (depth === 0) return { values: [...values, value.slice(1)], length: at + 1 };
    if (character === ',' && depth === 1) {
      values.push(value.slice(1));
      // The first character of a value is always the one that opened it.
      value = ',';
      while (text[at + 1] === ' ') at++;
    } else {
      value += character;
    }
  }
  throw new CaseError(`a list has no closing parenthesis: ${text}`, line);
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new CaseError(`not a whole number: ${text}`);
  return Number(text);
}

export function truth(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw new CaseError(`neither true nor false: ${text}`);
}

/** The one value of the argument `key`. */
export function valueOf(directive: Directive, key: string): string {
  const found = directive.args.find((argument) => argument.key === key);
  const [value] = found?.values ?? [];
  if (value === undefined) throw new CaseError(`${directive.command} needs ${key}=`);
  return value;
}
