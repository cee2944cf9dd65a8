import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { cookieName, openSession, sealSession, sessionSeconds } from './session.ts';

const at = (now: number) => ({ now: () => now, monotonic: () => now });
const start = 1_700_000_000_000;

describe('a session cookie', () => {
  const key = randomBytes(32);

  it('opens with the key that sealed it until twelve hours are over', async () => {
    const cookie = await sealSession('admin', key, at(start));
    const lastSecond = start + (sessionSeconds - 1) * 1000;
    expect(await openSession(cookie, key, at(lastSecond))).toEqual({
      user: 'admin',
      expiresAt: start + sessionSeconds * 1000,
    });
    expect(await openSession(cookie, key, at(lastSecond + 2000))).toBeNull();
  });

  it('does not open with another key, nor when one character was changed, nor when it is absent', async () => {
    const cookie = await sealSession('admin', key, at(start));
    const middle = Math.floor(cookie.length / 2);
    const changed = cookie.slice(0, middle) + (cookie[middle] === 'A' ? 'B' : 'A') + cookie.slice(middle + 1);
    expect(await openSession(cookie, randomBytes(32), at(start))).toBeNull();
    expect(await openSession(changed, key, at(start))).toBeNull();
    expect(await openSession(undefined, key, at(start))).toBeNull();
  });

  it('does not show the user in plain text', async () => {
    const cookie = await sealSession('admin', key, at(start));
    const readable = cookie.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
    expect(readable.join('')).not.toContain('admin');
  });

  it('has another name under another key, so that two consoles on one host keep their sessions apart', () => {
    expect(cookieName(key)).not.toBe(cookieName(randomBytes(32)));
  });
});
