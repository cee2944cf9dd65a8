import { oaasError } from '@oaas/commons/errors';
import type { Timer } from '@oaas/commons/time';
import { Exchange } from '../../src/mesh/exchange.ts';
import type { FrameLink } from '../../src/mesh/frame-link.ts';
import { type FrameKind, frameKinds, headerBytes, payloadLength } from '../../src/mesh/frames.ts';
import { linkLost } from '../../src/mesh/link.ts';
import type { Channel, MeshIdentity, MeshPayload } from '../../src/mesh/port.ts';
import { crc32Of } from '../../src/mesh/crc.ts';
import type { SimNetwork } from './network.ts';
import type { SimMesh } from './sim-mesh.ts';

interface Frame {
  readonly kind: FrameKind;
  readonly channel: Channel;
  readonly id: number;
  readonly payload: Uint8Array;
  /** Place among those of its sender that keep theirs; undefined for one that may be lost or overtaken. */
  readonly place?: number | undefined;
}

/** Frames that must not be lost or overtaken while the link lasts, for a stream has no other way to notice. */
const streamKinds: ReadonlySet<number> = new Set([
  frameKinds.streamOpen,
  frameKinds.streamData,
  frameKinds.streamCredit,
  frameKinds.streamEnd,
  frameKinds.cancel,
]);

/** A connection between two meshes. Its ends come up one after the other, and may go down without one another. */
export class SimLink {
  readonly dialler: SimEnd;
  readonly listener: SimEnd;

  constructor(network: SimNetwork, dialler: SimMesh, listener: SimMesh) {
    this.dialler = new SimEnd(network, dialler, listener.self);
    this.listener = new SimEnd(network, listener, dialler.self);
    this.dialler.other = this.listener;
    this.listener.other = this.dialler;
  }
}

/** One end of a link: what its mesh sends goes through the faults of the network to the other end. */
export class SimEnd implements FrameLink {
  readonly mesh: SimMesh;
  readonly peer: MeshIdentity;
  readonly exchange: Exchange;
  /** Set by the link, at once. */
  other!: SimEnd;
  state: 'new' | 'up' | 'down' = 'new';
  /** Bytes that were sent and have neither arrived nor been lost. */
  queuedBytes = 0;
  sentBytes = 0;
  receivedBytes = 0;
  private readonly network: SimNetwork;
  private silence: Timer | undefined = undefined;
  /** What was on its way when the path was cut: it arrives when the path heals, if the link lasts until then. */
  private held: Frame[] = [];
  /** When the last frame that keeps its place arrives. */
  private lastArrival = 0;
  private busyUntil = 0;
  private wasFull = false;
  /** Streams that the other end opened: their answers must not be lost either. */
  private readonly streams = new Set<number>();
  /** Place of the next frame that keeps it: of those that are sent here, and of those that arrive. */
  private nextSent = 0;
  private nextArriving = 0;
  /** What came before its place. What is missing may be lost for good: then this is never delivered, as by a TCP connection. */
  private readonly early = new Map<number, Frame>();

  constructor(network: SimNetwork, mesh: SimMesh, peer: MeshIdentity) {
    this.network = network;
    this.mesh = mesh;
    this.peer = peer;
    const { clock, timers } = mesh.process;
    this.exchange = new Exchange({
      ...{ link: this, peer, handlers: mesh.handlers, clock, timers, limits: mesh.limits },
    });
  }

  offer(kind: FrameKind, channel: Channel, id: number, payload: MeshPayload): boolean {
    const length = payloadLength(payload);
    const { frameBytesMax, queueBytesMax } = this.mesh.bounds;
    if (length > frameBytesMax) {
      throw oaasError('PayloadTooLarge', `a payload of ${length} bytes is over the bound of ${frameBytesMax}`);
    }
    if (this.state !== 'up') return false;
    if (this.queuedBytes + headerBytes + length > queueBytesMax) {
      this.wasFull = true;
      return false;
    }
    // Nodes share no memory: what the sender does with its bytes afterwards is not seen.
    const copy = payload instanceof Uint8Array ? Uint8Array.from(payload) : new Uint8Array(Buffer.concat(payload));
    this.send({ kind, channel, id, payload: copy });
    return true;
  }

  force(kind: FrameKind, channel: Channel, id: number, payload: Uint8Array): void {
    if (this.state === 'up') this.send({ kind, channel, id, payload: Uint8Array.from(payload) });
  }

  up(): void {
    this.state = 'up';
    this.lastArrival = this.network.world.now;
    this.refresh();
  }

  /** Ends this end: its calls fail, and the other end hears of it if the path is open. */
  close(reason: string): void {
    if (this.state === 'down') return;
    this.drop();
    this.exchange.close(linkLost(this.peer, reason));
    this.tell(`the peer closed the link: ${reason}`);
  }

  /** The process of this end is gone: nobody of it is told anything. */
  crash(): void {
    if (this.state === 'down') return;
    this.drop();
    this.tell('the connection was reset');
  }

  /** Nothing comes or goes here any more. */
  drop(): void {
    this.state = 'down';
    this.silence?.cancel();
    this.held = [];
  }

