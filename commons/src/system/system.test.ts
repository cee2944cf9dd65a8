import { describe, expect, it } from 'vitest';
import { systemClock, systemRandom, systemTimers } from './index.ts';

describe('the time and the chance of this machine', () => {
  it('run a timer once, and a cancelled one never', async () => {
    const ran: string[] = [];
    const cancelled = systemTimers.after(0, () => ran.push('cancelled'));
    cancelled.cancel();
    await new Promise<void>((resolve) => {
      systemTimers.after(5, () => {
        ran.push('after');
        resolve();
      });
    });
    expect(ran).toEqual(['after']);
  });

  it('do not run a timer at once that is longer than setTimeout can be', async () => {
    let hasRun = false;
    const timer = systemTimers.after(2 ** 40, () => (hasRun = true));
    await new Promise<void>((resolve) => void systemTimers.after(20, resolve));
    timer.cancel();
    expect(hasRun).toBe(false);
  });

  it('repeat a timer until it is cancelled', async () => {
    let runs = 0;
    await new Promise<void>((resolve) => {
      const timer = systemTimers.every(1, () => {
        runs += 1;
        if (runs < 3) return;
        timer.cancel();
        resolve();
      });
    });
    expect(runs).toBe(3);
  });

  it('give numbers in [0, 1) and as many bytes as asked for', () => {
    const value = systemRandom.next();
    expect(value).toBeGreaterThanOrEqual(0);
    expect(value).toBeLessThan(1);
    expect(systemRandom.bytes(7)).toHaveLength(7);
    expect(systemClock.monotonic()).toBeLessThanOrEqual(systemClock.monotonic());
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(60_000);
  });
});
