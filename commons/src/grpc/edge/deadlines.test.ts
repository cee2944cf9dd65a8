import fc from 'fast-check';
import { expect, it } from 'vitest';
import { simulatedTime } from '../../../testkit/index.ts';
import { Deadlines, type Timed, untimed } from './deadlines.ts';

it('each deadline that is not taken back passes once, not early and at most 5 ms late', async () => {
  const call = fc.record({ at: fc.nat(200), lasts: fc.nat(100), ends: fc.nat(150) });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 30 }), async (calls) => {
      const time = simulatedTime();
      const deadlines = new Deadlines(time.clock, time.timers);
      const start = time.clock.monotonic();
      const expired: { call: number; at: number }[] = [];
      for (const [i, { at, lasts, ends }] of calls.entries()) {
        const timed: Timed = {
          dueMs: untimed,
          expire: () => expired.push({ call: i, at: time.clock.monotonic() - start }),
        };
        time.timers.after(at, () => deadlines.add(timed, start + at + lasts));
        time.timers.after(at + ends, () => deadlines.remove(timed));
      }
      await time.advance(1000);
      for (const [i, { at, lasts, ends }] of calls.entries()) {
        const times = expired.filter((one) => one.call === i).map((one) => one.at);
        const due = at + lasts;
        // What ends before it is due never expires; what is not ended 5 ms after it was due has.
        if (ends < lasts) expect(times).toEqual([]);
        else if (ends > lasts + 5) expect(times).toHaveLength(1);
        for (const passed of times) {
          expect(passed).toBeGreaterThanOrEqual(due);
          expect(passed).toBeLessThanOrEqual(due + 5);
        }
      }
    }),
  );
});

it('nothing is left to run when no deadline is open, or when it was closed', async () => {
  const time = simulatedTime();
  const deadlines = new Deadlines(time.clock, time.timers);
  const timed: Timed = { dueMs: untimed, expire: () => expect.unreachable() };
  deadlines.add(timed, time.clock.monotonic() + 10);
  deadlines.remove(timed);
  await time.advance(100);
  expect(time.pending()).toBe(0);
  deadlines.add(timed, time.clock.monotonic() + 10);
  deadlines.close();
  deadlines.add(timed, time.clock.monotonic() + 10);
  await time.advance(100);
  expect(time.pending()).toBe(0);
});
