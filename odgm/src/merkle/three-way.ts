import { diffTrees } from './diff.ts';
import type { Pages } from './pages.ts';
import { sameBytes } from './page.ts';
import { MerkleSearchTree } from './tree.ts';
import type { Key, KeyRange, PageHash } from './types.ts';

/** Leaves of one key in three trees. Absent: that tree does not have the key. */
export interface Triple {
  readonly key: Key;
  readonly base: Uint8Array | undefined;
  readonly ours: Uint8Array | undefined;
  readonly theirs: Uint8Array | undefined;
}

/**
 * What merging `theirs` into `ours` has to decide, in key order: keys that `theirs` changed since `base` and that are
 * not the same in `ours`. Keys that only `ours` changed stay as they are and do not come. `isConflict` tells whether
 * both sides changed a key.
 */
export function* diffThreeWay(
  pages: Pages,
  roots: { readonly base: PageHash; readonly ours: PageHash; readonly theirs: PageHash },
  range?: KeyRange,
): Generator<Triple> {
  if (roots.ours === roots.theirs) return;
  const tree = new MerkleSearchTree(pages, roots.ours);
  for (const { key, ours: base, theirs } of diffTrees(pages, roots.base, roots.theirs, range)) {
    const ours = tree.get(key);
    if (!sameLeaf(ours, theirs)) yield { key, base, ours, theirs };
  }
}

/** True when `ours` changed the key as well. */
export function isConflict(triple: Triple): boolean {
  return !sameLeaf(triple.base, triple.ours);
}

function sameLeaf(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b);
}
