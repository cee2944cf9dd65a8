import { type OaasError, oaasError } from '@oaas/commons/errors';
import type { Clock, Timers } from '@oaas/commons/time';
import type { Logger } from '@oaas/commons/telemetry';
import { Exchange, type ExchangeLimits } from './exchange.ts';
import { frameKinds, noBytes } from './frames.ts';
import type { Handlers } from './handlers.ts';
import type { Channel, MeshIdentity } from './port.ts';
import type { Wire, WireEvents } from './wire.ts';

export interface LinkOptions {
  readonly wire: Wire;
  readonly peer: MeshIdentity;
  /** Number of the member that dialled. */
  readonly dialler: number;
  readonly handlers: Handlers;
  readonly limits: ExchangeLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly onClosed: (link: Link, reason: string) => void;
}

/** A connection whose ends know each other: sorts the frames, and keeps watch that the peer is there. */
export class Link implements WireEvents {
  readonly wire: Wire;
  readonly peer: MeshIdentity;
  readonly dialler: number;
  readonly exchange: Exchange;
  /** Monotonic time at which the link came up. */
  readonly since: number;
  roundTripMs: number | undefined = undefined;
  private readonly options: LinkOptions;
  private pingId = 0;
  private pingAt = 0;
  /** Ticks without a byte from the peer. */
  private silentTicks = 0;
  private closeReason: string | undefined = undefined;

  constructor(options: LinkOptions) {
    const { wire, peer, dialler, handlers, limits, clock, timers } = options;
    this.options = options;
    this.wire = wire;
    this.peer = peer;
    this.dialler = dialler;
    this.since = clock.monotonic();
    this.exchange = new Exchange({ link: wire, peer, handlers, clock, timers, limits });
  }

  frame(kind: number, channel: Channel, id: number, payload: Uint8Array): string | undefined {
    switch (kind) {
      case frameKinds.message:
        this.onMessage(channel, payload);
        return undefined;
      case frameKinds.ping:
        this.wire.force(frameKinds.pong, 0, id, noBytes);
        return undefined;
      case frameKinds.pong:
        if (id === this.pingId) this.roundTripMs = this.options.clock.monotonic() - this.pingAt;
        return undefined;
      case frameKinds.close:
        this.closeReason = `the peer closed the link: ${Buffer.from(payload).toString().slice(0, 500)}`;
        this.wire.destroy();
        return undefined;
      default:
        return this.exchange.receive(kind, channel, id, payload);
    }
  }

  drained(): void {
    this.exchange.drained();
  }

  closed(reason: string): void {
    const why = this.closeReason ?? reason;
    this.exchange.close(linkLost(this.peer, why));
    this.options.onClosed(this, why);
  }

  /**
   * Looks whether the peer has been heard from since the last tick, and asks it for a sign of life. Ticks are counted, not
   * time: a process that was stopped itself does not take its own silence for the peer's.
   */
  tick(silentTicksMax: number): void {
    if (this.wire.hasHeard) this.silentTicks = 0;
    else this.silentTicks += 1;
    this.wire.hasHeard = false;
    if (this.silentTicks >= silentTicksMax) {
      this.wire.close('the peer was silent for too long');
      return;
    }
    this.pingId = (this.pingId + 1) >>> 0;
    this.pingAt = this.options.clock.monotonic();
    this.wire.force(frameKinds.ping, 0, this.pingId, noBytes);
  }

  private onMessage(channel: Channel, payload: Uint8Array): void {
    const { handlers, logger } = this.options;
    const handler = handlers.messages.get(channel);
    if (handler === undefined) {
      logger.debug({ channel, peer: this.peer.id }, 'dropped a message of a channel that has no handler');
      return;
    }
    try {
      handler(this.peer.number, payload);
    } catch (error) {
      logger.error({ err: error, channel, peer: this.peer.id }, 'the handler of a message failed');
    }
  }
}

/** What callers get whose request or stream was open when the link was lost. */
export function linkLost(peer: MeshIdentity, reason: string): OaasError {
  return oaasError('Unavailable', `the link to member ${peer.number} (${peer.id}) is lost: ${reason}`, {
    details: { member: peer.id },
    retryAfterMs: 100,
  });
}
