import { checkPorts, planPorts } from '../sandbox/ports.ts';

/** The first base from `from` on whose fixed ports are all free, so that suites may run side by side. */
export async function freePortBase(from: number): Promise<number> {
  for (let base = from; base < 60_000; base += 3000) {
    try {
      await checkPorts(planPorts(base, ['cloud', 'edge']), base);
      return base;
    } catch {
      // Taken; the next one.
    }
  }
  throw new Error(`no free ports from ${from} on`);
}
