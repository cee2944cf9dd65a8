import { data, invoke, reflection } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../testkit/index.ts';
import { type ErrorCode, oaasError } from '../errors/index.ts';
import { createLogger, createMetrics, currentCorrelationId, withCorrelation } from '../telemetry/index.ts';
import { systemClock, systemRandom, systemTimers } from '../system/index.ts';
import { createEdgeChannel, createEdgeServer } from './edge/index.ts';
import {
  type CallContext,
  type Channel,
  type ChannelOptions,
  createGrpcChannel,
  createGrpcClient,
  createGrpcServer,
  type GrpcClientOptions,
  type GrpcServer,
  type GrpcServerOptions,
  type Interceptor,
  type ServiceHandlers,
} from './index.ts';

const { DataServiceDefinition } = data;
type DataHandlers = ServiceHandlers<typeof DataServiceDefinition>;

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const carriers = {
  'grpc-js': {
    server: (options: GrpcServerOptions): GrpcServer => createGrpcServer(options),
    channel: (address: string, options?: ChannelOptions): Channel => createGrpcChannel(address, options),
  },
  edge: {
    server: (options: GrpcServerOptions): GrpcServer => createEdgeServer({ ...time, ...options }),
    channel: (address: string, options?: ChannelOptions): Channel =>
      createEdgeChannel(address, { ...time, ...options }),
  },
};

