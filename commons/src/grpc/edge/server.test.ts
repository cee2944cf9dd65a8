import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders, type Settings } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { testingMessages } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../testkit/index.ts';
import { oaasError } from '../../errors/index.ts';
import { createMetrics, withCorrelation } from '../../telemetry/index.ts';
import type { Interceptor } from '../interceptor.ts';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import type { EdgeServerOptions } from './server.ts';
import { handlers, startServer as startOn, type TestHandlers, type TestServer } from './testing.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const startServer = (
  ...[own, options, port]: [own?: TestHandlers, options?: Partial<EdgeServerOptions>, port?: number]
): Promise<TestServer> => startOn(time, own, options, port);

let running: TestServer | undefined;
const sessions: ClientHttp2Session[] = [];
const sockets: Socket[] = [];

async function serve(...args: Parameters<typeof startServer>): Promise<TestServer> {
  running = await startServer(...args);
  return running;
}

afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  running?.stop();
  running = undefined;
});

function session(port: number, settings: Settings = {}): ClientHttp2Session {
  const opened = connectHttp2(`http://127.0.0.1:${port}`, { settings });
  opened.on('error', () => undefined);
  sessions.push(opened);
  return opened;
}

const path = '/grpc.testing.TestService/';
const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
const frame = (message: Uint8Array, flag = 0): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};

interface Raw {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

/** A call by node:http2, for what no proper client would send. */
function raw(port: number, headers: Record<string, string>, ...chunks: Buffer[]): Promise<Raw> {
  const stream = session(port).request(headers);
  return new Promise((resolve, reject) => {
    let got: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const body: Buffer[] = [];
    stream.on('response', (fields) => (got = fields));
    stream.on('trailers', (fields: IncomingHttpHeaders) => (trailers = fields));
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => resolve({ headers: got, body: Buffer.concat(body), trailers }));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  });
}

const never: TestHandlers = {
  ...handlers,
  emptyCall: (_request, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    }),
};

describe('what is no gRPC call', () => {
  it.each([
    ['a GET with the right type', { ':method': 'GET', 'content-type': 'application/grpc' }, 405],
    ['a POST of JSON', { ':method': 'POST', 'content-type': 'application/json' }, 415],
    ['gRPC-Web', { ':method': 'POST', 'content-type': 'application/grpc-web' }, 415],
  ])('%s gets a status of HTTP', async (_name, headers, status) => {
    const { port } = await serve();
    expect((await raw(port, headers)).headers[':status']).toBe(status);
  });

  it.each([
    ['no message', [], '13'],
    ['two messages', [frame(Buffer.alloc(0)), frame(Buffer.alloc(0))], '13'],
    ['a message that is cut short', [frame(Buffer.alloc(10)).subarray(0, 8)], '13'],
    ['a message that cannot be decoded', [frame(Buffer.from([0xff, 0xff, 0xff]))], '13'],
    ['compression that was not announced', [frame(gzipSync(Buffer.alloc(3)), 1)], '13'],
    ['a length over the limit', [Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1])], '8'],
  ])('a unary call with %s fails', async (_name, chunks, code) => {
    const { port } = await serve();
    const { headers, trailers } = await raw(port, { ...grpc, ':path': `${path}UnaryCall` }, ...chunks);
    expect(trailers['grpc-status'] ?? headers['grpc-status']).toBe(code);
  });

  it('a compression that the server does not know is unimplemented, and it names those it knows', async () => {
    const { port } = await serve();
    const { headers } = await raw(
      port,
      { ...grpc, ':path': `${path}UnaryCall`, 'grpc-encoding': 'snappy' },
      frame(Buffer.alloc(0)),
    );
    expect(headers).toMatchObject({ 'grpc-status': '12', 'grpc-accept-encoding': 'gzip,identity' });
  });
});

describe('a request that no method takes', () => {
  it.each([
    ['a method that is not there', { ':path': `${path}NoSuch` }],
    ['an unknown compression', { ':path': `${path}FullDuplexCall`, 'grpc-encoding': 'snappy' }],
  ])('with %s is answered before it ends, since a caller who streams may never end it', async (_name, headers) => {
    const { port } = await serve();
    const stream = session(port).request({ ...grpc, ...headers });
    const response = once(stream, 'response') as Promise<[IncomingHttpHeaders]>;
    stream.write(frame(Buffer.alloc(3)));
    expect((await response)[0]).toMatchObject({ ':status': 200, 'grpc-status': '12' });
    stream.on('error', () => undefined);
    stream.close();
  });
});

