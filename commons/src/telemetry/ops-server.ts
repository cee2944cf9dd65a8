import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type JsonValue, oaasError, toProblem } from '../errors/index.ts';
import type { HealthKind, HealthRegistry } from '../lifecycle/health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

export interface OpsOptions {
  readonly health: HealthRegistry;
  readonly metrics: Metrics;
  /** Facts about the program for `/status`: version, role, counts. No secrets: it is served without a token. */
  readonly status: () => JsonValue | Promise<JsonValue>;
  readonly logger: Logger;
}

/** Answers the request and resolves to true, or leaves it alone and resolves to false. Never rejects. */
export type OpsHandler = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

type Route = () => Promise<{ readonly status: number; readonly contentType: string; readonly body: string }>;

/**
 * Answers GET and HEAD of the four paths that every program has: `/health` and `/ready` (200 or 503, JSON with each
 * check and its reason), `/metrics` (Prometheus), `/status` (JSON). For a server that has other paths too.
 */
export function createOpsHandler(options: OpsOptions): OpsHandler {
  const checks = (kind: HealthKind): Route => {
    return async () => {
      const report = await options.health.report(kind);
      return json(report.ok ? 200 : 503, { status: report.ok ? 'ok' : 'failing', checks: report.checks });
    };
  };
  const routes: Readonly<Record<string, Route>> = {
    '/health': checks('liveness'),
    '/ready': checks('readiness'),
    '/metrics': async () => ({ status: 200, ...(await options.metrics.render()) }),
    '/status': async () => json(200, await options.status()),
  };
  return async (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/';
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
    const answer = await route().catch((error: unknown) => {
      options.logger.error({ err: error, path }, 'an operations page failed');
      return problem(error);
    });
    send(request, response, answer);
    return true;
  };
}

export interface OpsServer {
  readonly host: string;
  readonly port: number;
  /** Ends open connections and closes. */
  stop(): Promise<void>;
}

/**
 * A server for {@link createOpsHandler} alone. `port` 0 takes any free one. Rejects with `PortInUse` when it is taken.
 * Bounds: requests of at most 8 KiB of headers and 5 s, 256 connections; more are refused.
 */
export async function startOpsServer(
  options: OpsOptions & { readonly host: string; readonly port: number },
): Promise<OpsServer> {
  const handler = createOpsHandler(options);
  const server = createServer({ maxHeaderSize: 8192, requestTimeout: 5000 }, (request, response) => {
    void handler(request, response).then((answered) => {
      if (!answered) send(request, response, problem(oaasError('NotFound', 'there is no such page')));
    });
  });
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? oaasError('PortInUse', `port ${String(options.port)} on ${options.host} is taken`, { cause: error })
          : error,
      );
    });
    server.listen(options.port, options.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
        server.closeAllConnections();
      }),
  };
}

type Answer = Awaited<ReturnType<Route>>;

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(value) };
}

function problem(error: unknown): Answer {
  const document = toProblem(error);
  return { status: document.status, contentType: 'application/problem+json', body: JSON.stringify(document) };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}
