import type { FieldBlock } from './field-block.ts';

/** A piece of DATA that waits; `at` is how much of it went. */
interface Waiting {
  readonly bytes: Uint8Array;
  at: number;
}

/**
 * What a connection knows of one stream. Records are pooled: outside of an event only the id is safe to keep, since the
 * record of a closed stream soon belongs to another one. Ids are never used twice on a connection.
 */
export class Stream {
  id = 0;
  /** For the connection's owner: whatever it wants to find again with the next event of this stream. */
  context: unknown = undefined;
  /** The owner has said its last: END_STREAM goes out when the queue is empty. */
  localEnd = false;
  /** END_STREAM went out. */
  sentEnd = false;
  /** END_STREAM came. */
  remoteEnd = false;
  /** The first block came (a request, or a final response): the next one is trailers. */
  headed = false;
  sendWindow = 0;
  receiveWindow = 0;
  /** Bytes taken by the owner and not yet given back to the peer as window. */
  taken = 0;
  /** Bytes of DATA that came, for comparison with `content-length`. */
  received = 0;
  contentLength = -1;
  queue: Waiting[] = [];
  queuedBytes = 0;
  /** With `localEnd`: the trailers that carry END_STREAM; without any, the last DATA does. */
  trailers: FieldBlock | undefined = undefined;
  /** Someone waits for the queue to shrink. */
  wantsDrained = false;
  /** In the list of streams that the connection's window or the socket holds back. */
  listed = false;
  /** Time when the queue last moved, in ms. */
  movedAt = 0;

  open(id: number, sendWindow: number, receiveWindow: number, nowMs: number): void {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.movedAt = nowMs;
  }

  clear(): void {
    this.context = undefined;
    this.localEnd = false;
    this.sentEnd = false;
    this.remoteEnd = false;
    this.headed = false;
    this.taken = 0;
    this.received = 0;
    this.contentLength = -1;
    if (this.queue.length > 0) this.queue = [];
    this.queuedBytes = 0;
    this.trailers = undefined;
    this.wantsDrained = false;
    this.listed = false;
  }
}

/** Records kept for reuse at most; more are garbage. */
const pooledMax = 256;

export class StreamPool {
  readonly #free: Stream[] = [];

  take(): Stream {
    return this.#free.pop() ?? new Stream();
  }

  give(stream: Stream): void {
    stream.clear();
    if (this.#free.length < pooledMax) this.#free.push(stream);
  }
}

/** How a stream that is gone ended; what may still come on it depends on that (RFC 9113 §5.1). */
export type Ending = 'ended' | 'reset-by-peer' | 'reset-by-us';

const endings: readonly Ending[] = ['ended', 'reset-by-peer', 'reset-by-us'];

/** The last streams that closed, as many as `size`; what is older counts as unknown. Cheap to add to, slow to ask. */
export class RecentlyClosed {
  private ids: Int32Array;
  private how: Uint8Array;
  private next = 0;
  private readonly size: number;

  /** Takes memory as it is needed: most connections reset no stream, ever. */
  constructor(size: number) {
    this.size = size;
    this.ids = new Int32Array(0);
    this.how = new Uint8Array(0);
  }

  add(id: number, ending: Ending): void {
    if (this.next === this.ids.length) this.grow();
    this.ids[this.next] = id;
    this.how[this.next] = endings.indexOf(ending);
    this.next = this.next + 1 === this.size ? 0 : this.next + 1;
  }

  private grow(): void {
    const length = Math.min(this.size, Math.max(16, this.ids.length * 4));
    const [ids, how] = [new Int32Array(length), new Uint8Array(length)];
    ids.set(this.ids);
    how.set(this.how);
    this.ids = ids;
    this.how = how;
  }

  get(id: number): Ending | undefined {
    const at = this.ids.indexOf(id);
    return at < 0 ? undefined : endings[this.how[at] as number];
  }
}
