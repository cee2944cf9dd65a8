import { oaasError } from '@oaas/commons/errors';
import { type Child, indexOf, maxLevel, type Page } from './page.ts';
import type { Key, KeyRange } from './types.ts';

/** A page on the way down. Positions go 0 to 2n in key order: even ones are children, odd ones keys. */
interface Frame {
  readonly page: Page;
  at: number;
  /** Position after the last one. */
  readonly end: number;
  /** Keys of the page lie strictly between these; absent: no bound. */
  readonly above: Key | undefined;
  readonly below: Key | undefined;
}

/**
 * Walks a tree in key order without recursion, so that it can stop anywhere. What is next is a subtree, to be skipped
 * or entered, or an entry. Checks while it enters that each page lies between the keys around it, on a lower level:
 * `DataLoss` otherwise. Its state is one frame per level.
 */
export class TreeCursor {
  readonly #range: KeyRange;
  readonly #frames: Frame[] = [];
  kind: 'subtree' | 'entry' | 'end' = 'end';
  /** Of a subtree. */
  child: Child = undefined;
  /** Of an entry. */
  key: Key = '';
  leaf: Uint8Array | undefined;

  constructor(root: Child, range: KeyRange = {}) {
    this.#range = range;
    const top: Page = { level: maxLevel + 1, keys: [], leaves: [], children: [root], hash: undefined };
    this.#frames.push({ page: top, at: 0, end: 1, above: undefined, below: undefined });
    this.#settle();
  }

  /** Leaves out what is next. */
  skip(): void {
    const frame = this.#frames.at(-1);
    if (frame !== undefined) frame.at++;
    this.#settle();
  }

  /** Puts the content of the subtree that is next in its place. `page` is that subtree's page. */
  enter(page: Page): void {
    const parent = this.#frames.at(-1);
    if (parent === undefined) return;
    const index = parent.at >> 1;
    const above = parent.page.keys[index - 1] ?? parent.above;
    const below = parent.page.keys[index] ?? parent.below;
    const first = page.keys[0];
    const last = page.keys.at(-1);
    const isOutside =
      (above !== undefined && first !== undefined && first <= above) ||
      (below !== undefined && last !== undefined && last >= below);
    if (isOutside || page.level >= parent.page.level) throw misplaced(page);
    parent.at++;
    const { first: at, end } = childrenWithin(page, this.#range);
    this.#frames.push({ page, at: 2 * at, end: 2 * end - 1, above, below });
    this.#settle();
  }

  /** Subtrees from here on that lie beside the way down, nearest first. For fetching ahead. */
  *subtreesAhead(): Generator<Child> {
    for (let i = this.#frames.length - 1; i >= 0; i--) {
      const frame = this.#frames[i];
      if (frame === undefined) continue;
      for (let at = frame.at + (frame.at & 1); at < frame.end; at += 2) yield frame.page.children[at >> 1];
    }
  }

  #settle(): void {
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      for (; frame.at < frame.end; frame.at++) {
        if ((frame.at & 1) === 1) {
          this.kind = 'entry';
          this.key = frame.page.keys[frame.at >> 1] ?? '';
          this.leaf = frame.page.leaves[frame.at >> 1];
          return;
        }
        this.child = frame.page.children[frame.at >> 1];
        if (this.child !== undefined) {
          this.kind = 'subtree';
          return;
        }
      }
      this.#frames.pop();
    }
    this.kind = 'end';
  }
}

/** Which children can hold keys of the range: from `first` up to and without `end`. */
export function childrenWithin(page: Page, { start, end }: KeyRange): { first: number; end: number } {
  return {
    first: start === undefined ? 0 : indexOf(page, start),
    end: end === undefined ? page.children.length : indexOf(page, end) + 1,
  };
}

function misplaced(page: Page): Error {
  return oaasError('DataLoss', 'a page of a tree lies where its keys or its level do not belong', {
    remedy: 'The tree that it came from must be rebuilt from another replica.',
    details: { page: page.hash ?? '' },
  });
}
