import type { ChunkPool } from '@oaas/commons/http2';
import { crc32Of } from './crc.ts';
import { coveredHeaderBytes, type FrameKind, frameKinds, headerBytes, writeU32 } from './frames.ts';
import type { MeshPayload } from './port.ts';

/**
 * Payloads up to this size are copied beside one another; larger ones are written from where they are. Messages are copied
 * whatever their size, into chunks that are used again: a buffer for each would cost more than the copy.
 */
const copyMax = 4096;

/** What one write hands to the socket. */
export interface Batch {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** Call when the socket is done with the pieces. */
  release(): void;
}

/** Frames that wait to be written, in order, in few pieces. It has no bound of its own: who pushes looks at `bytes`. */
export class FrameQueue {
  /** Bytes that wait. */
  bytes = 0;
  private readonly pool: ChunkPool;
  private chunk: Uint8Array | undefined = undefined;
  /** The bytes of `chunk` from `from` to `to` are no piece yet. */
  private from = 0;
  private to = 0;
  private pieces: Uint8Array[] = [];
  private chunks: Uint8Array[] = [];

  /** @param pool shared by the links of a process. */
  constructor(pool: ChunkPool) {
    this.pool = pool;
  }

  /** @param length bytes of the payload. */
  push(kind: FrameKind, channel: number, id: number, payload: MeshPayload, length: number): void {
    const copies = length <= copyMax || kind === frameKinds.message;
    const chunk = this.room(copies ? headerBytes + length : headerBytes);
    const at = this.to;
    writeU32(chunk, at, coveredHeaderBytes + length);
    chunk[at + 8] = kind;
    chunk[at + 9] = 0;
    chunk[at + 10] = channel >>> 8;
    chunk[at + 11] = channel;
    writeU32(chunk, at + 12, id);
    this.to = at + headerBytes;
    let crc: number;
    if (copies) {
      if (payload instanceof Uint8Array) this.copy(chunk, payload);
      else for (const part of payload) this.copy(chunk, part);
      crc = crc32Of(chunk, at + 8, this.to, 0);
    } else {
      crc = crc32Of(chunk, at + 8, this.to, 0);
      this.cut();
      if (payload instanceof Uint8Array) {
        crc = crc32Of(payload, 0, payload.length, crc);
        this.pieces.push(payload);
      } else {
        for (const part of payload) {
          if (part.length === 0) continue;
          crc = crc32Of(part, 0, part.length, crc);
          this.pieces.push(part);
        }
      }
    }
    writeU32(chunk, at + 4, crc);
    this.bytes += headerBytes + length;
  }

  /** All that waits. */
  take(): Batch {
    this.cut();
    const { pieces, chunks, bytes, pool } = this;
    if (this.chunk !== undefined) chunks.push(this.chunk);
    this.chunk = undefined;
    this.from = 0;
    this.to = 0;
    this.pieces = [];
    this.chunks = [];
    this.bytes = 0;
    return {
      pieces,
      bytes,
      release: () => {
        for (const chunk of chunks) pool.give(chunk);
      },
    };
  }

  private copy(chunk: Uint8Array, part: Uint8Array): void {
    const { length } = part;
    if (length <= 24) for (let i = 0; i < length; i += 1) chunk[this.to + i] = part[i] as number;
    else chunk.set(part, this.to);
    this.to += length;
  }

  /** Makes a piece of what was written into the chunk since the last one. */
  private cut(): void {
    if (this.chunk === undefined || this.to === this.from) return;
    this.pieces.push(this.chunk.subarray(this.from, this.to));
    this.from = this.to;
  }

  private room(length: number): Uint8Array {
    if (this.chunk !== undefined) {
      if (this.to + length <= this.chunk.length) return this.chunk;
      this.cut();
      this.chunks.push(this.chunk);
    }
    const chunk = this.pool.take(length, this.bytes);
    this.chunk = chunk;
    this.from = 0;
    this.to = 0;
    return chunk;
  }
}
