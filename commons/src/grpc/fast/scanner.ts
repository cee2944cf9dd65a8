/** Texts that are kept: as many, none longer. Names of classes and keys come again and again. */
const keptTexts = 512;
const keptLength = 40;

/**
 * Reads protobuf's wire format as far as it is plain: whatever is out of the ordinary makes it give up, and is left to
 * the generated code. Once it has given up, it stands at the end of everything and reads nothing more.
 */
export class Scanner {
  pos = 0;
  hasGivenUp = false;
  private bytes: Buffer = Buffer.alloc(0);
  private chunk: Uint8Array = this.bytes;
  private isOwn = false;
  private readonly texts = new Array<string>(keptTexts).fill('');

  /** `isOwn`: the bytes do not change, and belong to the message alone, or nobody keeps any of them for long. */
  start(bytes: Uint8Array, pos: number, isOwn: boolean): void {
    this.pos = pos;
    this.hasGivenUp = false;
    this.isOwn = isOwn;
    if (this.chunk === bytes) return;
    this.chunk = bytes;
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  giveUp(): void {
    this.hasGivenUp = true;
    this.pos = Number.POSITIVE_INFINITY;
  }

  /** Whether there is another field before `end`. A field that went past it is nothing for here. */
  more(end: number): boolean {
    if (this.pos < end) return true;
    if (this.pos !== end) this.giveUp();
    return false;
  }

  /** A whole number below 2^28: tags, lengths, small values. */
  small(): number {
    const { bytes } = this;
    let byte = bytes[this.pos++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift <= 21; shift += 7) {
      byte = bytes[this.pos++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.giveUp();
    return 0;
  }

  /** A whole number up to 2^53 - 1. */
  large(): number {
    const { bytes } = this;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i += 1) {
      const byte = bytes[this.pos++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) this.giveUp();
        return value;
      }
      scale *= 128;
    }
    this.giveUp();
    return 0;
  }

  /** The end of a nested message or a text, of which the length comes next; at most `end`. */
  endOf(end: number): number {
    const length = this.small();
    const to = this.pos + length;
    if (to <= end) return to;
    this.giveUp();
    return 0;
  }

  /** ASCII; other text is nothing for here. */
  string(end: number): string {
    const to = this.endOf(end);
    const from = this.pos;
    if (this.hasGivenUp) return '';
    const { bytes } = this;
    let hash = to - from;
    for (let i = from; i < to; i += 1) {
      const byte = bytes[i] as number;
      if (byte > 0x7f) {
        this.giveUp();
        return '';
      }
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    this.pos = to;
    if (to - from > keptLength) return bytes.toString('latin1', from, to);
    const slot = (hash ^ (hash >>> 9)) & (keptTexts - 1);
    const kept = this.texts[slot] as string;
    if (isSame(kept, bytes, from, to)) return kept;
    const text = bytes.toString('latin1', from, to);
    this.texts[slot] = text;
    return text;
  }

  /** A copy, unless the bytes are as good as the message's own: what is kept must not keep a whole piece of the connection. */
  content(end: number): Buffer {
    const to = this.endOf(end);
    if (this.hasGivenUp) return this.bytes;
    if (this.isOwn) {
      const view = this.bytes.subarray(this.pos, to);
      this.pos = to;
      return view;
    }
    // Buffer.from would do the same, several times slower.
    const copy = Buffer.allocUnsafe(to - this.pos);
    this.bytes.copy(copy, 0, this.pos, to);
    this.pos = to;
    return copy;
  }
}

function isSame(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) !== bytes[from + i]) return false;
  return true;
}
