import type { KubeObject, ObjectKey, ResourceType } from './types.ts';

/** Bounds a call. Absent: the adapter's own time limit (30 s). */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects of one page. Default 500. */
  readonly limit?: number | undefined;
  /** `continue` of the page before. */
  readonly continueToken?: string | undefined;
  /** `0` takes what the server has in its cache, which may be a little old. Absent: the newest. */
  readonly resourceVersion?: string | undefined;
}

export interface ListPage<T extends KubeObject = KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Absent on the last page. */
  readonly continueToken?: string | undefined;
  /** Objects after this page. Absent where the server does not count, as with selectors. */
  readonly remaining?: number | undefined;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Changes after this version. */
  readonly resourceVersion: string;
  /** The server ends the watch after that time, so that load spreads. Default 300. */
  readonly timeoutSeconds?: number | undefined;
  readonly signal: AbortSignal;
}

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing changed up to this version. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WriteOptions extends CallOptions {
  readonly fieldManager: string;
  readonly dryRun?: boolean | undefined;
}

export interface ApplyOptions extends WriteOptions {
  /** Takes fields over from other managers instead of failing with `Conflict`. */
  readonly force?: boolean | undefined;
  /** Applies the status subresource instead of the object. */
  readonly subresource?: 'status' | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Default `Background`. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  /** Fails with `Conflict` unless the object is the one with this uid or version. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string } | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

export type PatchType = 'merge' | 'json';

/** What goes through the API server to a service or a pod. */
export interface ProxyTarget {
  readonly namespace: string;
  readonly kind: 'services' | 'pods';
  readonly name: string;
  /** Port number or name. */
  readonly port: number | string;
}

export interface ProxyResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface PodLogOptions extends CallOptions {
  readonly container?: string | undefined;
  readonly tailLines?: number | undefined;
  readonly previous?: boolean | undefined;
  readonly sinceSeconds?: number | undefined;
}

/**
 * A Kubernetes API server, raw JSON in and out: no field is dropped on the way. Every failure is an OaasError whose
 * details carry Kubernetes' own reason (see errors.ts); one that never reached a server is `Unavailable`,
 * one without an answer in time `DeadlineExceeded`.
 */
export interface KubernetesApi {
  get(type: ResourceType, key: ObjectKey, options?: CallOptions): Promise<KubeObject>;
  /** One page. */
  list(type: ResourceType, options?: ListOptions): Promise<ListPage>;
  /**
   * Changes after a version, until the server ends the watch (the iteration ends) or the signal aborts. Bookmarks are
   * asked for. Throws as calls do; a version that is too old throws an error for which `isExpired` holds.
   */
  watch(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent>;
  create(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject>;
  /** Replaces the object; `metadata.resourceVersion`, where given, must be the current one. */
  update(type: ResourceType, object: KubeObject, options: WriteOptions): Promise<KubeObject>;
  /** Server-side apply. `object` holds exactly the fields that the manager wants to own. */
  apply(type: ResourceType, object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  patch(
    type: ResourceType,
    key: ObjectKey,
    patchType: PatchType,
    patch: unknown,
    options: WriteOptions & { readonly subresource?: 'status' | undefined },
  ): Promise<KubeObject>;
  delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  /** HTTP through the API server. Statuses of the target come back as they are; only the API server's own failures throw. */
  proxy(
    target: ProxyTarget,
    request: {
      readonly method: 'GET' | 'POST';
      readonly path: string;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    },
    options?: CallOptions,
  ): Promise<ProxyResponse>;
  podLog(key: Required<ObjectKey>, options?: PodLogOptions): Promise<string>;
  /** `gitVersion` of the server. */
  serverVersion(options?: CallOptions): Promise<string>;
  /** Ends open connections and watches. */
  close(): Promise<void>;
}
