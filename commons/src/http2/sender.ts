import type { Http2Bounds } from './bounds.ts';
import type { FieldBlock } from './field-block.ts';
import { frameFlags, frameTypes } from './frames.ts';
import { HpackEncoder, type HpackEncoderOptions } from './hpack-encoder.ts';
import { type ChunkPool, Output } from './output.ts';
import type { Stream } from './stream.ts';

/** DATA frames are no larger than this whatever the peer allows, so that streams take turns. */
const frameBytesMax = 64 * 1024;

/** A payload of so many bytes is copied when it must wait; a larger one is kept as it is. */
export const payloadCopyMax = 64 * 1024;

export interface SenderEvents {
  /** A DATA frame was written. */
  sent(): void;
  /** END_STREAM was written. */
  ended(stream: Stream): void;
  /** A queue that someone waits for is short again. */
  drained(stream: Stream): void;
}

/**
 * The sending half of a connection: header blocks at once, DATA as far as the windows of stream and connection and the
 * socket allow, the rest in a queue per stream. Streams that the connection holds back take turns, a frame each.
 */
export class Sender {
  readonly output: Output;
  readonly encoder: HpackEncoder;
  /** What the peer still allows for all streams together. */
  window = 65_535;
  maxFrame = 16_384;
  /** DATA that waits, all streams together. */
  queuedBytes = 0;
  /** The socket takes no more: DATA waits. */
  held = false;
  private readonly bounds: Http2Bounds;
  private readonly events: SenderEvents;
  private listed: Stream[] = [];

  constructor(bounds: Http2Bounds, pool: ChunkPool, events: SenderEvents, hpack: HpackEncoderOptions) {
    this.bounds = bounds;
    this.events = events;
    this.output = new Output(pool);
    this.encoder = new HpackEncoder(hpack);
  }

  limitFrame(peerMax: number): void {
    this.maxFrame = Math.min(peerMax, frameBytesMax);
  }

  /** One header block, in HEADERS and as many CONTINUATION frames as it takes. */
  headers(stream: Stream, block: FieldBlock, end: boolean): void {
    const encoded = this.encoder.encode(block);
    const endFlag = end ? frameFlags.END_STREAM : 0;
    const { output, maxFrame } = this;
    if (encoded.length <= maxFrame) {
      output.frame(encoded.length, frameTypes.HEADERS, frameFlags.END_HEADERS | endFlag, stream.id);
      output.bytes(encoded);
    } else {
      for (let at = 0; at < encoded.length; at += maxFrame) {
        const to = Math.min(at + maxFrame, encoded.length);
        const flags = (to === encoded.length ? frameFlags.END_HEADERS : 0) | (at === 0 ? endFlag : 0);
        output.frame(to - at, at === 0 ? frameTypes.HEADERS : frameTypes.CONTINUATION, flags, stream.id);
        output.bytes(encoded, at, to);
      }
    }
    if (end) this.end(stream);
  }

  /** Whether so much DATA may go out at once, in one frame. */
  allows(stream: Stream, length: number): boolean {
    return (
      length <= this.maxFrame &&
      length <= stream.sendWindow &&
      length <= this.window &&
      stream.queuedBytes === 0 &&
      !this.isHeld()
    );
  }

  /** One DATA frame that {@link allows} has allowed. */
  frame(stream: Stream, prefix: Uint8Array | undefined, payload: Uint8Array, end: boolean): void {
    const length = payload.length + (prefix === undefined ? 0 : prefix.length);
    stream.sendWindow -= length;
    this.window -= length;
    this.events.sent();
    this.output.frame(length, frameTypes.DATA, end ? frameFlags.END_STREAM : 0, stream.id);
    if (prefix !== undefined) this.output.bytes(prefix);
    this.output.bytes(payload);
    if (end) this.end(stream);
  }

