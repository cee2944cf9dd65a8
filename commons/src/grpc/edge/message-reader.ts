import { gunzipSync } from 'node:zlib';
import { type OaasError, oaasError } from '../../errors/index.ts';
import { prefixBytes } from './wire.ts';

/** Receives the messages of one direction of a call. `bytes[start, end)` may be reused afterwards, unless they are the message's own. */
export interface MessageSink {
  message(bytes: Uint8Array, start: number, end: number, isOwn: boolean): void;
}

/** The first buffer for a message that comes in parts: no more is taken on the word of its prefix. */
const firstBytes = 4096;
/** A larger buffer has room for so many times what has come. */
const growth = 4;

/**
 * Puts the messages of a call together from DATA of any cut. A message that lies whole in one frame is handed on in
 * place. One over `bytesMax` throws PayloadTooLarge, before and after decompression.
 */
export class MessageReader {
  /** Bytes held of a message that is not whole yet. */
  held = 0;
  private readonly sink: MessageSink;
  private readonly bytesMax: number;
  private readonly gzip: boolean;
  private buf: Uint8Array | undefined = undefined;

  /** @param gzip whether the peer has named gzip as its encoding. */
  constructor(sink: MessageSink, bytesMax: number, gzip: boolean) {
    this.sink = sink;
    this.bytesMax = bytesMax;
    this.gzip = gzip;
  }

  feed(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    if (this.held > 0) at = this.complete(bytes, at, to);
    while (to - at >= prefixBytes) {
      const end = at + prefixBytes + lengthAt(bytes, at);
      this.check(end - at - prefixBytes);
      if (end > to) break;
      this.deliver(bytes, at, end, false);
      at = end;
    }
    if (at < to) {
      this.buf = Buffer.allocUnsafeSlow(Math.max(firstBytes, to - at));
      this.buf.set(bytes.subarray(at, to));
      this.held = to - at;
    }
  }

  /** Goes on with the message that is held. Returns how far `bytes` is read. */
  private complete(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    let buf = this.buf as Uint8Array;
    while (this.held < prefixBytes && at < to) buf[this.held++] = bytes[at++] as number;
    if (this.held < prefixBytes) return at;
    const length = lengthAt(buf, 0);
    this.check(length);
    const whole = prefixBytes + length;
    const count = Math.min(whole - this.held, to - at);
    if (this.held + count > buf.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(whole, growth * (this.held + count)));
      larger.set(buf.subarray(0, this.held));
      buf = larger;
      this.buf = buf;
    }
    buf.set(bytes.subarray(at, at + count), this.held);
    this.held += count;
    if (this.held < whole) return at + count;
    this.held = 0;
    this.buf = undefined;
    this.deliver(buf, 0, whole, true);
    return at + count;
  }

  private check(length: number): void {
    if (length > this.bytesMax) throw tooLarge(this.bytesMax);
  }

  private deliver(bytes: Uint8Array, at: number, end: number, isOwn: boolean): void {
    const flag = bytes[at] as number;
    if (flag === 0) {
      this.sink.message(bytes, at + prefixBytes, end, isOwn);
      return;
    }
    if (flag !== 1 || !this.gzip)
      throw oaasError('Internal', 'a message is compressed in a way that was not announced');
    const plain = decompress(bytes.subarray(at + prefixBytes, end), this.bytesMax);
    this.sink.message(plain, 0, plain.length, true);
  }
}

function decompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, bytesMax) });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(bytesMax);
    throw oaasError('Internal', 'a compressed message cannot be read', { cause: error });
  }
}

/** Length of the message whose prefix begins at `at`. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at + 1] as number) << 24) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 8) |
      (bytes[at + 4] as number)) >>>
    0
  );
}

function tooLarge(bytesMax: number): OaasError {
  return oaasError('PayloadTooLarge', `a message is larger than ${bytesMax} bytes`);
}