describe('compression', () => {
  const request = testingMessages.SimpleRequest.encode(
    testingMessages.SimpleRequest.fromPartial({ responseSize: 5000 }),
  ).finish();

  it('a request in gzip is read, and a large response is compressed for who takes it', async () => {
    const { port } = await serve(handlers, { compressFrom: 1000 });
    const headers = { ...grpc, ':path': `${path}UnaryCall`, 'grpc-encoding': 'gzip' };
    const plain = await raw(port, headers, frame(gzipSync(request), 1));
    expect(plain.body.length).toBeGreaterThan(5000);
    const packed = await raw(port, { ...headers, 'grpc-accept-encoding': 'gzip' }, frame(gzipSync(request), 1));
    expect(packed.headers['grpc-encoding']).toBe('gzip');
    expect([packed.body[0], packed.body.length < 200]).toEqual([1, true]);
  });

  it('our client reads compressed responses, one by one and in streams', async () => {
    const own: TestHandlers = {
      ...handlers,
      async *streamingOutputCall({ responseParameters }) {
        for (const { size } of responseParameters) {
          yield await Promise.resolve({ payload: { type: 0, body: Buffer.alloc(size, 7) } });
        }
      },
    };
    const { client } = (await serve(own, { compressFrom: 100 })).client();
    expect((await client.unaryCall({ responseSize: 100_000 })).payload?.body.length).toBe(100_000);
    const sizes = [0, 50, 5000, 100_000];
    const got: (number | undefined)[] = [];
    const responseParameters = sizes.map((size) => ({ size }));
    for await (const { payload } of client.streamingOutputCall({ responseParameters })) got.push(payload?.body.length);
    expect(got).toEqual(sizes);
  });

  it('a small message that unpacks beyond the limit is refused', async () => {
    const { port } = await serve(handlers, { maxMessageBytes: 100_000 });
    const bomb = frame(gzipSync(Buffer.alloc(10_000_000)), 1);
    const { headers } = await raw(port, { ...grpc, ':path': `${path}UnaryCall`, 'grpc-encoding': 'gzip' }, bomb);
    expect(headers['grpc-status']).toBe('8');
  });
});

describe('errors', () => {
  it('carry code, remedy, details and the time of the next try', async () => {
    const error = oaasError('VersionConflict', 'the object moved on – ☃', {
      remedy: 'Read it again.',
      details: { current: 7 },
      retryAfterMs: 1500,
    });
    const { client } = (await serve({ emptyCall: () => Promise.reject(error) })).client();
    await expect(client.emptyCall({})).rejects.toMatchObject({
      code: 'VersionConflict',
      message: error.message,
      remedy: 'Read it again.',
      details: { current: 7 },
      retryAfterMs: 1500,
    });
  });

  it('of a handler that throws at once are answered too', async () => {
    const own: TestHandlers = {
      emptyCall: () => {
        throw oaasError('NotFound', 'nothing here');
      },
    };
    const { client } = (await serve(own)).client();
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('after some responses come as the status of the stream', async () => {
    const own: TestHandlers = {
      async *streamingOutputCall() {
        yield await Promise.resolve({ payload: undefined });
        throw oaasError('DataLoss', 'the rest is gone');
      },
    };
    const { client } = (await serve(own)).client();
    const got: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const one of client.fullDuplexCall(noRequests())) got.push(one);
      for await (const one of client.streamingOutputCall({})) got.push(one);
    };
    await expect(read()).rejects.toMatchObject({ code: 'Unimplemented' });
    const again = async (): Promise<void> => {
      for await (const one of client.streamingOutputCall({})) got.push(one);
    };
    await expect(again()).rejects.toMatchObject({ code: 'DataLoss', message: 'the rest is gone' });
    expect(got).toHaveLength(1);
  });
});

