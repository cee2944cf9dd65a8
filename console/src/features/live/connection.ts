/** How the tab hears of changes. live: events flow · reconnecting: they stopped a moment ago · polling: asking again and again instead. */
export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'polling';

/** Without a sign of life for this long the stream counts as broken; heartbeats come every 10 s. */
export const silenceMs = 25_000;
/** A stream that is gone for longer than this is replaced by polling, and still tried again. */
export const patienceMs = 6_000;
export const pollMs = 5_000;

export function liveState(facts: {
  readonly open: boolean;
  readonly everOpen: boolean;
  readonly downSinceMs: number | null;
  readonly nowMs: number;
}): LiveState {
  if (facts.open) return 'live';
  if (facts.downSinceMs !== null && facts.nowMs - facts.downSinceMs >= patienceMs) return 'polling';
  return facts.everOpen ? 'reconnecting' : 'connecting';
}

/** Milliseconds before the next try to open the stream: 1, 2, 4, 8, then every 10 s. */
export function reconnectDelay(failures: number): number {
  return Math.min(10_000, 1000 * 2 ** Math.max(0, failures - 1));
}
