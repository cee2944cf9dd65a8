import type { KubeObject, OwnerReference } from '../types.ts';
import { ApiError } from '../status.ts';
import { EventLog, type StoreEvent } from './events.ts';
import type { Storage, StorageWrite } from './storage.ts';

/** What is known of an object without decoding it: labels and fields to select by, and what its life hangs on. */
export interface Facts extends Selectable {
  readonly uid: string;
  readonly owners: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  readonly isDeleting: boolean;
}

/** The labels and fields by which lists and watches select. */
export interface Selectable {
  readonly labels: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}

/** An object as it is stored: encoded once, shared by every answer and watch. */
export interface Entry extends Facts {
  /** `<group>/<plural>/<namespace>/<name>`; the namespace is empty for cluster-scoped kinds. */
  readonly key: string;
  readonly revision: number;
  /** The object's JSON, with its resourceVersion. */
  readonly bytes: Buffer;
}

/** What a write wants: the new object, or undefined to remove it. */
export type Change = KubeObject | undefined;

/** How the store reads an object's fields for field selectors. */
export type Indexer = (key: string, object: KubeObject) => Readonly<Record<string, string>>;

export interface StoreOptions {
  readonly storage: Storage;
  readonly indexer: Indexer;
  /** Told once, with the reason, when the storage fails: from then on every write is refused. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

interface Pending {
  readonly key: string;
  readonly change: Change;
  readonly resolve: (entry: Entry) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The objects, in memory, over a durable storage. Writes to one key go one after another (`update`), writes to
 * different keys are committed in groups; a write is visible to readers and watchers only when it is durable.
 */
export class Store {
  readonly events = new EventLog();
  readonly #storage: Storage;
  readonly #indexer: Indexer;
  /** Per `<group>/<plural>/`: entries by `<namespace>/<name>`. */
  readonly #resources = new Map<string, ResourceEntries>();
  readonly #locks = new Map<string, Promise<unknown>>();
  #queue: Pending[] = [];
  #committing: Promise<void> | undefined;
  #revision: number;
  #assigned: number;
  #failure: Error | undefined;
  readonly #onFailure: (error: unknown) => void;

  constructor(options: StoreOptions) {
    this.#storage = options.storage;
    this.#onFailure = options.onFailure ?? (() => undefined);
    this.#indexer = options.indexer;
    const loaded = options.storage.load();
    // Kubernetes clients read resourceVersion 0 as "any version", so the first one is above it.
    this.#revision = Math.max(loaded.revision, 1);
    for (const record of loaded.records) {
      const object = JSON.parse(record.bytes.toString('utf8')) as KubeObject;
      const revision = Number(object.metadata.resourceVersion);
      this.#put({ key: record.key, revision, bytes: record.bytes, ...this.#factsOf(record.key, object) });
      this.#revision = Math.max(this.#revision, revision);
    }
    this.#assigned = this.#revision;
    this.events.begin(this.#revision);
  }

  /** The revision of the last write that readers can see. */
  get revision(): number {
    return this.#revision;
  }

  get(key: string): Entry | undefined {
    return this.#resources.get(resourceOf(key))?.get(key);
  }

  /** The entries of a resource (`<group>/<plural>/`), sorted by namespace and name. */
  list(resource: string, namespace?: string): readonly Entry[] {
    const all = this.#resources.get(resource)?.sorted() ?? [];
    if (namespace === undefined) return all;
    const prefix = `${resource}${namespace}/`;
    return all.filter((entry) => entry.key.startsWith(prefix));
  }

  count(resource: string): number {
    return this.#resources.get(resource)?.size ?? 0;
  }

  /** Names of all resources that hold entries. */
  resources(): string[] {
    return [...this.#resources.entries()].filter(([, entries]) => entries.size > 0).map(([resource]) => resource);
  }

  /**
   * Runs `decide` with the key's current entry while no other write touches the key, and commits what it returns:
   * `{write: object}`, `{write: undefined}` to remove, or `{keep: true}` for nothing.
   */
  async update<T>(
    key: string,
    decide: (current: Entry | undefined) => Promise<Decision<T>> | Decision<T>,
  ): Promise<Outcome<T>> {
    const before = this.#locks.get(key) ?? Promise.resolve();
    const run = before.then(async (): Promise<Outcome<T>> => {
      const decision = await decide(this.get(key));
      if (decision.action === 'keep') return { entry: undefined, result: decision.result };
      const entry = await this.#enqueue(key, decision.action === 'put' ? decision.object : undefined);
      return { entry, result: decision.result };
    });
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.#locks.set(key, settled);
    void settled.then(() => {
      if (this.#locks.get(key) === settled) this.#locks.delete(key);
    });
    return run;
  }

  /** Reads labels and fields of everything anew: for a start at which the indexer did not know all kinds yet. */
  reindex(): void {
    for (const entries of this.#resources.values()) {
      for (const entry of entries.sorted()) {
        const object = JSON.parse(entry.bytes.toString('utf8')) as KubeObject;
        entries.put({ ...entry, ...this.#factsOf(entry.key, object) });
      }
    }
  }

  /** Waits for the writes under way and closes the storage. */
  async close(): Promise<void> {
    await this.#committing;
    await this.#storage.close();
  }

  #enqueue(key: string, change: Change): Promise<Entry> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#queue.push({ key, change, resolve, reject });
      this.#committing ??= Promise.resolve().then(() => this.#commit());
    });
  }

  async #commit(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      try {
        await this.#commitGroup(group);
      } catch (error) {
        // What is on disk is not known any more: refuse every further write rather than guess.
        this.#failure = new ApiError(
          500,
          'InternalError',
          'Internal error occurred: the storage failed; restart the server',
        );
        this.#failure.cause = error;
        this.#onFailure(error);
        for (const pending of [...group, ...this.#queue]) pending.reject(this.#failure);
        this.#queue = [];
      }
    }
    this.#committing = undefined;
  }

