import { oaasError } from '@oaas/commons/errors';
import { putText } from './records.ts';

/** Writes what {@link ByteReader} reads. Numbers are LEB128 up to 2^53-1, times are u48. */
export class ByteWriter {
  readonly #bytes: Buffer;
  #at = 0;

  /** `size`: at least what will be written. */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  u8(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  number(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  time(value: number): void {
    this.#at = this.#bytes.writeUIntBE(value, this.#at, 6);
  }

  /** Latin-1. */
  text(value: string): void {
    this.number(value.length);
    putText(this.#bytes, value, this.#at);
    this.#at += value.length;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** In UTF-8; its length in bytes goes before it. */
  utf8(value: string): void {
    const length = Buffer.byteLength(value);
    this.number(length);
    this.#at += this.#bytes.write(value, this.#at, length);
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }
}

/** Throws `DataLoss` for what {@link ByteWriter} has not written. Bytes that it gives are views. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw unreadable('a number is too large');
  }

  time(): number {
    return this.#bytes.readUIntBE(this.#take(6), 6);
  }

  text(): string {
    const length = this.number();
    const from = this.#take(length);
    return this.#bytes.toString('latin1', from, from + length);
  }

  bytes(): Uint8Array {
    const length = this.number();
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  utf8(): string {
    const length = this.number();
    const from = this.#take(length);
    return this.#bytes.toString('utf8', from, from + length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw unreadable('there is more than one mutation');
  }

  #take(length: number): number {
    const from = this.#at;
    if (length > this.#bytes.length - from) throw unreadable('it ends too early');
    this.#at = from + length;
    return from;
  }
}

/** An entry of the log, or a record that came by one, cannot be read. */
export function unreadable(what: string): Error {
  return oaasError('DataLoss', `an entry of the log cannot be read: ${what}`, {
    remedy: 'Run the version that wrote it; if it is no newer, rebuild this replica from another one.',
  });
}
