import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sourceInputSchema } from '@oaas/commons/client/pm';
import { HealthRegistry } from '@oaas/commons/lifecycle';
import { createLogger, createMetrics } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { type FakeCrm, startFakeCrm } from '../../../testkit/crm/index.ts';
import { createMemoryStore } from '../../store/index.ts';
import { PackageManager } from '../index.ts';
import type { AuthOptions } from '../access.ts';
import { createRestServer } from './server.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const tokens = (['viewer', 'operator', 'admin'] as const).map((role) => ({
  name: `the-${role}`,
  role,
  token: `token-of-the-${role}`,
}));
const as = (role: string) => ({ authorization: `Bearer token-of-the-${role}` });
const counter = readFileSync(join(import.meta.dirname, '../../../../gitops-examples/counter/package.yaml'), 'utf8');
const logger = createLogger({ service: 'pm', level: 'fatal' });

let dir: TempDir;
let crm: FakeCrm;
let pm: PackageManager;
let rest: FastifyInstance;

async function start(auth: AuthOptions = { tokens }): Promise<void> {
  pm = await PackageManager.create({
    store: createMemoryStore(),
    clusters: [{ name: 'cloud', url: crm.url }],
    cacheDir: dir.path,
    metrics: createMetrics({ service: 'pm' }),
    logger,
    ...time,
  });
  rest = await createRestServer({
    pm,
    auth,
    health: new HealthRegistry({ timers: systemTimers }),
    logger,
    version: 'test',
    ...time,
  });
  pm.start();
}

beforeEach(async () => {
  dir = await tempDir();
  crm = await startFakeCrm({ name: 'cloud' });
  await start();
});
afterEach(async () => {
  await rest.close();
  await pm.stop();
  await crm.stop();
  await dir.remove();
});

