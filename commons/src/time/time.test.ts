import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom, simulatedTime } from '../../testkit/index.ts';
import { backoffDelay, formatDuration, parseDuration, randomHex, sleep, toRfc3339 } from './index.ts';

describe('toRfc3339', () => {
  it('writes the same text as the standard library for any time in its range', () => {
    const first = Date.UTC(0, 0, 1) - 1900 * 365.2425 * 86_400_000;
    fc.assert(
      fc.property(fc.integer({ min: Math.ceil(first) + 86_400_000 * 10, max: 253_402_300_799_999 }), (ms) => {
        expect(toRfc3339(ms)).toBe(new Date(ms).toISOString());
      }),
    );
  });

  it('knows leap days and the ends of years', () => {
    expect(toRfc3339(Date.UTC(2024, 1, 29, 23, 59, 59, 999))).toBe('2024-02-29T23:59:59.999Z');
    expect(toRfc3339(Date.UTC(2100, 1, 28) + 86_400_000)).toBe('2100-03-01T00:00:00.000Z');
    expect(toRfc3339(-1)).toBe('1969-12-31T23:59:59.999Z');
  });

  it('refuses years of five digits', () => {
    expect(() => toRfc3339(253_402_300_800_000)).toThrow('RFC 3339');
    expect(() => toRfc3339(Number.NaN)).toThrow('RFC 3339');
  });
});

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['0', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '15', 's', '-1s', '1 s', '1x', '1..5s', 'Infinitys'])('"%s" is refused', (text) => {
    expect(() => parseDuration(text)).toThrow('is not a duration');
  });

  it('are read back as they were written', () => {
    fc.assert(fc.property(fc.nat(), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('backoff', () => {
  const options = { baseMs: 100, maxMs: 5000, factor: 2, jitter: 0.5 };

  it('doubles up to its cap, and jitter only shortens it', () => {
    const random = seededRandom(1);
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      const full = Math.min(5000, 100 * 2 ** attempt);
      const delay = backoffDelay(attempt, options, random);
      expect(delay).toBeLessThanOrEqual(full);
      expect(delay).toBeGreaterThanOrEqual(full / 2);
    }
  });

  it('without jitter is exact', () => {
    expect(backoffDelay(3, { ...options, jitter: 0 }, seededRandom(1))).toBe(800);
  });
});

describe('sleep', () => {
  it('ends when its time has come', async () => {
    const time = simulatedTime();
    let isAwake = false;
    void sleep(time.timers, 100).then(() => (isAwake = true));
    await time.advance(99);
    expect(isAwake).toBe(false);
    await time.advance(1);
    expect(isAwake).toBe(true);
  });

  it('is cut short by its signal and leaves no timer behind', async () => {
    const time = simulatedTime();
    const abort = new AbortController();
    const slept = sleep(time.timers, 100, abort.signal);
    abort.abort();
    await expect(slept).rejects.toMatchObject({ code: 'Cancelled' });
    expect(time.pending()).toBe(0);
    await expect(sleep(time.timers, 100, abort.signal)).rejects.toMatchObject({ code: 'Cancelled' });
  });
});

describe('randomHex', () => {
  it('writes two digits for every byte, small ones too', () => {
    expect(randomHex({ next: () => 0, bytes: () => Uint8Array.of(0, 1, 255) }, 3)).toBe('0001ff');
  });
});
