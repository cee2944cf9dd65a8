import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changeRefs,
  maxAuthors,
  maxNameLength,
  mergeRefs,
  namedRefs,
  noRefs,
  type RefDot,
  type RefSet,
  refsFromJson,
  refsToJson,
  type RefValue,
  withdrawal,
} from './refs.ts';

const branch = (name: string, root: string): RefValue => ({ kind: 'branch', name, root, base: 'ba5e' });
const dotOf = (member: number, ms: number, epoch = 1): RefDot => ({ ms, counter: 0, member, epoch });
const namesOf = (set: RefSet): Record<string, string> =>
  Object.fromEntries(namedRefs(set, 'branch').map(({ name, ref }) => [name, ref.root]));

function begin(set: RefSet, name: string, root: string, dot: RefDot): RefSet {
  return changeRefs(set, { remove: [], add: [branch(name, root)] }, () => dot);
}

function move(set: RefSet, name: string, root: string, dot: RefDot): RefSet {
  const former = namedRefs(set, 'branch').find((one) => one.name === name)!;
  return changeRefs(set, { remove: former.refs, add: [branch(name, root)] }, () => dot);
}

function drop(set: RefSet, name: string, dot: () => RefDot): RefSet {
  const former = namedRefs(set, 'branch').find((one) => one.name === name)!;
  return changeRefs(set, withdrawal(set, former), dot);
}

