import { oaasError } from '@oaas/commons/errors';
import { decodeHeader, decodeLeaf, type Stamp, zeroStamp } from '../../merge/index.ts';
import {
  type FormerHistoryState,
  type HistoryState,
  type Key,
  MerkleSearchTree,
  PageCollector,
  type PageHash,
  Pages,
  type PageStore,
  type RefAuthor,
  VersionHistory,
} from '../../merkle/index.ts';
import type { Engine, StorageReader, WriteOperation } from '../../storage/index.ts';
import type { ShardLocation } from '../records.ts';
import {
  decodeDirty,
  digestOfKeptKey,
  dirtyBounds,
  dirtyKey,
  encodeDirty,
  hashOf,
  hashOfPageKey,
  headerKey,
  keptBounds,
  keptKey,
  leafKey,
  ofTreeKey,
  pageBounds,
  pageKey,
  sequenceOfDirtyKey,
  stateKey,
} from './records.ts';
import { headerLeaf, type LeafChange } from './transaction.ts';

/** What a replica stores of itself, together with each state of its tree. */
export interface ReplicaState {
  readonly root: PageHash;
  /** Tombstones up to here are everywhere. */
  readonly cut: Stamp;
  /** It has once had all that another replica had. */
  readonly isComplete: boolean;
  readonly history?: HistoryState | FormerHistoryState | undefined;
}

/**
 * What a state begins with, before its JSON. 2: labels and branches are those of the shard, which who knows only 1 would
 * lose; a state without a history is the same in both.
 */
const stateFormats = { plain: 1, history: 2 } as const;

/** Decoded pages in memory, up to twice as many, of about 2 KB each. */
const cachePages = 1024;
/** Leaves that wait for the tree; it takes a few milliseconds to bring so many in. */
const maxWaitingLeaves = 2048;
/** Pages looked at in one step of a collection. */
const collectPages = 2000;
/** A collection begins when so many pages, and half as many as are kept, were written since the last one. */
const collectAfter = 512;
const deletesAtOnce = 512;
/** Decoded pages in memory for something that is taken over. */
const takeoverPages = 256;

/**
 * The tree over all leaves of a replica, its pages in the storage engine. Changes gather in memory; which keys they are
 * of is stored with them, so that the tree is the same again after a restart. A commit stores the pages.
 */
export class TreeIndex {
  readonly pages: Pages;
  readonly history: VersionHistory | undefined;
  readonly #engine: Engine;
  readonly #location: ShardLocation;
  readonly #store: EnginePages;
  readonly #pins = new Map<PageHash, number>();
  #tree: MerkleSearchTree;
  /** Leaves that changed and are not in the tree yet. */
  readonly #waiting = new Map<Key, Uint8Array | undefined>();
  /** As of the last commit. */
  #committed: MerkleSearchTree;
  #root: PageHash;
  /** Dirty keys on disk: sequence numbers from first up to, without, next. */
  #firstDirty: number;
  #nextDirty: number;
  #collection: Collection | undefined;
  #keptPages = 0;
  /** While something is taken over from another replica nothing is collected: what was here already must stay. */
  #takeovers = 0;
  readonly #levelKey: Uint8Array;
  state: ReplicaState;

