import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../digest.ts';
import type { UnitState } from '../model/state.ts';
import { parseFile } from '../parse/parse.ts';
import { resolve } from '../resolve/resolve.ts';
import type { DesiredUnit } from '../model/unit.ts';
import { carryOut, release } from './commit.ts';
import { changesMax, diff } from './diff.ts';
import { type PlanInput, planUnits, summarise, unitsToCount, verdictOf } from './plan.ts';

const clusters = ['cloud', 'edge'];
const from = {
  owner: { type: 'git', source: 'shop' } as const,
  commit: 'c1',
  ref: 'main',
  repo: 'http://git/shop',
  at: '2026-01-01T00:00:00.000Z',
};

interface Wish {
  readonly name: string;
  readonly step: number;
  readonly partitions: number;
  readonly environments: readonly string[];
  readonly prune?: 'delete' | 'keep';
}

function yaml({ name, step, partitions, environments, prune }: Wish): string {
  return `apiVersion: oaas.io/v1alpha1
kind: Package
name: ${name}
metadata: { ${prune === undefined ? '' : `prune: ${prune}`} }
classes: [{ key: C, function_bindings: [{ name: f, function_key: f }] }]
functions: [{ key: f, provision_config: { container_image: a/b }, config: { STEP: ${String(step)} } }]
deployments: [{ key: d, class_key: C, target_envs: [${environments.join(', ')}], odgm: { partition_count: ${String(partitions)} } }]
`;
}

function desired(wishes: readonly Wish[]): readonly DesiredUnit[] {
  const documents = wishes.flatMap((wish) => parseFile(`${wish.name}.yaml`, yaml(wish)));
  const resolution = resolve({ documents, foreign: new Map(), clusters });
  expect(resolution.documents.flatMap((document) => document.problems)).toEqual([]);
  return resolution.units;
}

function planned(previous: readonly UnitState[], units: readonly DesiredUnit[], options: Partial<PlanInput> = {}) {
  return planUnits({ previous, desired: units, prune: 'delete', objects: new Map(), emptied: false, ...options });
}

function applyPlan(previous: readonly UnitState[], plan: ReturnType<typeof planned>): readonly UnitState[] {
  const { units, forgetUnits } = carryOut(previous, plan, from, clusters);
  const next = new Map(previous.map((unit) => [unit.id, unit]));
  for (const unit of units) next.set(unit.id, unit);
  for (const id of forgetUnits) next.delete(id);
  return [...next.values()];
}

const one: Wish = { name: 'a', step: 1, partitions: 4, environments: ['cloud'] };
const state = (wishes: readonly Wish[]) => applyPlan([], planned([], desired(wishes)));
const actions = (plan: ReturnType<typeof planned>) => plan.map(({ change }) => change.action);

