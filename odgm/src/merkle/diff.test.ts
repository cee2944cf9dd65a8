import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepKeys, leafOf, rootOf, testHash, testLevelKey, testStore } from './testing.ts';
import { diffThreeWay, diffTrees, isConflict, MemoryPageStore, type PageHash, Pages } from './index.ts';

const keys = deepKeys(12);
const someKey = fc.constantFrom(...keys);
const sparse = fc.dictionary(someKey, fc.nat({ max: 2 })).map((entries) => new Map(Object.entries(entries)));
/** Most keys, most of them with the same value. */
const dense = fc
  .array(fc.constantFrom(0, 0, 0, 0, 1, 2, undefined), { minLength: keys.length, maxLength: keys.length })
  .map((values) => new Map(keys.flatMap((key, i) => (values[i] === undefined ? [] : [[key, values[i]]]))));
const content = fc.oneof(sparse, dense);
type Content = ReadonlyMap<string, number>;

const leaf = (value: number | undefined): Uint8Array | undefined => (value === undefined ? undefined : leafOf(value));

/** The dumbest way: look at every key. */
function differences(a: Content, b: Content): unknown[] {
  return keys
    .filter((key) => a.get(key) !== b.get(key))
    .map((key) => ({ key, ours: leaf(a.get(key)), theirs: leaf(b.get(key)) }));
}

class CountingStore extends MemoryPageStore {
  reads = 0;

  override get(hash: PageHash): Uint8Array | undefined {
    this.reads++;
    return super.get(hash);
  }
}

describe('the difference of two trees', () => {
  it('is exactly the keys whose leaves differ, in order', () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        const { pages } = testStore();
        expect([...diffTrees(pages, rootOf(pages, a), rootOf(pages, b))]).toEqual(differences(a, b));
      }),
      { numRuns: 500 },
    );
  });

  it('can be had for a range of keys', () => {
    fc.assert(
      fc.property(content, content, someKey, someKey, (a, b, start, end) => {
        const { pages } = testStore();
        const found = [...diffTrees(pages, rootOf(pages, a), rootOf(pages, b), { start, end })];
        expect(found.map(({ key }) => key)).toEqual(
          keys.filter((key) => a.get(key) !== b.get(key) && key >= start && key < end),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('reads nothing when the roots are equal, and a few paths when a few keys differ', () => {
    const store = new CountingStore();
    const pages = new Pages({ store, hash: testHash(), levelKey: testLevelKey, cachePages: 1 });
    const many = Array.from({ length: 5000 }, (_, i) => [`key-${i}`, 1] as const);
    const a = rootOf(pages, many);
    const b = rootOf(pages, [...many, ['key-77', 2] as const, ['key-9000', 2] as const]);
    store.reads = 0;
    expect([...diffTrees(pages, a, a)]).toEqual([]);
    expect(store.reads).toBe(0);
    expect([...diffTrees(pages, a, b)].map(({ key }) => key)).toEqual(['key-77', 'key-9000']);
    expect(store.reads).toBeLessThan(40);
  });
});

describe('a three-way difference', () => {
  it('gives what theirs changed and ours does not have yet, and tells where both changed', () => {
    fc.assert(
      fc.property(content, content, content, (base, ours, theirs) => {
        const { pages } = testStore();
        const roots = { base: rootOf(pages, base), ours: rootOf(pages, ours), theirs: rootOf(pages, theirs) };
        const expected = keys
          .filter((key) => base.get(key) !== theirs.get(key) && ours.get(key) !== theirs.get(key))
          .map((key) => ({
            key,
            base: leaf(base.get(key)),
            ours: leaf(ours.get(key)),
            theirs: leaf(theirs.get(key)),
          }));
        const found = [...diffThreeWay(pages, roots)];
        expect(found).toEqual(expected);
        expect(found.filter(isConflict).map(({ key }) => key)).toEqual(
          expected.map(({ key }) => key).filter((key) => base.get(key) !== ours.get(key)),
        );
      }),
      { numRuns: 300 },
    );
  });
});
