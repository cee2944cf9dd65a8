/** Texts of at most so many characters are written here, one by one; longer ones by the runtime. */
const shortText = 64;

/**
 * Writes protobuf's wire format into a buffer that it keeps. Lengths of nested messages are written ahead by a guess, and
 * put right where the guess was wrong.
 */
export class Pen {
  private buf: Buffer;
  private pos = 0;
  private readonly keptBytes: number;

  /** @param keptBytes size of the buffer that is kept; a larger message gets one of its own. */
  constructor(keptBytes: number) {
    this.keptBytes = keptBytes;
    this.buf = Buffer.allocUnsafeSlow(Math.min(4096, keptBytes));
  }

  /** Drops what was written. */
  reset(): void {
    this.pos = 0;
  }

  /** What was written: up to `keptBytes` valid until the next `reset`, more for good. */
  take(): Uint8Array {
    const written = this.buf.subarray(0, this.pos);
    if (this.buf.length > this.keptBytes) this.buf = Buffer.allocUnsafeSlow(Math.min(4096, this.keptBytes));
    return written;
  }

  /** @param tag field number and wire type, below 128. */
  tag(tag: number): void {
    this.room(1);
    this.buf[this.pos++] = tag;
  }

  /** @param value a whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.room(8);
    let rest = value;
    for (; rest >= 0x80000000; rest = Math.floor(rest / 128)) this.buf[this.pos++] = (rest % 128) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) this.buf[this.pos++] = (rest & 0x7f) | 0x80;
    this.buf[this.pos++] = rest;
  }

  /** Length and UTF-8. */
  string(text: string): void {
    const { length } = text;
    if (length <= shortText) {
      this.room(length + 1);
      const { buf } = this;
      const at = this.pos + 1;
      let i = 0;
      for (; i < length; i += 1) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        buf[at + i] = code;
      }
      if (i === length) {
        buf[at - 1] = length;
        this.pos = at + length;
        return;
      }
    }
    const size = Buffer.byteLength(text);
    this.varint(size);
    this.room(size);
    this.pos += this.buf.write(text, this.pos, 'utf8');
  }

  /** Length and content. */
  bytes(content: Uint8Array): void {
    const { length } = content;
    this.varint(length);
    this.room(length);
    this.buf.set(content, this.pos);
    this.pos += length;
  }

  /** Leaves room for the length of what follows. Returns where, for {@link close}. */
  open(guess: number): number {
    const at = this.pos;
    this.room(5);
    this.pos = at + varintSize(guess);
    return at;
  }

  /** Writes the length of what came after {@link open} with the same guess. */
  close(at: number, guess: number): void {
    const from = at + varintSize(guess);
    const length = this.pos - from;
    const to = at + varintSize(length);
    if (to !== from) {
      this.room(5);
      this.buf.copyWithin(to, from, this.pos);
    }
    let rest = length;
    let i = at;
    for (; rest >= 0x80; rest >>>= 7) this.buf[i++] = (rest & 0x7f) | 0x80;
    this.buf[i] = rest;
    this.pos = to + length;
  }

  private room(length: number): void {
    const needed = this.pos + length;
    if (needed <= this.buf.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.buf.length * 2, needed + this.keptBytes)));
    this.buf.copy(larger, 0, 0, this.pos);
    this.buf = larger;
  }
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
