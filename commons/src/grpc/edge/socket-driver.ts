import type { Socket } from 'node:net';
import type { Http2Connection } from '../../http2/index.ts';
import type { ChunkPool } from '../../http2/index.ts';
import type { Clock } from '../../time/index.ts';
import type { LonePoll } from './lone-poll.ts';

/** Unsent bytes from where on a socket counts as slow: DATA waits, and nothing more is read. */
const slowBytes = 512 * 1024;

/** Writes what connections have to say once per turn of the event loop, so that the frames of a turn share a write. */
export class FlushQueue {
  private readonly poll: LonePoll | undefined;
  private drivers: SocketDriver[] = [];
  private readonly flush = (): void => {
    const { drivers, poll } = this;
    this.drivers = [];
    let openCalls = 0;
    for (const driver of drivers) {
      driver.flush();
      openCalls += driver.streamCount;
    }
    poll?.written(openCalls);
  };

  /** @param poll to stay awake for a lone caller. */
  constructor(poll?: LonePoll) {
    this.poll = poll;
  }

  heard(nowMs: number): void {
    this.poll?.heard(nowMs);
  }

  add(driver: SocketDriver): void {
    if (this.drivers.length === 0) setImmediate(this.flush);
    this.drivers.push(driver);
  }
}

export interface SocketDriverOptions {
  readonly socket: Socket;
  readonly pool: ChunkPool;
  readonly flushes: FlushQueue;
  readonly clock: Clock;
  /** Called at the end of a turn, before its frames are written. */
  readonly beforeFlush: () => void;
}

/** Moves bytes between a socket and the state machine of its connection. */
export class SocketDriver {
  /** Monotonic time of the last bytes that came. */
  heardAt: number;
  private connection: Http2Connection | undefined = undefined;
  private readonly options: SocketDriverOptions;
  private scheduled = false;
  private slow = false;

  constructor(options: SocketDriverOptions) {
    this.options = options;
    this.heardAt = options.clock.monotonic();
  }

  get streamCount(): number {
    return this.connection?.streamCount ?? 0;
  }

  /** @param head what was read off the socket before. */
  start(connection: Http2Connection, head?: Uint8Array): void {
    this.connection = connection;
    const { socket } = this.options;
    socket.setNoDelay(true);
    if (head !== undefined) this.receive(head);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('drain', () => {
      if (!this.slow) return;
      this.slow = false;
      socket.resume();
      connection.flushed(false);
      this.flushSoon();
    });
    // The error of a socket says nothing that its close does not: every open call hears of it there.
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => connection.abort());
    this.flushSoon();
  }

  private receive(bytes: Uint8Array): void {
    this.heardAt = this.options.clock.monotonic();
    this.options.flushes.heard(this.heardAt);
    (this.connection as Http2Connection).receive(bytes, this.heardAt);
    this.flushSoon();
  }

  flushSoon(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.options.flushes.add(this);
  }

  flush(): void {
    this.scheduled = false;
    const { socket, pool } = this.options;
    const connection = this.connection as Http2Connection;
    this.options.beforeFlush();
    // Releasing what waited for this flush may write again; a slow socket ends the loop.
    while (connection.outputSize > 0) {
      const pieces = connection.takeOutput();
      if (socket.destroyed || socket.writableEnded) return;
      if (pieces.length > 1) socket.cork();
      for (const piece of pieces) socket.write(piece, () => pool.give(piece));
      if (pieces.length > 1) socket.uncork();
      if (socket.writableLength > slowBytes) {
        this.slow = true;
        // Who does not read answers gets no more requests read.
        socket.pause();
      }
      connection.flushed(this.slow);
      if (this.slow) break;
    }
    // The peer reads the last words and closes too; what it still sends is read and dropped until then.
    if (connection.isClosed && !socket.writableEnded) socket.end();
  }

  destroy(): void {
    this.options.socket.destroy();
  }
}
