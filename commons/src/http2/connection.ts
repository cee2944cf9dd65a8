import { defaultBounds, type Http2Bounds } from './bounds.ts';
import { http2Codes, Http2Error } from './codes.ts';
import { writeGoaway, writeGreeting, writePing, writeReset } from './control-frames.ts';
import { Core } from './core.ts';
import type { Http2Events } from './events.ts';
import type { FieldBlock } from './field-block.ts';
import { FrameReader } from './frame-reader.ts';
import { maxInt31 } from './frames.ts';
import type { HpackEncoderOptions } from './hpack-encoder.ts';
import { ChunkPool } from './output.ts';
import { Receiver, shutdownPing } from './receiver.ts';
import type { Sender } from './sender.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

export interface Http2ConnectionOptions {
  readonly role: 'server' | 'client';
  readonly events: Http2Events;
  /** Milliseconds on any clock that does not go back: now. */
  readonly nowMs: number;
  readonly bounds?: Partial<Http2Bounds> | undefined;
  /** Buffers shared with other connections. Default: its own. */
  readonly pool?: ChunkPool | undefined;
  readonly hpack?: HpackEncoderOptions | undefined;
}

/**
 * One HTTP/2 connection (RFC 9113), either side, as a state machine: bytes go in by `receive`, events come out while it
 * runs, and what is to be sent waits in `takeOutput`. No socket, no clock, no timer: the owner passes the time in and
 * calls `tick` about once a second. Server push is refused; priorities are read and ignored.
 */
export class Http2Connection {
  private readonly core: Core;
  private readonly sender: Sender;
  private readonly table: StreamTable;
  private readonly receiver: Receiver;
  private readonly reader: FrameReader;
  private readonly startedAt: number;

  constructor({ role, events, nowMs, bounds: given, pool = new ChunkPool(), hpack = {} }: Http2ConnectionOptions) {
    const bounds = { ...defaultBounds, ...given };
    this.core = new Core({ role, events, nowMs, bounds, pool, hpack });
    this.sender = this.core.sender;
    this.table = this.core.table;
    this.receiver = new Receiver(this.core);
    this.reader = new FrameReader(bounds.frameBytesMax, role === 'server', this.receiver);
    this.startedAt = nowMs;
    writeGreeting(this.sender.output, role, bounds);
  }

  /** Nothing is received any more. */
  get isClosed(): boolean {
    return this.core.isClosed;
  }

  /** The peer's SETTINGS came. */
  get settingsReceived(): boolean {
    return this.core.settingsReceived;
  }

  /** The peer sent GOAWAY: `request` opens no more. */
  get goawayReceived(): boolean {
    return this.core.goawayReceived;
  }

  /** `shutdown` was called. */
  get isShutDown(): boolean {
    return this.core.isShuttingDown;
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.table.size;
  }

  /** The record of an open stream, to look at at once. */
  stream(id: number): Stream | undefined {
    return this.table.get(id);
  }

  /** Calls `each` for every open stream. */
  forEachStream(each: (stream: Stream) => void): void {
    for (const stream of this.table.all()) each(stream);
  }

  /** Bytes of frames that wait in `takeOutput`. */
  get outputSize(): number {
    return this.sender.output.size;
  }

  /** DATA that waits for windows or for the socket. */
  get queuedBytes(): number {
    return this.sender.queuedBytes;
  }

  /** Whether `request` would open a stream now. */
  get canRequest(): boolean {
    const { core, table } = this;
    return (
      !core.isClosed &&
      !core.goawayReceived &&
      !core.isShuttingDown &&
      !table.isExhausted &&
      table.size < core.peer.maxConcurrentStreams
    );
  }

  /** No further stream can ever be opened: the identifiers are used up (RFC 9113 §5.1.1). */
  get isExhausted(): boolean {
    return this.table.isExhausted;
  }

  // ---- bytes and time ------------------------------------------------------------------------------------------

