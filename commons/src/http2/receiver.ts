import { http2Codes, Http2Error } from './codes.ts';
import { writeGoaway, writePing, writeSettingsAck, writeWindowUpdate } from './control-frames.ts';
import type { Core } from './core.ts';
import type { FieldBlock } from './field-block.ts';
import type { FrameSink } from './frame-reader.ts';
import { frameFlags, frameHeaderBytes, frameTypes, maxInt31, readUint32 } from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { isWellFormed, statusOf } from './message.ts';
import { applySettings } from './settings.ts';
import { SplitBlock } from './split-block.ts';
import type { Stream } from './stream.ts';

/** A window that opens by less makes us send more header than content ("data dribble"). */
const crumbBytes = 64;
/** The PING between the two GOAWAY frames of a graceful end. */
export const shutdownPing: Uint8Array = Uint8Array.from([0x6f, 0x61, 0x61, 0x73, 0x64, 0x72, 0x61, 0x6e]);
const noBytes = new Uint8Array(0);

/** The receiving half of a connection: what each frame of the peer means (RFC 9113 §6), and what is wrong with it. */
export class Receiver implements FrameSink {
  private readonly core: Core;
  private readonly decoder: HpackDecoder;
  private receiveWindow: number;
  /** DATA that came since the window was last given back. */
  private taken = 0;
  private block: SplitBlock | undefined = undefined;

  constructor(core: Core) {
    this.core = core;
    const { bounds } = core;
    this.decoder = new HpackDecoder({
      tableBytesMax: Math.max(4096, bounds.headerTableBytesMax),
      listBytesMax: bounds.headerListBytesMax,
    });
    this.receiveWindow = Math.max(65_535, bounds.connectionWindowBytes);
  }

  get isClosed(): boolean {
    return this.core.isClosed;
  }

  /** Lets go of what is held. */
  drop(): void {
    this.block = undefined;
  }

  /** For the reader of frames: one whole frame. */
  frame(bytes: Uint8Array, at: number, length: number): void {
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const id = readUint32(bytes, at + 5) & maxInt31;
    const start = at + frameHeaderBytes;
    const end = start + length;
    if (!this.core.settingsReceived && (type !== frameTypes.SETTINGS || (flags & frameFlags.ACK) !== 0)) {
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
        this.core.spendIdle();
    }
  }

