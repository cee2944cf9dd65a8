import { oaasError, type OaasError } from '@oaas/commons/errors';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { expect, it } from 'vitest';
import type { GitSource } from './types.ts';
import { type CheckResult, SourceWatcher } from './watcher.ts';

function setup(intervalMs = 15_000) {
  const time = simulatedTime();
  const results: CheckResult[] = [];
  const state = {
    commit: 'a',
    error: undefined as OaasError | undefined,
    checks: 0,
    hold: undefined as Promise<void> | undefined,
  };
  const source: Pick<GitSource, 'check'> = {
    check: async () => {
      state.checks += 1;
      await state.hold;
      if (state.error !== undefined) throw state.error;
      return state.commit;
    },
  };
  const watcher = new SourceWatcher({
    source: source as GitSource,
    ref: { type: 'branch', name: 'main' },
    intervalMs,
    clock: time.clock,
    timers: time.timers,
    random: seededRandom(1),
    onResult: (result) => results.push(result),
  });
  return { time, results, state, watcher };
}

it('a source is looked at when it starts, and then about every interval', async () => {
  const { time, state, watcher, results } = setup();
  watcher.start();
  await time.advance(61_000);
  expect(state.checks).toBe(5);
  expect(results.map((result) => result.trigger)).toEqual(['startup', 'poll', 'poll', 'poll', 'poll']);
});

it('a webhook makes it look at once; several during one look lead to one more', async () => {
  const { time, state, watcher, results } = setup();
  watcher.start();
  await time.advance(1);
  let release: () => void = () => undefined;
  state.hold = new Promise((resolve) => {
    release = resolve;
  });
  watcher.trigger('webhook');
  await time.advance(1);
  watcher.trigger('webhook');
  watcher.trigger('webhook');
  release();
  state.hold = undefined;
  await time.advance(10);
  expect(results.map((result) => result.trigger)).toEqual(['startup', 'webhook', 'webhook']);
});

it('failures are tried again less and less often, at most every five minutes, and end by themselves', async () => {
  const { time, state, watcher, results } = setup();
  state.error = oaasError('SourceUnreachable', 'away');
  watcher.start();
  await time.advance(3_600_000);
  const delays = results.map((result) => result.nextCheckAtMs - result.requestedAtMs);
  expect(delays[0]).toBeLessThanOrEqual(1000);
  expect(delays[3]).toBeGreaterThan(delays[0] ?? 0);
  expect(Math.max(...delays)).toBeLessThanOrEqual(300_000);
  expect(results.map((result) => 'error' in result.outcome && result.outcome.isStalled).slice(0, 4)).toEqual([
    false,
    false,
    true,
    true,
  ]);
  state.error = undefined;
  await time.advance(300_000);
  expect(results.at(-1)?.outcome).toEqual({ commit: 'a' });
});

it('refused credentials stall a source at once and are not tried again soon', async () => {
  const { time, state, watcher, results } = setup(1000);
  state.error = oaasError('SourceAuthFailed', 'no');
  watcher.start();
  await time.advance(200_000);
  expect(results).toHaveLength(1);
  expect(results[0]?.outcome).toMatchObject({ isStalled: true });
  watcher.trigger('manual');
  await time.advance(1);
  expect(results).toHaveLength(2);
});

it('a watcher that was stopped does not look again', async () => {
  const { time, state, watcher } = setup();
  watcher.start();
  await time.advance(1);
  await watcher.stop();
  watcher.trigger('webhook');
  await time.advance(100_000);
  expect(state.checks).toBe(1);
  expect(time.pending()).toBe(0);
});
