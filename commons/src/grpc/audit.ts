import { type ErrorCode, toOaasError } from '../errors/index.ts';
import type { AuditRecord, AuditSink } from '../security/index.ts';
import { currentCorrelationId } from '../telemetry/index.ts';
import type { Clock } from '../time/index.ts';
import { subjectOf } from './authenticate.ts';
import type { CallContext } from './definition.ts';
import type { Interceptor } from './interceptor.ts';

export interface AuditOptions {
  readonly sink: AuditSink;
  readonly clock: Clock;
  /** What a method does, such as `task.cancel`. Undefined: its calls leave no record. */
  readonly actionOf: (method: string) => string | undefined;
}

/** Where a handler leaves what the call was about, such as `task/17`, in the attributes of the call. */
export const auditResourceKey = 'audit.resource';

const denials: ReadonlySet<ErrorCode> = new Set(['Unauthenticated', 'PermissionDenied']);

/**
 * Leaves a record of each call of the methods that `actionOf` names, whether it succeeded or not. A call that cannot be
 * recorded fails. Belongs outside of what refuses callers, so that refusals are recorded too.
 */
export function audit({ sink, clock, actionOf }: AuditOptions): Interceptor {
  return async (context, next) => {
    const action = actionOf(context.method);
    if (action === undefined) {
      await next();
      return;
    }
    try {
      await next();
    } catch (thrown) {
      const { code, message } = toOaasError(thrown);
      const result = denials.has(code) ? 'denied' : 'failed';
      await sink.record({ ...recordOf(context, action, clock), result, reason: message });
      throw thrown;
    }
    await sink.record({ ...recordOf(context, action, clock), result: 'succeeded' });
  };
}

function recordOf(context: CallContext, action: string, clock: Clock): Omit<AuditRecord, 'result'> {
  const resource = context.attributes.get(auditResourceKey);
  return {
    at: clock.now(),
    subject: subjectOf(context)?.name ?? 'anonymous',
    action,
    resource: typeof resource === 'string' ? resource : context.method,
    from: { address: context.peer, via: 'grpc' },
    correlationId: currentCorrelationId(),
  };
}
