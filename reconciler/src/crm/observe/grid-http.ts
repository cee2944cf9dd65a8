import { isOaasError, type JsonValue, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import { Agent, request } from 'undici';
import type { KubernetesApi } from '../../kubernetes/index.ts';
import { childNames } from '../../record/index.ts';
import { ports, serviceAddress } from '../manifests/index.ts';

/** The admin API of the grid of one record. */
export interface GridHttp {
  /**
   * JSON of a GET. Throws `Unavailable` when no node answers, `Unimplemented` for a path that this grid does not have,
   * and else what the grid's own problem document says.
   */
  get(id: string, path: string, signal?: AbortSignal): Promise<unknown>;
  /** The same of a POST, whose options are in the path, on behalf of somebody. Throws also what the grid refuses it for. */
  post(id: string, path: string, actor: string, signal?: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

export interface GridHttpOptions {
  readonly namespace: string;
  /** `direct`: by the cluster's DNS. `proxy`: through the API server, from outside the cluster. */
  readonly access: 'direct' | 'proxy';
  readonly api: KubernetesApi;
  readonly timers: Timers;
}

const timeoutMs = 5000;
/** Connections to all grids together that are kept open. */
const connectionsMax = 4;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

export function createGridHttp(options: GridHttpOptions): GridHttp {
  const { api, namespace, timers } = options;
  const agent = new Agent({ connections: connectionsMax, keepAliveTimeout: 10_000, connect: { timeout: 3000 } });

  async function direct(id: string, { path, ...call }: Call, outer: AbortSignal | undefined): Promise<Answer> {
    const limit = new AbortController();
    const giveUp = (): void => {
      limit.abort();
    };
    const timer = timers.after(timeoutMs, giveUp);
    outer?.addEventListener('abort', giveUp, { once: true });
    try {
      const url = `http://${serviceAddress(childNames(id).grid, namespace, ports.gridAdmin)}${path}`;
      const response = await request(url, { ...call, dispatcher: agent, signal: limit.signal });
      return { status: response.statusCode, body: await response.body.text() };
    } finally {
      timer.cancel();
      outer?.removeEventListener('abort', giveUp);
    }
  }

  async function proxied(id: string, call: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const target = { namespace, kind: 'services', name: childNames(id).grid, port: ports.gridAdmin } as const;
    return api.proxy(target, call, { signal, timeoutMs });
  }

  const send = options.access === 'direct' ? direct : proxied;
  async function ask(id: string, call: Call, signal: AbortSignal | undefined): Promise<unknown> {
    const answer = await send(id, call, signal).catch((error: unknown) => {
      // The API server's own refusal names the Service; that none is there means the same as none answers.
      if (isOaasError(error, 'PermissionDenied') || isOaasError(error, 'Unauthenticated')) throw error;
      throw oaasError('Unavailable', `the grid of ${id} does not answer: ${toOaasError(error).message}`, {
        cause: error,
      });
    });
    return read(id, call.path, answer);
  }

  return {
    get: (id, path, signal) => ask(id, { method: 'GET', path }, signal),
    post: (id, path, actor, signal) => ask(id, { method: 'POST', path, headers: { 'x-oaas-actor': actor } }, signal),
    close: () => agent.destroy(),
  };
}

/** What a caller can do something about is passed on as it is. */
const refusals = ['InvalidArgument', 'FailedPrecondition', 'AlreadyExists', 'Conflict', 'ResourceExhausted'] as const;

function read(id: string, path: string, { status, body }: Answer): unknown {
  const value = parse(body);
  if (status >= 200 && status < 300) {
    if (value === undefined)
      throw oaasError('Unavailable', `the grid of ${id} answered ${path} with something else than JSON`);
    return value;
  }
  const problem = (value ?? {}) as { readonly detail?: unknown; readonly remedy?: unknown; readonly code?: unknown };
  const detail = typeof problem.detail === 'string' ? problem.detail : `status ${String(status)}`;
  const details: Record<string, JsonValue> = { deployment: id, status };
  if (status === 404) {
    // A collection may be missing; a path that is not the grid's is a feature it does not have.
    const isPath = /there is no (?:GET|POST) /.test(detail) || value === undefined;
    throw oaasError(isPath ? 'Unimplemented' : 'NotFound', `the grid of ${id}: ${detail}`, { details });
  }
  const refusal = refusals.find((code) => code === problem.code);
  if (refusal !== undefined) {
    const remedy = typeof problem.remedy === 'string' ? { remedy: problem.remedy } : {};
    throw oaasError(refusal, `the grid of ${id}: ${detail}`, { ...remedy, details });
  }
  throw oaasError(
    status === 401 || status === 403 ? 'PermissionDenied' : 'Unavailable',
    `the grid of ${id}: ${detail}`,
    { details },
  );
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
