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
