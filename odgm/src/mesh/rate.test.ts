import { simulatedTime } from '@oaas/commons/testkit';
import type { Timers } from '@oaas/commons/time';
import { describe, expect, it } from 'vitest';
import { ByteRate } from './rate.ts';

const never = new AbortController().signal;

describe('a byte rate', () => {
  it('lets so many bytes a second pass over all who share it', async () => {
    const time = simulatedTime();
    const rate = new ByteRate({ ...time, bytesPerSecond: 100_000 });
    let passed = 0;
    const flow = async (): Promise<void> => {
      for (;;) {
        await rate.take(1000, never);
        passed += 1000;
      }
    };
    void flow();
    void flow();
    await time.advance(10_000);
    expect(passed).toBeGreaterThan(980_000);
    expect(passed).toBeLessThan(1_012_000);
  });

  it('follows the time that has passed, also where timers are late', async () => {
    const time = simulatedTime();
    const late: Timers = { ...time.timers, after: (ms, run) => time.timers.after(ms + 60, run) };
    const rate = new ByteRate({ clock: time.clock, timers: late, bytesPerSecond: 100_000 });
    let passed = 0;
    const flow = async (): Promise<void> => {
      for (;;) {
        await rate.take(1000, never);
        passed += 1000;
      }
    };
    void flow();
    await time.advance(10_000);
    expect(passed).toBeGreaterThan(950_000);
    expect(passed).toBeLessThan(1_012_000);
  });

  it('can be changed while bytes wait, down to nothing and up to no limit', async () => {
    const time = simulatedTime();
    const rate = new ByteRate({ ...time, bytesPerSecond: 0 });
    let passed = 0;
    const flow = async (): Promise<void> => {
      for (let i = 0; i < 500; i += 1) {
        await rate.take(1000, never);
        passed += 1000;
      }
    };
    void flow();
    await time.advance(5000);
    expect(passed).toBe(0);
    rate.bytesPerSecond = 10_000;
    await time.advance(5000);
    expect(passed).toBeGreaterThan(40_000);
    expect(passed).toBeLessThan(55_000);
    rate.bytesPerSecond = Number.POSITIVE_INFINITY;
    await time.advance(1000);
    expect(passed).toBe(500_000);
  });

  it('frees who gives up, and lets the next one go on', async () => {
    const time = simulatedTime();
    const rate = new ByteRate({ ...time, bytesPerSecond: 1000 });
    await time.advance(100);
    await rate.take(2000, never);
    const abort = new AbortController();
    const given = rate.take(1000, abort.signal);
    let isNext = false;
    void rate.take(1000, never)?.then(() => (isNext = true));
    abort.abort();
    await expect(given).rejects.toMatchObject({ code: 'Cancelled' });
    expect(isNext).toBe(false);
    await time.advance(2500);
    expect(isNext).toBe(true);
  });
});