  /** Takes what came from the socket. `bytes` may be reused by the caller afterwards. */
  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.core.isClosed) return;
    this.core.now = nowMs;
    try {
      this.reader.read(bytes);
    } catch (error) {
      this.fail(error instanceof Http2Error ? error : internalError(error));
    }
  }

  /** What is to be sent, in order; empty when nothing is. Afterwards call `flushed`. */
  takeOutput(): Uint8Array[] {
    return this.sender.output.take();
  }

  /**
   * The output was handed to the socket. With `held` the socket takes no more for now: DATA waits until the next call
   * without it. May write new output.
   */
  flushed(held: boolean): void {
    this.sender.held = held;
    if (!held && !this.core.isClosed) this.sender.release(this.core.now);
  }

  /** Looks at what took too long. About once a second. */
  tick(nowMs: number): void {
    const { core } = this;
    core.now = nowMs;
    if (core.isClosed) return;
    if (!core.settingsAcknowledged && nowMs - this.startedAt > core.bounds.settingsAckMs) {
      this.fail(new Http2Error(http2Codes.SETTINGS_TIMEOUT, 'the peer did not acknowledge SETTINGS'));
      return;
    }
    if (this.sender.queuedBytes === 0) return;
    for (const stream of this.table.all()) {
      if (stream.queuedBytes > 0 && nowMs - stream.movedAt > core.bounds.stalledMs) {
        core.streamError(stream.id, http2Codes.CANCEL, false);
      }
    }
  }

  // ---- the connection as a whole -------------------------------------------------------------------------------

  /** The socket is gone: every open stream gets `reset` by 'connection', then `closed` comes. */
  abort(): void {
    if (this.core.isClosed) return;
    this.close(undefined, http2Codes.CANCEL);
  }

  /** Ends the connection with the code of this error (RFC 9113 §5.4.1). */
  fail(error: Http2Error): void {
    if (this.core.isClosed) return;
    writeGoaway(this.sender.output, this.table.lastPeerId, error.code, error.message);
    this.close(error, error.code);
  }

  /**
   * Takes no new streams: GOAWAY goes out twice, the second time after a round trip with the last stream that counts
   * (RFC 9113 §6.8). Open streams go on; `idle` comes when they are done.
   */
  shutdown(): void {
    if (this.core.isShuttingDown || this.core.isClosed) return;
    this.core.isShuttingDown = true;
    writeGoaway(this.sender.output, maxInt31, http2Codes.NO_ERROR, '');
    this.ping(shutdownPing);
  }

  /** After `shutdown` and `idle`: nothing more is received. `closed` comes without an error. */
  finish(): void {
    if (this.core.isClosed) return;
    this.close(undefined, http2Codes.NO_ERROR);
  }

  /** @param payload 8 bytes, which come back by `pong`. */
  ping(payload: Uint8Array): void {
    writePing(this.sender.output, 0, payload, 0);
  }

  private close(error: Http2Error | undefined, code: number): void {
    const { core } = this;
    core.isClosed = true;
    this.reader.drop();
    this.receiver.drop();
    for (const stream of this.table.all()) core.interrupt(stream, code, 'connection', 'reset-by-us');
    core.events.closed(error);
  }

  // ---- streams -------------------------------------------------------------------------------------------------

  /** Opens a stream (client). Returns its id, or 0 when {@link canRequest} is false. */
  request(block: FieldBlock, endStream: boolean, context?: unknown): number {
    if (!this.canRequest) return 0;
    const id = this.table.takeLocalId();
    const stream = this.core.open(id);
    stream.context = context;
    this.sender.headers(stream, block, endStream);
    return id;
  }

  /** Sends a header block that is not the last thing on the stream, or is with `endStream`. Nothing on a closed stream. */
  sendHeaders(id: number, block: FieldBlock, endStream: boolean): void {
    const stream = this.table.get(id);
    if (stream === undefined || stream.localEnd) return;
    this.sender.headers(stream, block, endStream);
  }

  /**
   * Sends DATA, now or when the windows allow, `prefix` before `payload`. A payload over `payloadCopyMax` bytes must not
   * change until then.
   * False: more than the high-water mark waits, or the stream is gone; `drained` or `reset` tells the rest.
   */
  sendData(id: number, payload: Uint8Array, endStream: boolean, prefix?: Uint8Array): boolean {
    const stream = this.table.get(id);
    if (stream === undefined || stream.localEnd) return false;
    stream.localEnd = endStream;
    if (payload.length === 0 && prefix === undefined) {
      if (endStream) this.sender.finish(stream, undefined);
      return true;
    }
    this.sender.data(stream, prefix, payload, this.core.now);
    if (this.sender.queuedBytes > this.core.bounds.queuedBytesMax) {
      this.core.streamError(id, http2Codes.ENHANCE_YOUR_CALM, false);
      return false;
    }
    if (stream.id !== id || stream.queuedBytes < this.core.bounds.streamQueueHighWater) return true;
    stream.wantsDrained = true;
    return false;
  }

  /** Sends the trailer section after all DATA of the stream. */
  sendTrailers(id: number, block: FieldBlock): void {
    const stream = this.table.get(id);
    if (stream === undefined || stream.localEnd) return;
    this.sender.finish(stream, block);
  }

  /** A whole response in one go: headers, one piece of DATA, trailers. */
  respond(id: number, headers: FieldBlock, prefix: Uint8Array, payload: Uint8Array, trailers: FieldBlock): void {
    const stream = this.table.get(id);
    if (stream === undefined || stream.localEnd) return;
    const { sender } = this;
    sender.headers(stream, headers, false);
    if (sender.allows(stream, prefix.length + payload.length)) {
      sender.frame(stream, prefix, payload, false);
      sender.headers(stream, trailers, true);
      return;
    }
    if (this.sendData(id, payload, false, prefix) || this.table.get(id) !== undefined) this.sendTrailers(id, trailers);
  }

  /** Ends a stream early. What waits on it is dropped. No event follows. */
  reset(id: number, code: number): void {
    const stream = this.table.get(id);
    if (stream === undefined) return;
    writeReset(this.sender.output, id, code);
    this.core.forget(stream, 'reset-by-us');
  }

  /** The owner is done with `length` bytes of DATA of this stream: the peer may send as many again. */
  consume(id: number, length: number): void {
    this.core.consume(id, length);
  }
}

/** An event threw, which it must not: the connection ends rather than the process. */
function internalError(cause: unknown): Http2Error {
  const error = new Http2Error(http2Codes.INTERNAL_ERROR, 'internal error');
  error.cause = cause;
  return error;
}
