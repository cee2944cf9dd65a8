import type { DeleteOptions, ListOptions, PatchRequest, WatchOptions, WriteOptions } from './api/options.ts';
import { Watch, type WatchEventType } from './api/watcher.ts';
import type { Target } from './api/writer.ts';
import type { Cluster } from './cluster.ts';
import type { ResourceType } from './resource.ts';
import { errors } from './status.ts';
import type { KubeObject } from './types.ts';

/** Names a resource: `{apiVersion: 'apps/v1', plural: 'deployments'}`. */
export interface ResourceReference {
  readonly apiVersion: string;
  readonly plural: string;
}

/** A watch under way. */
export interface WatchHandle {
  stop(): void;
}

/** The API's own operations without HTTP: same semantics, same errors (`ApiError`), parsed objects. */
export class InProcessClient {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Rejects with 404 when there is no such object. `namespace` is '' for cluster-scoped kinds. */
  get(reference: ResourceReference, namespace: string, name: string): Promise<KubeObject> {
    return this.#run(() => parse(this.#cluster.reader.get(this.#target(reference, namespace, name)).bytes));
  }

  /** `namespace` undefined: of all namespaces. */
  list(
    reference: ResourceReference,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<{ items: KubeObject[]; resourceVersion: string; continue: string | undefined }> {
    return this.#run(() => {
      const list = this.#cluster.reader.list(this.#resource(reference), namespace, options);
      return { items: list.items.map(parse), resourceVersion: list.resourceVersion, continue: list.continue };
    });
  }

  create(
    reference: ResourceReference,
    namespace: string,
    object: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return this.#run(async () =>
      parse((await this.#cluster.writer.create(this.#resource(reference), namespace, object, options)).bytes),
    );
  }

  update(
    reference: ResourceReference,
    namespace: string,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    const name = object.metadata.name ?? '';
    return this.#run(async () =>
      parse((await this.#cluster.writer.update(this.#target(reference, namespace, name), object, options)).bytes),
    );
  }

  patch(
    reference: ResourceReference,
    namespace: string,
    name: string,
    request: PatchRequest,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return this.#run(async () =>
      parse((await this.#cluster.writer.patch(this.#target(reference, namespace, name), request, options)).bytes),
    );
  }

  /** Answers the object as it stands while something holds it, or a Status when it is gone. */
  delete(
    reference: ResourceReference,
    namespace: string,
    name: string,
    options: DeleteOptions = {},
  ): Promise<KubeObject> {
    return this.#run(async () =>
      parse((await this.#cluster.writer.delete(this.#target(reference, namespace, name), options)).bytes),
    );
  }

  /** Calls `onEvent` with what happens, in order, until stopped. Without a resourceVersion what exists comes first as ADDED. */
  watch(
    reference: ResourceReference,
    namespace: string | undefined,
    options: WatchOptions,
    onEvent: (type: WatchEventType, object: KubeObject) => void,
  ): WatchHandle {
    const watch = new Watch(this.#cluster.store, this.#resource(reference), namespace, options, (type, bytes) => {
      onEvent(type, parse(bytes));
    });
    watch.start(options);
    return {
      stop: () => {
        watch.close();
      },
    };
  }

  async #run<T>(call: () => Promise<T> | T): Promise<T> {
    return await call();
  }

  #resource(reference: ResourceReference): ResourceType {
    const slash = reference.apiVersion.lastIndexOf('/');
    const group = slash === -1 ? '' : reference.apiVersion.slice(0, slash);
    const found = this.#cluster.registry.find(group, reference.apiVersion.slice(slash + 1), reference.plural);
    if (found === undefined) throw errors.noSuchPath();
    return found;
  }

  #target(reference: ResourceReference, namespace: string, name: string): Target {
    return { resource: this.#resource(reference), namespace, name };
  }
}

function parse(bytes: Buffer): KubeObject {
  return JSON.parse(bytes.toString('utf8')) as KubeObject;
}
