import { describe, expect, it } from 'vitest';
import { createFailureLimiter, credentialsMatch } from './sign-in.ts';

describe('credentials', () => {
  it('match only for the admin with the whole password', () => {
    expect(credentialsMatch({ user: 'admin', password: 'open sesame' }, 'open sesame')).toBe(true);
    expect(credentialsMatch({ user: 'admin', password: 'open' }, 'open sesame')).toBe(false);
    expect(credentialsMatch({ user: 'root', password: 'open sesame' }, 'open sesame')).toBe(false);
  });
});

describe('the limit on failed sign-ins', () => {
  it('refuses after the last allowed failure and hears again when the oldest leaves the window', () => {
    let now = 0;
    const limiter = createFailureLimiter({ now: () => now, monotonic: () => now }, 3, 1000);
    for (const time of [0, 100, 200]) {
      now = time;
      expect(limiter.waitMs()).toBe(0);
      limiter.failed();
    }
    now = 300;
    expect(limiter.waitMs()).toBe(700);
    now = 1000;
    expect(limiter.waitMs()).toBe(0);
  });
});