const get = (url: string, role = 'viewer') => rest.inject({ method: 'GET', url: `/api/v1${url}`, headers: as(role) });
const post = (url: string, body: unknown, role = 'operator', type = 'application/json') =>
  rest.inject({
    method: 'POST',
    url: `/api/v1${url}`,
    headers: { ...as(role), 'content-type': type },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('who may do what', () => {
  it('without a token, or with a wrong one, nobody gets in', async () => {
    expect((await rest.inject('/api/v1/whoami')).json()).toMatchObject({ status: 401, code: 'Unauthenticated' });
    const wrong = await rest.inject({ url: '/api/v1/whoami', headers: { authorization: 'Bearer no' } });
    expect(wrong.statusCode).toBe(401);
    expect(wrong.headers['content-type']).toContain('application/problem+json');
  });

  it('a viewer reads, an operator changes, only an administrator sets up sources; refusals are in the audit', async () => {
    expect((await get('/whoami')).json()).toEqual({ subject: 'the-viewer', role: 'viewer' });
    expect((await post('/packages', counter, 'viewer', 'application/yaml')).statusCode).toBe(403);
    expect((await post('/packages', counter, 'operator', 'application/yaml')).statusCode).toBe(201);
    const source = sourceInputSchema.parse({ name: 's', url: 'http://127.0.0.1:1/s.git' });
    expect(
      (await rest.inject({ method: 'PUT', url: '/api/v1/sources/s', headers: as('operator'), payload: source }))
        .statusCode,
    ).toBe(403);
    const audit = (await get('/audit', 'admin')).json<{ actor: string; action: string; result: string }[]>();
    expect(audit.map(({ actor, action, result }) => [actor, action, result]).sort()).toEqual([
      ['the-operator', 'package.create', 'succeeded'],
      ['the-operator', 'source.put', 'denied'],
      ['the-viewer', 'package.create', 'denied'],
    ]);
    expect((await get('/audit')).statusCode).toBe(403);
  });

  it('callers without a token have the anonymous role, but pages of other sites and foreign names have not', async () => {
    await rest.close();
    await pm.stop();
    await start({ tokens, anonymousRole: 'viewer' });
    const call = (headers: Record<string, string>) => rest.inject({ url: '/api/v1/whoami', headers });
    expect((await call({ host: '127.0.0.1:8080' })).json()).toEqual({ subject: 'anonymous', role: 'viewer' });
    expect((await call({ host: 'localhost:8080', origin: 'http://localhost:8080' })).statusCode).toBe(200);
    expect((await call({ host: '127.0.0.1:8080', origin: 'http://evil.example' })).statusCode).toBe(403);
    expect((await call({ host: 'evil.example:8080' })).statusCode).toBe(403);
  });
});

describe('what older clients do', () => {
  it('apply a package with its deployments, list them, and delete both', async () => {
    const spec = {
      name: 'old',
      version: null,
      metadata: { author: null, tags: [] },
      classes: [{ key: 'C', description: null, function_bindings: [] }],
      functions: [],
      dependencies: [],
      deployments: [
        {
          key: 'd',
          package_name: 'old',
          class_key: 'C',
          target_envs: ['cloud'],
          condition: 'PENDING',
          nfr_requirements: { availability: null },
        },
      ],
    };
    expect((await get('/packages/old')).statusCode).toBe(404);
    expect((await post('/packages', spec)).json()).toMatchObject({ id: 'old', status: 'created' });
    expect((await post('/packages', spec)).json()).toMatchObject({ code: 'AlreadyExists' });
    expect((await post('/packages/old', spec)).json()).toMatchObject({ id: 'old', status: 'updated' });
    expect((await post('/deployments', spec.deployments[0])).statusCode).toBe(200);
    expect((await get('/deployments/d')).json()).toMatchObject({
      key: 'd',
      class_key: 'C',
      origin: { type: 'api', actor: 'the-operator' },
    });
    expect((await get('/deployments')).json()).toHaveLength(1);
    await eventually(() => crm.records.size === 1);
    const [runtime] = (await get('/class-runtimes')).json<{ id: string; cluster_name: string }[]>();
    expect(runtime).toMatchObject({ cluster_name: 'cloud', package_name: 'old' });
    await eventually(async () => {
      expect((await get(`/deployment-status/${runtime?.id ?? ''}`)).json()).toMatchObject({ status: 'Provisioning' });
    });
    expect((await get('/classes')).json()).toMatchObject([{ key: 'old.C' }]);
    expect((await get('/envs')).json()).toMatchObject([{ name: 'cloud', health: { cluster_name: 'cloud' } }]);
    expect((await get('/envs/cloud/health')).json()).toMatchObject({ cluster_name: 'cloud' });
    expect((await get('/topology')).json()).toMatchObject({ nodes: [{ id: 'cloud' }] });
    expect(
      (await rest.inject({ method: 'DELETE', url: '/api/v1/deployments/d', headers: as('operator') })).json(),
    ).toMatchObject({ status: 'deleted' });
    await eventually(() => crm.records.size === 0);
    expect(
      (await rest.inject({ method: 'DELETE', url: '/api/v1/packages/old', headers: as('operator') })).statusCode,
    ).toBe(204);
    expect((await get('/packages')).json()).toEqual([]);
  });

  it('cannot delete a package whose shards hold objects, unless they repeat the text they are given', async () => {
    await post('/packages', counter, 'operator', 'application/yaml');
    await eventually(() => crm.records.size === 1);
    const [id = ''] = crm.records.keys();
    crm.setObjects(id, 3);
    const remove = (query = '') =>
      rest.inject({ method: 'DELETE', url: `/api/v1/packages/counter${query}`, headers: as('operator') });
    const refused = (await remove()).json<{ code: string; detail: string; confirm: string }>();
    expect(refused).toMatchObject({ code: 'PruneBlocked', objects: 3 });
    expect(crm.records.size).toBe(1);
    expect((await remove(`?confirm=${encodeURIComponent(refused.confirm)}`)).statusCode).toBe(204);
    await eventually(() => crm.records.size === 0);
  });
});

describe('mistakes in a body', () => {
  it('are shown with their line, column and remedy', async () => {
    const answer = await post(
      '/packages',
      counter.replace('class_key: Counter', 'class_key: Contuer'),
      'operator',
      'application/yaml',
    );
    expect(answer.json()).toMatchObject({
      status: 422,
      code: 'PackageInvalid',
      remedy: 'Did you mean "Counter"?',
      problems: [{ field: 'deployments[0].class_key', line: 34 }],
    });
    expect((await post('/packages', 'a: [', 'operator', 'application/yaml')).statusCode).toBe(422);
    expect((await post('/packages', '', 'operator', 'application/yaml')).json()).toMatchObject({
      code: 'InvalidArgument',
    });
  });

  it('of another shape name each field', async () => {
    const answer = await rest.inject({
      method: 'PUT',
      url: '/api/v1/sources/s',
      headers: as('admin'),
      payload: { name: 's', url: 'nonsense', interval_seconds: 0 },
    });
    expect(answer.json()).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expect(answer.json<{ detail: string }>().detail).toMatch(/url.*interval_seconds/s);
    const ssh = { name: 's', url: 'ssh://git@host/x.git' };
    expect(
      (await rest.inject({ method: 'PUT', url: '/api/v1/sources/s', headers: as('admin'), payload: ssh })).json(),
    ).toMatchObject({ code: 'ConfigInvalid' });
  });
});

describe('a webhook', () => {
  const secret = 'a secret of sixteen or more';
  const body = JSON.stringify({ ref: 'refs/heads/main' });
  const deliver = (headers: Record<string, string>, payload = body, source = 's') =>
    rest.inject({
      method: 'POST',
      url: `/api/v1/webhooks/${source}`,
      payload,
      headers: { 'content-type': 'application/json', ...headers },
    });
  const signed = (payload = body) => ({
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(payload).digest('hex')}`,
  });

  beforeEach(async () => {
    const put = (name: string, extra: object) =>
      pm.putSource(
        sourceInputSchema.parse({ name, url: 'http://127.0.0.1:1/x.git', interval_seconds: 3600, ...extra }),
      );
    await put('s', { webhook_secret: secret });
    await put('open', {});
  });

  it('is taken with the right signature only, and only by a source that has a secret', async () => {
    expect((await deliver({ 'x-github-event': 'push', ...signed() })).statusCode).toBe(202);
    expect((await deliver({ 'x-github-event': 'push' })).json()).toMatchObject({
      status: 401,
      code: 'WebhookSignatureInvalid',
    });
    expect((await deliver({ ...signed(), 'x-github-event': 'push' }, `${body} `)).statusCode).toBe(401);
    expect((await deliver({ 'x-github-event': 'push', ...signed() }, body, 'open')).statusCode).toBe(403);
    expect((await deliver(signed(), body, 'nobody')).statusCode).toBe(404);
  });

  it('of a ping, of another branch, and one that comes twice, changes nothing', async () => {
    const other = JSON.stringify({ ref: 'refs/heads/feature' });
    expect((await deliver({ 'x-github-event': 'ping', ...signed() })).json()).toEqual({ status: 'pong' });
    expect((await deliver({ 'x-github-event': 'push', ...signed(other) }, other)).json()).toEqual({
      status: 'ignored',
    });
    const twice = { 'x-github-event': 'push', 'x-github-delivery': 'one', ...signed() };
    expect([(await deliver(twice)).statusCode, (await deliver(twice)).json()]).toEqual([202, { status: 'duplicate' }]);
  });

  it('that is too big, or one of too many, is refused', async () => {
    expect((await deliver(signed(), 'x'.repeat(5 * 1024 * 1024 + 1))).json()).toMatchObject({
      status: 413,
      code: 'PayloadTooLarge',
    });
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => (await deliver({ 'x-github-event': 'push', ...signed() })).statusCode),
    );
    expect(new Set(statuses)).toEqual(new Set([202, 429]));
  });
});

it('secrets of a source go in and never come out', async () => {
  const payload = {
    name: 's',
    url: 'http://127.0.0.1:1/x.git',
    auth: { type: 'basic', username: 'me', password: 'hidden-password' },
    webhook_secret: 'hidden-webhook-secret',
  };
  const answer = await rest.inject({ method: 'PUT', url: '/api/v1/sources/s', headers: as('admin'), payload });
  expect(answer.json()).toMatchObject({
    auth_type: 'basic',
    webhook: { secret_set: true, path: '/api/v1/webhooks/s' },
  });
  expect(answer.body + (await get('/sources')).body + (await get('/audit', 'admin')).body).not.toContain('hidden');
});

it('events come as they happen, are continued after a break, and say when too much was missed', async () => {
  const url = await rest.listen({ host: '127.0.0.1', port: 0 });
  const read = async (lastId: string | undefined, until: RegExp): Promise<string> => {
    let isTold = lastId !== undefined;
    const abort = new AbortController();
    const response = await fetch(`${url}/api/v1/events`, {
      headers: { ...as('viewer'), ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString('utf8');
      if (until.test(text)) break;
      // Only once the stream is open; events of the clusters may come before.
      if (!isTold) await post('/packages', counter, 'operator', 'application/yaml');
      isTold = true;
    }
    abort.abort();
    return text;
  };
  const aboutPackage = /id: (\S+)\nevent: package\n/;
  const id = aboutPackage.exec(await read(undefined, aboutPackage))?.[1];
  await rest.inject({ method: 'DELETE', url: '/api/v1/packages/counter', headers: as('operator') });
  const missed = await read(id ?? 'none', /"action":"deleted","key":"counter"/);
  expect(missed).not.toContain('"topic":"reset"');
  expect(await read('another-1', /event: reset/)).toContain('"topic":"reset"');
});

it('the OpenAPI document is 3.1 and has every path that the client uses', async () => {
  const document = (await rest.inject('/api/v1/openapi.json')).json<{
    openapi: string;
    paths: Record<string, Record<string, unknown>>;
  }>();
  expect(document.openapi).toBe('3.1.0');
  const paths = [
    '/whoami',
    '/overview',
    '/sources',
    '/sources/{name}/rollback',
    '/plans/{id}',
    '/packages/{name}',
    '/deployment-records/{id}/confirm',
    '/clusters',
    '/grid/{environment}/{id}',
    '/audit',
    '/events',
    '/webhooks/{source}',
  ];
  expect(paths.filter((path) => document.paths[`/api/v1${path}`] === undefined)).toEqual([]);
  expect((await rest.inject('/api/v1/docs')).statusCode).toBe(200);
  expect((await rest.inject('/api/v1/nothing')).json()).toMatchObject({ status: 404, code: 'NotFound' });
});
