/** How many of a kind of frame a peer may send: `burst` at once, and `perSecond` of them again each second. */
export interface RateBound {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * What one connection may cost. Every bound has a default; what happens there is said with each.
 * "ends the connection" is GOAWAY with ENHANCE_YOUR_CALM unless another code is named.
 */
export interface Http2Bounds {
  /** Streams that the peer may have open (SETTINGS_MAX_CONCURRENT_STREAMS). More are refused: REFUSED_STREAM. Default 1024. */
  readonly streamsMax: number;
  /** Fields of a block, with 32 bytes each (SETTINGS_MAX_HEADER_LIST_SIZE). Over it: the stream is reset. Default 32 KiB. */
  readonly headerListBytesMax: number;
  /** Compressed bytes of a block with its CONTINUATION frames. Over it: ends the connection. Default 64 KiB. */
  readonly headerBlockBytesMax: number;
  /** CONTINUATION frames of one block. Over it: ends the connection. Default 32. */
  readonly continuationFramesMax: number;
  /** Dynamic table of the peer's encoder (SETTINGS_HEADER_TABLE_SIZE). Over it: COMPRESSION_ERROR. Default 4096. */
  readonly headerTableBytesMax: number;
  /** Payload of a frame from the peer (SETTINGS_MAX_FRAME_SIZE, 2^14..2^24-1). Over it: FRAME_SIZE_ERROR. Default 16384. */
  readonly frameBytesMax: number;
  /** What the peer may send on a stream before we take it (SETTINGS_INITIAL_WINDOW_SIZE). Over it: FLOW_CONTROL_ERROR on the stream. Default 1 MiB. */
  readonly streamWindowBytes: number;
  /** The same for the whole connection; given back as soon as bytes arrive. Over it: FLOW_CONTROL_ERROR. Default 8 MiB. */
  readonly connectionWindowBytes: number;
  /** DATA that waits because windows are closed or the socket is slow, all streams together. Over it: the stream that adds to it is reset. Default 64 MiB. */
  readonly queuedBytesMax: number;
  /** The same for one stream, from where on `sendData` says to wait; not a hard bound. Default 64 KiB. */
  readonly streamQueueHighWater: number;
  /** Frames written in one tick, from where on DATA waits for the socket. Default 512 KiB. */
  readonly outputHighWater: number;
  /** Streams that the peer resets, or makes us reset ("rapid reset"). Over it: ends the connection. Default 1000 and 100/s. */
  readonly resets: RateBound;
  /**
   * Frames that carry nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown types, empty DATA, HEADERS and
   * CONTINUATION, and what comes for a stream that is closed. Each frame of DATA and each new stream, sent or received, pays for two; a WINDOW_UPDATE of
   * less than 64 bytes, which makes us send crumbs, costs four. Over it: ends the connection. Default 5000 and 1000/s.
   */
  readonly idleFrames: RateBound;
  /** How long DATA may wait for a window that does not open, in ms. Over it: the stream is reset. Default 120 s. */
  readonly stalledMs: number;
  /** How long our SETTINGS may stay without ACK, in ms. Over it: SETTINGS_TIMEOUT. Default 30 s. */
  readonly settingsAckMs: number;
}

export const defaultBounds: Http2Bounds = {
  streamsMax: 1024,
  headerListBytesMax: 32 * 1024,
  headerBlockBytesMax: 64 * 1024,
  continuationFramesMax: 32,
  headerTableBytesMax: 4096,
  frameBytesMax: 16_384,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 8 * 1024 * 1024,
  queuedBytesMax: 64 * 1024 * 1024,
  streamQueueHighWater: 64 * 1024,
  outputHighWater: 512 * 1024,
  resets: { burst: 1000, perSecond: 100 },
  idleFrames: { burst: 5000, perSecond: 1000 },
  stalledMs: 120_000,
  settingsAckMs: 30_000,
};

/** A token bucket over time that is passed in. */
export class Allowance {
  readonly #bound: RateBound;
  #tokens: number;
  #at: number;

  constructor(bound: RateBound, nowMs: number) {
    this.#bound = bound;
    this.#tokens = bound.burst;
    this.#at = nowMs;
  }

  /** Takes `cost`; false when so much is not left. */
  take(nowMs: number, cost = 1): boolean {
    if (this.#tokens < cost) {
      this.#tokens = Math.min(this.#bound.burst, this.#tokens + ((nowMs - this.#at) / 1000) * this.#bound.perSecond);
      this.#at = nowMs;
      if (this.#tokens < cost) return false;
    }
    this.#tokens -= cost;
    return true;
  }

  earn(tokens: number): void {
    this.#tokens = Math.min(this.#bound.burst, this.#tokens + tokens);
  }
}