  /** DATA now or later, in order. A `payload` over {@link payloadCopyMax} must not change until it went. */
  data(stream: Stream, prefix: Uint8Array | undefined, payload: Uint8Array, nowMs: number): void {
    const length = payload.length + (prefix === undefined ? 0 : prefix.length);
    const end = stream.localEnd && stream.trailers === undefined;
    if (this.allows(stream, length)) {
      this.frame(stream, prefix, payload, end);
      return;
    }
    if (stream.queuedBytes === 0) stream.movedAt = nowMs;
    // Copied by the constructor: `slice` of a Node Buffer is a view of it.
    if (prefix !== undefined) stream.queue.push({ bytes: new Uint8Array(prefix), at: 0 });
    if (payload.length > 0) {
      stream.queue.push({ bytes: payload.length <= payloadCopyMax ? new Uint8Array(payload) : payload, at: 0 });
    }
    stream.queuedBytes += length;
    this.queuedBytes += length;
    this.pump(stream, nowMs);
  }

  /** END_STREAM or the trailers, as soon as the queue is empty. */
  finish(stream: Stream, trailers: FieldBlock | undefined): void {
    stream.localEnd = true;
    stream.trailers = trailers;
    if (stream.queuedBytes > 0) return;
    if (trailers !== undefined) this.headers(stream, trailers, true);
    else {
      this.output.frame(0, frameTypes.DATA, frameFlags.END_STREAM, stream.id);
      this.end(stream);
    }
  }

  /** Sends what waits on the stream as far as allowed. */
  pump(stream: Stream, nowMs: number): void {
    const { id } = stream;
    while (stream.id === id && stream.queuedBytes > 0 && stream.sendWindow > 0) {
      if (this.window <= 0 || this.isHeld()) {
        this.list(stream);
        return;
      }
      this.turn(stream, nowMs);
    }
  }

  /** The connection's window opened or the socket is ready: the streams that waited for it go on, a frame each in turn. */
  release(nowMs: number): void {
    while (this.listed.length > 0 && this.window > 0 && !this.isHeld()) {
      const turn = this.listed;
      this.listed = [];
      for (let i = 0; i < turn.length; i += 1) {
        const stream = turn[i] as Stream;
        if (!stream.listed) continue;
        if (this.window <= 0 || this.isHeld()) {
          this.listed.push(stream);
          continue;
        }
        stream.listed = false;
        const { id } = stream;
        if (stream.queuedBytes > 0 && stream.sendWindow > 0) this.turn(stream, nowMs);
        if (stream.id === id && stream.queuedBytes > 0 && stream.sendWindow > 0) this.list(stream);
      }
    }
  }

  /** The stream is gone: what waits on it is dropped. */
  forget(stream: Stream): void {
    this.queuedBytes -= stream.queuedBytes;
    if (stream.listed) this.listed = this.listed.filter((other) => other !== stream);
  }

  /** Writes one DATA frame from the queue, and the end when that was all. */
  private turn(stream: Stream, nowMs: number): void {
    const length = Math.min(stream.queuedBytes, stream.sendWindow, this.window, this.maxFrame);
    stream.queuedBytes -= length;
    this.queuedBytes -= length;
    stream.sendWindow -= length;
    this.window -= length;
    stream.movedAt = nowMs;
    this.events.sent();
    const last = stream.queuedBytes === 0 && stream.localEnd;
    const endHere = last && stream.trailers === undefined;
    this.output.frame(length, frameTypes.DATA, endHere ? frameFlags.END_STREAM : 0, stream.id);
    this.copy(stream, length);
    if (endHere) this.end(stream);
    else if (last && stream.trailers !== undefined) this.headers(stream, stream.trailers, true);
    else if (stream.wantsDrained && stream.queuedBytes <= this.bounds.streamQueueHighWater >> 1) {
      stream.wantsDrained = false;
      this.events.drained(stream);
    }
  }

  private copy(stream: Stream, length: number): void {
    let rest = length;
    let done = 0;
    while (rest > 0) {
      const piece = stream.queue[done] as (typeof stream.queue)[number];
      const to = Math.min(piece.bytes.length, piece.at + rest);
      this.output.bytes(piece.bytes, piece.at, to);
      rest -= to - piece.at;
      piece.at = to;
      if (to === piece.bytes.length) done += 1;
    }
    if (done > 0) stream.queue.splice(0, done);
  }

  private end(stream: Stream): void {
    stream.localEnd = true;
    stream.sentEnd = true;
    this.events.ended(stream);
  }

  private list(stream: Stream): void {
    if (stream.listed) return;
    stream.listed = true;
    this.listed.push(stream);
  }

  private isHeld(): boolean {
    return this.held || this.output.size >= this.bounds.outputHighWater;
  }
}
