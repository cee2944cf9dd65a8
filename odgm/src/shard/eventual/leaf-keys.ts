/** Objects of a generation; there are two of them. */
const maxObjects = 2048;
/** Objects with more leaves are looked up in storage each time. */
const maxKeys = 16;

/**
 * Which leaves the objects have that were written last: whoever replaces an object has to know all of its entries,
 * tombstones too, and to ask storage for a range of keys costs more than all else of a small write. Holds what is
 * stored, or nothing of an object. Bounded: the objects that were not used for the longest time go.
 */
export class LeafKeys {
  #young = new Map<string, readonly string[]>();
  #old = new Map<string, readonly string[]>();

  of(id: string): readonly string[] | undefined {
    const young = this.#young.get(id);
    if (young !== undefined) return young;
    const old = this.#old.get(id);
    if (old !== undefined) this.#remember(id, old);
    return old;
  }

  /** These are stored now. */
  set(id: string, keys: readonly string[]): void {
    if (keys.length <= maxKeys) this.#remember(id, keys);
    else this.forget(id);
  }

  forget(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }

  #remember(id: string, keys: readonly string[]): void {
    if (this.#young.size >= maxObjects && !this.#young.has(id)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, keys);
  }
}