describe('interceptors', () => {
  it('may refuse a call, leave facts and see how it ended', async () => {
    const seen: string[] = [];
    const authenticate: Interceptor = async (context, next) => {
      const token = context.metadata.get('authorization');
      if (token !== 'Bearer good') throw oaasError('Unauthenticated', 'who are you?');
      context.attributes.set('subject', 'someone');
      await next().finally(() => seen.push('over'));
    };
    const own: TestHandlers = {
      emptyCall: (_request, { attributes }) => {
        seen.push(String(attributes.get('subject')));
        return Promise.resolve({});
      },
    };
    const metrics = createMetrics({ service: 'test' });
    const { client } = (await serve(own, { interceptors: [authenticate], metrics })).client();
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unauthenticated' });
    await client.emptyCall({}, { metadata: { authorization: 'Bearer good' } });
    expect(seen).toEqual(['someone', 'over']);
    const { body } = await metrics.render();
    expect(body).toContain(
      'grpc_server_handled_total{method="/grpc.testing.TestService/EmptyCall",code="OK",service="test"} 1',
    );
  });

  it('a correlation id of the caller comes back, also without interceptors', async () => {
    const { client } = (await serve()).client();
    let trailer: string | undefined;
    await withCorrelation('abc-123', () =>
      client.emptyCall({}, { onTrailer: (metadata) => (trailer = metadata.get('x-correlation-id')) }),
    );
    expect(trailer).toBe('abc-123');
  });
});

describe('deadlines', () => {
  it('count while the request is still on its way', async () => {
    const { port, server } = await serve();
    const stream = session(port).request({ ...grpc, ':path': `${path}UnaryCall`, 'grpc-timeout': '30m' });
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    expect(headers['grpc-status']).toBe('4');
    await eventually(() => server.load().calls === 0);
  });

  it('end a call whose handler does not care', async () => {
    const { port, server } = await serve({ ...handlers, emptyCall: () => new Promise(() => undefined) });
    const headers = { ...grpc, ':path': `${path}EmptyCall`, 'grpc-timeout': '20m' };
    const got = await raw(port, headers, frame(Buffer.alloc(0)));
    expect(got.headers['grpc-status']).toBe('4');
    expect(server.load().calls).toBe(0);
  });
});

async function* noRequests(): AsyncGenerator<never> {
  await Promise.resolve();
  yield* [];
}

describe('the end of a server', () => {
  it('waits for calls under way and takes no new ones', async () => {
    const finish: (() => void)[] = [];
    const own: TestHandlers = { emptyCall: () => new Promise((resolve) => finish.push(() => resolve({}))) };
    const { client, channel } = (await serve(own)).client();
    const { server } = running!;
    const call = client.emptyCall({});
    await eventually(() => server.load().calls === 1);
    const drained = server.drain(10_000);
    await eventually(() =>
      expect(client.emptyCall({}, { deadlineMs: 300 })).rejects.toMatchObject({ code: 'Unavailable' }),
    );
    for (const one of finish) one();
    expect(await call).toEqual({});
    await drained;
    channel.close();
  });

  it('ends streams that would never end by themselves, so that watchers go elsewhere', async () => {
    const own: TestHandlers = {
      async *streamingOutputCall(_request, { signal }) {
        yield { payload: undefined };
        await once(signal, 'abort');
      },
    };
    const { client } = (await serve(own)).client();
    const responses = client.streamingOutputCall({})[Symbol.asyncIterator]();
    await responses.next();
    const drained = running!.server.drain(400);
    await expect(responses.next()).rejects.toMatchObject({ code: 'Unavailable' });
    await drained;
  });

  it('cuts off what is left at the end', async () => {
    const { client } = (await serve(never)).client();
    const call = client.emptyCall({});
    await eventually(() => running!.server.load().calls === 1);
    const [outcome] = await Promise.allSettled([call, running!.server.drain(50)]);
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'Unavailable' } });
  });

  it('refuses a port that is taken', async () => {
    const { port } = await serve();
    await expect(startServer(handlers, {}, port)).rejects.toMatchObject({ code: 'PortInUse' });
  });
});

