import { type JsonValue, toOaasError } from './error.ts';
import { type ErrorCode, errorTable } from './table.ts';

/** Problem document of RFC 9457, served as `application/problem+json`. Details of the error are further members. */
export interface Problem {
  /** `urn:oaas:error:<code>`, stable. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly remedy: string;
  /** Path of the request or its correlation id. */
  readonly instance?: string;
  /** Milliseconds to wait before the next try; also sent as `Retry-After` in whole seconds. */
  readonly retryAfterMs?: number;
  readonly [detail: string]: JsonValue | undefined;
}

/** The problem document for anything that was thrown. Never has a stack or a cause. */
export function toProblem(error: unknown, options: { readonly instance?: string | undefined } = {}): Problem {
  const known = toOaasError(error);
  const definition = errorTable[known.code];
  return {
    ...known.details,
    type: `urn:oaas:error:${known.code}`,
    title: definition.title,
    status: definition.http,
    detail: known.message,
    code: known.code,
    remedy: known.remedy ?? definition.remedy,
    ...(options.instance === undefined ? {} : { instance: options.instance }),
    ...(known.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
  };
}
