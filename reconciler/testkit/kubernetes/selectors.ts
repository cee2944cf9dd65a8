import { errors } from './status.ts';
import type { Selectable } from './store/store.ts';

/** Says whether an object is selected. */
export type Selector = (object: Selectable) => boolean;

export const everything: Selector = () => true;

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent' | 'gt' | 'lt';
  readonly values: readonly string[];
}

const KEY = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Parses a label selector, such as `app=x,tier in (a,b),!canary`. Throws a 400 where it cannot. */
export function parseLabelSelector(text: string | undefined): Selector {
  if (text === undefined || text.trim() === '') return everything;
  const requirements = splitOutside(text).map((part) => parseRequirement(part.trim(), text));
  return (object) => requirements.every((requirement) => matches(requirement, object.labels[requirement.key]));
}

/** Splits at commas that do not stand in parentheses. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string, whole: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\((.*)\)$/s.exec(part);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return checked({ key: set[1] ?? '', operator: set[2] === 'in' ? 'in' : 'notin', values }, whole);
  }
  const compared = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/.exec(part);
  if (compared !== null) {
    const operators: Record<string, Requirement['operator']> = {
      '=': 'in',
      '==': 'in',
      '!=': 'notin',
      '>': 'gt',
      '<': 'lt',
    };
    return checked(
      { key: compared[1] ?? '', operator: operators[compared[2] ?? ''] ?? 'in', values: [compared[3] ?? ''] },
      whole,
    );
  }
  if (part.startsWith('!')) return checked({ key: part.slice(1).trim(), operator: 'absent', values: [] }, whole);
  return checked({ key: part, operator: 'exists', values: [] }, whole);
}

function checked(requirement: Requirement, whole: string): Requirement {
  if (!KEY.test(requirement.key))
    throw errors.badRequest(
      `unable to parse requirement: found ${JSON.stringify(requirement.key)} in ${JSON.stringify(whole)}`,
    );
  return requirement;
}

function matches(requirement: Requirement, value: string | undefined): boolean {
  switch (requirement.operator) {
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'gt':
      return value !== undefined && Number(value) > Number(requirement.values[0]);
    case 'lt':
      return value !== undefined && Number(value) < Number(requirement.values[0]);
  }
}

/**
 * Parses a field selector, such as `metadata.name=x,status.phase!=Running`.
 * @param known the fields that the kind offers; another one is a 400.
 */
export function parseFieldSelector(text: string | undefined, known: readonly string[]): Selector {
  if (text === undefined || text.trim() === '') return everything;
  const terms = text.split(',').map((part) => {
    const term = /^([^=!]+)(==|=|!=)(.*)$/s.exec(part.trim());
    if (term === null)
      throw errors.badRequest(`invalid selector: ${JSON.stringify(text)}; can't understand ${JSON.stringify(part)}`);
    const field = term[1] ?? '';
    if (!known.includes(field)) throw unknownField(field, known);
    return { field, isEqual: term[2] !== '!=', value: (term[3] ?? '').replace(/\\([,=\\])/g, '$1') };
  });
  return (object) => terms.every((term) => ((object.fields[term.field] ?? '') === term.value) === term.isEqual);
}

const OF_ALL_KINDS = 2;

function unknownField(field: string, known: readonly string[]): Error {
  if (known.length > OF_ALL_KINDS) return errors.badRequest(`field label not supported: ${field}`);
  const names = known.map((name) => JSON.stringify(name)).join(', ');
  return errors.badRequest(`${JSON.stringify(field)} is not a known field selector: only ${names}`);
}
