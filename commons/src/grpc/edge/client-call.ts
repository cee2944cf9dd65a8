import { fromGrpcStatus, type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import { type FieldBlock, http2CodeName, http2Codes, type ResetBy } from '../../http2/index.ts';
import type { Timer } from '../../time/index.ts';
import type { MethodDefinition } from '../definition.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Codec } from './codec.ts';
import { MessageReader, type MessageSink } from './message-reader.ts';
import { ReceiveCredit } from './receive-credit.ts';
import { errorOfTrailers } from './status.ts';
import { prefixBytes, statusOfHttp } from './wire.ts';

/** Who is told what comes of a call. */
export interface CallOwner {
  /** Told first, before the call waits for a connection. */
  created(call: ClientCall): void;
  /** The stream is open: requests may be sent. */
  started(call: ClientCall): void;
  message(value: unknown, bytes: number): void;
  /** The call is over, well without an error. Called once, and nothing after it. */
  ended(error: OaasError | undefined, trailer: FieldBlock | undefined): void;
  /** Whether the responses that came are all taken, so that the next one is waited for. */
  isWaiting(): boolean;
  /** Requests that waited may go on. */
  drained(): void;
}

export interface CallSetting {
  readonly codec: Codec;
  readonly maxMessageBytes: number;
}

/** One call of a client, on at most one stream at a time. */
export class ClientCall implements MessageSink {
  readonly path: string;
  readonly method: MethodDefinition;
  readonly head: FieldBlock;
  isOver = false;
  timer: Timer | undefined = undefined;
  connection: ClientConnection | undefined = undefined;
  id = 0;
  /** The server refused the stream before it looked at it; a second time is an error. */
  wasRefused = false;
  private readonly owner: CallOwner;
  private readonly bytesMax: number;
  private readonly codec: Codec;
  private reader: MessageReader | undefined = undefined;
  private readonly credit = new ReceiveCredit((bytes) => this.connection?.consume(this.id, bytes));
  private headed = false;

  constructor(
    path: string,
    method: MethodDefinition,
    head: FieldBlock,
    owner: CallOwner,
    { codec, maxMessageBytes: bytesMax }: CallSetting,
  ) {
    this.codec = codec;
    this.path = path;
    this.method = method;
    this.head = head;
    this.owner = owner;
    this.bytesMax = bytesMax;
  }

  started(connection: ClientConnection, id: number): void {
    this.connection = connection;
    this.id = id;
    this.owner.started(this);
  }

  /** Sends one request message; false: wait for `drained`. */
  send(payload: Uint8Array, end: boolean): boolean {
    return this.connection?.sendMessage(this.id, payload, end) ?? false;
  }

  /** The requests are at their end. */
  sendEnd(): void {
    this.connection?.sendEnd(this.id);
  }

  /** The owner has taken a response: the server may send as much again. */
  taken(bytes: number): void {
    this.credit.read(bytes);
    this.credit.unfinished(this.reader?.held ?? 0, this.owner.isWaiting());
  }

  /** Gives the call up: the server is told, the owner gets `error`. */
  cancel(error: OaasError): void {
    if (this.isOver) return;
    this.connection?.reset(this.id, http2Codes.CANCEL);
    this.finish(error, undefined);
  }

  finish(error: OaasError | undefined, trailer: FieldBlock | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.owner.ended(error, trailer);
  }

  // ---- events of the stream ------------------------------------------------------------------------------------

  onHeaders(block: FieldBlock, endStream: boolean): void {
    const status = block.get(':status') ?? '';
    if (status.startsWith('1')) return;
    const contentType = block.get('content-type') ?? '';
    if (status !== '200' || !contentType.startsWith('application/grpc')) {
      const code = status === '200' ? 2 : statusOfHttp(Number(status));
      this.stop(fromGrpcStatus(code, `the server answered with HTTP ${status} and content-type "${contentType}"`));
      return;
    }
    if (endStream) {
      this.onTrailers(block);
      return;
    }
    this.headed = true;
    this.reader = new MessageReader(this, this.bytesMax, block.get('grpc-encoding') === 'gzip');
  }

  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { reader } = this;
    if (this.isOver || reader === undefined) return;
    try {
      reader.feed(bytes, start, end);
    } catch (error) {
      this.stop(toOaasError(error));
      return;
    }
    this.credit.unfinished(reader.held, this.owner.isWaiting());
    if (endStream) this.stop(oaasError('Internal', 'the response ends without a status'));
  }

  onTrailers(block: FieldBlock): void {
    if (this.isOver) return;
    const error = errorOfTrailers(block);
    if (error === undefined && this.headed && (this.reader?.held ?? 0) > 0) {
      this.stop(oaasError('Internal', 'the last response is cut short'));
      return;
    }
    this.finish(error, block);
  }

  onReset(code: number, by: ResetBy): void {
    const unprocessed = by === 'goaway' || (by === 'peer' && code === http2Codes.REFUSED_STREAM);
    // A stream of requests cannot be had twice from its caller.
    const mayRepeat = !this.isOver && !this.wasRefused && !this.method.requestStream;
    if (unprocessed && mayRepeat && this.connection !== undefined) {
      const { connection } = this;
      this.wasRefused = true;
      this.connection = undefined;
      connection.retry(this);
      return;
    }
    this.finish(errorOfReset(code, by), undefined);
  }

  onDrained(): void {
    this.owner.drained();
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    let value: unknown;
    try {
      value = this.codec.decode(this.method.responseType, bytes, start, end);
    } catch (error) {
      throw oaasError('Internal', `a response of ${this.path} cannot be decoded`, { cause: error });
    }
    this.credit.completed();
    this.owner.message(value, end - start + prefixBytes);
  }

  /** Ends the call on both sides because of what the server sent. */
  private stop(error: OaasError): void {
    if (this.isOver) return;
    this.connection?.reset(this.id, http2Codes.CANCEL);
    this.finish(error, undefined);
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
