import { oaasError } from '@oaas/commons/errors';
import { TreeCursor } from './cursor.ts';
import { type Child, indexOf, type Page, sameBytes } from './page.ts';
import type { Pages } from './pages.ts';
import { type Key, type KeyRange, maxLeafBytes, type PageHash } from './types.ts';

export interface Entry {
  readonly key: Key;
  readonly leaf: Uint8Array;
}

/**
 * Merkle search tree: an ordered map whose shape, and so its root hash, is a function of what is in it and not of how it
 * got there. Keys of a higher level separate those of lower ones; about 16 children a page. Pages are copied when they
 * change: every committed root stays readable as long as its pages are kept.
 *
 * Changes gather in memory until `commit`, which hashes each changed page once. A leaf that was handed in must not be
 * changed afterwards.
 *
 * Source: A. Auvolat, F. Taïani, "Merkle Search Trees: Efficient State-Based CRDTs in Open Networks", SRDS 2019.
 */
export class MerkleSearchTree {
  readonly #pages: Pages;
  #root: Child;
  #pending = 0;

  /** The tree that `root` names; the empty one by default. */
  constructor(pages: Pages, root: PageHash = pages.emptyRoot) {
    this.#pages = pages;
    this.#root = pages.childOf(root);
  }

  /** Pages changed since the last commit, at most: they are held in memory, about 2 KB each. Commit to let go of them. */
  get pendingPages(): number {
    return this.#pending;
  }

  /** The leaf of a key: a view, not to be changed. */
  get(key: Key): Uint8Array | undefined {
    let child = this.#root;
    while (child !== undefined) {
      const page = this.#pages.load(child);
      const index = indexOf(page, key);
      if (page.keys[index] === key) return page.leaves[index];
      child = page.children[index];
    }
    return undefined;
  }

  /** Entries in key order, changes included. The tree must not change meanwhile. */
  *range(range: KeyRange = {}): Generator<Entry> {
    const cursor = new TreeCursor(this.#root, range);
    while (cursor.kind !== 'end') {
      if (cursor.kind === 'subtree' && cursor.child !== undefined) {
        cursor.enter(this.#pages.load(cursor.child));
        continue;
      }
      if (cursor.leaf !== undefined) yield { key: cursor.key, leaf: cursor.leaf };
      cursor.skip();
    }
  }

  /** `InvalidArgument` when the key or the leaf is out of bounds; the tree is then as it was. */
  upsert(key: Key, leaf: Uint8Array): void {
    if (leaf.length === 0 || leaf.length > maxLeafBytes) {
      throw oaasError('InvalidArgument', `a leaf has 1 to ${maxLeafBytes} bytes, not ${leaf.length}`);
    }
    this.#root = this.#upsert(this.#root, key, leaf, this.#pages.levelOf(key));
  }

  /** Does nothing when the key is not there. */
  remove(key: Key): void {
    this.#root = this.#remove(this.#root, key, this.#pages.levelOf(key));
  }

  /** Hashes and stores what changed; the root of the tree as it is now. */
  commit(): PageHash {
    if (this.#root === undefined) return this.#pages.emptyRoot;
    if (typeof this.#root === 'object') this.#root = this.#pages.save(this.#root);
    this.#pending = 0;
    return this.#root;
  }

  /** Gives `child` back itself when nothing changes, so that no page above it is copied. */
  #upsert(child: Child, key: Key, leaf: Uint8Array, level: number): Child {
    if (child === undefined) return this.#page(level, [key], [leaf], [undefined, undefined]);
    const page = this.#pages.load(child);
    if (page.level < level) return this.#page(level, [key], [leaf], this.#split(child, key));
    const index = indexOf(page, key);
    if (page.level > level) {
      const below = page.children[index];
      const changed = this.#upsert(below, key, leaf, level);
      if (changed === below) return child;
      const own = this.#own(page);
      own.children[index] = changed;
      return own;
    }
    const old = page.leaves[index];
    if (page.keys[index] === key && old !== undefined) {
      if (sameBytes(old, leaf)) return child;
      const own = this.#own(page);
      own.leaves[index] = leaf;
      return own;
    }
    const halves = this.#split(page.children[index], key);
    const own = this.#own(page);
    own.keys.splice(index, 0, key);
    own.leaves.splice(index, 0, leaf);
    own.children.splice(index, 1, ...halves);
    return own;
  }

  #remove(child: Child, key: Key, level: number): Child {
    if (child === undefined) return child;
    const page = this.#pages.load(child);
    const index = indexOf(page, key);
    if (page.level > level) {
      const below = page.children[index];
      const changed = this.#remove(below, key, level);
      if (changed === below) return child;
      const own = this.#own(page);
      own.children[index] = changed;
      return own;
    }
    if (page.keys[index] !== key) return child;
    const between = this.#join(page.children[index], page.children[index + 1]);
    if (page.keys.length === 1) return between;
    const own = this.#own(page);
    own.keys.splice(index, 1);
    own.leaves.splice(index, 1);
    own.children.splice(index, 2, between);
    return own;
  }

  /** What is below `key`, and what is above; the key itself is not there. */
  #split(child: Child, key: Key): [Child, Child] {
    if (child === undefined) return [undefined, undefined];
    const page = this.#pages.load(child);
    const { level, keys, leaves, children } = page;
    const index = indexOf(page, key);
    const [low, high] = this.#split(children[index], key);
    if (index === keys.length && high === undefined) return [child, undefined];
    if (index === 0 && low === undefined) return [undefined, child];
    const left =
      index === 0
        ? low
        : this.#page(level, keys.slice(0, index), leaves.slice(0, index), [...children.slice(0, index), low]);
    const right =
      index === keys.length
        ? high
        : this.#page(level, keys.slice(index), leaves.slice(index), [high, ...children.slice(index + 1)]);
    return [left, right];
  }

  /** One tree of two, all keys of `left` being below those of `right`. */
  #join(left: Child, right: Child): Child {
    if (left === undefined) return right;
    if (right === undefined) return left;
    const low = this.#pages.load(left);
    const high = this.#pages.load(right);
    if (low.level > high.level) {
      const own = this.#own(low);
      own.children[low.keys.length] = this.#join(low.children[low.keys.length], right);
      return own;
    }
    if (low.level < high.level) {
      const own = this.#own(high);
      own.children[0] = this.#join(left, high.children[0]);
      return own;
    }
    const between = this.#join(low.children.at(-1), high.children[0]);
    return this.#page(
      low.level,
      [...low.keys, ...high.keys],
      [...low.leaves, ...high.leaves],
      [...low.children.slice(0, -1), between, ...high.children.slice(1)],
    );
  }

  /** A page that may be changed: this one, or a copy when others can see it. */
  #own(page: Page): Page {
    if (page.hash === undefined) return page;
    return this.#page(page.level, page.keys.slice(), page.leaves.slice(), page.children.slice());
  }

  #page(level: number, keys: Key[], leaves: Uint8Array[], children: Child[]): Page {
    this.#pending++;
    return { level, keys, leaves, children, hash: undefined };
  }
}
