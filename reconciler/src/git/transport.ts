import { Errors, type GitHttpRequest, type GitHttpResponse, type HttpClient } from 'isomorphic-git';
import nodeHttp from 'isomorphic-git/http/node';
import { isOaasError, oaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import type { GitAuth, GitLimits } from './types.ts';

/** One operation against a server: its deadline, and the transport that keeps it. */
export interface Operation {
  readonly http: HttpClient;
  readonly headers: Readonly<Record<string, string>>;
}

export interface OperationOptions {
  readonly auth: GitAuth;
  readonly limits: GitLimits;
  readonly timers: Timers;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs one operation under a deadline that covers all its requests, because isomorphic-git has none and a server that hangs would
 * hang the source for ever. Errors come out as those of {@link GitSource}.
 */
export async function withOperation<T>(
  options: OperationOptions,
  run: (operation: Operation) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = options.timers.after(options.timeoutMs, () => {
    deadline.abort(oaasError('DeadlineExceeded', 'the repository did not answer in time'));
  });
  const signal = options.signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, options.signal]);
  const http: HttpClient = { request: (request) => boundedRequest(request, signal, options.limits) };
  try {
    return await Promise.race([run({ http, headers: authHeaders(options.auth) }), aborted(signal)]);
  } catch (thrown) {
    if (options.signal?.aborted === true) throw oaasError('Cancelled', 'the fetch was cancelled', { cause: thrown });
    if (deadline.signal.aborted) {
      throw oaasError('SourceUnreachable', `the repository did not answer within ${String(options.timeoutMs)} ms`, {
        remedy: "Check that its server is up, or raise the source's timeout_seconds.",
        cause: thrown,
      });
    }
    throw sourceError(thrown);
  } finally {
    timer.cancel();
    deadline.abort();
  }
}

/** Rejects when `signal` aborts: also where the library waits for a body that never ends. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(toOaasError(signal.reason));
      },
      { once: true },
    );
  });
}

async function boundedRequest(
  request: GitHttpRequest,
  signal: AbortSignal,
  limits: GitLimits,
): Promise<GitHttpResponse> {
  signal.throwIfAborted();
  // The library passes its options on to http.request, which knows `signal`; its types do not say so.
  const withSignal = { ...request, signal } as GitHttpRequest;
  const response = await nodeHttp.request(withSignal);
  if (response.body === undefined) return response;
  const body = bounded(response.body, limits.responseBytes);
  const isAdvertisement = response.statusCode === 200 && request.url.endsWith('/info/refs?service=git-upload-pack');
  return { ...response, body: isAdvertisement ? withHead(body) : body };
}

/**
 * The refs that a server advertises, with a HEAD. It has none when HEAD names a branch that nobody has pushed, as in a bare
 * repository made for `master` that was given `main`; the library fetches nothing from such a one, though it needs no HEAD.
 */
async function* withHead(body: AsyncIterable<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('latin1');
  const [, anyCommit] = /([0-9a-f]{40}) refs\//.exec(text) ?? [];
  if (anyCommit === undefined || / HEAD[\0\n]/.test(text) || !text.endsWith(flush)) {
    yield bytes;
    return;
  }
  const line = `${anyCommit} HEAD\n`;
  yield bytes.subarray(0, -flush.length);
  // A pkt-line begins with its length, four hexadecimal digits that count as well.
  yield Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}${flush}`);
}

/** The pkt-line that ends a list. */
const flush = '0000';

async function* bounded(body: AsyncIterableIterator<Uint8Array>, bytesMax: number): AsyncIterableIterator<Uint8Array> {
  let received = 0;
  for await (const chunk of body) {
    received += chunk.length;
    if (received > bytesMax) {
      throw oaasError('ResourceExhausted', `the repository sent more than ${String(bytesMax)} bytes at once`, {
        remedy: 'Use a smaller repository for desired state, without large files.',
      });
    }
    yield chunk;
  }
}

/** Sent from the first request on, which saves the answer 401 that invites them. */
function authHeaders(auth: GitAuth): Readonly<Record<string, string>> {
  switch (auth.type) {
    case 'none':
      return {};
    case 'basic':
      return { Authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64')}` };
    case 'bearer':
      return { Authorization: `Bearer ${auth.token}` };
  }
}

/** What isomorphic-git throws, in the words of the port. */
export function sourceError(thrown: unknown): OaasError {
  if (isOaasError(thrown)) return thrown;
  if (thrown instanceof Errors.HttpError) return httpError(thrown.data.statusCode, thrown);
  if (thrown instanceof Errors.NotFoundError) {
    return oaasError('RefNotFound', 'the repository does not have the commit or ref', { cause: thrown });
  }
  if (thrown instanceof Errors.SmartHttpError) {
    return oaasError('SourceUnreachable', 'the address does not answer as a Git server', {
      remedy: 'Check the URL: it must be what git clone takes.',
      cause: thrown,
    });
  }
  const known = toOaasError(thrown);
  if (known.code === 'StorageFull' || known.code === 'Cancelled') return known;
  return oaasError('SourceUnreachable', `the repository cannot be read: ${known.message}`, { cause: thrown });
}

function httpError(status: number, cause: unknown): OaasError {
  if (status === 401 || status === 403) {
    return oaasError('SourceAuthFailed', `the server refuses the credentials (HTTP ${String(status)})`, {
      remedy: "Check the source's auth: user and password, or token and its scopes.",
      cause,
    });
  }
  const missing = status === 404;
  return oaasError(
    'SourceUnreachable',
    missing ? 'there is no repository at this address (HTTP 404)' : `the server answers HTTP ${String(status)}`,
    {
      remedy: missing
        ? 'Check the URL; some servers also say so where credentials are missing.'
        : 'Wait for the server; the source retries by itself.',
      cause,
    },
  );
}