describe('a plan', () => {
  it('of a new unit creates it, and of the same again changes nothing', () => {
    const first = planned([], desired([one]));
    expect(actions(first)).toEqual(['create']);
    expect(first[0]?.change.data).toMatchObject({ before: null, shards_added: 4, replicas_added: 4 });
    const before = applyPlan([], first);
    const second = planned(before, desired([one]));
    expect(actions(second)).toEqual(['unchanged']);
    expect(carryOut(before, second, { ...from, commit: 'c2' }, clusters)).toEqual({ units: [], forgetUnits: [] });
  });

  it('of a changed field names it, with what was and what will be', () => {
    const [change] = planned(state([one]), desired([{ ...one, step: 2 }]));
    expect(change?.change).toMatchObject({
      action: 'update',
      changes: [{ path: 'functions[f].config.STEP', before: '1', after: '2' }],
    });
    expect(change?.change.data.effect).toBe('Objects stay where they are.');
  });

  it('counts a generation for each new digest, and keeps the commit that brought it', () => {
    const before = state([one]);
    const after = applyPlan(
      before,
      planUnits({
        previous: before,
        desired: desired([{ ...one, step: 2 }]),
        prune: 'keep',
        objects: new Map(),
        emptied: false,
      }),
    );
    expect([before[0]?.generation, after[0]?.generation]).toEqual([1, 2]);
    const same = carryOut(after, planned(after, desired([{ ...one, step: 2 }])), { ...from, commit: 'c9' }, clusters);
    expect(same.units).toEqual([]);
  });

  const gone: readonly [string, Partial<PlanInput>, Partial<Wish>, boolean, string][] = [
    ['the policy is keep', { prune: 'keep' }, {}, true, 'keep'],
    ['the policy is delete and the shards are empty', { prune: 'delete' }, {}, true, 'prune'],
    ['the package says keep, whatever the source says', { prune: 'delete' }, { prune: 'keep' }, true, 'keep'],
    ['the package says delete, whatever the source says', { prune: 'keep' }, { prune: 'delete' }, true, 'prune'],
    ['the repository is empty', { prune: 'delete', emptied: true }, {}, true, 'hold'],
    ['it never ran, whatever the grid says', { prune: 'delete', objects: new Map() }, {}, false, 'prune'],
  ];
  it.each(gone)('of a unit that is gone, where %s', (_name, options, wish, attempted, action) => {
    const before = state([{ ...one, ...wish }]).map((unit) => ({ ...unit, attempted }));
    const objects = options.objects ?? new Map(before.map((unit) => [unit.id, 0]));
    expect(actions(planned(before, [], { ...options, objects }))).toEqual([action]);
  });

  it.each([
    ['holds objects', 3, 'its shards hold 3 objects'],
    ['cannot be asked', null, 'its grid cannot be asked'],
  ])('never prunes a unit whose grid %s', (_name, count, reason) => {
    const before = state([one]);
    const [plan] = planned(before, [], { objects: new Map(before.map((unit) => [unit.id, count])) });
    expect(plan?.change).toMatchObject({ action: 'hold', confirm: 'delete a/C in cloud' });
    expect(plan?.change.reason).toContain(reason);
    const [held] = applyPlan(before, [...(plan === undefined ? [] : [plan])]);
    expect(held).toMatchObject({ intent: 'keep', hold: { action: 'prune' } });
    expect(held === undefined ? undefined : release(held, from, clusters)).toMatchObject({
      intent: 'delete',
      hold: null,
    });
  });

  it('holds a new layout while there are objects, keeps the old one, and applies it when it is confirmed', () => {
    const before = state([one]);
    const wanted = desired([{ ...one, partitions: 16 }]);
    const objects = new Map(before.map((unit) => [unit.id, 5]));
    const plan = planned(before, wanted, { objects });
    expect(plan[0]?.change).toMatchObject({ action: 'hold', data: { shards_added: 12, objects: 5 } });
    const [held] = applyPlan(before, plan);
    expect(held?.layout.collections[0]?.partitionCount).toBe(4);
    expect(held === undefined ? undefined : release(held, from, clusters)).toMatchObject({
      intent: 'apply',
      hold: null,
      generation: 2,
      digest: wanted[0]?.digest,
    });
    expect(actions(planned(before, wanted, { objects: new Map(before.map((unit) => [unit.id, 0])) }))).toEqual([
      'update',
    ]);
  });

  it('asks only the grids that may lose data', () => {
    const before = state([one, { ...one, name: 'b' }, { ...one, name: 'c' }]);
    const wanted = desired([
      { ...one, step: 9 },
      { ...one, name: 'b', partitions: 8 },
    ]);
    const names = unitsToCount({ previous: before, desired: wanted, prune: 'delete', emptied: false });
    expect(names.map((id) => id.slice(0, 3)).sort()).toEqual(['b-c', 'c-c']);
  });

  it('is refused, held, changed or clean, the worst first', () => {
    const summary = { create: 0, update: 0, unchanged: 1, prune: 0, keep: 0, hold: 0, refused: 0 };
    expect(verdictOf(summary)).toBe('clean');
    expect(verdictOf({ ...summary, prune: 1 })).toBe('changes');
    expect(verdictOf({ ...summary, create: 1, hold: 1 })).toBe('held');
    expect(verdictOf({ ...summary, hold: 1, refused: 1 })).toBe('refused');
  });
});

