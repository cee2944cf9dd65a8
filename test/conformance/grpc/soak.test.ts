// Connections come and go, streams are reset, sizes vary: memory and handles stay as they were. Some seconds by default;
// OAAS_SOAK_MS=300000 for the long one.
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createGrpcClient } from '@oaas/commons/grpc';
import { createEdgeChannel, createEdgeServer } from '@oaas/commons/grpc/edge';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, seededRandom } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { testing } from '@oaas/proto';
import { expect, it } from 'vitest';
import { testService } from './test-service.ts';

const soakMs = Number(process.env['OAAS_SOAK_MS'] ?? 6000);
const definition = testing.TestServiceDefinition;
const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const random = seededRandom(1);
const upTo = (max: number): number => Math.floor(random.next() * (max + 1));

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** One client's life: calls of all kinds, some of them given up, and an end that is not always orderly. */
async function visit(port: number): Promise<void> {
  const channel = createEdgeChannel(`127.0.0.1:${port}`, time);
  const client = createGrpcClient(definition, channel);
  const calls = Array.from({ length: 5 + upTo(20) }, async () => {
    const cancel = new AbortController();
    const givesUp = upTo(3) === 0;
    if (givesUp) setTimeout(() => cancel.abort(), upTo(5));
    const options = { signal: cancel.signal, deadlineMs: upTo(9) === 0 ? 1 : 10_000 };
    const sizes = Array.from({ length: upTo(10) }, () => ({ size: upTo(upTo(5) === 0 ? 200_000 : 2000) }));
    switch (upTo(3)) {
      case 0:
        await client.unaryCall({ responseSize: upTo(100_000), payload: { body: Buffer.alloc(upTo(50_000)) } }, options);
        break;
      case 1:
        for await (const one of client.streamingOutputCall({ responseParameters: sizes }, options)) {
          if (one.payload !== undefined && upTo(20) === 0) break;
        }
        break;
      case 2: {
        const requests = async function* () {
          for (const { size } of sizes) yield await Promise.resolve({ payload: { body: Buffer.alloc(size) } });
        };
        await client.streamingInputCall(requests(), options);
        break;
      }
      default: {
        const requests = async function* () {
          for (const size of sizes) yield await Promise.resolve({ responseParameters: [size] });
        };
        for await (const one of client.fullDuplexCall(requests(), options)) if (one.payload === undefined) break;
      }
    }
  });
  if (upTo(4) > 0) await Promise.allSettled(calls);
  channel.close();
  await Promise.allSettled(calls);
}

/** A stranger that hangs up in the middle of a frame. */
function stranger(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      socket.write(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 99, 1, 4));
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });
}

it(
  'memory and handles stay steady while connections come and go',
  async () => {
    const server = createEdgeServer({ ...time, logger: createLogger({ service: 'soak', level: 'silent' }) });
    server.add(definition, testService);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const round = async (): Promise<void> => {
      await Promise.all([...Array.from({ length: 8 }, () => visit(port)), stranger(port)]);
      await eventually(() => server.load().connections === 0 && server.load().calls === 0);
    };
    const soak = async (ms: number): Promise<void> => {
      const end = performance.now() + ms;
      while (performance.now() < end) await round();
    };
    await soak(soakMs / 2);
    const [heap, handles] = [heapBytes(), process.getActiveResourcesInfo().length];
    await soak(soakMs / 2);
    const [laterHeap, laterHandles] = [heapBytes(), process.getActiveResourcesInfo().length];
    if (process.env['OAAS_SOAK_MS'] !== undefined) {
      const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
      console.log(`half way and at the end: heap ${mib(heap)}, ${mib(laterHeap)}; handles ${handles}, ${laterHandles}`);
    }
    expect(laterHeap - heap).toBeLessThan(3 * 1024 * 1024);
    expect(laterHandles).toBeLessThanOrEqual(handles + 2);
    server.stop();
  },
  soakMs * 2 + 60_000,
);
