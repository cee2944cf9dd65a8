import { afterEach, describe, expect, it } from 'vitest';
import { createEdgeChannel } from '../../grpc/edge/channel.ts';
import { createEdgeServer } from '../../grpc/edge/server.ts';
import { type Channel, createGrpcChannel } from '../../grpc/index.ts';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import { createLogger } from '../../telemetry/index.ts';
import { createDataClient, type DataClient } from '../clients.ts';
import { dataServiceDefinition } from './definition.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const logger = createLogger({ service: 'test', level: 'silent' });
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** All bytes of the n-th value are the same, and other than those of its neighbours. */
const valueOf = (n: number, size: number) => ({ data: Buffer.alloc(size, (n * 7) % 251), type: 0 as const });
const isWhole = (bytes: Buffer | undefined, n: number, size: number): boolean =>
  bytes?.equals(valueOf(n, size).data) === true;

const listed = 2000;
const listedSize = 1024;
const size = 20_000;

/** A data service over a map, and what was set in it. */
async function serve(): Promise<{ address: string; stored: Map<string, Buffer> }> {
  const stored = new Map<string, Buffer>();
  const server = createEdgeServer({ ...time, logger });
  ends.push(() => server.stop());
  const unused = () => Promise.reject(new Error('not part of the test'));
  server.add(dataServiceDefinition, {
    ...Object.fromEntries(Object.keys(dataServiceDefinition.methods).map((name) => [name, unused])),
    setValue: ({ key, value }: { key: string; value?: { data: Buffer } }) => {
      stored.set(key, Buffer.from(value?.data ?? []));
      return Promise.resolve({});
    },
    getValue: ({ key }: { key: string }) => Promise.resolve({ value: valueOf(Number(key), size), objectVersion: 1 }),
    async *listValues() {
      for (let n = 0; n < listed; n += 1) {
        yield await Promise.resolve({
          key: String(n),
          value: valueOf(n, listedSize),
          version: n,
          nextCursor: Buffer.alloc(0),
        });
      }
    },
  } as never);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { address: `127.0.0.1:${port}`, stored };
}

const carriers: [string, (address: string) => Channel][] = [
  ['the edge', (address) => createEdgeChannel(address, { ...time, connectionsPerAddress: 1 })],
  ['grpc-js', (address) => createGrpcChannel(address)],
];

describe.each(carriers)('messages that wait for a window of HTTP/2, with a client of %s', (_, channelTo) => {
  const connect = (address: string): DataClient => {
    const channel = channelTo(address);
    ends.push(() => channel.close());
    return createDataClient(channel);
  };

  it('arrive as they were sent when they are a stream', async () => {
    const client = connect((await serve()).address);
    await Promise.all(
      Array.from({ length: 3 }, async () => {
        const wrong: number[] = [];
        let n = 0;
        for await (const { key, value, version } of client.listValues({ clsId: 'c', objectId: 'o' })) {
          if (key !== String(n) || version !== n || !isWhole(value?.data, n, listedSize)) wrong.push(n);
          n += 1;
        }
        expect([n, wrong]).toEqual([listed, []]);
      }),
    );
  });

  it('arrive as they were sent when they are many requests, and many responses, at once', async () => {
    const { address, stored } = await serve();
    const client = connect(address);
    const all = Array.from({ length: 300 }, (_unused, n) => n);
    const at = (n: number) => ({ clsId: 'c', objectId: 'o', key: String(n) });
    await Promise.all(all.map((n) => client.setValue({ ...at(n), value: valueOf(n, size) })));
    expect(all.filter((n) => !isWhole(stored.get(String(n)), n, size))).toEqual([]);
    const values = await Promise.all(all.map((n) => client.getValue(at(n))));
    expect(all.filter((n) => !isWhole(values[n]?.value?.data, n, size))).toEqual([]);
  });
});
