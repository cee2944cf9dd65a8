import { isAllowed } from './allow-list.ts';
import type { ConsoleConfig } from './config.ts';
import { problemResponse } from './problem.ts';

/** A source with its credentials fits many times over; a larger body is refused. */
const maxBodyBytes = 64 * 1024;
const timeoutMs = 15_000;
const keptHeaders = ['content-type', 'x-total-count', 'x-next-cursor', 'retry-after'];

export type Pm = Pick<ConsoleConfig, 'pmUrl' | 'pmToken'>;

/** Repeats a browser's request towards PM with the console's token, if it is one that the console makes. */
export async function proxyToPm(pm: Pm, request: Request, path: string, search: string): Promise<Response> {
  if (!isAllowed(request.method, path)) {
    return problemResponse('NotFound', 'The console does not pass on this request.');
  }
  const body = request.method === 'GET' ? undefined : await readBounded(request);
  if (body === null) return problemResponse('PayloadTooLarge', `The body is larger than ${maxBodyBytes} bytes.`);

  let upstream: Response;
  try {
    upstream = await fetch(`${pm.pmUrl}${path}${search}`, {
      method: request.method,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${pm.pmToken}`,
        ...(body === undefined || body.length === 0 ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined || body.length === 0 ? {} : { body }),
      redirect: 'error',
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]),
    });
  } catch {
    return unreachable();
  }
  // Not the browser's session: 401 would send the person to the sign-in, which cannot mend it.
  if (upstream.status === 401) return tokenRefused();

  const headers = new Headers({ 'cache-control': 'no-store' });
  for (const name of keptHeaders) {
    const value = upstream.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(upstream.status === 204 ? null : upstream.body, { status: upstream.status, headers });
}

export function unreachable(): Response {
  return problemResponse('Unavailable', 'The Package Manager cannot be reached from the console.', {
    remedy: 'Check that the Package Manager runs and that OAAS_PM_URL names it; the console tries again by itself.',
  });
}

export function tokenRefused(): Response {
  return problemResponse('PermissionDenied', "The Package Manager refused the console's token.", {
    status: 502,
    remedy: 'Set OAAS_PM_TOKEN to a token that the Package Manager knows, and start the console again.',
  });
}

/** The body's bytes; null as soon as it is larger than allowed. */
async function readBounded(request: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > maxBodyBytes) {
      await reader?.cancel();
      return null;
    }
    chunks.push(part.value);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
