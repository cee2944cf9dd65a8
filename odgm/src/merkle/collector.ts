import type { Pages } from './pages.ts';
import type { PageHash, PageStore } from './types.ts';

export interface CollectorOptions {
  readonly pages: Pages;
  /** The store of `pages`. */
  readonly store: PageStore;
  /** Every root whose pages must stay: the current one, history, branches, and those of exchanges under way. */
  readonly roots: Iterable<PageHash>;
  /** Called once for each entry of each page that stays, for what else the leaves keep alive. */
  readonly onLeaf?: ((key: string, leaf: Uint8Array) => void) | undefined;
}

export interface CollectorProgress {
  readonly phase: 'mark' | 'sweep' | 'done';
  /** Pages that stay. */
  readonly kept: number;
  /** Pages deleted so far. */
  readonly deleted: number;
}

/**
 * One collection of pages that no root needs any more, in slices, while trees go on changing: marks what is reachable
 * from the roots, then deletes the rest. Costs one hash in memory for each page that stays.
 *
 * While it goes on: call `wrote` for every page put into the store (a page that was garbage may be written again), keep
 * the roots, and open no tree at a root that is not kept.
 */
export class PageCollector {
  readonly #options: CollectorOptions;
  readonly #kept = new Set<PageHash>();
  readonly #toMark: PageHash[] = [];
  #sweep: Iterator<PageHash> | undefined;
  #phase: CollectorProgress['phase'] = 'mark';
  #deleted = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
    for (const root of options.roots) if (root !== options.pages.emptyRoot) this.#mark(root);
  }

  /** A page was put into the store: it stays. */
  wrote(hash: PageHash): void {
    this.#kept.add(hash);
  }

  /** Looks at up to `pages` pages. `StorageCorrupt` when a page that must be there is not: nothing is deleted then. */
  step(pages: number): CollectorProgress {
    for (let left = pages; left > 0 && this.#phase !== 'done'; left--) {
      if (this.#phase === 'mark') this.#markOne();
      else this.#sweepOne();
    }
    return { phase: this.#phase, kept: this.#kept.size, deleted: this.#deleted };
  }

  #markOne(): void {
    const hash = this.#toMark.at(-1);
    if (hash === undefined) {
      this.#phase = 'sweep';
      return;
    }
    const { pages, onLeaf } = this.#options;
    const page = pages.load(hash);
    this.#toMark.pop();
    for (const child of page.children) if (typeof child === 'string') this.#mark(child);
    if (onLeaf === undefined) return;
    for (const [i, key] of page.keys.entries()) onLeaf(key, page.leaves[i] ?? new Uint8Array(0));
  }

  #mark(hash: PageHash): void {
    if (this.#kept.has(hash)) return;
    this.#kept.add(hash);
    this.#toMark.push(hash);
  }

  #sweepOne(): void {
    this.#sweep ??= this.#options.store.hashes();
    const next = this.#sweep.next();
    if (next.done === true) {
      this.#phase = 'done';
      return;
    }
    if (this.#kept.has(next.value)) return;
    this.#options.store.delete(next.value);
    this.#deleted++;
  }
}
