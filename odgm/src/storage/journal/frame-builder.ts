import { crc32 } from 'node:zlib';
import type { HardState, LogEntry, LogPosition } from '../engine.ts';
import { frameHeaderLength, frameMagic, records, runHeaderLength } from './format.ts';

/** Values of this many bytes are not copied into the frame but written from where they are. */
const largeBytes = 32 * 1024;
const initialBytes = 64 * 1024;
/** A buffer that grew above this is given back when its frame is written. */
const keptBytes = 4 * 1024 * 1024;

/** A place in the payload, and the running checksum before and after it. */
export interface Span {
  position: number;
  length: number;
  seed: number;
  checksum: number;
}

/** Encodes one frame into a buffer that is used again for later ones. */
export class FrameBuilder {
  #buffer = Buffer.allocUnsafeSlow(initialBytes);
  #used = frameHeaderLength;
  /** Large values, and where in the buffer each one belongs. */
  #large: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  #largeBytes = 0;
  #checksum = 0;
  /** Bytes of the buffer that the checksum covers. */
  #checked = frameHeaderLength;
  #checkedLarge = 0;

  /** Bytes of the frame. */
  get length(): number {
    return this.#used + this.#largeBytes;
  }
  get isEmpty(): boolean {
    return this.#used === frameHeaderLength;
  }

  beginOperations(count: number): void {
    const at = this.#reserve(5);
    this.#buffer[at] = records.operations;
    this.#buffer.writeUInt32LE(count, at + 1);
  }

  /** `value` must not change until the frame is written. */
  put(key: Uint8Array, value: Uint8Array): void {
    this.#operation(1, key, value.length);
    this.#bytes(value);
  }

  remove(key: Uint8Array): void {
    this.#operation(0, key, 0);
  }

  /** Entries of one term. Gives the place of the record. */
  run(group: number, entries: readonly LogEntry[]): Span {
    this.#cover();
    const position = this.length;
    const seed = this.#checksum;
    const [first] = entries;
    let rest = 0;
    for (const { data } of entries) rest += 5 + data.length;
    const at = this.#reserve(runHeaderLength);
    const buffer = this.#buffer;
    buffer[at] = records.run;
    buffer.writeDoubleLE(group, at + 1);
    buffer.writeDoubleLE(first?.index ?? 0, at + 9);
    buffer.writeDoubleLE(first?.term ?? 0, at + 17);
    buffer.writeUInt32LE(entries.length, at + 25);
    buffer.writeUInt32LE(rest, at + 29);
    for (const { type, data } of entries) {
      const place = this.#reserve(5);
      this.#buffer[place] = type;
      this.#buffer.writeUInt32LE(data.length, place + 1);
      this.#bytes(data);
    }
    this.#cover();
    return { position, length: this.length - position, seed, checksum: this.#checksum };
  }

  hardState(group: number, { term, vote, commit }: HardState): void {
    const at = this.#reserve(33);
    this.#buffer[at] = records.hardState;
    this.#buffer.writeDoubleLE(group, at + 1);
    this.#buffer.writeDoubleLE(term, at + 9);
    this.#buffer.writeDoubleLE(vote, at + 17);
    this.#buffer.writeDoubleLE(commit, at + 25);
  }

  reset(group: number, { index, term }: LogPosition): void {
    const at = this.#reserve(25);
    this.#buffer[at] = records.reset;
    this.#buffer.writeDoubleLE(group, at + 1);
    this.#buffer.writeDoubleLE(index, at + 9);
    this.#buffer.writeDoubleLE(term, at + 17);
  }

  drop(group: number): void {
    const at = this.#reserve(9);
    this.#buffer[at] = records.drop;
    this.#buffer.writeDoubleLE(group, at + 1);
  }

  /** The frame as buffers to write one after the other. They are good until {@link clear}. */
  seal(segment: number, sequence: number): Uint8Array[] {
    this.#cover();
    const buffer = this.#buffer;
    buffer.writeUInt32LE(frameMagic, 0);
    buffer.writeUInt32LE(segment, 4);
    buffer.writeDoubleLE(sequence, 8);
    buffer.writeUInt32LE(this.length - frameHeaderLength, 16);
    buffer.writeUInt32LE(crc32(buffer.subarray(0, 20), this.#checksum), 20);
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#large) {
      if (at > from) parts.push(buffer.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (this.#used > from) parts.push(buffer.subarray(from, this.#used));
    return parts;
  }

  /** Begins the next frame. */
  clear(): void {
    if (this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.#used = frameHeaderLength;
    this.#large = [];
    this.#largeBytes = 0;
    this.#checksum = 0;
    this.#checked = frameHeaderLength;
    this.#checkedLarge = 0;
  }

  #operation(kind: number, key: Uint8Array, valueLength: number): void {
    const at = this.#reserve(7 + key.length);
    const buffer = this.#buffer;
    buffer[at] = kind;
    buffer.writeUInt16LE(key.length, at + 1);
    buffer.writeUInt32LE(valueLength, at + 3);
    buffer.set(key, at + 7);
  }

  #bytes(bytes: Uint8Array): void {
    if (bytes.length >= largeBytes) {
      this.#large.push({ at: this.#used, bytes });
      this.#largeBytes += bytes.length;
      return;
    }
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Brings the checksum up to the last byte. */
  #cover(): void {
    for (; this.#checkedLarge < this.#large.length; this.#checkedLarge++) {
      const large = this.#large[this.#checkedLarge];
      if (large === undefined) break;
      this.#coverBuffer(large.at);
      this.#checksum = crc32(large.bytes, this.#checksum);
    }
    this.#coverBuffer(this.#used);
  }

  #coverBuffer(end: number): void {
    if (end > this.#checked) this.#checksum = crc32(this.#buffer.subarray(this.#checked, end), this.#checksum);
    this.#checked = end;
  }

  /** Place of `count` more bytes. */
  #reserve(count: number): number {
    const at = this.#used;
    this.#used += count;
    if (this.#used > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    return at;
  }
}
