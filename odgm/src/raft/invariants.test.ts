import { isOaasError } from '@oaas/commons/errors';
import { describe, expect, it } from 'vitest';
import { type Guarantee, GuaranteeChecker, type NodeView } from './invariants.ts';
import type { Entry, Role } from './types.ts';

interface State {
  readonly role?: Role;
  readonly term?: number;
  readonly commit?: number;
  readonly applied?: number;
  /** Terms of the entries from `first` on, or the entries' data with their terms. */
  readonly log?: readonly (number | readonly [term: number, data: string])[];
  readonly first?: number;
  /** Term of the entry before `first`. */
  readonly before?: number;
}

function node(id: number, state: State): NodeView {
  const { role = 'follower', term = 1, commit = 0, applied = 0, log = [], first = 1, before = 0 } = state;
  const entries = log.map((item, at): Entry => {
    const [entryTerm, text] = typeof item === 'number' ? [item, ''] : item;
    return { index: first + at, term: entryTerm, type: 0, data: new TextEncoder().encode(text) };
  });
  return {
    id,
    role,
    term,
    commit,
    applied,
    firstIndex: first,
    lastIndex: first + entries.length - 1,
    termAt: (index) => (index === first - 1 ? before : (entries[index - first]?.term ?? 'unavailable')),
    entriesFrom: (index) => (index < first ? 'compacted' : entries.slice(index - first)),
  };
}

/** The guarantee that a history breaks with its last step; an earlier one fails the test. */
function brokenBy(...steps: ((checker: GuaranteeChecker) => void)[]): Guarantee | undefined {
  const checker = new GuaranteeChecker();
  for (const step of steps.slice(0, -1)) step(checker);
  try {
    steps.at(-1)?.(checker);
    return undefined;
  } catch (error) {
    if (!isOaasError(error, 'Internal')) throw error;
    return error.details?.['guarantee'] as Guarantee;
  }
}

const see =
  (id: number, state: State) =>
  (checker: GuaranteeChecker): void =>
    checker.observe(node(id, state));

