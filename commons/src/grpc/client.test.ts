import { connect, createServer, type Http2Server, type Settings } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { data, reflection } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, seededRandom } from '../../testkit/index.ts';
import { oaasError } from '../errors/index.ts';
import { systemClock, systemRandom, systemTimers } from '../system/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { createEdgeChannel } from './edge/index.ts';
import {
  createBreaker,
  createGrpcChannel,
  createGrpcClient,
  createGrpcServer,
  type MethodDefinition,
  type RetryOptions,
  type ServiceHandlers,
} from './index.ts';

const { DataServiceDefinition } = data;

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function serve(handlers: ServiceHandlers<typeof DataServiceDefinition>, port = 0): Promise<number> {
  const server = createGrpcServer({ logger: createLogger({ service: 'test', level: 'silent' }) });
  ends.push(() => {
    server.stop();
  });
  server.add(DataServiceDefinition, handlers);
  return (await server.listen({ host: '127.0.0.1', port })).port;
}

const openers = {
  'grpc-js': (addresses: string | readonly string[]) => createGrpcChannel(addresses),
  edge: (addresses: string | readonly string[]) =>
    createEdgeChannel(addresses, { clock: systemClock, timers: systemTimers, random: systemRandom }),
};
type Carrier = keyof typeof openers;
const carriers = ['grpc-js', 'edge'] as const satisfies readonly Carrier[];

function channelTo(carrier: Carrier, ...ports: number[]) {
  const channel = openers[carrier](ports.map((port) => `127.0.0.1:${String(port)}`));
  ends.push(() => {
    channel.close();
  });
  return channel;
}

