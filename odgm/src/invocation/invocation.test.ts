import {
  AppError,
  type ClassFunction,
  createFunctionProgram,
  type FunctionProgram,
  loadFunctionConfig,
} from '@oaas/commons/function';
import { createLogger, currentCorrelationId, withCorrelation } from '@oaas/commons/telemetry';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { invoke } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startNode } from '../../testkit/index.ts';

/** Real functions behind a real node: caller -> grid -> function -> grid. */
let directory: TempDir;
let node: RunningNode;
const programs: FunctionProgram[] = [];
const { ResponseStatus } = invoke;
let release = (): void => undefined;
let entered = (): void => undefined;

const functions: Record<string, ClassFunction> = {
  increment: (call) =>
    call.object.update(async (draft) => {
      const count = ((await draft.getJson<number>('count')) ?? 0) + 1;
      draft.setJson('count', count);
      return { count };
    }),
  describe: (call) => ({
    class: call.classId,
    function: call.functionName,
    object: call.objectId,
    partition: call.partition,
    options: call.options,
    hasDeadline: call.deadlineMs !== undefined,
    payload: call.text(),
  }),
  nothing: () => undefined,
  text: () => 'plain',
  bytes: () => new Uint8Array([0, 255]),
  strict: (call) => call.json(),
  refuse: () => {
    throw new AppError('not today', { day: 'Sunday' });
  },
  crash: () => {
    throw new Error('secret of the function');
  },
  entries: async (call) => {
    await call.object.batch({ set: { 'a.1': 'x', 'a.2': new Uint8Array([1]), b: { json: true } }, delete: ['gone'] });
    const listed: string[] = [];
    for await (const { key } of call.object.list('a.')) listed.push(key);
    await call.object.delete('a.1');
    const content = await call.object.read();
    return { listed, left: [...(content?.entries.keys() ?? [])].sort(), version: content?.version };
  },
  absent: async (call) => {
    const other = call.objects('test.Class', 'never-made').object;
    return { read: (await other.read()) ?? 'nothing', text: (await other.getText('k')) ?? 'nothing' };
  },
  ask: async (call) => {
    const { of, object, payload } = call.json<{ of: string; object: string; payload?: unknown }>();
    return (await call.objects('test.Class', object).invoke(of, payload)).text();
  },
  correlation: () => currentCorrelationId() ?? 'none',
  wait: async (call) => {
    entered();
    await new Promise<void>((resolve) => {
      release = resolve;
      call.signal.addEventListener('abort', () => resolve());
    });
    return { cancelled: call.signal.aborted };
  },
};

async function serve(
  served: Record<string, ClassFunction>,
  port: number,
  env: Record<string, string> = {},
): Promise<FunctionProgram> {
  const config = loadFunctionConfig(
    { FUNCTION_PORT: String(port), FUNCTION_BIND_HOST: '127.0.0.1', ODGM_ENDPOINT: `http://${node.grpc}`, ...env },
    [],
  );
  const logger = createLogger({ service: 'function', level: 'silent' });
  const program = createFunctionProgram(served, config, {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger,
  });
  await program.group.start();
  programs.push(program);
  return program;
}

beforeAll(async () => {
  directory = await tempDir();
  const [port, nowhere, narrow] = (await freePorts(3)) as [number, number, number];
  const url = `http://127.0.0.1:${String(port)}`;
  const stateless = new Set(['describe', 'nothing', 'text', 'bytes', 'strict', 'refuse', 'crash']);
  const routes = Object.keys(functions).map((name) => [name, { url, stateless: stateless.has(name) }] as const);
  node = await startNode({
    dataDir: directory.path,
    collections: [
      {
        name: 'test.Class',
        partitionCount: 4,
        invocations: {
          fnRoutes: {
            ...Object.fromEntries(routes),
            unreachable: { url: `http://127.0.0.1:${String(nowhere)}`, stateless: true },
            unserved: { url, stateless: true },
            disabled: { url, stateless: true },
            narrow: { url: `http://127.0.0.1:${String(narrow)}`, stateless: true },
          },
          disabledFn: ['disabled'],
        },
      },
    ],
  });
  await serve(functions, port);
  await serve({ narrow: functions['wait']! }, narrow, { FUNCTION_MAX_CONCURRENCY: '1' });
});

afterAll(async () => {
  await Promise.all(programs.map(({ group }) => group.stop()));
  await node.stop();
  await directory.remove();
});

const auto = { metadata: { 'x-oaas-partition': 'auto' } };
const on = (fnId: string, objectId: string, payload = '') =>
  node.functions.invokeObj({ clsId: 'test.Class', objectId, fnId, payload: Buffer.from(payload) }, auto);
