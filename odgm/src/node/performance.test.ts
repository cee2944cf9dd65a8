import { simulatedTime } from '@oaas/commons/testkit';
import { expect, it } from 'vitest';
import { OperationWindow } from './performance.ts';

it('tells rate and percentile of the last ten whole seconds, and forgets older ones', async () => {
  const { clock, advance } = simulatedTime();
  const window = new OperationWindow(clock);
  expect(window.read()).toEqual({ perSecond: 0, p99Ms: 0 });
  for (let second = 0; second < 10; second++) {
    for (let i = 0; i < 98; i++) window.record(1);
    window.record(200);
    window.record(200);
    await advance(1000);
  }
  const { perSecond, p99Ms } = window.read();
  expect(perSecond).toBe(100);
  expect(p99Ms).toBeGreaterThanOrEqual(200);
  expect(p99Ms).toBeLessThan(320);
  await advance(11_000);
  expect(window.read()).toEqual({ perSecond: 0, p99Ms: 0 });
});

it('takes durations of zero and of minutes', async () => {
  const { clock, advance } = simulatedTime();
  const window = new OperationWindow(clock);
  window.record(0);
  window.record(600_000);
  await advance(1000);
  expect(window.read().perSecond).toBe(0.2);
});