/** A port of this machine on which nothing listens. */
async function deadPort(): Promise<number> {
  const server: Http2Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const retry: RetryOptions = {
  attempts: 4,
  backoff: { baseMs: 1, maxMs: 5, factor: 2, jitter: 1 },
  timers: systemTimers,
  random: seededRandom(1),
};

describe.each(carriers)('retries over %s', (carrier) => {
  /** A service that fails so many times before it answers. */
  async function flaky(failures: number, error = oaasError('Unavailable', 'down')) {
    let calls = 0;
    const answer = <T>(value: T) => (++calls <= failures ? Promise.reject(error) : Promise.resolve(value));
    const port = await serve({ stats: () => answer({ shards: [] }), set: () => answer({}) });
    return { channel: channelTo(carrier, port), calls: () => calls };
  }

  it('repeat a read until it succeeds', async () => {
    const { channel, calls } = await flaky(3);
    await createGrpcClient(DataServiceDefinition, channel, { retry }).stats({});
    expect(calls()).toBe(4);
  });

  it('end after the given number of calls with the last error', async () => {
    const { channel, calls } = await flaky(99);
    const answer = createGrpcClient(DataServiceDefinition, channel, { retry }).stats({});
    await expect(answer).rejects.toMatchObject({ code: 'Unavailable', message: 'down' });
    expect(calls()).toBe(4);
  });

  it('never repeat a write unless told to', async () => {
    const careful = await flaky(1);
    const once = createGrpcClient(DataServiceDefinition, careful.channel, { retry });
    await expect(once.set({})).rejects.toMatchObject({ code: 'Unavailable' });
    expect(careful.calls()).toBe(1);
    const free = await flaky(1);
    await createGrpcClient(DataServiceDefinition, free.channel, { retry: { ...retry, methods: ['Set'] } }).set({});
    expect(free.calls()).toBe(2);
  });

  it('do not repeat what was refused', async () => {
    const { channel, calls } = await flaky(99, oaasError('VersionConflict', 'x'));
    const answer = createGrpcClient(DataServiceDefinition, channel, { retry }).stats({});
    await expect(answer).rejects.toMatchObject({ code: 'VersionConflict' });
    expect(calls()).toBe(1);
  });

  it('give up at once when the service asks for a longer wait than the deadline allows', async () => {
    const { channel, calls } = await flaky(99, oaasError('NoLeader', 'x', { retryAfterMs: 60_000 }));
    const answer = createGrpcClient(DataServiceDefinition, channel, { retry }).stats({}, { deadlineMs: 5000 });
    await expect(answer).rejects.toMatchObject({ code: 'NoLeader' });
    expect(calls()).toBe(1);
  });
});

describe.each(carriers)('a circuit breaker over %s', (carrier) => {
  it('opens after failures to reach the service, lets one call try later, and closes when it succeeds', async () => {
    const port = await deadPort();
    const states: string[] = [];
    const breaker = createBreaker({ failures: 2, halfOpenAfterMs: 50, onStateChange: (state) => states.push(state) });
    const client = createGrpcClient(DataServiceDefinition, channelTo(carrier, port), { breaker });
    for (let i = 0; i < 2; i += 1) await expect(client.stats({})).rejects.toMatchObject({ code: 'Unavailable' });
    expect(breaker.state).toBe('open');
    await expect(client.stats({})).rejects.toMatchObject({ details: { circuit: 'open' }, retryAfterMs: 50 });
    await serve({ stats: () => Promise.resolve({ shards: [] }) }, port);
    await eventually(() => client.stats({}));
    expect(breaker.state).toBe('closed');
    expect(states[0]).toBe('open');
    expect(states.at(-1)).toBe('closed');
  });

  it('does not count a refusal: who refuses is there', async () => {
    const breaker = createBreaker({ failures: 1 });
    const port = await serve({ stats: () => Promise.reject(oaasError('NotFound', 'x')) });
    const client = createGrpcClient(DataServiceDefinition, channelTo(carrier, port), { breaker });
    await expect(client.stats({})).rejects.toMatchObject({ code: 'NotFound' });
    await expect(client.stats({})).rejects.toMatchObject({ code: 'NotFound' });
    expect(breaker.state).toBe('closed');
  });
});

describe.each(carriers)('a channel of %s', (carrier) => {
  it('takes its addresses in turn', async () => {
    const seen: string[] = [];
    const stats = (name: string) => () => {
      seen.push(name);
      return Promise.resolve({ shards: [] });
    };
    const channel = channelTo(carrier, await serve({ stats: stats('a') }), await serve({ stats: stats('b') }));
    const client = createGrpcClient(DataServiceDefinition, channel);
    await eventually(async () => {
      seen.length = 0;
      for (let i = 0; i < 4; i += 1) await client.stats({});
      expect(['abab', 'baba']).toContain(seen.join(''));
    });
  });

  it('passes over an address that does not answer', async () => {
    const channel = channelTo(carrier, await deadPort(), await serve({ stats: () => Promise.resolve({ shards: [] }) }));
    const client = createGrpcClient(DataServiceDefinition, channel, { retry });
    for (let i = 0; i < 6; i += 1) await client.stats({});
  });

  it('reaches a service that comes up later', async () => {
    const port = await deadPort();
    const channel = channelTo(carrier, port);
    await expect(channel.ready(50)).rejects.toMatchObject({ code: 'Unavailable' });
    await serve({ stats: () => Promise.resolve({ shards: [] }) }, port);
    await channel.ready(10_000);
    await createGrpcClient(DataServiceDefinition, channel).stats({});
  });

  it.each(['', 'host', 'ftp://host:1', 'http://host:1/path', 'host:port'])('refuses the address "%s"', (address) => {
    expect(() => openers[carrier](address)).toThrow('is not an address');
  });

  it('needs an address', () => {
    expect(() => openers[carrier]([])).toThrow('needs an address');
  });
});

describe('the flow control of a server', () => {
  it('offers windows of 1 MiB for each stream and for the connection', async () => {
    const port = await serve({});
    const session = connect(`http://127.0.0.1:${String(port)}`);
    ends.push(() => {
      session.destroy();
    });
    const settings = await new Promise<Settings>((resolve) => session.once('remoteSettings', resolve));
    expect(settings.initialWindowSize).toBe(1024 * 1024);
    expect(settings.maxConcurrentStreams).toBe(1024);
    await eventually(() => (session.state.remoteWindowSize ?? 0) >= 1024 * 1024);
  });
});

describe.each(carriers)('streams of requests over %s', (carrier) => {
  type Request = reflection.ListServiceResponse;
  type Response = reflection.ErrorResponse;
  // No contract of the platform has such a method yet, so this one is made of two small messages.
  const method = <const Q extends boolean, const S extends boolean>(
    name: string,
    requestStream: Q,
    responseStream: S,
  ) => ({
    name,
    requestType: reflection.ListServiceResponse,
    requestStream,
    responseType: reflection.ErrorResponse,
    responseStream,
    options: {},
  });
  const definition = {
    name: 'Sum',
    fullName: 'test.Sum',
    methods: { total: method('Total', true, false), running: method('Running', true, true) },
  } as const satisfies { name: string; fullName: string; methods: Record<string, MethodDefinition> };

  const amount = (request: Request): number => Number(request.service[0]?.name);
  const result = (errorCode: number): Response => ({ errorCode, errorMessage: '' });
  async function* numbers(...values: number[]) {
    for (const value of values) {
      await Promise.resolve();
      yield { service: [{ name: String(value) }] };
    }
  }

  async function start(onFinish: () => void = () => undefined) {
    const server = createGrpcServer({ logger: createLogger({ service: 'test', level: 'silent' }) });
    ends.push(() => {
      server.stop();
    });
    server.add(definition, {
      async total(requests) {
        let sum = 0;
        for await (const request of requests) {
          if (Number.isNaN(amount(request))) throw oaasError('InvalidArgument', 'no number');
          sum += amount(request);
        }
        return result(sum);
      },
      async *running(requests) {
        let sum = 0;
        try {
          for await (const request of requests) yield result((sum += amount(request)));
        } finally {
          onFinish();
        }
      },
    });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    return createGrpcClient(definition, channelTo(carrier, port));
  }

  it('are collected into one response', async () => {
    expect((await (await start()).total(numbers(1, 2, 3))).errorCode).toBe(6);
  });

  it('that the server refuses reject with its error, also when more would come', async () => {
    const client = await start();
    async function* endless() {
      yield { service: [{ name: 'x' }] };
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield { service: [{ name: '1' }] };
      }
    }
    await expect(client.total(endless())).rejects.toMatchObject({ code: 'InvalidArgument', message: 'no number' });
  });

  it('that break off in the client reject with the reason as cause', async () => {
    const client = await start();
    async function* broken() {
      yield* numbers(1);
      throw new Error('the source broke');
    }
    await expect(client.total(broken())).rejects.toMatchObject({
      code: 'Internal',
      cause: { message: 'the source broke' },
    });
  });

  it('are answered one by one', async () => {
    const client = await start();
    const sums: number[] = [];
    for await (const { errorCode } of client.running(numbers(1, 2, 3))) sums.push(errorCode);
    expect(sums).toEqual([1, 3, 6]);
  });

  it('end in the server when the client leaves', async () => {
    let isFinished = false;
    const client = await start(() => (isFinished = true));
    async function* waiting() {
      yield* numbers(1);
      await new Promise(() => undefined);
    }
    for await (const { errorCode } of client.running(waiting())) {
      expect(errorCode).toBe(1);
      break;
    }
    await eventually(() => isFinished);
  });
});
