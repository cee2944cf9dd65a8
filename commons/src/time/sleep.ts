import { oaasError } from '../errors/index.ts';
import type { CancelSignal, Timers } from './types.ts';

/** Resolves after `ms` milliseconds. Rejects with `Cancelled` as soon as `signal` aborts. */
export function sleep(timers: Timers, ms: number, signal?: CancelSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancelled = () => oaasError('Cancelled', 'the wait was cancelled', { cause: signal?.reason });
    if (signal?.aborted === true) {
      reject(cancelled());
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(cancelled());
    };
    const timer = timers.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
