import { Allowance, defaultBounds, type Http2Bounds } from './bounds.ts';
import { http2Codes, Http2Error } from './codes.ts';
import {
  writeGoaway,
  writeGreeting,
  writePing,
  writeReset,
  writeSettingsAck,
  writeWindowUpdate,
} from './control-frames.ts';
import type { FieldBlock } from './field-block.ts';
import type { Http2Events } from './events.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { frameFlags, frameHeaderBytes, frameTypes, maxInt31, readUint32 } from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { HpackEncoderOptions } from './hpack-encoder.ts';
import { isWellFormed, statusOf } from './message.ts';
import { ChunkPool } from './output.ts';
import { Sender } from './sender.ts';
import { applySettings, initialPeerSettings, type PeerSettings } from './settings.ts';
import { SplitBlock } from './split-block.ts';
import type { Stream } from './stream.ts';
import { RecentlyClosed, StreamPool } from './stream.ts';

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

/** Ended streams that are remembered, to tell a late frame from a wrong one; and those that we reset, whose late frames are ignored. */
const endedRemembered = 128;
const resetRemembered = 1024;
/** A window that opens by less makes us send more header than content ("data dribble"). */
const crumbBytes = 64;
/** The PING between the two GOAWAY frames of a graceful end. */
const shutdownPing = Uint8Array.from([0x6f, 0x61, 0x61, 0x73, 0x64, 0x72, 0x61, 0x6e]);
const noBytes = new Uint8Array(0);

/**
 * One HTTP/2 connection (RFC 9113), either side, as a state machine: bytes go in by `receive`, events come out while it
 * runs, and what is to be sent waits in `takeOutput`. No socket, no clock, no timer: the owner passes the time in and
 * calls `tick` about once a second. Server push is refused; priorities are read and ignored.
 */
export class Http2Connection implements FrameSink {
  /** Nothing is received any more. */
  isClosed = false;
  /** The peer's settings as they stand. */
  readonly peer: PeerSettings = initialPeerSettings();
  /** The peer's SETTINGS came. */
  settingsReceived = false;
  /** The peer sent GOAWAY: `request` opens no more. */
  goawayReceived = false;
  private readonly role: 'server' | 'client';
  private readonly events: Http2Events;
  private readonly bounds: Http2Bounds;
  private readonly decoder: HpackDecoder;
  private readonly sender: Sender;
  private readonly reader: FrameReader;
  private readonly streams = new Map<number, Stream>();
  private readonly pool = new StreamPool();
  private readonly ended = new RecentlyClosed(endedRemembered);
  private readonly reset_ = new RecentlyClosed(resetRemembered);
  private readonly resets: Allowance;
  private readonly idleFrames: Allowance;
  private now: number;
  private readonly startedAt: number;
  private settingsAcknowledged = false;
  private lastPeerId = 0;
  private nextLocalId = 1;
  /** Streams above it are ignored: our GOAWAY said so. */
  private acceptUpTo = maxInt31;
  private shuttingDown = false;
  private receiveWindow: number;
  private taken = 0;
  private block: SplitBlock | undefined = undefined;

  constructor(options: Http2ConnectionOptions) {
    this.role = options.role;
    this.events = options.events;
    this.bounds = { ...defaultBounds, ...options.bounds };
    this.now = options.nowMs;
    this.startedAt = options.nowMs;
    const { bounds } = this;
    this.reader = new FrameReader(bounds.frameBytesMax, options.role === 'server', this);
    this.decoder = new HpackDecoder({
      tableBytesMax: Math.max(4096, bounds.headerTableBytesMax),
      listBytesMax: bounds.headerListBytesMax,
    });
    this.sender = new Sender(
      bounds,
      options.pool ?? new ChunkPool(),
      {
        sent: () => this.idleFrames.earn(2),
        ended: (stream) => this.sentEnd(stream),
        drained: (stream) => this.events.drained(stream),
      },
      options.hpack ?? {},
    );
    this.resets = new Allowance(bounds.resets, options.nowMs);
    this.idleFrames = new Allowance(bounds.idleFrames, options.nowMs);
    this.receiveWindow = Math.max(65_535, bounds.connectionWindowBytes);
    writeGreeting(this.sender.output, this.role, bounds);
  }

