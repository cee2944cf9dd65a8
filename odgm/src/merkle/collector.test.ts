import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepKeys, leafOf, rootOf, testHash, testLevelKey, testStore } from './testing.ts';
import { MemoryPageStore, MerkleSearchTree, PageCollector, type PageHash, Pages } from './index.ts';

const keys = deepKeys(6);
const content = fc
  .dictionary(fc.constantFrom(...keys), fc.nat({ max: 9 }))
  .map((entries): [string, number][] => Object.entries(entries));

function read(store: MemoryPageStore, root: PageHash): [string, number][] {
  const pages = new Pages({ store, hash: testHash(), levelKey: testLevelKey });
  return [...new MerkleSearchTree(pages, root).range()].map(({ key, leaf }) => [key, leaf[1] ?? 0]);
}

function* hashesOf(store: MemoryPageStore): Generator<PageHash> {
  const hashes = store.hashes();
  for (let next = hashes.next(); next.done !== true; next = hashes.next()) yield next.value;
}

const sorted = (entries: [string, number][]): [string, number][] => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

describe('the collector of pages', () => {
  it('leaves what the kept roots need, and nothing else', () => {
    fc.assert(
      fc.property(content, content, content, fc.integer({ min: 1, max: 5 }), (a, b, dropped, slice) => {
        const { pages, store } = testStore();
        const roots = [rootOf(pages, a), rootOf(pages, b), pages.emptyRoot];
        rootOf(pages, dropped);
        const leaves: string[] = [];
        const collector = new PageCollector({
          pages,
          store,
          roots,
          onLeaf: (key, leaf) => leaves.push(`${key}=${String(leaf)}`),
        });
        let progress = collector.step(slice);
        while (progress.phase !== 'done') progress = collector.step(slice);
        expect(read(store, roots[0]!)).toEqual(sorted(a));
        expect(read(store, roots[1]!)).toEqual(sorted(b));

        const needed = testStore();
        rootOf(needed.pages, a);
        rootOf(needed.pages, b);
        expect([...hashesOf(store)].sort()).toEqual([...hashesOf(needed.store)].sort());
        expect(progress.kept).toBe(store.size);
        expect(new Set(leaves)).toEqual(new Set([...a, ...b].map(([key, value]) => `${key}=${String(leafOf(value))}`)));
      }),
      { numRuns: 200 },
    );
  });

  it('spares pages that are written while it goes on, also such as were garbage when it began', () => {
    fc.assert(
      fc.property(content, content, fc.nat({ max: 60 }), (now, later, when) => {
        const { pages, store } = testStore();
        const current = rootOf(pages, now);
        rootOf(pages, later);
        const watched = new WatchedStore(store);
        const tree = new MerkleSearchTree(
          new Pages({ store: watched, hash: testHash(), levelKey: testLevelKey }),
          current,
        );
        const collector = new PageCollector({ pages, store, roots: [current] });
        watched.onPut = (hash) => collector.wrote(hash);
        collector.step(when);
        for (const key of keys) tree.remove(key);
        for (const [key, value] of later) tree.upsert(key, leafOf(value));
        const root = tree.commit();
        while (collector.step(7).phase !== 'done');
        expect(read(store, root)).toEqual(sorted(later));
        expect(read(store, current)).toEqual(sorted(now));
      }),
      { numRuns: 200 },
    );
  });

  it('deletes nothing when a page that must be there is missing', () => {
    const { pages, store } = testStore();
    const root = rootOf(
      pages,
      keys.map((key) => [key, 1]),
    );
    rootOf(pages, [['garbage', 1]]);
    const before = store.size;
    store.delete(root);
    const collector = new PageCollector({ pages, store, roots: [root] });
    rootOf(pages, [['evicts the cache', 1]]);
    expect(() => collector.step(1000)).toThrow(`the page ${root} of a tree is missing`);
    expect(() => collector.step(1000)).toThrow('is missing');
    expect(store.size).toBe(before);
  });
});

/** Tells of every page that is put. */
class WatchedStore extends MemoryPageStore {
  readonly #store: MemoryPageStore;
  onPut: (hash: PageHash) => void = () => undefined;

  constructor(store: MemoryPageStore) {
    super();
    this.#store = store;
  }

  override get(hash: PageHash): Uint8Array | undefined {
    return this.#store.get(hash);
  }

  override put(hash: PageHash, page: Uint8Array): void {
    this.#store.put(hash, page);
    this.onPut(hash);
  }
}
