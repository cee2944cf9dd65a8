import type { Plan } from './edge.ts';
import type { LoadOptions, LoadResult } from './load-client.ts';
import { startLoad, startServer } from './programs.ts';
import { absolute, type Line, median, noWorse, times } from './report.ts';

const warmUpMs = 1000;

/** Our client and that of grpc-js, each in one process against our server in another; each with what suits it best. */
export async function callingClients(plan: Plan): Promise<readonly Line[]> {
  const server = await startServer('ours');
  try {
    const lines: Line[] = [];
    for (const load of ['set', 'get'] as const) {
      const best = async (client: LoadOptions['client']): Promise<number> => {
        const found: number[] = [];
        for (const connections of [1, 4]) {
          const results = await repeat(plan, { client, load, port: server.port, connections, outstanding: 256 });
          found.push(median(results.map(({ count, seconds }) => count / seconds)));
        }
        return Math.max(...found);
      };
      const figures = { ours: await best('ours'), 'grpc-js': await best('grpc-js') };
      const bars = [absolute(figures.ours, '/s', 40_000), times(figures.ours, figures['grpc-js'], 4)];
      lines.push({ name: `${load} by one client, 256 at once`, unit: '/s', figures, bars });
    }
    const streams = await repeat(plan, {
      ...{ client: 'ours', load: 'list', port: server.port, connections: 1, outstanding: 1 },
    });
    const ours = median(streams.map(({ count, seconds }) => count / seconds));
    lines.push({ name: 'messages of 100 B taken by one client', unit: '/s', figures: { ours }, bars: [] });
    return lines;
  } finally {
    await server.stop();
  }
}

/** The way of a single call, client and server of the same kind. */
export async function oneAtATime(plan: Plan): Promise<readonly Line[]> {
  const p50 = async (kind: 'ours' | 'grpc-js', load: 'set' | 'get'): Promise<number> => {
    const server = await startServer(kind);
    try {
      const options = { client: kind, load, port: server.port, connections: 1, outstanding: 1 };
      return median((await repeat(plan, options)).map(({ p50Ms }) => p50Ms));
    } finally {
      await server.stop();
    }
  };
  const lines: Line[] = [];
  for (const load of ['set', 'get'] as const) {
    const figures = { ours: await p50('ours', load), 'grpc-js': await p50('grpc-js', load) };
    const bars = [absolute(figures.ours, 'ms', 0.15), noWorse(figures.ours, figures['grpc-js'])];
    lines.push({ name: `one ${load} at a time, p50`, unit: 'ms', figures, bars });
  }
  return lines;
}

async function repeat(
  { runs, seconds }: Plan,
  options: Omit<LoadOptions, 'warmUpMs' | 'measureMs'>,
): Promise<readonly LoadResult[]> {
  const results: LoadResult[] = [];
  for (let run = 0; run < runs; run += 1) {
    const { result, stop } = await startLoad({ ...options, warmUpMs, measureMs: seconds * 1000 });
    results.push(result);
    await stop();
  }
  return results;
}
