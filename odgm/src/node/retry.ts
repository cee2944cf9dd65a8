import type { Logger } from '@oaas/commons/telemetry';
import { sleep, type Timers } from '@oaas/commons/time';

export interface RetryOptions {
  readonly timers: Timers;
  readonly logger: Logger;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

const pauseMs = 100;

/** Tries again until `run` resolves or the node stops: then it rejects with what `run` did last. */
export async function untilItWorks(
  { timers, logger, signal }: RetryOptions,
  what: string,
  run: () => Promise<unknown>,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await run();
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      if (tries === 10) logger.warn({ err: error, what }, 'still waiting for the cluster');
    }
    await sleep(timers, pauseMs, signal);
  }
}