describe.each(['grpc-js', 'edge'] as const)('a server and a client of %s', (carrier) => {
  function createServer(options: Partial<GrpcServerOptions> = {}): GrpcServer {
    const logger = createLogger({ service: 'test', level: 'silent' });
    const server = carriers[carrier].server({ logger, ...options });
    ends.push(() => {
      server.stop();
    });
    return server;
  }

  interface Setup {
    readonly server?: Partial<GrpcServerOptions>;
    readonly client?: GrpcClientOptions;
    readonly channel?: ChannelOptions;
  }

  async function start(handlers: DataHandlers, setup: Setup = {}) {
    const server = createServer(setup.server);
    server.add(DataServiceDefinition, handlers);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = carriers[carrier].channel(`127.0.0.1:${String(port)}`, setup.channel);
    ends.push(() => {
      channel.close();
    });
    return { server, port, channel, client: createGrpcClient(DataServiceDefinition, channel, setup.client) };
  }

  const object = (...bytes: number[]): data.ObjData =>
    data.ObjData.fromPartial({ entries: { a: { data: Buffer.from(bytes) } } });
  const envelope = (objectId: string) => data.ObjectMetaEnvelope.fromPartial({ objectId });
  const aborted = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });

  it('tells a caller who keeps streaming that there is no such method', async () => {
    const { channel } = await start({});
    const client = createGrpcClient(reflection.ServerReflectionDefinition, channel);
    async function* requests() {
      yield { listServices: '*' };
      await new Promise(() => undefined);
    }
    const responses = client.serverReflectionInfo(requests(), { deadlineMs: 60_000 })[Symbol.asyncIterator]();
    await expect(responses.next()).rejects.toMatchObject({ code: 'Unimplemented' });
  });

  describe('a unary call', () => {
    it('brings the request there and the response back', async () => {
      const seen: data.SingleObjectRequest[] = [];
      const { client } = await start({
        get: (request) => {
          seen.push(request);
          return Promise.resolve(data.ObjectResponse.fromPartial({ obj: object(1, 2, 3) }));
        },
      });
      const response = await client.get({ clsId: 'c', objectId: 'o' });
      expect(seen[0]).toMatchObject({ clsId: 'c', objectId: 'o', partitionId: 0 });
      expect([...(response.obj?.entries['a']?.data ?? [])]).toEqual([1, 2, 3]);
    });

    it('brings metadata, deadline and peer to the handler, and its headers and trailers back', async () => {
      let context: CallContext | undefined;
      const { client } = await start({
        stats: (_, given) => {
          context = given;
          given.setHeader('x-header', 'h');
          given.setTrailer('x-oaas-owner', 'node-2');
          given.setTrailer('x-raw-bin', Uint8Array.of(1, 2));
          return Promise.resolve({ shards: [] });
        },
      });
      let owner: string | undefined;
      let raw: Uint8Array | undefined;
      await client.stats(
        {},
        {
          metadata: { 'X-Oaas-Partition': 'auto', 'token-bin': Uint8Array.of(9) },
          deadlineMs: 60_000,
          onTrailer: (trailer) => {
            owner = trailer.get('x-oaas-owner');
            raw = trailer.getBinary('x-raw-bin');
          },
        },
      );
      expect(context?.method).toBe('/oprc.DataService/Stats');
      expect(context?.metadata.get('x-oaas-partition')).toBe('auto');
      expect([...(context?.metadata.getBinary('token-bin') ?? [])]).toEqual([9]);
      expect(context?.metadata.get('absent')).toBeUndefined();
      expect(context?.peer).toContain('127.0.0.1');
      expect(Math.abs((context?.deadlineMs ?? 0) - Date.now() - 60_000)).toBeLessThan(30_000);
      expect(owner).toBe('node-2');
      expect([...(raw ?? [])]).toEqual([1, 2]);
    });

    it.each<ErrorCode>(['VersionConflict', 'NoLeader', 'StorageFull', 'FunctionNotFound'])(
      'that fails with %s rejects with the same error, its details included',
      async (code) => {
        const details = { version: 7, node: 'ü' };
        const thrown = oaasError(code, 'it is\nat "7" ü', { details, remedy: 'read again', retryAfterMs: 20 });
        const { client } = await start({ get: () => Promise.reject(thrown) });
        await expect(client.get({})).rejects.toMatchObject({
          code,
          message: 'it is\nat "7" ü',
          remedy: 'read again',
          retryAfterMs: 20,
          details,
        });
      },
    );

    it('keeps its code when its details are too large for trailing metadata', async () => {
      const details = { list: 'x'.repeat(100_000) };
      const { client } = await start({
        get: () => Promise.reject(oaasError('NoLeader', 'm'.repeat(50_000), { details, retryAfterMs: 5 })),
        // Each cut of this message would fall between the halves of a character.
        merge: () => Promise.reject(oaasError('NoLeader', `m${'😀'.repeat(50_000)}`, { details, retryAfterMs: 5 })),
      });
      await expect(client.get({})).rejects.toMatchObject({ code: 'NoLeader', retryAfterMs: 5 });
      await expect(client.merge({})).rejects.toMatchObject({ code: 'NoLeader', retryAfterMs: 5 });
    });

    it('to a method that is left out is refused as unimplemented', async () => {
      const { client } = await start({});
      await expect(client.get({})).rejects.toMatchObject({ code: 'Unimplemented' });
    });

    it('of which the handler throws something unknown fails as internal, is logged, and shows no stack', async () => {
      const lines: string[] = [];
      const logger = createLogger({ service: 'test', destination: { write: (line) => void lines.push(line) } });
      const { client } = await start(
        {
          get: () => {
            throw new TypeError('defect');
          },
        },
        { server: { logger } },
      );
      const error = await client.get({}).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'Internal', message: 'defect' });
      expect(JSON.stringify((error as Error).cause ?? '')).not.toContain('server.test.ts:');
      expect(lines.join()).toContain('"msg":"call failed"');
    });

    it('that takes longer than its deadline fails, and its handler is told', async () => {
      let isAborted = false;
      const { client } = await start({
        get: async (_, { signal }) => {
          await aborted(signal);
          isAborted = true;
          return { obj: undefined };
        },
      });
      await expect(client.get({}, { deadlineMs: 50 })).rejects.toMatchObject({ code: 'DeadlineExceeded' });
      await eventually(() => isAborted);
    });

    it('that its caller cancels rejects as cancelled, and its handler is told', async () => {
      let hasStarted = false;
      let isAborted = false;
      const { client } = await start({
        get: async (_, { signal }) => {
          hasStarted = true;
          await aborted(signal);
          isAborted = true;
          return { obj: undefined };
        },
      });
      const abort = new AbortController();
      const failed = expect(client.get({}, { signal: abort.signal })).rejects.toMatchObject({ code: 'Cancelled' });
      await eventually(() => hasStarted);
      abort.abort();
      await failed;
      await eventually(() => isAborted);
      await expect(client.get({}, { signal: abort.signal })).rejects.toMatchObject({ code: 'Cancelled' });
    });

    it('with a message over the limit is refused on the side that receives it', async () => {
      const { client } = await start(
        {
          set: () => Promise.resolve({}),
          get: () => Promise.resolve({ obj: object(...new Array<number>(4000).fill(1)) }),
        },
        { server: { maxMessageBytes: 2000 }, channel: { maxMessageBytes: 100_000 } },
      );
      const large = { object: object(...new Array<number>(3000).fill(1)) };
      // grpc-js has one code of gRPC for both.
      const code = carrier === 'edge' ? 'PayloadTooLarge' : 'ResourceExhausted';
      await expect(client.set(large)).rejects.toMatchObject({ code });
      await expect(client.get({})).rejects.toMatchObject({ code });
    });
  });

  describe('a stream of responses', () => {
    it('arrives in order and whole, however slow the reader is', async () => {
      const { client } = await start({
        async *listObjects() {
          for (let i = 0; i < 2000; i += 1) {
            await Promise.resolve();
            yield envelope(`${String(i)}-${'x'.repeat(1000)}`);
          }
        },
      });
      let next = 0;
      for await (const { objectId } of client.listObjects({})) {
        expect(objectId.startsWith(`${String(next)}-`)).toBe(true);
        next += 1;
        if (next % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(next).toBe(2000);
    });

    it('that its reader leaves stops its handler', async () => {
      let isFinished = false;
      const { client } = await start({
        async *listObjects(_, { signal }) {
          try {
            while (!signal.aborted) {
              yield envelope('x');
              await new Promise((resolve) => setImmediate(resolve));
            }
          } finally {
            isFinished = true;
          }
        },
      });
      for await (const { objectId } of client.listObjects({})) {
        expect(objectId).toBe('x');
        break;
      }
      await eventually(() => isFinished);
    });

    it('that is cancelled, or fails half way, ends with that error after what came before', async () => {
      const { client } = await start({
        async *listObjects(request, { signal }) {
          yield envelope('first');
          if (request.limit === 1) throw oaasError('StorageCorrupt', 'unreadable');
          await aborted(signal);
        },
      });
      const abort = new AbortController();
      const seen: string[] = [];
      const read = async (limit: number) => {
        for await (const { objectId } of client.listObjects({ limit }, { signal: abort.signal })) {
          seen.push(objectId);
          if (limit === 0) abort.abort();
        }
      };
      await expect(read(1)).rejects.toMatchObject({ code: 'StorageCorrupt', message: 'unreadable' });
      await expect(read(0)).rejects.toMatchObject({ code: 'Cancelled' });
      expect(seen).toEqual(['first', 'first']);
    });
  });

  describe('what stands around calls', () => {
    it('runs interceptors in order, and one that throws keeps the request from the handler', async () => {
      const seen: string[] = [];
      const outer: Interceptor = async (context, next) => {
        seen.push('outer in');
        context.attributes.set('subject', 'ann');
        await next();
        seen.push('outer out');
      };
      const inner: Interceptor = (context, next) => {
        if (context.metadata.get('token') !== 'good') throw oaasError('Unauthenticated', 'no token');
        return next();
      };
      const { client } = await start(
        {
          stats: (_, { attributes }) => {
            seen.push(`handler for ${String(attributes.get('subject'))}`);
            return Promise.resolve({ shards: [] });
          },
        },
        { server: { interceptors: [outer, inner] } },
      );
      await expect(client.stats({})).rejects.toMatchObject({ code: 'Unauthenticated' });
      await client.stats({}, { metadata: { token: 'good' } });
      expect(seen).toEqual(['outer in', 'outer in', 'handler for ann', 'outer out']);
    });

    it('brings the correlation id from the caller to the handler, and makes one where there is none', async () => {
      const seen: (string | undefined)[] = [];
      const { client } = await start(
        {
          stats: () => {
            seen.push(currentCorrelationId());
            return Promise.resolve({ shards: [] });
          },
        },
        { server: { newCorrelationId: () => 'made-here' } },
      );
      let told: string | undefined;
      await withCorrelation('from-caller', () => client.stats({}));
      await client.stats({}, { onTrailer: (trailer) => (told = trailer.get('x-correlation-id')) });
      expect(seen).toEqual(['from-caller', 'made-here']);
      expect(told).toBe('made-here');
    });

    it('counts calls by method and result', async () => {
      const metrics = createMetrics({ service: 'test' });
      const handlers: DataHandlers = {
        stats: () => Promise.resolve({ shards: [] }),
        get: () => Promise.reject(oaasError('NotFound', 'x')),
      };
      const { client } = await start(handlers, { server: { metrics } });
      await client.stats({});
      await client.get({}).catch(() => undefined);
      const { body } = await metrics.render();
      expect(body).toContain('grpc_server_handled_total{method="/oprc.DataService/Stats",code="OK",service="test"} 1');
      expect(body).toContain(
        'grpc_server_handled_total{method="/oprc.DataService/Get",code="NotFound",service="test"} 1',
      );
      expect(body).toContain('grpc_server_handling_seconds_count{service="test",method="/oprc.DataService/Get"} 1');
    });
  });

  describe('the end of a server', () => {
    it('lets a call under way finish and takes no new one', async () => {
      let finish: () => void = () => undefined;
      let hasStarted = false;
      const { server, client, port } = await start({
        stats: () => {
          hasStarted = true;
          return new Promise((resolve) => {
            finish = () => {
              resolve({ shards: [] });
            };
          });
        },
      });
      const answer = client.stats({});
      await eventually(() => hasStarted);
      const drained = server.drain(30_000);
      const late = carriers[carrier].channel(`127.0.0.1:${String(port)}`);
      const refused = createGrpcClient(DataServiceDefinition, late).stats({}, { deadlineMs: 5000 });
      await expect(refused).rejects.toMatchObject({ code: 'Unavailable' });
      late.close();
      finish();
      expect(await answer).toEqual({ shards: [] });
      await drained;
    });

    it('sends watchers elsewhere instead of waiting for them', async () => {
      const { server, client } = await start({
        async *listObjects(_, { signal }) {
          yield envelope('x');
          await aborted(signal);
        },
      });
      const stream = client.listObjects({})[Symbol.asyncIterator]();
      await stream.next();
      const end = expect(stream.next()).rejects.toMatchObject({
        code: 'Unavailable',
        message: 'the server is stopping',
      });
      await server.drain(400);
      await end;
    });

    it('cuts off a call that does not finish in time', async () => {
      let hasStarted = false;
      const { server, client } = await start({
        stats: () => {
          hasStarted = true;
          return new Promise(() => undefined);
        },
      });
      const failed = expect(client.stats({})).rejects.toMatchObject({ code: 'Unavailable' });
      await eventually(() => hasStarted);
      await server.drain(50);
      await failed;
    });
  });

  describe('listening', () => {
    it('says so when the port is taken', async () => {
      const { port } = await start({});
      await expect(createServer().listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'PortInUse' });
    });

    it('serves several services on one port', async () => {
      const server = createServer();
      server.add(DataServiceDefinition, { stats: () => Promise.resolve({ shards: [] }) });
      server.add(invoke.OprcFunctionDefinition, {
        invokeFn: (request) => Promise.resolve(invoke.InvocationResponse.fromPartial({ payload: request.payload })),
      });
      const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
      const channel = carriers[carrier].channel(`http://127.0.0.1:${String(port)}/`);
      ends.push(() => {
        channel.close();
      });
      const functions = createGrpcClient(invoke.OprcFunctionDefinition, channel);
      expect((await functions.invokeFn({ payload: Buffer.from('hi') })).payload?.toString()).toBe('hi');
      expect(await createGrpcClient(DataServiceDefinition, channel).stats({})).toEqual({ shards: [] });
    });
  });
});
