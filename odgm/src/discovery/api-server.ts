import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { oaasError } from '@oaas/commons/errors';
import type { ClusterAccess } from './access.ts';

/** Longest wait for the head of an answer, and between parts of a list. */
const timeoutMs = 5000;
/** A longer list, or a longer line of a watch, is refused: a grid has at most some hundreds of pods. */
const answerBytesMax = 16 * 1024 * 1024;

/** The whole answer to a GET. Rejects with `Unavailable`, and with `PermissionDenied` when the server refuses it. */
export async function get(access: ClusterAccess, path: string, signal?: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of await open(access, path, timeoutMs, signal)) {
    size += chunk.length;
    if (size > answerBytesMax) throw unavailable(new Error('the answer is too long'));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/**
 * The lines of an answer that goes on, until the server ends it. Throws as {@link get}; also when nothing came for
 * `silenceMs`, as on a connection that died without a word.
 */
export async function* follow(
  access: ClusterAccess,
  path: string,
  silenceMs: number,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of await open(access, path, silenceMs, signal)) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > answerBytesMax) throw unavailable(new Error('a line of the watch is too long'));
    yield* parts.filter((line) => line !== '');
  }
}

/** The body of an answer with status 200. Reading it fails like the call. */
async function open(
  { url, token, ca }: ClusterAccess,
  path: string,
  silenceMs: number,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Buffer>> {
  const headers = { authorization: `Bearer ${await token()}`, accept: 'application/json' };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = request(`${url}${path}`, { ca, headers, timeout: timeoutMs, signal }, (answer) => {
      call.setTimeout(silenceMs);
      resolve(answer);
    });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', (error) => {
      reject(unavailable(error));
    });
    call.end();
  });
  const { statusCode = 0 } = response;
  if (statusCode !== 200) response.destroy();
  if (statusCode === 401 || statusCode === 403) throw forbidden(statusCode);
  if (statusCode !== 200) throw unavailable(new Error(`status ${String(statusCode)}`));
  return chunksOf(response);
}

async function* chunksOf(response: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): Error {
  return oaasError('Unavailable', 'the API server does not answer', { cause, retryAfterMs: 1000 });
}

function forbidden(status: number): Error {
  return oaasError('PermissionDenied', `the API server refuses to show pods (${String(status)})`, {
    remedy: 'Bind a Role with the verbs list and watch on pods to the service account of the grid.',
  });
}
