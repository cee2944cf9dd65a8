import { describe, expect, it } from 'vitest';
import { liveState, patienceMs, reconnectDelay } from './connection.ts';

describe('the state of the event stream', () => {
  it('an open stream is live', () => {
    expect(liveState({ open: true, everOpen: true, downSinceMs: null, nowMs: 0 })).toBe('live');
  });

  it('a stream that breaks is reconnecting first, and is replaced by polling when patience ends', () => {
    const broken = { open: false, everOpen: true, downSinceMs: 1000 };
    expect(liveState({ ...broken, nowMs: 1000 + patienceMs - 1 })).toBe('reconnecting');
    expect(liveState({ ...broken, nowMs: 1000 + patienceMs })).toBe('polling');
  });

  it('a stream that never opened is connecting, then polling', () => {
    expect(liveState({ open: false, everOpen: false, downSinceMs: 0, nowMs: 10 })).toBe('connecting');
    expect(liveState({ open: false, everOpen: false, downSinceMs: 0, nowMs: patienceMs })).toBe('polling');
  });

  it('the tries come further apart up to a bound', () => {
    expect([1, 2, 3, 4, 5, 60].map(reconnectDelay)).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  });
});
