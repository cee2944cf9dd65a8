import type { Throttle } from '../meta/index.ts';

/** A token bucket as a value: `tokens` at time `at`. */
export interface TokenBucket {
  readonly tokens: number;
  /** Milliseconds on a clock that does not jump. */
  readonly at: number;
}

/** Tokens gather for at most this long, so that a pause is not followed by a burst. */
const burstMs = 250;

/**
 * Takes `amount` if the bucket is not in debt, and may leave it in debt: so one chunk may be larger than the burst.
 * Otherwise says how long to wait. The rate may be another one each time.
 */
export function takeTokens(
  bucket: TokenBucket,
  amount: number,
  ratePerSecond: number,
  now: number,
): { readonly bucket: TokenBucket; readonly waitMs: number } {
  const most = (ratePerSecond * burstMs) / 1000;
  const tokens = Math.min(most, bucket.tokens + (Math.max(0, now - bucket.at) * ratePerSecond) / 1000);
  if (tokens <= 0)
    return { bucket: { tokens, at: now }, waitMs: Math.max(1, Math.ceil((-tokens * 1000) / ratePerSecond)) };
  return { bucket: { tokens: tokens - amount, at: now }, waitMs: 0 };
}

/** What clients feel while tasks run. */
export interface LoadSample {
  readonly p99Ms: number;
  /** The same before the task began, or while nothing moves. */
  readonly idleP99Ms: number;
  /** Requests that wait on the busiest member. */
  readonly queue: number;
  /** Slowest durable write of a log since the last sample. */
  readonly flushMs: number;
}

export interface AdaptiveLimits {
  /** p99 may be so many times the idle one. Default 3. */
  readonly p99Factor: number;
  /** Default 1,000. */
  readonly queue: number;
  /** Default 2,000. */
  readonly flushMs: number;
}

export const defaultAdaptiveLimits: AdaptiveLimits = { p99Factor: 3, queue: 1000, flushMs: 2000 };

const leastBytesPerSecond = 64 * 1024;

/**
 * The throttle to use next: half of everything while a limit is exceeded, else one move and a sixteenth of the rate
 * more, up to what was configured (additive increase, multiplicative decrease). At least one move goes on.
 */
export function adaptThrottle(
  current: Throttle,
  configured: Throttle,
  sample: LoadSample,
  limits: AdaptiveLimits,
): Throttle {
  const isOverloaded =
    sample.p99Ms > limits.p99Factor * Math.max(1, sample.idleP99Ms) ||
    sample.queue > limits.queue ||
    sample.flushMs > limits.flushMs;
  const count = (now: number, most: number): number =>
    Math.min(most, isOverloaded ? Math.max(1, Math.floor(now / 2)) : now + 1);
  const rate = (now: number, most: number): number =>
    Math.min(most, isOverloaded ? Math.max(leastBytesPerSecond, now / 2) : now + most / 16);
  return {
    movesPerNode: count(current.movesPerNode, configured.movesPerNode),
    movesPerCluster: count(current.movesPerCluster, configured.movesPerCluster),
    leaderMoves: count(current.leaderMoves, configured.leaderMoves),
    bytesPerSecond: rate(current.bytesPerSecond, configured.bytesPerSecond),
    checks: count(current.checks, configured.checks),
    checkBytesPerSecond: rate(current.checkBytesPerSecond, configured.checkBytesPerSecond),
    adaptive: configured.adaptive,
  };
}
