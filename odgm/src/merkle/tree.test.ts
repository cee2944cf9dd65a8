import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepKeys, leafOf, rootOf, testHash, testLevelKey, testStore } from './testing.ts';
import { MemoryPageStore, MerkleSearchTree, Pages } from './index.ts';

const keys = deepKeys(12);
const someKey = fc.constantFrom(...keys);
const content = fc.dictionary(someKey, fc.nat({ max: 9 })).map((entries) => new Map(Object.entries(entries)));
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ op: fc.constant('upsert' as const), key: someKey, value: fc.nat({ max: 9 }) }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('remove' as const), key: someKey, value: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('commit' as const), key: someKey, value: fc.constant(0) }) },
  ),
  { maxLength: 60 },
);

const listed = (tree: MerkleSearchTree): [string, number][] =>
  [...tree.range()].map(({ key, leaf }) => [key, ((leaf[0] ?? 0) << 8) | (leaf[1] ?? 0)]);
const sorted = (model: ReadonlyMap<string, number>): [string, number][] =>
  [...model].sort(([a], [b]) => (a < b ? -1 : 1));

describe('a Merkle search tree', () => {
  it('answers as an ordered map does, through changes and commits', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { pages } = testStore();
        const tree = new MerkleSearchTree(pages);
        const model = new Map<string, number>();
        for (const { op, key, value } of history) {
          if (op === 'upsert') {
            tree.upsert(key, leafOf(value));
            model.set(key, value);
          } else if (op === 'remove') {
            tree.remove(key);
            model.delete(key);
          } else tree.commit();
          expect(tree.get(key)).toEqual(model.has(key) ? leafOf(model.get(key) ?? 0) : undefined);
        }
        expect(listed(tree)).toEqual(sorted(model));
        expect(listed(new MerkleSearchTree(pages, tree.commit()))).toEqual(sorted(model));
      }),
      { numRuns: 300 },
    );
  });

  it('has a root that depends on what it holds alone, not on how it got there', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { pages } = testStore();
        const tree = new MerkleSearchTree(pages);
        const model = new Map<string, number>();
        for (const { op, key, value } of history) {
          if (op === 'upsert') {
            tree.upsert(key, leafOf(value));
            model.set(key, value);
          } else if (op === 'remove') {
            tree.remove(key);
            model.delete(key);
          } else tree.commit();
        }
        expect(tree.commit()).toBe(rootOf(testStore().pages, sorted(model)));
        expect(tree.commit()).toBe(rootOf(testStore().pages, sorted(model).reverse()));
      }),
      { numRuns: 300 },
    );
  });

  it('has another root when it holds something else', () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        const { pages } = testStore();
        expect(rootOf(pages, a) === rootOf(pages, b)).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
      }),
    );
  });

  it('gives the root of the empty tree when its last key goes', () => {
    const { pages } = testStore();
    const tree = new MerkleSearchTree(pages);
    for (const key of keys) tree.upsert(key, leafOf(1));
    for (const key of keys) tree.remove(key);
    expect(tree.commit()).toBe(pages.emptyRoot);
    expect([...new MerkleSearchTree(pages, pages.emptyRoot).range()]).toEqual([]);
  });

  it('keeps old roots readable, because pages are copied when they change', () => {
    fc.assert(
      fc.property(fc.array(content, { minLength: 2, maxLength: 5 }), (versions) => {
        const { pages } = testStore();
        const tree = new MerkleSearchTree(pages);
        const roots = versions.map((version) => {
          for (const key of keys) {
            const value = version.get(key);
            if (value === undefined) tree.remove(key);
            else tree.upsert(key, leafOf(value));
          }
          return tree.commit();
        });
        roots.forEach((root, i) =>
          expect(listed(new MerkleSearchTree(pages, root))).toEqual(sorted(versions[i] ?? new Map())),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('gives the entries of a range', () => {
    fc.assert(
      fc.property(
        content,
        fc.option(fc.string({ minLength: 1, maxLength: 4 }), { nil: undefined }),
        fc.option(someKey, { nil: undefined }),
        (model, start, end) => {
          const { pages } = testStore();
          const tree = new MerkleSearchTree(pages, rootOf(pages, model));
          const expected = sorted(model).filter(
            ([key]) => (start === undefined || key >= start) && (end === undefined || key < end),
          );
          expect([...tree.range({ start, end })].map(({ key }) => key)).toEqual(expected.map(([key]) => key));
        },
      ),
    );
  });

  it('writes nothing when a change changes nothing', () => {
    const { pages, store } = testStore();
    const tree = new MerkleSearchTree(
      pages,
      rootOf(
        pages,
        keys.map((key) => [key, 1]),
      ),
    );
    const before = store.size;
    for (const key of keys) tree.upsert(key, leafOf(1));
    tree.remove('not there');
    expect(tree.pendingPages).toBe(0);
    tree.commit();
    expect(store.size).toBe(before);
  });

  it('rewrites one page per level for one changed key', () => {
    const { pages, store } = testStore();
    const tree = new MerkleSearchTree(
      pages,
      rootOf(
        pages,
        keys.map((key) => [key, 1]),
      ),
    );
    for (const key of keys) {
      const before = store.size;
      tree.upsert(key, leafOf(2));
      tree.commit();
      expect(store.size - before).toBeLessThanOrEqual(4);
    }
  });

  it('gives another shape to the same keys under another level key, so that keys cannot be mined', () => {
    const other = new Pages({
      store: new MemoryPageStore(),
      hash: testHash(),
      levelKey: testLevelKey.map((b) => b + 1),
    });
    const { pages } = testStore();
    expect(keys.some((key) => other.levelOf(key) !== pages.levelOf(key))).toBe(true);
    const levels = Array.from({ length: 4096 }, (_, i) => other.levelOf(`key-${i}`));
    expect(levels.filter((level) => level >= 1).length).toBeGreaterThan(4096 / 32);
    expect(levels.filter((level) => level >= 1).length).toBeLessThan(4096 / 8);
  });

  it.each([
    ['an empty key', '', leafOf(1)],
    ['a key beyond the bound', 'x'.repeat(513), leafOf(1)],
    ['an empty leaf', 'k', new Uint8Array(0)],
    ['a leaf beyond the bound', 'k', new Uint8Array(65)],
  ])('refuses %s and stays as it was', (_, key, leaf) => {
    const { pages } = testStore();
    const root = rootOf(pages, [['a', 1]]);
    const tree = new MerkleSearchTree(pages, root);
    expect(() => tree.upsert(key, leaf)).toThrow('bytes');
    expect(tree.commit()).toBe(root);
  });
});

describe('pages in the store', () => {
  const everything = keys.map((key) => [key, 1] as const);

  it('are named when one is missing', () => {
    const { pages, store } = testStore();
    const root = rootOf(pages, everything);
    store.delete(root);
    expect(() => new MerkleSearchTree(reopened(store), root).get('x')).toThrow(`the page ${root} of a tree is missing`);
  });

  it('are refused when a byte has flipped', () => {
    const { pages, store } = testStore();
    const root = rootOf(pages, everything);
    const bytes = store.get(root)!.slice();
    bytes[bytes.length - 1]! ^= 1;
    store.put(root, bytes);
    expect(() => new MerkleSearchTree(reopened(store), root).get('x')).toThrow('is not what its address says');
  });

  it('need digests of 16 to 64 bytes', () => {
    const options = { store: new MemoryPageStore(), levelKey: testLevelKey };
    expect(() => new Pages({ ...options, hash: () => new Uint8Array(15) })).toThrow('16 to 64 bytes');
    expect(() => new Pages({ ...options, hash: () => new Uint8Array(65) })).toThrow('16 to 64 bytes');
  });

  function reopened(store: MemoryPageStore): Pages {
    return new Pages({ store, hash: testHash(), levelKey: testLevelKey });
  }
});
