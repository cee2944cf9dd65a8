import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { freePorts, type RunningNode, startNode } from '@oaas/odgm/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The functions of gitops-examples, each as the process that a pod would run, behind a real grid. */
const programs = [
  'hello/functions/hello.ts',
  'counter/functions/counter.ts',
  'chat/functions/room.ts',
  'chat/functions/user.ts',
];
const children: ChildProcess[] = [];
let directory: TempDir;
let node: RunningNode;

/** Resolves when the program says that it serves. */
function run(program: string, env: Record<string, string>): Promise<void> {
  const path = fileURLToPath(new URL(`../../../gitops-examples/${program}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', path], {
    env: { PATH: process.env['PATH'] ?? '', FUNCTION_BIND_HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      reject(new Error(`${program} ended with ${String(code)}`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('functions are served')) resolve();
    });
  });
}

beforeAll(async () => {
  directory = await tempDir();
  const ports = await freePorts(programs.length);
  const url = (program: number): string => `http://127.0.0.1:${String(ports[program] ?? 0)}`;
  const collection = (name: string, program: number, functions: string[], stateless = false) => ({
    name: `${name.replace('.', '_')}_data`,
    classIds: [name],
    partitionCount: 2,
    invocations: { fnRoutes: Object.fromEntries(functions.map((fn) => [fn, { url: url(program), stateless }])) },
  });
  node = await startNode({
    dataDir: directory.path,
    collections: [
      collection('hello.Greeter', 0, ['greet', 'echo'], true),
      collection('counter.Counter', 1, ['increment', 'reset', 'value']),
      collection('chat.Room', 2, ['join', 'post', 'history']),
      collection('chat.User', 3, ['say']),
    ],
  });
  const env = { ODGM_ENDPOINT: `http://${node.grpc}` };
  await Promise.all(programs.map((program, i) => run(program, { ...env, FUNCTION_PORT: String(ports[i] ?? 0) })));
});

afterAll(async () => {
  const codes = await Promise.all(
    children.map(
      (child) =>
        new Promise((resolve) => {
          child.removeAllListeners('exit');
          child.once('exit', (code, signal) => {
            resolve(signal ?? code);
          });
          child.kill('SIGTERM');
        }),
    ),
  );
  await node.stop();
  await directory.remove();
  expect(codes).toEqual(programs.map(() => 0));
});

async function call(
  clsId: string,
  fnId: string,
  objectId?: string,
  body?: object,
): Promise<{ status: number; body: unknown }> {
  const payload = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  const { status, payload: answer } =
    objectId === undefined
      ? await node.functions.invokeFn({ clsId, fnId, payload })
      : await node.functions.invokeObj(
          { clsId, fnId, objectId, payload },
          { metadata: { 'x-oaas-partition': 'auto' } },
        );
  return { status, body: answer === undefined ? undefined : (JSON.parse(answer.toString()) as unknown) };
}
const ok = 0;
const appError = 2;

describe('hello', () => {
  it('greets the world or whom it is told to, and echoes', async () => {
    expect(await call('hello.Greeter', 'greet')).toEqual({ status: ok, body: { message: 'Hello, world!' } });
    expect(await call('hello.Greeter', 'greet', undefined, { name: 'Ada' })).toMatchObject({
      body: { message: 'Hello, Ada!' },
    });
    expect(await call('hello.Greeter', 'greet', undefined, { name: ' ' })).toMatchObject({ status: appError });
    expect(await call('hello.Greeter', 'echo', undefined, { a: [1] })).toEqual({ status: ok, body: { a: [1] } });
  });
});

describe('counter', () => {
  it('counts each call once, for each object on its own', async () => {
    await Promise.all(Array.from({ length: 20 }, () => call('counter.Counter', 'increment', 'c1')));
    expect(await call('counter.Counter', 'increment', 'c1', { by: 5 })).toEqual({ status: ok, body: { count: 25 } });
    expect(await call('counter.Counter', 'value', 'c2')).toEqual({ status: ok, body: { count: 0 } });
    await call('counter.Counter', 'reset', 'c1');
    expect(await call('counter.Counter', 'value', 'c1')).toEqual({ status: ok, body: { count: 0 } });
  });
});

describe('chat', () => {
  it('users speak in a room, which keeps the order', async () => {
    expect(await call('chat.User', 'say', 'ada', { room: 'lobby', text: 'hi' })).toEqual({
      status: ok,
      body: { room: 'lobby', number: 1 },
    });
    await call('chat.User', 'say', 'bob', { room: 'lobby', text: 'hello' });
    await call('chat.User', 'say', 'ada', { room: 'lobby', text: 'bye' });
    expect((await call('chat.Room', 'history', 'lobby')).body).toEqual({
      messages: [
        { from: 'ada', text: 'hi' },
        { from: 'bob', text: 'hello' },
        { from: 'ada', text: 'bye' },
      ],
    });
  });

  it('refuses empty words, and posts of those who have not joined', async () => {
    expect(await call('chat.User', 'say', 'ada', { room: 'lobby', text: ' ' })).toMatchObject({ status: appError });
    expect(await call('chat.Room', 'post', 'lobby', { from: 'eve', text: 'x' })).toMatchObject({
      status: appError,
      body: { message: 'only members may post' },
    });
  });
});
