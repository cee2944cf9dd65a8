import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timer, Timers } from '../time/index.ts';

/** The clock of this machine. For composition roots only. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** Longest delay of setTimeout; Node.js runs longer ones at once. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Timers of the event loop. They keep the process alive until cancelled. For composition roots only. */
export const systemTimers: Timers = {
  after(delayMs, run) {
    let handle: NodeJS.Timeout;
    const arm = (restMs: number): void => {
      handle =
        restMs <= longestTimeoutMs
          ? setTimeout(run, Math.max(0, restMs))
          : setTimeout(() => {
              arm(restMs - longestTimeoutMs);
            }, longestTimeoutMs);
    };
    arm(delayMs);
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  },
  every(intervalMs, run): Timer {
    const handle = setInterval(run, Math.min(Math.max(1, intervalMs), longestTimeoutMs));
    return {
      cancel: () => {
        clearInterval(handle);
      },
    };
  },
};

/** Chance from the operating system: fit for ids and tokens. For composition roots only. */
export const systemRandom: Random = {
  next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: (count) => new Uint8Array(randomBytes(count)),
};
