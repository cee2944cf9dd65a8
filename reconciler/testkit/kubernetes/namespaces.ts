import type { Writer } from './api/writer.ts';
import type { Registry } from './registry.ts';
import { splitKey } from './resource.ts';
import { ApiError } from './status.ts';
import type { Store } from './store/store.ts';

const STORAGE = '/namespaces/';

/** Empties namespaces that are being deleted, and lets them go when nothing is left in them. */
export class NamespaceLifecycle {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #writer: Writer;
  readonly #onError: (error: unknown) => void;
  readonly #terminating = new Set<string>();
  readonly #queue = new Set<string>();
  #running: Promise<void> | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(store: Store, registry: Registry, writer: Writer, onError: (error: unknown) => void) {
    this.#store = store;
    this.#registry = registry;
    this.#writer = writer;
    this.#onError = onError;
  }

  start(): void {
    for (const entry of this.#store.list(STORAGE)) this.#notice(entry.key);
    this.#unsubscribe = this.#store.events.subscribe((events) => {
      for (const { type, entry } of events) {
        if (entry.key.startsWith(STORAGE)) {
          if (type === 'DELETED') this.#terminating.delete(splitKey(entry.key).name);
          else this.#notice(entry.key);
          continue;
        }
        const { namespace } = splitKey(entry.key);
        if (type === 'DELETED' && this.#terminating.has(namespace)) this.#enqueue(namespace);
      }
    });
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#queue.clear();
    await this.#running;
  }

  #notice(key: string): void {
    if (this.#store.get(key)?.isDeleting !== true) return;
    const { name } = splitKey(key);
    if (this.#terminating.has(name)) return;
    this.#terminating.add(name);
    this.#enqueue(name);
  }

  #enqueue(name: string): void {
    this.#queue.add(name);
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    for (const name of this.#queue) {
      this.#queue.delete(name);
      try {
        await this.#empty(name);
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#running = undefined;
  }

  async #empty(namespace: string): Promise<void> {
    let left = 0;
    for (const resource of this.#registry.stored()) {
      if (!resource.namespaced) continue;
      for (const entry of this.#store.list(resource.storage, namespace)) {
        const { name } = splitKey(entry.key);
        left += 1;
        if (entry.isDeleting) continue;
        await this.#writer.delete({ resource, namespace, name }, { propagationPolicy: 'Background' }).catch(ignoreGone);
      }
    }
    // What had nothing to hold it is gone already and its event has put this namespace into the queue again.
    if (left === 0) await this.#release(namespace);
    else if (this.#isEmpty(namespace)) this.#enqueue(namespace);
  }

  #isEmpty(namespace: string): boolean {
    return this.#registry
      .stored()
      .every((resource) => !resource.namespaced || this.#store.list(resource.storage, namespace).length === 0);
  }

  async #release(name: string): Promise<void> {
    const resource = this.#registry.ofStorage(STORAGE);
    const entry = this.#store.get(`${STORAGE}/${name}`);
    if (resource === undefined || entry === undefined) return;
    await this.#writer.finalizeNamespace({ resource, namespace: '', name });
  }
}

function ignoreGone(error: unknown): void {
  if (error instanceof ApiError && (error.code === 404 || error.code === 409)) return;
  throw error;
}
