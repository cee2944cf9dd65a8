import { type Consequence, type ErrorCode, errorTable } from './table.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export interface OaasErrorOptions {
  /** What the reader does about this occurrence; the table's general remedy stands in for it. */
  readonly remedy?: string | undefined;
  /** Facts for programs and for the log. They travel to callers: never put a secret here. */
  readonly details?: Readonly<Record<string, JsonValue>> | undefined;
  /** Earliest sensible time of the next try, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Shared by every copy of this module in one process, so that `isOaasError` holds across bundles. */
const brand = Symbol.for('oaas.io/error');

/** The one error type of the platform. Made by {@link oaasError}. */
export class OaasError extends Error {
  readonly code: ErrorCode;
  readonly consequence: Consequence;
  declare readonly remedy?: string;
  declare readonly details?: Readonly<Record<string, JsonValue>>;
  declare readonly retryAfterMs?: number;

  constructor(code: ErrorCode, message: string, options: OaasErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OaasError';
    this.code = code;
    this.consequence = errorTable[code].consequence;
    if (options.remedy !== undefined) this.remedy = options.remedy;
    if (options.details !== undefined) this.details = options.details;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Makes an error of the table. `message` is one sentence about this occurrence, without secrets. */
export function oaasError(code: ErrorCode, message: string, options?: OaasErrorOptions): OaasError {
  return new OaasError(code, message, options);
}

/** True for an {@link OaasError}, also one made by another copy of this module; with `code`, only for that code. */
export function isOaasError(value: unknown, code?: ErrorCode): value is OaasError {
  if (typeof value !== 'object' || value === null || !(brand in value)) return false;
  return code === undefined || (value as unknown as OaasError).code === code;
}

/** Codes of Node.js system errors that have a clear meaning whatever the call was. */
const systemErrors: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'Unavailable',
  ECONNRESET: 'Unavailable',
  EPIPE: 'Unavailable',
  ENOTFOUND: 'Unavailable',
  EAI_AGAIN: 'Unavailable',
  EHOSTUNREACH: 'Unavailable',
  ENETUNREACH: 'Unavailable',
  ETIMEDOUT: 'DeadlineExceeded',
  ENOSPC: 'StorageFull',
  EDQUOT: 'StorageFull',
  EADDRINUSE: 'PortInUse',
};

/**
 * Anything that was thrown, as an {@link OaasError}. An abort is `Cancelled`, a timeout `DeadlineExceeded`, well-known
 * system errors keep their meaning, all else is `Internal`. The original is the `cause`.
 */
export function toOaasError(value: unknown): OaasError {
  if (isOaasError(value)) return value;
  if (!(value instanceof Error) && !isErrorLike(value)) {
    return oaasError('Internal', typeof value === 'string' ? value : 'something other than an error was thrown', {
      cause: value,
    });
  }
  return oaasError(codeOf(value), value.message === '' ? value.name : value.message, { cause: value });
}

interface ErrorLike {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
}

/** DOMException of an AbortSignal and errors of other realms are no `instanceof Error` here. */
function isErrorLike(value: unknown): value is ErrorLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<ErrorLike>).name === 'string' &&
    typeof (value as Partial<ErrorLike>).message === 'string'
  );
}

function codeOf(error: ErrorLike): ErrorCode {
  if (error.name === 'AbortError') return 'Cancelled';
  if (error.name === 'TimeoutError') return 'DeadlineExceeded';
  return (typeof error.code === 'string' ? systemErrors[error.code] : undefined) ?? 'Internal';
}

/** Throws `Internal` when a condition that the program relies on does not hold: a defect, never bad input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw oaasError('Internal', `invariant violated: ${message}`);
}

/** Marks the end of an exhaustive switch: a missing case fails to compile, and throws `Internal` if reached. */
export function assertNever(value: never): never {
  throw oaasError('Internal', `unexpected case: ${String(value)}`);
}
