import { oaasError } from '@oaas/commons/errors';
import { childrenWithin } from './cursor.ts';
import { DiffWalk } from './diff.ts';
import type { PageRequest, PageResponse } from './messages.ts';
import type { Child, Page } from './page.ts';
import type { Pages } from './pages.ts';
import type { Difference, Key, KeyRange, PageHash } from './types.ts';

export interface ExchangeLimits {
  /** Pages asked for by name in one request. */
  readonly pagesPerRequest: number;
  /** Bytes of pages in one answer. */
  readonly bytesPerResponse: number;
  /** Pages held that the walk has not reached: bounds the memory of the exchange, to about this many KB. */
  readonly heldPages: number;
  /** Differences given at once. */
  readonly differencesPerStep: number;
  /**
   * Pages fetched in all. At the bound the exchange ends early; another one goes on from there. It gets further as long
   * as this is more than two paths: twice the height, times `pagesPerRequest`.
   */
  readonly totalPages: number;
}

export const defaultExchangeLimits: ExchangeLimits = {
  pagesPerRequest: 256,
  bytesPerResponse: 256 * 1024,
  heldPages: 1024,
  differencesPerStep: 1024,
  totalPages: 1_000_000,
};

export interface ExchangeOptions {
  /** A committed root of this replica whose pages stay until the exchange is over. */
  readonly ours: PageHash;
  /** The root that the other replica announced. */
  readonly theirs: PageHash;
  /** Keys to compare. Default: all. */
  readonly range?: KeyRange | undefined;
  readonly limits?: Partial<ExchangeLimits> | undefined;
  /** Called with each page that was not here, once it is found to be what was asked for. */
  readonly onPage?: ((hash: PageHash, page: Uint8Array) => void) | undefined;
}

export type ExchangeStep =
  /** Send this to the responder and hand its answer to `receive`. */
  | { readonly type: 'fetch'; readonly request: PageRequest }
  /** Keys that differ, in order, each once over the whole exchange. */
  | { readonly type: 'found'; readonly differences: readonly Difference[] }
  /** Nothing more. `stale`: the other replica dropped the root meanwhile; `bounded`: `totalPages` is reached. */
  | { readonly type: 'end'; readonly reason: 'complete' | 'stale' | 'bounded' };

export interface ExchangeCounters {
  requests: number;
  pages: number;
  /** Of pages received. */
  bytes: number;
}

/** Levels asked for at once by a replica that has nothing: all, as everything is news to it. */
const levelsWhenEmpty = 8;

/**
 * The initiator's side of an exchange: finds the keys in which two replicas differ by fetching those pages of the other
 * tree that are not here, level by level, all subtrees in which something differs at once; a replica that has nothing
 * asks for all levels at once. So it takes about as many requests as the tree has levels, or as its pages need answers.
 * Call `step` until it ends. Nothing is fetched when the roots are equal.
 *
 * What comes from the other side is not trusted: a page must have the hash that was asked for, be well-formed, hold only
 * keys of its level, and lie where it belongs. A page that fails is refused with `DataLoss` and asked for again by the
 * next `step`. A page that holds lies in all this can at worst name differences that are none: whoever acts on a
 * difference merges values and never overwrites.
 */
export class ExchangeInitiator {
  readonly #pages: Pages;
  readonly #range: KeyRange;
  readonly #limits: ExchangeLimits;
  readonly #walk: DiffWalk;
  readonly #levels: number;
  readonly #onPage: ExchangeOptions['onPage'];
  /** Fetched and not reached yet. */
  readonly #held = new Map<PageHash, Page>();
  /** The page that the walk stands before: it may look at it more than once. */
  #head: Page | undefined;
  #request: PageRequest | undefined;
  #isStale = false;
  #resumeFrom: Key | undefined;
  readonly counters: ExchangeCounters = { requests: 0, pages: 0, bytes: 0 };

  constructor(pages: Pages, options: ExchangeOptions) {
    this.#pages = pages;
    this.#range = options.range ?? {};
    this.#limits = { ...defaultExchangeLimits, ...options.limits };
    this.#resumeFrom = this.#range.start;
    this.#onPage = options.onPage;
    const isEqual = options.ours === options.theirs;
    const ours = isEqual ? undefined : pages.childOf(options.ours);
    this.#levels = ours === undefined ? levelsWhenEmpty : 1;
    const theirs = isEqual ? undefined : pages.childOf(options.theirs);
    this.#walk = new DiffWalk(pages, ours, theirs, (child) => this.#resolve(child), options.range);
  }

