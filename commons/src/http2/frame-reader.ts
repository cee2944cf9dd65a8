import { Http2Error, http2Codes } from './codes.ts';
import { clientPreface, frameHeaderBytes } from './frames.ts';

export interface FrameSink {
  /** No more frames are wanted. */
  readonly isClosed: boolean;
  /** One whole frame, whose header is at `bytes[at]` and whose payload has `length` bytes. */
  frame(bytes: Uint8Array, at: number, length: number): void;
}

/**
 * Cuts the bytes of a connection into frames, and checks the preface before them. A frame that lies whole in the bytes is
 * handed on in place; only one that was cut is copied, so at most one frame is held.
 */
export class FrameReader {
  private readonly frameBytesMax: number;
  private readonly sink: FrameSink;
  /** How much of the preface came. */
  private prefaceAt: number;
  private carry: Uint8Array | undefined = undefined;
  private carried = 0;

  constructor(frameBytesMax: number, expectsPreface: boolean, sink: FrameSink) {
    this.frameBytesMax = frameBytesMax;
    this.prefaceAt = expectsPreface ? 0 : clientPreface.length;
    this.sink = sink;
  }

  /** Throws PROTOCOL_ERROR for a wrong preface and FRAME_SIZE_ERROR for a frame that is too large. */
  read(bytes: Uint8Array): void {
    const { sink } = this;
    const end = bytes.length;
    let at = this.prefaceAt < clientPreface.length ? this.readPreface(bytes) : 0;
    if (this.carry !== undefined) at = this.complete(bytes, at);
    while (!sink.isClosed && at + frameHeaderBytes <= end) {
      const length = this.lengthAt(bytes, at);
      const next = at + frameHeaderBytes + length;
      if (next > end) break;
      sink.frame(bytes, at, length);
      at = next;
    }
    if (at < end && !sink.isClosed) this.keep(bytes, at);
  }

  /** Lets go of what is held. */
  drop(): void {
    this.carry = undefined;
  }

  private readPreface(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.prefaceAt < clientPreface.length) {
      if (bytes[at] !== clientPreface[this.prefaceAt]) {
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, 'the client preface is not valid');
      }
      at += 1;
      this.prefaceAt += 1;
    }
    return at;
  }

  /** Goes on with the frame that came in part. Returns where the next one begins. */
  private complete(bytes: Uint8Array, from: number): number {
    let at = from;
    let carry = this.carry as Uint8Array;
    while (this.carried < frameHeaderBytes && at < bytes.length) carry[this.carried++] = bytes[at++] as number;
    if (this.carried < frameHeaderBytes) return at;
    const length = this.lengthAt(carry, 0);
    const whole = frameHeaderBytes + length;
    if (carry.length < whole) {
      const larger = new Uint8Array(whole);
      larger.set(carry.subarray(0, this.carried));
      carry = larger;
      this.carry = carry;
    }
    const count = Math.min(whole - this.carried, bytes.length - at);
    carry.set(bytes.subarray(at, at + count), this.carried);
    this.carried += count;
    at += count;
    if (this.carried === whole) {
      this.carry = undefined;
      this.sink.frame(carry, 0, length);
    }
    return at;
  }

  private keep(bytes: Uint8Array, at: number): void {
    const rest = bytes.length - at;
    this.carry = new Uint8Array(Math.max(frameHeaderBytes, rest));
    this.carry.set(bytes.subarray(at));
    this.carried = rest;
  }

  private lengthAt(bytes: Uint8Array, at: number): number {
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (length > this.frameBytesMax) {
      throw new Http2Error(http2Codes.FRAME_SIZE_ERROR, 'a frame is larger than MAX_FRAME_SIZE');
    }
    return length;
  }
}
