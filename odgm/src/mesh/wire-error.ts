import { isErrorCode, type JsonValue, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';

/** Most bytes of an error on the wire; a larger one travels without its details. */
const errorBytesMax = 16 * 1024;
/** Most characters of a message or remedy. */
const textMax = 2048;

/** Code, message, remedy, details and retry hint of what was thrown, as JSON. Never a stack or a cause. */
export function encodeError(thrown: unknown): Uint8Array {
  const { code, message, remedy, details, retryAfterMs } = toOaasError(thrown);
  const short = {
    ...{ code, message: message.slice(0, textMax) },
    ...(remedy === undefined ? {} : { remedy: remedy.slice(0, textMax) }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  const whole = Buffer.from(JSON.stringify(details === undefined ? short : { ...short, details }));
  return whole.length <= errorBytesMax ? whole : Buffer.from(JSON.stringify(short));
}

/** The error that the other end encoded; one that cannot be read is `Internal`. */
export function decodeError(payload: Uint8Array): OaasError {
  const fields = parseObject(payload);
  const code = fields?.['code'];
  const message = fields?.['message'];
  if (fields === undefined || typeof code !== 'string' || typeof message !== 'string') {
    return oaasError('Internal', 'the peer answered with an error that cannot be read');
  }
  const { remedy, details, retryAfterMs } = fields;
  return oaasError(isErrorCode(code) ? code : 'Internal', message, {
    remedy: typeof remedy === 'string' ? remedy : undefined,
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
    details: isRecord(details) ? (details as Record<string, JsonValue>) : undefined,
  });
}

/** The JSON object in `payload`, or undefined. */
export function parseObject(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
