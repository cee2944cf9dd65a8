import { EventEmitter } from 'node:events';
import { oaasError } from '@oaas/commons/errors';
import type { Clock, Timers } from '@oaas/commons/time';
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubernetesApi,
  ListOptions,
  ListPage,
  PatchType,
  PodLogOptions,
  ProxyResponse,
  ProxyTarget,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api.ts';
import { type ClusterOptions, loadCluster } from './credentials.ts';
import { statusError } from './errors.ts';
import { type HttpRequest, Transport, transportError } from './transport.ts';
import { apiVersionOf, kinds, type KubeObject, type ObjectKey, pathOf, type ResourceType } from './types.ts';
import { lines } from './watch-lines.ts';

export interface ClientOptions extends ClusterOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Says who calls, in the API server's log. Default `oaas`. */
  readonly userAgent?: string | undefined;
  /** Time limit of a call that brings none. Default 30,000 ms. */
  readonly timeoutMs?: number | undefined;
}

export interface KubernetesClient extends KubernetesApi {
  /** Name of the context. */
  readonly cluster: string;
  /** Namespace of the context or of the pod that this runs in. */
  readonly defaultNamespace: string | undefined;
}

const patchContentTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** Connects to a cluster. Nothing is sent before the first call. Throws `ConfigInvalid` for a kubeconfig that is none. */
export function createKubernetesClient(options: ClientOptions): KubernetesClient {
  const cluster = loadCluster(options, options.clock);
  const transport = new Transport(cluster, options.userAgent ?? 'oaas', options.timers);
  const defaultTimeoutMs = options.timeoutMs ?? 30_000;

  type Call = Omit<HttpRequest, 'timeoutMs' | 'signal'>;

  async function send(call: Call, limits: CallOptions = {}) {
    return transport.send({ ...call, signal: limits.signal, timeoutMs: limits.timeoutMs ?? defaultTimeoutMs });
  }

  async function json<T>(call: Call, limits: CallOptions = {}): Promise<T> {
    const response = await send(call, limits);
    if (response.status < 200 || response.status > 299) {
      throw statusError(response.status, response.text, response.header('retry-after'), describe(call));
    }
    return JSON.parse(response.text) as T;
  }

  async function* watch(type: ResourceType, watching: WatchOptions): AsyncGenerator<WatchEvent> {
    const seconds = watching.timeoutSeconds ?? 300;
    const path =
      pathOf(type, { namespace: watching.namespace }) +
      query({
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: watching.resourceVersion,
        timeoutSeconds: seconds,
        labelSelector: watching.labelSelector,
        fieldSelector: watching.fieldSelector,
      });
    const call: Call = { method: 'GET', path };
    const ended = new AbortController();
    const end = (): void => {
      ended.abort(watching.signal.reason);
    };
    // The server keeps its own time; this limit is for a connection that died without a word.
    const dead = options.timers.after((seconds + 30) * 1000, end);
    watching.signal.addEventListener('abort', end, { once: true });
    let body: { destroy(): unknown } | undefined;
    try {
      watching.signal.throwIfAborted();
      const response = await transport.stream({ ...call, signal: ended.signal, timeoutMs: defaultTimeoutMs });
      body = response.body;
      if (response.status !== 200) {
        const text = await response.body.text();
        throw statusError(response.status, text, response.header('retry-after'), describe(call));
      }
      for await (const line of lines(response.body)) yield watchEvent(line);
    } catch (error) {
      throw transportError(error, watching.signal, cluster.name);
    } finally {
      dead.cancel();
      watching.signal.removeEventListener('abort', end);
      // The body fails with the abort, and nobody reads it any more.
      if (body instanceof EventEmitter) body.on('error', () => undefined);
      body?.destroy();
    }
  }

  return {
    cluster: cluster.name,
    defaultNamespace: cluster.namespace,
    get: (type, key, limits) => json({ method: 'GET', path: pathOf(type, key) }, limits),
    list: async (type, listing = {}) => {
      const list = await json<RawList>({ method: 'GET', path: listPath(type, listing) }, listing);
      return toPage(type, list);
    },
    watch,
    create: (type, object, writing) =>
      json(
        {
          method: 'POST',
          path: pathOf(type, { namespace: object.metadata.namespace }) + writeQuery(writing),
          body: JSON.stringify(object),
          contentType: 'application/json',
        },
        writing,
      ),
    update: (type, object, writing) =>
      json(
        {
          method: 'PUT',
          path: pathOf(type, object.metadata) + writeQuery(writing),
          body: JSON.stringify(object),
          contentType: 'application/json',
        },
        writing,
      ),
    apply: (type, object, applying: ApplyOptions) =>
      json(
        {
          method: 'PATCH',
          path:
            pathOf(type, object.metadata) +
            subresource(applying.subresource) +
            writeQuery(applying, { force: applying.force === true ? 'true' : undefined }),
          body: JSON.stringify(object),
          contentType: patchContentTypes.apply,
        },
        applying,
      ),
    patch: (type, key: ObjectKey, patchType: PatchType, patch, writing) =>
      json(
        {
          method: 'PATCH',
          path: pathOf(type, key) + subresource(writing.subresource) + writeQuery(writing),
          body: JSON.stringify(patch),
          contentType: patchContentTypes[patchType],
        },
        writing,
      ),
    delete: async (type, key, deleting: DeleteOptions = {}) => {
      await json(
        {
          method: 'DELETE',
          path: pathOf(type, key),
          body: JSON.stringify({
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            propagationPolicy: deleting.propagation ?? 'Background',
            preconditions: deleting.preconditions,
            gracePeriodSeconds: deleting.gracePeriodSeconds,
          }),
          contentType: 'application/json',
        },
        deleting,
      );
    },
    proxy: async (target: ProxyTarget, request, limits = {}): Promise<ProxyResponse> => {
      const type = target.kind === 'services' ? kinds.service : kinds.pod;
      const name = `${target.name}:${String(target.port)}`;
      const path = `${pathOf(type, { namespace: target.namespace })}/${name}/proxy${request.path}`;
      const response = await send(
        {
          method: request.method,
          path,
          accept: '*/*',
          headers: request.headers,
          ...(request.body === undefined
            ? {}
            : { body: JSON.stringify(request.body), contentType: 'application/json' }),
        },
        limits,
      );
      const body = response.text;
      const contentType = response.header('content-type') ?? '';
      if (isFailureOfServer(response.status, body)) {
        throw statusError(response.status, body, response.header('retry-after'), `${request.method} ${path}`);
      }
      return { status: response.status, contentType, body };
    },
    podLog: async (key, logging: PodLogOptions = {}) => {
      const { container, tailLines, previous, sinceSeconds } = logging;
      const call: Call = {
        method: 'GET',
        path: `${pathOf(kinds.pod, key)}/log${query({ container, tailLines, sinceSeconds, previous: previous === true ? 'true' : undefined })}`,
        accept: '*/*',
      };
      const response = await send(call, logging);
      if (response.status !== 200) {
        throw statusError(response.status, response.text, response.header('retry-after'), describe(call));
      }
      return response.text;
    },
    serverVersion: async (limits) => {
      const { gitVersion } = await json<{ gitVersion: string }>({ method: 'GET', path: '/version' }, limits);
      return gitVersion;
    },
    close: () => transport.close(),
  };
}