const wish = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd'),
  step: fc.integer({ min: 1, max: 3 }),
  partitions: fc.constantFrom(1, 4, 8),
  environments: fc.uniqueArray(fc.constantFrom('cloud', 'edge'), { minLength: 1 }),
});
const wishes = fc.uniqueArray(wish, { selector: (each) => each.name, maxLength: 4 });

describe('whatever the repositories hold', () => {
  it('a plan that was applied leaves nothing to do', () => {
    fc.assert(
      fc.property(wishes, wishes, fc.constantFrom('delete' as const, 'keep' as const), (first, second, prune) => {
        const before = state(first);
        const objects = new Map(before.map((unit) => [unit.id, 0]));
        const wanted = desired(second);
        const after = applyPlan(before, planned(before, wanted, { prune, objects }));
        const again = planned(after, wanted, { prune, objects });
        const { create, update, hold } = summarise(again, 0);
        expect({ create, update, hold }).toEqual({ create: 0, update: 0, hold: 0 });
        expect(carryOut(after, again, from, clusters)).toEqual({ units: [], forgetUnits: [] });
      }),
      { numRuns: 60 },
    );
  });

  it('the order of the files and of the documents in them does not matter', () => {
    fc.assert(
      fc.property(wishes, fc.integer(), (all, seed) => {
        const texts = all.map((each) => ({ path: `${each.name}.yaml`, text: yaml(each) }));
        const documents = texts.flatMap(({ path, text }) => parseFile(path, text));
        const shuffled = [...documents].sort(
          (a, b) => ((a.path.charCodeAt(0) * 31 + seed) % 7) - ((b.path.charCodeAt(0) * 31 + seed) % 7),
        );
        const [left, right] = [documents, shuffled].map((order) =>
          resolve({ documents: order, foreign: new Map(), clusters }),
        );
        expect(canonicalJson(left)).toBe(canonicalJson(right));
      }),
      { numRuns: 60 },
    );
  });

  it('never prunes or lays out anew a unit that holds objects', () => {
    fc.assert(
      fc.property(
        wishes,
        wishes,
        fc.array(fc.constantFrom(0, 3, null), { minLength: 8, maxLength: 8 }),
        (first, second, counts) => {
          const before = state(first);
          const objects = new Map(before.map((unit, index) => [unit.id, counts[index] ?? null]));
          for (const { change } of planned(before, desired(second), { objects })) {
            if (objects.get(change.unit_id) === 0 || !objects.has(change.unit_id)) continue;
            expect(change.action).not.toBe('prune');
            if (change.action === 'update') expect(change.data.before).toEqual(change.data.after);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a difference', () => {
  it('compares items of a list by their key, and plain lists as a whole', () => {
    expect(diff({ l: [{ key: 'a', x: 1 }, { key: 'b' }] }, { l: [{ key: 'b' }, { key: 'a', x: 2 }] })).toEqual([
      { path: 'l[a].x', before: 1, after: 2 },
    ]);
    expect(diff({ l: [1, 2] }, { l: [2, 1] })).toEqual([{ path: 'l', before: [1, 2], after: [2, 1] }]);
    expect(diff({}, { a: 1 })).toEqual([{ path: 'a', after: 1 }]);
  });

  it('is cut off at its bound, and says how much is missing', () => {
    const after = Object.fromEntries(
      Array.from({ length: changesMax + 10 }, (_, index) => [`f${String(index)}`, index]),
    );
    const changes = diff({}, after);
    expect(changes).toHaveLength(changesMax);
    expect(changes.at(-1)?.path).toBe('and 11 more');
  });
});
