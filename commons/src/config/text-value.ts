import type { FieldNode } from './fields.ts';

/** The value of a text, or what was expected instead. */
export type TextValue = { readonly value: unknown } | { readonly expected: string };

const trueWords = new Set(['true', '1', 'yes', 'on']);
const falseWords = new Set(['false', '0', 'no', 'off']);

/**
 * Reads the text of a variable or a flag as its field wants it. Lists are `a,b,c` or JSON, records `k=v,k2=v2` or JSON.
 * The schema has the last word on the value.
 */
export function readText(text: string, field: FieldNode): TextValue {
  switch (field.kind) {
    case 'number': {
      const value = Number(text);
      return text.trim() === '' || !Number.isFinite(value) ? { expected: 'a number' } : { value };
    }
    case 'boolean': {
      const word = text.trim().toLowerCase();
      if (trueWords.has(word)) return { value: true };
      return falseWords.has(word) ? { value: false } : { expected: 'true or false' };
    }
    case 'list':
      return /^\s*\[/.test(text) ? readJson(text) : readList(text, field.element);
    case 'record':
      return /^\s*\{/.test(text) ? readJson(text) : readRecord(text, field.element);
    case 'object':
      return readJson(text);
    case 'text':
    case 'choice':
    case 'other':
      return { value: text };
  }
}

function readJson(text: string): TextValue {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { expected: 'JSON' };
  }
}

function items(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readList(text: string, element: FieldNode | undefined): TextValue {
  const values: unknown[] = [];
  for (const item of items(text)) {
    const read = element === undefined ? { value: item } : readText(item, element);
    if ('expected' in read) return { expected: `a list of which each is ${read.expected}` };
    values.push(read.value);
  }
  return { value: values };
}

function readRecord(text: string, element: FieldNode | undefined): TextValue {
  const entries: [string, unknown][] = [];
  for (const item of items(text)) {
    const split = item.indexOf('=');
    if (split < 1) return { expected: 'name=value,name=value' };
    const raw = item.slice(split + 1);
    const read = element === undefined ? { value: raw } : readText(raw, element);
    if ('expected' in read) return { expected: `name=value where each value is ${read.expected}` };
    entries.push([item.slice(0, split), read.value]);
  }
  return { value: Object.fromEntries(entries) };
}
