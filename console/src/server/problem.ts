import { errorTable, type ErrorCode } from '@oaas/commons/errors';

/** An RFC 9457 answer of the console itself, in the form that PM's client reads. */
export function problemResponse(
  code: ErrorCode,
  detail: string,
  options: { readonly status?: number; readonly remedy?: string; readonly headers?: Record<string, string> } = {},
): Response {
  const { http, title, remedy } = errorTable[code];
  const status = options.status ?? http;
  return Response.json(
    { type: `urn:oaas:error:${code}`, title, status, code, detail, remedy: options.remedy ?? remedy },
    {
      status,
      headers: { ...options.headers, 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
    },
  );
}
