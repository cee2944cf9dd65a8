import { type OaasError, oaasError } from '../../errors/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { Timer } from '../../time/index.ts';
import type { CallContext } from '../definition.ts';
import type { ReadonlyMetadata } from '../metadata.ts';
import { EdgeMetadata, pushMetadata } from './metadata.ts';
import type { MessageQueue } from './message-queue.ts';
import type { MessageReader } from './message-reader.ts';
import type { ReceiveCredit } from './receive-credit.ts';
import type { EdgeMethod, RequestHead } from './server-method.ts';

const noFields: readonly string[] = [];

/**
 * A call that runs, and what its handler sees of it. Most handlers look at nothing here, so whatever takes memory is made
 * when it is first asked for.
 */
export class ServerCall implements CallContext {
  readonly id: number;
  readonly entry: EdgeMethod;
  readonly head: RequestHead;
  readonly peer: string;
  readonly logger: Logger;
  declare readonly deadlineMs?: number;
  /** The status is sent or the stream is gone: what the handler still does is of no use. */
  isOver = false;
  /** Bytes of its requests that are not whole or not read yet. */
  held = 0;
  /** Response headers went out. */
  hasSentHeaders = false;
  timer: Timer | undefined = undefined;
  /** For calls whose requests come as a stream. */
  requests:
    { readonly queue: MessageQueue; readonly reader: MessageReader; readonly credit: ReceiveCredit } | undefined =
    undefined;
  /** Continues a handler whose responses wait for windows. */
  onDrained: (() => void) | undefined = undefined;
  private ownHeaders: string[] | undefined = undefined;
  private ownTrailers: string[] | undefined = undefined;
  private cancel: AbortController | undefined = undefined;
  private reason: OaasError | undefined = undefined;
  private facts: Map<string, unknown> | undefined = undefined;

  constructor(id: number, entry: EdgeMethod, head: RequestHead, peer: string, logger: Logger, deadlineMs?: number) {
    this.id = id;
    this.entry = entry;
    this.head = head;
    this.peer = peer;
    this.logger = logger;
    if (deadlineMs !== undefined) this.deadlineMs = deadlineMs;
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
    return (this.facts ??= new Map());
  }

  setHeader(key: string, value: string | Uint8Array): void {
    pushMetadata((this.ownHeaders ??= []), key, value);
  }

  setTrailer(key: string, value: string | Uint8Array): void {
    pushMetadata((this.ownTrailers ??= []), key, value);
  }

  /** Metadata that the handler has set to go before the first response. */
  get headers(): readonly string[] {
    return this.ownHeaders ?? noFields;
  }

  get trailers(): readonly string[] {
    return this.ownTrailers ?? noFields;
  }

  /** No answer is wanted any more: the handler learns why by its signal and its requests. */
  abandon(error: OaasError): void {
    this.isOver = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.reason = error;
    this.cancel?.abort(error);
    this.requests?.queue.fail(error);
    this.onDrained?.();
  }

  /** The status is sent. */
  finish(): void {
    this.isOver = true;
    this.timer?.cancel();
    this.timer = undefined;
  }
}

export function cancelledError(): OaasError {
  return oaasError('Cancelled', 'the caller gave the call up');
}
