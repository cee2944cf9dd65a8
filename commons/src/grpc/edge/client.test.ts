import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { testingMessages } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../testkit/index.ts';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import { createLogger } from '../../telemetry/index.ts';
import { createGrpcClient, createGrpcServer } from '../index.ts';
import { createEdgeChannel, type EdgeChannelOptions } from './channel.ts';
import { createEdgeServer } from './server.ts';
import { definition, handlers, type TestHandlers } from './testing.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const logger = createLogger({ service: 'test', level: 'silent' });

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function clientTo(port: number, options: Partial<EdgeChannelOptions> = {}) {
  const channel = createEdgeChannel(`127.0.0.1:${port}`, { ...time, ...options });
  ends.push(() => channel.close());
  return createGrpcClient(definition, channel);
}

async function serve(own: TestHandlers, carrier: 'edge' | 'grpc-js' = 'edge'): Promise<number> {
  const server = carrier === 'edge' ? createEdgeServer({ ...time, logger }) : createGrpcServer({ logger });
  ends.push(() => server.stop());
  server.add(definition, own);
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port;
}

const sized = (size: number) => ({ payload: { type: 0 as const, body: Buffer.alloc(size, 7) } });

describe('responses that are not read', () => {
  const endless: TestHandlers = {
    ...handlers,
    async *streamingOutputCall() {
      for (;;) yield await Promise.resolve(sized(50_000));
    },
  };

  it('are held up to the bound of the channel: the call that passes it fails, and the others go on', async () => {
    const client = clientTo(await serve(endless), { heldBytesMax: 3_000_000 });
    const streams = Array.from({ length: 10 }, () => client.streamingOutputCall({})[Symbol.asyncIterator]());
    const firsts = await Promise.allSettled(streams.map((stream) => stream.next()));
    // Each may be sent 1 MiB more before it is read.
    const left: typeof streams = [];
    await eventually(async () => {
      left.length = 0;
      let refused = 0;
      for (const [i, stream] of streams.entries()) {
        if (firsts[i]?.status === 'rejected') {
          refused += 1;
          continue;
        }
        const step = await stream.next().catch((error: unknown) => error);
        if ((step as { code?: string }).code !== undefined) {
          expect(step).toMatchObject({ code: 'ResourceExhausted' });
          refused += 1;
          firsts[i] = { status: 'rejected', reason: step };
        } else left.push(stream);
      }
      return refused > 0;
    });
    expect(left.length).toBeGreaterThan(1);
    for (let round = 0; round < 50; round += 1) {
      for (const stream of left) expect((await stream.next()).done).toBe(false);
    }
    for (const stream of left) await stream.return?.();
    // What they held is given back.
    for (let i = 0; i < 20; i += 1) {
      const call = client.streamingOutputCall({})[Symbol.asyncIterator]();
      expect((await call.next()).done).toBe(false);
      await call.return?.();
    }
  });

  it('are bounded while they are still on their way, too', async () => {
    const large: TestHandlers = { unaryCall: () => Promise.resolve({ ...handlersAnswer, ...sized(5_000_000) }) };
    const client = clientTo(await serve(large), { heldBytesMax: 8_000_000 });
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => client.unaryCall({})));
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'ResourceExhausted' });
    for (let i = 0; i < 5; i += 1) expect((await client.unaryCall({})).payload?.body.length).toBe(5_000_000);
  });
});

const handlersAnswer = { username: '', oauthScope: '', serverId: '' };

describe('compression of requests', () => {
  const echo: TestHandlers = {
    unaryCall: ({ payload }) => Promise.resolve({ ...handlersAnswer, payload }),
    async streamingInputCall(requests) {
      let size = 0;
      for await (const { payload } of requests) size += payload?.body.length ?? 0;
      return { aggregatedPayloadSize: size };
    },
    async *fullDuplexCall(requests) {
      for await (const { payload } of requests) yield { payload };
    },
  };

  it.each(['edge', 'grpc-js'] as const)('is understood by a server of %s, message by message', async (carrier) => {
    const client = clientTo(await serve(echo, carrier), { compressFrom: 1000 });
    for (const size of [10, 5000]) {
      expect((await client.unaryCall(sized(size))).payload?.body.length).toBe(size);
    }
    async function* requests() {
      for (const size of [10, 5000, 10]) yield await Promise.resolve(sized(size));
    }
    expect((await client.streamingInputCall(requests())).aggregatedPayloadSize).toBe(5020);
    const got: number[] = [];
    for await (const { payload } of client.fullDuplexCall(requests())) got.push(payload?.body.length ?? -1);
    expect(got).toEqual([10, 5000, 10]);
  });

  it('is announced and marked where it pays, and off unless it is asked for', async () => {
    const seen: { encoding: string | undefined; flag: number | undefined; body: Buffer }[] = [];
    const server: Http2Server = createServer();
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const body = Buffer.concat(chunks);
        seen.push({ encoding: headers['grpc-encoding']?.toString(), flag: body[0], body: body.subarray(5) });
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8' }, { endStream: true });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const packing = clientTo(port, { compressFrom: 1000 });
    for (const client of [packing, clientTo(port)]) {
      for (const size of [10, 5000]) await client.unaryCall(sized(size)).catch(() => undefined);
    }
    expect(seen.map(({ encoding, flag }) => [encoding, flag])).toEqual([
      [undefined, 0],
      ['gzip', 1],
      [undefined, 0],
      [undefined, 0],
    ]);
    const plain = testingMessages.SimpleRequest.decode(gunzipSync(seen[1]?.body ?? Buffer.alloc(0)));
    expect(plain.payload?.body.length).toBe(5000);
  });
});