describe('the checker of the paper’s guarantees', () => {
  it('lets a plain history pass: an election, an entry that spreads, a new leader, a snapshot', () => {
    const checker = new GuaranteeChecker();
    const steps: ((checker: GuaranteeChecker) => void)[] = [
      see(1, { role: 'candidate' }),
      see(1, { role: 'leader', log: [1] }),
      see(2, { log: [1] }),
      see(1, { role: 'leader', log: [1, 1], commit: 1 }),
      see(3, { log: [1, 1] }),
      see(3, { role: 'leader', term: 2, log: [1, 1, 2], commit: 0 }),
      see(2, { term: 2, log: [1, 1, 2], commit: 3 }),
      see(3, { role: 'leader', term: 2, log: [1, 1, 2], commit: 3, applied: 2 }),
      see(1, { term: 2, first: 4, before: 2, commit: 3, applied: 3 }),
      see(1, { term: 2, first: 4, before: 2, log: [2], commit: 3, applied: 3 }),
    ];
    for (const step of steps) step(checker);
    expect(checker.maxCommitted).toBe(3);
  });

  it('finds a second leader of one term', () => {
    expect(brokenBy(see(1, { role: 'leader' }), see(2, { role: 'leader' }))).toBe('election safety');
    expect(brokenBy(see(1, { role: 'leader' }), see(2, { role: 'leader', term: 2 }))).toBeUndefined();
  });

  it('finds a leader of a term after its successor in the same term, however long ago it led', () => {
    expect(
      brokenBy(
        see(1, { role: 'leader', term: 3 }),
        see(1, { term: 4 }),
        see(2, { term: 3 }),
        see(2, { role: 'leader', term: 3 }),
      ),
    ).toBe('election safety');
  });

  it('finds a leader whose log loses or changes entries, and lets a follower lose uncommitted ones', () => {
    const leads = { role: 'leader', term: 2 } as const;
    expect(brokenBy(see(1, { ...leads, log: [1, 2] }), see(1, { ...leads, log: [1] }))).toBe('leader append-only');
    expect(brokenBy(see(1, { ...leads, log: [1, 1] }), see(1, { ...leads, log: [1, 2] }))).toBe('leader append-only');
    expect(brokenBy(see(1, { log: [1, 1] }), see(1, { term: 2, log: [1] }))).toBeUndefined();
  });

  it('finds logs that have one entry in common but not what comes before it', () => {
    expect(brokenBy(see(1, { term: 3, log: [1, 1, 3] }), see(2, { term: 3, log: [1, 2, 3] }))).toBe('log matching');
  });

  it('finds two entries with the same place and term but another content', () => {
    expect(brokenBy(see(1, { log: [[1, 'a']] }), see(2, { log: [[1, 'b']] }))).toBe('log matching');
  });

  it('finds a change in the middle of a log when it looks at everything', () => {
    const before = node(1, { term: 2, log: [1, [1, 'a'], 2] });
    const after = node(1, { term: 2, log: [1, [1, 'b'], 2] });
    expect(
      brokenBy(
        (checker) => checker.observe(before),
        (checker) => checker.observe(after),
        (checker) => checker.audit([after]),
      ),
    ).toBe('log matching');
  });

  it('finds a leader that was elected without a committed entry', () => {
    const committed = see(1, { role: 'leader', log: [1, 1], commit: 2 });
    expect(brokenBy(committed, see(2, { role: 'leader', term: 2, log: [1, 2] }))).toBe('leader completeness');
    expect(brokenBy(committed, see(2, { role: 'leader', term: 2, log: [1] }))).toBe('leader completeness');
    expect(brokenBy(committed, see(2, { role: 'leader', term: 2, log: [1, 1, 2] }))).toBeUndefined();
  });

  it('does not ask of a leader of an earlier term what a later one committed', () => {
    expect(
      brokenBy(
        see(1, { role: 'leader', term: 3, log: [1, 3], commit: 2 }),
        see(2, { role: 'leader', term: 2, log: [1, 2] }),
      ),
    ).toBeUndefined();
  });

  it('finds a leader without an entry of an earlier term of which it is known only later that it was committed', () => {
    expect(
      brokenBy(
        see(1, { role: 'leader', log: [1, 1] }),
        see(2, { role: 'leader', term: 2, log: [1, 2] }),
        see(1, { role: 'leader', log: [1, 1], commit: 2 }),
      ),
    ).toBe('leader completeness');
  });

  it('finds two nodes that commit different entries at one index', () => {
    expect(brokenBy(see(1, { term: 2, log: [1], commit: 1 }), see(2, { term: 2, log: [2], commit: 1 }))).toBe(
      'state-machine safety',
    );
  });

  it('finds a follower whose log loses a committed entry, unless it restarted before it had stored it', () => {
    const had = see(1, { log: [1, 1], commit: 2 });
    const lost = see(1, { log: [1], commit: 2 });
    expect(brokenBy(had, lost)).toBe('state-machine safety');
    const restarted = (checker: GuaranteeChecker): void => checker.restarted(1);
    expect(brokenBy(had, restarted, see(1, { log: [1], commit: 1 }))).toBeUndefined();
  });

  it('finds two nodes that apply different entries at one index, or one that applies what was not committed', () => {
    const entry = (term: number, text: string): Entry => ({
      index: 1,
      term,
      type: 0,
      data: new TextEncoder().encode(text),
    });
    const apply =
      (id: number, what: Entry) =>
      (checker: GuaranteeChecker): void =>
        checker.applied(id, what);
    expect(brokenBy(apply(1, entry(1, 'a')), apply(2, entry(1, 'b')))).toBe('state-machine safety');
    expect(brokenBy(apply(1, entry(1, 'a')), apply(2, entry(1, 'a')))).toBeUndefined();
    expect(brokenBy(see(1, { log: [1], commit: 1 }), apply(2, entry(2, '')))).toBe('state-machine safety');
  });

  it('finds a term or an index that goes back without a restart', () => {
    const restarted = (checker: GuaranteeChecker): void => checker.restarted(1);
    expect(brokenBy(see(1, { term: 3 }), see(1, { term: 2 }))).toBe('monotonic state');
    expect(brokenBy(see(1, { term: 3 }), restarted, see(1, { term: 2 }))).toBeUndefined();
    expect(brokenBy(see(1, { log: [1, 1], commit: 2 }), see(1, { log: [1, 1], commit: 1 }))).toBe('monotonic state');
    expect(brokenBy(see(1, { log: [1], commit: 0, applied: 1 }))).toBe('monotonic state');
  });

  it('keeps what it needs when old indexes are forgotten', () => {
    const forget = (checker: GuaranteeChecker): void => checker.forgetUpTo(1);
    expect(brokenBy(see(1, { log: [1, 1], commit: 2 }), forget, see(2, { log: [2, 2] }))).toBeUndefined();
    expect(brokenBy(see(1, { log: [1, 1], commit: 2 }), forget, see(2, { role: 'leader', term: 3, log: [1, 3] }))).toBe(
      'leader completeness',
    );
  });
});
