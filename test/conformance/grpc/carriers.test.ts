import { type Client, createGrpcChannel, createGrpcClient, createGrpcServer } from '@oaas/commons/grpc';
import { createEdgeChannel, createEdgeServer } from '@oaas/commons/grpc/edge';
import { isOaasError, oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { eventually } from '@oaas/commons/testkit';
import type { testingMessages } from '@oaas/proto';
import { testing } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testService } from './test-service.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const definition = testing.TestServiceDefinition;
type TestClient = Client<testing.TestServiceDefinition>;
type Request = Partial<testingMessages.StreamingOutputCallRequest>;

/** What the handlers saw, for the tests that look at the server's side. */
const seen = { aborted: 0 };

const handlers: typeof testService = {
  ...testService,
  async cacheableUnaryCall(_request, context) {
    context.setHeader('x-deadline', context.deadlineMs === undefined ? 'none' : 'set');
    await new Promise((_, reject) => {
      context.signal.addEventListener('abort', () => {
        seen.aborted += 1;
        reject(context.signal.reason as Error);
      });
    });
    throw oaasError('Internal', 'unreachable');
  },
  async *halfDuplexCall(_requests, { signal }) {
    signal.addEventListener('abort', () => (seen.aborted += 1));
    for (;;) yield await Promise.resolve({ payload: { type: 0, body: Buffer.alloc(10_000) } });
  },
};

const servers = {
  edge: () => createEdgeServer({ logger, clock: systemClock, timers: systemTimers, maxMessageBytes: 1_000_000 }),
  'grpc-js': () => createGrpcServer({ logger, maxMessageBytes: 1_000_000 }),
};

const clients = {
  edge: (address: string) => {
    const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
    const channel = createEdgeChannel(address, { ...time, maxMessageBytes: 4_000_000 });
    return { client: createGrpcClient(definition, channel), close: () => channel.close() };
  },
  'grpc-js': (address: string) => {
    const channel = createGrpcChannel(address, { maxMessageBytes: 4_000_000 });
    return { client: createGrpcClient(definition, channel), close: () => channel.close() };
  },
};

const pairs = [
  ['edge', 'edge'],
  ['edge', 'grpc-js'],
  ['grpc-js', 'edge'],
  ['grpc-js', 'grpc-js'],
] as const;

describe.each(pairs)('a client of %s and a server of %s', (clientKind, serverKind) => {
  const server = servers[serverKind]();
  let client: TestClient;
  let close = (): void => undefined;

  beforeAll(async () => {
    server.add(definition, handlers);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    ({ client, close } = clients[clientKind](`127.0.0.1:${port}`));
  });
  afterAll(() => {
    close();
    server.stop();
  });

  it('a unary call gets its response', async () => {
    const response = await client.unaryCall({ responseSize: 314_159, payload: payload(271_828) });
    expect(response.payload?.body.length).toBe(314_159);
    expect(await client.emptyCall({})).toEqual({});
  });

  it('calls at the same time do not mix', async () => {
    const sizes = Array.from({ length: 500 }, (_, i) => (i * 37) % 5000);
    const responses = await Promise.all(sizes.map((responseSize) => client.unaryCall({ responseSize })));
    expect(responses.map(({ payload: got }) => got?.body.length)).toEqual(sizes);
  });

  it('a stream of requests is summed up', async () => {
    const result = await client.streamingInputCall(
      each([27_182, 8, 1828, 45_904].map((n) => ({ payload: payload(n) }))),
    );
    expect(result.aggregatedPayloadSize).toBe(74_922);
  });

  it('a stream of responses comes in order, also beyond the windows', async () => {
    const sizes = Array.from({ length: 200 }, (_, i) => 1000 + i * 300);
    const got: number[] = [];
    for await (const { payload: one } of client.streamingOutputCall({
      responseParameters: sizes.map((size) => ({ size, intervalUs: 0 })),
    })) {
      got.push(one?.body.length ?? -1);
    }
    expect(got).toEqual(sizes);
  });

  it('both sides take turns on a bidirectional stream', async () => {
    const sizes = [31_415, 9, 2653, 58_979];
    let answered: (() => void) | undefined;
    const got: number[] = [];
    const requests = async function* (): AsyncGenerator<Request> {
      for (const size of sizes) {
        const answer = new Promise<void>((resolve) => (answered = resolve));
        yield { responseParameters: [{ size, intervalUs: 0, compressed: undefined }] };
        await answer;
      }
    };
    for await (const { payload: one } of client.fullDuplexCall(requests())) {
      got.push(one?.body.length ?? -1);
      answered?.();
    }
    expect(got).toEqual(sizes);
  });

  it('a bidirectional stream without messages ends well', async () => {
    const got: unknown[] = [];
    for await (const one of client.fullDuplexCall(each([]))) got.push(one);
    expect(got).toEqual([]);
  });

  it('a status comes with its message, whatever is in it', async () => {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const error = await failure(client.unaryCall({ responseStatus: { code: 2, message } }));
    expect(error.code).toBe('FunctionFailed');
    expect(error.message).toBe(message);
  });

  it('metadata goes both ways', async () => {
    let trailer: Uint8Array | undefined;
    await client.unaryCall(
      {},
      {
        metadata: {
          'x-grpc-test-echo-initial': 'hello',
          'x-grpc-test-echo-trailing-bin': Uint8Array.of(0xab, 0, 0xff),
        },
        onTrailer: (metadata) => {
          trailer = metadata.getBinary('x-grpc-test-echo-trailing-bin');
        },
      },
    );
    expect([...(trailer ?? [])]).toEqual([0xab, 0, 0xff]);
  });

  it('a method without handler is unimplemented', async () => {
    expect((await failure(client.unimplementedCall({}))).code).toBe('Unimplemented');
  });

  it('a deadline ends the call on both sides', async () => {
    const before = seen.aborted;
    expect((await failure(client.cacheableUnaryCall({}, { deadlineMs: 50 }))).code).toBe('DeadlineExceeded');
    await eventually(() => seen.aborted > before);
  });

  it('a signal cancels the call on both sides', async () => {
    const before = seen.aborted;
    const cancel = new AbortController();
    const call = failure(client.cacheableUnaryCall({}, { signal: cancel.signal }));
    setTimeout(() => cancel.abort(), 30);
    expect((await call).code).toBe('Cancelled');
    await eventually(() => seen.aborted > before);
  });

  it('a caller that leaves the loop cancels the stream', async () => {
    const before = seen.aborted;
    let count = 0;
    for await (const one of client.halfDuplexCall(each([]))) {
      count += one.payload === undefined ? 0 : 1;
      if (count === 20) break;
    }
    await eventually(() => seen.aborted > before);
  });

  it('a request over the limit of the server is refused', async () => {
    const error = await failure(client.unaryCall({ payload: payload(1_000_001) }));
    expect(error.code).toMatch(/ResourceExhausted|PayloadTooLarge/);
    expect(await client.emptyCall({})).toEqual({});
  });

  it('a caller whose signal is aborted already sends nothing', async () => {
    expect((await failure(client.emptyCall({}, { signal: AbortSignal.abort() }))).code).toBe('Cancelled');
  });
});

function payload(size: number): testingMessages.Payload {
  return { type: 0, body: Buffer.alloc(size) };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

async function failure(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isOaasError(error)) throw new Error('the call did not fail with an error of the platform', { cause: error });
  return error;
}
