import type { Random } from './types.ts';

export interface BackoffOptions {
  /** Delay before the first retry, in milliseconds. */
  readonly baseMs: number;
  /** No delay is longer than this. */
  readonly maxMs: number;
  /** Growth per attempt, at least 1. */
  readonly factor: number;
  /** Share of the delay that is random, 0..1. 1 is "full jitter". */
  readonly jitter: number;
}

/**
 * Capped exponential backoff with jitter: `d = min(maxMs, baseMs * factor^attempt)`, and the result is uniform in
 * `[d * (1 - jitter), d]`. `attempt` counts failures from 0.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffDelay(attempt: number, options: BackoffOptions, random: Random): number {
  const full = Math.min(options.maxMs, options.baseMs * options.factor ** Math.max(0, attempt));
  return full * (1 - options.jitter * random.next());
}
