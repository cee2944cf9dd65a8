import { type ErrorCode, isOaasError } from '../errors/index.ts';
import { backoffDelay, type BackoffOptions, type Random, sleep, type Timers } from '../time/index.ts';
import type { MethodDefinition } from './definition.ts';

export interface RetryOptions {
  /** Calls in all, the first included. */
  readonly attempts: number;
  /** Default: 50 ms doubling to 1 s, all of it random. */
  readonly backoff?: BackoffOptions | undefined;
  readonly timers: Timers;
  readonly random: Random;
  /**
   * Which methods may be sent twice. Default: those that the contract marks as without side effects, and those named
   * Get…, List…, Check, Stats or Capabilities. `all` is for services whose writes are idempotent.
   */
  readonly methods?: 'all' | readonly string[] | undefined;
}

const defaultBackoff: BackoffOptions = { baseMs: 50, maxMs: 1000, factor: 2, jitter: 1 };

/** Errors after which the same call may succeed at another moment. */
const retryable: ReadonlySet<ErrorCode> = new Set([
  'Unavailable',
  'NoLeader',
  'ClusterUnreachable',
  'SourceUnreachable',
]);

export function mayRetry(method: MethodDefinition, methods: RetryOptions['methods']): boolean {
  if (methods === 'all') return true;
  if (methods !== undefined) return methods.includes(method.name);
  const level = (method.options as { idempotencyLevel?: string }).idempotencyLevel;
  return (
    level === 'NO_SIDE_EFFECTS' ||
    level === 'IDEMPOTENT' ||
    /^(?:Get|List)(?:[A-Z]|$)|^(?:Check|Stats|Capabilities)$/.test(method.name)
  );
}

/**
 * Calls `attempt` until it succeeds, fails for good, or has been called `attempts` times. It waits as long as the error
 * asks for, or its backoff; never beyond `endsAt` (epoch ms): then it gives up with the last error at once.
 */
export async function withRetry<T>(
  options: RetryOptions,
  call: { readonly endsAt: number; readonly now: () => number; readonly signal: AbortSignal | undefined },
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isOaasError(error) || !retryable.has(error.code) || tries >= options.attempts) throw error;
      const delayMs = Math.max(
        backoffDelay(tries - 1, options.backoff ?? defaultBackoff, options.random),
        error.retryAfterMs ?? 0,
      );
      if (call.now() + delayMs >= call.endsAt) throw error;
      await sleep(options.timers, delayMs, call.signal);
    }
  }
}
