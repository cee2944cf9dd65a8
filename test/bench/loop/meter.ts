import type { Figure } from './report.ts';
import { cpuMs, type Stand } from './stand.ts';

/** Requests that change something; the others are few and cheap. */
const writes = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE']);

/** What one package has cost so far. */
export interface Work {
  /** Processor time in milliseconds, by program. */
  readonly cpuMs: ReadonlyMap<string, number>;
  /** Writes at the real API server, by verb and resource. Empty at the embedded one, which runs in the benchmark's own process. */
  readonly writes: ReadonlyMap<string, number>;
}

/**
 * Counts what the programs spend from now on. Unlike the time that passes, this says much the same on a machine that is busy
 * with something else.
 */
export async function startMeter(stand: Stand): Promise<{ read(packages: number): Promise<Work> }> {
  const pids = new Map([...stand.apiPids, ['CRM', stand.pid('crm-cloud')], ['PM', stand.pid('pm')]]);
  const cpuBefore = new Map([...pids].map(([name, pid]) => [name, cpuMs(pid)]));
  const requestsBefore = await stand.requests();
  return {
    async read(packages) {
      // First, because reading the server's metrics takes it a while.
      const spent = [...pids].map(
        ([name, pid]) => [name, (cpuMs(pid) - (cpuBefore.get(name) ?? 0)) / packages] as const,
      );
      const requests = [...(await stand.requests())]
        .map(([key, count]) => [key, (count - (requestsBefore.get(key) ?? 0)) / packages] as const)
        .filter(([key, count]) => writes.has(key.split(' ')[0] ?? '') && count >= 0.05)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return { cpuMs: new Map(spent), writes: new Map(requests) };
    },
  };
}

export function figuresOf(when: string, work: Work): readonly Figure[] {
  const list = (values: ReadonlyMap<string, number>, unit: string): string =>
    [...values].map(([key, value]) => `${key} ${value.toFixed(1)}${unit}`).join(', ');
  const figure = (name: string, value: string): Figure => ({ name, value, bar: '', met: undefined });
  return [
    figure(`processor time per package ${when}`, list(work.cpuMs, ' ms')),
    ...(work.writes.size === 0 ? [] : [figure(`writes per package ${when}`, list(work.writes, ''))]),
  ];
}
