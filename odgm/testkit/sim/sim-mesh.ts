import { invariant, type OaasError, oaasError } from '@oaas/commons/errors';
import { backoffDelay, type Timer } from '@oaas/commons/time';
import { defaultExchangeLimits, type ExchangeLimits } from '../../src/mesh/exchange.ts';
import { frameKinds } from '../../src/mesh/frames.ts';
import { Handlers } from '../../src/mesh/handlers.ts';
import { type Hello, judgeHello, meshVersion } from '../../src/mesh/handshake.ts';
import { Listeners } from '../../src/mesh/listeners.ts';
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
} from '../../src/mesh/port.ts';
import { RefusalLog } from '../../src/mesh/refusal-log.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './node.ts';
import { type SimEnd, SimLink } from './sim-link.ts';

export interface SimMeshOptions {
  readonly number: number;
  /** Default: the node's id. */
  readonly id?: string | undefined;
  /** Where peers find it. Default: the node's id. */
  readonly address?: string | undefined;
  /** Default `sim`. */
  readonly clusterId?: string | undefined;
  /** As of the mesh over sockets. */
  readonly queueBytesMax?: number | undefined;
  readonly frameBytesMax?: number | undefined;
  readonly limits?: Partial<ExchangeLimits> | undefined;
}

interface SimPeer {
  peer: MeshPeer;
  end: SimEnd | undefined;
  retry: Timer | undefined;
  failures: number;
  incarnation: number | undefined;
  refusal: Refusal | undefined;
  problem: string | undefined;
  since: number;
  lostAt: number | undefined;
  dropped: number;
}

/** A member's mesh in the simulated network. It lives as long as the process that it belongs to. */
export function createSimMesh(network: SimNetwork, process: SimProcess, options: SimMeshOptions): Mesh {
  return new SimMesh(network, process, options);
}

export class SimMesh implements Mesh {
  readonly self: MeshIdentity;
  readonly address: string;
  readonly process: SimProcess;
  readonly handlers = new Handlers();
  readonly limits: ExchangeLimits;
  readonly bounds: { readonly frameBytesMax: number; readonly queueBytesMax: number };
  private readonly network: SimNetwork;
  private readonly clusterId: string;
  private readonly states = new Map<number, SimPeer>();
  private readonly linkListeners = new Listeners<LinkEvent>();
  private readonly refusals = new RefusalLog({ warn: () => undefined });
  private isClosed = false;

  constructor(network: SimNetwork, process: SimProcess, options: SimMeshOptions) {
    const { number, id = process.node.id, address = process.node.id, clusterId = 'sim' } = options;
    this.network = network;
    this.process = process;
    this.self = { number, id, incarnation: process.incarnation };
    this.address = address;
    this.clusterId = clusterId;
    this.limits = { ...defaultExchangeLimits, ...options.limits };
    this.bounds = {
      frameBytesMax: options.frameBytesMax ?? 32 * 1024 * 1024,
      queueBytesMax: options.queueBytesMax ?? 64 * 1024 * 1024,
    };
    network.attach(this);
    process.onCrash(() => {
      network.detach(this);
      for (const { end } of this.states.values()) end?.crash();
      network.refresh();
    });
  }

  get nodeId(): string {
    return this.process.node.id;
  }

  send(to: number, channel: Channel, payload: MeshPayload): boolean {
    invariant(to !== this.self.number, 'a member sends nothing to itself');
    const state = this.states.get(to);
    if (state?.end?.offer(frameKinds.message, channel, 0, payload) === true) return true;
    if (state !== undefined) state.dropped += 1;
    return false;
  }

  request(to: number, channel: Channel, payload: MeshPayload, options?: RequestOptions): Promise<Uint8Array> {
    const end = this.states.get(to)?.end;
    return end === undefined ? Promise.reject(this.notConnected(to)) : end.exchange.request(channel, payload, options);
  }

