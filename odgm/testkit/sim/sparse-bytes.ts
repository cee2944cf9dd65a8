const pageBytes = 4096;
const zeros = new Uint8Array(pageBytes);

/** The bytes of a file, of which stretches of zeros take no memory. */
export class SparseBytes {
  size = 0;
  private readonly pages = new Map<number, Uint8Array>();

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const offset = at % pageBytes;
      const part = bytes.subarray(done, done + pageBytes - offset);
      this.writePage((at - offset) / pageBytes, offset, part);
      done += part.length;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  /** Bytes read: fewer than asked for at the end. */
  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.size - position));
    for (let done = 0; done < count;) {
      const at = position + done;
      const offset = at % pageBytes;
      const length = Math.min(count - done, pageBytes - offset);
      const page = this.pages.get((at - offset) / pageBytes) ?? zeros;
      target.set(page.subarray(offset, offset + length), done);
      done += length;
    }
    return count;
  }

  flipBit(position: number, bit: number): void {
    const byte = new Uint8Array(1);
    this.read(byte, position);
    this.write(Uint8Array.of((byte[0] as number) ^ (1 << bit)), position);
  }

  copy(): SparseBytes {
    const copy = new SparseBytes();
    copy.size = this.size;
    for (const [number, page] of this.pages) copy.pages.set(number, Uint8Array.from(page));
    return copy;
  }

  private writePage(number: number, offset: number, part: Uint8Array): void {
    let page = this.pages.get(number);
    if (page === undefined) {
      if (Buffer.compare(part, zeros.subarray(0, part.length)) === 0) return;
      page = new Uint8Array(pageBytes);
      this.pages.set(number, page);
    }
    page.set(part, offset);
  }
}
