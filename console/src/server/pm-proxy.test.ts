import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFixturePm, type FixturePm } from '../../testkit/fixture-pm.ts';
import { proxyToPm } from './pm-proxy.ts';

let pm: FixturePm;
beforeAll(async () => {
  pm = await startFixturePm({ fleet: 3 });
});
afterAll(() => pm.close());

const ask = (path: string, init: RequestInit = {}, token = pm.token) => {
  const url = new URL(path, 'http://console');
  return proxyToPm({ pmUrl: pm.url, pmToken: token }, new Request(url, init), url.pathname, url.search);
};

describe('the way to PM', () => {
  it('adds the token, passes the query on, and brings the paging back', async () => {
    const response = await ask('/api/v1/deployment-records?limit=2&environment=cloud');
    expect(response.status).toBe(200);
    expect(response.headers.get('x-total-count')).toBe('5');
    expect(response.headers.get('x-next-cursor')).toBe('2');
    expect(await response.json()).toHaveLength(2);
  });

  it('carries a body there and an empty answer back', async () => {
    const body = JSON.stringify({ reason: 'freeze' });
    const suspended = await ask('/api/v1/sources/gitops/suspend', { method: 'POST', body });
    expect(await suspended.json()).toMatchObject({ suspended: { reason: 'freeze' } });
    expect((await ask('/api/v1/sources/archive', { method: 'DELETE' })).status).toBe(204);
  });

  it('refuses what the console does not ask for, before PM sees it', async () => {
    const before = pm.fixtures.audit.length;
    expect((await ask('/api/v1/tokens', { method: 'POST', body: '{}' })).status).toBe(404);
    expect(pm.fixtures.audit).toHaveLength(before);
  });

  it('does not take a body without bounds', async () => {
    const body = JSON.stringify({ reason: 'x'.repeat(100_000) });
    expect((await ask('/api/v1/sources/gitops/suspend', { method: 'POST', body })).status).toBe(413);
  });

  it("a token that PM does not know is the console's fault, not the end of the person's session", async () => {
    const response = await ask('/api/v1/sources', {}, 'wrong');
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({
      code: 'PermissionDenied',
      remedy: expect.stringContaining('OAAS_PM_TOKEN') as string,
    });
  });

  it('a PM that is not there is a problem that says what to check', async () => {
    const gone = await startFixturePm({ fleet: 0 });
    await gone.close();
    const url = new URL('http://console/api/v1/sources');
    const response = await proxyToPm({ pmUrl: gone.url, pmToken: '' }, new Request(url), url.pathname, '');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'Unavailable' });
  });
});