  /** Streams that are open. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** `shutdown` was called. */
  get isShutDown(): boolean {
    return this.shuttingDown;
  }

  /** The record of an open stream, to look at at once. */
  stream(id: number): Stream | undefined {
    return this.streams.get(id);
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
    return (
      !this.isClosed &&
      !this.goawayReceived &&
      !this.shuttingDown &&
      this.nextLocalId <= maxInt31 &&
      this.streams.size < this.peer.maxConcurrentStreams
    );
  }

  /** No further stream can ever be opened: the identifiers are used up (RFC 9113 §5.1.1). */
  get isExhausted(): boolean {
    return this.nextLocalId > maxInt31;
  }

  /** Takes what came from the socket. `bytes` may be reused by the caller afterwards. */
  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.isClosed) return;
    this.now = nowMs;
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
    if (!held && !this.isClosed) this.sender.release(this.now);
  }

  /** Looks at what took too long. About once a second. */
  tick(nowMs: number): void {
    this.now = nowMs;
    if (this.isClosed) return;
    if (!this.settingsAcknowledged && nowMs - this.startedAt > this.bounds.settingsAckMs) {
      this.fail(new Http2Error(http2Codes.SETTINGS_TIMEOUT, 'the peer did not acknowledge SETTINGS'));
      return;
    }
    if (this.sender.queuedBytes === 0) return;
    for (const stream of [...this.streams.values()]) {
      if (stream.queuedBytes > 0 && nowMs - stream.movedAt > this.bounds.stalledMs) {
        this.streamError(stream.id, http2Codes.CANCEL, false);
      }
    }
  }

  /** The socket is gone: every open stream gets `reset` by 'connection', then `closed` comes. */
  abort(): void {
    if (this.isClosed) return;
    this.close(undefined, http2Codes.CANCEL);
  }

  /** Ends the connection with this code; see `fail` in RFC 9113 §5.4.1. */
  fail(error: Http2Error): void {
    if (this.isClosed) return;
    writeGoaway(this.sender.output, this.lastPeerId, error.code, error.message);
    this.close(error, error.code);
  }

  /**
   * Takes no new streams: GOAWAY goes out twice, the second time after a round trip with the last stream that counts
   * (RFC 9113 §6.8). Open streams go on; `idle` comes when they are done.
   */
  shutdown(): void {
    if (this.shuttingDown || this.isClosed) return;
    this.shuttingDown = true;
    writeGoaway(this.sender.output, maxInt31, http2Codes.NO_ERROR, '');
    this.ping(shutdownPing);
  }

  /** After `shutdown` and `idle`: nothing more is received. `closed` comes without an error. */
  finish(): void {
    if (this.isClosed) return;
    this.close(undefined, http2Codes.NO_ERROR);
  }

  /** @param payload 8 bytes, which come back by `pong`. */
  ping(payload: Uint8Array): void {
    writePing(this.sender.output, 0, payload, 0);
  }

  /** Opens a stream (client). Returns its id, or 0 when {@link canRequest} is false. */
  request(block: FieldBlock, endStream: boolean, context?: unknown): number {
    if (!this.canRequest) return 0;
    const id = this.nextLocalId;
    this.nextLocalId += 2;
    const stream = this.open(id);
    stream.context = context;
    this.idleFrames.earn(2);
    this.sender.headers(stream, block, endStream);
    return id;
  }

  /** Sends a header block that is not the last thing on the stream, or is with `endStream`. Nothing on a closed stream. */
  sendHeaders(id: number, block: FieldBlock, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.localEnd) return;
    this.sender.headers(stream, block, endStream);
  }

  /**
   * Sends DATA, now or when the windows allow, `prefix` before `payload`. A payload over `payloadCopyMax` bytes must not
   * change until then.
   * False: more than the high-water mark waits, or the stream is gone; `drained` or `reset` tells the rest.
   */
  sendData(id: number, payload: Uint8Array, endStream: boolean, prefix?: Uint8Array): boolean {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.localEnd) return false;
    stream.localEnd = endStream;
    if (payload.length === 0 && prefix === undefined) {
      if (endStream) this.sender.finish(stream, undefined);
      return true;
    }
    this.sender.data(stream, prefix, payload, this.now);
    if (this.sender.queuedBytes > this.bounds.queuedBytesMax) {
      this.streamError(id, http2Codes.ENHANCE_YOUR_CALM, false);
      return false;
    }
    if (stream.id !== id || stream.queuedBytes < this.bounds.streamQueueHighWater) return true;
    stream.wantsDrained = true;
    return false;
  }

  /** Sends the trailer section after all DATA of the stream. */
  sendTrailers(id: number, block: FieldBlock): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.localEnd) return;
    this.sender.finish(stream, block);
  }

  /** A whole response in one go: headers, one piece of DATA, trailers. */
  respond(id: number, headers: FieldBlock, prefix: Uint8Array, payload: Uint8Array, trailers: FieldBlock): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.localEnd) return;
    const { sender } = this;
    sender.headers(stream, headers, false);
    if (sender.allows(stream, prefix.length + payload.length)) {
      sender.frame(stream, prefix, payload, false);
      sender.headers(stream, trailers, true);
      return;
    }
    if (this.sendData(id, payload, false, prefix) || this.streams.has(id)) this.sendTrailers(id, trailers);
  }

  /** Ends a stream early. What waits on it is dropped. No event follows. */
  reset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    writeReset(this.sender.output, id, code);
    this.forget(stream, 'reset-by-us');
  }

  /** The owner is done with `length` bytes of DATA of this stream: the peer may send as many again. */
  consume(id: number, length: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.remoteEnd) return;
    stream.taken += length;
    if (stream.taken < this.bounds.streamWindowBytes >> 1) return;
    writeWindowUpdate(this.sender.output, id, stream.taken);
    stream.receiveWindow += stream.taken;
    stream.taken = 0;
  }

  /** Calls `each` for every open stream. */
  forEachStream(each: (stream: Stream) => void): void {
    for (const stream of [...this.streams.values()]) each(stream);
  }

  // ---- sending -------------------------------------------------------------------------------------------------

  private sentEnd(stream: Stream): void {
    if (stream.remoteEnd) {
      this.forget(stream, 'ended');
      return;
    }
    // The answer is complete and the rest of the request of no use (RFC 9113 §8.1).
    if (this.role === 'server') {
      writeReset(this.sender.output, stream.id, http2Codes.NO_ERROR);
      this.forget(stream, 'reset-by-us');
    }
  }

  // ---- streams -------------------------------------------------------------------------------------------------

  private open(id: number): Stream {
    const stream = this.pool.take();
    const window = this.bounds.streamWindowBytes;
    // Until our SETTINGS are acknowledged the peer may still go by the RFC's first window.
    const receiveWindow = this.settingsAcknowledged ? window : Math.max(window, 65_535);
    stream.open(id, this.peer.initialWindowSize, receiveWindow, this.now);
    this.streams.set(id, stream);
    return stream;
  }

  private forget(stream: Stream, ending: 'ended' | 'reset-by-peer' | 'reset-by-us'): void {
    const { id } = stream;
    if (!this.streams.delete(id)) return;
    if (ending === 'reset-by-us') this.reset_.add(id, ending);
    else this.ended.add(id, ending);
    if (stream.queuedBytes > 0 || stream.listed) this.sender.forget(stream);
    stream.id = 0;
    this.pool.give(stream);
    if (this.streams.size === 0) this.nowIdle();
    else if (this.role === 'client' && this.streams.size === this.peer.maxConcurrentStreams - 1) this.events.settings();
  }

  private nowIdle(): void {
    // Until the peer knows that the connection ends, a request may be on its way.
    if (this.isClosed || (this.shuttingDown && this.role === 'server' && this.acceptUpTo === maxInt31)) return;
    this.events.idle();
  }

  /** A stream error of RFC 9113 §5.4.2. */
  private streamError(id: number, code: number, peersFault = true): void {
    writeReset(this.sender.output, id, code);
    const stream = this.streams.get(id);
    if (stream === undefined) this.reset_.add(id, 'reset-by-us');
    else {
      this.events.reset(stream, code, 'us');
      if (stream.id === id) this.forget(stream, 'reset-by-us');
    }
    if (peersFault) this.spendReset();
  }

  private spendReset(): void {
    if (!this.resets.take(this.now)) throw calm('too many streams are reset');
  }

  private spendIdle(cost = 1): void {
    if (!this.idleFrames.take(this.now, cost)) throw calm('too many frames carry nothing');
  }

  private close(error: Http2Error | undefined, code: number): void {
    this.isClosed = true;
    this.reader.drop();
    this.block = undefined;
    for (const stream of [...this.streams.values()]) {
      const { id } = stream;
      this.events.reset(stream, code, 'connection');
      if (stream.id === id) this.forget(stream, 'reset-by-us');
    }
    this.events.closed(error);
  }

  // ---- receiving -----------------------------------------------------------------------------------------------

  /** For the reader of frames: one whole frame. */
  frame(bytes: Uint8Array, at: number, length: number): void {
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const id = readUint32(bytes, at + 5) & maxInt31;
    const start = at + frameHeaderBytes;
    const end = start + length;
    if (!this.settingsReceived && (type !== frameTypes.SETTINGS || (flags & frameFlags.ACK) !== 0)) {
      throw protocolError('the first frame is not SETTINGS');
    }
    if (this.block !== undefined && (type !== frameTypes.CONTINUATION || id !== this.block.streamId)) {
      throw protocolError('a header block is interrupted');
    }
    switch (type) {
      case frameTypes.DATA:
        this.onData(bytes, flags, id, start, end);
        return;
      case frameTypes.HEADERS:
        this.onHeaders(bytes, flags, id, start, end);
        return;
      case frameTypes.CONTINUATION:
        this.onContinuation(bytes, flags, start, end);
        return;
      case frameTypes.WINDOW_UPDATE:
        this.onWindowUpdate(bytes, id, start, length);
        return;
      case frameTypes.RST_STREAM:
        this.onReset(bytes, id, start, length);
        return;
      case frameTypes.SETTINGS:
        this.onSettings(bytes, flags, id, start, end);
        return;
      case frameTypes.PING:
        this.onPing(bytes, flags, id, start, length);
        return;
      case frameTypes.GOAWAY:
        this.onGoaway(bytes, id, start, end);
        return;
      case frameTypes.PRIORITY:
        this.onPriority(bytes, id, start, length);
        return;
      case frameTypes.PUSH_PROMISE:
        throw protocolError('PUSH_PROMISE is not allowed');
      default:
        this.spendIdle();
    }
  }

  private onData(bytes: Uint8Array, flags: number, id: number, from: number, to: number): void {
    if (id === 0) throw protocolError('DATA on stream 0');
    const length = to - from;
    if (length > this.receiveWindow) throw flowError('DATA over the window of the connection');
    this.receiveWindow -= length;
    this.taken += length;
    if (this.taken >= this.bounds.connectionWindowBytes >> 1) {
      writeWindowUpdate(this.sender.output, 0, this.taken);
      this.receiveWindow += this.taken;
      this.taken = 0;
    }
    let start = from;
    let end = to;
    if ((flags & frameFlags.PADDED) !== 0) {
      const padding = length === 0 ? length : (bytes[start] as number);
      if (padding >= length) throw protocolError('the padding is longer than its frame');
      start += 1;
      end -= padding;
    }
    const stream = this.streams.get(id);
    if (stream === undefined || stream.remoteEnd) {
      this.spendIdle();
      this.onClosedStream(id, false);
      return;
    }
    const endStream = (flags & frameFlags.END_STREAM) !== 0;
    if (end > start) this.idleFrames.earn(2);
    else if (!endStream) this.spendIdle();
    if (length > stream.receiveWindow) {
      this.streamError(id, http2Codes.FLOW_CONTROL_ERROR);
      return;
    }
    stream.receiveWindow -= length;
    stream.received += end - start;
    if (
      !stream.headed ||
      (stream.contentLength >= 0 &&
        (endStream ? stream.received !== stream.contentLength : stream.received > stream.contentLength))
    ) {
      this.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    if (length > end - start) this.consume(id, length - (end - start));
    stream.remoteEnd = endStream;
    this.events.data(stream, bytes, start, end, endStream);
    if (endStream && this.role === 'client') this.afterRemoteEnd(id);
  }

  /** A client's stream is done once both sides are. */
  private afterRemoteEnd(id: number): void {
    const stream = this.streams.get(id);
    if (stream?.sentEnd === true) this.forget(stream, 'ended');
  }

  /** DATA or HEADERS on a stream that is not open in this direction. */
  private onClosedStream(id: number, isHeaders: boolean): void {
    if (this.isIdle(id)) throw protocolError('a frame on an idle stream');
    if (this.reset_.get(id) !== undefined) return;
    if (id > this.acceptUpTo) return;
    if (isHeaders && this.ended.get(id) !== undefined && !this.streams.has(id)) {
      throw new Http2Error(http2Codes.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    this.streamError(id, http2Codes.STREAM_CLOSED);
  }

  private isIdle(id: number): boolean {
    // A client may have opened it before it knew of our GOAWAY.
    if (id > this.acceptUpTo) return false;
    const isLocal = (id & 1) === (this.role === 'client' ? 1 : 0);
    return isLocal ? id >= this.nextLocalId || this.role === 'server' : id > this.lastPeerId;
  }

  private onHeaders(bytes: Uint8Array, flags: number, id: number, from: number, to: number): void {
    if (id === 0) throw protocolError('HEADERS on stream 0');
    let start = from;
    let end = to;
    if ((flags & frameFlags.PADDED) !== 0) {
      const padding = start < end ? (bytes[start] as number) : 0;
      start += 1;
      end -= padding;
      if (start > end) throw protocolError('the padding is longer than its frame');
    }
    let selfDependent = false;
    if ((flags & frameFlags.PRIORITY) !== 0) {
      if (end - start < 5) throw frameSizeError('HEADERS is too short for its priority');
      selfDependent = (readUint32(bytes, start) & maxInt31) === id;
      start += 5;
    }
    if ((flags & frameFlags.END_HEADERS) === 0) {
      if (start === end) this.spendIdle();
      this.block = new SplitBlock(id, flags, bytes.slice(start, end));
      return;
    }
    this.onBlock(id, flags, this.decoder.decode(bytes, start, end), selfDependent);
  }

  private onContinuation(bytes: Uint8Array, flags: number, start: number, end: number): void {
    const block = this.block;
    if (block === undefined) throw protocolError('CONTINUATION without HEADERS');
    if (start === end) this.spendIdle();
    block.add(bytes, start, end, this.bounds);
    if ((flags & frameFlags.END_HEADERS) === 0) return;
    this.block = undefined;
    this.onBlock(block.streamId, block.flags, this.decoder.decode(block.bytes, 0, block.bytes.length), false);
  }

  /** A whole header block, already decoded since it may have changed the table. */
  private onBlock(id: number, flags: number, block: FieldBlock | undefined, selfDependent: boolean): void {
    const endStream = (flags & frameFlags.END_STREAM) !== 0;
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.role === 'server' && id > this.lastPeerId) this.onRequest(id, block, endStream, selfDependent);
      else if (this.role === 'server' && this.ended.get(id) === undefined && this.reset_.get(id) === undefined) {
        throw protocolError('a stream identifier is smaller than one before');
      } else this.onClosedStream(id, true);
      return;
    }
    if (stream.remoteEnd) {
      this.onClosedStream(id, true);
      return;
    }
    if (block === undefined) {
      this.streamError(id, http2Codes.ENHANCE_YOUR_CALM);
      return;
    }
    if (selfDependent) {
      this.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    if (stream.headed) this.onTrailers(stream, block, endStream);
    else this.onResponse(stream, block, endStream);
  }

  private onRequest(id: number, block: FieldBlock | undefined, endStream: boolean, selfDependent: boolean): void {
    if ((id & 1) === 0) throw protocolError('a client opened a stream with an even identifier');
    if (id > this.acceptUpTo) return;
    this.lastPeerId = id;
    if (this.streams.size >= this.bounds.streamsMax) {
      this.streamError(id, http2Codes.REFUSED_STREAM);
      return;
    }
    if (block === undefined) {
      this.streamError(id, http2Codes.ENHANCE_YOUR_CALM);
      return;
    }
    if (selfDependent || !isWellFormed(block, 'request') || (endStream && block.contentLength > 0)) {
      this.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    this.idleFrames.earn(2);
    const stream = this.open(id);
    stream.headed = true;
    stream.contentLength = block.contentLength;
    stream.remoteEnd = endStream;
    this.events.headers(stream, block, endStream);
  }

  private onResponse(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { id } = stream;
    if (!isWellFormed(block, 'response')) {
      this.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    const informational = statusOf(block) < 200;
    if (informational) {
      if (endStream) {
        this.streamError(id, http2Codes.PROTOCOL_ERROR);
        return;
      }
      this.spendIdle();
    } else {
      stream.headed = true;
      // A response to HEAD, 204 and 304 have a length and no content; requests of this kind are not ours to know.
      stream.contentLength = endStream ? -1 : block.contentLength;
    }
    stream.remoteEnd = endStream;
    this.events.headers(stream, block, endStream);
    if (endStream) this.afterRemoteEnd(id);
  }

  private onTrailers(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { id } = stream;
    const lengthWrong = stream.contentLength >= 0 && stream.received !== stream.contentLength;
    if (!endStream || lengthWrong || !isWellFormed(block, 'trailers')) {
      this.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    stream.remoteEnd = true;
    this.events.trailers(stream, block);
    if (this.role === 'client') this.afterRemoteEnd(id);
  }

  private onWindowUpdate(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (length !== 4) throw frameSizeError('WINDOW_UPDATE is not 4 bytes long');
    const increment = readUint32(bytes, start) & maxInt31;
    this.spendIdle(increment < crumbBytes ? 4 : 1);
    const { sender } = this;
    if (id === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      if (sender.window + increment > maxInt31) throw flowError('the window of the connection is over 2^31-1');
      sender.window += increment;
      sender.release(this.now);
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0 || stream.sendWindow + increment > maxInt31) {
      this.streamError(id, increment === 0 ? http2Codes.PROTOCOL_ERROR : http2Codes.FLOW_CONTROL_ERROR);
      return;
    }
    stream.sendWindow += increment;
    sender.pump(stream, this.now);
  }

  private onReset(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (id === 0) throw protocolError('RST_STREAM on stream 0');
    if (length !== 4) throw frameSizeError('RST_STREAM is not 4 bytes long');
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw protocolError('RST_STREAM on an idle stream');
      // It crossed our own last frame.
      this.spendIdle();
      return;
    }
    this.events.reset(stream, readUint32(bytes, start), 'peer');
    if (stream.id === id) this.forget(stream, 'reset-by-peer');
    if (this.role === 'server') this.spendReset();
  }

  private onSettings(bytes: Uint8Array, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS on a stream');
    if ((flags & frameFlags.ACK) !== 0) {
      if (start !== end) throw frameSizeError('SETTINGS with ACK is not empty');
      if (!this.settingsAcknowledged) {
        this.settingsAcknowledged = true;
        this.decoder.limitTable(this.bounds.headerTableBytesMax);
      } else this.spendIdle();
      return;
    }
    if ((end - start) % 6 !== 0) throw frameSizeError('SETTINGS is no multiple of 6 bytes long');
    if (this.settingsReceived) this.spendIdle();
    this.settingsReceived = true;
    const { sender, peer } = this;
    const before = peer.initialWindowSize;
    applySettings(peer, bytes, start, end, this.role === 'client', (size) => {
      sender.encoder.limitTable(size);
    });
    sender.limitFrame(peer.maxFrameSize);
    writeSettingsAck(sender.output);
    if (peer.initialWindowSize !== before) this.moveWindows(peer.initialWindowSize - before);
    this.events.settings();
  }

  /** A new initial window moves those of all open streams, also below zero (RFC 9113 §6.9.2). */
  private moveWindows(delta: number): void {
    for (const stream of [...this.streams.values()]) {
      stream.sendWindow += delta;
      if (stream.sendWindow > maxInt31) throw flowError('the window of a stream is over 2^31-1');
    }
    if (delta > 0 && this.sender.queuedBytes > 0) this.forEachStream((stream) => this.sender.pump(stream, this.now));
  }

  private onPing(bytes: Uint8Array, flags: number, id: number, start: number, length: number): void {
    if (id !== 0) throw protocolError('PING on a stream');
    if (length !== 8) throw frameSizeError('PING is not 8 bytes long');
    if ((flags & frameFlags.ACK) === 0) {
      this.spendIdle();
      writePing(this.sender.output, frameFlags.ACK, bytes, start);
      return;
    }
    const payload = bytes.slice(start, start + 8);
    if (this.shuttingDown && this.acceptUpTo === maxInt31 && payload.every((byte, i) => byte === shutdownPing[i])) {
      this.acceptUpTo = this.lastPeerId;
      writeGoaway(this.sender.output, this.lastPeerId, http2Codes.NO_ERROR, '');
      if (this.streams.size === 0) this.nowIdle();
      return;
    }
    this.events.pong(payload);
  }

  private onGoaway(bytes: Uint8Array, id: number, start: number, end: number): void {
    if (id !== 0) throw protocolError('GOAWAY on a stream');
    if (end - start < 8) throw frameSizeError('GOAWAY is shorter than 8 bytes');
    this.spendIdle();
    const lastId = readUint32(bytes, start) & maxInt31;
    const code = readUint32(bytes, start + 4);
    this.goawayReceived = true;
    if (this.role === 'client') {
      this.forEachStream((stream) => {
        const streamId = stream.id;
        if (streamId <= lastId) return;
        this.events.reset(stream, code, 'goaway');
        if (stream.id === streamId) this.forget(stream, 'reset-by-us');
      });
    }
    this.events.goaway(lastId, code, end - start > 8 ? bytes.slice(start + 8, end) : noBytes);
  }

  private onPriority(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (id === 0) throw protocolError('PRIORITY on stream 0');
    this.spendIdle();
    const selfDependent = length === 5 && (readUint32(bytes, start) & maxInt31) === id;
    if (length === 5 && !selfDependent) return;
    const code = length === 5 ? http2Codes.PROTOCOL_ERROR : http2Codes.FRAME_SIZE_ERROR;
    // RST_STREAM may not be sent on an idle stream.
    if (this.isIdle(id)) throw new Http2Error(code, 'PRIORITY is not valid');
    this.streamError(id, code);
  }
}

function protocolError(message: string): Http2Error {
  return new Http2Error(http2Codes.PROTOCOL_ERROR, message);
}

function frameSizeError(message: string): Http2Error {
  return new Http2Error(http2Codes.FRAME_SIZE_ERROR, message);
}

function flowError(message: string): Http2Error {
  return new Http2Error(http2Codes.FLOW_CONTROL_ERROR, message);
}

function calm(message: string): Http2Error {
  return new Http2Error(http2Codes.ENHANCE_YOUR_CALM, message);
}

/** An event threw, which it must not: the connection ends rather than the process. */
function internalError(cause: unknown): Http2Error {
  const error = new Http2Error(http2Codes.INTERNAL_ERROR, 'internal error');
  error.cause = cause;
  return error;
}