describe('bounds', () => {
  const open = async (port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  };

  it('a connection that says nothing is cut off', async () => {
    const { port, server } = await serve(handlers, { handshakeMs: 100 });
    const socket = await open(port);
    socket.resume();
    await once(socket, 'close');
    await eventually(() => server.load().connections === 0);
  });

  it('a half-open connection is found by its silence', async () => {
    const { port, server } = await serve(handlers, { keepaliveMs: 100, keepaliveTimeoutMs: 100 });
    const socket = await open(port);
    socket.resume();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
    await once(socket, 'close');
    await eventually(() => server.load().connections === 0);
  });

  it('a connection without calls is closed, and the channel opens a new one when it needs it', async () => {
    const { client } = (await serve(handlers, { idleMs: 500 })).client();
    await client.emptyCall({});
    await eventually(() => running!.server.load().connections === 0);
    expect(await client.emptyCall({})).toEqual({});
  });

  it('connections over the limit are refused', async () => {
    const { port, server } = await serve(handlers, { connectionsMax: 2 });
    await open(port);
    await open(port);
    const third = await open(port);
    third.resume();
    await once(third, 'close');
    expect(server.load().connections).toBe(2);
  });

  it('unfinished messages are bounded for a whole connection', async () => {
    const { port } = await serve(handlers, { heldBytesMax: 100_000 });
    const one = session(port);
    const statuses: unknown[] = [];
    for (let i = 0; i < 5; i += 1) {
      const stream = one.request({ ...grpc, ':path': `${path}UnaryCall` });
      stream.on('error', () => undefined);
      stream.on('response', (headers) => statuses.push(headers['grpc-status']));
      stream.write(frame(Buffer.alloc(1_000_000)).subarray(0, 30_000));
    }
    await eventually(() => statuses.length === 2);
    expect(statuses).toEqual(['8', '8']);
  });

  it('what clients do not read is bounded for all connections together, and others are served meanwhile', async () => {
    const size = 1_000_000;
    const items = 8;
    const own: TestHandlers = {
      ...handlers,
      async *streamingOutputCall() {
        for (let i = 0; i < items; i += 1)
          yield await Promise.resolve({ payload: { type: 0, body: Buffer.alloc(size) } });
      },
    };
    const heldBytesTotalMax = 6_500_000;
    const served = await serve(own, { heldBytesTotalMax });
    const { server, port } = served;
    const ended: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const one = session(port, { initialWindowSize: 0 });
      for (let j = 0; j < 4; j += 1) {
        const stream = one.request({ ...grpc, ':path': `${path}StreamingOutputCall` });
        stream.on('error', () => undefined);
        stream.on('close', () => ended.push(stream.rstCode));
        stream.end(frame(Buffer.alloc(0)));
      }
    }
    await eventually(() => ended.length === 6);
    expect(server.load().heldBytes).toBeLessThanOrEqual(heldBytesTotalMax);
    expect(server.load().heldBytes).toBeGreaterThan(5 * size);
    expect(new Set(ended)).toEqual(new Set([11]));
    const behaved = served.client().client;
    let got = 0;
    for await (const { payload } of behaved.streamingOutputCall({})) got += payload?.body.length ?? 0;
    expect(got).toBe(items * size);
    expect((await behaved.unaryCall({ responseSize: size })).payload?.body.length).toBe(size);
    for (const one of sessions) one.destroy();
    await eventually(() => server.load().heldBytes === 0);
  });

  it('what handlers keep for streams that are not read counts, and is given back', async () => {
    const own: TestHandlers = {
      ...handlers,
      async *streamingOutputCall(_, context) {
        context.keeps?.(1_000_000);
        for (;;) yield await Promise.resolve({ payload: { type: 0, body: Buffer.alloc(100_000) } });
      },
    };
    const { server, port } = await serve(own, { heldBytesTotalMax: 3_500_000 });
    const one = session(port, { initialWindowSize: 0 });
    for (let i = 0; i < 5; i += 1) {
      const stream = one.request({ ...grpc, ':path': `${path}StreamingOutputCall` });
      stream.on('error', () => undefined);
      stream.end(frame(Buffer.alloc(0)));
    }
    await eventually(() => server.load().calls === 3);
    expect(server.load().heldBytes).toBeLessThanOrEqual(3_500_000);
    one.destroy();
    await eventually(() => server.load().heldBytes === 0);
  });

  it('messages larger than every window go through, one by one and in streams', async () => {
    const own: TestHandlers = {
      ...handlers,
      async *fullDuplexCall(requests) {
        for await (const { payload } of requests) yield { payload };
      },
    };
    const { client } = (await serve(own)).client();
    const size = 9_000_000;
    const answer = await client.unaryCall({ responseSize: size, payload: { body: Buffer.alloc(size) } });
    expect(answer.payload?.body.length).toBe(size);
    const requests = async function* () {
      for (let i = 0; i < 5; i += 1) yield await Promise.resolve({ payload: { body: Buffer.alloc(size, i) } });
    };
    const got: unknown[] = [];
    for await (const { payload } of client.fullDuplexCall(requests()))
      got.push([payload?.body.length, payload?.body[0]]);
    expect(got).toEqual([0, 1, 2, 3, 4].map((i) => [size, i]));
  });

  it('calls that were given up give back what was held for them', async () => {
    const own: TestHandlers = { ...handlers, streamingInputCall: () => new Promise(() => undefined) };
    const { port, server } = await serve(own, { heldBytesMax: 100_000 });
    const one = session(port);
    for (let i = 0; i < 20; i += 1) {
      const method = i % 2 === 0 ? 'StreamingInputCall' : 'UnaryCall';
      const stream = one.request({ ...grpc, ':path': `${path}${method}` });
      stream.on('error', () => undefined);
      stream.write(frame(Buffer.alloc(30_000)));
      stream.write(frame(Buffer.alloc(50_000)).subarray(0, 20_000));
      await eventually(() => server.load().calls === 1);
      stream.close(8);
      await eventually(() => server.load().calls === 0);
    }
    const last = await raw(port, { ...grpc, ':path': `${path}UnaryCall` }, frame(Buffer.alloc(0)));
    expect(last.trailers['grpc-status']).toBe('0');
  });

  it('large messages that nobody reads stop the client as well', async () => {
    const own: TestHandlers = { ...handlers, streamingInputCall: () => new Promise(() => undefined) };
    const { client } = (await serve(own)).client();
    let sent = 0;
    const requests = async function* () {
      for (;;) {
        sent += 1;
        yield await Promise.resolve({ payload: { body: Buffer.alloc(2_000_000) } });
      }
    };
    const cancel = new AbortController();
    const call = client.streamingInputCall(requests(), { signal: cancel.signal });
    call.catch(() => undefined);
    let before = -1;
    await eventually(
      () => {
        const still = sent === before && sent > 1;
        before = sent;
        return still;
      },
      { intervalMs: 200 },
    );
    expect(sent).toBeLessThan(5);
    cancel.abort();
  });

  it('a client that does not read stops the stream it asked for', async () => {
    let sent = 0;
    const own: TestHandlers = {
      async *streamingOutputCall() {
        for (;;) {
          sent += 1;
          yield await Promise.resolve({ payload: { type: 0 as const, body: Buffer.alloc(10_000) } });
        }
      },
    };
    const { port } = await serve(own);
    const stream = session(port).request({ ...grpc, ':path': `${path}StreamingOutputCall` });
    stream.on('error', () => undefined);
    stream.end(frame(Buffer.alloc(0)));
    await once(stream, 'response');
    let before = -1;
    await eventually(
      () => {
        const still = sent === before;
        before = sent;
        return still;
      },
      { intervalMs: 100 },
    );
    expect(sent * 10_000).toBeLessThan(2_000_000);
  });

  it('a handler that does not read its requests stops the client', async () => {
    let release = (): void => undefined;
    const own: TestHandlers = {
      async streamingInputCall(requests) {
        await new Promise<void>((resolve) => (release = resolve));
        let size = 0;
        for await (const { payload } of requests) size += payload?.body.length ?? 0;
        return { aggregatedPayloadSize: size };
      },
    };
    const { client } = (await serve(own)).client();
    let sent = 0;
    const requests = async function* () {
      for (; sent < 1000; sent += 1) yield await Promise.resolve({ payload: { body: Buffer.alloc(10_000) } });
    };
    const call = client.streamingInputCall(requests());
    let before = -1;
    await eventually(
      () => {
        const still = sent === before && sent > 0;
        before = sent;
        return still;
      },
      { intervalMs: 100 },
    );
    expect(sent).toBeLessThan(300);
    release();
    expect(await call).toEqual({ aggregatedPayloadSize: 10_000_000 });
  });
});
