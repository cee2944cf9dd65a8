import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually, seededRandom, simulatedTime, tempDir } from './index.ts';

describe('seeded chance', () => {
  it('repeats itself for the same seed, and differs for another', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return [random.next(), random.next(), ...random.bytes(4)];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('spreads evenly over [0, 1)', () => {
    const random = seededRandom(42);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i += 1) {
      const value = random.next();
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(1);
      const bucket = Math.floor(value * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('simulated time', () => {
  it('runs timers in the order of their times, also those that a timer sets', async () => {
    const { clock, timers, advance } = simulatedTime(0);
    const seen: string[] = [];
    timers.after(20, () => seen.push(`b@${String(clock.now())}`));
    timers.after(10, () => {
      seen.push(`a@${String(clock.now())}`);
      timers.after(5, () => seen.push(`c@${String(clock.now())}`));
    });
    await advance(100);
    expect(seen).toEqual(['a@10', 'c@15', 'b@20']);
    expect(clock.monotonic()).toBe(100);
  });

  it('lets promises settle between two timers', async () => {
    const { timers, advance } = simulatedTime();
    let steps = 0;
    const loop = async () => {
      for (let i = 0; i < 3; i += 1) {
        await new Promise<void>((resolve) => void timers.after(10, resolve));
        steps += 1;
      }
    };
    const done = loop();
    await advance(30);
    await done;
    expect(steps).toBe(3);
  });

  it('repeats an interval until it is cancelled, also from within', async () => {
    const { timers, advance, pending } = simulatedTime();
    let runs = 0;
    const timer = timers.every(10, () => {
      runs += 1;
      if (runs === 2) timer.cancel();
    });
    await advance(100);
    expect(runs).toBe(2);
    expect(pending()).toBe(0);
  });
});

describe('eventually', () => {
  it('gives the value once the probe no longer throws or says false', async () => {
    let tries = 0;
    const value = await eventually(
      () => {
        tries += 1;
        if (tries === 1) throw new Error('not yet');
        return tries < 3 ? false : 'there';
      },
      { intervalMs: 1 },
    );
    expect(value).toBe('there');
    expect(tries).toBe(3);
  });

  it('takes a probe of assertions alone', async () => {
    let count = 0;
    await eventually(() => {
      count += 1;
      expect(count).toBe(3);
    });
    expect(count).toBe(3);
  });

  it('fails with the last reason when the time is over', async () => {
    const probe = () => {
      throw new Error('the reason');
    };
    await expect(eventually(probe, { timeoutMs: 5, intervalMs: 1 })).rejects.toThrow('the reason');
    await expect(eventually(() => false, { timeoutMs: 5, intervalMs: 1 })).rejects.toThrow('did not hold');
  });
});

describe('a temporary folder', () => {
  it('goes with all that is in it', async () => {
    const dir = await tempDir();
    await writeFile(join(dir.path, 'file'), 'x');
    await dir.remove();
    expect(existsSync(dir.path)).toBe(false);
  });
});
