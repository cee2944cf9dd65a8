import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Answer } from '../api/options.ts';
import type { Target } from '../api/writer.ts';
import { ApiError, errors } from '../status.ts';
import { listAt, textAt } from '../types.ts';

/** What `kubectl logs` asks for. */
export interface PodLogOptions {
  readonly container?: string;
  readonly follow?: boolean;
  readonly tailLines?: number;
  readonly previous?: boolean;
  readonly sinceSeconds?: number;
  readonly timestamps?: boolean;
}

/** What a kubelet and a proxy provide, and this server does not. */
export interface SubresourceHooks {
  /** A container's log; undefined when there is none. */
  podLog?(namespace: string, pod: string, options: PodLogOptions): Promise<Readable | undefined>;
  /**
   * The base URL (`http://127.0.0.1:port`) behind a service or pod; undefined when nothing listens.
   * @param nameAndPort as the path writes it: `name`, `name:port` or `scheme:name:port`.
   */
  proxy?(
    kind: 'services' | 'pods',
    namespace: string,
    nameAndPort: string,
    path: string,
    request: IncomingMessage,
  ): Promise<string | undefined>;
}

const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'host',
  'authorization',
]);

/** `GET .../pods/<name>/log`. */
export async function servePodLog(
  pod: Answer,
  target: Target,
  url: URL,
  response: ServerResponse,
  hooks: SubresourceHooks,
): Promise<void> {
  const query = url.searchParams;
  const containers = listAt(JSON.parse(pod.bytes.toString('utf8')), 'spec', 'containers').map(
    (item) => textAt(item, 'name') ?? '',
  );
  const container = query.get('container') ?? (containers.length === 1 ? containers[0] : undefined);
  if (container === undefined) {
    throw errors.badRequest(
      `a container name must be specified for pod ${target.name}, choose one of: [${containers.join(' ')}]`,
    );
  }
  const number = (name: string): number | undefined => (query.has(name) ? Number(query.get(name)) : undefined);
  const tailLines = number('tailLines');
  const sinceSeconds = number('sinceSeconds');
  const stream = await hooks.podLog?.(target.namespace, target.name, {
    container,
    follow: query.get('follow') === 'true',
    previous: query.get('previous') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
  });
  if (stream === undefined) {
    throw errors.badRequest(
      `container ${JSON.stringify(container)} in pod ${JSON.stringify(target.name)} is not available`,
    );
  }
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  // A client that stops following is no error.
  await pipeline(stream, response).catch(() => undefined);
}

/** `.../services/<name:port>/proxy/<path>` and the same of pods, by any method. */
export async function serveProxy(
  target: Target,
  rest: readonly string[],
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
  hooks: SubresourceHooks,
): Promise<void> {
  const { plural } = target.resource;
  if (plural !== 'services' && plural !== 'pods') throw errors.noSuchPath();
  const path = `/${rest.map(encodeURIComponent).join('/')}${url.search}`;
  const base = await hooks.proxy?.(plural, target.namespace, target.name, path, request);
  if (base === undefined)
    throw errors.unavailable(`no endpoints available for ${plural.slice(0, -1)} ${JSON.stringify(target.name)}`);
  await forward(`${base}${path}`, request, response);
}

function forward(address: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !HOP_HEADERS.has(name)));
  return new Promise((resolve, reject) => {
    const upstream = httpRequest(address, { method: request.method, headers }, (answer) => {
      const passed = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !HOP_HEADERS.has(name)));
      response.writeHead(answer.statusCode ?? 502, passed);
      pipeline(answer, response).then(resolve, () => {
        resolve();
      });
    });
    upstream.once('error', (error) => {
      reject(new ApiError(503, 'ServiceUnavailable', `error trying to reach service: ${error.message}`));
    });
    response.once('close', () => upstream.destroy());
    request.pipe(upstream);
  });
}
