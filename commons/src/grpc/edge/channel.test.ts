import { connect, createServer, type Server } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, simulatedTime } from '../../../testkit/index.ts';
import { createBreaker } from '../breaker.ts';
import type { Channel } from '../channel.ts';
import { createGrpcClient } from '../client.ts';
import { createEdgeChannel, type EdgeChannelOptions } from './channel.ts';
import { oaasError } from '../../errors/index.ts';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import type { EdgeServerOptions } from './server.ts';
import { definition, handlers, startServer as startOn, type TestHandlers, type TestServer } from './testing.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const startServer = (
  ...[own, options, port]: [own?: TestHandlers, options?: Partial<EdgeServerOptions>, port?: number]
): Promise<TestServer> => startOn(time, own, options, port);

const servers: TestServer[] = [];
const channels: Channel[] = [];
const others: Server[] = [];

async function serve(...args: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...args);
  servers.push(server);
  return server;
}

function open(addresses: string | string[], options: Partial<EdgeChannelOptions> = {}) {
  const channel = createEdgeChannel(addresses, { ...time, ...options });
  channels.push(channel);
  return { channel, client: createGrpcClient(definition, channel) };
}

afterEach(() => {
  for (const channel of channels.splice(0)) channel.close();
  for (const server of servers.splice(0)) server.stop();
  for (const other of others.splice(0)) other.close();
});

/** Answers with its own name, and counts. */
function named(name: string): { own: TestHandlers; count: () => number } {
  let calls = 0;
  const own: TestHandlers = {
    ...handlers,
    unaryCall: () => {
      calls += 1;
      return Promise.resolve({ payload: undefined, username: '', oauthScope: '', serverId: name });
    },
  };
  return { own, count: () => calls };
}

