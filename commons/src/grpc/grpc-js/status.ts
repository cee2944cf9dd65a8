import { type Metadata, type ServiceError } from '@grpc/grpc-js';
import { fromGrpcStatus, type OaasError, oaasError, toGrpcStatus } from '../../errors/index.ts';

/** Trailing metadata that carries what a gRPC status cannot say, as a JSON object of texts. */
const detailsKey = 'oaas-error-bin';

/**
 * HTTP/2 peers refuse header blocks of more than some 16 KiB, and with them the whole status. A character of the message
 * takes up to 9 bytes there (percent-encoded), three bytes of the details take 4 (base64).
 */
const messageLengthMax = 1024;
const detailsBytesMax = 4096;

/** What grpc-js sends as the status of a failed call. The details go into `trailer`. */
export function sentStatus(error: unknown, trailer: Metadata): { code: number; details: string; metadata: Metadata } {
  const status = toGrpcStatus(error);
  trailer.set(detailsKey, encodeDetails(status.details));
  return { code: status.code, details: sendable(status.message), metadata: trailer };
}

/** Half of a surrogate pair has no UTF-8; grpc-js would throw over it while it sends the status. */
function sendable(message: string): string {
  return message.slice(0, messageLengthMax).replaceAll(/\p{Surrogate}/gu, '\ufffd');
}

function encodeDetails(details: Readonly<Record<string, string>>): Buffer {
  const full = Buffer.from(JSON.stringify(details));
  if (full.length <= detailsBytesMax) return full;
  return Buffer.from(JSON.stringify({ code: details['code'], retryAfterMs: details['retryAfterMs'] }));
}

/** The OaasError of a call that grpc-js reports as failed. */
export function receivedError(error: unknown, method: string): OaasError {
  if (!isServiceError(error)) return oaasError('Internal', `${method} failed in the client`, { cause: error });
  const [encoded] = error.metadata.get(detailsKey);
  return fromGrpcStatus(error.code, error.details, Buffer.isBuffer(encoded) ? decodeDetails(encoded) : {}, error);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'metadata' in error;
}

function decodeDetails(encoded: Buffer): Record<string, string> {
  try {
    const value: unknown = JSON.parse(encoded.toString());
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    // Another implementation may use the same key: its status still counts.
    return {};
  }
}
