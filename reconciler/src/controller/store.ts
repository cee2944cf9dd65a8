import { keyOf, type Watched } from './ports.ts';

export type StoreChange<T> =
  | { readonly type: 'added'; readonly key: string; readonly object: T }
  | { readonly type: 'updated'; readonly key: string; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly key: string; readonly object: T };

export type StoreListener<T> = (change: StoreChange<T>) => void;

/** Values of an object under which it is found. */
export type Indexer<T> = (object: T) => readonly string[];

/**
 * The objects of one collection as last seen. The reflector writes it; whoever has just written an object to the server
 * may {@link put} the answer, so that the next look does not miss its own write. An older version never replaces a newer
 * one. Listeners must be quick and must not throw; they are told of each difference once. Bounded by the collection.
 */
export class Store<T extends Watched> {
  readonly #objects = new Map<string, T>();
  readonly #indexers: ReadonlyMap<string, Indexer<T>>;
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #listeners = new Set<StoreListener<T>>();
  /** Everything up to this version has been seen. */
  #version = '';

  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}) {
    this.#indexers = new Map(Object.entries(indexers));
    for (const name of this.#indexers.keys()) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  /** Objects that the index `name` files under `value`. */
  byIndex(name: string, value: string): readonly T[] {
    const keys = this.#indexes.get(name)?.get(value);
    if (keys === undefined) return [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Calls `listener` on each change from now on, and returns what ends that. */
  subscribe(listener: StoreListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes an object as the server answered it to a write of ours. */
  put(object: T): void {
    const key = keyOf(object);
    // The watch is past this version and does not have the object: it was deleted meanwhile.
    if (!this.#objects.has(key) && !isNewer(versionOf(object), this.#version)) return;
    this.#upsert(key, object);
  }

  /** Takes a change of the watch. */
  observe(object: T): void {
    this.#advance(versionOf(object));
    this.#upsert(keyOf(object), object);
  }

  /** Takes a deletion of the watch. */
  observeDeleted(object: T): void {
    this.#advance(versionOf(object));
    const key = keyOf(object);
    const current = this.#objects.get(key);
    // A write of ours may have made a new object of that name already.
    if (current === undefined || current.metadata.uid !== object.metadata.uid) return;
    this.#remove(key, current);
  }

  observeVersion(version: string): void {
    this.#advance(version);
  }

  /** Takes a whole list: what is not in it is gone, except what was written after it. */
  replace(objects: readonly T[], version: string): void {
    const listed = new Set(objects.map(keyOf));
    for (const [key, object] of this.#objects) {
      if (!listed.has(key) && !isNewer(versionOf(object), version)) this.#remove(key, object);
    }
    this.#version = version;
    for (const object of objects) this.#upsert(keyOf(object), object);
  }

  #upsert(key: string, object: T): void {
    const old = this.#objects.get(key);
    if (old !== undefined && !isNewer(versionOf(object), versionOf(old))) return;
    if (old !== undefined && old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew while nobody looked: whoever cares for the old one must hear of its end.
      this.#remove(key, old);
      this.#upsert(key, object);
      return;
    }
    if (old !== undefined) this.#unindex(key, old);
    this.#objects.set(key, object);
    this.#index(key, object);
    this.#tell(old === undefined ? { type: 'added', key, object } : { type: 'updated', key, object, old });
  }

  #remove(key: string, object: T): void {
    this.#unindex(key, object);
    this.#objects.delete(key);
    this.#tell({ type: 'deleted', key, object });
  }

  #tell(change: StoreChange<T>): void {
    for (const listener of this.#listeners) listener(change);
  }

  #advance(version: string): void {
    if (isNewer(version, this.#version)) this.#version = version;
  }

  #index(key: string, object: T): void {
    for (const [name, indexer] of this.#indexers) {
      const index = this.#indexes.get(name);
      for (const value of indexer(object)) {
        const keys = index?.get(value);
        if (keys === undefined) index?.set(value, new Set([key]));
        else keys.add(key);
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, indexer] of this.#indexers) {
      const index = this.#indexes.get(name);
      for (const value of indexer(object)) {
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
    }
  }
}

function versionOf(object: Watched): string {
  return object.metadata.resourceVersion ?? '';
}

/**
 * Whether version `a` came after `b`. Versions of one server are whole numbers that grow (KEP-5504, "Comparable Resource
 * Version"); a server whose versions are anything else is believed in the order in which it speaks.
 */
export function isNewer(a: string, b: string): boolean {
  if (a === b) return false;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return true;
  return a.length === b.length ? a > b : a.length > b.length;
}
