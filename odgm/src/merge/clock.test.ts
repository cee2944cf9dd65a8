import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from './bytes.ts';
import { compareStamps, earlierStamp, HybridClock, laterStamp, maxStampMs, type Stamp, stampBytes } from './index.ts';
import { readStamp, writeStamp } from './stamp.ts';

const stamp: fc.Arbitrary<Stamp> = fc.record({
  ms: fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 0, max: maxStampMs })),
  counter: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 65535 })),
  member: fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
});

function bytesOf(value: Stamp): Uint8Array {
  const out = new Writer(stampBytes);
  writeStamp(out, value);
  return out.bytes;
}

describe('a stamp', () => {
  it('sorts as its bytes do, and comes back from them', () => {
    fc.assert(
      fc.property(stamp, stamp, (a, b) => {
        expect(Math.sign(compareStamps(a, b))).toBe(Buffer.compare(bytesOf(a), bytesOf(b)));
        expect(readStamp(new Reader(bytesOf(a)))).toEqual(a);
        expect(compareStamps(laterStamp(a, b), earlierStamp(a, b))).toBeGreaterThanOrEqual(0);
        expect([a, b]).toContain(laterStamp(a, b));
      }),
      { numRuns: 1000 },
    );
  });

  it('is not read from bytes that end early or name no number', () => {
    for (const bytes of [new Uint8Array(15), new Uint8Array(16).fill(255)]) {
      const from = new Reader(bytes);
      readStamp(from);
      expect(from.failed).toBe(true);
    }
  });
});

describe('a hybrid clock', () => {
  it('gives ever later stamps, later than all that it observed, whatever the wall clock does', () => {
    const step = fc.record({
      now: fc.integer({ min: -50, max: 100_000 }),
      remote: fc.option(stamp, { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const clock = new HybridClock({ member: 7 });
        let last: Stamp | undefined;
        for (const { now, remote } of steps) {
          const before = clock.last;
          if (remote !== undefined && clock.observe(remote, now)) last = laterStamp(last ?? remote, remote);
          else expect(clock.last).toEqual(before);
          const given = clock.tick(now);
          expect(given.member).toBe(7);
          if (last !== undefined) expect(compareStamps(given, last)).toBeGreaterThan(0);
          expect(given.ms).toBeGreaterThanOrEqual(now);
          last = given;
        }
      }),
    );
  });

  it('is the wall clock while that goes on', () => {
    const clock = new HybridClock({ member: 1 });
    expect(clock.tick(1000.9)).toEqual({ ms: 1000, counter: 0, member: 1 });
    expect(clock.tick(1000)).toEqual({ ms: 1000, counter: 1, member: 1 });
    expect(clock.tick(2000)).toEqual({ ms: 2000, counter: 0, member: 1 });
  });

  it('says for how long others would not take its stamps, after the wall clock was set back', () => {
    const clock = new HybridClock({ member: 1, last: { ms: 100_000, counter: 0, member: 1 } });
    expect([94_000, 94_999, 95_000, 100_001].map((now) => clock.aloneMs(now))).toEqual([1000, 1, 0, 0]);
    const other = new HybridClock({ member: 2 });
    expect(other.observe(clock.tick(94_999), 94_999)).toBe(false);
    expect(other.observe(clock.tick(95_000), 95_000)).toBe(true);
  });

  it('refuses stamps that are too far ahead, and only those', () => {
    const clock = new HybridClock({ member: 1 });
    expect(clock.observe({ ms: 6001, counter: 0, member: 2 }, 1000)).toBe(false);
    expect(clock.tick(1000).ms).toBe(1000);
    expect(clock.observe({ ms: 6000, counter: 9, member: 2 }, 1000)).toBe(true);
    expect(clock.tick(1000)).toEqual({ ms: 6000, counter: 10, member: 1 });
    const strict = new HybridClock({ member: 1, maxAheadMs: 0 });
    expect(strict.observe({ ms: 1001, counter: 0, member: 2 }, 1000)).toBe(false);
  });

  it('does not go back over a restart, although the wall clock did', () => {
    const before = new HybridClock({ member: 1 });
    const given = before.tick(5000);
    const after = new HybridClock({ member: 1, last: before.last });
    expect(compareStamps(after.tick(10), given)).toBeGreaterThan(0);
  });

  it('borrows from the next millisecond when the counter is used up', () => {
    const clock = new HybridClock({ member: 1, last: { ms: 1000, counter: 65535, member: 9 } });
    expect(clock.tick(1000)).toEqual({ ms: 1001, counter: 0, member: 1 });
  });

  it('refuses a member that is none, and time beyond what a stamp holds', () => {
    for (const member of [0, -1, 1.5]) expect(() => new HybridClock({ member })).toThrow('member number');
    expect(() => new HybridClock({ member: 1 }).tick(maxStampMs + 1)).toThrow('beyond what a stamp can hold');
  });
});
