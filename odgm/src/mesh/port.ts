/** Links between the members of one grid: messages, requests and streams to a member by its number. */
import type { CancelSignal } from '@oaas/commons/time';

/**
 * Whom a payload is for, within a member: 0..65535. Whoever registers a handler owns the number; both ends must agree,
 * so a number keeps its meaning for ever. Messages, requests and streams have channels of their own.
 */
export type Channel = number;

/**
 * Bytes to send, whole or in parts that are sent one after the other. They are not copied before they are written:
 * do not change them after the call.
 */
export type MeshPayload = Uint8Array | readonly Uint8Array[];

/** Another member, as the membership knows it. */
export interface MeshPeer {
  /** Member number, 1..2^32-1, given by the meta group and never reused. */
  readonly number: number;
  /** Text id, such as `grid-0`. */
  readonly id: string;
  /** host:port. */
  readonly address: string;
}

/** Who is at the other end of a link. */
export interface MeshIdentity {
  /** Member number. */
  readonly number: number;
  readonly id: string;
  /**
   * Grows with every start of the member's process, as far as its clock does: a peer with another incarnation has restarted.
   * Safe integer.
   */
  readonly incarnation: number;
}

/** Why one end does not talk to the other. */
export type RefusalReason =
  /** The other end speaks another version of the protocol. */
  | 'version'
  /** The other end is of another cluster. */
  | 'cluster'
  /** The dialled address belongs to another member. */
  | 'address'
  /** The number belongs to a member with another id. */
  | 'number'
  /** The number is no member that this end knows; it may learn of it later. */
  | 'unknown'
  /** A process of the same member that started later has been seen. */
  | 'stale';

export interface Refusal {
  readonly reason: RefusalReason;
  /** One sentence for a person: what was expected and what came. */
  readonly message: string;
  /** True when the other end refused this one. */
  readonly byPeer: boolean;
  /** What the other end said of itself. A dialled address that is not reached by name has what was expected. */
  readonly peer: MeshIdentity;
  /** The other end's cluster, when it told. */
  readonly clusterId: string | undefined;
}

export type LinkEvent =
  | { readonly state: 'up'; readonly peer: MeshIdentity }
  | {
      readonly state: 'down';
      readonly peer: MeshIdentity;
      /** One sentence: closed by the peer, silent for too long, a frame whose checksum fails, … */
      readonly reason: string;
    };

export interface PeerStatus extends MeshPeer {
  /** `refused`: the last try ended with a refusal; tries go on. `down`: not connected, tries go on. */
  readonly state: 'up' | 'down' | 'refused';
  /** Monotonic time of the last change of `state`, in milliseconds. */
  readonly since: number;
  /** Monotonic time at which the last link was lost; undefined while there is one, and before the first. */
  readonly lostAt: number | undefined;
  /** Of the current or last link. */
  readonly incarnation: number | undefined;
  /** Last round trip of a ping, in milliseconds; undefined before the first. */
  readonly roundTripMs: number | undefined;
  /** Bytes that wait to be written to this peer. */
  readonly queuedBytes: number;
  /** Since this mesh started. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Messages, requests and stream chunks that did not find room or a link. */
  readonly dropped: number;
  /** Why there is no link. */
  readonly problem: string | undefined;
}

export interface RequestOptions {
  /** Default 5,000 ms. The request rejects within 50 ms after it. */
  readonly timeoutMs?: number | undefined;
  /** Gives the request up: it rejects with `Cancelled`, and the handler's signal aborts. */
  readonly signal?: CancelSignal | undefined;
}

/** Meters the bytes of one or several streams. */
export interface RateLimit {
  /** Resolves when `bytes` may be sent; undefined means now. */
  take(bytes: number, signal: CancelSignal): Promise<void> | undefined;
}

export interface StreamOptions {
  /** Gives the stream up. */
  readonly signal?: CancelSignal | undefined;
  /** Asked before every chunk, so that a throttle can change while the stream flows. Default: no limit. */
  readonly rate?: RateLimit | undefined;
}

