import type { JsonValue } from '../errors/index.ts';

/** What every call that changes state leaves behind. */
export interface AuditRecord {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Who: name of the subject. */
  readonly subject: string;
  /** What was done, such as `source.sync`. */
  readonly action: string;
  /** To what, such as `source/main`. */
  readonly resource: string;
  /** From where: address of the peer, and how it came in. */
  readonly from: { readonly address: string; readonly via: 'rest' | 'grpc' | 'webhook' | 'console' | 'cli' | 'system' };
  readonly result: 'succeeded' | 'failed' | 'denied';
  /** Why it failed or was denied. */
  readonly reason?: string | undefined;
  readonly correlationId?: string | undefined;
  /** What changed, without secrets. */
  readonly diff?: JsonValue | undefined;
}

/** Where audit records go. A call that cannot be recorded must fail: `record` rejects, and the caller passes that on. */
export interface AuditSink {
  record(record: AuditRecord): Promise<void>;
}
