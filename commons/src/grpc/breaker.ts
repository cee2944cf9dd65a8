import { BrokenCircuitError, circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel';
import { errorTable, isOaasError, oaasError } from '../errors/index.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

export interface BreakerOptions {
  /** Calls in a row that could not reach the service, until it is left alone. Default 5. */
  readonly failures?: number | undefined;
  /** How long it is left alone before one call may try. Default 10,000 ms. */
  readonly halfOpenAfterMs?: number | undefined;
  readonly onStateChange?: ((state: BreakerState) => void) | undefined;
}

/** Guards one service; clients of the same service share one. */
export interface Breaker {
  readonly state: BreakerState;
  /** Runs `call`, or rejects at once with `Unavailable` and a `retryAfterMs` while the circuit is open. */
  execute<T>(call: () => Promise<T>): Promise<T>;
}

const stateNames = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  // Only by hand, which nobody here does.
  [CircuitState.Isolated]: 'open',
} as const satisfies Record<CircuitState, BreakerState>;

/** A circuit breaker that counts only failures to reach the service: a refusal shows that it is there. */
export function createBreaker(options: BreakerOptions = {}): Breaker {
  const halfOpenAfterMs = options.halfOpenAfterMs ?? 10_000;
  const policy = circuitBreaker(handleWhen(isUnreachable), {
    halfOpenAfter: halfOpenAfterMs,
    breaker: new ConsecutiveBreaker(options.failures ?? 5),
  });
  policy.onStateChange((state) => options.onStateChange?.(stateNames[state]));
  return {
    get state() {
      return stateNames[policy.state];
    },
    async execute(call) {
      try {
        return await policy.execute(call);
      } catch (error) {
        if (!(error instanceof BrokenCircuitError)) throw error;
        throw oaasError('Unavailable', 'the service did not answer of late and is left alone for a while', {
          retryAfterMs: halfOpenAfterMs,
          details: { circuit: 'open' },
          cause: error,
        });
      }
    },
  };
}

function isUnreachable(error: Error): boolean {
  if (!isOaasError(error) || error.code === 'NoLeader') return false;
  return errorTable[error.code].grpc === errorTable.Unavailable.grpc || error.code === 'DeadlineExceeded';
}