/** The writing end of a stream. */
export interface MeshStream {
  /**
   * Sends a chunk of at most 1 MiB; the reader gets chunks as they were written. Resolves once the chunk is queued, which
   * waits for the rate limit, for the reader's window (1 MiB that it has not dealt with yet) and for room in the link's
   * queue. Rejects when the stream is over: `Unavailable` (link lost), `Cancelled`, or the error of the reader. One
   * write at a time.
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Says that all was sent. Resolves with what the reader's handler returned, rejects with what it threw. */
  end(): Promise<Uint8Array>;
  /** Gives the stream up; the reader's loop throws `Cancelled`. Idempotent. */
  cancel(): void;
}

/** What a handler knows of a request or a stream. */
export interface CallContext {
  readonly peer: MeshIdentity;
  /** Aborts when the other end gives up or the link is lost. */
  readonly signal: CancelSignal;
}

/** Must not throw. The payload stays valid and unchanged, but keeps its whole read (up to 64 KiB) alive while kept. */
export type MessageHandler = (from: number, payload: Uint8Array) => void;

/** What it throws reaches the caller with its code, message, remedy and details. */
export type RequestHandler = (payload: Uint8Array, context: CallContext) => MeshPayload | Promise<MeshPayload>;

/**
 * Reads the chunks; asking for the next one says that the last one is dealt with, and lets the writer go on. A loop that
 * ends early and the return of the handler both end the stream. A stream does not outlive its link: let the header say
 * from where to go on, so that a new stream can resume.
 */
export type StreamHandler = (
  header: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  context: CallContext,
) => Promise<MeshPayload>;

/**
 * Peer links of one member.
 *
 * What was sent to one peer arrives in order, at most once, or not at all: a link that is lost loses what was on its
 * way. A request that rejects with `Unavailable`, `DeadlineExceeded` or `Cancelled` may have been carried out.
 */
export interface Mesh {
  readonly self: MeshIdentity;
  /**
   * Queues a copy of a message and never waits: the payload may be written again after the call. False when there is no
   * link or the bound of queued bytes is reached: the message is dropped. Throws `PayloadTooLarge` over the bound of one
   * frame, and `Internal` for this member's own number.
   */
  send(to: number, channel: Channel, payload: MeshPayload): boolean;
  /**
   * Asks the peer's handler of the channel. Rejects with `Unavailable` (no link, link lost), `DeadlineExceeded`,
   * `Cancelled`, `ResourceExhausted` (queue or number of open requests), `Unimplemented` (no handler), or its error.
   */
  request(to: number, channel: Channel, payload: MeshPayload, options?: RequestOptions): Promise<Uint8Array>;
  /** Opens a stream to the peer's handler. Failures are told by its methods. */
  stream(to: number, channel: Channel, header: Uint8Array, options?: StreamOptions): MeshStream;
  /** One handler for each channel; another one for the same channel is a defect and throws. Register before `setPeers`. */
  onMessage(channel: Channel, handler: MessageHandler): void;
  onRequest(channel: Channel, handler: RequestHandler): void;
  onStream(channel: Channel, handler: StreamHandler): void;
  /** Called when a link comes up or goes down. Returns what takes the handler away. */
  onLink(handler: (event: LinkEvent) => void): () => void;
  /** Called once for each refusal that is new: another peer, another reason, or after a link in between. */
  onRefused(handler: (refusal: Refusal) => void): () => void;
  /** The other members. Links to members that are gone close; a new address counts from the next try on. Self is ignored. */
  setPeers(peers: readonly MeshPeer[]): void;
  peers(): readonly PeerStatus[];
  /** True when messages can be sent to the peer. */
  isUp(to: number): boolean;
  /** Tells the peers, and closes all links. Idempotent. */
  close(): Promise<void>;
}
