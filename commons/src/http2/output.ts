import { frameHeaderBytes } from './frames.ts';

export interface ChunkPoolOptions {
  /** Size of a chunk for a busy connection, in bytes. Default 128 KiB: the answers of a turn go out in one write. */
  readonly chunkBytes?: number | undefined;
  /** Free chunks kept for reuse, of either size; more are left to the garbage collector. Default 32. */
  readonly keepMax?: number | undefined;
}

/** Size of a chunk for a connection that had little to say in its last turn. */
const smallBytes = 4096;

/**
 * Buffers for what is written in one turn, shared by the connections of a process so that an idle connection owns none.
 * A chunk goes back by {@link ChunkPool.give} once the socket is done with it; one that is never given back is garbage.
 */
export class ChunkPool {
  readonly #chunkBytes: number;
  readonly #keepMax: number;
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];

  constructor(options: ChunkPoolOptions = {}) {
    this.#chunkBytes = options.chunkBytes ?? 128 * 1024;
    this.#keepMax = options.keepMax ?? 32;
  }

  /** A chunk of at least `minBytes`, and large if `expectedBytes` are. */
  take(minBytes: number, expectedBytes: number): Uint8Array {
    if (minBytes <= smallBytes && expectedBytes <= smallBytes) return this.#small.pop() ?? new Uint8Array(smallBytes);
    if (minBytes > this.#chunkBytes) return new Uint8Array(minBytes);
    return this.#large.pop() ?? new Uint8Array(this.#chunkBytes);
  }

  /** @param chunk the whole array or a view that begins at its start, as `Output.take` returned it. */
  give(chunk: Uint8Array): void {
    const { byteLength } = chunk.buffer;
    const free = byteLength === smallBytes ? this.#small : byteLength === this.#chunkBytes ? this.#large : undefined;
    if (free === undefined || free.length >= this.#keepMax) return;
    free.push(chunk.length === byteLength ? chunk : new Uint8Array(chunk.buffer));
  }
}

const none: Uint8Array[] = [];

/** Frames that wait to be written to the socket, in few large pieces. */
export class Output {
  /** Bytes that wait. */
  size = 0;
  private buf: Uint8Array | undefined = undefined;
  private pos = 0;
  /** What was written in the last turn. */
  private expected = 0;
  private full: Uint8Array[] = none;
  private readonly pool: ChunkPool;

  constructor(pool: ChunkPool) {
    this.pool = pool;
  }

  /** Hands over all that waits, in order. The pieces go back to the pool when the socket has them. */
  take(): Uint8Array[] {
    this.expected = this.size;
    const pieces = this.full === none ? [] : this.full;
    if (this.buf !== undefined) pieces.push(this.buf.subarray(0, this.pos));
    this.full = none;
    this.buf = undefined;
    this.pos = 0;
    this.size = 0;
    return pieces;
  }

  frame(length: number, type: number, flags: number, streamId: number): void {
    const buf = this.room(frameHeaderBytes + length);
    const pos = this.pos;
    buf[pos] = length >>> 16;
    buf[pos + 1] = length >>> 8;
    buf[pos + 2] = length;
    buf[pos + 3] = type;
    buf[pos + 4] = flags;
    buf[pos + 5] = streamId >>> 24;
    buf[pos + 6] = streamId >>> 16;
    buf[pos + 7] = streamId >>> 8;
    buf[pos + 8] = streamId;
    this.pos = pos + frameHeaderBytes;
    this.size += frameHeaderBytes;
  }

  uint16(value: number): void {
    const buf = this.room(2);
    buf[this.pos++] = value >>> 8;
    buf[this.pos++] = value;
    this.size += 2;
  }

  uint32(value: number): void {
    const buf = this.room(4);
    const pos = this.pos;
    buf[pos] = value >>> 24;
    buf[pos + 1] = value >>> 16;
    buf[pos + 2] = value >>> 8;
    buf[pos + 3] = value;
    this.pos = pos + 4;
    this.size += 4;
  }

  /** Copies `bytes[start, end)`. */
  bytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = end - start;
    const buf = this.room(length);
    if (length <= 24) for (let i = 0; i < length; i += 1) buf[this.pos + i] = bytes[start + i] as number;
    else buf.set(length === bytes.length ? bytes : bytes.subarray(start, end), this.pos);
    this.pos += length;
    this.size += length;
  }

  private room(length: number): Uint8Array {
    let buf = this.buf;
    if (buf !== undefined) {
      if (this.pos + length <= buf.length) return buf;
      if (this.full === none) this.full = [];
      this.full.push(buf.subarray(0, this.pos));
    }
    buf = this.pool.take(length, Math.max(this.expected, this.size));
    this.buf = buf;
    this.pos = 0;
    return buf;
  }
}