  async #commitGroup(group: readonly Pending[]): Promise<void> {
    const writes: StorageWrite[] = [];
    const events: StoreEvent[] = [];
    for (const pending of group) {
      this.#assigned += 1;
      const event = this.#prepare(pending, this.#assigned);
      events.push(event);
      writes.push({ key: pending.key, bytes: pending.change === undefined ? undefined : event.entry.bytes });
    }
    await this.#storage.write(this.#assigned, writes);
    for (const [index, event] of events.entries()) {
      if (event.type === 'DELETED') this.#resources.get(resourceOf(event.entry.key))?.delete(event.entry.key);
      else this.#put(event.entry);
      this.#revision = event.entry.revision;
      group[index]?.resolve(event.entry);
    }
    this.events.append(events);
  }

  #prepare(pending: Pending, revision: number): StoreEvent {
    const previous = this.get(pending.key);
    if (pending.change !== undefined) {
      pending.change.metadata.resourceVersion = String(revision);
      const bytes = Buffer.from(JSON.stringify(pending.change));
      const entry = { key: pending.key, revision, bytes, ...this.#factsOf(pending.key, pending.change) };
      return { type: previous === undefined ? 'ADDED' : 'MODIFIED', entry, previous };
    }
    if (previous === undefined) throw new Error(`${pending.key} is removed but does not exist`);
    return { type: 'DELETED', entry: atRevision(previous, revision), previous };
  }

  #factsOf(key: string, object: KubeObject): Facts {
    const { metadata } = object;
    return {
      labels: metadata.labels ?? {},
      fields: this.#indexer(key, object),
      uid: metadata.uid ?? '',
      owners: metadata.ownerReferences ?? [],
      finalizers: metadata.finalizers ?? [],
      isDeleting: metadata.deletionTimestamp !== undefined,
    };
  }

  #put(entry: Entry): void {
    const resource = resourceOf(entry.key);
    let entries = this.#resources.get(resource);
    if (entries === undefined) {
      entries = new ResourceEntries();
      this.#resources.set(resource, entries);
    }
    entries.put(entry);
  }
}

/** What a writer decided. */
export type Decision<T> =
  | { readonly action: 'put'; readonly object: KubeObject; readonly result: T }
  | { readonly action: 'remove'; readonly result: T }
  | { readonly action: 'keep'; readonly result: T };

/** What became of it: the entry written, or the removed one at the removal's revision. */
export interface Outcome<T> {
  readonly entry: Entry | undefined;
  readonly result: T;
}

/** The same object with another resourceVersion: how a removed object, or one that left a selector, is shown. */
export function atRevision(entry: Entry, revision: number): Entry {
  const object = JSON.parse(entry.bytes.toString('utf8')) as KubeObject;
  object.metadata.resourceVersion = String(revision);
  return { ...entry, revision, bytes: Buffer.from(JSON.stringify(object)) };
}

function resourceOf(key: string): string {
  const first = key.indexOf('/');
  return key.slice(0, key.indexOf('/', first + 1) + 1);
}

/** The entries of one resource; the sorted view is made when it is asked for. */
class ResourceEntries {
  readonly #entries = new Map<string, Entry>();
  #sorted: Entry[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  put(entry: Entry): void {
    // A replaced entry keeps its place, but the view is shared with readers that may still walk it.
    this.#sorted = undefined;
    this.#entries.set(entry.key, entry);
  }

  delete(key: string): void {
    this.#sorted = undefined;
    this.#entries.delete(key);
  }

  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return this.#sorted;
  }
}
