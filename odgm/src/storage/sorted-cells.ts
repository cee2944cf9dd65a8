/** A cell of {@link SortedCells}: whatever has a key. */
export interface Keyed {
  readonly key: string;
}

/** A list of this many cells is cut in two. Large enough that lists are few, small enough that an insertion moves little. */
const maxList = 512;

/**
 * Cells in ascending order of their keys: a list of sorted lists of bounded length, found by binary search. Insertion
 * costs O(log n + maxList) of very small steps, which is faster than a tree up to millions of cells.
 *
 * Source: G. Jenks, "Sorted Containers" (SortedList), 2014.
 */
export class SortedCells<T extends Keyed> {
  #lists: T[][] = [];
  /** Changes with every insertion and removal, so that an iteration notices. */
  #changes = 0;

  /** Adds a cell whose key is not there yet. */
  insert(cell: T): void {
    this.#changes += 1;
    const at = this.#listOf(cell.key);
    const list = this.#lists[at];
    if (list === undefined) {
      this.#lists.push([cell]);
      return;
    }
    list.splice(lowerBound(list, cell.key), 0, cell);
    if (list.length > maxList) this.#lists.splice(at + 1, 0, list.splice(maxList >> 1));
  }

  remove(key: string): void {
    const at = this.#listOf(key);
    const list = this.#lists[at];
    if (list === undefined) return;
    const position = lowerBound(list, key);
    if (list[position]?.key !== key) return;
    this.#changes += 1;
    list.splice(position, 1);
    if (list.length === 0) this.#lists.splice(at, 1);
  }

  /** Cells with start <= key < end, ascending. Cells may come and go meanwhile: the iteration sees them or not. */
  *between(start: string, end: string): Generator<T> {
    let at = this.#listOf(start);
    let position = lowerBound(this.#lists[at] ?? [], start);
    let changes = this.#changes;
    for (;;) {
      const list = this.#lists[at];
      if (list === undefined) return;
      const cell = list[position];
      if (cell === undefined) {
        at += 1;
        position = 0;
        continue;
      }
      if (cell.key >= end) return;
      yield cell;
      position += 1;
      if (changes === this.#changes) continue;
      changes = this.#changes;
      const next = `${cell.key}\0`;
      at = this.#listOf(next);
      position = lowerBound(this.#lists[at] ?? [], next);
    }
  }

  /** The last list whose first key is at most `key`; the first one when there is none. */
  #listOf(key: string): number {
    let low = 0;
    let high = this.#lists.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = this.#lists[middle]?.[0];
      if (first !== undefined && first.key <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Position of the first cell whose key is at least `key`. */
function lowerBound(list: readonly Keyed[], key: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const cell = list[middle];
    if (cell !== undefined && cell.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
