import type { IncomingMessage, ServerResponse } from 'node:http';
import { stringify as stringifyYaml } from 'yaml';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { PATCH_TYPES, type Answer, type PatchType } from '../api/options.ts';
import { readScale, scaledObject, scaleObject } from '../api/scale.ts';
import { Watch } from '../api/watcher.ts';
import type { Target } from '../api/writer.ts';
import { isAuthorized } from '../auth.ts';
import type { Cluster } from '../cluster.ts';
import { builtinFacts } from '../kinds/builtin.ts';
import type { ResourceType } from '../resource.ts';
import { ApiError, errors, success } from '../status.ts';
import { isJson, type Json, type KubeObject } from '../types.ts';
import { negotiate, type Negotiated } from './accept.ts';
import { aggregatedDiscovery, coreVersions, groupDocument, groupList, resourceList } from './discovery.ts';
import { openApiIndex, openApiV2, openApiV3 } from './openapi.ts';
import { encodeList, listMeta, partial, partialList, table, type IncludeObject } from './present.ts';
import {
  deleteOptions,
  isWatch,
  listOptions,
  mediaTypeOf,
  parseBody,
  readBody,
  watchOptions,
  writeOptions,
} from './request.ts';
import { answerReview } from './reviews.ts';
import { servePodLog, serveProxy, type SubresourceHooks } from './subresources.ts';

export interface HandlerOptions {
  readonly cluster: Cluster;
  readonly token: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly hooks: SubresourceHooks;
  /** What the server could not answer. */
  readonly onError: (error: unknown) => void;
}

/** Watches end after 30 to 60 minutes unless the client asks for another time, so that clients spread their returns. */
const MIN_WATCH_MS = 30 * 60_000;
const BOOKMARK_MS = 30_000;
/** A watcher that reads slower than this many bytes behind is cut off; it comes back with its resourceVersion. */
const MAX_WATCH_BACKLOG_BYTES = 16 * 1024 * 1024;
const OPEN_PATHS = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** Where a request goes, read from its path. */
interface Route {
  readonly resource: ResourceType;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly rest: readonly string[];
}

