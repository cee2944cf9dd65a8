import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@oaas/commons/time';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Compares in constant time: hashing makes both sides equally long, and both parts are always compared. */
export function credentialsMatch(given: Credentials, password: string): boolean {
  const user = same(given.user, 'admin');
  return same(given.password, password) && user;
}

function same(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

export interface FailureLimiter {
  /** Milliseconds until another try is heard; 0 means now. */
  waitMs(): number;
  failed(): void;
}

/**
 * Counts failed sign-ins of the one account over a sliding window. At the bound every further try is refused, right or
 * wrong, until the oldest failure leaves the window: guessing runs at `failures` per `windowMs`, from however many addresses.
 */
export function createFailureLimiter(clock: Clock, failures = 10, windowMs = 60_000): FailureLimiter {
  const times: number[] = [];
  const forget = () => {
    while (times[0] !== undefined && times[0] + windowMs <= clock.monotonic()) times.shift();
  };
  return {
    waitMs() {
      forget();
      const oldest = times[0];
      return oldest === undefined || times.length < failures ? 0 : oldest + windowMs - clock.monotonic();
    },
    failed() {
      forget();
      times.push(clock.monotonic());
      if (times.length > failures) times.shift();
    },
  };
}
