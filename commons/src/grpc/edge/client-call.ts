import { fromGrpcStatus, type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import { type FieldBlock, http2CodeName, http2Codes, type ResetBy } from '../../http2/index.ts';
import type { OutgoingCall } from '../channel.ts';
import type { MethodDefinition } from '../definition.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Codec } from './codec.ts';
import { type Deadlines, type Timed, untimed } from './deadlines.ts';
import type { HeldBytes } from './held-bytes.ts';
import { lengthAt, MessageReader, type MessageSink } from './message-reader.ts';
import { EdgeMetadata } from './metadata.ts';
import { readResponseHead } from './response-head.ts';
import { errorOfTrailers } from './status.ts';
import { prefixBytes } from './wire.ts';

/** What all calls of a method on a channel share. */
export interface CallSetting {
  readonly path: string;
  readonly method: MethodDefinition;
  readonly codec: Codec;
  readonly maxMessageBytes: number;
  readonly deadlines: Deadlines;
  /** Of the whole channel. */
  readonly held: HeldBytes;
}

/** One call of a client, on at most one stream at a time. What becomes of its messages is up to its kind. */
export abstract class ClientCall implements MessageSink, Timed {
  isOver = false;
  dueMs = untimed;
  readonly outgoing: OutgoingCall;
  protected readonly setting: CallSetting;
  protected connection: ClientConnection | undefined = undefined;
  protected id = 0;
  protected reader: MessageReader | undefined = undefined;
  private block: FieldBlock | undefined = undefined;
  private headed = false;
  private gzip = false;
  /** The server refused the stream before it looked at it; a second time is an error. */
  private wasRefused = false;
  /** Bytes of responses that are not whole or not read yet. */
  private holds = 0;
  private onAbort: (() => void) | undefined = undefined;

  constructor(setting: CallSetting, outgoing: OutgoingCall) {
    this.setting = setting;
    this.outgoing = outgoing;
  }

  /** The stream is open: requests may be sent. */
  protected abstract sendFirst(): void;
  /** A response came; it took `bytes` of the stream. */
  protected abstract received(value: unknown, bytes: number): void;
  /** `bytes` of the stream came that made no message, or not a whole one. */
  protected abstract advanced(bytes: number): void;
  /** The call is over, well without an error. Called once, and nothing after it. */
  protected abstract ended(error: OaasError | undefined): void;
  /** Requests that waited may go on. */
  abstract drained(): void;

  get head(): FieldBlock {
    return this.block as FieldBlock;
  }

  /** Watches signal and deadline; the channel takes the call next. False: it is over already. */
  begin(head: FieldBlock, nowMs: number): boolean {
    const { signal, timeoutMs } = this.outgoing;
    this.block = head;
    if (signal?.aborted === true) {
      this.finish(this.cancelled(signal), undefined);
      return false;
    }
    if (timeoutMs !== undefined) {
      if (timeoutMs <= 0) {
        this.finish(this.late(), undefined);
        return false;
      }
      this.setting.deadlines.add(this, nowMs + timeoutMs);
    }
    if (signal !== undefined) {
      this.onAbort = () => this.cancel(this.cancelled(signal));
      signal.addEventListener('abort', this.onAbort, { once: true });
    }
    return true;
  }

  started(connection: ClientConnection, id: number): void {
    this.connection = connection;
    this.id = id;
    this.sendFirst();
  }

  /** Gives the call up: the server is told, the caller gets `error`. */
  cancel(error: OaasError): void {
    if (this.isOver) return;
    this.connection?.reset(this.id, http2Codes.CANCEL);
    this.finish(error, undefined);
  }

  expire(): void {
    this.cancel(this.late());
  }

  finish(error: OaasError | undefined, trailer: FieldBlock | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.dueMs !== untimed) this.setting.deadlines.remove(this);
    if (this.onAbort !== undefined) this.outgoing.signal?.removeEventListener('abort', this.onAbort);
    if (this.holds > 0) this.hold(-this.holds);
    this.ended(error);
    const { onTrailer } = this.outgoing;
    if (onTrailer !== undefined && trailer !== undefined) tell(onTrailer, trailer);
  }

  /** Counts `bytes` of responses more, or less, as held; over the bound of the channel the call fails. */
  protected hold(bytes: number): void {
    const change = Math.max(bytes, -this.holds);
    this.holds += change;
    const { held } = this.setting;
    if (!held.add(change)) this.cancel(held.overflow());
  }

  // ---- events of the stream ------------------------------------------------------------------------------------

  onHeaders(block: FieldBlock, endStream: boolean): void {
    const head = readResponseHead(block);
    if (head.isInformational) return;
    if (head.failure !== undefined) {
      this.cancel(fromGrpcStatus(head.failure.code, head.failure.message));
      return;
    }
    if (endStream) {
      this.onTrailers(block);
      return;
    }
    this.headed = true;
    this.gzip = head.gzip;
  }

  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (this.isOver || !this.headed) return;
    try {
      const length = end - start - prefixBytes;
      // Nearly always one whole, plain message.
      if (this.reader === undefined && bytes[start] === 0 && length >= 0 && lengthAt(bytes, start) === length) {
        if (length > this.setting.maxMessageBytes) throw this.tooLarge();
        this.message(bytes, start + prefixBytes, end);
      } else this.feed(bytes, start, end);
    } catch (error) {
      this.cancel(toOaasError(error));
      return;
    }
    if (endStream) this.cancel(oaasError('Internal', 'the response ends without a status'));
  }

  onTrailers(block: FieldBlock): void {
    if (this.isOver) return;
    const error = errorOfTrailers(block);
    if (error === undefined && (this.reader?.held ?? 0) > 0) {
      this.cancel(oaasError('Internal', 'the last response is cut short'));
      return;
    }
    this.finish(error, block);
  }

  onReset(code: number, by: ResetBy): void {
    const unprocessed = by === 'goaway' || (by === 'peer' && code === http2Codes.REFUSED_STREAM);
    // A stream of requests cannot be had twice from its caller.
    const mayRepeat = !this.isOver && !this.wasRefused && !this.setting.method.requestStream;
    if (unprocessed && mayRepeat && this.connection !== undefined) {
      const { connection } = this;
      this.wasRefused = true;
      this.connection = undefined;
      connection.retry(this);
      return;
    }
    this.finish(errorOfReset(code, by), undefined);
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    let value: unknown;
    try {
      value = this.setting.codec.decode(this.setting.method.responseType, bytes, start, end);
    } catch (error) {
      throw oaasError('Internal', `a response of ${this.setting.path} cannot be decoded`, { cause: error });
    }
    this.received(value, end - start + prefixBytes);
  }

  private feed(bytes: Uint8Array, start: number, end: number): void {
    const reader = (this.reader ??= new MessageReader(this, this.setting.maxMessageBytes, this.gzip));
    const before = reader.held;
    reader.feed(bytes, start, end);
    this.hold(reader.held - before);
    if (!this.isOver) this.advanced(end - start);
  }

  private tooLarge(): OaasError {
    return oaasError('PayloadTooLarge', `a message is larger than ${this.setting.maxMessageBytes} bytes`);
  }

  private cancelled(signal: AbortSignal): OaasError {
    return oaasError('Cancelled', `${this.setting.path} was cancelled by the caller`, { cause: signal.reason });
  }

  private late(): OaasError {
    return oaasError('DeadlineExceeded', `${this.setting.path} took longer than its deadline`);
  }
}

/** Hands the trailer to the caller. What the caller's function throws is its own: it must not end the connection. */
function tell(onTrailer: NonNullable<OutgoingCall['onTrailer']>, trailer: FieldBlock): void {
  try {
    onTrailer(new EdgeMetadata(trailer));
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** grpc/grpc, doc/PROTOCOL-HTTP2.md, "Errors". */
function errorOfReset(code: number, by: ResetBy): OaasError {
  if (by === 'connection') return oaasError('Unavailable', 'the connection broke');
  const message = `the stream was reset: ${http2CodeName(code)}`;
  if (by === 'goaway') return oaasError('Unavailable', 'the server takes no more calls on this connection');
  switch (code) {
    case http2Codes.REFUSED_STREAM:
      return oaasError('Unavailable', message);
    case http2Codes.CANCEL:
      return oaasError('Cancelled', message);
    case http2Codes.ENHANCE_YOUR_CALM:
      return oaasError('ResourceExhausted', message);
    case http2Codes.INADEQUATE_SECURITY:
      return oaasError('PermissionDenied', message);
    default:
      return oaasError('Internal', message);
  }
}
