import type { Implementation } from '../../conformance/grpc/serve.ts';
import { startLoad, startServer } from './programs.ts';
import { absolute, type Line } from './report.ts';

const connections = 1000;
const settleMs = 1500;

/** What a thousand connections, each used and open, take more than one. */
export async function memory(): Promise<readonly Line[]> {
  const figures = { ours: await growthMiB('ours'), 'grpc-js': await growthMiB('grpc-js') };
  const name = `memory for ${connections} connections more`;
  return [{ name, unit: 'MiB', figures, bars: [absolute(figures.ours, 'MiB', 60)] }];
}

async function growthMiB(impl: Implementation): Promise<number> {
  const server = await startServer(impl);
  const hold = { client: 'ours', load: 'hold', port: server.port, outstanding: 1, warmUpMs: 0, measureMs: 0 } as const;
  try {
    const one = await startLoad({ ...hold, connections: 1 });
    const before = await settled(server);
    const many = await startLoad({ ...hold, connections });
    const after = await settled(server);
    await one.stop();
    await many.stop();
    return (after - before) / 2 ** 20;
  } finally {
    await server.stop();
  }
}

async function settled(server: Awaited<ReturnType<typeof startServer>>): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  return (await server.usage()).rssBytes;
}
