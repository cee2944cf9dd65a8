import { suggestion } from './problems.ts';

/** One option of a collection: a whole number. */
export interface CollectionOption {
  readonly unit: 'bytes' | 'entries';
  readonly min: number;
  readonly max: number;
  readonly default: number;
  readonly meaning: string;
}

const MiB = 1024 * 1024;

/**
 * The options that a collection of the grid has; there are no others. Whoever takes options in checks them against this
 * table. What is larger than a message of a gRPC call (16 MiB, with its frame) could be neither written nor read.
 */
export const collectionOptions = {
  maxValueBytes: { unit: 'bytes', min: 1, max: 15 * MiB, default: 4 * MiB, meaning: 'largest value' },
  maxEntriesPerObject: {
    unit: 'entries',
    min: 1,
    max: 1_000_000,
    default: 10_000,
    meaning: 'most entries of an object',
  },
  maxObjectBytes: {
    ...{ unit: 'bytes', min: 1, max: 15 * MiB, default: 12 * MiB },
    meaning: 'largest object: its id, keys and values together',
  },
} as const satisfies Readonly<Record<string, CollectionOption>>;

export type CollectionOptionName = keyof typeof collectionOptions;
export type CollectionOptionValues = Readonly<Record<CollectionOptionName, number>>;

export interface CollectionOptionProblem {
  readonly option: string;
  readonly value: string;
  /** `unknown`: there is no such option. `value`: it cannot have this value. */
  readonly kind: 'unknown' | 'value';
  /** A sentence without a full stop; for an unknown name with the nearest known one. */
  readonly message: string;
  readonly remedy: string;
}

const names = Object.keys(collectionOptions) as CollectionOptionName[];

/** The options in a line each of a table: name, unit, bounds, default and meaning. */
export const collectionOptionsHelp: readonly string[] = names.map((name) => {
  const { unit, min, max, default: value, meaning } = collectionOptions[name];
  return `${name}: ${meaning} (${unit}, ${String(min)} to ${String(max)}, default ${String(value)})`;
});

/**
 * What is wrong with options, in their order; empty when all is well. `others`: further names that are known at the
 * place where the options come from, and are meant for somebody else.
 */
export function collectionOptionProblems(
  options: Readonly<Record<string, string>>,
  others: readonly string[] = [],
): readonly CollectionOptionProblem[] {
  const problems: CollectionOptionProblem[] = [];
  for (const [option, value] of Object.entries(options)) {
    if (others.includes(option)) continue;
    if (!isCollectionOption(option)) {
      const known = [...others, ...names];
      problems.push({
        ...{ option, value, kind: 'unknown' },
        message: `there is no option "${option}" (given as "${value}")${suggestion(option, known)}`,
        remedy: `Use one of ${known.join(', ')}, or leave it out.`,
      });
    } else if (numberOf(option, value) === undefined) {
      const { unit, min, max } = collectionOptions[option];
      problems.push({
        ...{ option, value, kind: 'value' },
        message: `option ${option} cannot be "${value}"`,
        remedy: `Give ${option} a whole number of ${unit}, from ${String(min)} to ${String(max)}.`,
      });
    }
  }
  return problems;
}

/**
 * The value of every option, also where something is wrong with what is given: a number beyond the largest counts as the
 * largest, any other bad value as the default, and an unknown name as nothing.
 */
export function collectionOptionValues(options: Readonly<Record<string, string>> = {}): CollectionOptionValues {
  const valueOf = (name: CollectionOptionName): number => {
    const { max, default: fallback } = collectionOptions[name];
    const text = Object.hasOwn(options, name) ? options[name] : undefined;
    if (text === undefined) return fallback;
    return numberOf(name, text) ?? (Number.isInteger(Number(text)) && Number(text) > max ? max : fallback);
  };
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as CollectionOptionValues;
}

/** There is an option of this name. */
export function isCollectionOption(name: string): name is CollectionOptionName {
  return Object.hasOwn(collectionOptions, name);
}

function numberOf(name: CollectionOptionName, text: string): number | undefined {
  const { min, max } = collectionOptions[name];
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined;
}
