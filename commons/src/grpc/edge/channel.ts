import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import { ChunkPool, type Http2Bounds } from '../../http2/index.ts';
import {
  backoffDelay,
  type BackoffOptions,
  type Clock,
  type Random,
  type Timer,
  type Timers,
} from '../../time/index.ts';
import { type Address, authorityOf, parseAddress } from '../address.ts';
import type { Channel, ChannelOptions, ChannelTls } from '../channel.ts';
import type { MethodDefinition } from '../definition.ts';
import { messageBytesMax } from '../limits.ts';
import { type CallerSetting, EdgeCaller } from './caller.ts';
import { Codec } from './codec.ts';
import type { ClientCall } from './client-call.ts';
import { ClientConnection, type ClientConnectionOwner, type ClientConnectionSetting } from './client-connection.ts';
import { Deadlines } from './deadlines.ts';
import { HeldBytes } from './held-bytes.ts';
import { FlushQueue } from './socket-driver.ts';

export interface EdgeChannelOptions extends ChannelOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Connections to each address. Default 1; more help only where one core of the server is not enough. */
  readonly connectionsPerAddress?: number | undefined;
  /** How long an attempt to connect may take, TLS and first settings included. Default 10,000 ms. */
  readonly connectMs?: number | undefined;
  /** Default: 100 ms doubling to `reconnectMaxMs`, half of it random. */
  readonly backoff?: BackoffOptions | undefined;
  /** Calls that wait for a connection or for room on one; more fail with ResourceExhausted. Default 10,000. */
  readonly waitingMax?: number | undefined;
  /** Unfinished and unread responses of all calls together, in bytes; the call over it fails with ResourceExhausted. Default 128 MiB. */
  readonly heldBytesMax?: number | undefined;
  /** Compress requests of at least so many bytes with gzip. Takes the processor's time of the caller. Default: never. */
  readonly compressFrom?: number | undefined;
  readonly keepaliveTimeoutMs?: number | undefined;
  readonly bounds?: Partial<Http2Bounds> | undefined;
}

export interface EdgeChannel extends Channel {
  /** Calls are under way, or wait for a connection. */
  readonly isBusy: boolean;
}

/**
 * Connections to one service over the platform's own HTTP/2, opened by the first call, renewed for calls until closed. After
 * a failure it is tried again while calls come or wait, and otherwise with the next call.
 *
 * @param address `host:port`, `http://host:port` or `https://host:port`, or several for the same service.
 */
export function createEdgeChannel(address: string | readonly string[], options: EdgeChannelOptions): EdgeChannel {
  const addresses = typeof address === 'string' ? [address] : address;
  const targets = addresses.map((one) => parseAddress(one));
  const [first] = targets;
  if (first === undefined) throw oaasError('InvalidArgument', 'a channel needs an address');
  return new PooledChannel(addresses, targets, options);
}

class PooledChannel implements EdgeChannel, CallerSetting {
  readonly addresses: readonly string[];
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly maxMessageBytes: number;
  readonly codec = new Codec();
  readonly deadlines: Deadlines;
  readonly held: HeldBytes;
  readonly compressFrom: number | undefined;
  readonly clock: Clock;
  private readonly timers: Timers;
  private readonly slots: Slot[];
  private readonly waitingMax: number;
  private waiting: ClientCall[] = [];
  private readonly readyWaiters = new Set<() => void>();
  private readonly sweep: Timer;
  private turn = -1;
  private isClosed = false;

  constructor(addresses: readonly string[], targets: readonly Address[], options: EdgeChannelOptions) {
    const [first] = targets as [Address];
    this.addresses = addresses;
    this.authority = authorityOf(first);
    this.scheme = options.tls !== undefined || first.isHttps ? 'https' : 'http';
    this.maxMessageBytes = options.maxMessageBytes ?? messageBytesMax;
    this.compressFrom = options.compressFrom;
    this.held = new HeldBytes(options.heldBytesMax ?? 128 * 1024 * 1024);
    this.deadlines = new Deadlines(options.clock, options.timers);
    this.clock = options.clock;
    this.timers = options.timers;
    this.waitingMax = options.waitingMax ?? 10_000;
    const setting: ClientConnectionSetting = {
      clock: options.clock,
      pool: new ChunkPool(),
      flushes: new FlushQueue(),
      bounds: options.bounds ?? {},
      keepaliveMs: options.keepaliveMs ?? 30_000,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 10_000,
    };
    const perAddress = Math.max(1, options.connectionsPerAddress ?? 1);
    this.slots = targets.flatMap((target) =>
      Array.from({ length: perAddress }, () => new Slot(target, options, setting, this)),
    );
    this.sweep = options.timers.every(1000, () => {
      const nowMs = options.clock.monotonic();
      for (const slot of this.slots) slot.tick(nowMs);
    });
  }