  private onData(bytes: Uint8Array, flags: number, id: number, from: number, to: number): void {
    if (id === 0) throw protocolError('DATA on stream 0');
    const length = to - from;
    if (length > this.receiveWindow) throw flowError('DATA over the window of the connection');
    this.receiveWindow -= length;
    this.taken += length;
    if (this.taken >= this.core.bounds.connectionWindowBytes >> 1) {
      writeWindowUpdate(this.core.sender.output, 0, this.taken);
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
    const stream = this.core.table.get(id);
    if (stream === undefined || stream.remoteEnd) {
      this.core.spendIdle();
      this.onClosedStream(id, false);
      return;
    }
    const endStream = (flags & frameFlags.END_STREAM) !== 0;
    if (end > start) this.core.earnIdle();
    else if (!endStream) this.core.spendIdle();
    if (length > stream.receiveWindow) {
      this.core.streamError(id, http2Codes.FLOW_CONTROL_ERROR);
      return;
    }
    stream.receiveWindow -= length;
    stream.received += end - start;
    if (
      !stream.headed ||
      (stream.contentLength >= 0 &&
        (endStream ? stream.received !== stream.contentLength : stream.received > stream.contentLength))
    ) {
      this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    if (length > end - start) this.core.consume(id, length - (end - start));
    stream.remoteEnd = endStream;
    this.core.events.data(stream, bytes, start, end, endStream);
    if (endStream && this.core.role === 'client') this.afterRemoteEnd(id);
  }

  /** A client's stream is done once both sides are. */
  private afterRemoteEnd(id: number): void {
    const stream = this.core.table.get(id);
    if (stream?.sentEnd === true) this.core.forget(stream, 'ended');
  }

  /** DATA or HEADERS on a stream that is not open in this direction. */
  private onClosedStream(id: number, isHeaders: boolean): void {
    if (this.core.table.isIdle(id)) throw protocolError('a frame on an idle stream');
    if (this.core.table.wasResetByUs(id)) return;
    if (id > this.core.table.acceptUpTo) return;
    if (isHeaders && this.core.table.hasEnded(id) && this.core.table.get(id) === undefined) {
      throw new Http2Error(http2Codes.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    this.core.streamError(id, http2Codes.STREAM_CLOSED);
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
      if (start === end) this.core.spendIdle();
      this.block = new SplitBlock(id, flags, new Uint8Array(bytes.subarray(start, end)));
      return;
    }
    this.onBlock(id, flags, this.decoder.decode(bytes, start, end), selfDependent);
  }

  private onContinuation(bytes: Uint8Array, flags: number, start: number, end: number): void {
    const block = this.block;
    if (block === undefined) throw protocolError('CONTINUATION without HEADERS');
    if (start === end) this.core.spendIdle();
    block.add(bytes, start, end, this.core.bounds);
    if ((flags & frameFlags.END_HEADERS) === 0) return;
    this.block = undefined;
    this.onBlock(block.streamId, block.flags, this.decoder.decode(block.bytes, 0, block.bytes.length), false);
  }

  /** A whole header block, already decoded since it may have changed the table. */
  private onBlock(id: number, flags: number, block: FieldBlock | undefined, selfDependent: boolean): void {
    const endStream = (flags & frameFlags.END_STREAM) !== 0;
    const stream = this.core.table.get(id);
    if (stream === undefined) {
      if (this.core.role === 'server' && id > this.core.table.lastPeerId)
        this.onRequest(id, block, endStream, selfDependent);
      else if (this.core.role === 'server' && !this.core.table.hasEnded(id) && !this.core.table.wasResetByUs(id)) {
        throw protocolError('a stream identifier is smaller than one before');
      } else this.onClosedStream(id, true);
      return;
    }
    if (stream.remoteEnd) {
      this.onClosedStream(id, true);
      return;
    }
    if (block === undefined) {
      this.core.streamError(id, http2Codes.ENHANCE_YOUR_CALM);
      return;
    }
    if (selfDependent) {
      this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    if (stream.headed) this.onTrailers(stream, block, endStream);
    else this.onResponse(stream, block, endStream);
  }

  private onRequest(id: number, block: FieldBlock | undefined, endStream: boolean, selfDependent: boolean): void {
    if ((id & 1) === 0) throw protocolError('a client opened a stream with an even identifier');
    if (id > this.core.table.acceptUpTo) return;
    this.core.table.lastPeerId = id;
    if (this.core.table.size >= this.core.bounds.streamsMax) {
      this.core.streamError(id, http2Codes.REFUSED_STREAM);
      return;
    }
    if (block === undefined) {
      this.core.streamError(id, http2Codes.ENHANCE_YOUR_CALM);
      return;
    }
    if (selfDependent || !isWellFormed(block, 'request') || (endStream && block.contentLength > 0)) {
      this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    const stream = this.core.open(id);
    stream.headed = true;
    stream.contentLength = block.contentLength;
    stream.remoteEnd = endStream;
    this.core.events.headers(stream, block, endStream);
  }

  private onResponse(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { id } = stream;
    if (!isWellFormed(block, 'response')) {
      this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    const informational = statusOf(block) < 200;
    if (informational) {
      if (endStream) {
        this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
        return;
      }
      this.core.spendIdle();
    } else {
      stream.headed = true;
      // A response to HEAD, 204 and 304 have a length and no content; requests of this kind are not ours to know.
      stream.contentLength = endStream ? -1 : block.contentLength;
    }
    stream.remoteEnd = endStream;
    this.core.events.headers(stream, block, endStream);
    if (endStream) this.afterRemoteEnd(id);
  }

  private onTrailers(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { id } = stream;
    const lengthWrong = stream.contentLength >= 0 && stream.received !== stream.contentLength;
    if (!endStream || lengthWrong || !isWellFormed(block, 'trailers')) {
      this.core.streamError(id, http2Codes.PROTOCOL_ERROR);
      return;
    }
    stream.remoteEnd = true;
    this.core.events.trailers(stream, block);
    if (this.core.role === 'client') this.afterRemoteEnd(id);
  }

  private onWindowUpdate(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (length !== 4) throw frameSizeError('WINDOW_UPDATE is not 4 bytes long');
    const increment = readUint32(bytes, start) & maxInt31;
    this.core.spendIdle(increment < crumbBytes ? 4 : 1);
    const { sender } = this.core;
    if (id === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      if (sender.window + increment > maxInt31) throw flowError('the window of the connection is over 2^31-1');
      sender.window += increment;
      sender.release(this.core.now);
      return;
    }
    const stream = this.core.table.get(id);
    if (stream === undefined) {
      if (this.core.table.isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0 || stream.sendWindow + increment > maxInt31) {
      this.core.streamError(id, increment === 0 ? http2Codes.PROTOCOL_ERROR : http2Codes.FLOW_CONTROL_ERROR);
      return;
    }
    stream.sendWindow += increment;
    sender.pump(stream, this.core.now);
  }

  private onReset(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (id === 0) throw protocolError('RST_STREAM on stream 0');
    if (length !== 4) throw frameSizeError('RST_STREAM is not 4 bytes long');
    const stream = this.core.table.get(id);
    if (stream === undefined) {
      if (this.core.table.isIdle(id)) throw protocolError('RST_STREAM on an idle stream');
      // It crossed our own last frame.
      this.core.spendIdle();
      return;
    }
    this.core.interrupt(stream, readUint32(bytes, start), 'peer', 'reset-by-peer');
    if (this.core.role === 'server') this.core.spendReset();
  }

  private onSettings(bytes: Uint8Array, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS on a stream');
    if ((flags & frameFlags.ACK) !== 0) {
      if (start !== end) throw frameSizeError('SETTINGS with ACK is not empty');
      if (!this.core.settingsAcknowledged) {
        this.core.settingsAcknowledged = true;
        this.decoder.limitTable(this.core.bounds.headerTableBytesMax);
      } else this.core.spendIdle();
      return;
    }
    if ((end - start) % 6 !== 0) throw frameSizeError('SETTINGS is no multiple of 6 bytes long');
    if (this.core.settingsReceived) this.core.spendIdle();
    this.core.settingsReceived = true;
    const { sender, peer } = this.core;
    const before = peer.initialWindowSize;
    applySettings(peer, bytes, start, end, this.core.role === 'client', (size) => {
      sender.encoder.limitTable(size);
    });
    sender.limitFrame(peer.maxFrameSize);
    writeSettingsAck(sender.output);
    if (peer.initialWindowSize !== before) this.moveWindows(peer.initialWindowSize - before);
    this.core.events.settings();
  }

  /** A new initial window moves those of all open streams, also below zero (RFC 9113 §6.9.2). */
  private moveWindows(delta: number): void {
    for (const stream of this.core.table.all()) {
      stream.sendWindow += delta;
      if (stream.sendWindow > maxInt31) throw flowError('the window of a stream is over 2^31-1');
    }
    const { sender, table, now } = this.core;
    if (delta > 0 && sender.queuedBytes > 0) for (const stream of table.all()) sender.pump(stream, now);
  }

  private onPing(bytes: Uint8Array, flags: number, id: number, start: number, length: number): void {
    if (id !== 0) throw protocolError('PING on a stream');
    if (length !== 8) throw frameSizeError('PING is not 8 bytes long');
    if ((flags & frameFlags.ACK) === 0) {
      this.core.spendIdle();
      writePing(this.core.sender.output, frameFlags.ACK, bytes, start);
      return;
    }
    const payload = bytes.subarray(start, start + 8);
    if (
      this.core.isShuttingDown &&
      this.core.table.acceptUpTo === maxInt31 &&
      payload.every((byte, i) => byte === shutdownPing[i])
    ) {
      this.core.table.acceptUpTo = this.core.table.lastPeerId;
      writeGoaway(this.core.sender.output, this.core.table.lastPeerId, http2Codes.NO_ERROR, '');
      if (this.core.table.size === 0) this.core.nowIdle();
      return;
    }
    this.core.events.pong(payload);
  }

  private onGoaway(bytes: Uint8Array, id: number, start: number, end: number): void {
    if (id !== 0) throw protocolError('GOAWAY on a stream');
    if (end - start < 8) throw frameSizeError('GOAWAY is shorter than 8 bytes');
    this.core.spendIdle();
    const lastId = readUint32(bytes, start) & maxInt31;
    const code = readUint32(bytes, start + 4);
    this.core.goawayReceived = true;
    if (this.core.role === 'client') {
      for (const stream of this.core.table.all()) {
        if (stream.id > lastId) this.core.interrupt(stream, code, 'goaway', 'reset-by-us');
      }
    }
    this.core.events.goaway(lastId, code, end - start > 8 ? new Uint8Array(bytes.subarray(start + 8, end)) : noBytes);
  }

  private onPriority(bytes: Uint8Array, id: number, start: number, length: number): void {
    if (id === 0) throw protocolError('PRIORITY on stream 0');
    this.core.spendIdle();
    const selfDependent = length === 5 && (readUint32(bytes, start) & maxInt31) === id;
    if (length === 5 && !selfDependent) return;
    const code = length === 5 ? http2Codes.PROTOCOL_ERROR : http2Codes.FRAME_SIZE_ERROR;
    // RST_STREAM may not be sent on an idle stream.
    if (this.core.table.isIdle(id)) throw new Http2Error(code, 'PRIORITY is not valid');
    this.core.streamError(id, code);
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