/** What three replicas do: change a branch as they see it, or hear of all that another one knows. */
const names = ['a', 'b'] as const;
const step = fc.record({
  who: fc.nat({ max: 2 }),
  from: fc.nat({ max: 2 }),
  what: fc.constantFrom('write', 'write', 'drop', 'hear'),
  pick: fc.nat({ max: 5 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Played {
  readonly sets: RefSet[];
  /** Roots that somebody went on from or took away. */
  readonly gone: Set<string>;
  /** Roots that got another name because the one that they stood beside was taken away. */
  readonly renamed: Set<string>;
}

function play(steps: readonly Step[]): Played {
  const played: Played = { sets: [noRefs, noRefs, noRefs], gone: new Set(), renamed: new Set() };
  const { sets, gone, renamed } = played;
  let ms = 0;
  for (const { who, from, what, pick } of steps) {
    const set = sets[who]!;
    const dot = (): RefDot => dotOf(who + 1, (ms += 1));
    const there = namedRefs(set, 'branch');
    const one = there[pick % Math.max(1, there.length)];
    const root = (4096 + (ms += 1)).toString(16);
    if (what === 'hear') sets[who] = mergeRefs(set, sets[from]!);
    else if (what === 'drop' && one !== undefined) {
      gone.add(one.ref.root);
      for (const { root: other } of withdrawal(set, one).add) renamed.add(other);
      sets[who] = drop(set, one.name, dot);
    } else if (what === 'write' && one !== undefined && pick > 1) {
      gone.add(one.ref.root);
      sets[who] = move(set, one.name, root, dot());
    } else if (what === 'write' && !there.some(({ name }) => name === names[pick % 2])) {
      sets[who] = begin(set, names[pick % 2]!, root, dot());
    }
  }
  return played;
}

const states = fc.array(step, { maxLength: 40 }).map((steps) => play(steps));

describe('what two replicas know of labels and branches', () => {
  it('comes together in any order, any number of times, to the same', () => {
    fc.assert(
      fc.property(states, ({ sets: [a, b, c] }) => {
        const [x, y, z] = [a!, b!, c!];
        expect(mergeRefs(x, y)).toEqual(mergeRefs(y, x));
        expect(mergeRefs(x, mergeRefs(y, z))).toEqual(mergeRefs(mergeRefs(x, y), z));
        expect(mergeRefs(x, x)).toEqual(x);
        expect(mergeRefs(mergeRefs(x, y), y)).toEqual(mergeRefs(x, y));
      }),
      { numRuns: 300 },
    );
  });

  it('has every line of changes that nobody went on from and nobody took away, each under a name of its own', () => {
    fc.assert(
      fc.property(states, ({ sets, gone, renamed }) => {
        const named = namedRefs(sets.reduce(mergeRefs), 'branch');
        expect(new Set(named.map(({ name }) => name)).size).toBe(named.length);
        const shown = new Set(named.map(({ ref }) => ref.root));
        const written = sets.flatMap(({ refs }) => refs.map(({ root }) => root));
        for (const root of written) if (!gone.has(root)) expect(shown).toContain(root);
        for (const root of shown) expect(gone.has(root) && !renamed.has(root), root).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('is stored and read as it is, and what is no such thing is refused', () => {
    fc.assert(
      fc.property(states, ({ sets }) => {
        for (const set of sets) expect(refsFromJson(JSON.parse(JSON.stringify(refsToJson(set))))).toEqual(set);
      }),
    );
    const bad: unknown[] = [
      ...[undefined, {}, [], [[], {}], [[['branch', 'a', 'b']], []]],
      ...[
        [[['tag', 'a', 'b', 'c', [1, 0, 1, 1]]], []],
        [[['label', 'a', 'b', 'c', [1, 0, 1, 1]]], []],
      ],
      ...[
        [[['branch', '', 'b', 'c', [1, 0, 1, 1]]], []],
        [[['branch', 'a', '../', 'c', [1, 0, 1, 1]]], []],
      ],
      [[['branch', 'a', 'b', 'c', [1, 0, -1, 1]]], []],
    ];
    for (const json of bad) expect(() => refsFromJson(json), JSON.stringify(json)).toThrow('unknown form');
  });
});

describe('a branch that two replicas change before they hear of each other', () => {
  const common = begin(noRefs, 'try', '0', dotOf(1, 1));
  const [one, two] = [move(common, 'try', 'a', dotOf(1, 10)), move(common, 'try', 'b', dotOf(2, 20))];

  it('is the later one, and the other one beside it with the number of its member', () => {
    expect(namesOf(mergeRefs(one, two))).toEqual({ try: 'b', 'try.1': 'a' });
  });

  it('goes on under either name, and the other one stays', () => {
    const both = mergeRefs(one, two);
    const later = move(both, 'try', 'c', dotOf(1, 30));
    expect(namesOf(mergeRefs(later, two))).toEqual({ try: 'c', 'try.1': 'a' });
    const beside = move(both, 'try.1', 'd', dotOf(2, 40));
    expect(namesOf(mergeRefs(beside, one))).toEqual({ try: 'b', 'try.1': 'd' });
  });

  it('leaves the other one its name when it is deleted', () => {
    const deleted = drop(mergeRefs(one, two), 'try', () => dotOf(1, 30));
    expect(namesOf(mergeRefs(deleted, two))).toEqual({ 'try.1': 'a' });
    const neither = drop(deleted, 'try.1', () => dotOf(1, 31));
    expect(namesOf(mergeRefs(mergeRefs(neither, two), one))).toEqual({});
  });

  it('is one when both made the same of it', () => {
    const same = mergeRefs(one, move(common, 'try', 'a', dotOf(2, 20)));
    expect(namesOf(same)).toEqual({ try: 'a' });
    expect(namesOf(drop(same, 'try', () => dotOf(3, 30)))).toEqual({});
  });

  it('stays when one changes it while another deletes it', () => {
    expect(
      namesOf(
        mergeRefs(
          drop(common, 'try', () => dotOf(2, 9)),
          one,
        ),
      ),
    ).toEqual({ try: 'a' });
  });

  it('takes no name that is taken, nor one that is too long', () => {
    const taken = begin(one, 'try.1', 'c', dotOf(1, 11));
    expect(namesOf(mergeRefs(taken, two))).toEqual({ try: 'b', 'try.1': 'c', 'try.1.2': 'a' });
    const long = 'n'.repeat(maxNameLength);
    const [left, right] = [begin(noRefs, long, 'a', dotOf(1, 1)), begin(noRefs, long, 'b', dotOf(2, 2))];
    expect(Object.keys(namesOf(mergeRefs(left, right)))).toEqual([`${'n'.repeat(maxNameLength - 2)}.1`, long]);
  });
});

describe('replicas of one member', () => {
  it('are not taken for one another: what the new one does is not what the old one is known to have done', () => {
    const old = begin(noRefs, 'old', 'a', dotOf(1, 100, 1));
    const known = drop(old, 'old', () => dotOf(2, 101));
    // Its clock is behind that of the one before it.
    const anew = begin(noRefs, 'new', 'b', dotOf(1, 50, 2));
    expect(namesOf(mergeRefs(known, anew))).toEqual({ new: 'b' });
  });

  it('are remembered up to a bound, those that changed something last, the same whatever comes first', () => {
    const all = Array.from({ length: maxAuthors + 20 }, (_, i) =>
      begin(noRefs, `b${String(i)}`, 'a', dotOf(1, 1 + i, 1 + i)),
    );
    const forth = all.reduce(mergeRefs);
    expect(forth.seen).toHaveLength(maxAuthors);
    expect(forth.seen[0]).toEqual(dotOf(1, 21, 21));
    expect([...all].reverse().reduce(mergeRefs)).toEqual(forth);
    expect(forth.refs).toHaveLength(all.length);
  });
});