  caller(path: string, method: MethodDefinition): EdgeCaller {
    return new EdgeCaller(path, method, this);
  }

  start(call: ClientCall): void {
    if (this.isClosed) {
      call.finish(oaasError('Unavailable', 'the channel is closed'), undefined);
      return;
    }
    if (this.waiting.length === 0 && this.startNow(call)) return;
    const failing = this.slots.every((slot) => slot.failure !== undefined);
    if (failing) {
      call.finish(this.failure(), undefined);
      return;
    }
    if (this.waiting.length >= this.waitingMax) {
      call.finish(oaasError('ResourceExhausted', 'too many calls wait for a connection'), undefined);
      return;
    }
    this.waiting.push(call);
  }

  ready(timeoutMs: number): Promise<void> {
    for (const slot of this.slots) slot.connect();
    if (this.slots.some((slot) => slot.canStart)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const isReady = (): void => {
        timer.cancel();
        this.readyWaiters.delete(isReady);
        resolve();
      };
      const timer = this.timers.after(timeoutMs, () => {
        this.readyWaiters.delete(isReady);
        reject(oaasError('Unavailable', `no connection to ${this.addresses.join(', ')}`, { cause: this.failure() }));
      });
      this.readyWaiters.add(isReady);
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.sweep.cancel();
    for (const slot of this.slots) slot.close();
    this.failWaiting(oaasError('Unavailable', 'the channel is closed'));
    this.deadlines.close();
  }

  get isBusy(): boolean {
    return this.isWaitedFor || this.slots.some((slot) => slot.isBusy);
  }

  /** Somebody waits for a connection. */
  get isWaitedFor(): boolean {
    return this.waiting.length > 0 || this.readyWaiters.size > 0;
  }

  /** A connection is up or has room again. */
  onRoom(): void {
    if (this.slots.some((slot) => slot.canStart)) for (const isReady of [...this.readyWaiters]) isReady();
    if (this.waiting.length === 0) return;
    const { waiting } = this;
    let at = 0;
    for (; at < waiting.length; at += 1) {
      const call = waiting[at] as ClientCall;
      if (!call.isOver && !this.startNow(call)) break;
    }
    this.waiting = waiting.slice(at);
  }

  /** No connection is up or coming: who waits is told. */
  onFailure(): void {
    if (this.slots.every((slot) => slot.failure !== undefined)) this.failWaiting(this.failure());
  }

  private startNow(call: ClientCall): boolean {
    const { slots } = this;
    for (let i = 0; i < slots.length; i += 1) {
      this.turn = this.turn + 1 >= slots.length ? 0 : this.turn + 1;
      const slot = slots[this.turn] as Slot;
      if (slot.start(call)) return true;
    }
    return false;
  }

  private failWaiting(error: OaasError): void {
    const { waiting } = this;
    this.waiting = [];
    for (const call of waiting) call.finish(error, undefined);
  }

  private failure(): OaasError {
    const failed = this.slots.find((slot) => slot.failure !== undefined);
    return oaasError('Unavailable', `no connection to ${this.addresses.join(', ')}`, { cause: failed?.failure });
  }
}

/** The place of one connection: there is at most one in it that takes calls, and a pause after each failure. */
class Slot implements ClientConnectionOwner {
  /** Why there is no connection, while it waits for the next attempt. */
  failure: OaasError | undefined = undefined;
  private readonly target: Address;
  private readonly options: EdgeChannelOptions;
  private readonly setting: ClientConnectionSetting;
  private readonly channel: PooledChannel;
  private connection: ClientConnection | undefined = undefined;
  private readonly draining_ = new Set<ClientConnection>();
  private connecting: { readonly socket: Socket; readonly timer: Timer } | undefined = undefined;
  private pause: Timer | undefined = undefined;
  private failures = 0;
  /** A call came since the last attempt to connect began: without one there is no other. */
  private isWanted = false;
  private isClosed = false;

