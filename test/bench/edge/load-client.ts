// A client that loads a server: started by the benchmark with a channel to it, with its options as JSON.
import { createDataClient, type DataClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { address, streamLength, value } from './messages.ts';

export interface LoadOptions {
  readonly client: 'ours' | 'grpc-js';
  /** `hold`: one call on each connection, then nothing until the process is stopped. */
  readonly load: 'set' | 'get' | 'list' | 'hold';
  readonly port: number;
  readonly connections: number;
  readonly outstanding: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  /** Calls, or messages of a stream, that ended while it was measured. */
  readonly count: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

const options = JSON.parse(process.argv[2] ?? '') as LoadOptions;
process.send?.(await measure(options));

async function measure({ load, connections, ...rest }: LoadOptions): Promise<LoadResult> {
  const channel = open(rest.client, rest.port, connections);
  const client = createDataClient(channel, { deadlineMs: 60_000 });
  await channel.ready(30_000);
  await client.set({ ...address, object: { entries: { value } } });
  const times: number[] = [];
  if (load === 'hold') {
    // Several rounds, so that connections that were slow to open are used as well.
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: connections }, () => client.get(address)));
    }
    return resultOf(0, 0, times, 0);
  }
  let count = 0;
  const warmEnd = performance.now() + rest.warmUpMs;
  const end = warmEnd + rest.measureMs;
  const run = async (): Promise<void> => {
    for (let now = performance.now(); now < end;) {
      const done = await once(client, load);
      const at = performance.now();
      if (now >= warmEnd && at <= end) {
        count += done;
        times.push(at - now);
      }
      now = at;
    }
  };
  const running = Array.from({ length: rest.outstanding }, run);
  await new Promise((resolve) => setTimeout(resolve, rest.warmUpMs));
  const cpu = process.cpuUsage();
  await Promise.all(running);
  const { user, system } = process.cpuUsage(cpu);
  channel.close();
  return resultOf(count, rest.measureMs / 1000, times, (user + system) / 1000);
}

async function once(client: DataClient, load: 'set' | 'get' | 'list'): Promise<number> {
  switch (load) {
    case 'set':
      await client.set({ ...address, object: { entries: { value } } });
      return 1;
    case 'get':
      await client.get(address);
      return 1;
    case 'list': {
      let count = 0;
      for await (const one of client.listValues({ ...address, limit: streamLength })) if (one.key !== '') count += 1;
      return count;
    }
  }
}

function open(client: LoadOptions['client'], port: number, connections: number): Channel {
  const target = `127.0.0.1:${port}`;
  // grpc-js makes one connection for each address it is given.
  if (client === 'grpc-js') return createGrpcChannel(Array.from({ length: connections }, () => target));
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  return createEdgeChannel(target, { ...time, connectionsPerAddress: connections });
}

function resultOf(count: number, seconds: number, times: number[], cpuMs: number): LoadResult {
  const sorted = Float64Array.from(times).sort();
  const at = (fraction: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
  return { count, seconds, p50Ms: at(0.5), p99Ms: at(0.99), cpuMs };
}
