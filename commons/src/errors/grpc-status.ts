import { type JsonValue, oaasError, type OaasError, toOaasError } from './error.ts';
import { type ErrorCode, errorTable, isErrorCode } from './table.ts';

export interface GrpcStatus {
  /** Status code of gRPC, 1..16. */
  readonly code: number;
  readonly message: string;
  /** What a status code cannot say: `code`, and where present `remedy`, `retryAfterMs`, `details` (JSON). */
  readonly details: Readonly<Record<string, string>>;
}

/** The gRPC status for anything that was thrown. Never has a stack or a cause. */
export function toGrpcStatus(error: unknown): GrpcStatus {
  const known = toOaasError(error);
  return {
    code: errorTable[known.code].grpc,
    message: known.message,
    details: {
      code: known.code,
      ...(known.remedy === undefined ? {} : { remedy: known.remedy }),
      ...(known.retryAfterMs === undefined ? {} : { retryAfterMs: String(known.retryAfterMs) }),
      ...(known.details === undefined ? {} : { details: JSON.stringify(known.details) }),
    },
  };
}

/** The general code for each gRPC status, for peers that send no details. */
const codeByStatus: Readonly<Record<number, ErrorCode>> = {
  1: 'Cancelled',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  9: 'FailedPrecondition',
  10: 'Conflict',
  11: 'InvalidArgument',
  12: 'Unimplemented',
  14: 'Unavailable',
  15: 'DataLoss',
  16: 'Unauthenticated',
};

/**
 * The error that a peer sent. A code in `details` counts only when it belongs to the status code, so that a peer of
 * another version cannot make a refusal look retryable. An unknown status is `Internal`.
 */
export function fromGrpcStatus(
  code: number,
  message: string,
  details: Readonly<Record<string, string>> = {},
  cause?: unknown,
): OaasError {
  const named = details['code'];
  const known = named !== undefined && isErrorCode(named) && errorTable[named].grpc === code ? named : undefined;
  const retryAfterMs = Number(details['retryAfterMs']);
  return oaasError(known ?? codeByStatus[code] ?? 'Internal', message, {
    remedy: details['remedy'],
    retryAfterMs: Number.isFinite(retryAfterMs) && retryAfterMs >= 0 ? retryAfterMs : undefined,
    details: parseDetails(details['details']),
    cause,
  });
}

function parseDetails(text: string | undefined): Record<string, JsonValue> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, JsonValue>)
      : undefined;
  } catch {
    // Details only add to an error that is already reported; a peer that garbles them must not hide it.
    return undefined;
  }
}
