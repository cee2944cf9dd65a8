import type { Clock, Random, Timer, Timers } from '../src/time/index.ts';

interface Scheduled {
  readonly order: number;
  readonly intervalMs: number | undefined;
  dueAt: number;
  readonly run: () => void;
}

/** A clock and timers that move only when a test says so. */
export interface SimulatedTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /**
   * Moves the time on by `ms`, running each timer at its time, in order of time and then of creation. Between timers
   * it lets promises settle, so that what a timer started can set the next one.
   */
  readonly advance: (ms: number) => Promise<void>;
  /** Timers that are still to run. */
  readonly pending: () => number;
}

/** @param startMs wall-clock time at the beginning; default 2026-01-01T00:00:00Z. */
export function simulatedTime(startMs = 1_767_225_600_000): SimulatedTime {
  const scheduled = new Set<Scheduled>();
  let elapsed = 0;
  let order = 0;

  const schedule = (delayMs: number, intervalMs: number | undefined, run: () => void): Timer => {
    const entry: Scheduled = { order: order++, intervalMs, dueAt: elapsed + Math.max(0, delayMs), run };
    scheduled.add(entry);
    return { cancel: () => void scheduled.delete(entry) };
  };

  const nextUntil = (limit: number): Scheduled | undefined => {
    let next: Scheduled | undefined;
    for (const entry of scheduled) {
      if (entry.dueAt > limit) continue;
      if (next === undefined || entry.dueAt < next.dueAt || (entry.dueAt === next.dueAt && entry.order < next.order)) {
        next = entry;
      }
    }
    return next;
  };

  return {
    clock: { now: () => startMs + elapsed, monotonic: () => elapsed },
    timers: {
      after: (delayMs, run) => schedule(delayMs, undefined, run),
      every: (intervalMs, run) => schedule(Math.max(1, intervalMs), Math.max(1, intervalMs), run),
    },
    async advance(ms) {
      const end = elapsed + ms;
      await settle();
      for (let entry = nextUntil(end); entry !== undefined; entry = nextUntil(end)) {
        elapsed = Math.max(elapsed, entry.dueAt);
        if (entry.intervalMs === undefined) scheduled.delete(entry);
        else entry.dueAt += entry.intervalMs;
        entry.run();
        await settle();
      }
      elapsed = end;
    },
    pending: () => scheduled.size,
  };
}

/** A turn of the event loop lets every promise reaction run that needs no I/O. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * A repeatable source of chance: sfc32 (C. Doty-Humphrey, PractRand), its 128-bit state filled from the 32-bit `seed`
 * by splitmix32, and 12 outputs dropped. Equal seeds give equal sequences on every machine. Not for secrets.
 */
export function seededRandom(seed: number): Random {
  let filler = seed >>> 0;
  const fill = (): number => {
    filler = (filler + 0x9e3779b9) >>> 0;
    let mixed = filler ^ (filler >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  let a = fill();
  let b = fill();
  let c = fill();
  let counter = 1;
  const next32 = (): number => {
    const result = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + result) >>> 0;
    return result;
  };
  for (let i = 0; i < 12; i += 1) next32();
  return {
    next: () => (next32() * 2 ** 21 + (next32() >>> 11)) / 2 ** 53,
    bytes: (count) => Uint8Array.from({ length: count }, () => next32() & 0xff),
  };
}