  stream(to: number, channel: Channel, header: Uint8Array, options?: StreamOptions): MeshStream {
    const end = this.states.get(to)?.end;
    if (end !== undefined) return end.exchange.stream(channel, header, options);
    const error = this.notConnected(to);
    return { write: () => Promise.reject(error), end: () => Promise.reject(error), cancel: () => undefined };
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
    if (this.isClosed) return;
    const wanted = new Map(
      peers.filter(({ number }) => number !== this.self.number).map((peer) => [peer.number, peer]),
    );
    for (const [number, state] of this.states) {
      if (wanted.get(number)?.id === state.peer.id) continue;
      state.retry?.cancel();
      this.states.delete(number);
      const { end } = state;
      if (end === undefined) continue;
      state.end = undefined;
      end.close('the peer is no member any more');
      this.linkListeners.emit({ state: 'down', peer: end.peer, reason: 'the peer is no member any more' });
    }
    for (const peer of wanted.values()) {
      const known = this.states.get(peer.number);
      if (known !== undefined) {
        known.peer = peer;
        continue;
      }
      const state: SimPeer = {
        ...{ peer, end: undefined, retry: undefined, failures: 0, incarnation: undefined, refusal: undefined },
        ...{ problem: 'not connected yet', since: this.process.clock.monotonic(), lostAt: undefined, dropped: 0 },
      };
      this.states.set(peer.number, state);
      this.dialLater(state);
    }
  }

  peers(): readonly PeerStatus[] {
    return Array.from(this.states.values(), ({ peer, end, incarnation, refusal, problem, since, lostAt, dropped }) => ({
      ...{ ...peer, incarnation, problem, since, lostAt, dropped, roundTripMs: undefined },
      state: end !== undefined ? 'up' : refusal !== undefined ? 'refused' : 'down',
      queuedBytes: end?.queuedBytes ?? 0,
      sentBytes: end?.sentBytes ?? 0,
      receivedBytes: end?.receivedBytes ?? 0,
    }));
  }

