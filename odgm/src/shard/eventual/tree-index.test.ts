import { describe, expect, it } from 'vitest';
import { encodeLeaf, zeroStamp } from '../../merge/index.ts';
import { MerkleSearchTree } from '../../merkle/index.ts';
import type { Engine } from '../../storage/index.ts';
import { createMemoryEngine } from '../../storage/memory.ts';
import { hashOfPageKey, leafKey, pageBounds, stateKey } from './records.ts';
import { TreeIndex } from './tree-index.ts';
import type { LeafChange } from './transaction.ts';

const location = { shard: 1, generation: 1 };
const levelKey = new Uint8Array(16);
const author = { member: 1, epoch: 1, stamp: () => ({ ms: (counter += 1), counter: 0, member: 1 }) };
const open = (engine: Engine, hasHistory = false): TreeIndex =>
  new TreeIndex({ engine, location, levelKey, isFounder: true, author: hasHistory ? author : undefined });

let counter = 0;
const leafOf = (): Uint8Array =>
  encodeLeaf({ stamp: { ms: (counter += 1), counter: 0, member: 1 }, kind: 'lww', digest: new Uint8Array(16) });

/** As a commit of a group does: leaves and the note of them in one write. */
async function change(engine: Engine, index: TreeIndex, keys: readonly string[]): Promise<void> {
  const leaves = keys.map((treeKey): LeafChange => ({ treeKey, after: leafOf() }));
  await engine.write([
    ...leaves.map(({ treeKey, after }) => ({ type: 'put', key: leafKey(location, treeKey), value: after! }) as const),
    index.noteOf(leaves),
  ]);
  index.apply(leaves);
}

const commit = (index: TreeIndex, now = counter): Promise<void> =>
  index.commit({ cut: zeroStamp, isComplete: true }, now, []);

const pagesOf = (engine: Engine): number => [...engine.range(pageBounds(location))].length;
const contentOf = (index: TreeIndex, root = index.root): string =>
  [...new MerkleSearchTree(index.pages, root).range()].map(({ key, leaf }) => `${key} ${leaf.join()}`).join('\n');
const keyOf = (i: number): string => `o${String(i)}\u0000k`;

