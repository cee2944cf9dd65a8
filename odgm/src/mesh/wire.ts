import { oaasError } from '@oaas/commons/errors';
import type { ChunkPool } from '@oaas/commons/http2';
import type { Timer, Timers } from '@oaas/commons/time';
import type { Duplex } from 'node:stream';
import { FrameQueue } from './frame-queue.ts';
import type { FrameLink } from './frame-link.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { type FrameKind, frameKinds, headerBytes, payloadLength } from './frames.ts';
import { helloBytesMax, meshPreface } from './handshake.ts';
import type { Channel, MeshPayload } from './port.ts';

/** Writes what the links have to say once per turn of the event loop, so that the frames of a turn share a write. */
export class FlushQueue {
  private wires: Wire[] = [];
  private readonly flush = (): void => {
    const { wires } = this;
    this.wires = [];
    for (const wire of wires) wire.flush();
  };

  add(wire: Wire): void {
    if (this.wires.length === 0) setImmediate(this.flush);
    this.wires.push(wire);
  }
}

/** Who gets what happens on a wire. */
export interface WireEvents {
  /** Returns what is wrong with the frame, which closes the wire. */
  frame(kind: number, channel: Channel, id: number, payload: Uint8Array): string | undefined;
  /** More than half of the queue's bound is free again after it was reached. */
  drained(): void;
  /** Called once, when nothing comes or goes any more. */
  closed(reason: string): void;
}

export interface WireLimits {
  /** Largest payload of a frame. */
  readonly frameBytesMax: number;
  /** Bytes that may wait for the socket. */
  readonly queueBytesMax: number;
}

export interface WireOptions {
  readonly socket: Duplex;
  /** True: the other end begins with the preface. */
  readonly expectsPreface: boolean;
  readonly limits: WireLimits;
  readonly pool: ChunkPool;
  readonly flushes: FlushQueue;
  readonly events: WireEvents;
  readonly timers: Timers;
  /** Called once, when the socket is closed. */
  readonly gone: (wire: Wire) => void;
}

/** What small frames may take on top of the queue's bound before a peer that does not read loses its link. */
const forcedBytesMax = 4 * 1024 * 1024;

/** Time for the last words of a link to be read. */
const lingerMs = 1000;

/** Frames over one socket: one write per turn, a bound on what waits, and one end. */
export class Wire implements FrameLink, FrameSink {
  /** Who gets the events; a handshake hands over to what comes after it. */
  events: WireEvents;
  isClosed = false;
  sentBytes = 0;
  receivedBytes = 0;
  /** True when something came since it was last set to false. */
  hasHeard = false;
  private readonly options: WireOptions;
  private readonly queue: FrameQueue;
  private readonly reader: FrameReader;
  /** How much of the preface is still to come. */
  private prefaceLeft: number;
  private writing = 0;
  private isScheduled = false;
  private isEnding = false;
  private wasFull = false;
  private linger: Timer | undefined = undefined;

  constructor(options: WireOptions) {
    const { socket } = options;
    this.options = options;
    this.events = options.events;
    this.queue = new FrameQueue(options.pool);
    this.prefaceLeft = options.expectsPreface ? meshPreface.length : 0;
    this.reader = new FrameReader(helloBytesMax, this);
    if ('setNoDelay' in socket) (socket.setNoDelay as (on: boolean) => void)(true);
    socket.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    // The error of a socket comes with its close.
    let failure = 'the peer closed the connection';
    socket.on('error', (error) => (failure = `the connection failed: ${error.message}`));
    socket.on('end', () => {
      this.finish(failure);
    });
    socket.on('close', () => {
      this.finish(failure);
      this.linger?.cancel();
      options.gone(this);
    });
  }

  get queuedBytes(): number {
    return this.queue.bytes + this.writing;
  }

  /** Frames of full size are taken from now on: the other end has said who it is. */
  open(): void {
    this.reader.frameBytesMax = this.options.limits.frameBytesMax;
  }

