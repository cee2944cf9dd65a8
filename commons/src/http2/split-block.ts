import type { Http2Bounds } from './bounds.ts';
import { Http2Error, http2Codes } from './codes.ts';

/** A header block that goes on in CONTINUATION frames (RFC 9113 §4.3), bounded in bytes and in frames. */
export class SplitBlock {
  readonly streamId: number;
  /** Flags of the HEADERS frame. */
  readonly flags: number;
  bytes: Uint8Array;
  private frames = 0;

  constructor(streamId: number, flags: number, fragment: Uint8Array) {
    this.streamId = streamId;
    this.flags = flags;
    this.bytes = fragment;
  }

  /** Adds `bytes[start, end)`. Throws ENHANCE_YOUR_CALM over a bound. */
  add(bytes: Uint8Array, start: number, end: number, bounds: Http2Bounds): void {
    this.frames += 1;
    const length = this.bytes.length + end - start;
    if (this.frames > bounds.continuationFramesMax || length > bounds.headerBlockBytesMax) {
      throw new Http2Error(http2Codes.ENHANCE_YOUR_CALM, 'a header block has no end');
    }
    const whole = new Uint8Array(length);
    whole.set(this.bytes);
    whole.set(bytes.subarray(start, end), this.bytes.length);
    this.bytes = whole;
  }
}