  /** `isFounder`: complete from the beginning. `author`: where versions are kept. Throws `StorageCorrupt`. */
  constructor(options: {
    readonly engine: Engine;
    readonly location: ShardLocation;
    readonly levelKey: Uint8Array;
    readonly isFounder: boolean;
    readonly author?: RefAuthor | undefined;
  }) {
    const { engine, location, levelKey, isFounder, author } = options;
    this.#levelKey = levelKey;
    this.#engine = engine;
    this.#location = location;
    this.#store = new EnginePages(engine, location);
    this.pages = new Pages({ store: this.#store, hash: hashOf, levelKey, cachePages });
    this.state = readState(engine, location) ?? { root: this.pages.emptyRoot, cut: zeroStamp, isComplete: isFounder };
    this.history = author === undefined ? undefined : new VersionHistory({ author, state: this.state.history });
    this.#root = this.state.root;
    this.#tree = new MerkleSearchTree(this.pages, this.#root);
    this.#committed = new MerkleSearchTree(this.pages, this.#root);
    this.#firstDirty = 1;
    this.#nextDirty = 1;
    this.#replay();
  }

  /** Of the last commit. */
  get root(): PageHash {
    return this.#root;
  }

  get isDirty(): boolean {
    return this.#firstDirty !== this.#nextDirty;
  }

  /** Pages that wait in memory, at most. */
  get pendingPages(): number {
    return this.#tree.pendingPages;
  }

  /** To be written with the changes themselves. */
  noteOf(leaves: readonly LeafChange[]): WriteOperation {
    const value = encodeDirty(leaves.map(({ treeKey }) => treeKey));
    return { type: 'put', key: dirtyKey(this.#location, this.#nextDirty), value };
  }

  /** What was noted is written. */
  apply(leaves: readonly LeafChange[]): void {
    this.#nextDirty += 1;
    for (const { treeKey, after } of leaves) this.#waiting.set(treeKey, after);
    if (this.#waiting.size >= maxWaitingLeaves) this.#bringIn();
  }

  /** Keys that lie together come one after the other; what changed often is brought in once. */
  #bringIn(): void {
    for (const treeKey of [...this.#waiting.keys()].sort()) this.#set(treeKey, this.#waiting.get(treeKey));
    this.#waiting.clear();
  }

  /** The leaf that the state of the last commit has of a key. */
  versionOf(treeKey: Key): Uint8Array | undefined {
    return this.#committed.get(treeKey);
  }

  /**
   * Stores the tree as it is, with this replica's state; nothing may be applied until it resolves. `now`: of the version
   * that is recorded where versions are kept. When it rejects, the next one stores all of it.
   */
  async commit(state: Omit<ReplicaState, 'root' | 'history'>, now: number, more: WriteOperation[]): Promise<void> {
    this.#bringIn();
    const root = this.#tree.commit();
    this.history?.record(root, now);
    await this.#save({ ...state, root, history: this.history?.state }, more);
    this.#root = root;
    this.#committed = new MerkleSearchTree(this.pages, root);
  }

  /**
   * Stores what changed in the history, with pages that were put meanwhile and what else belongs to them. When it rejects,
   * the history is what is stored.
   */
  async saveHistory(more: readonly WriteOperation[]): Promise<void> {
    const state = { ...this.state, history: this.history?.state };
    try {
      await this.savePages([...more, stateOperation(this.#location, state)]);
    } catch (error) {
      this.history?.reset(this.state.history);
      throw error;
    }
    this.state = state;
  }

  async #save(state: ReplicaState, more: readonly WriteOperation[]): Promise<void> {
    const written = this.#store.pending();
    const operations = [...more, ...this.#store.operations(written), stateOperation(this.#location, state)];
    const next = this.#nextDirty;
    for (let sequence = this.#firstDirty; sequence < next; sequence++) {
      operations.push({ type: 'delete', key: dirtyKey(this.#location, sequence) });
    }
    await this.#engine.write(operations);
    this.#stored(written);
    this.#firstDirty = next;
    this.state = state;
  }

  #stored(pages: ReadonlyMap<PageHash, Uint8Array>): void {
    for (const hash of pages.keys()) this.#collection?.collector.wrote(hash);
    this.#store.stored(pages);
  }

  /**
   * Pages can be put from another replica, and none is taken away until `end` is called. `pages` has what is stored, and
   * nothing from memory that was taken away since.
   */
  beginTakeover(): { readonly pages: Pages; readonly put: EnginePages['put']; readonly end: () => void } {
    this.#takeovers += 1;
    if (this.#collection !== undefined) {
      // What it has marked does not know of what is taken over. Another one begins afterwards.
      this.#collection = undefined;
      this.#store.writtenPages = Math.max(this.#store.writtenPages, this.#collectAt());
    }
    let isOver = false;
    return {
      pages: new Pages({ store: this.#store, hash: hashOf, levelKey: this.#levelKey, cachePages: takeoverPages }),
      put: (hash, page) => {
        this.#store.put(hash, page);
      },
      end: () => {
        if (!isOver) this.#takeovers -= 1;
        isOver = true;
      },
    };
  }

  /** Stores pages that were put, with what else belongs to them. */
  async savePages(more: readonly WriteOperation[]): Promise<void> {
    const written = this.#store.pending();
    const operations = [...more, ...this.#store.operations(written)];
    if (operations.length > 0) await this.#engine.write(operations);
    this.#stored(written);
  }

  /** Keeps the pages of a root. */
  pin(root: PageHash): () => void {
    this.#pins.set(root, (this.#pins.get(root) ?? 0) + 1);
    let isPinned = true;
    return () => {
      if (!isPinned) return;
      isPinned = false;
      const left = (this.#pins.get(root) ?? 1) - 1;
      if (left === 0) this.#pins.delete(root);
      else this.#pins.set(root, left);
    };
  }

  /** Goes on with taking away pages that no root needs, where that is worth while. Not between a commit's begin and end. */
  collect(): void {
    if (this.#takeovers > 0) return;
    if (this.#collection === undefined) {
      if (this.#store.writtenPages < this.#collectAt()) return;
      this.#store.writtenPages = 0;
      this.#collection = this.#beginCollection();
    }
    const { collector, unneeded } = this.#collection;
    const { phase, kept } = collector.step(collectPages);
    this.#store.flushDeletes();
    if (phase !== 'done') return;
    this.#keptPages = kept;
    this.#collection = undefined;
    const keys = [...unneeded].map((digest) => keptKey(this.#location, Buffer.from(digest, 'hex')));
    for (let at = 0; at < keys.length; at += deletesAtOnce) {
      this.#engine.apply(keys.slice(at, at + deletesAtOnce).map((key) => ({ type: 'delete', key })));
    }
  }

  #collectAt(): number {
    return Math.max(collectAfter, this.#keptPages / 2);
  }

  #beginCollection(): Collection {
    const roots = new Set([this.#root, ...this.#pins.keys(), ...(this.history?.roots() ?? [])]);
    const unneeded = new Set<string>();
    if (this.history !== undefined) {
      for (const { key } of this.#engine.range(keptBounds(this.#location))) unneeded.add(digestOfKeptKey(key));
    }
    const onLeaf =
      unneeded.size === 0
        ? undefined
        : (_key: string, leaf: Uint8Array): void => {
            unneeded.delete(Buffer.from(decodeLeaf(leaf).digest).toString('hex'));
          };
    return { collector: new PageCollector({ pages: this.pages, store: this.#store, roots, onLeaf }), unneeded };
  }

  #set(treeKey: Key, leaf: Uint8Array | undefined): void {
    if (leaf === undefined) this.#tree.remove(treeKey);
    else this.#tree.upsert(treeKey, leaf);
  }

  /** Changes since the last commit, which only their keys are known of. */
  #replay(): void {
    for (const { key, value } of this.#engine.range(dirtyBounds(this.#location))) {
      const sequence = sequenceOfDirtyKey(key);
      if (this.#firstDirty === this.#nextDirty) this.#firstDirty = sequence;
      this.#nextDirty = sequence + 1;
      for (const treeKey of decodeDirty(value)) this.#set(treeKey, leafOf(this.#engine, this.#location, treeKey));
    }
  }
}

interface Collection {
  readonly collector: PageCollector;
  /** Digests of earlier states, less those that a leaf was found of. */
  readonly unneeded: Set<string>;
}

/** As stored; undefined for none. */
export function leafOf(storage: StorageReader, location: ShardLocation, treeKey: Key): Uint8Array | undefined {
  const { id, key } = ofTreeKey(treeKey);
  if (key !== undefined) return storage.get(leafKey(location, treeKey));
  const header = storage.get(headerKey(location, id));
  return header === undefined ? undefined : headerLeaf(decodeHeader(header), header);
}

function stateOperation(location: ShardLocation, state: ReplicaState): WriteOperation {
  const text = Buffer.from(JSON.stringify(state));
  const format = state.history === undefined ? stateFormats.plain : stateFormats.history;
  return { type: 'put', key: stateKey(location), value: Buffer.concat([Uint8Array.of(format), text]) };
}

function readState(storage: StorageReader, location: ShardLocation): ReplicaState | undefined {
  const value = storage.get(stateKey(location));
  if (value === undefined) return undefined;
  if (!Object.values<number | undefined>(stateFormats).includes(value[0])) {
    throw oaasError('StorageCorrupt', 'the state of a replica has an unknown format', {
      remedy: 'Repair this replica from the others.',
      details: { group: location.shard },
    });
  }
  return JSON.parse(Buffer.from(value).toString('utf8', 1)) as ReplicaState;
}

/** Pages in the engine. Those that were put wait in memory, where they can be read, until they are stored. */
class EnginePages implements PageStore {
  readonly #engine: Engine;
  readonly #location: ShardLocation;
  readonly #waiting = new Map<PageHash, Uint8Array>();
  #deletes: WriteOperation[] = [];
  writtenPages = 0;

  constructor(engine: Engine, location: ShardLocation) {
    this.#engine = engine;
    this.#location = location;
  }

  get(hash: PageHash): Uint8Array | undefined {
    return this.#waiting.get(hash) ?? this.#engine.get(pageKey(this.#location, hash));
  }

  has(hash: PageHash): boolean {
    return this.#waiting.has(hash) || this.#engine.get(pageKey(this.#location, hash)) !== undefined;
  }

  put(hash: PageHash, page: Uint8Array): void {
    this.#waiting.set(hash, page);
    this.writtenPages += 1;
  }

  delete(hash: PageHash): void {
    this.#deletes.push({ type: 'delete', key: pageKey(this.#location, hash) });
  }

  *hashes(): Iterator<PageHash> {
    const { start, end } = pageBounds(this.#location);
    let from: Uint8Array = start;
    for (;;) {
      const found = Array.from(this.#engine.range({ start: from, end, limit: deletesAtOnce }), ({ key }) => key);
      for (const key of found) yield hashOfPageKey(key);
      const last = found.at(-1);
      if (last === undefined || found.length < deletesAtOnce) return;
      from = Buffer.concat([last, Uint8Array.of(0)]);
    }
  }

  pending(): ReadonlyMap<PageHash, Uint8Array> {
    return new Map(this.#waiting);
  }

  operations(pages: ReadonlyMap<PageHash, Uint8Array>): WriteOperation[] {
    return Array.from(pages, ([hash, value]) => ({ type: 'put', key: pageKey(this.#location, hash), value }));
  }

  stored(pages: ReadonlyMap<PageHash, Uint8Array>): void {
    for (const hash of pages.keys()) this.#waiting.delete(hash);
  }

  flushDeletes(): void {
    if (this.#deletes.length > 0) this.#engine.apply(this.#deletes);
    this.#deletes = [];
  }
}
