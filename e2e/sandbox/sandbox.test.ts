import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseFlags } from './flags.ts';
import { isAlive, parseProcesses, processStart } from './orphans.ts';
import { isPortFree } from './runner/host-ports.ts';
import { type Ready, Sandbox } from './sandbox.ts';
import { ambient, tether } from './testkit/cluster.ts';

/** Stand-ins for the platform's programs: they listen where they are told to, and PM has applied everything. */
const answer = (port: string, body = '{}') =>
  `require('node:http').createServer((q, r) => r.end(${JSON.stringify(body)})).listen(Number(${port}), '127.0.0.1');\n`;
const programs = {
  'pm.mjs': answer('process.env.OPRC_PM_OPS_PORT') + answer('process.env.OPRC_PM_PORT', '{"phase": "Synced"}'),
  'crm.mjs': answer('process.env.OPRC_CRM_OPS_PORT'),
  'console.mjs': answer('process.env.PORT'),
};
const importRequire = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);\n`;

let temp: TempDir;
let root: string;
let dir: string;
let base: number;
let said: string[];

beforeEach(async () => {
  temp = await tempDir('oaas-whole-');
  root = join(temp.path, 'checkout');
  dir = join(temp.path, 'box');
  said = [];
  await mkdir(join(root, 'dist'), { recursive: true });
  await mkdir(join(root, 'e2e', 'sandbox'), { recursive: true });
  await mkdir(join(root, 'gitops-examples', 'hello'), { recursive: true });
  await writeFile(join(root, 'gitops-examples', 'hello', 'package.yaml'), 'name: hello\n');
  await writeFile(join(root, 'e2e', 'sandbox', 'tether.cjs'), await readFile(tether));
  for (const [name, source] of Object.entries(programs)) {
    await writeFile(join(root, 'dist', name), importRequire + source);
  }
  base = 22_000 + Math.floor(Math.random() * 20) * 50;
  while (!(await areFree(base, 20))) base += 50;
});
afterEach(() => temp.remove());

async function areFree(first: number, count: number): Promise<boolean> {
  const ports = Array.from({ length: count }, (_, index) => first + index);
  return (await Promise.all(ports.map(isPortFree))).every(Boolean);
}

function sandbox(): Sandbox {
  return new Sandbox({
    root,
    flags: parseFlags(['--dir', dir, '--port-base', String(base)]),
    env: process.env,
    buildConsole: () => ({ done: Promise.resolve(join(root, 'dist', 'console.mjs')), stop: () => undefined }),
    createLogger: (destination) => createLogger({ service: 'sandbox', destination }),
    fail: (error) => {
      throw error;
    },
    say: (line) => said.push(line),
    ...ambient,
  });
}

async function processes(): Promise<number[]> {
  return parseProcesses(await readFile(join(dir, 'processes'), 'utf8'))
    .filter(isAlive)
    .map(({ pid }) => pid);
}

describe('a sandbox', () => {
  it('says in ready.json where everything is, and leaves neither the file nor a process behind', async () => {
    const running = sandbox();
    await running.start();
    const file = join(dir, 'ready.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const ready = JSON.parse(await readFile(file, 'utf8')) as Ready;
    expect(ready.console.url).toBe(`http://127.0.0.1:${String(base)}`);
    expect(Object.keys(ready.clusters)).toEqual(['cloud', 'edge']);
    expect(existsSync(ready.clusters['edge']?.kubeconfig ?? '')).toBe(true);
    const refs = new URL('info/refs?service=git-upload-pack', `${ready.git.url}/`);
    const authorization = `Basic ${btoa(`${refs.username}:${decodeURIComponent(refs.password)}`)}`;
    refs.username = '';
    refs.password = '';
    expect((await fetch(refs)).status).toBe(401);
    expect((await fetch(refs, { headers: { authorization } })).status).toBe(200);

    const pids = await processes();
    expect(pids).toHaveLength(4);
    await running.stop();
    expect(existsSync(file)).toBe(false);
    expect(pids.filter((pid) => processStart(pid) !== undefined)).toEqual([]);
    expect(await areFree(base, 20)).toBe(true);
  });

  it('starts a program again that has died', async () => {
    const running = sandbox();
    await running.start();
    const [first = 0] = await processes();
    process.kill(first, 'SIGKILL');
    await eventually(async () => {
      const pids = await processes();
      expect(pids).toHaveLength(4);
      expect(pids).not.toContain(first);
    });
    await running.stop();
  });

  it('does not start when a port is taken, and nothing is left of the attempt', async () => {
    const other = createServer().listen(base + 1, '127.0.0.1');
    const running = sandbox();
    await expect(running.start()).rejects.toThrow(/meant for the package manager, is taken/);
    await running.stop();
    expect(existsSync(join(dir, 'lock'))).toBe(false);
    other.close();
  });

  it('whose program cannot run says what the program said, and ends the others', async () => {
    await writeFile(join(root, 'dist', 'crm.mjs'), `console.error('no such cluster'); process.exit(78);`);
    const running = sandbox();
    await expect(running.start()).rejects.toThrow(/crm-\w+ ended with exit code 78, 3 times(.|\n)*no such cluster/);
    const pids = await processes();
    await running.stop();
    expect(pids.filter((pid) => processStart(pid) !== undefined)).toEqual([]);
  });

  it('that is stopped in the middle of its start stops', async () => {
    await writeFile(join(root, 'dist', 'pm.mjs'), `setInterval(() => {}, 1000);`);
    const running = sandbox();
    const start = running.start();
    await eventually(() => existsSync(join(dir, 'processes')));
    await Promise.all([expect(start).rejects.toThrow(), running.stop()]);
    expect(existsSync(join(dir, 'ready.json'))).toBe(false);
    expect(existsSync(join(dir, 'processes'))).toBe(false);
  });
});
