import { extras, type Implementation } from '../../conformance/grpc/serve.ts';
import type { Plan } from './edge.ts';
import { loadNatively, type NativeLoad, type NativeResult } from './h2load.ts';
import { bodies, streamLength } from './messages.ts';
import { type ServerProcess, startServer } from './programs.ts';
import { absolute, type Bar, type Line, median, noWorse, times } from './report.ts';

type Servers = ReadonlyMap<Implementation, ServerProcess>;

/** Calls outstanding, and how they lie on connections: few busy ones, and more that have less to say each. */
const shapes = [
  { connections: 4, streams: 16, barPerSecond: 90_000 },
  { connections: 4, streams: 64, barPerSecond: 120_000 },
  { connections: 16, streams: 4, barPerSecond: undefined },
  { connections: 16, streams: 16, barPerSecond: undefined },
] as const;

const pathOf = (method: keyof typeof bodies): string => `/oprc.DataService/${method}`;

/** Set and Get, as many as the server takes. @param tls folder with the certificate of the servers. */
export async function unary(plan: Plan, impls: readonly Implementation[], tls?: string): Promise<readonly Line[]> {
  return withServers(impls, tls, async (servers) => {
    const lines: Line[] = [];
    for (const { connections, streams, barPerSecond } of tls === undefined ? shapes : shapes.slice(0, 2)) {
      for (const method of ['Set', 'Get'] as const) {
        const { figures, cpu } = await rates(plan, servers, {
          ...{ path: pathOf(method), bodies: [bodies[method]], connections, streams, isTls: tls !== undefined },
        });
        const { ours = 0, 'grpc-js': reference = 0 } = figures;
        const bars: Bar[] = [];
        if (tls !== undefined) bars.push(times(ours, reference, 3, 'grpc-js with TLS'));
        else if (barPerSecond !== undefined) {
          bars.push(absolute(ours, '/s', barPerSecond), times(ours, reference, 5));
        }
        const name = `${method}${tls === undefined ? '' : ' TLS'}, ${connections * streams} on ${connections} connections`;
        lines.push({ name, unit: '/s', figures, bars });
        lines.push({ name: `${name}, for a second of its processor`, unit: '/s', figures: cpu, bars: [] });
      }
    }
    return lines;
  });
}

/** What stands around calls, one thing at a time: calls for a second of our server's processor. */
export async function interceptors(plan: Plan): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for (const extra of [undefined, ...extras]) {
    const server = await startServer('ours', { extras: extra === undefined ? [] : [extra] });
    try {
      const load = { path: '/oprc.DataService/Set', bodies: [bodies.Set], connections: 4, streams: 16 };
      const { cpu } = await rates(plan, new Map([['ours', server]]), load);
      const name = `Set ${extra === undefined ? 'with nothing around it' : `with ${extra}`}, for a second of its processor`;
      lines.push({ name, unit: '/s', figures: cpu, bars: [] });
    } finally {
      await server.stop();
    }
  }
  return lines;
}

/** The same number of calls a second to each server. */
const equalRate = 4000;

/** How long calls take at a rate that all servers bear. */
export async function equalLoad(plan: Plan, impls: readonly Implementation[]): Promise<readonly Line[]> {
  return withServers(impls, undefined, async (servers) => {
    const lines: Line[] = [];
    for (const method of ['Set', 'Get'] as const) {
      const load = { path: pathOf(method), bodies: [bodies[method]], connections: 4, streams: 64, rate: equalRate };
      const results = await inTurn(plan, servers, load);
      const figures = mapValues(results, (all) => median(all.map(({ p99Ms }) => p99Ms ?? Number.NaN)));
      lines.push({
        ...{ name: `${method} at ${equalRate}/s, p99`, unit: 'ms', figures },
        bars: [noWorse(figures.ours ?? Number.NaN, figures['grpc-js'] ?? Number.NaN)],
      });
    }
    return lines;
  });
}

/** Messages of 100 B from the server, 4 streams at once. node:http2 here knows no streams. */
export async function streaming(plan: Plan): Promise<readonly Line[]> {
  return withServers(['ours', 'grpc-js'], undefined, async (servers) => {
    const load = { path: pathOf('ListValues'), bodies: [bodies.ListValues], connections: 4, streams: 1 };
    const { figures, cpu } = await rates(plan, servers, load);
    const messages = (calls: Figures): Figures => mapValues(calls, (count) => count * streamLength);
    const name = 'server streaming, messages of 100 B';
    const perSecond = messages(figures);
    return [
      { name, unit: '/s', figures: perSecond, bars: [absolute(perSecond.ours ?? 0, '/s', 300_000)] },
      { name: `${name}, for a second of its processor`, unit: '/s', figures: messages(cpu), bars: [] },
    ];
  });
}

type Figures = Partial<Record<Implementation, number>>;
type Load = Pick<NativeLoad, 'path' | 'bodies' | 'connections' | 'streams' | 'isTls' | 'rate'>;
type Result = NativeResult & { readonly perCpuSecond: number };

async function rates(plan: Plan, servers: Servers, load: Load): Promise<{ figures: Figures; cpu: Figures }> {
  const results = await inTurn(plan, servers, load);
  return {
    figures: mapValues(results, (all) => median(all.map(({ perSecond }) => perSecond))),
    cpu: mapValues(results, (all) => median(all.map(({ perCpuSecond }) => perCpuSecond))),
  };
}

async function inTurn(
  { runs, seconds, dir }: Plan,
  servers: Servers,
  load: Load,
): Promise<Partial<Record<Implementation, Result[]>>> {
  const results: Partial<Record<Implementation, Result[]>> = {};
  for (let run = 0; run < runs; run += 1) {
    for (const [impl, server] of servers) {
      const before = await server.usage();
      const result = await loadNatively(dir, { ...load, port: server.port, seconds, warmUpSeconds: 1 });
      const { cpuMs } = await server.usage();
      // The warm-up is as busy as the rest.
      const calls = result.perSecond * (seconds + 1);
      (results[impl] ??= []).push({ ...result, perCpuSecond: calls / ((cpuMs - before.cpuMs) / 1000) });
    }
  }
  return results;
}

async function withServers<T>(
  impls: readonly Implementation[],
  tls: string | undefined,
  use: (servers: Servers) => Promise<T>,
): Promise<T> {
  const servers = new Map<Implementation, ServerProcess>();
  try {
    for (const impl of impls) servers.set(impl, await startServer(impl, { tls }));
    return await use(servers);
  } finally {
    for (const server of servers.values()) await server.stop();
  }
}

function mapValues<T, R>(
  record: Partial<Record<Implementation, T>>,
  map: (value: T) => R,
): Partial<Record<Implementation, R>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
