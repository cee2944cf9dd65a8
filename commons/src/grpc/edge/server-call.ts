import { type OaasError, oaasError } from '../../errors/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { Clock } from '../../time/index.ts';
import type { CallContext } from '../definition.ts';
import { type PeerIdentity, peerIdentityKey } from '../identity.ts';
import type { ReadonlyMetadata } from '../metadata.ts';
import { type Timed, untimed } from './deadlines.ts';
import { EdgeMetadata, pushMetadata } from './metadata.ts';
import type { RequestStream } from './request-stream.ts';
import type { EdgeMethod, RequestHead } from './server-method.ts';

const noFields: readonly string[] = [];

/** What a call knows of its connection. */
export interface CallHost {
  readonly peer: string;
  readonly identity: PeerIdentity | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Answers the call with an error from outside of its handler, and tells the handler. */
  interrupt(call: ServerCall, error: OaasError): void;
  /** Counts what the handler of the call keeps until it is over. */
  keeps(call: ServerCall, bytes: number): void;
}

/**
 * A call that runs, and what its handler sees of it. Most handlers look at nothing here, so whatever takes memory is made
 * when it is first asked for.
 */
export class ServerCall implements CallContext, Timed {
  readonly id: number;
  readonly entry: EdgeMethod;
  readonly head: RequestHead;
  /** The status is sent or the stream is gone: what the handler still does is of no use. */
  isOver = false;
  /** Bytes of its requests that are not whole or not read yet. */
  held = 0;
  /** Bytes that its handler keeps until it is over. */
  kept = 0;
  /** Response headers went out. */
  hasSentHeaders = false;
  /** Monotonic time when it came, if its method is measured. */
  startedAt = 0;
  dueMs = untimed;
  declare readonly deadlineMs?: number;
  /** For calls whose requests come as a stream. */
  requests: RequestStream | undefined = undefined;
  /** Continues a handler whose responses wait for windows. */
  onDrained: (() => void) | undefined = undefined;
  private readonly host: CallHost;
  private ownHeaders: string[] | undefined = undefined;
  private ownTrailers: string[] | undefined = undefined;
  private cancel: AbortController | undefined = undefined;
  private reason: OaasError | undefined = undefined;
  private facts: Map<string, unknown> | undefined = undefined;

  constructor(id: number, entry: EdgeMethod, head: RequestHead, host: CallHost) {
    this.id = id;
    this.entry = entry;
    this.head = head;
    this.host = host;
    if (head.timeoutMs !== undefined) this.deadlineMs = host.clock.now() + head.timeoutMs;
  }

  get peer(): string {
    return this.host.peer;
  }

  get logger(): Logger {
    return this.host.logger;
  }

  get method(): string {
    return this.entry.path;
  }

  get metadata(): ReadonlyMetadata {
    return (this.head.metadata ??= new EdgeMetadata(this.head.block));
  }

  get signal(): AbortSignal {
    if (this.cancel === undefined) {
      this.cancel = new AbortController();
      if (this.reason !== undefined) this.cancel.abort(this.reason);
    }
    return this.cancel.signal;
  }

  get attributes(): Map<string, unknown> {
    const { identity } = this.host;
    return (this.facts ??= new Map(identity === undefined ? [] : [[peerIdentityKey, identity]]));
  }

  setHeader(key: string, value: string | Uint8Array): void {
    pushMetadata((this.ownHeaders ??= []), key, value);
  }

  setTrailer(key: string, value: string | Uint8Array): void {
    pushMetadata((this.ownTrailers ??= []), key, value);
  }

  keeps(bytes: number): void {
    this.host.keeps(this, bytes);
  }

  /** Metadata that the handler has set to go before the first response. */
  get headers(): readonly string[] {
    return this.ownHeaders ?? noFields;
  }

  get trailers(): readonly string[] {
    return this.ownTrailers ?? noFields;
  }

  expire(): void {
    this.host.interrupt(this, oaasError('DeadlineExceeded', `${this.method} took longer than its deadline`));
  }

  /** No answer is wanted any more: the handler learns why by its signal and its requests. */
  abandon(error: OaasError): void {
    this.isOver = true;
    this.reason = error;
    this.cancel?.abort(error);
    this.requests?.queue.fail(error);
    this.onDrained?.();
  }
}

export function cancelledError(): OaasError {
  return oaasError('Cancelled', 'the caller gave the call up');
}
