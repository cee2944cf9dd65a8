import { invariant, oaasError } from '@oaas/commons/errors';
import { KeyedHash } from './keyed-hash.ts';
import { type Child, decodePage, encodePage, hexOf, type Page } from './page.ts';
import type { HashFunction, Key, PageHash, PageStore } from './types.ts';

export interface PagesOptions {
  readonly store: PageStore;
  readonly hash: HashFunction;
  /**
   * 16 random bytes that all members of a cluster share and nobody else knows. They decide the level of each key:
   * without them nobody can choose keys that make a tree deep. Changing them changes every root.
   */
  readonly levelKey: Uint8Array;
  /** Decoded pages that are kept, up to twice this many; the least recently used go. Default 4096, about 20 MB. */
  readonly cachePages?: number | undefined;
}

/** Reads, checks, writes and caches the pages of one store. Trees over the same store share one. */
export class Pages {
  readonly #store: PageStore;
  readonly #hash: HashFunction;
  readonly #levels: KeyedHash;
  readonly #cachePages: number;
  /** Two generations: pages used since the last turn, and those of the turn before. */
  #young = new Map<PageHash, Page>();
  #old = new Map<PageHash, Page>();
  /** Bytes of a digest. */
  readonly digestLength: number;
  /** Root of a tree without keys. It names no stored page. */
  readonly emptyRoot: PageHash;

  constructor(options: PagesOptions) {
    this.#store = options.store;
    this.#hash = options.hash;
    this.#levels = new KeyedHash(options.levelKey);
    this.#cachePages = options.cachePages ?? 4096;
    const digest = options.hash(new Uint8Array(0));
    invariant(digest.length >= 16 && digest.length <= 64, 'a digest has 16 to 64 bytes');
    this.digestLength = digest.length;
    const nothing: Page = { level: 0, keys: [], leaves: [], children: [undefined], hash: undefined };
    this.emptyRoot = hexOf(options.hash(encodePage(nothing, digest.length)));
  }

  /**
   * Level of a key: leading zero digits, base 16, of its keyed hash; 0 to 16. One key in 16 has level 1 or more, one in
   * 256 level 2 or more, and so on. `InvalidArgument` when it is no key.
   */
  levelOf(key: Key): number {
    this.#levels.hashKey(key);
    const { w0, w1 } = this.#levels;
    return (w0 === 0 ? 32 + Math.clz32(w1) : Math.clz32(w0)) >> 2;
  }

  has(hash: PageHash): boolean {
    return this.#young.has(hash) || this.#old.has(hash) || this.#store.has(hash);
  }

  /** The page as it is stored, for a peer; not checked, as the peer does so. */
  raw(hash: PageHash): Uint8Array | undefined {
    return this.#store.get(hash);
  }

  /** The page, checked against its hash. `StorageCorrupt` when it is not there or not what its hash says. */
  load(child: Page | PageHash): Page {
    if (typeof child !== 'string') return child;
    const young = this.#young.get(child);
    if (young !== undefined) return young;
    const page = this.#old.get(child) ?? this.#read(child);
    this.#remember(child, page);
    return page;
  }

  #read(hash: PageHash): Page {
    const bytes = this.#store.get(hash);
    if (bytes === undefined) throw corrupt(hash, 'is missing');
    const page = this.decode(bytes);
    if (page?.hash !== hash) throw corrupt(hash, 'is not what its address says');
    return page;
  }

  /** The page that `bytes` are, with the hash that they have; `undefined` when they are no page. */
  decode(bytes: Uint8Array): Page | undefined {
    return decodePage(bytes, hexOf(this.#hash(bytes)), this.digestLength);
  }

  /** Stores a page and the changed ones below it; they do not change any more. */
  save(page: Page): PageHash {
    if (page.hash !== undefined) return page.hash;
    for (let i = 0; i < page.children.length; i++) {
      const child = page.children[i];
      if (typeof child === 'object') page.children[i] = this.save(child);
    }
    const bytes = encodePage(page, this.digestLength);
    const hash = hexOf(this.#hash(bytes));
    this.#store.put(hash, bytes);
    page.hash = hash;
    this.#remember(hash, page);
    return hash;
  }

  #remember(hash: PageHash, page: Page): void {
    if (this.#young.size >= this.#cachePages) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(hash, page);
  }

  /** The child for a root: nothing for the root of the empty tree. */
  childOf(root: PageHash): Child {
    return root === this.emptyRoot ? undefined : root;
  }
}

function corrupt(hash: PageHash, what: string): Error {
  return oaasError('StorageCorrupt', `the page ${hash} of a tree ${what}`, {
    remedy: 'Rebuild this replica from another one.',
    details: { page: hash },
  });
}