describe('the tree of a replica', () => {
  it('is the same after a restart at any moment between two commits', async () => {
    const engine = createMemoryEngine();
    const index = open(engine);
    for (let round = 0; round < 20; round++) {
      await change(engine, index, [keyOf(round), keyOf(round * 7), keyOf(round + 100)]);
      if (round % 3 === 0) await commit(index);
      const again = open(engine);
      expect(again.isDirty).toBe(round % 3 !== 0);
      await commit(again);
      const before = open(engine);
      await commit(index);
      expect(again.root).toBe(index.root);
      expect(before.root).toBe(index.root);
    }
  });

  it('lets go of pages that no root needs, and of none that a pinned or kept one does', async () => {
    const engine = createMemoryEngine();
    const index = open(engine);
    await change(
      engine,
      index,
      Array.from({ length: 3000 }, (_, i) => keyOf(i)),
    );
    await commit(index);
    const pinned = index.root;
    const unpin = index.pin(pinned);
    const then = contentOf(index);
    const most = { pages: 0 };
    for (let round = 0; round < 150; round++) {
      await change(
        engine,
        index,
        Array.from({ length: 20 }, (_, i) => keyOf((round * 131 + i * 17) % 3000)),
      );
      await commit(index);
      index.collect();
      most.pages = Math.max(most.pages, pagesOf(engine));
    }
    // Some 200 pages make a tree of these; each round writes some 40.
    expect(most.pages).toBeLessThan(2500);
    const cold = open(engine);
    expect(contentOf(cold, pinned)).toBe(then);
    expect(contentOf(cold)).toBe(contentOf(index));
    unpin();
    for (let round = 0; round < 60; round++) {
      await change(
        engine,
        index,
        Array.from({ length: 20 }, (_, i) => keyOf((round * 131 + i * 17) % 3000)),
      );
      await commit(index);
      index.collect();
    }
    expect(contentOf(open(engine))).toBe(contentOf(index));
    expect(() => contentOf(open(engine), pinned)).toThrow('is missing');
  });

  it('keeps the pages of all versions, and lets go of those of versions that are kept no longer', async () => {
    const engine = createMemoryEngine();
    const index = open(engine, true);
    await change(
      engine,
      index,
      Array.from({ length: 500 }, (_, i) => keyOf(i)),
    );
    for (let round = 0; round < 400; round++) {
      await change(engine, index, [keyOf(round), keyOf(round + 50), keyOf((round * 3) % 500)]);
      await commit(index);
      index.collect();
    }
    const cold = open(engine, true);
    expect(cold.history?.versions).toHaveLength(128);
    for (const { root } of cold.history?.versions ?? []) {
      expect([...new MerkleSearchTree(cold.pages, root).range()]).toHaveLength(500);
    }
    expect(pagesOf(engine)).toBeLessThan(128 * 12 + 1500);
  });

  it('lets go of no page while something is taken over, also where it had begun to, and goes on afterwards', async () => {
    const [engine, other] = [createMemoryEngine(), createMemoryEngine()];
    const all = Array.from({ length: 3000 }, (_, i) => keyOf(i));
    const [index, theirs] = [open(engine), open(other)];
    await change(other, theirs, all);
    await commit(theirs);
    const write = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const some = Array.from({ length: 20 }, (_, i) => keyOf((round * 131 + i * 17) % 3000));
        await change(engine, index, some);
        await commit(index);
        index.collect();
      }
    };
    await change(engine, index, all);
    await write(30);
    // What it has marked so far knows nothing of what comes.
    const { put, pages, end } = index.beginTakeover();
    for (const { key, value } of other.range(pageBounds(location))) put(hashOfPageKey(key), value);
    await index.savePages([]);
    await write(100);
    const [kept, most] = [contentOf(theirs), pagesOf(engine)];
    const read = (): string =>
      [...new MerkleSearchTree(pages, theirs.root).range()].map(({ key, leaf }) => `${key} ${leaf.join()}`).join('\n');
    expect(read()).toBe(kept);
    expect(contentOf(open(engine), theirs.root)).toBe(kept);
    end();
    await write(30);
    expect(pagesOf(engine)).toBeLessThan(most / 2);
    expect(() => contentOf(open(engine), theirs.root)).toThrow('is missing');
    expect(contentOf(open(engine))).toBe(contentOf(index));
  });

  it('keeps pages that were of no use when it began to let go of them, and that a takeover found since', async () => {
    const [engine, other] = [createMemoryEngine(), createMemoryEngine()];
    // More pages than are looked at in one step.
    const all = Array.from({ length: 40_000 }, (_, i) => keyOf(i));
    const [index, theirs] = [open(engine, true), open(other)];
    await change(other, theirs, all.slice(0, 3000));
    await commit(theirs);
    await change(engine, index, all);
    await commit(index);
    // Of a takeover that did not come to its end.
    const broken = index.beginTakeover();
    for (const { key, value } of other.range(pageBounds(location))) broken.put(hashOfPageKey(key), value);
    await index.savePages([]);
    broken.end();
    index.collect();
    const { pages, end } = index.beginTakeover();
    expect(pages.has(theirs.root)).toBe(true);
    const dot = { ms: 1, counter: 0, member: 2, epoch: 1 };
    index.history!.merge({ refs: [{ kind: 'label', name: 'x', root: theirs.root, atMs: 1, dot }], seen: [dot] });
    await index.saveHistory([]);
    end();
    for (let step = 0; step < 20; step++) index.collect();
    expect(contentOf(open(engine, true), theirs.root)).toBe(contentOf(theirs));
  });

  it('opens what a former build has stored, with the labels and branches that were of this replica', async () => {
    const engine = createMemoryEngine();
    const index = open(engine, true);
    await change(engine, index, [keyOf(1)]);
    await commit(index);
    const { root, atMs } = index.history!.latest!;
    const versions = [{ sequence: 1, root, atMs, label: 'release' }];
    const history = { nextSequence: 2, versions, branches: [{ name: 'try', root, base: root }] };
    const state = Buffer.from(JSON.stringify({ root, cut: zeroStamp, isComplete: true, history }));
    await engine.write([{ type: 'put', key: stateKey(location), value: Buffer.concat([Uint8Array.of(1), state]) }]);
    const again = open(engine, true);
    expect([again.history!.versions, again.history!.branches]).toEqual([versions, history.branches]);
    await again.saveHistory([]);
    expect(open(engine, true).history!.state).toEqual(again.history!.state);
    // Who knows only the former form must not lose them: it does not open this one.
    expect(engine.get(stateKey(location))?.[0]).toBe(2);
    await engine.write([{ type: 'put', key: stateKey(location), value: Buffer.concat([Uint8Array.of(3), state]) }]);
    expect(() => open(engine, true)).toThrow('unknown format');
  });

  it('keeps what was committed and what changed when a commit cannot be written', async () => {
    const engine = createMemoryEngine();
    let isFull = false;
    const failing: Engine = {
      ...engine,
      write: (operations) => (isFull ? Promise.reject(new Error('full')) : engine.write(operations)),
    };
    const index = open(failing);
    await change(engine, index, [keyOf(1), keyOf(2)]);
    isFull = true;
    await expect(commit(index)).rejects.toThrow('full');
    isFull = false;
    await change(engine, index, [keyOf(3)]);
    await commit(index);
    expect(contentOf(open(engine))).toBe(contentOf(index));
    expect([...new MerkleSearchTree(index.pages, index.root).range()]).toHaveLength(3);
  });
});
