import { Allowance, type Http2Bounds } from './bounds.ts';
import { http2Codes, Http2Error } from './codes.ts';
import { writeReset, writeWindowUpdate } from './control-frames.ts';
import type { Http2Events } from './events.ts';
import { maxInt31 } from './frames.ts';
import type { HpackEncoderOptions } from './hpack-encoder.ts';
import type { ChunkPool } from './output.ts';
import { Sender } from './sender.ts';
import { initialPeerSettings, type PeerSettings } from './settings.ts';
import type { Ending, Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

export interface CoreOptions {
  readonly role: 'server' | 'client';
  readonly events: Http2Events;
  readonly nowMs: number;
  readonly bounds: Http2Bounds;
  readonly pool: ChunkPool;
  readonly hpack: HpackEncoderOptions;
}

/** What the two directions of a connection share: its streams, how they end, and what the peer may cost. */
export class Core {
  readonly role: 'server' | 'client';
  readonly events: Http2Events;
  readonly bounds: Http2Bounds;
  readonly sender: Sender;
  readonly table: StreamTable;
  /** The peer's settings as they stand. */
  readonly peer: PeerSettings = initialPeerSettings();
  now: number;
  /** Nothing is received any more. */
  isClosed = false;
  isShuttingDown = false;
  settingsReceived = false;
  settingsAcknowledged = false;
  goawayReceived = false;
  private readonly resets: Allowance;
  private readonly idleFrames: Allowance;

  constructor({ role, events, nowMs, bounds, pool, hpack }: CoreOptions) {
    this.role = role;
    this.events = events;
    this.bounds = bounds;
    this.now = nowMs;
    this.table = new StreamTable(role);
    const senderEvents = {
      sent: () => this.earnIdle(),
      ended: (stream: Stream) => this.sentEnd(stream),
      drained: (stream: Stream) => events.drained(stream),
    };
    this.sender = new Sender(bounds, pool, senderEvents, hpack);
    this.resets = new Allowance(bounds.resets, nowMs);
    this.idleFrames = new Allowance(bounds.idleFrames, nowMs);
  }

  open(id: number): Stream {
    const window = this.bounds.streamWindowBytes;
    // Until our SETTINGS are acknowledged the peer may still go by the RFC's first window.
    const receiveWindow = this.settingsAcknowledged ? window : Math.max(window, 65_535);
    this.earnIdle();
    return this.table.add(id, this.peer.initialWindowSize, receiveWindow, this.now);
  }

  /** The stream is over, on both sides. */
  forget(stream: Stream, ending: Ending): void {
    const { table } = this;
    if (!table.remove(stream.id, ending)) return;
    if (stream.queuedBytes > 0 || stream.listed) this.sender.forget(stream);
    table.recycle(stream);
    if (table.size === 0) this.nowIdle();
    else if (this.role === 'client' && table.size === this.peer.maxConcurrentStreams - 1) this.events.settings();
  }

  nowIdle(): void {
    // Until the peer knows that the connection ends, a request may be on its way.
    const mayStillCome = this.isShuttingDown && this.role === 'server' && this.table.acceptUpTo === maxInt31;
    if (!this.isClosed && !mayStillCome) this.events.idle();
  }

  /** A stream error of RFC 9113 §5.4.2. */
  streamError(id: number, code: number, isPeersFault = true): void {
    writeReset(this.sender.output, id, code);
    const stream = this.table.get(id);
    if (stream === undefined) this.table.remember(id, 'reset-by-us');
    else this.interrupt(stream, code, 'us', 'reset-by-us');
    if (isPeersFault) this.spendReset();
  }

  /** Tells the owner that the stream is over early, and forgets it. */
  interrupt(stream: Stream, code: number, by: Parameters<Http2Events['reset']>[2], ending: Ending): void {
    const { id } = stream;
    // Another stream's event may have ended it, and given its record away.
    if (this.table.get(id) !== stream) return;
    this.events.reset(stream, code, by);
    // So may its own.
    if (stream.id === id) this.forget(stream, ending);
  }

  /** The owner is done with `length` bytes of DATA of this stream: the peer may send as many again. */
  consume(id: number, length: number): void {
    const stream = this.table.get(id);
    if (stream === undefined || stream.remoteEnd) return;
    stream.taken += length;
    if (stream.taken < this.bounds.streamWindowBytes >> 1) return;
    writeWindowUpdate(this.sender.output, id, stream.taken);
    stream.receiveWindow += stream.taken;
    stream.taken = 0;
  }

  /** A stream or a piece of DATA pays for two frames that carry nothing. */
  earnIdle(): void {
    this.idleFrames.earn(2);
  }

  spendIdle(cost = 1): void {
    if (!this.idleFrames.take(this.now, cost)) throw calm('too many frames carry nothing');
  }

  spendReset(): void {
    if (!this.resets.take(this.now)) throw calm('too many streams are reset');
  }

  private sentEnd(stream: Stream): void {
    if (stream.remoteEnd) {
      this.forget(stream, 'ended');
      return;
    }
    // The answer is complete and the rest of the request of no use (RFC 9113 §8.1).
    if (this.role === 'server') {
      writeReset(this.sender.output, stream.id, http2Codes.NO_ERROR);
      this.forget(stream, 'reset-by-us');
    }
  }
}

function calm(message: string): Http2Error {
  return new Http2Error(http2Codes.ENHANCE_YOUR_CALM, message);
}