  /** Takes bytes that came. */
  read(chunk: Uint8Array): void {
    if (this.isClosed) return;
    this.hasHeard = true;
    this.receivedBytes += chunk.length;
    let bytes = chunk;
    while (this.prefaceLeft > 0 && bytes.length > 0) {
      if (bytes[0] !== meshPreface[meshPreface.length - this.prefaceLeft]) {
        this.close('the preface of peer links is missing');
        return;
      }
      this.prefaceLeft -= 1;
      bytes = bytes.subarray(1);
    }
    const problem = this.reader.read(bytes);
    if (problem !== undefined) this.close(problem);
  }

  /** A frame that was read; for the reader. */
  frame(kind: number, channel: Channel, id: number, payload: Uint8Array): void {
    const problem = this.events.frame(kind, channel, id, payload);
    if (problem !== undefined) this.close(problem);
  }

  offer(kind: FrameKind, channel: Channel, id: number, payload: MeshPayload): boolean {
    const length = payload instanceof Uint8Array ? payload.length : payloadLength(payload);
    const { frameBytesMax, queueBytesMax } = this.options.limits;
    if (length > frameBytesMax) {
      throw oaasError('PayloadTooLarge', `a payload of ${length} bytes is over the bound of ${frameBytesMax}`);
    }
    if (this.isClosed) return false;
    if (this.queue.bytes + this.writing + headerBytes + length > queueBytesMax) {
      this.wasFull = true;
      return false;
    }
    this.push(kind, channel, id, payload, length);
    return true;
  }

  force(kind: FrameKind, channel: Channel, id: number, payload: Uint8Array): void {
    if (this.isClosed) return;
    if (this.queuedBytes > this.options.limits.queueBytesMax + forcedBytesMax) {
      this.finish('the peer asks, but does not read its answers');
      return;
    }
    this.push(kind, channel, id, payload, payload.length);
  }

  /** First bytes of the end that dials. Before any frame. */
  sendPreface(): void {
    this.options.socket.write(meshPreface);
  }

  flush(): void {
    this.isScheduled = false;
    const { socket } = this.options;
    if (this.writing > 0 || this.queue.bytes === 0 || socket.destroyed || socket.writableEnded) return;
    const batch = this.queue.take();
    const { pieces } = batch;
    this.writing = batch.bytes;
    const last = pieces.length - 1;
    if (last > 0) socket.cork();
    for (let i = 0; i < last; i += 1) socket.write(pieces[i]);
    socket.write(pieces[last], (error) => {
      batch.release();
      this.written(batch.bytes, error);
    });
    if (last > 0) socket.uncork();
  }

  /** Says why, as the last frame, and closes. What waits before it is still written if the peer reads. Idempotent. */
  close(reason: string): void {
    if (this.isClosed) return;
    this.push(frameKinds.close, 0, 0, Buffer.from(reason), Buffer.byteLength(reason));
    this.isEnding = true;
    const { socket, timers } = this.options;
    this.linger = timers.after(lingerMs, () => socket.destroy());
    this.finish(reason);
  }

  /** Drops the socket with what waits for it. */
  destroy(): void {
    this.finish('this end closed the connection');
    this.options.socket.destroy();
  }

  private push(kind: FrameKind, channel: Channel, id: number, payload: MeshPayload, length: number): void {
    this.queue.push(kind, channel, id, payload, length);
    if (this.isScheduled || this.writing > 0) return;
    this.isScheduled = true;
    this.options.flushes.add(this);
  }

  private written(bytes: number, error: Error | null | undefined): void {
    this.writing = 0;
    if (error !== null && error !== undefined) return;
    this.sentBytes += bytes;
    if (this.queue.bytes > 0) this.flush();
    else if (this.isEnding) this.options.socket.end();
    if (this.wasFull && this.queuedBytes * 2 <= this.options.limits.queueBytesMax) {
      this.wasFull = false;
      this.events.drained();
    }
  }

  private finish(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (!this.isEnding) this.options.socket.destroy();
    this.events.closed(reason);
  }
}