const call = (fnId: string, payload = '', clsId = 'test.Class') =>
  node.functions.invokeFn({ clsId, fnId, payload: Buffer.from(payload) });
const bodyOf = ({ payload }: invoke.InvocationResponse): unknown =>
  JSON.parse(payload?.toString() ?? 'null') as unknown;

describe('a function', () => {
  it('gets the call as the caller made it, and its answer gets an invocation id', async () => {
    const response = await node.functions.invokeObj(
      {
        clsId: 'test.Class',
        objectId: 'Some-Id',
        partitionId: 2,
        fnId: 'describe',
        options: { a: 'b' },
        payload: Buffer.from('hi'),
      },
      { deadlineMs: 2000 },
    );
    expect(bodyOf(response)).toEqual({
      class: 'test.Class',
      function: 'describe',
      object: 'some-id',
      partition: 2,
      options: { a: 'b' },
      hasDeadline: true,
      payload: 'hi',
    });
    expect(response.status).toBe(ResponseStatus.OKAY);
    expect(response.invocationId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('answers with bytes, text, JSON or nothing', async () => {
    expect((await call('nothing')).payload).toBeUndefined();
    expect((await call('text')).payload?.toString()).toBe('plain');
    expect([...((await call('bytes')).payload ?? [])]).toEqual([0, 255]);
    expect(bodyOf(await call('strict', '{"a":1}'))).toEqual({ a: 1 });
  });

  it('counts right when many callers change one object at once', async () => {
    const responses = await Promise.all(Array.from({ length: 40 }, () => on('increment', 'counted')));
    expect(responses.map(({ status }) => status).filter((status) => status !== ResponseStatus.OKAY)).toEqual([]);
    const counts = responses.map((response) => (bodyOf(response) as { count: number }).count).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it('reads and changes entries of its object', async () => {
    expect(bodyOf(await on('entries', 'e'))).toEqual({ listed: ['a.1', 'a.2'], left: ['a.2', 'b'], version: 2 });
    expect(bodyOf(await on('absent', 'e'))).toEqual({ read: 'nothing', text: 'nothing' });
  });

  it('calls functions of other objects, and their refusals pass through', async () => {
    const ask = (of: string) => on('ask', 'asker', JSON.stringify({ of, object: 'asked' }));
    expect(bodyOf(await ask('increment'))).toEqual({ count: 1 });
    const refused = await ask('refuse');
    expect(refused.status).toBe(ResponseStatus.APP_ERROR);
    expect(bodyOf(refused)).toMatchObject({ message: 'not today', details: { day: 'Sunday' } });
    const crashed = await ask('crash');
    expect(crashed.status).toBe(ResponseStatus.SYSTEM_ERROR);
    expect(bodyOf(crashed)).toMatchObject({ code: 'FunctionFailed' });
  });

  it('is told when its caller gives up', async () => {
    const isIn = new Promise<void>((resolve) => (entered = resolve));
    const abort = new AbortController();
    const ended = new Promise<boolean>((resolve) => {
      const original = functions['wait'];
      functions['wait'] = async (given) => {
        const result = (await original?.(given)) as { cancelled: boolean };
        resolve(result.cancelled);
        return result;
      };
    });
    const pending = node.functions.invokeObj(
      { clsId: 'test.Class', objectId: 'w', fnId: 'wait' },
      { ...auto, signal: abort.signal },
    );
    await isIn;
    abort.abort();
    await expect(pending).rejects.toMatchObject({ code: 'Cancelled' });
    expect(await ended).toBe(true);
  });

  it('takes no more calls at once than it says', async () => {
    const isIn = new Promise<void>((resolve) => (entered = resolve));
    const first = call('narrow');
    await isIn;
    const second = await call('narrow');
    expect(second.status).toBe(ResponseStatus.SYSTEM_ERROR);
    expect(bodyOf(second)).toMatchObject({ code: 'ResourceExhausted' });
    release();
    expect((await first).status).toBe(ResponseStatus.OKAY);
  });
});

describe('what goes wrong is a response with a status', () => {
  it.each<[string, () => Promise<invoke.InvocationResponse>, invoke.ResponseStatus, object]>([
    [
      'a function that does not exist',
      () => call('no-such'),
      ResponseStatus.INVALID_REQUEST,
      { code: 'FunctionNotFound', known: expect.arrayContaining(['increment', 'text']) as unknown },
    ],
    [
      'a function of the prototype of objects',
      () => call('constructor'),
      ResponseStatus.INVALID_REQUEST,
      { code: 'FunctionNotFound' },
    ],
    [
      'a function that is disabled',
      () => call('disabled'),
      ResponseStatus.INVALID_REQUEST,
      { code: 'FunctionNotFound' },
    ],
    [
      'a function that needs an object, called without',
      () => call('increment'),
      ResponseStatus.INVALID_REQUEST,
      { code: 'InvalidArgument' },
    ],
    [
      'a function that its program does not serve',
      () => call('unserved'),
      ResponseStatus.INVALID_REQUEST,
      { message: expect.stringContaining('no function "unserved"') as string },
    ],
    [
      'a payload that is not JSON',
      () => call('strict', '{'),
      ResponseStatus.INVALID_REQUEST,
      { message: 'the payload is not JSON' },
    ],
    [
      'a refusal of the function',
      () => call('refuse'),
      ResponseStatus.APP_ERROR,
      { message: 'not today', details: { day: 'Sunday' } },
    ],
    [
      'a crash, of which nothing is told',
      () => call('crash'),
      ResponseStatus.SYSTEM_ERROR,
      { code: 'Internal', message: 'function crash failed' },
    ],
    [
      'a program that cannot be reached',
      () => call('unreachable'),
      ResponseStatus.SYSTEM_ERROR,
      { code: 'Unavailable' },
    ],
  ])('%s', async (_, run, status, body) => {
    const response = await run();
    expect(response.status).toBe(status);
    expect(bodyOf(response)).toMatchObject(body);
  });

  it('a function that takes longer than the grid allows', async () => {
    const { spec } = node.program.node.collection('test.Class');
    const hasty = await startNode({
      dataDir: `${directory.path}/hasty`,
      collections: [spec],
      env: { ODGM_INVOCATION_TIMEOUT: '200ms' },
    });
    const response = await hasty.functions.invokeObj({ clsId: 'test.Class', objectId: 'slow', fnId: 'wait' });
    await hasty.stop();
    expect(response.status).toBe(ResponseStatus.SYSTEM_ERROR);
    expect(bodyOf(response)).toMatchObject({ code: 'DeadlineExceeded' });
  });
});

it('a function runs under the correlation id of its caller, or under a new one that the caller is told', async () => {
  const request = { clsId: 'test.Class', objectId: 'o', fnId: 'correlation' };
  const asked = await withCorrelation('of-the-caller', () => node.functions.invokeObj(request));
  expect(asked.payload?.toString()).toBe('of-the-caller');
  let told: string | undefined;
  const made = await node.functions.invokeObj(request, { onTrailer: (to) => (told = to.get('x-correlation-id')) });
  expect(made.payload?.toString()).toMatch(/^[0-9a-f]{32}$/);
  expect(told).toBe(made.payload?.toString());
});

describe('what is wrong with the call itself is an error', () => {
  it('an unknown class', async () => {
    await expect(call('text', '', 'no.Such')).rejects.toMatchObject({ code: 'NotFound' });
  });
  it('no object id', async () => {
    await expect(node.functions.invokeObj({ clsId: 'test.Class', fnId: 'increment' })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
  });
});

it('a function without a grid says which setting is missing', async () => {
  const [port] = (await freePorts(1)) as [number];
  const program = await serve({ get: (given) => given.object.get('k') }, port, { ODGM_ENDPOINT: '' });
  const { createFunctionClient } = await import('@oaas/commons/client');
  const { createGrpcChannel } = await import('@oaas/commons/grpc');
  const channel = createGrpcChannel(program.address());
  const response = await createFunctionClient(channel).invokeObj({ clsId: 'a', objectId: 'o', fnId: 'get' });
  channel.close();
  expect(bodyOf(response)).toMatchObject({ code: 'FailedPrecondition', message: 'the function was given no grid' });
});

it('calls in flight are finished when a function is told to stop', async () => {
  const [port] = (await freePorts(1)) as [number];
  let isIn = (): void => undefined;
  let go = (): void => undefined;
  const inside = new Promise<void>((resolve) => (isIn = resolve));
  const gate = new Promise<void>((resolve) => (go = resolve));
  const program = await serve(
    {
      slow: async () => {
        isIn();
        await gate;
        return 'done';
      },
    },
    port,
  );
  const { createFunctionClient } = await import('@oaas/commons/client');
  const { createGrpcChannel } = await import('@oaas/commons/grpc');
  const channel = createGrpcChannel(program.address());
  const pending = createFunctionClient(channel).invokeFn({ clsId: 'a', fnId: 'slow' });
  await inside;
  const stopping = program.group.stop();
  go();
  expect((await pending).payload?.toString()).toBe('done');
  await stopping;
  channel.close();
});
