import { oaasError } from '@oaas/commons/errors';
import { bufferOf } from './keys.ts';

/** Appends numbers and bytes to a buffer that grows. Numbers are LEB128, safe integers from 0. */
export class Writer {
  bytes: Buffer;
  at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes room, so that the next `count` bytes fit. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + count));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }

  u8(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** At most 8 bytes. */
  number(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let rest = value;
    while (rest > 0x7fffffff) {
      bytes[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.at = at;
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** A copy of what was written. */
  finish(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.at));
  }
}

/** Reads what {@link Writer} wrote. Throws `DataLoss` for anything that does not fit. */
export class Reader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bufferOf(bytes);
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  u8(): number {
    if (this.at >= this.bytes.length) throw malformed();
    return this.bytes[this.at++] ?? 0;
  }

  number(): number {
    const { bytes } = this;
    const first = bytes[this.at];
    if (first === undefined) throw malformed();
    this.at += 1;
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let scale = 128; scale <= 2 ** 49; scale *= 128) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw malformed();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw malformed();
  }

  /** A view. */
  raw(length: number): Buffer {
    const from = this.at;
    if (length > this.bytes.length - from) throw malformed();
    this.at = from + length;
    return this.bytes.subarray(from, from + length);
  }
}

function malformed(): Error {
  return oaasError('DataLoss', 'bytes do not have the expected form');
}
