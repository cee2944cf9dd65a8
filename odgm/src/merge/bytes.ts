/** Unsigned order of bytes, a prefix before what it begins: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Order of texts by code unit, as `<` sees it. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Writes big-endian numbers and bytes one after the other into a buffer of the size that the caller worked out. */
export class Writer {
  readonly bytes: Uint8Array;
  #at: number;

  /** `target`: a new buffer of this size, or one that the caller has, from `at` on. */
  constructor(target: number | Uint8Array, at = 0) {
    this.bytes = typeof target === 'number' ? new Uint8Array(target) : target;
    this.#at = at;
  }

  /** Where the next byte goes. */
  get at(): number {
    return this.#at;
  }

  /** An unsigned number of `width` bytes, at most 2^53 - 1. */
  uint(value: number, width: 1 | 2 | 4 | 6 | 8): void {
    // The low word by shifts: a division for each byte costs several times as much.
    const end = this.#at + width;
    let rest = value % 2 ** 32;
    for (let i = end - 1; i >= this.#at; i--) {
      if (i === end - 5) rest = Math.floor(value / 2 ** 32);
      this.bytes[i] = rest;
      rest >>>= 8;
    }
    this.#at = end;
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/**
 * Reads what {@link Writer} wrote. Past the end everything reads as 0 and `failed` turns true, so that a reader checks
 * once, at the end, and never loops on a count that the bytes do not back.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  failed = false;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** True when everything was read and nothing was missing. */
  get isComplete(): boolean {
    return !this.failed && this.left === 0;
  }

  /** An unsigned number of `width` bytes; one over 2^53 - 1 fails. */
  uint(width: 1 | 2 | 4 | 6 | 8): number {
    if (this.left < width) return this.#fail();
    const lowAt = this.#at + Math.max(0, width - 4);
    const end = this.#at + width;
    let high = 0;
    for (let i = this.#at; i < lowAt; i++) high = (high << 8) | (this.#bytes[i] ?? 0);
    let low = 0;
    for (let i = lowAt; i < end; i++) low = (low << 8) | (this.#bytes[i] ?? 0);
    this.#at = end;
    const value = (high >>> 0) * 2 ** 32 + (low >>> 0);
    return value <= Number.MAX_SAFE_INTEGER ? value : this.#fail();
  }

  /** A view of the next bytes, not a copy. */
  raw(length: number): Uint8Array {
    if (this.left < length) {
      this.#fail();
      return new Uint8Array(0);
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #fail(): number {
    this.failed = true;
    this.#at = this.#bytes.length;
    return 0;
  }
}