  constructor(target: Address, options: EdgeChannelOptions, setting: ClientConnectionSetting, channel: PooledChannel) {
    this.target = target;
    this.options = options;
    this.setting = setting;
    this.channel = channel;
  }

  get canStart(): boolean {
    return this.connection?.canStart === true;
  }

  /** Calls are under way. */
  get isBusy(): boolean {
    return [this.connection, ...this.draining_].some((connection) => (connection?.calls ?? 0) > 0);
  }

  /** Starts the call if there is room; otherwise sees to it that there will be. */
  start(call: ClientCall): boolean {
    const { connection } = this;
    if (connection === undefined) {
      this.isWanted = true;
      this.connect();
      return false;
    }
    if (connection.canStart) {
      connection.start(call);
      return true;
    }
    if (connection.isUsedUp) this.draining(connection);
    return false;
  }

  connect(): void {
    if (this.isClosed || this.connection !== undefined || this.connecting !== undefined || this.pause !== undefined) {
      return;
    }
    this.isWanted = false;
    const { options, target } = this;
    const socket = open(target, options.tls ?? (target.isHttps ? {} : undefined));
    let reason: unknown;
    const timer = options.timers.after(options.connectMs ?? 10_000, () => {
      reason = oaasError('DeadlineExceeded', 'the connection was not up in time');
      socket.destroy();
    });
    this.connecting = { socket, timer };
    socket.on('error', (error) => {
      reason ??= error;
    });
    const onClose = (): void => this.failed(reason);
    socket.on('close', onClose);
    socket.once(socketReadyEvent(socket), () => {
      if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
        reason = oaasError('Unavailable', 'the server does not speak HTTP/2');
        socket.destroy();
        return;
      }
      this.connection = new ClientConnection(socket, this.setting, this);
    });
  }

  close(): void {
    this.isClosed = true;
    this.pause?.cancel();
    this.connecting?.timer.cancel();
    this.connecting?.socket.destroy();
    this.connection?.destroy();
    for (const connection of this.draining_) connection.destroy();
  }

  tick(nowMs: number): void {
    this.connection?.tick(nowMs);
    for (const connection of this.draining_) connection.tick(nowMs);
  }

  available(connection: ClientConnection): void {
    if (connection !== this.connection) return;
    if (this.connecting !== undefined) {
      this.connecting.timer.cancel();
      this.connecting = undefined;
      this.failures = 0;
      this.failure = undefined;
    }
    this.channel.onRoom();
  }

  draining(connection: ClientConnection): void {
    // One that never was ready fails when its socket closes, not here.
    if (connection !== this.connection || this.connecting !== undefined) return;
    this.connection = undefined;
    this.draining_.add(connection);
  }

  gone(connection: ClientConnection): void {
    this.draining_.delete(connection);
    if (connection !== this.connection || this.connecting !== undefined) return;
    this.connection = undefined;
    this.channel.onRoom();
  }

  retry(call: ClientCall): void {
    this.channel.start(call);
  }

  /** The socket closed; a failure only if it had not come up. */
  private failed(reason: unknown): void {
    if (this.connecting === undefined) return;
    this.connecting.timer.cancel();
    this.connecting = undefined;
    this.connection = undefined;
    if (this.isClosed) return;
    const { options } = this;
    const backoff = options.backoff ?? { baseMs: 100, maxMs: options.reconnectMaxMs ?? 5000, factor: 2, jitter: 0.5 };
    this.failure = reason === undefined ? oaasError('Unavailable', 'the server hung up') : toOaasError(reason);
    this.pause = options.timers.after(backoffDelay(this.failures, backoff, options.random), () => {
      this.pause = undefined;
      this.failure = undefined;
      if (this.isWanted || this.channel.isWaitedFor) this.connect();
    });
    this.failures += 1;
    this.channel.onFailure();
  }
}

function open(target: Address, tls: ChannelTls | undefined): Socket {
  const { host, port } = target;
  if (tls === undefined) return connectTcp({ host, port, noDelay: true });
  const servername = tls.serverName ?? host;
  return connectTls({
    ...{ host, port, ALPNProtocols: ['h2'], minVersion: 'TLSv1.2' },
    // An IP address is checked against the certificate, but is no name for the handshake (RFC 6066 §3).
    ...(/^[\d.]+$|:/.test(servername) ? {} : { servername }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  });
}

function socketReadyEvent(socket: Socket): 'secureConnect' | 'connect' {
  return 'alpnProtocol' in socket ? 'secureConnect' : 'connect';
}
