import { NextRequest } from 'next/server';
import { beforeEach, describe, expect, it, vi } from 'vitest';

let route: { POST(request: NextRequest): Promise<Response> };

beforeEach(async () => {
  vi.stubEnv('OAAS_PM_URL', 'http://127.0.0.1:1');
  vi.stubEnv('OAAS_PM_TOKEN', 'token');
  vi.stubEnv('OAAS_CONSOLE_PASSWORD', 'open sesame');
  vi.stubEnv('OAAS_CONSOLE_SECRET', 'x'.repeat(32));
  // A console that has just started: no failure is counted.
  vi.resetModules();
  route = await import('./route.ts');
  return () => vi.unstubAllEnvs();
});

function post(body: Record<string, string>, kind: 'form' | 'json', headers: Record<string, string> = {}) {
  return route.POST(
    new NextRequest('http://127.0.0.1:7400/api/session', {
      method: 'POST',
      body: kind === 'form' ? new URLSearchParams(body).toString() : JSON.stringify(body),
      headers: {
        'content-type': kind === 'form' ? 'application/x-www-form-urlencoded' : 'application/json',
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
    }),
  );
}

const right = { user: 'admin', password: 'open sesame' };
const wrong = { user: 'admin', password: 'guess' };

describe('the sign-in', () => {
  it('as a form leads on with a session, to a page of this console only', async () => {
    const answer = await post({ ...right, next: '/sources?q=a' }, 'form');
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/sources?q=a']);
    expect(answer.headers.get('set-cookie')).toMatch(/^oaas_session_\w+=.+HttpOnly; SameSite=lax$/i);
    const lured = await post({ ...right, next: 'https://evil.example/' }, 'form');
    expect(lured.headers.get('location')).toBe('/');
  });

  it('as a form with a wrong password leads back, without a session', async () => {
    const answer = await post({ ...wrong, next: '/sources' }, 'form');
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/sign-in?next=%2Fsources&refused=wrong']);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  it('as JSON answers with the session, or with a problem', async () => {
    const answer = await post(right, 'json');
    expect([answer.status, answer.headers.get('set-cookie') !== null]).toEqual([200, true]);
    expect((await post(wrong, 'json')).status).toBe(401);
    expect((await post({ user: 'admin' }, 'json')).status).toBe(400);
  });

  it('from a page of another site is refused in both forms, even with the right password', async () => {
    const foreign = { 'sec-fetch-site': 'cross-site' };
    const form = await post(right, 'form', foreign);
    expect([form.status, form.headers.get('location')]).toEqual([303, '/sign-in?refused=foreign']);
    expect(form.headers.get('set-cookie')).toBeNull();
    expect((await post(right, 'json', foreign)).status).toBe(403);
  });

  it('counts the failures of forms and of scripts together, and then refuses also what is right', async () => {
    for (let i = 0; i < 5; i += 1) {
      await post(wrong, 'form');
      await post(wrong, 'json');
    }
    expect((await post(right, 'form')).headers.get('location')).toBe('/sign-in?refused=limited');
    const limited = await post(right, 'json');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '60']);
  });

  it('reads no more of a body than a sign-in can need', async () => {
    const answer = await post({ ...right, padding: 'x'.repeat(20_000) }, 'form');
    expect(answer.headers.get('location')).toBe('/sign-in?refused=incomplete');
  });
});
