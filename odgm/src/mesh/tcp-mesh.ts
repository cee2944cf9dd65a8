import { invariant, type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { ChunkPool } from '@oaas/commons/http2';
import type { Logger } from '@oaas/commons/telemetry';
import { backoffDelay, type Clock, type Random, type Timer, type Timers } from '@oaas/commons/time';
import type { Duplex } from 'node:stream';
import type { Dial } from './dial.ts';
import { defaultExchangeLimits, type ExchangeLimits } from './exchange.ts';
import { frameKinds } from './frames.ts';
import { Handlers } from './handlers.ts';
import { decodeHello, encodeHello, type Expectation, type Hello, judgeHello, meshVersion } from './handshake.ts';
import { Link } from './link.ts';
import { Listeners } from './listeners.ts';
import { type Attempt, PeerState } from './peer-state.ts';
import type {
  Channel,
  LinkEvent,
  Mesh,
  MeshIdentity,
  MeshPayload,
  MeshPeer,
  MeshStream,
  MessageHandler,
  PeerStatus,
  Refusal,
  RequestHandler,
  RequestOptions,
  StreamHandler,
  StreamOptions,
} from './port.ts';
import { RefusalLog } from './refusal-log.ts';
import { FlushQueue, Wire, type WireEvents, type WireLimits } from './wire.ts';

export interface TcpMeshOptions {
  readonly clusterId: string;
  readonly self: MeshIdentity;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Every link is asked for a sign of life this often. Default 1,000 ms. */
  readonly pingMs?: number | undefined;
  /** A link on which nothing came for so many pings is closed. Default 4. */
  readonly silentPingsMax?: number | undefined;
  /** Time for a connection, and again for the handshake on it. Default 3,000 ms. */
  readonly dialTimeoutMs?: number | undefined;
  /** Tries to reconnect: 50 ms at first, doubled up to this, with jitter. Default 2,000 ms. */
  readonly reconnectMaxMs?: number | undefined;
  /**
   * The lower number of a pair dials. When no link came about for so long, the higher one tries too: its new address may
   * not be known yet. Default 3,000 ms.
   */
  readonly dialAnywayMs?: number | undefined;
  /**
   * A process of a member is taken for one that is over while a later one had a link, and for so long after that. Then it
   * is that the member's clock was set back before it started again. Default 5,000 ms.
   */
  readonly laterForMs?: number | undefined;
  /** Bytes that may wait for one peer; over it `send` is false. Default 64 MiB. */
  readonly queueBytesMax?: number | undefined;
  /** Largest payload of one frame. Default 32 MiB. */
  readonly frameBytesMax?: number | undefined;
  readonly limits?: Partial<ExchangeLimits> | undefined;
}

/** A mesh over sockets. It has no listener: whoever listens hands over what begins with the preface of peer links. */
export interface TcpMesh extends Mesh {
  /** Takes an accepted (and decrypted) connection. `head` is what was read of it already, the preface first. */
  accept(socket: Duplex, head: Uint8Array): void;
}

export function createTcpMesh(options: TcpMeshOptions): TcpMesh {
  return new SocketMesh(options);
}

const reconnectBaseMs = 50;
/** A link that lasted so long was a good one: the next try comes soon. */
const stableMs = 5000;
/** Accepted connections that have not said who they are. More are closed at once. */
const strangersMax = 256;

class SocketMesh implements TcpMesh {
  readonly self: MeshIdentity;
  private readonly options: TcpMeshOptions;
  private readonly handlers = new Handlers();
  private readonly linkListeners = new Listeners<LinkEvent>();
  private readonly refusals: RefusalLog;
  private readonly states = new Map<number, PeerState>();
  private readonly wires = new Set<Wire>();
  private readonly pool = new ChunkPool();
  private readonly flushes = new FlushQueue();
  private readonly limits: ExchangeLimits;
  private readonly wireLimits: WireLimits;
  private readonly expectation: Expectation;
  private readonly ticker: Timer;
  private strangers = 0;
  private isClosing = false;
  /** Resolves when the last socket is gone. */
  private readonly gone: Promise<void>;
  private onGone: () => void = () => undefined;

  constructor(options: TcpMeshOptions) {
    const { clusterId, self, timers } = options;
    this.self = self;
    this.options = options;
    this.refusals = new RefusalLog(options.logger);
    this.limits = { ...defaultExchangeLimits, ...options.limits };
    this.wireLimits = {
      frameBytesMax: options.frameBytesMax ?? 32 * 1024 * 1024,
      queueBytesMax: options.queueBytesMax ?? 64 * 1024 * 1024,
    };
    this.expectation = {
      ...{ clusterId, self },
      peerOf: (number) => this.states.get(number)?.peer,
      incarnationOf: (number) => this.incarnationOf(number),
    };
    this.gone = new Promise((resolve) => (this.onGone = resolve));
    this.ticker = timers.every(options.pingMs ?? 1000, () => {
      for (const { link } of this.states.values()) link?.tick(options.silentPingsMax ?? 4);
    });
  }

  private incarnationOf(number: number): number | undefined {
    const { clock, laterForMs = 5000 } = this.options;
    const { incarnation, lostAt } = this.states.get(number) ?? {};
    return lostAt !== undefined && clock.monotonic() - lostAt > laterForMs ? undefined : incarnation;
  }

  send(to: number, channel: Channel, payload: MeshPayload): boolean {
    const state = this.states.get(to);
    if (state?.link?.wire.offer(frameKinds.message, channel, 0, payload) === true) return true;
    invariant(to !== this.self.number, 'a member sends nothing to itself');
    if (state !== undefined) state.dropped += 1;
    return false;
  }

  request(to: number, channel: Channel, payload: MeshPayload, options?: RequestOptions): Promise<Uint8Array> {
    const link = this.states.get(to)?.link;
    if (link === undefined) return Promise.reject(this.notConnected(to));
    return link.exchange.request(channel, payload, options);
  }

  stream(to: number, channel: Channel, header: Uint8Array, options?: StreamOptions): MeshStream {
    const link = this.states.get(to)?.link;
    return link === undefined ? failedStream(this.notConnected(to)) : link.exchange.stream(channel, header, options);
  }

  onMessage(channel: Channel, handler: MessageHandler): void {
    this.handlers.onMessage(channel, handler);
  }

  onRequest(channel: Channel, handler: RequestHandler): void {
    this.handlers.onRequest(channel, handler);
  }

  onStream(channel: Channel, handler: StreamHandler): void {
    this.handlers.onStream(channel, handler);
  }

  onLink(handler: (event: LinkEvent) => void): () => void {
    return this.linkListeners.add(handler);
  }

  onRefused(handler: (refusal: Refusal) => void): () => void {
    return this.refusals.listeners.add(handler);
  }

  setPeers(peers: readonly MeshPeer[]): void {
    if (this.isClosing) return;
    const wanted = new Map(
      peers.filter(({ number }) => number !== this.self.number).map((peer) => [peer.number, peer]),
    );
    for (const [number, state] of this.states) {
      if (wanted.get(number)?.id === state.peer.id) continue;
      this.states.delete(number);
      state.stop();
      const { link } = state;
      if (link === undefined) continue;
      state.link = undefined;
      link.wire.close('the peer is no member any more');
      this.linkListeners.emit({ state: 'down', peer: link.peer, reason: 'the peer is no member any more' });
    }
    for (const peer of wanted.values()) this.setPeer(peer);
  }

  peers(): readonly PeerStatus[] {
    return Array.from(this.states.values(), (state) => state.status());
  }

  isUp(to: number): boolean {
    return this.states.get(to)?.link !== undefined;
  }

  accept(socket: Duplex, head: Uint8Array): void {
    if (this.isClosing || this.strangers >= strangersMax) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.strangers += 1;
    const wire = this.greet(socket, true, {
      hello: (hello) => {
        this.onDialled(wire, hello);
      },
      over: () => (this.strangers -= 1),
    });
    wire.read(head);
    socket.resume();
  }

  close(): Promise<void> {
    if (this.isClosing) return this.gone;
    this.isClosing = true;
    this.ticker.cancel();
    for (const state of this.states.values()) state.stop();
    for (const wire of this.wires) wire.close('the member stops');
    if (this.wires.size === 0) this.onGone();
    return this.gone;
  }

  private setPeer(peer: MeshPeer): void {
    const known = this.states.get(peer.number);
    if (known === undefined) {
      const state = new PeerState(peer, this.options.clock.monotonic());
      this.states.set(peer.number, state);
      if (this.isDialler(peer)) this.dial(state);
      else this.dialLater(state);
      return;
    }
    const hasMoved = known.peer.address !== peer.address;
    known.peer = peer;
    if (!hasMoved || known.link !== undefined) return;
    known.stop();
    known.failures = 0;
    this.dialLater(known);
  }

  /** The lower number of a pair dials. */
  private isDialler(peer: MeshPeer): boolean {
    return this.self.number < peer.number;
  }

  private dialLater(state: PeerState): void {
    if (this.isClosing || this.states.get(state.peer.number) !== state) return;
    const { random, timers, reconnectMaxMs = 2000, dialAnywayMs = 3000 } = this.options;
    const backoff = backoffDelay(
      state.failures,
      { baseMs: reconnectBaseMs, maxMs: reconnectMaxMs, factor: 2, jitter: 0.5 },
      random,
    );
    state.retry?.cancel();
    state.retry = timers.after(this.isDialler(state.peer) ? backoff : dialAnywayMs + backoff, () => {
      state.retry = undefined;
      this.dial(state);
    });
  }

  private dial(state: PeerState): void {
    const { timers, dial, dialTimeoutMs = 3000 } = this.options;
    const { peer } = state;
    const controller = new AbortController();
    const attempt: Attempt = { controller, stage: 'connecting' };
    state.attempt = attempt;
    const timer = timers.after(dialTimeoutMs, () => {
      controller.abort();
    });
    const failed = (problem: string, refusal?: Refusal): void => {
      if (state.attempt !== attempt) return;
      state.attempt = undefined;
      state.failed(problem, refusal, this.options.clock.monotonic());
      this.dialLater(state);
    };
    dial(peer.address, controller.signal).then(
      (socket) => {
        timer.cancel();
        if (state.attempt !== attempt) {
          socket.destroy();
          return;
        }
        attempt.stage = 'hello';
        const wire = this.greet(socket, false, {
          hello: (hello) => {
            this.onAnswered(wire, hello, state, failed);
          },
          over: failed,
        });
        controller.signal.addEventListener('abort', () => {
          if (state.link?.wire !== wire) wire.destroy();
        });
        wire.sendPreface();
        wire.offer(frameKinds.hello, 0, 0, this.hello(peer));
      },
      (error: unknown) => {
        timer.cancel();
        failed(`cannot connect to ${peer.address}: ${toOaasError(error).message}`);
      },
    );
  }

  /** Reads the hello of a new connection, within the bound of time. `over` is called when the wait is, with the reason. */
  private greet(
    socket: Duplex,
    expectsPreface: boolean,
    next: { readonly hello: (hello: Hello) => void; readonly over: (reason: string) => void },
  ): Wire {
    const { timers, dialTimeoutMs = 3000 } = this.options;
    let isOver = false;
    const over = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      next.over(reason);
    };
    const events: WireEvents = {
      frame: (kind, _channel, _id, payload) => {
        if (kind === frameKinds.close) {
          over(`the peer closed the connection: ${Buffer.from(payload).toString()}`);
          wire.destroy();
          return undefined;
        }
        const hello = kind === frameKinds.hello ? decodeHello(payload) : undefined;
        if (hello === undefined) return 'the first frame is no hello';
        timer.cancel();
        next.hello(hello);
        over('the handshake is over');
        return undefined;
      },
      drained: () => undefined,
      closed: over,
    };
    const wire = new Wire({
      ...{ socket, expectsPreface, events, timers, pool: this.pool, flushes: this.flushes, limits: this.wireLimits },
      gone: (gone) => {
        this.wires.delete(gone);
        if (this.isClosing && this.wires.size === 0) this.onGone();
      },
    });
    const timer = timers.after(dialTimeoutMs, () => {
      over('the handshake took too long');
      wire.destroy();
    });
    this.wires.add(wire);
    return wire;
  }

  /** Who dialled has said who it is. */
  private onDialled(wire: Wire, hello: Hello): void {
    const to = { number: hello.number, id: hello.id };
    const refuse = (refused: NonNullable<Hello['refused']>): void => {
      wire.offer(frameKinds.hello, 0, 0, this.hello(to, refused));
      wire.close(refused.message);
    };
    const verdict = judgeHello(hello, this.expectation);
    if (verdict !== undefined) {
      this.refusals.refused({ ...verdict, byPeer: false, peer: identityOf(hello), clusterId: hello.cluster });
      refuse(verdict);
      return;
    }
    const state = this.states.get(hello.number);
    if (state === undefined) return;
    // Both dialled at once: the connection of the lower number is about to be.
    const isCrossing = this.isDialler(state.peer) && state.attempt?.stage === 'hello';
    if (isCrossing || !this.isBetter(state, hello, hello.number)) {
      refuse({ reason: 'duplicate', message: 'there is a link already' });
      return;
    }
    wire.offer(frameKinds.hello, 0, 0, this.hello(to));
    this.establish(state, wire, hello, hello.number);
  }

  /** Whom this member dialled has answered. */
  private onAnswered(
    wire: Wire,
    hello: Hello,
    state: PeerState,
    failed: (problem: string, refusal?: Refusal) => void,
  ): void {
    const { refused } = hello;
    const { peer } = state;
    if (refused !== undefined && refused.reason === 'duplicate') {
      failed(refused.message);
      wire.destroy();
      return;
    }
    const verdict =
      refused ??
      (hello.number === peer.number
        ? judgeHello(hello, this.expectation)
        : {
            reason: 'address',
            message: `at ${peer.address} is member ${hello.number} (${hello.id}), not ${peer.number}`,
          });
    if (verdict !== undefined) {
      const refusal: Refusal = {
        ...{ reason: verdict.reason as Refusal['reason'], message: verdict.message, byPeer: refused !== undefined },
        ...{ peer: identityOf(hello), clusterId: hello.cluster },
      };
      this.refusals.refused(refusal);
      failed(verdict.message, refusal);
      wire.close(verdict.message);
      return;
    }
    if (!this.isBetter(state, hello, this.self.number)) {
      failed('there is a link already');
      wire.close('there is a link already');
      return;
    }
    state.attempt = undefined;
    this.establish(state, wire, hello, this.self.number);
  }

  /**
   * Whether a new connection takes the place of the link that there is: it comes from a later process of the peer, from
   * whoever dialled the old one (who has given that up), or from the lower number of the pair.
   */
  private isBetter(state: PeerState, hello: Hello, dialler: number): boolean {
    const { link } = state;
    if (link === undefined || hello.incarnation > link.peer.incarnation || link.dialler === dialler) return true;
    return dialler === Math.min(this.self.number, hello.number);
  }

  private establish(state: PeerState, wire: Wire, hello: Hello, dialler: number): void {
    const { clock, timers, logger } = this.options;
    state.link?.wire.close('a newer connection took its place');
    const peer = identityOf(hello);
    const link = new Link({
      ...{ wire, peer, dialler, clock, timers, logger, handlers: this.handlers, limits: this.limits },
      onClosed: (closed, reason) => {
        this.onLinkClosed(state, closed, reason);
      },
    });
    wire.open();
    wire.events = link;
    state.linkUp(link, clock.monotonic());
    this.refusals.forget(peer);
    logger.info({ peer: peer.id, number: peer.number, incarnation: peer.incarnation }, 'link up');
    this.linkListeners.emit({ state: 'up', peer });
  }

  private onLinkClosed(state: PeerState, link: Link, reason: string): void {
    if (state.link !== link) return;
    const { clock, logger } = this.options;
    const now = clock.monotonic();
    state.linkDown(link, reason, now);
    state.failures = now - link.since >= stableMs ? 0 : state.failures + 1;
    if (!this.isClosing) logger.warn({ peer: link.peer.id, number: link.peer.number, reason }, 'link down');
    this.linkListeners.emit({ state: 'down', peer: link.peer, reason });
    this.dialLater(state);
  }

  private hello(to: { readonly number: number; readonly id: string }, refused?: Hello['refused']): Uint8Array {
    return encodeHello({
      ...{ version: meshVersion, cluster: this.options.clusterId, ...this.self, purpose: 'peer' },
      ...{ to: { number: to.number, id: to.id }, refused },
    });
  }

  private notConnected(to: number): OaasError {
    invariant(to !== this.self.number, 'a member asks nothing of itself');
    const state = this.states.get(to);
    if (state === undefined) return oaasError('Unavailable', `member ${to} is not known`, { retryAfterMs: 500 });
    return oaasError('Unavailable', `there is no link to member ${to} (${state.peer.id}): ${state.problem ?? ''}`, {
      details: { member: state.peer.id },
      retryAfterMs: 100,
    });
  }
}

function identityOf({ number, id, incarnation }: Hello): MeshIdentity {
  return { number, id, incarnation };
}

function failedStream(error: OaasError): MeshStream {
  return { write: () => Promise.reject(error), end: () => Promise.reject(error), cancel: () => undefined };
}
