import type { Clock, Timers } from '@oaas/commons/time';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { cookies } from 'next/headers';
import { readConfig, type ConsoleConfig } from './config.ts';
import { cookieName, openSession, type Session } from './session.ts';
import { createFailureLimiter, type FailureLimiter } from './sign-in.ts';

export interface ServerRuntime {
  readonly config: ConsoleConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly limiter: FailureLimiter;
}

let runtime: ServerRuntime | undefined;

/**
 * What the console's server runs on. Next loads routes by itself and gives no composition root, so this is it: read once,
 * at the first request. Throws `ConfigInvalid`.
 */
export function serverRuntime(): ServerRuntime {
  runtime ??= {
    config: readConfig(),
    clock: systemClock,
    timers: systemTimers,
    limiter: createFailureLimiter(systemClock),
  };
  return runtime;
}

/** The session of the request that is being answered; null where nobody is signed in. */
export async function currentSession(): Promise<Session | null> {
  const { config, clock } = serverRuntime();
  const jar = await cookies();
  return openSession(jar.get(cookieName(config.cookieKey))?.value, config.cookieKey, clock);
}