/** Answers requests as kube-apiserver does. */
export class Handler {
  readonly #options: HandlerOptions;
  readonly #cluster: Cluster;
  readonly #watches = new Set<() => void>();
  #documents = new Map<string, Buffer>();
  #documentsVersion = -1;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#cluster = options.cluster;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(request, response).catch((error: unknown) => {
      const isKnown = error instanceof ApiError;
      if (!isKnown) this.#options.onError(error);
      const { status } = isKnown ? error : errors.internal(error instanceof Error ? error.message : 'unknown');
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const retry = isJson(status.details) ? status.details['retryAfterSeconds'] : undefined;
      if (typeof retry === 'number') response.setHeader('retry-after', String(retry));
      sendJson(response, status.code ?? 500, status);
    });
  }

  /** Ends all watches. */
  close(): void {
    for (const end of [...this.#watches]) end();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://127.0.0.1');
    const path = url.pathname.replace(/\/+$/, '') || '/';
    const probe = path.split('/').slice(0, 2).join('/');
    if (!OPEN_PATHS.has(probe) && !isAuthorized(request.headers.authorization, this.#options.token))
      throw errors.unauthorized();
    if (OPEN_PATHS.has(probe) || !(path.startsWith('/api/') || path.startsWith('/apis/')) || isDiscovery(path)) {
      this.#document(request, response, path);
      return;
    }
    const route = this.#route(path);
    await this.#serve(request, response, url, route);
  }

  #document(request: IncomingMessage, response: ServerResponse, path: string): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw errors.methodNotAllowed();
    const { registry } = this.#cluster;
    const parts = path.split('/').slice(1);
    switch (parts[0]) {
      case 'healthz':
      case 'livez':
      case 'readyz':
        response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
        return;
      case 'version':
        sendJson(response, 200, versionInfo());
        return;
      case 'openapi':
        this.#openApi(response, path, parts);
        return;
      case '':
      case undefined:
        sendJson(response, 200, {
          paths: [
            '/api',
            '/api/v1',
            '/apis',
            '/healthz',
            '/livez',
            '/openapi/v2',
            '/openapi/v3',
            '/readyz',
            '/version',
          ],
        });
        return;
      case 'api':
      case 'apis': {
        const { form } = negotiate(request.headers.accept);
        const isCore = parts[0] === 'api';
        if (parts.length === 1 && form === 'discovery') {
          const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
          const body = this.#cached(`discovery ${String(isCore)}`, () => aggregatedDiscovery(registry, isCore));
          response.writeHead(200, { 'content-type': type, vary: 'Accept' }).end(body);
          return;
        }
        const document = isCore ? this.#coreDocument(request, parts) : this.#groupDocument(parts);
        if (document === undefined) throw errors.noSuchPath();
        sendJson(response, 200, document);
        return;
      }
      default:
        throw errors.noSuchPath();
    }
  }

  #coreDocument(request: IncomingMessage, parts: readonly string[]): Json | undefined {
    if (parts.length === 1) return coreVersions(request.headers.host ?? '127.0.0.1');
    return resourceList(this.#cluster.registry, '', parts[1] ?? '');
  }

  #groupDocument(parts: readonly string[]): Json | undefined {
    const { registry } = this.#cluster;
    if (parts.length === 1) return groupList(registry);
    if (parts.length === 2) return groupDocument(registry, parts[1] ?? '');
    return resourceList(registry, parts[1] ?? '', parts[2] ?? '');
  }

  #openApi(response: ServerResponse, path: string, parts: readonly string[]): void {
    const { registry } = this.#cluster;
    const body = this.#cached(path, () => {
      if (parts[1] === 'v2') return openApiV2(registry);
      if (parts[1] !== 'v3') return undefined;
      return parts.length === 2 ? openApiIndex(registry) : openApiV3(registry, parts.slice(2).join('/'));
    });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  }

  /** Documents follow from the registry alone; they are made once per version of it. */
  #cached(key: string, make: () => Json | undefined): Buffer {
    if (this.#documentsVersion !== this.#cluster.registry.version) {
      this.#documents = new Map();
      this.#documentsVersion = this.#cluster.registry.version;
    }
    let found = this.#documents.get(key);
    if (found === undefined) {
      const made = make();
      if (made === undefined) throw errors.noSuchPath();
      found = Buffer.from(JSON.stringify(made));
      this.#documents.set(key, found);
    }
    return found;
  }

  #route(path: string): Route {
    const parts = path.split('/').slice(1).map(decodePart);
    const isCore = parts[0] === 'api';
    const group = isCore ? '' : (parts[1] ?? '');
    const version = (isCore ? parts[1] : parts[2]) ?? '';
    let rest = parts.slice(isCore ? 2 : 3);
    // `namespaces/x` and its subresources are the object itself, `namespaces/x/pods` is what is in it.
    const isScoped =
      rest[0] === 'namespaces' &&
      rest.length >= 3 &&
      !(group === '' && (rest[2] === 'status' || rest[2] === 'finalize'));
    const namespace = isScoped ? rest[1] : undefined;
    if (isScoped) rest = rest.slice(2);
    const resource = this.#cluster.registry.find(group, version, rest[0] ?? '');
    if (resource === undefined) throw errors.noSuchPath();
    if (isScoped && !resource.namespaced) throw errors.noSuchPath();
    return { resource, namespace, name: rest[1], subresource: rest[2], rest: rest.slice(3) };
  }

  async #serve(request: IncomingMessage, response: ServerResponse, url: URL, route: Route): Promise<void> {
    const { resource, namespace, name, subresource } = route;
    if (!resource.verbs.includes('get') && request.method === 'POST') {
      sendJson(response, 201, answerReview(resource, parseBody(await readBody(request), mediaTypeOf(request))));
      return;
    }
    if (name === undefined) {
      await this.#collection(request, response, url, route);
      return;
    }
    if (resource.namespaced && namespace === undefined) throw errors.noSuchPath();
    const target: Target = { resource, namespace: namespace ?? '', name };
    if (subresource === undefined) {
      await this.#object(request, response, url, target);
      return;
    }
    if (!resource.subresources.has(subresource)) throw errors.noSuchPath();
    await this.#subresource(request, response, url, target, route);
  }

  async #collection(request: IncomingMessage, response: ServerResponse, url: URL, route: Route): Promise<void> {
    const { resource, namespace } = route;
    switch (request.method) {
      case 'GET':
      case 'HEAD': {
        const negotiated = negotiate(request.headers.accept);
        if (isWatch(url.searchParams)) this.#watch(request, response, url, route, negotiated);
        else this.#list(response, url, route, negotiated);
        return;
      }
      case 'POST': {
        if (resource.namespaced && namespace === undefined) throw errors.methodNotAllowed();
        const body = parseBody(await readBody(request), mediaTypeOf(request));
        const answer = await this.#cluster.writer.create(
          resource,
          namespace ?? '',
          body,
          writeOptions(url.searchParams, request),
        );
        this.#send(request, response, resource, answer);
        return;
      }
      case 'DELETE':
        await this.#deleteCollection(request, response, url, route);
        return;
      default:
        throw errors.methodNotAllowed();
    }
  }

  #list(response: ServerResponse, url: URL, route: Route, negotiated: Negotiated): void {
    const { resource, namespace } = route;
    const list = this.#cluster.reader.list(resource, namespace, listOptions(url.searchParams));
    if (negotiated.form === 'object') {
      sendBytes(response, 200, encodeList(resource, list), negotiated);
      return;
    }
    const objects = list.items.map((item) => JSON.parse(item.toString('utf8')) as KubeObject);
    const made =
      negotiated.form === 'table'
        ? table(resource, objects, listMeta(list), includeOf(url), this.#options.clock.now())
        : partialList(objects, listMeta(list));
    sendBytes(response, 200, Buffer.from(JSON.stringify(made)), negotiated);
  }

  #watch(request: IncomingMessage, response: ServerResponse, url: URL, route: Route, negotiated: Negotiated): void {
    const { resource, namespace } = route;
    const options = watchOptions(url.searchParams);
    const name = route.name;
    let isFirstRow = true;
    const watch = new Watch(
      this.#cluster.store,
      resource,
      namespace,
      name === undefined ? options : { ...options, fieldSelector: `metadata.name=${name}` },
      (type, object) => {
        const shown =
          type === 'ERROR' ? object : this.#watched(resource, object, negotiated, includeOf(url), isFirstRow);
        isFirstRow = false;
        response.write(frame(type, shown));
        if (response.writableLength > MAX_WATCH_BACKLOG_BYTES) response.destroy();
      },
    );
    response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    response.flushHeaders();
    watch.start(options);
    if (!watch.isOpen) {
      response.end();
      return;
    }
    const asked = Number(url.searchParams.get('timeoutSeconds') ?? '0');
    const lifetime = asked > 0 ? asked * 1_000 : MIN_WATCH_MS * (1 + this.#options.random.next());
    const end = (): void => {
      if (!this.#watches.delete(end)) return;
      watch.close();
      timeout.cancel();
      bookmarks?.cancel();
      response.end();
    };
    const timeout = this.#options.timers.after(lifetime, () => {
      if (options.allowWatchBookmarks === true) watch.bookmark();
      end();
    });
    const bookmarks =
      options.allowWatchBookmarks === true
        ? this.#options.timers.every(BOOKMARK_MS, () => {
            watch.bookmark();
          })
        : undefined;
    this.#watches.add(end);
    response.once('close', end);
    request.once('error', end);
  }

  #watched(
    resource: ResourceType,
    bytes: Buffer,
    negotiated: Negotiated,
    include: IncludeObject,
    isFirst: boolean,
  ): Buffer {
    if (negotiated.form === 'object') return bytes;
    const object = JSON.parse(bytes.toString('utf8')) as KubeObject;
    const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
    const made =
      negotiated.form === 'table'
        ? table(resource, [object], metadata, include, this.#options.clock.now(), isFirst)
        : partial(object);
    return Buffer.from(JSON.stringify(made));
  }

  async #deleteCollection(request: IncomingMessage, response: ServerResponse, url: URL, route: Route): Promise<void> {
    const { resource, namespace } = route;
    if (resource.namespaced && namespace === undefined) throw errors.methodNotAllowed();
    const body = await readBody(request);
    const options = deleteOptions(
      url.searchParams,
      body.length === 0 ? undefined : parseBody(body, mediaTypeOf(request)),
    );
    const list = this.#cluster.reader.list(resource, namespace, listOptions(url.searchParams));
    for (const item of list.items) {
      const { metadata } = JSON.parse(item.toString('utf8')) as KubeObject;
      const target = { resource, namespace: metadata.namespace ?? '', name: metadata.name ?? '' };
      await this.#cluster.writer.delete(target, options).catch((error: unknown) => {
        if (!(error instanceof ApiError) || error.code !== 404) throw error;
      });
    }
    sendBytes(response, 200, encodeList(resource, list), negotiate(request.headers.accept));
  }

  async #object(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    target: Target,
    subresource?: 'status',
  ): Promise<void> {
    const { resource } = target;
    const { reader, writer } = this.#cluster;
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        if (isWatch(url.searchParams)) {
          this.#watch(
            request,
            response,
            url,
            { ...target, subresource: undefined, rest: [] },
            negotiate(request.headers.accept),
          );
          return;
        }
        this.#send(request, response, resource, reader.get(target), includeOf(url));
        return;
      case 'PUT': {
        const body = parseBody(await readBody(request), mediaTypeOf(request));
        this.#send(
          request,
          response,
          resource,
          await writer.update(target, body, writeOptions(url.searchParams, request, subresource)),
        );
        return;
      }
      case 'PATCH': {
        const type = patchTypeOf(request);
        const patch = parseBody(await readBody(request), mediaTypeOf(request));
        const options = writeOptions(url.searchParams, request, subresource);
        const force = url.searchParams.get('force') === 'true';
        // Server-side apply must name its manager; the User-Agent does not count.
        const manager = url.searchParams.get('fieldManager') ?? '';
        const named = type === 'apply' ? { ...options, fieldManager: manager } : options;
        this.#send(
          request,
          response,
          resource,
          await writer.patch(target, { type, patch, force }, named),
          includeOf(url),
        );
        return;
      }
      case 'DELETE': {
        const body = await readBody(request);
        const options = deleteOptions(
          url.searchParams,
          body.length === 0 ? undefined : parseBody(body, mediaTypeOf(request)),
        );
        this.#send(request, response, resource, await writer.delete(target, options));
        return;
      }
      default:
        throw errors.methodNotAllowed();
    }
  }

  async #subresource(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    target: Target,
    route: Route,
  ): Promise<void> {
    switch (route.subresource) {
      case 'status':
        await this.#object(request, response, url, target, 'status');
        return;
      case 'scale':
        await this.#scale(request, response, url, target);
        return;
      case 'log':
        await servePodLog(this.#cluster.reader.get(target), target, url, response, this.#options.hooks);
        return;
      case 'proxy':
        await serveProxy(target, route.rest, url, request, response, this.#options.hooks);
        return;
      case 'eviction': {
        if (request.method !== 'POST') throw errors.methodNotAllowed();
        const body = parseBody(await readBody(request), mediaTypeOf(request));
        await this.#cluster.writer.delete(
          target,
          deleteOptions(url.searchParams, isJson(body) ? body['deleteOptions'] : undefined),
        );
        sendJson(response, 201, success({}));
        return;
      }
      case 'binding':
        await this.#bind(request, response, target);
        return;
      default:
        throw errors.methodNotAllowed();
    }
  }

  async #bind(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> {
    if (request.method !== 'POST') throw errors.methodNotAllowed();
    const body = parseBody(await readBody(request), mediaTypeOf(request));
    const node = isJson(body) && isJson(body['target']) ? body['target']['name'] : undefined;
    if (typeof node !== 'string') throw errors.badRequest('target.name: Required value');
    await this.#cluster.writer.patch(
      target,
      { type: 'merge', patch: { spec: { nodeName: node } } },
      { fieldManager: 'kube-scheduler' },
    );
    sendJson(response, 201, success({}));
  }

  async #scale(request: IncomingMessage, response: ServerResponse, url: URL, target: Target): Promise<void> {
    const { reader, writer } = this.#cluster;
    const live = JSON.parse(reader.get(target).bytes.toString('utf8')) as KubeObject;
    if (request.method === 'GET') {
      sendJson(response, 200, scaleObject(target.resource, live));
      return;
    }
    if (request.method !== 'PUT' && request.method !== 'PATCH') throw errors.methodNotAllowed();
    const body = parseBody(await readBody(request), mediaTypeOf(request));
    const scale = readScale(target.resource, live, body, request.method === 'PUT' ? undefined : patchTypeOf(request));
    const options = writeOptions(url.searchParams, request, 'scale');
    const answer = await writer.update(target, scaledObject(target.resource, live, scale), options);
    sendJson(response, 200, scaleObject(target.resource, JSON.parse(answer.bytes.toString('utf8')) as KubeObject));
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    resource: ResourceType,
    answer: Answer,
    include: IncludeObject = 'Metadata',
  ): void {
    const negotiated = negotiate(request.headers.accept);
    for (const warning of answer.warnings) response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`);
    if (negotiated.form === 'object') {
      sendBytes(response, answer.code, answer.bytes, negotiated);
      return;
    }
    const object = JSON.parse(answer.bytes.toString('utf8')) as KubeObject;
    if (object.kind === 'Status') {
      sendBytes(response, answer.code, answer.bytes, negotiated);
      return;
    }
    const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
    const made =
      negotiated.form === 'table'
        ? table(resource, [object], metadata, include, this.#options.clock.now())
        : partial(object);
    sendBytes(response, answer.code, Buffer.from(JSON.stringify(made)), negotiated);
  }
}

/** `/api`, `/api/v1`, `/apis/<group>` and `/apis/<group>/<version>` describe; deeper paths are resources. */
function isDiscovery(path: string): boolean {
  const depth = path.split('/').length - 1;
  return path.startsWith('/apis/') ? depth <= 3 : depth <= 2;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw errors.badRequest(`the path is not well encoded: ${part}`);
  }
}

function patchTypeOf(request: IncomingMessage): PatchType {
  const mediaType = mediaTypeOf(request);
  for (const [type, known] of Object.entries(PATCH_TYPES)) if (known === mediaType) return type as PatchType;
  throw errors.unsupportedMediaType(Object.values(PATCH_TYPES));
}

function includeOf(url: URL): IncludeObject {
  const asked = url.searchParams.get('includeObject');
  return asked === 'None' || asked === 'Object' ? asked : 'Metadata';
}

const FRAME_END = Buffer.from('}\n');

function frame(type: string, object: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, FRAME_END]);
}

function sendBytes(response: ServerResponse, code: number, bytes: Buffer, negotiated: Negotiated): void {
  if (negotiated.encoding === 'yaml') {
    const text = stringifyYaml(JSON.parse(bytes.toString('utf8')));
    response.writeHead(code, { 'content-type': 'application/yaml' }).end(text);
    return;
  }
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}

function sendJson(response: ServerResponse, code: number, value: unknown): void {
  sendBytes(response, code, Buffer.from(JSON.stringify(value)), { form: 'object', encoding: 'json' });
}

function versionInfo(): Json {
  const [major = '1', minor = '34'] = builtinFacts.kubernetes.slice(1).split('.');
  return {
    major,
    minor,
    gitVersion: `${builtinFacts.kubernetes}+embedded`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'node',
    platform: `${process.platform}/${process.arch}`,
  };
}
