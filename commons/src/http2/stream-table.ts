import { maxInt31 } from './frames.ts';
import { type Ending, RecentlyClosed, type Stream, StreamPool } from './stream.ts';

/** Ended streams that are remembered, to tell a late frame from a wrong one; and those that we reset, whose late frames are ignored. */
const endedRemembered = 128;
const resetRemembered = 1024;

/** The streams of a connection by their identifiers (RFC 9113 §5.1.1): those that are open, and what is known of all others. */
export class StreamTable {
  /** The highest identifier that the peer has used. */
  lastPeerId = 0;
  /** Streams above it are ignored: our GOAWAY said so. */
  acceptUpTo = maxInt31;
  private readonly role: 'server' | 'client';
  private readonly open = new Map<number, Stream>();
  private readonly pool = new StreamPool();
  private readonly ended = new RecentlyClosed(endedRemembered);
  private readonly reset = new RecentlyClosed(resetRemembered);
  private nextLocalId = 1;

  constructor(role: 'server' | 'client') {
    this.role = role;
  }

  get size(): number {
    return this.open.size;
  }

  /** Every identifier of our own is used up. */
  get isExhausted(): boolean {
    return this.nextLocalId > maxInt31;
  }

  get(id: number): Stream | undefined {
    return this.open.get(id);
  }

  /** All open streams, as they are now: they may be closed meanwhile. */
  all(): Stream[] {
    return [...this.open.values()];
  }

  takeLocalId(): number {
    const id = this.nextLocalId;
    this.nextLocalId += 2;
    return id;
  }

  add(id: number, sendWindow: number, receiveWindow: number, nowMs: number): Stream {
    const stream = this.pool.take();
    stream.open(id, sendWindow, receiveWindow, nowMs);
    this.open.set(id, stream);
    return stream;
  }

  /** Takes the stream out. Its record is for {@link recycle} then. False: it was not open. */
  remove(id: number, ending: Ending): boolean {
    if (!this.open.delete(id)) return false;
    this.remember(id, ending);
    return true;
  }

  /** The record may belong to another stream from now on. */
  recycle(stream: Stream): void {
    stream.id = 0;
    this.pool.give(stream);
  }

  remember(id: number, ending: Ending): void {
    if (ending === 'reset-by-us') this.reset.add(id, ending);
    else this.ended.add(id, ending);
  }

  wasResetByUs(id: number): boolean {
    return this.reset.get(id) !== undefined;
  }

  /** It ended, or the peer reset it, not long ago. */
  hasEnded(id: number): boolean {
    return this.ended.get(id) !== undefined;
  }

  /** Nobody has used this identifier yet. */
  isIdle(id: number): boolean {
    // A client may have opened it before it knew of our GOAWAY.
    if (id > this.acceptUpTo) return false;
    const isLocal = (id & 1) === (this.role === 'client' ? 1 : 0);
    return isLocal ? id >= this.nextLocalId || this.role === 'server' : id > this.lastPeerId;
  }
}
