import type { Timer } from '@oaas/commons/time';
import type { Link } from './link.ts';
import type { MeshPeer, PeerStatus, Refusal } from './port.ts';

/** A dial under way. */
export interface Attempt {
  readonly controller: AbortController;
  /** `hello`: connected, and the peer has been greeted. */
  stage: 'connecting' | 'hello';
}

/** What a mesh keeps for each peer. */
export class PeerState {
  peer: MeshPeer;
  link: Link | undefined = undefined;
  attempt: Attempt | undefined = undefined;
  retry: Timer | undefined = undefined;
  /** Tries in a row that led to no lasting link. */
  failures = 0;
  incarnation: number | undefined = undefined;
  refusal: Refusal | undefined = undefined;
  problem: string | undefined = 'not connected yet';
  since: number;
  lostAt: number | undefined = undefined;
  dropped = 0;
  roundTripMs: number | undefined = undefined;
  /** Of links that are gone. */
  sentBefore = 0;
  receivedBefore = 0;

  constructor(peer: MeshPeer, now: number) {
    this.peer = peer;
    this.since = now;
  }

  linkUp(link: Link, now: number): void {
    this.link = link;
    this.incarnation = link.peer.incarnation;
    this.refusal = undefined;
    this.problem = undefined;
    this.since = now;
    this.lostAt = undefined;
    this.retry?.cancel();
    this.retry = undefined;
    this.attempt?.controller.abort();
    this.attempt = undefined;
  }

  linkDown(link: Link, reason: string, now: number): void {
    this.link = undefined;
    this.problem = reason;
    this.since = now;
    this.lostAt = now;
    this.roundTripMs = link.roundTripMs;
    this.sentBefore += link.wire.sentBytes;
    this.receivedBefore += link.wire.receivedBytes;
  }

  failed(problem: string, refusal: Refusal | undefined, now: number): void {
    this.failures += 1;
    this.problem = problem;
    if ((refusal === undefined) !== (this.refusal === undefined)) this.since = now;
    this.refusal = refusal;
  }

  /** Gives up what is under way. */
  stop(): void {
    this.retry?.cancel();
    this.retry = undefined;
    this.attempt?.controller.abort();
    this.attempt = undefined;
  }

  status(): PeerStatus {
    const { link } = this;
    return {
      ...this.peer,
      state: link !== undefined ? 'up' : this.refusal !== undefined ? 'refused' : 'down',
      since: this.since,
      lostAt: this.lostAt,
      incarnation: this.incarnation,
      roundTripMs: link?.roundTripMs ?? this.roundTripMs,
      queuedBytes: link?.wire.queuedBytes ?? 0,
      sentBytes: this.sentBefore + (link?.wire.sentBytes ?? 0),
      receivedBytes: this.receivedBefore + (link?.wire.receivedBytes ?? 0),
      dropped: this.dropped,
      problem: this.problem,
    };
  }
}
