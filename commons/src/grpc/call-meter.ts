import type { ErrorCode } from '../errors/index.ts';
import { durationBuckets, type Metrics } from '../telemetry/index.ts';

/** Methods that metrics tell apart; the rest counts as `other`. */
const methodsMax = 200;
/** The codes of the error table, and OK. */
const codesMax = 40;

/** Counts the calls of one method. */
export interface MethodMeter {
  ended(code: 'OK' | ErrorCode, seconds: number): void;
}

/** Counts calls by method and result, and measures them. @returns the meter of a method, by its path. */
export function createCallMeter(metrics: Metrics): (method: string) => MethodMeter {
  const handled = metrics.counter({
    name: 'grpc_server_handled_total',
    help: 'Calls that ended, by method and result.',
    labels: { method: methodsMax, code: codesMax },
  });
  const duration = metrics.histogram({
    name: 'grpc_server_handling_seconds',
    help: 'How long calls took, streams until their end.',
    labels: { method: methodsMax },
    buckets: durationBuckets,
  });
  return (method) => {
    const observe = duration.bind({ method });
    const counters = new Map<string, () => void>();
    const counterOf = (code: string): (() => void) => {
      const count = handled.bind({ method, code });
      counters.set(code, count);
      return count;
    };
    return {
      ended: (code, seconds) => {
        (counters.get(code) ?? counterOf(code))();
        observe(seconds);
      },
    };
  };
}
