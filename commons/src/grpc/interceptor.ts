import { type ErrorCode, isOaasError, toOaasError } from '../errors/index.ts';
import { acceptCorrelationId, correlationHeader, withCorrelation } from '../telemetry/index.ts';
import type { MethodMeter } from './call-meter.ts';
import type { CallContext } from './definition.ts';

/**
 * Stands around every call of a server, the first of the list outermost. `next` runs the rest and resolves when the call
 * is over, streams included. Throwing before `next` refuses the call; the request is not looked at.
 */
export type Interceptor = (context: CallContext, next: () => Promise<void>) => Promise<void>;

export function compose(
  interceptors: readonly Interceptor[],
): (context: CallContext, run: () => Promise<void>) => Promise<void> {
  return (context, run) => {
    const step = (index: number): Promise<void> => {
      const interceptor = interceptors[index];
      return interceptor === undefined ? run() : interceptor(context, () => step(index + 1));
    };
    return step(0);
  };
}

/** Runs the call under the caller's correlation id, or a new one, and tells the caller which it was. */
export function correlate(newId: (() => string) | undefined): Interceptor {
  return (context, next) => {
    const id = acceptCorrelationId(context.metadata.get(correlationHeader)) ?? newId?.();
    if (id === undefined) return next();
    context.setTrailer(correlationHeader, id);
    return withCorrelation(id, next);
  };
}

/** Logs failures: defects as errors with their stack, all else at debug. */
export const logFailures: Interceptor = async (context, next) => {
  try {
    await next();
  } catch (thrown) {
    const error = toOaasError(thrown);
    const fields = { method: context.method, peer: context.peer, code: error.code };
    if (error.code === 'Internal' || error.code === 'DataLoss')
      context.logger.error({ ...fields, err: error }, 'call failed');
    else context.logger.debug({ ...fields, reason: error.message }, 'call refused');
    throw error;
  }
};

/** Counts and measures calls. */
export function measure(meterOf: (method: string) => MethodMeter): Interceptor {
  const meters = new Map<string, MethodMeter>();
  const newMeter = (method: string): MethodMeter => {
    const meter = meterOf(method);
    meters.set(method, meter);
    return meter;
  };
  return async (context, next) => {
    const startedAt = performance.now();
    let code: 'OK' | ErrorCode = 'OK';
    try {
      await next();
    } catch (error) {
      code = isOaasError(error) ? error.code : 'Internal';
      throw error;
    } finally {
      const meter = meters.get(context.method) ?? newMeter(context.method);
      meter.ended(code, (performance.now() - startedAt) / 1000);
    }
  };
}
