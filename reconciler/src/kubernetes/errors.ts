import { type ErrorCode, type JsonValue, oaasError, type OaasError } from '@oaas/commons/errors';

interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** metav1.Status, as far as errors need it. */
interface Status {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly StatusCause[];
  };
}

const byReason: Readonly<Record<string, ErrorCode>> = {
  NotFound: 'NotFound',
  AlreadyExists: 'AlreadyExists',
  Conflict: 'Conflict',
  Invalid: 'InvalidArgument',
  BadRequest: 'InvalidArgument',
  Unauthorized: 'Unauthenticated',
  Forbidden: 'PermissionDenied',
  Expired: 'FailedPrecondition',
  Gone: 'FailedPrecondition',
  Timeout: 'DeadlineExceeded',
  ServerTimeout: 'Unavailable',
  ServiceUnavailable: 'Unavailable',
  InternalError: 'Unavailable',
  TooManyRequests: 'Unavailable',
  RequestEntityTooLarge: 'PayloadTooLarge',
  MethodNotAllowed: 'Unimplemented',
};

const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'InvalidArgument',
  401: 'Unauthenticated',
  403: 'PermissionDenied',
  404: 'NotFound',
  405: 'Unimplemented',
  409: 'Conflict',
  410: 'FailedPrecondition',
  413: 'PayloadTooLarge',
  415: 'InvalidArgument',
  422: 'InvalidArgument',
  429: 'Unavailable',
  504: 'DeadlineExceeded',
};

/** Causes of an error that are kept; a server may send one for each field of a large object. */
const causesMax = 8;

/**
 * The error that an API server's answer stands for. `details.reason` is Kubernetes' own reason, `details.status` the
 * HTTP status, `details.causes` what the server says about single fields.
 */
export function statusError(status: number, body: string, retryAfter: string | undefined, call: string): OaasError {
  const parsed = parseStatus(body);
  const reason = parsed?.reason ?? '';
  const code = byReason[reason] ?? byStatus[status] ?? 'Unavailable';
  const seconds = Number(retryAfter ?? parsed?.details?.retryAfterSeconds);
  const causes = (parsed?.details?.causes ?? []).slice(0, causesMax).map((cause): JsonValue => ({
    reason: cause.reason ?? '',
    field: cause.field ?? '',
    message: cause.message ?? '',
  }));
  return oaasError(code, parsed?.message ?? `the Kubernetes API answered ${String(status)} to ${call}`, {
    details: { reason, status, call, ...(causes.length === 0 ? {} : { causes }) },
    retryAfterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined,
  });
}

function parseStatus(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && (value as Status).kind === 'Status' ? value : undefined;
  } catch {
    // A proxy before the server answers in its own words; the HTTP status still tells what happened.
    return undefined;
  }
}

/** Kubernetes' own reason of an error, such as `Conflict` or `Expired`; empty for errors from elsewhere. */
export function kubeReason(error: OaasError): string {
  const reason = error.details?.['reason'];
  return typeof reason === 'string' ? reason : '';
}

/** The list or watch position is no longer known to the server: list again. */
export function isExpired(error: OaasError): boolean {
  return kubeReason(error) === 'Expired' || kubeReason(error) === 'Gone' || error.details?.['status'] === 410;
}

/** Server-side apply met fields that someone else owns. */
export function fieldConflicts(error: OaasError): readonly string[] {
  const causes = error.details?.['causes'];
  if (error.code !== 'Conflict' || !Array.isArray(causes)) return [];
  return (causes as readonly StatusCause[])
    .filter((cause) => cause.reason === 'FieldManagerConflict')
    .map((cause) => `${cause.field ?? ''} (${cause.message ?? ''})`);
}
