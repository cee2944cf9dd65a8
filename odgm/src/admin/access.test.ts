import { createHmac } from 'node:crypto';
import { createGridAdminClient, type GridAdminClient } from '@oaas/commons/client';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';

const secret = 'a-key-of-at-least-thirty-two-characters';
const token = 'a-token-of-some-length';
const soon = Math.floor(Date.now() / 1000) + 3600;

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

interface Signing {
  readonly header?: object;
  readonly key?: string;
}

function signed(claims: object, { header = { alg: 'HS256', typ: 'JWT' }, key = secret }: Signing = {}): string {
  const text = `${part(header)}.${part({ sub: 'ann', collection: '*', permissions: ['Read'], exp: soon, ...claims })}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

let directory: TempDir;
let node: RunningNode;
let client: GridAdminClient;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({
    dataDir: directory.path,
    collections: [
      { name: 'c', shardType: 'mst' },
      { name: 'd', shardType: 'mst' },
    ],
    env: { ODGM_ADMIN_TOKEN: token, ODGM_ADMIN_JWT_SECRET: secret },
  });
  client = createGridAdminClient(node.channel);
});
afterAll(async () => {
  await node.stop();
  await directory.remove();
});

const bearer = (value: string) => `Bearer ${value}`;
const status = async (method: string, path: string, given: string): Promise<number> =>
  (await fetch(`${node.admin}/admin/${path}`, { method, headers: { authorization: bearer(given) } })).status;
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'OK',
    (error: unknown) => (error as { code: string }).code,
  );

describe('a signed token', () => {
  it.each([
    ['another key', signed({}, { key: 'another-key-of-thirty-two-characters' })],
    ['no signature', `${signed({}).split('.').slice(0, 2).join('.')}.`],
    ['another algorithm', signed({}, { header: { alg: 'none' } })],
    ['an extension that must be understood', signed({}, { header: { alg: 'HS256', crit: ['x'] } })],
    ['an end that has passed', signed({ exp: soon - 7200 })],
    ['a beginning that is to come', signed({ nbf: soon })],
    ['no end', signed({ exp: undefined })],
    ['no collection', signed({ collection: undefined })],
    ['a fourth part', `${signed({})}.x`],
    ['claims that are none', 'e30.e30.e30'],
  ])('with %s is nobody', async (_, given) => {
    expect(await status('GET', 'tasks', given)).toBe(401);
    const metadata = { authorization: bearer(given) };
    expect(await codeOf(client.listTasks({}, { metadata }))).toBe('Unauthenticated');
  });

  const reader = signed({ permissions: ['Read'] });
  const readerOfC = signed({ collection: 'c', permissions: ['Read'] });
  const writerOfC = signed({ collection: 'c', permissions: ['Read', 'Write'] });
  const adminOfC = signed({ collection: 'c', permissions: ['Admin'] });
  const admin = signed({ permissions: ['Admin'] });
  it.each([
    ['GET', 'collections/c', { reader, readerOfC, adminOfC, admin }],
    ['GET', 'collections/d', { reader, admin }],
    ['GET', 'collections', { reader, admin }],
    ['GET', 'shards/distribution', { reader, admin }],
    ['GET', 'shards/distribution?collection=c', { reader, readerOfC, writerOfC, adminOfC, admin }],
    ['GET', 'tasks', { reader, admin }],
    ['POST', 'collections/c/rebalance?dry_run=true', { reader, readerOfC, adminOfC, admin }],
    ['DELETE', 'collections/c?dry_run=true', { reader, readerOfC, adminOfC, admin }],
    ['POST', 'collections/c/consistency-check?mode=none', { adminOfC, admin }],
    ['POST', 'collections/c/versions/record', { writerOfC, adminOfC, admin }],
    ['POST', 'rebalance?mode=none', { admin }],
    ['POST', 'members/n1/repair?collection=c&partition=9', { admin }],
    ['POST', 'tasks?kind=rebalance&collection=c&mode=none', { admin }],
    ['DELETE', 'collections/none', { admin }],
    ['POST', 'tasks/1/cancel?dry_run=true', { admin }],
    ['POST', 'collections/c/versions/record?dry_run=true', { writerOfC, adminOfC, admin }],
    ['PUT', 'collections/d?dry_run=true', { admin }],
    ['GET', 'nothing', { reader, admin }],
  ] as const)('%s %s takes what it says', async (method, path, may) => {
    for (const given of [reader, readerOfC, writerOfC, adminOfC, admin]) {
      const isAllowed = Object.values<string>(may).includes(given) || (given === writerOfC && 'readerOfC' in may);
      expect((await status(method, path, given)) !== 403, given).toBe(isAllowed);
    }
    expect(await status(method, path, token)).not.toBe(403);
  });

  it('counts over gRPC as well', async () => {
    const as = (given: string) => ({ metadata: { authorization: bearer(given), 'x-oaas-actor': 'somebody-else' } });
    const denied = 'PermissionDenied';
    const check = { kind: 'consistency-check', collection: 'c' };
    const of = { collection: 'c' };
    const ends = async (given: string): Promise<string[]> =>
      Promise.all([
        codeOf(client.getCollection({ name: 'c' }, as(given))),
        codeOf(client.getCollection({ name: 'd' }, as(given))),
        codeOf(client.listCollections({}, as(given))),
        codeOf(client.recordVersion({ of }, as(given))),
        codeOf(client.listVersions({ collection: 'd' }, as(given))),
        codeOf(client.startTask({ kind: 'consistency-check' }, as(given))),
        codeOf(client.deleteCollection({ name: 'none' }, as(given))),
      ]);
    expect(await ends(readerOfC)).toEqual(['OK', denied, denied, denied, denied, denied, denied]);
    expect(await ends(writerOfC)).toEqual(['OK', denied, denied, 'OK', denied, denied, denied]);
    expect(await ends(adminOfC)).toEqual(['OK', denied, denied, 'OK', denied, denied, denied]);
    expect(await ends(reader)).toEqual(['OK', 'OK', 'OK', denied, 'OK', denied, denied]);
    expect(await codeOf(client.startTask({ ...check, member: 'n1' }, as(adminOfC)))).toBe(denied);
    expect(await codeOf(client.deleteCollection({ name: 'c' }, as(writerOfC)))).toBe(denied);
    // Whom the token was given to is the one who did it.
    expect((await client.startTask(check, as(adminOfC))).actor).toBe('ann');
    const remover = signed({ collection: 'c', permissions: ['Delete'] });
    expect(await codeOf(client.deleteCollection({ name: 'c' }, as(remover)))).toBe('OK');
  });
});
