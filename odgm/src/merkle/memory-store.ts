import type { PageHash, PageStore } from './types.ts';

/** Pages in memory, without a bound of its own: what is reachable from the roots that its owner keeps, and garbage. */
export class MemoryPageStore implements PageStore {
  readonly #pages = new Map<PageHash, Uint8Array>();

  get size(): number {
    return this.#pages.size;
  }

  get(hash: PageHash): Uint8Array | undefined {
    return this.#pages.get(hash);
  }

  has(hash: PageHash): boolean {
    return this.#pages.has(hash);
  }

  put(hash: PageHash, page: Uint8Array): void {
    this.#pages.set(hash, page);
  }

  delete(hash: PageHash): void {
    this.#pages.delete(hash);
  }

  hashes(): Iterator<PageHash> {
    return this.#pages.keys();
  }
}
