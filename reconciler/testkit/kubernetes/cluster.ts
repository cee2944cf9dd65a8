import { randomUUID } from 'node:crypto';
import type { Clock, Random } from '@oaas/commons/time';
import { ServiceAllocation } from './allocation.ts';
import { fromStorage } from './api/convert.ts';
import { Reader } from './api/reader.ts';
import { seconds, Writer } from './api/writer.ts';
import { definitionRules, establishedStatus, resourcesOf } from './crd.ts';
import { GarbageCollector } from './garbage.ts';
import { builtinResources } from './kinds/builtin.ts';
import { NamespaceLifecycle } from './namespaces.ts';
import { Registry } from './registry.ts';
import type { ResourceType } from './resource.ts';
import type { SchemaCompiler } from './schema/schema.ts';
import { ApiError, errors } from './status.ts';
import { splitKey } from './resource.ts';
import type { Storage } from './store/storage.ts';
import { Store } from './store/store.ts';
import type { StoreEvent } from './store/events.ts';
import { listAt, numberAt, textAt, valueAt, type KubeObject } from './types.ts';

export interface ClusterOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly nodePorts: readonly [number, number];
  /** What fails in the background: garbage collection, namespaces, definitions. */
  readonly onError: (error: unknown) => void;
  /** The storage failed: every further write is refused. */
  readonly onStorageFailure?: ((error: unknown) => void) | undefined;
}