describe('a channel', () => {
  it('spreads calls over its addresses', async () => {
    const [a, b] = [named('a'), named('b')];
    const ports = [(await serve(a.own)).port, (await serve(b.own)).port];
    const { client, channel } = open(ports.map((port) => `127.0.0.1:${port}`));
    await channel.ready(5000);
    await eventually(async () => {
      await client.unaryCall({});
      return a.count() > 0 && b.count() > 0;
    });
    const before = [a.count(), b.count()] as const;
    await Promise.all(Array.from({ length: 100 }, () => client.unaryCall({})));
    expect([a.count() - before[0], b.count() - before[1]]).toEqual([50, 50]);
  });

  it('goes on with the address that is left when a server goes, and comes back to it', async () => {
    const [a, b] = [named('a'), named('b')];
    const first = await serve(a.own);
    const second = await serve(b.own);
    const { client } = open([`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`], { reconnectMaxMs: 100 });
    await eventually(async () => {
      await client.unaryCall({});
      return a.count() > 0 && b.count() > 0;
    });
    first.stop();
    await eventually(async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => client.unaryCall({})));
      return answers.every(({ serverId }) => serverId === 'b');
    });
    const again = named('a');
    await serve(again.own, {}, first.port);
    await eventually(async () => {
      await client.unaryCall({});
      return again.count() > 0;
    });
  });

  it('loses no call when a server is drained under load', async () => {
    const first = await serve();
    const second = await serve();
    const { client, channel } = open([`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`]);
    await channel.ready(5000);
    let isOver = false;
    let calls = 0;
    const worker = async (): Promise<void> => {
      while (!isOver) {
        await client.unaryCall({ responseSize: 100 });
        calls += 1;
      }
    };
    const workers = Promise.all(Array.from({ length: 20 }, worker));
    await eventually(() => calls > 500);
    await first.server.drain(10_000);
    const after = calls;
    await eventually(() => calls > after + 500);
    isOver = true;
    await workers;
  });

  it('tells at once when nobody is there, and tries again after a pause', async () => {
    const gone = await startServer();
    gone.stop();
    const { client, channel } = open(`127.0.0.1:${gone.port}`, { reconnectMaxMs: 50 });
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(channel.ready(100)).rejects.toMatchObject({ code: 'Unavailable' });
    await serve(handlers, {}, gone.port);
    await channel.ready(10_000);
    expect(await client.emptyCall({})).toEqual({});
  });

  it('gives up on a server that accepts and says nothing', async () => {
    const mute = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    others.push(mute);
    await once(mute, 'listening');
    const { client } = open(`127.0.0.1:${(mute.address() as AddressInfo).port}`, { connectMs: 100 });
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('refuses a server that speaks something else', async () => {
    const http1 = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    }).listen(0, '127.0.0.1');
    others.push(http1);
    await once(http1, 'listening');
    const { client } = open(`127.0.0.1:${(http1.address() as AddressInfo).port}`);
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('calls over the limit of streams wait for room', async () => {
    const { port } = await serve(handlers, { maxConcurrentStreams: 3 });
    const { client } = open(`127.0.0.1:${port}`);
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => client.unaryCall({ responseSize: i })));
    expect(answers.map(({ payload }) => payload?.body.length)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it('too many waiting calls are refused', async () => {
    const own: TestHandlers = { emptyCall: () => new Promise(() => undefined) };
    const { port } = await serve(own, { maxConcurrentStreams: 1 });
    const { client, channel } = open(`127.0.0.1:${port}`, { waitingMax: 5 });
    await channel.ready(5000);
    const outcomes = Array.from({ length: 10 }, () =>
      client.emptyCall({}, { deadlineMs: 300 }).catch((e: unknown) => e),
    );
    const codes = (await Promise.all(outcomes)).map((error) => (error as { code: string }).code);
    expect(codes.filter((code) => code === 'ResourceExhausted')).toHaveLength(4);
    expect(codes.filter((code) => code === 'DeadlineExceeded')).toHaveLength(6);
  });

  it('a call that waits for a connection can be cancelled, and then is not sent', async () => {
    const { own, count } = named('a');
    const { port } = await serve(own);
    const { client } = open(`127.0.0.1:${port}`);
    const cancel = new AbortController();
    const call = client.unaryCall({}, { signal: cancel.signal });
    cancel.abort();
    await expect(call).rejects.toMatchObject({ code: 'Cancelled' });
    await client.emptyCall({});
    expect(count()).toBe(0);
  });

  it('calls under way hear of it when it closes', async () => {
    const { port, server } = await serve({ emptyCall: () => new Promise(() => undefined) });
    const { client, channel } = open(`127.0.0.1:${port}`);
    const call = client.emptyCall({});
    call.catch(() => undefined);
    await eventually(() => server.load().calls === 1);
    channel.close();
    await expect(call).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('retries and breaks like the other client', async () => {
    let calls = 0;
    const own: TestHandlers = {
      emptyCall: () => {
        calls += 1;
        return calls < 3 ? Promise.reject(oaasError('Unavailable', 'not yet')) : Promise.resolve({});
      },
    };
    const { port } = await serve(own);
    const { channel } = open(`127.0.0.1:${port}`);
    const retry = { attempts: 3, timers: time.timers, random: time.random, methods: 'all' as const };
    const client = createGrpcClient(definition, channel, {
      retry,
      breaker: createBreaker({ failures: 10, halfOpenAfterMs: 1000 }),
    });
    expect(await client.emptyCall({})).toEqual({});
    expect(calls).toBe(3);
  });

  it.each(['', 'host', 'ftp://host:1', 'host:port'])('refuses the address "%s"', (address) => {
    expect(() => createEdgeChannel(address, time)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }));
  });

  it('refuses metadata that the protocol cannot carry', async () => {
    const { port } = await serve();
    const { client } = open(`127.0.0.1:${port}`);
    for (const metadata of [{ 'grpc-status': '0' }, { 'bad key': 'x' }, { text: 'snow ☃' }]) {
      await expect(client.emptyCall({}, { metadata })).rejects.toMatchObject({ code: 'InvalidArgument' });
    }
  });
});

it('a channel that failed is tried again while it is called or waited for, and rests otherwise until the next call', async () => {
  let dialled = 0;
  const deaf = createServer((socket) => {
    dialled += 1;
    socket.destroy();
  });
  others.push(deaf);
  deaf.listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  const { timers, advance } = simulatedTime();
  const { port } = deaf.address() as AddressInfo;
  const { channel } = open(`127.0.0.1:${port}`, { timers });
  const client = createGrpcClient(definition, channel);
  await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  expect(dialled).toBe(1);
  await advance(20_000);
  // Connections are taken in their order: had it dialled again, that would have come before this one.
  await once(connect(port, '127.0.0.1').resume(), 'close');
  expect(dialled).toBe(2);
  await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  expect(dialled).toBe(3);
  await expect(client.emptyCall({})).rejects.toMatchObject({ code: 'Unavailable' });
  await advance(20_000);
  await eventually(() => dialled === 4);
});
