import { setMaxListeners } from 'node:events';
import { isOaasError, oaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import type { Cluster, Credentials } from './credentials.ts';

/** Calls in flight at once; further ones wait for a connection. Watches have connections of their own. */
export const connectionsMax = 24;
const watchesMax = 64;

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  readonly accept?: string | undefined;
  /** Further ones. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

export interface HttpResponse {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
}

type Body = Dispatcher.ResponseData['body'];
type Streamed = HttpResponse & { readonly body: Body };

/** Bytes of an answer that are read. A longer one is refused. */
const answerMax = 64 * 1024 * 1024;

/**
 * HTTP to one API server over shared keep-alive connections. Watches go over connections of their own, so that they
 * never take the place of a call. The agents are replaced when the certificates of the kubeconfig change.
 */
export class Transport {
  readonly #cluster: Cluster;
  readonly #userAgent: string;
  readonly #timers: Timers;
  #tlsKey = '';
  #calls: Dispatcher | undefined;
  #watches: Dispatcher | undefined;

  constructor(cluster: Cluster, userAgent: string, timers: Timers) {
    this.#timers = timers;
    this.#cluster = cluster;
    this.#userAgent = userAgent;
  }

  /** One call. Its time limit covers the headers and the body. Credentials that were refused are renewed once. */
  async send(request: HttpRequest): Promise<HttpResponse & { readonly text: string }> {
    const limit = new AbortController();
    const expiry = this.#timers.after(request.timeoutMs, () => {
      limit.abort(oaasError('DeadlineExceeded', `no answer within ${String(request.timeoutMs)} ms`));
    });
    const giveUp = (): void => {
      limit.abort(request.signal?.reason);
    };
    // Not AbortSignal.any: callers' signals live long, and each call would leave something behind on them.
    if (request.signal !== undefined) listen(request.signal, giveUp);
    try {
      request.signal?.throwIfAborted();
      const response = await this.#authenticated(request, 'call', limit.signal);
      if (Number(response.header('content-length')) > answerMax) {
        response.body.destroy();
        throw oaasError('PayloadTooLarge', 'the answer of the Kubernetes API is larger than 64 MiB');
      }
      return { ...response, text: await response.body.text() };
    } catch (thrown) {
      throw transportError(thrown, request.signal, this.#cluster.name);
    } finally {
      expiry.cancel();
      request.signal?.removeEventListener('abort', giveUp);
    }
  }

  /** A response whose body may go on for long; the time limit covers the headers only. */
  async stream(request: HttpRequest & { readonly signal: AbortSignal }): Promise<Streamed> {
    try {
      return await this.#authenticated(request, 'watch', request.signal);
    } catch (thrown) {
      throw transportError(thrown, request.signal, this.#cluster.name);
    }
  }

  async close(): Promise<void> {
    const agents = [this.#calls, this.#watches].filter((agent) => agent !== undefined);
    this.#calls = this.#watches = undefined;
    this.#tlsKey = '';
    await Promise.all(agents.map((agent) => agent.destroy()));
  }

  async #authenticated(request: HttpRequest, use: 'call' | 'watch', signal: AbortSignal): Promise<Streamed> {
    const response = await this.#attempt(request, use, signal, false);
    if (response.status !== 401) return response;
    await response.body.dump();
    return this.#attempt(request, use, signal, true);
  }

  async #attempt(request: HttpRequest, use: 'call' | 'watch', signal: AbortSignal, renew: boolean): Promise<Streamed> {
    const credentials = await this.#cluster.credentials(renew);
    const response = await this.#agent(credentials, use).request({
      origin: new URL(this.#cluster.server).origin,
      path: this.#prefix() + request.path,
      method: request.method,
      headers: {
        ...request.headers,
        ...credentials.headers,
        'user-agent': this.#userAgent,
        accept: request.accept ?? 'application/json',
        ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
      },
      body: request.body ?? null,
      signal,
      headersTimeout: request.timeoutMs,
      // A silent watch is ended by the server after its own timeout; calls are bounded by the signal.
      bodyTimeout: 0,
    });
    return {
      status: response.statusCode,
      header: (name) => [response.headers[name] ?? []].flat()[0],
      body: response.body,
    };
  }

  #prefix(): string {
    const { pathname } = new URL(this.#cluster.server);
    return pathname === '/' ? '' : pathname;
  }

  #agent({ tls }: Credentials, use: 'call' | 'watch'): Dispatcher {
    const key = [tls.ca, tls.cert, tls.key, tls.servername].map(String).join('|');
    if (key !== this.#tlsKey || this.#calls === undefined || this.#watches === undefined) {
      // Connections in use finish on the old agents, which close when they are idle.
      void this.#calls?.close();
      void this.#watches?.close();
      this.#tlsKey = key;
      this.#calls = newAgent(this.#cluster, tls, connectionsMax);
      this.#watches = newAgent(this.#cluster, tls, watchesMax);
    }
    return use === 'call' ? this.#calls : this.#watches;
  }
}

/** Many calls share one signal, and each leaves when it is over: that is no leak. */
function listen(signal: AbortSignal, listener: () => void): void {
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
}

function newAgent(cluster: Cluster, tls: Credentials['tls'], connections: number): Dispatcher {
  const options = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
  const connect = { ...options, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: 10_000 };
  const shared = { connections, keepAliveTimeout: 30_000, pipelining: 1 };
  if (cluster.proxyUrl !== undefined) return new ProxyAgent({ ...shared, uri: cluster.proxyUrl, requestTls: connect });
  return new Agent({ ...shared, connect });
}

/** What kept a call from being answered. A caller's own abort stays `Cancelled`. */
export function transportError(thrown: unknown, signal: AbortSignal | undefined, cluster: string): OaasError {
  if (isOaasError(thrown)) return thrown;
  if (signal?.aborted === true) return oaasError('Cancelled', 'the call was given up', { cause: thrown });
  const error = toOaasError(thrown);
  const code = error.code === 'DeadlineExceeded' || isUndiciTimeout(thrown) ? 'DeadlineExceeded' : 'Unavailable';
  return oaasError(code, `the Kubernetes API of ${cluster} did not answer: ${error.message}`, { cause: thrown });
}

function isUndiciTimeout(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    /^UND_ERR_(?:HEADERS|BODY|CONNECT)_TIMEOUT$/.test(String((thrown as { code?: unknown }).code))
  );
}
