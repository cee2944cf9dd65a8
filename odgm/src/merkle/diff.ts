import { TreeCursor } from './cursor.ts';
import { type Child, type Page, sameBytes } from './page.ts';
import type { Pages } from './pages.ts';
import type { Difference, KeyRange, PageHash } from './types.ts';

/** Finds the page of a subtree of the other tree; `undefined` when it is not here yet. */
type Resolve = (child: Page | PageHash) => Page | undefined;

/**
 * Walks two trees side by side and stops at each key whose leaf differs. Subtrees that both have are skipped unread, so
 * that the cost is the number of differences times the height. Stops as well where a page of the other tree is
 * missing: once it is here, the walk goes on from there.
 */
export class DiffWalk {
  readonly #pages: Pages;
  readonly #resolve: Resolve;
  readonly #ours: TreeCursor;
  readonly theirs: TreeCursor;
  /** The page that the walk stands before. */
  missing: PageHash | undefined;

  constructor(pages: Pages, ours: Child, theirs: Child, resolve: Resolve, range?: KeyRange) {
    this.#pages = pages;
    this.#resolve = resolve;
    this.#ours = new TreeCursor(ours, range);
    this.theirs = new TreeCursor(theirs, range);
  }

  /** The next difference, in key order; `undefined` at the end, or when a page is `missing`. */
  next(): Difference | undefined {
    const ours = this.#ours;
    const theirs = this.theirs;
    this.missing = undefined;
    while (ours.kind !== 'end' || theirs.kind !== 'end') {
      if (ours.kind === 'subtree' || theirs.kind === 'subtree') {
        if (!this.#descend()) return undefined;
        continue;
      }
      const found = this.#compare();
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Skips or enters what is next on one or both sides. False when a page is missing. */
  #descend(): boolean {
    const ours = this.#ours;
    const theirs = this.theirs;
    if (ours.kind === 'subtree' && theirs.kind === 'subtree' && ours.child === theirs.child) {
      ours.skip();
      theirs.skip();
      return true;
    }
    const left = ours.kind === 'subtree' && ours.child !== undefined ? this.#pages.load(ours.child) : undefined;
    const right = theirs.kind === 'subtree' && theirs.child !== undefined ? this.#resolve(theirs.child) : undefined;
    if (theirs.kind === 'subtree' && right === undefined) {
      this.missing = typeof theirs.child === 'string' ? theirs.child : undefined;
      return false;
    }
    // Of two subtrees the higher one is entered first: what the lower one is may be found whole inside it.
    if (left !== undefined && (right === undefined || left.level >= right.level)) ours.enter(left);
    if (right !== undefined && (left === undefined || right.level >= left.level)) theirs.enter(right);
    return true;
  }

  /** Takes the lower one of two entries, or both when they are of the same key. */
  #compare(): Difference | undefined {
    const ours = this.#ours;
    const theirs = this.theirs;
    const isOurs = ours.kind === 'entry' && (theirs.kind === 'end' || ours.key <= theirs.key);
    const isTheirs = theirs.kind === 'entry' && (ours.kind === 'end' || theirs.key <= ours.key);
    const key = isOurs ? ours.key : theirs.key;
    const ourLeaf = isOurs ? ours.leaf : undefined;
    const theirLeaf = isTheirs ? theirs.leaf : undefined;
    if (isOurs) ours.skip();
    if (isTheirs) theirs.skip();
    if (ourLeaf !== undefined && theirLeaf !== undefined && sameBytes(ourLeaf, theirLeaf)) return undefined;
    return { key, ours: ourLeaf, theirs: theirLeaf };
  }
}

/** Keys that differ between two committed trees of one store, in order. Nothing is read when the roots are equal. */
export function* diffTrees(pages: Pages, ours: PageHash, theirs: PageHash, range?: KeyRange): Generator<Difference> {
  if (ours === theirs) return;
  const walk = new DiffWalk(pages, pages.childOf(ours), pages.childOf(theirs), (child) => pages.load(child), range);
  for (let found = walk.next(); found !== undefined; found = walk.next()) yield found;
}
