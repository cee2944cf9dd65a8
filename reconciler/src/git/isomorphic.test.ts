import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { isOaasError } from '@oaas/commons/errors';
import { tempDir } from '@oaas/commons/testkit';
import { systemTimers } from '@oaas/commons/time/system';
import { afterEach, expect, it } from 'vitest';
import { type GitServer, startGitServer } from '../../testkit/git/index.ts';
import { createGitSource, type IsomorphicSourceOptions } from './isomorphic.ts';
import { defaultGitLimits, type GitRef } from './types.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function folder(): Promise<string> {
  const dir = await tempDir();
  cleanups.push(() => dir.remove());
  return dir.path;
}

async function serve(files: Record<string, string>, auth?: { username: string; password: string }): Promise<GitServer> {
  const server = await startGitServer({
    dir: await folder(),
    repositories: [{ name: 'shop', files }],
    ...(auth ? { auth } : {}),
  });
  cleanups.push(() => server.stop());
  return server;
}

async function source(url: string, options: Partial<IsomorphicSourceOptions> = {}) {
  return createGitSource({
    url,
    auth: { type: 'none' },
    cacheDir: join(await folder(), 'cache'),
    wants: (path) => path.endsWith('.yaml'),
    timers: systemTimers,
    timeoutMs: 10_000,
    ...options,
  });
}

const main: GitRef = { type: 'branch', name: 'main' };
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');

it('a snapshot has the wanted files of its commit, also after the branch has moved on', async () => {
  const server = await serve({ 'a.yaml': 'a: 1', 'b/c.yaml': 'c: 1', 'README.md': '#' });
  const repository = await source(server.repositoryUrl('shop'));
  const first = await repository.check(main);
  const before = await repository.snapshot(first, main);
  expect([...before.files.keys()].sort()).toEqual(['a.yaml', 'b/c.yaml']);
  expect(before.commit).toMatchObject({ id: first, message: 'Begin', author: 'OaaS <oaas@localhost>' });
  const second = await server.commit('shop', { files: { 'a.yaml': 'a: 2', 'd.yaml': 'd' }, message: 'Two' });
  expect(await repository.check(main)).toBe(second);
  const after = await repository.snapshot(second, main);
  expect(text(await after.read('a.yaml'))).toBe('a: 2');
  expect(text(await before.read('a.yaml'))).toBe('a: 1');
  expect(await repository.changedFiles(first, second)).toEqual(['a.yaml', 'd.yaml']);
  expect((await repository.log(second, 10)).map((commit) => commit.message)).toEqual(['Two', 'Begin']);
});

it('a force-push of another history is followed', async () => {
  const server = await serve({ 'a.yaml': '1' });
  const repository = await source(server.repositoryUrl('shop'));
  await repository.snapshot(await repository.check(main), main);
  const other = await server.commit('shop', { files: { 'z.yaml': 'z' }, orphan: true });
  expect(await repository.check(main)).toBe(other);
  expect([...(await repository.snapshot(other, main)).files.keys()]).toEqual(['z.yaml']);
});

it('an older commit that was never fetched is fetched by its id', async () => {
  const server = await serve({ 'a.yaml': '1' });
  const oldest = (await server.refs('shop')).get('refs/heads/main') ?? '';
  for (const n of ['2', '3']) await server.commit('shop', { files: { 'a.yaml': n } });
  const repository = await source(server.repositoryUrl('shop'));
  await repository.snapshot(await repository.check(main), main);
  expect(text(await (await repository.snapshot(oldest, main)).read('a.yaml'))).toBe('1');
  await expect(repository.snapshot('1'.repeat(40), main)).rejects.toSatisfy(
    (error) => isOaasError(error, 'RefNotFound') || isOaasError(error, 'SourceUnreachable'),
  );
});

it('a repository whose HEAD names a branch that nobody pushed is read all the same', async () => {
  const dir = await folder();
  const server = await startGitServer({ dir, repositories: [{ name: 'shop', files: { 'a.yaml': 'a: 1' } }] });
  cleanups.push(() => server.stop());
  await writeFile(join(dir, 'shop.git', 'HEAD'), 'ref: refs/heads/master\n');
  const repository = await source(server.repositoryUrl('shop'));
  const snapshot = await repository.snapshot(await repository.check(main), main);
  expect(text(await snapshot.read('a.yaml'))).toBe('a: 1');
});

