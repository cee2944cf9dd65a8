import { expect, test } from 'vitest';
import { LonePoll } from './lone-poll.ts';

const pollMs = 0.2;

/** A loop whose turns and time the test drives. */
function world() {
  let nowMs = 0;
  const queue: (() => void)[] = [];
  const clock = { now: () => 0, monotonic: () => nowMs };
  const poll = new LonePoll({ clock, pollMs, soon: (run) => queue.push(run) });
  return {
    pass(ms: number): void {
      nowMs += ms;
    },
    /** A request whose answer takes longer than its turn. */
    request(afterMs: number): void {
      nowMs += afterMs;
      poll.heard(nowMs);
      poll.called();
      poll.written(1);
    },
    /** A caller's request after `afterMs`, answered in the same turn. */
    call(afterMs: number): void {
      nowMs += afterMs;
      poll.heard(nowMs);
      poll.called();
      poll.written(0);
    },
    poll,
    /** One turn of the loop; false: it would have slept. */
    turn(): boolean {
      const runs = queue.splice(0);
      for (const run of runs) run();
      return runs.length > 0;
    },
  };
}

function quickCalls(loop: ReturnType<typeof world>, count: number): void {
  for (let i = 0; i < count; i += 1) loop.call(0.1);
}

test('stays awake once eight calls in a row came within the bound of the answer before', () => {
  const loop = world();
  quickCalls(loop, 8);
  expect(loop.turn()).toBe(false);
  loop.call(0.1);
  expect(loop.turn()).toBe(true);
  expect(loop.turn()).toBe(true);
});

test('sleeps when the bound is over, and until eight quick calls have shown again that it pays', () => {
  const loop = world();
  quickCalls(loop, 9);
  expect(loop.turn()).toBe(true);
  loop.pass(pollMs);
  expect(loop.turn()).toBe(true);
  expect(loop.turn()).toBe(false);
  quickCalls(loop, 8);
  expect(loop.turn()).toBe(false);
  loop.call(0.1);
  expect(loop.turn()).toBe(true);
});

test('does not stay awake for a caller who takes its time', () => {
  const loop = world();
  for (let i = 0; i < 30; i += 1) loop.call(pollMs * 1.5);
  expect(loop.turn()).toBe(false);
});

test('does not stay awake while the call is under way, but goes on after its answer', () => {
  const loop = world();
  quickCalls(loop, 9);
  expect(loop.turn()).toBe(true);
  loop.request(0.1);
  expect(loop.turn()).toBe(true);
  expect(loop.turn()).toBe(false);
  loop.pass(5);
  loop.poll.written(0);
  expect(loop.turn()).toBe(true);
});

test('does not stay awake for calls that overlap', () => {
  const loop = world();
  quickCalls(loop, 9);
  loop.turn();
  loop.pass(0.1);
  loop.poll.called();
  loop.poll.called();
  loop.poll.written(0);
  loop.pass(pollMs);
  loop.turn();
  expect(loop.turn()).toBe(false);
});

test('has no more than one look at a time under way', () => {
  const loop = world();
  quickCalls(loop, 20);
  loop.pass(pollMs);
  expect(loop.turn()).toBe(true);
  expect(loop.turn()).toBe(false);
});