interface RawList {
  readonly metadata?: {
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items?: readonly Omit<KubeObject, 'apiVersion' | 'kind'>[] | null;
}

function listPath(type: ResourceType, options: ListOptions): string {
  const continues = options.continueToken !== undefined;
  return (
    pathOf(type, { namespace: options.namespace }) +
    query({
      limit: options.limit ?? 500,
      continue: options.continueToken,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      // The token carries the version; both together are refused.
      resourceVersion: continues ? undefined : options.resourceVersion,
    })
  );
}

/** Items of a list do not say what they are. */
function toPage(type: ResourceType, list: RawList): ListPage {
  const { continue: continueToken, remainingItemCount: remaining } = list.metadata ?? {};
  return {
    items: (list.items ?? []).map(
      (item) => ({ apiVersion: apiVersionOf(type), kind: type.kind, ...item }) as KubeObject,
    ),
    resourceVersion: list.metadata?.resourceVersion ?? '',
    ...(continueToken === undefined || continueToken === '' ? {} : { continueToken }),
    ...(remaining === undefined ? {} : { remaining }),
  };
}

function watchEvent(line: string): WatchEvent {
  const { type, object } = JSON.parse(line) as { type: string; object: KubeObject & { code?: number } };
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object };
    case 'BOOKMARK':
      return { type, resourceVersion: object.metadata.resourceVersion ?? '' };
    case 'ERROR':
      throw statusError(object.code ?? 500, JSON.stringify(object), undefined, 'watch');
    default:
      throw oaasError('Internal', `the watch sent an event of type ${type}`);
  }
}

/** The API server answers in its own name with a Status; a target's own 404 or 500 is the target's answer. */
function isFailureOfServer(status: number, body: string): boolean {
  return status >= 400 && body.startsWith('{"kind":"Status"');
}

function subresource(name: string | undefined): string {
  return name === undefined ? '' : `/${name}`;
}

function writeQuery(options: WriteOptions, more: Record<string, string | undefined> = {}): string {
  return query({
    fieldManager: options.fieldManager,
    fieldValidation: 'Strict',
    dryRun: options.dryRun === true ? 'All' : undefined,
    ...more,
  });
}

function query(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

function describe(call: { readonly method: string; readonly path: string }): string {
  return `${call.method} ${call.path.split('?', 1)[0] ?? ''}`;
}
