/** Time and chance as arguments. Pure: the real ones are in `@oaas/commons/time/system`. */
export type { CancelSignal, Clock, Random, Timer, Timers } from './types.ts';
export { sleep } from './sleep.ts';
export { backoffDelay, type BackoffOptions } from './backoff.ts';
export { formatDuration, parseDuration, randomHex, toRfc3339 } from './format.ts';