it('tags lead to their commit, annotated ones too', async () => {
  const server = await serve({ 'a.yaml': '1' });
  const commit = (await server.refs('shop')).get('refs/heads/main') ?? '';
  await server.tag('shop', 'plain', commit);
  await server.tag('shop', 'signed', commit, { annotated: true });
  const repository = await source(server.repositoryUrl('shop'));
  for (const name of ['plain', 'signed']) {
    const ref: GitRef = { type: 'tag', name };
    expect(await repository.check(ref)).toBe(commit);
    expect((await repository.snapshot(commit, ref)).files.size).toBe(1);
  }
  await expect(repository.check({ type: 'tag', name: 'none' })).rejects.toSatisfy((error) =>
    isOaasError(error, 'RefNotFound'),
  );
});

it('symbolic links and submodules are left out and named, and a path narrows the view', async () => {
  const server = await serve({ 'apps/a.yaml': '1', 'apps-other/b.yaml': '1' });
  await server.commit('shop', {
    symlinks: { 'apps/link.yaml': '/etc/passwd' },
    submodules: { 'apps/sub': '1'.repeat(40) },
  });
  const repository = await source(server.repositoryUrl('shop'), { path: '/apps/' });
  const snapshot = await repository.snapshot(await repository.check(main), main);
  expect([...snapshot.files.keys()]).toEqual(['apps/a.yaml']);
  expect(snapshot.ignored.map((entry) => entry.path).sort()).toEqual(['apps/link.yaml', 'apps/sub']);
  await expect(snapshot.read('apps/link.yaml')).rejects.toSatisfy((error) => isOaasError(error, 'NotFound'));
});

it('too many files and too big files are refused', async () => {
  const server = await serve({ 'a.yaml': 'x'.repeat(2000), 'b.yaml': '1' });
  const limits = { ...defaultGitLimits, fileBytes: 1000 };
  const big = await source(server.repositoryUrl('shop'), { limits });
  const snapshot = await big.snapshot(await big.check(main), main);
  await expect(snapshot.read('a.yaml')).rejects.toSatisfy((error) => isOaasError(error, 'PayloadTooLarge'));
  const many = await source(server.repositoryUrl('shop'), { limits: { ...defaultGitLimits, files: 1 } });
  await expect(many.snapshot(await many.check(main), main)).rejects.toSatisfy((error) =>
    isOaasError(error, 'ResourceExhausted'),
  );
});

it('right credentials pass, wrong ones are an authentication failure', async () => {
  const server = await serve({ 'a.yaml': '1' }, { username: 'me', password: 'secret' });
  const url = server.repositoryUrl('shop');
  const right = await source(url, { auth: { type: 'basic', username: 'me', password: 'secret' } });
  expect((await right.snapshot(await right.check(main), main)).files.size).toBe(1);
  for (const auth of [
    { type: 'none' },
    { type: 'basic', username: 'me', password: 'no' },
    { type: 'bearer', token: 'no' },
  ] as const) {
    const wrong = await source(url, { auth });
    await expect(wrong.check(main)).rejects.toSatisfy((error) => isOaasError(error, 'SourceAuthFailed'));
  }
});

it('a server that is away, answers nonsense, or hangs is unreachable and never blocks', async () => {
  const server = await serve({ 'a.yaml': '1' });
  const repository = await source(server.repositoryUrl('shop'));
  await server.stop();
  await expect(repository.check(main)).rejects.toSatisfy((error) => isOaasError(error, 'SourceUnreachable'));

  const web: Server = createServer((_request, response) => response.end('<html>'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => web.close(resolve)));
  const nonsense = await source(`http://127.0.0.1:${String((web.address() as AddressInfo).port)}/x.git`);
  await expect(nonsense.check(main)).rejects.toSatisfy((error) => isOaasError(error, 'SourceUnreachable'));

  const sockets = createSocketServer((socket) => socket.resume().on('error', () => undefined));
  await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => sockets.close(resolve)));
  const hanging = await source(`http://127.0.0.1:${String((sockets.address() as AddressInfo).port)}/x.git`, {
    timeoutMs: 100,
  });
  await expect(hanging.check(main)).rejects.toSatisfy((error) => isOaasError(error, 'SourceUnreachable'));
  await expect(hanging.check(main, AbortSignal.abort())).rejects.toSatisfy((error) => isOaasError(error, 'Cancelled'));
});

it('more than fifty fetches begin the cache anew, and nothing is noticed', async () => {
  const server = await serve({ 'a.yaml': '0' });
  const repository = await source(server.repositoryUrl('shop'));
  for (let n = 1; n <= 53; n += 1) {
    const commit = await server.commit('shop', { files: { 'a.yaml': String(n) } });
    const snapshot = await repository.snapshot(commit, main);
    expect(text(await snapshot.read('a.yaml'))).toBe(String(n));
  }
});
