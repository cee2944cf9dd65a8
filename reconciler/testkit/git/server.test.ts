import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, tempDir } from '@oaas/commons/testkit';
import { afterEach, expect, it } from 'vitest';
import { gitEnvironment } from './command.ts';
import { startGitServer } from './index.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function folder(): Promise<string> {
  const dir = await tempDir();
  cleanups.push(() => dir.remove());
  return dir.path;
}

const run = (cwd: string, ...args: string[]) => promisify(execFile)('git', args, { cwd, env: gitEnvironment() });

async function receiver(): Promise<{ url: string; calls: { headers: IncomingHttpHeaders; body: string }[] }> {
  const calls: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      calls.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hooks/{repository}`, calls };
}

it('git clones, pushes and force-pushes, and each push calls the webhook as a forge would', async () => {
  const hook = await receiver();
  const server = await startGitServer({
    dir: await folder(),
    repositories: [{ name: 'shop', files: { 'a.yaml': 'a: 1\n' } }],
    onPush: { url: hook.url, secret: 'a long enough secret' },
  });
  cleanups.push(() => server.stop());
  const clone = join(await folder(), 'clone');
  await run('/', 'clone', '--quiet', server.repositoryUrl('shop'), clone);
  expect(await readFile(join(clone, 'a.yaml'), 'utf8')).toBe('a: 1\n');
  await writeFile(join(clone, 'a.yaml'), 'a: 2\n');
  await run(clone, 'commit', '--quiet', '-am', 'Two');
  await run(clone, 'push', '--quiet');
  await eventually(() => hook.calls.length === 1);
  const [call] = hook.calls;
  const signature = createHmac('sha256', 'a long enough secret')
    .update(call?.body ?? '')
    .digest('hex');
  expect(call?.headers).toMatchObject({ 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${signature}` });
  const pushed = (await run(clone, 'rev-parse', 'HEAD')).stdout.trim();
  expect(JSON.parse(call?.body ?? '')).toMatchObject({ ref: 'refs/heads/main', after: pushed, forced: false });

  await run(clone, 'commit', '--quiet', '--amend', '-m', 'Another two');
  await run(clone, 'push', '--quiet', '--force');
  await eventually(() => hook.calls.length === 2);
  expect(JSON.parse(hook.calls[1]?.body ?? '')).toMatchObject({ before: pushed, forced: true });
});

it('a server with a password lets nobody in without it', async () => {
  const server = await startGitServer({
    dir: await folder(),
    repositories: [{ name: 'shop', files: { a: '1' } }],
    auth: { username: 'me', password: 'secret' },
  });
  cleanups.push(() => server.stop());
  const target = await folder();
  await expect(run(target, 'clone', '--quiet', server.repositoryUrl('shop'), 'no')).rejects.toThrow();
  await run(target, 'clone', '--quiet', server.repositoryUrl('shop').replace('http://', 'http://me:secret@'), 'yes');
  expect(await readFile(join(target, 'yes', 'a'), 'utf8')).toBe('1');
});

it('repositories survive a restart of the server, seeds are not laid over them', async () => {
  const dir = await folder();
  const repositories = [{ name: 'shop', files: { a: '1' } }];
  const first = await startGitServer({ dir, repositories });
  const commit = await first.commit('shop', { files: { a: '2' } });
  await first.stop();
  const second = await startGitServer({ dir, repositories });
  cleanups.push(() => second.stop());
  expect((await second.refs('shop')).get('refs/heads/main')).toBe(commit);
});
