import type { CheckVerdict } from '../meta/index.ts';

/** One entry on one replica. */
export interface EntryState {
  /** Stamp of the version: comparable text, greater is later. */
  readonly stamp: string;
  /** Wall clock of the stamp, in milliseconds. */
  readonly at: number;
  readonly hash: string;
  /** True: a tombstone. */
  readonly deleted: boolean;
}

/** What one replica had at one time. Entries that all replicas have alike may be left out. */
export interface EventualSample {
  readonly member: number;
  readonly algorithm: number;
  readonly root: string;
  readonly entries: ReadonlyMap<string, EntryState>;
}

export interface EventualOptions {
  /** Between the two samples at least one interval of anti-entropy must have passed. */
  readonly firstAt: number;
  readonly secondAt: number;
  readonly syncIntervalMs: number;
  /** Differences younger than this are replication at work. Default 10 intervals of anti-entropy, at least 30 s. */
  readonly lagMs: number;
}

type Verdict = Exclude<CheckVerdict, 'consistent' | 'inconsistent'>;

export interface EventualOutcome {
  readonly verdict: Verdict;
  readonly differences: readonly { readonly key: string; readonly verdict: Verdict; readonly ageMs: number }[];
  /** Undefined when nothing differs. */
  readonly oldestDifferenceMs: number | undefined;
  readonly reason: string;
}

const maxDifferences = 32;

/** From worst. */
const order: readonly Verdict[] = ['resurrected', 'stuck', 'missing', 'indeterminate', 'lagging', 'converged'];

/**
 * Compares replicas of an eventual shard by two samples, since one says nothing: they may differ while writes spread.
 * What differs in the same way in both and is older than the bound will not go away by itself.
 */
export function classifyEventual(
  first: readonly EventualSample[],
  second: readonly EventualSample[],
  replicas: readonly number[],
  options: EventualOptions,
): EventualOutcome {
  const silent = replicas.filter((member) => ![first, second].every((samples) => has(samples, member)));
  const before = first.filter(({ member }) => replicas.includes(member));
  const after = second.filter(({ member }) => replicas.includes(member));
  const algorithms = new Set([...before, ...after].map(({ algorithm }) => algorithm));
  if (silent.length > 0) return indeterminate(`no answer from members ${silent.join(', ')}`);
  if (algorithms.size > 1) return indeterminate('replicas hash differently');
  if (new Set(after.map(({ root }) => root)).size <= 1) {
    return { verdict: 'converged', differences: [], oldestDifferenceMs: undefined, reason: '' };
  }
  if (options.secondAt - options.firstAt < options.syncIntervalMs) {
    return indeterminate('the samples are closer together than an interval of anti-entropy');
  }
  const differences = keysOf(after)
    .filter((key) => new Set(after.map((sample) => text(sample.entries.get(key)))).size > 1)
    .map((key) => ({ key, ...classifyKey(key, before, after, options) }))
    .sort(
      (a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict) || b.ageMs - a.ageMs || (a.key < b.key ? -1 : 1),
    );
  if (differences.length === 0) return indeterminate('roots differ, but no entry was found that does');
  return {
    verdict: differences[0]?.verdict ?? 'indeterminate',
    differences: differences.slice(0, maxDifferences),
    oldestDifferenceMs: Math.max(...differences.map(({ ageMs }) => ageMs)),
    reason: `${differences.length} entries differ`,
  };
}

function classifyKey(
  key: string,
  before: readonly EventualSample[],
  after: readonly EventualSample[],
  options: EventualOptions,
): { readonly verdict: Verdict; readonly ageMs: number } {
  const states = after.map(({ entries }) => entries.get(key));
  const present = states.filter((state) => state !== undefined);
  const newest = present.reduce(
    (a, b) => (b.stamp > a.stamp ? b : a),
    present[0] ?? { stamp: '', at: 0, hash: '', deleted: false },
  );
  // The difference exists since the version came that not all have.
  const ageMs = Math.max(0, options.secondAt - newest.at);
  const isSame = after.every(({ member, entries }) => {
    const earlier = before.find((sample) => sample.member === member);
    return text(earlier?.entries.get(key)) === text(entries.get(key));
  });
  const isTorn = present.some((a) => present.some((b) => a.stamp === b.stamp && text(a) !== text(b)));
  // One version with two contents never heals, whatever its age.
  if (isSame && isTorn) return { verdict: 'stuck', ageMs };
  if (!isSame || ageMs < options.lagMs) return { verdict: 'lagging', ageMs };
  if (newest.deleted) return { verdict: present.some(({ deleted }) => !deleted) ? 'resurrected' : 'missing', ageMs };
  return { verdict: present.length < states.length ? 'missing' : 'stuck', ageMs };
}

function keysOf(samples: readonly EventualSample[]): string[] {
  return [...new Set(samples.flatMap(({ entries }) => [...entries.keys()]))].sort();
}

function text(state: EntryState | undefined): string {
  return state === undefined ? '' : `${state.stamp} ${state.hash} ${state.deleted}`;
}

function has(samples: readonly EventualSample[], member: number): boolean {
  return samples.some((sample) => sample.member === member);
}

function indeterminate(reason: string): EventualOutcome {
  return { verdict: 'indeterminate', differences: [], oldestDifferenceMs: undefined, reason };
}