  /** Start of the range that a later exchange has to compare when this one does not go on. Absent: all of it. */
  get resumeFrom(): Key | undefined {
    return this.#resumeFrom;
  }

  /** What to do next. While an answer is awaited: the same request again. */
  step(): ExchangeStep {
    if (this.#isStale) return { type: 'end', reason: 'stale' };
    if (this.#request !== undefined) return { type: 'fetch', request: this.#request };
    const differences: Difference[] = [];
    while (differences.length < this.#limits.differencesPerStep) {
      const found = this.#walk.next();
      if (found === undefined) break;
      differences.push(found);
    }
    const last = differences.at(-1);
    if (last !== undefined) {
      this.#resumeFrom = `${last.key}\u0000`;
      return { type: 'found', differences };
    }
    if (this.#walk.missing === undefined) return { type: 'end', reason: 'complete' };
    if (this.counters.pages >= this.#limits.totalPages) return { type: 'end', reason: 'bounded' };
    this.#request = this.#nextRequest();
    this.counters.requests++;
    return { type: 'fetch', request: this.#request };
  }

  /** Takes the answer to the last request. `DataLoss` when it is not one: nothing of the bad page on is taken. */
  receive(response: PageResponse): void {
    const request = this.#request;
    if (request === undefined) throw refused('an answer that nobody asked for');
    this.#request = undefined;
    if (response.missing.some((hash) => request.hashes.includes(hash))) {
      this.#isStale = true;
      return;
    }
    const wanted = new Set(request.hashes);
    let bytes = 0;
    for (const [index, raw] of response.pages.entries()) {
      bytes += raw.length;
      if (index > 0 && (bytes > request.maxBytes || index >= request.maxPages)) throw refused('more than it may');
      const page = this.#checked(raw, wanted);
      if (request.levels === 1) continue;
      for (const child of page.children) if (typeof child === 'string') wanted.add(child);
    }
    // The most urgent page must have come: so every answer brings the walk forward.
    if (wanted.has(request.hashes[0] ?? '')) throw refused('an answer without the page that was asked for first');
  }

  #checked(raw: Uint8Array, wanted: Set<PageHash>): Page {
    const page = this.#pages.decode(raw);
    if (page?.hash === undefined) throw refused('bytes that are no page');
    const isKnown = this.#pages.has(page.hash);
    if (!wanted.delete(page.hash) && !isKnown) throw refused('a page that was not asked for', page.hash);
    if (page.keys.some((key) => this.#pages.levelOf(key) !== page.level)) {
      throw refused('a page with keys of another level', page.hash);
    }
    this.counters.pages++;
    this.counters.bytes += raw.length;
    if (isKnown) return page;
    this.#held.set(page.hash, page);
    this.#onPage?.(page.hash, raw);
    return page;
  }

  #resolve(child: Page | PageHash): Page | undefined {
    if (typeof child !== 'string') return child;
    if (this.#head?.hash === child) return this.#head;
    this.#head = this.#held.get(child);
    this.#held.delete(child);
    return this.#head ?? (this.#pages.has(child) ? this.#pages.load(child) : undefined);
  }

  #nextRequest(): PageRequest {
    const room = Math.max(1, this.#limits.heldPages - this.#held.size);
    const hashes: PageHash[] = [];
    const most = Math.min(room, this.#limits.pagesPerRequest);
    for (const child of this.#walk.theirs.subtreesAhead()) {
      if (hashes.length >= most) break;
      this.#gather(child, hashes, most);
    }
    return { hashes, levels: this.#levels, maxPages: room, maxBytes: this.#limits.bytesPerResponse };
  }

  /** Adds the pages at or below `child` that are not here, nearest first. */
  #gather(child: Child, hashes: PageHash[], most: number): void {
    if (typeof child !== 'string' || hashes.length >= most) return;
    const held = this.#held.get(child);
    if (held === undefined) {
      if (!this.#pages.has(child)) hashes.push(child);
      return;
    }
    const { first, end } = childrenWithin(held, this.#range);
    for (const below of held.children.slice(first, end)) this.#gather(below, hashes, most);
  }
}

function refused(what: string, page?: PageHash): Error {
  return oaasError('DataLoss', `a peer sent ${what}`, {
    remedy: 'Check that replica: its copy of the data is damaged, or it runs another version.',
    details: page === undefined ? {} : { page },
  });
}
