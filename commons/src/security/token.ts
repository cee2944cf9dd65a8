import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether two secrets are equal, in a time that depends on neither's content. Both are hashed first, so that the time
 * does not tell their lengths apart either.
 */
export function secretsEqual(a: string | Uint8Array, b: string | Uint8Array): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(secret: string | Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Longest token that is looked at. */
const tokenLengthMax = 8192;

/** The token of `Authorization: Bearer <token>` (RFC 6750, 2.1), or undefined for anything else. */
export function parseBearer(header: string | undefined): string | undefined {
  if (header === undefined || header.length > tokenLengthMax) return undefined;
  return /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(header.trim())?.[1];
}