const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions/';
const FIRST_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** The parts of an API server under its HTTP surface, and the two controllers that belong to it. */
export class Cluster {
  readonly store: Store;
  readonly registry = new Registry();
  readonly reader: Reader;
  readonly writer: Writer;
  readonly #options: ClusterOptions;
  readonly #compiler: SchemaCompiler;
  readonly #allocation: ServiceAllocation;
  readonly #garbage: GarbageCollector;
  readonly #namespaces: NamespaceLifecycle;
  /** Changes of definitions are followed one after another. */
  #definitionWork: Promise<void> = Promise.resolve();
  #unsubscribe: (() => void) | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#allocation = new ServiceAllocation(options.nodePorts, options.random);
    const { resources, compiler } = builtinResources({
      'apiextensions.k8s.io/customresourcedefinitions': definitionRules,
    });
    this.#compiler = compiler;
    for (const resource of resources) this.registry.add(resource);
    this.store = new Store({
      storage: options.storage,
      onFailure: options.onStorageFailure,
      indexer: (key, object) => this.#index(key, object),
    });
    this.reader = new Reader(this.store, this.registry);
    this.writer = new Writer({
      store: this.store,
      registry: this.registry,
      clock: options.clock,
      random: options.random,
      context: {
        now: () => seconds(options.clock.now()),
        uid: () => randomUUID(),
        allocateClusterIp: () => this.#allocation.nextIp(),
        allocateNodePort: () => this.#allocation.nextPort(),
        isClusterIpTaken: (address) => this.#allocation.hasIp(address),
        isNodePortTaken: (port) => this.#allocation.hasPort(port),
        refuse: (object, fields) => {
          throw errors.invalid(
            { group: '', plural: 'services', kind: object.kind },
            object.metadata.name ?? '',
            fields,
          );
        },
      },
    });
    this.#garbage = new GarbageCollector(this.store, this.registry, this.writer, options.onError);
    this.#namespaces = new NamespaceLifecycle(this.store, this.registry, this.writer, options.onError);
  }

  /** Reads what is stored, makes the first namespaces and starts the controllers. */
  async start(): Promise<void> {
    for (const entry of this.store.list('/services/')) this.#takeServices(entry.bytes);
    for (const entry of this.store.list(DEFINITIONS))
      this.#serve(JSON.parse(entry.bytes.toString('utf8')) as KubeObject);
    this.store.reindex();
    this.#unsubscribe = this.store.events.subscribe((events) => {
      for (const event of events) this.#observe(event);
    });
    const namespaces = this.#resource('', 'v1', 'namespaces');
    for (const name of FIRST_NAMESPACES) {
      if (this.store.get(`/namespaces//${name}`) !== undefined) continue;
      await this.writer.create(namespaces, '', { metadata: { name } }, { fieldManager: 'kube-apiserver' });
    }
    this.#garbage.start();
    this.#namespaces.start();
    for (const entry of this.store.list(DEFINITIONS)) this.#followDefinition(splitKey(entry.key).name);
    await this.#definitionWork;
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    await this.#garbage.stop();
    await this.#namespaces.stop();
    await this.#definitionWork;
    await this.store.close();
  }

  #resource(group: string, version: string, plural: string): ResourceType {
    const found = this.registry.find(group, version, plural);
    if (found === undefined) throw new Error(`${group}/${version} has no ${plural}`);
    return found;
  }

  #index(key: string, object: KubeObject): Record<string, string> {
    const { storage, namespace, name } = splitKey(key);
    const fields = this.registry.ofStorage(storage)?.rules.fields?.(object);
    return { ...fields, 'metadata.name': name, 'metadata.namespace': namespace };
  }

  #observe(event: StoreEvent): void {
    const { key, bytes } = event.entry;
    if (key.startsWith('/services/')) {
      if (event.previous !== undefined) this.#freeServices(event.previous.bytes);
      if (event.type !== 'DELETED') this.#takeServices(bytes);
      return;
    }
    if (!key.startsWith(DEFINITIONS)) return;
    const definition = JSON.parse(bytes.toString('utf8')) as KubeObject;
    if (event.type === 'DELETED') {
      this.registry.remove(textAt(definition.spec, 'group') ?? '', textAt(definition.spec, 'names', 'plural') ?? '');
      return;
    }
    this.#serve(definition);
    this.#followDefinition(splitKey(key).name);
  }

  #takeServices(bytes: Buffer): void {
    const { address, ports } = heldByService(bytes);
    this.#allocation.take(address, ports);
  }

  #freeServices(bytes: Buffer): void {
    const { address, ports } = heldByService(bytes);
    this.#allocation.free(address, ports);
  }

  #serve(definition: KubeObject): void {
    this.registry.remove(textAt(definition.spec, 'group') ?? '', textAt(definition.spec, 'names', 'plural') ?? '');
    for (const resource of resourcesOf(definition, this.#compiler)) this.registry.add(resource);
  }

  #followDefinition(name: string): void {
    this.#definitionWork = this.#definitionWork.then(() => this.#settleDefinition(name)).catch(this.#options.onError);
  }

  /** Says in a definition's status that it is served; when it is being deleted, removes its objects first. */
  async #settleDefinition(name: string): Promise<void> {
    const resource = this.#resource('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
    const target = { resource, namespace: '', name };
    const entry = this.store.get(`${DEFINITIONS}/${name}`);
    if (entry === undefined) return;
    const definition = fromStorage(resource, entry.bytes);
    const finalizers = definition.metadata.finalizers ?? [];
    if (definition.metadata.deletionTimestamp !== undefined) {
      if (!finalizers.includes(CLEANUP_FINALIZER)) return;
      await this.#removeObjects(definition);
      definition.metadata.finalizers = finalizers.filter((item) => item !== CLEANUP_FINALIZER);
      await this.#retryLater(() => this.writer.update(target, definition, { fieldManager: 'kube-apiserver' }), name);
      return;
    }
    if (!finalizers.includes(CLEANUP_FINALIZER)) {
      definition.metadata.finalizers = [...finalizers, CLEANUP_FINALIZER];
      await this.#retryLater(() => this.writer.update(target, definition, { fieldManager: 'kube-apiserver' }), name);
      return;
    }
    definition.status = establishedStatus(definition, seconds(this.#options.clock.now()));
    await this.#retryLater(
      () => this.writer.update(target, definition, { fieldManager: 'kube-apiserver', subresource: 'status' }),
      name,
    );
  }

  /** A change that somebody else overtook is made again from the newer state, which the overtaker's event asks for. */
  async #retryLater(change: () => Promise<unknown>, name: string): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (!(error instanceof ApiError) || (error.code !== 409 && error.code !== 404)) throw error;
      if (error.code === 409) this.#followDefinition(name);
    }
  }

  async #removeObjects(definition: KubeObject): Promise<void> {
    const group = textAt(definition.spec, 'group') ?? '';
    const plural = textAt(definition.spec, 'names', 'plural') ?? '';
    const resource = this.registry.ofStorage(`${group}/${plural}/`);
    if (resource === undefined) return;
    for (const entry of this.store.list(resource.storage)) {
      const { namespace, name } = splitKey(entry.key);
      await this.writer
        .delete({ resource, namespace, name }, { propagationPolicy: 'Background' })
        .catch((error: unknown) => {
          if (!(error instanceof ApiError) || error.code !== 404) throw error;
        });
    }
  }
}

function heldByService(bytes: Buffer): { address: string | undefined; ports: number[] } {
  const service: unknown = JSON.parse(bytes.toString('utf8'));
  const address = textAt(service, 'spec', 'clusterIP');
  const ports = listAt(service, 'spec', 'ports')
    .map((port) => numberAt(port, 'nodePort'))
    .filter((port) => port !== undefined && port !== 0);
  const isAddress =
    address !== undefined && address !== '' && address !== 'None' && valueAt(service, 'spec', 'clusterIP') !== null;
  return { address: isAddress ? address : undefined, ports: ports as number[] };
}
