import { crc32Of } from './crc.ts';
import { coveredHeaderBytes, headerBytes, noBytes, readU32 } from './frames.ts';

export interface FrameSink {
  /** No more frames are wanted. */
  readonly isClosed: boolean;
  /** One frame whose checksum holds. The payload is not written again after the call. */
  frame(kind: number, channel: number, id: number, payload: Uint8Array): void;
}

/**
 * Cuts the bytes of a connection into frames. A payload that lies whole in what was read is a view of it; only a frame
 * that was cut is copied, once. Holds at most one frame.
 */
export class FrameReader {
  /** Most bytes of a payload, from the next frame on. */
  frameBytesMax: number;
  private readonly sink: FrameSink;
  /** Header of a frame that was cut, as far as it came. */
  private readonly header = new Uint8Array(headerBytes);
  private headerHas = 0;
  /** Payload of a frame whose header is here. */
  private body: Uint8Array | undefined = undefined;
  private bodyHas = 0;

  constructor(frameBytesMax: number, sink: FrameSink) {
    this.frameBytesMax = frameBytesMax;
    this.sink = sink;
  }

  /** Returns what is wrong with the bytes; after that the reader is of no more use. */
  read(chunk: Uint8Array): string | undefined {
    const { sink } = this;
    const end = chunk.length;
    let at = 0;
    if (this.headerHas > 0) {
      at = this.goOn(chunk);
      if (at < 0) return this.problemOf(this.header, 0);
      if (this.headerHas > 0) return undefined;
    }
    while (!sink.isClosed && at + headerBytes <= end) {
      const length = readU32(chunk, at) - coveredHeaderBytes;
      if (length < 0 || length > this.frameBytesMax) return this.problemOf(chunk, at);
      const next = at + headerBytes + length;
      if (next > end) break;
      if (crc32Of(chunk, at + 8, next, 0) !== readU32(chunk, at + 4)) return checksumProblem;
      this.emit(chunk, at, length === 0 ? noBytes : chunk.subarray(at + headerBytes, next));
      at = next;
    }
    if (sink.isClosed || at === end) return undefined;
    return this.goOn(chunk.subarray(at)) < 0 ? this.problemOf(this.header, 0) : undefined;
  }

  /** Adds to the frame that came in part. Returns how much was taken, or a negative number for a frame that is broken. */
  private goOn(chunk: Uint8Array): number {
    const { header } = this;
    let at = 0;
    while (this.headerHas < headerBytes && at < chunk.length) header[this.headerHas++] = chunk[at++] as number;
    if (this.headerHas < headerBytes) return at;
    if (this.body === undefined) {
      const length = readU32(header, 0) - coveredHeaderBytes;
      if (length < 0 || length > this.frameBytesMax) return -1;
      this.body = Buffer.allocUnsafeSlow(length);
      this.bodyHas = 0;
    }
    const { body } = this;
    const count = Math.min(body.length - this.bodyHas, chunk.length - at);
    body.set(chunk.subarray(at, at + count), this.bodyHas);
    this.bodyHas += count;
    if (this.bodyHas < body.length) return at + count;
    this.headerHas = 0;
    this.body = undefined;
    const covered = crc32Of(header, coveredHeaderBytes, headerBytes, 0);
    if (crc32Of(body, 0, body.length, covered) !== readU32(header, 4)) return -1;
    this.emit(header, 0, body);
    return at + count;
  }

  private emit(header: Uint8Array, at: number, payload: Uint8Array): void {
    const channel = ((header[at + 10] as number) << 8) | (header[at + 11] as number);
    this.sink.frame(header[at + 8] as number, channel, readU32(header, at + 12), payload);
  }

  private problemOf(header: Uint8Array, at: number): string {
    const length = readU32(header, at) - coveredHeaderBytes;
    if (length < 0) return 'a frame is shorter than its header';
    if (length > this.frameBytesMax) return `a frame of ${length} bytes is over the bound of ${this.frameBytesMax}`;
    return checksumProblem;
  }
}

const checksumProblem = 'the checksum of a frame does not hold';