  isUp(to: number): boolean {
    return this.states.get(to)?.end !== undefined;
  }

  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.isClosed = true;
    this.network.detach(this);
    for (const state of this.states.values()) {
      state.retry?.cancel();
      if (state.end !== undefined) this.endClosed(state.end, 'the member stops');
    }
    return Promise.resolve();
  }

  /** An end of this mesh has lost its link. */
  endClosed(end: SimEnd, reason: string): void {
    if (end.state === 'down') return;
    end.close(reason);
    const state = this.states.get(end.peer.number);
    if (state?.end !== end) return;
    state.end = undefined;
    state.problem = reason;
    state.since = this.process.clock.monotonic();
    state.lostAt = state.since;
    state.failures += 1;
    this.network.note(`${this.self.id} link to ${end.peer.id} down: ${reason}`);
    this.linkListeners.emit({ state: 'down', peer: end.peer, reason });
    this.dialLater(state);
  }

  /** Breaks the link to the peer with this id. */
  reset(id: string): void {
    for (const { end } of this.states.values())
      if (end?.peer.id === id) this.endClosed(end, 'the connection was reset');
  }

  refresh(): void {
    for (const { end } of this.states.values()) end?.refresh();
  }

  private dialLater(state: SimPeer): void {
    if (this.isClosed || this.states.get(state.peer.number) !== state) return;
    const { reconnectMaxMs, dialAnywayMs } = this.network;
    const { timers, random } = this.process;
    const backoff = { baseMs: 50, maxMs: reconnectMaxMs, factor: 2, jitter: 0.5 };
    const isDialler = this.self.number < state.peer.number;
    const isFirst = state.failures === 0 && isDialler;
    const delay = isFirst ? 0 : backoffDelay(state.failures, backoff, random) + (isDialler ? 0 : dialAnywayMs);
    state.retry?.cancel();
    state.retry = timers.after(delay, () => {
      state.retry = undefined;
      this.dial(state);
    });
  }

  private dial(state: SimPeer): void {
    const { network, process } = this;
    const target = network.meshAt(state.peer.address);
    if (target === undefined || !this.reaches(target) || target.process.node.isPaused) {
      this.dialFailed(state, `cannot connect to ${state.peer.address}`);
      return;
    }
    const link = new SimLink(network, this, target);
    let isOver = false;
    const over = (refused: Pick<Refusal, 'reason' | 'message'> | 'lost' | undefined): void => {
      if (isOver) return;
      isOver = true;
      silence.cancel();
      const verdict = refused ?? this.judge(target.hello(this.self));
      if (verdict === undefined) {
        this.establish(state, link.dialler);
        return;
      }
      link.dialler.drop();
      link.listener.refresh();
      if (verdict === 'lost') {
        this.dialFailed(state, 'the handshake took too long');
        return;
      }
      const byPeer = refused !== undefined;
      const refusal: Refusal = { ...verdict, byPeer, peer: target.self, clusterId: target.clusterId };
      this.refusals.refused(refusal);
      this.dialFailed(state, verdict.message, refusal);
    };
    // A target that crashes meanwhile never answers.
    const silence = process.timers.after(network.silenceMs, () => over('lost'));
    network.world.afterFor(target.process, network.delayOf(this.nodeId, target.nodeId), () => {
      const answer = target.dialled(link.listener, this.hello(state.peer));
      network.world.afterFor(process, network.delayOf(target.nodeId, this.nodeId), () => over(answer));
    });
  }

  private dialFailed(state: SimPeer, problem: string, refusal?: Refusal): void {
    if (state.end !== undefined) return;
    state.failures += 1;
    state.problem = problem;
    state.refusal = refusal;
    this.dialLater(state);
  }

  /** Somebody has dialled this mesh. Returns why not, or undefined when the end is up; `lost`: no answer gets back. */
  private dialled(end: SimEnd, hello: Hello): Pick<Refusal, 'reason' | 'message'> | 'lost' | undefined {
    if (!end.other.mesh.reaches(this) || this.isClosed) return 'lost';
    const verdict = this.judge(hello);
    if (verdict !== undefined) {
      const { number, id, incarnation, cluster } = hello;
      this.refusals.refused({ ...verdict, byPeer: false, peer: { number, id, incarnation }, clusterId: cluster });
      return verdict;
    }
    const state = this.states.get(hello.number);
    if (state !== undefined) this.establish(state, end);
    return this.reaches(end.other.mesh) ? undefined : 'lost';
  }

  private establish(state: SimPeer, end: SimEnd): void {
    if (end.state === 'down' || this.states.get(state.peer.number) !== state) return;
    const old = state.end;
    if (old !== undefined) {
      state.end = undefined;
      old.close('a newer connection took its place');
      this.linkListeners.emit({ state: 'down', peer: old.peer, reason: 'a newer connection took its place' });
    }
    state.retry?.cancel();
    state.retry = undefined;
    state.end = end;
    state.incarnation = end.peer.incarnation;
    state.refusal = undefined;
    state.problem = undefined;
    state.failures = 0;
    state.since = this.process.clock.monotonic();
    state.lostAt = undefined;
    end.up();
    this.refusals.forget(end.peer);
    this.network.note(`${this.self.id} link to ${end.peer.id} up`);
    this.linkListeners.emit({ state: 'up', peer: end.peer });
  }

  private reaches(other: SimMesh): boolean {
    return other.process.isAlive && !this.network.isBlocked(this.nodeId, other.nodeId);
  }

  private hello(to: { readonly number: number; readonly id: string }): Hello {
    const { number, id } = to;
    return { version: meshVersion, cluster: this.clusterId, ...this.self, purpose: 'peer', to: { number, id } };
  }

  private judge(hello: Hello): Pick<Refusal, 'reason' | 'message'> | undefined {
    return judgeHello(hello, {
      ...{ clusterId: this.clusterId, self: this.self },
      peerOf: (number) => this.states.get(number)?.peer,
      incarnationOf: (number) => this.states.get(number)?.incarnation,
    });
  }

  private notConnected(to: number): OaasError {
    invariant(to !== this.self.number, 'a member asks nothing of itself');
    const problem = this.states.get(to)?.problem ?? 'it is not known';
    return oaasError('Unavailable', `there is no link to member ${to}: ${problem}`, { retryAfterMs: 100 });
  }
}
