import type { Registry } from './registry.ts';
import { keyOf, splitKey, type ResourceType } from './resource.ts';
import { ApiError } from './status.ts';
import type { Entry, Store } from './store/store.ts';
import type { StoreEvent } from './store/events.ts';
import type { Writer } from './api/writer.ts';
import type { KubeObject, OwnerReference } from './types.ts';
import { fromStorage } from './api/convert.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const MANAGER = 'garbage-collector';

type Node = Pick<Entry, 'key' | 'uid' | 'owners' | 'finalizers' | 'isDeleting'>;

/**
 * Collects what its owners left behind: in the background after the owner went, in the foreground before it goes, or
 * not at all when the owner is deleted with Orphan. Works through a queue of keys; every key in it is looked at once.
 */
export class GarbageCollector {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #writer: Writer;
  readonly #onError: (error: unknown) => void;
  readonly #nodes = new Map<string, Node>();
  readonly #byUid = new Map<string, string>();
  /** Keys of dependents by their owner's uid. */
  readonly #dependents = new Map<string, Set<string>>();
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
    for (const resource of this.#store.resources()) {
      for (const entry of this.#store.list(resource)) this.#remember(entry);
    }
    for (const node of this.#nodes.values()) if (node.owners.length > 0 || node.isDeleting) this.#enqueue(node.key);
    this.#unsubscribe = this.#store.events.subscribe((events) => {
      for (const event of events) this.#observe(event);
    });
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#queue.clear();
    await this.#running;
  }

  #observe(event: StoreEvent): void {
    const { key } = event.entry;
    const before = this.#nodes.get(key);
    if (event.type === 'DELETED') {
      this.#forget(key);
      if (before === undefined) return;
      for (const dependent of this.#dependents.get(before.uid) ?? []) this.#enqueue(dependent);
      for (const owner of before.owners) this.#enqueueOwner(owner.uid);
      return;
    }
    const node = this.#remember(event.entry);
    if (node.owners.length > 0 || node.isDeleting) this.#enqueue(key);
    for (const owner of before?.owners ?? [])
      if (!node.owners.some((item) => item.uid === owner.uid)) this.#enqueueOwner(owner.uid);
  }

  #enqueueOwner(uid: string): void {
    const key = this.#byUid.get(uid);
    if (key !== undefined && this.#nodes.get(key)?.isDeleting === true) this.#enqueue(key);
  }

  #remember(entry: Entry): Node {
    this.#forget(entry.key);
    const { key, uid, owners, finalizers, isDeleting } = entry;
    const node: Node = { key, uid, owners, finalizers, isDeleting };
    this.#nodes.set(entry.key, node);
    this.#byUid.set(node.uid, entry.key);
    for (const owner of node.owners) {
      let set = this.#dependents.get(owner.uid);
      if (set === undefined) {
        set = new Set();
        this.#dependents.set(owner.uid, set);
      }
      set.add(entry.key);
    }
    return node;
  }

  #forget(key: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    this.#nodes.delete(key);
    if (this.#byUid.get(node.uid) === key) this.#byUid.delete(node.uid);
    for (const owner of node.owners) {
      const set = this.#dependents.get(owner.uid);
      set?.delete(key);
      if (set?.size === 0) this.#dependents.delete(owner.uid);
    }
  }

  #enqueue(key: string): void {
    this.#queue.add(key);
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    for (const key of this.#queue) {
      this.#queue.delete(key);
      try {
        await this.#visit(key);
      } catch (error) {
        // Somebody else's change came first; that change's event brings the key here again.
        const isRace = error instanceof ApiError && (error.code === 404 || error.code === 409);
        if (!isRace) this.#onError(error);
      }
    }
    this.#running = undefined;
  }

  async #visit(key: string): Promise<void> {
    const node = this.#nodes.get(key);
    const resource = this.#registry.ofStorage(splitKey(key).storage);
    if (node === undefined || resource === undefined) return;
    if (node.isDeleting) {
      if (node.finalizers.includes(ORPHAN)) return this.#orphan(resource, node);
      if (node.finalizers.includes(FOREGROUND)) return this.#deleteDependents(resource, node);
      return;
    }
    if (node.owners.length > 0) await this.#checkOwners(resource, node);
  }

  async #orphan(resource: ResourceType, node: Node): Promise<void> {
    for (const key of [...(this.#dependents.get(node.uid) ?? [])]) {
      const dependent = this.#registry.ofStorage(splitKey(key).storage);
      if (dependent !== undefined) await this.#dropOwners(dependent, key, (owner) => owner.uid === node.uid);
    }
    await this.#dropFinalizer(resource, node.key, ORPHAN);
  }

  async #deleteDependents(resource: ResourceType, node: Node): Promise<void> {
    let isBlocked = false;
    for (const key of [...(this.#dependents.get(node.uid) ?? [])]) {
      const dependent = this.#nodes.get(key);
      const type = this.#registry.ofStorage(splitKey(key).storage);
      if (dependent === undefined || type === undefined) continue;
      if (dependent.owners.some((owner) => owner.uid === node.uid && owner.blockOwnerDeletion === true))
        isBlocked = true;
      if (!dependent.isDeleting) await this.#delete(type, dependent, 'Foreground');
    }
    const isLeft = isBlocked && (this.#dependents.get(node.uid)?.size ?? 0) > 0;
    if (!isLeft) await this.#dropFinalizer(resource, node.key, FOREGROUND);
  }

  async #checkOwners(resource: ResourceType, node: Node): Promise<void> {
    const gone = node.owners.filter((owner) => !this.#isThere(owner, node));
    if (gone.length === 0) return;
    if (gone.length === node.owners.length) return this.#delete(resource, node, undefined);
    await this.#dropOwners(resource, node.key, (owner) => gone.some((item) => item.uid === owner.uid));
  }

  #isThere(owner: OwnerReference, node: Node): boolean {
    const key = this.#byUid.get(owner.uid);
    if (key === undefined) {
      // The kind may be one that is not served (any more): then nobody can say that the owner is gone.
      return this.#registry.ofKind(owner.apiVersion, owner.kind) === undefined;
    }
    const where = splitKey(key).namespace;
    return where === '' || where === splitKey(node.key).namespace;
  }

  async #delete(resource: ResourceType, node: Node, policy: 'Foreground' | undefined): Promise<void> {
    const { namespace, name } = splitKey(node.key);
    await this.#writer.delete(
      { resource, namespace, name },
      {
        preconditions: { uid: node.uid },
        ...(policy === undefined
          ? { propagationPolicy: 'Background' }
          : this.#hasDependents(node)
            ? { propagationPolicy: policy }
            : {}),
      },
    );
  }

  #hasDependents(node: Node): boolean {
    return (this.#dependents.get(node.uid)?.size ?? 0) > 0;
  }

  #dropOwners(resource: ResourceType, key: string, isDropped: (owner: OwnerReference) => boolean): Promise<unknown> {
    return this.#rewrite(resource, key, (object) => {
      object.metadata.ownerReferences = (object.metadata.ownerReferences ?? []).filter((owner) => !isDropped(owner));
    });
  }

  #dropFinalizer(resource: ResourceType, key: string, finalizer: string): Promise<unknown> {
    return this.#rewrite(resource, key, (object) => {
      object.metadata.finalizers = (object.metadata.finalizers ?? []).filter((item) => item !== finalizer);
    });
  }

  async #rewrite(resource: ResourceType, key: string, change: (object: KubeObject) => void): Promise<void> {
    const { namespace, name } = splitKey(key);
    const entry = this.#store.get(keyOf(resource, namespace, name));
    if (entry === undefined) return;
    const object = fromStorage(resource, entry.bytes);
    change(object);
    await this.#writer.update({ resource, namespace, name }, object, { fieldManager: MANAGER });
  }
}