  /** Looks whether the other end is heard, and lets go what was held if the path is open again. */
  refresh(): void {
    if (this.state !== 'up') return;
    const { other, network } = this;
    const from = other.mesh.nodeId;
    const to = this.mesh.nodeId;
    if (!network.isBlocked(to, from) && this.held.length > 0) {
      const { held } = this;
      this.held = [];
      for (const frame of held) this.transmit(frame);
    }
    const { process } = other.mesh;
    const isGone = other.state === 'down' || !process.isAlive;
    const isSilent = isGone || network.isBlocked(from, to) || process.node.isPaused;
    if (!isSilent) {
      this.silence?.cancel();
      this.silence = undefined;
      return;
    }
    const afterMs = network.silenceMs * (0.75 + network.world.random.next() / 2);
    this.silence ??= network.world.afterFor(this.mesh.process, afterMs, () => {
      this.silence = undefined;
      this.mesh.endClosed(this, 'the peer was silent for too long');
    });
  }

  private tell(reason: string): void {
    const { other, network } = this;
    const from = this.mesh.nodeId;
    const to = other.mesh.nodeId;
    if (other.state === 'up' && !network.isBlocked(from, to)) {
      network.world.afterFor(other.mesh.process, network.delayOf(from, to), () => other.mesh.endClosed(other, reason));
    }
    other.refresh();
  }

  private send(given: Frame): void {
    const { network } = this;
    if (given.kind === frameKinds.streamOpen) this.other.streams.add(given.id);
    const isLossless = this.isLossless(given);
    const frame = isLossless ? { ...given, place: this.nextSent++ } : given;
    const bytes = headerBytes + frame.payload.length;
    this.queuedBytes += bytes;
    this.sentBytes += bytes;
    network.counts.sent += 1;
    const from = this.mesh.nodeId;
    const to = this.other.mesh.nodeId;
    const faults = network.faultsOf(from, to);
    if (!isLossless && network.chance(faults.loss)) {
      network.counts.lost += 1;
      network.note(`${from}>${to} loses ${nameOf(frame)}`);
      this.gone(bytes);
      return;
    }
    if (network.chance(faults.resets)) {
      network.counts.resets += 1;
      network.note(`${from}>${to} reset`);
      network.world.afterFor(this.mesh.process, 0, () => this.mesh.endClosed(this, 'the connection was reset'));
    }
    if (frame.kind === frameKinds.message && network.chance(faults.duplication)) {
      network.counts.duplicated += 1;
      this.queuedBytes += bytes;
      this.transmit(frame);
    }
    this.transmit(frame);
  }

  private transmit(frame: Frame): void {
    const { network } = this;
    const { world } = network;
    const from = this.mesh.nodeId;
    const to = this.other.mesh.nodeId;
    if (network.isBlocked(from, to)) {
      this.holdOrLose(frame);
      return;
    }
    const { reorders, bytesPerMs } = network.faultsOf(from, to);
    this.busyUntil = Math.max(this.busyUntil, world.now) + frame.payload.length / bytesPerMs;
    let at = this.busyUntil + network.delayOf(from, to);
    if (reorders && frame.place === undefined) {
      if (at < this.lastArrival) network.counts.overtaken += 1;
    } else at = Math.max(at, this.lastArrival);
    this.lastArrival = Math.max(this.lastArrival, at);
    // The receiver's process runs it: a paused node gets its frames when it goes on.
    world.afterFor(this.other.mesh.process, at - world.now, () => {
      if (this.state === 'up' && network.isBlocked(from, to)) {
        this.holdOrLose(frame);
        return;
      }
      this.gone(headerBytes + frame.payload.length);
      this.other.arrive(frame);
    });
  }

  /** A packet is sent again until the link is given up; some were the last that a process said, and are lost with it. */
  private holdOrLose(frame: Frame): void {
    if (frame.place !== undefined || this.network.chance(0.5)) {
      this.held.push(frame);
      return;
    }
    this.network.counts.lost += 1;
    this.gone(headerBytes + frame.payload.length);
  }

  /** Frames that keep their places are delivered in that order, without a gap. */
  private arrive(frame: Frame): void {
    if (frame.place === undefined) {
      this.deliver(frame);
      return;
    }
    this.early.set(frame.place, frame);
    for (let next = this.early.get(this.nextArriving); next !== undefined; next = this.early.get(this.nextArriving)) {
      this.early.delete(this.nextArriving);
      this.nextArriving += 1;
      this.deliver(next);
    }
  }

  private deliver(frame: Frame): void {
    if (this.state !== 'up') return;
    const { network } = this;
    network.counts.delivered += 1;
    network.note(`${this.peer.id}>${this.mesh.self.id} ${nameOf(frame)}`);
    this.receivedBytes += headerBytes + frame.payload.length;
    const { kind, channel, id, payload } = frame;
    if (kind === frameKinds.message) {
      this.mesh.handlers.messages.get(channel)?.(this.peer.number, payload);
      return;
    }
    const problem = this.exchange.receive(kind, channel, id, payload);
    if (problem !== undefined) this.mesh.endClosed(this, problem);
  }

  private gone(bytes: number): void {
    this.queuedBytes -= bytes;
    if (!this.wasFull || this.queuedBytes * 2 > this.mesh.bounds.queueBytesMax) return;
    this.wasFull = false;
    this.exchange.drained();
  }

  private isLossless({ kind, id }: Frame): boolean {
    if (streamKinds.has(kind)) return true;
    return (kind === frameKinds.response || kind === frameKinds.error) && this.streams.has(id);
  }
}

const kindNames = new Map<number, string>(Object.entries(frameKinds).map(([name, kind]) => [kind, name]));

function nameOf({ kind, channel, id, payload }: Frame): string {
  return `${kindNames.get(kind) ?? kind} ${channel}/${id} ${payload.length} ${crc32Of(payload, 0, payload.length, 0).toString(16)}`;
}
