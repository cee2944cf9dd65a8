import type { Http2Error } from './codes.ts';
import type { FieldBlock } from './field-block.ts';
import type { Stream } from './stream.ts';

/**
 * Why a stream ended early: the peer's RST_STREAM, an error that this side found, the peer's GOAWAY (the stream was not
 * and will not be processed), or the end of the connection.
 */
export type ResetBy = 'peer' | 'us' | 'goaway' | 'connection';

/**
 * What happens on a connection, called from within `receive`, `tick` and `abort`. The functions may call back into the
 * connection but must not throw. A `stream` is only valid during the call: keep its id.
 */
export interface Http2Events {
  /** A request (on a server) or a response, informational ones included (on a client). */
  headers(stream: Stream, block: FieldBlock, endStream: boolean): void;
  /** DATA in `bytes[start, end)`, without padding. The bytes belong to the caller of `receive`: copy what is kept. */
  data(stream: Stream, bytes: Uint8Array, start: number, end: number, endStream: boolean): void;
  /** The trailer section; END_STREAM comes with it. */
  trailers(stream: Stream, block: FieldBlock): void;
  /** The stream ended early, and not by `reset`. */
  reset(stream: Stream, code: number, by: ResetBy): void;
  /** `sendData` had said to wait: it may go on. */
  drained(stream: Stream): void;
  /** The peer's SETTINGS came or changed, or a stream closed at its limit: more requests may be possible. */
  settings(): void;
  pong(payload: Uint8Array): void;
  /** The peer takes no new streams; those after `lastStreamId` got `reset` by 'goaway' before this. */
  goaway(lastStreamId: number, code: number, debug: Uint8Array): void;
  /** The last open stream closed; after `shutdown` only once the peer knows of it. */
  idle(): void;
  /** Nothing more will be received. `error` tells what the peer did wrong; none after `abort`. */
  closed(error: Http2Error | undefined): void;
}
