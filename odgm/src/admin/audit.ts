import { type JsonValue, toOaasError } from '@oaas/commons/errors';
import type { AuditRecord, AuditSink } from '@oaas/commons/security';
import { currentCorrelationId, type Logger } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';

/** One line of the log for each record, whatever else the log's level leaves out. */
export function logAuditSink(logger: Logger): AuditSink {
  const always = logger.child({}, { level: 'info' });
  return {
    record: (record) => {
      always.info({ audit: record }, 'audit');
      return Promise.resolve();
    },
  };
}

/** A call that changes state, as its audit record begins. */
export interface AuditedCall {
  readonly subject: string;
  /** Such as `task.cancel`. */
  readonly action: string;
  /** Such as `task/17`. */
  readonly resource: string;
  readonly from: AuditRecord['from'];
  /** What was asked for, without secrets. */
  readonly diff?: JsonValue | undefined;
}

const denials: ReadonlySet<string> = new Set(['Unauthenticated', 'PermissionDenied']);

/** Leaves a record of every call that changes state: who, what, when, from where, and how it ended. */
export class Audit {
  readonly #sink: AuditSink;
  readonly #clock: Clock;

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Runs the call and records it. Rejects as it does, and when it cannot be recorded. */
  async around<T>(call: AuditedCall, run: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await run();
    } catch (error) {
      await this.failed(call, error);
      throw error;
    }
    await this.succeeded(call);
    return result;
  }

  async succeeded(call: AuditedCall): Promise<void> {
    await this.#record(call, 'succeeded');
  }

  /** A call that did not come to pass. */
  async failed(call: AuditedCall, thrown: unknown): Promise<void> {
    const { code, message } = toOaasError(thrown);
    // What a caller without credentials says of itself is no subject.
    const known = code === 'Unauthenticated' ? { ...call, subject: 'anonymous' } : call;
    await this.#record(known, denials.has(code) ? 'denied' : 'failed', message);
  }

  async #record(call: AuditedCall, result: AuditRecord['result'], reason?: string): Promise<void> {
    await this.#sink.record({ at: this.#clock.now(), ...call, result, reason, correlationId: currentCorrelationId() });
  }
}
