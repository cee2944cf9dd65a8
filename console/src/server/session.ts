import { createHash } from 'node:crypto';
import type { Clock } from '@oaas/commons/time';
import { EncryptJWT, jwtDecrypt } from 'jose';

export interface Session {
  readonly user: string;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
}

/** A session lasts this long from the sign-in; nothing prolongs it. */
export const sessionSeconds = 12 * 3600;

/**
 * Cookies do not know ports: two consoles on one host share a jar. The name carries a mark of the key, so that signing in
 * to one does not sign out of the other.
 */
export function cookieName(key: Uint8Array): string {
  return `oaas_session_${createHash('sha256').update('cookie-name').update(key).digest('hex').slice(0, 8)}`;
}

/** The cookie's value: an encrypted JWT (RFC 7516, `dir` with A256GCM). */
export async function sealSession(user: string, key: Uint8Array, clock: Clock): Promise<string> {
  const seconds = Math.floor(clock.now() / 1000);
  return new EncryptJWT({})
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setSubject(user)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + sessionSeconds)
    .encrypt(key);
}

/** The session in a cookie's value; null where it is absent, foreign, changed or over. */
export async function openSession(value: string | undefined, key: Uint8Array, clock: Clock): Promise<Session | null> {
  if (value === undefined || value === '') return null;
  try {
    const { payload } = await jwtDecrypt(value, key, {
      currentDate: new Date(clock.now()),
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    if (payload.sub === undefined || payload.exp === undefined) return null;
    return { user: payload.sub, expiresAt: payload.exp * 1000 };
  } catch {
    return null;
  }
}
