import { InvalidRequest } from './errors.ts';

/** What a function may give back, and what a call may carry: bytes, text, or anything that JSON can say. */
export function encodePayload(value: unknown): Buffer | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

export function decodeJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new InvalidRequest(bytes.length === 0 ? `the ${what} is empty; JSON is expected` : `the ${what} is not JSON`);
  }
}
