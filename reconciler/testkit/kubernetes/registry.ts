import { apiVersionOf, type ResourceType } from './resource.ts';

/** The resources that are served now: built-in ones and those of CustomResourceDefinitions. */
export class Registry {
  /** By `<apiVersion>/<plural>`. */
  readonly #byPath = new Map<string, ResourceType>();
  /** Of each storage prefix, one resource in the storage version. */
  readonly #byStorage = new Map<string, ResourceType>();
  /** Changes whenever the set of resources does; discovery and OpenAPI caches hang on it. */
  #version = 0;

  get version(): number {
    return this.#version;
  }

  add(resource: ResourceType): void {
    this.#version += 1;
    this.#byPath.set(`${apiVersionOf(resource)}/${resource.plural}`, resource);
    if (apiVersionOf(resource) === resource.storageVersion) this.#byStorage.set(resource.storage, resource);
  }

  /** Removes all versions of a resource. */
  remove(group: string, plural: string): void {
    this.#version += 1;
    for (const [path, resource] of this.#byPath) {
      if (resource.group !== group || resource.plural !== plural) continue;
      this.#byPath.delete(path);
      this.#byStorage.delete(resource.storage);
    }
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#byPath.get(`${apiVersionOf({ group, version })}/${plural}`);
  }

  /** The resource that stores its objects under this prefix. */
  ofStorage(storage: string): ResourceType | undefined {
    return this.#byStorage.get(storage);
  }

  /** The resource of a kind, such as an owner reference names it. */
  ofKind(apiVersion: string, kind: string): ResourceType | undefined {
    for (const resource of this.#byPath.values()) {
      if (resource.kind === kind && apiVersionOf(resource) === apiVersion) return resource;
    }
    return undefined;
  }

  all(): readonly ResourceType[] {
    return [...this.#byPath.values()];
  }

  stored(): readonly ResourceType[] {
    return [...this.#byStorage.values()];
  }
}
