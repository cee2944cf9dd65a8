import type { Socket } from 'node:net';
import {
  type ChunkPool,
  type FieldBlock,
  Http2Connection,
  type Http2Bounds,
  http2Codes,
  type Http2Events,
  type ResetBy,
  type Stream,
} from '../../http2/index.ts';
import type { Clock } from '../../time/index.ts';
import type { ClientCall } from './client-call.ts';
import { type FlushQueue, SocketDriver } from './socket-driver.ts';
import { prefixBytes } from './wire.ts';

export interface ClientConnectionSetting {
  readonly clock: Clock;
  readonly pool: ChunkPool;
  readonly flushes: FlushQueue;
  readonly bounds: Partial<Http2Bounds>;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

/** What a connection tells its channel. */
export interface ClientConnectionOwner {
  /** The server's settings came: calls may start. Also when there is room for more of them. */
  available(connection: ClientConnection): void;
  /** The server takes no more calls here; those under way go on. */
  draining(connection: ClientConnection): void;
  gone(connection: ClientConnection): void;
  /** The server has not looked at this call: it may start anew elsewhere. */
  retry(call: ClientCall): void;
}

const emptyBytes = new Uint8Array(0);

/** One connection of a channel. */
export class ClientConnection {
  isReady = false;
  private readonly http2: Http2Connection;
  private readonly driver: SocketDriver;
  private readonly owner: ClientConnectionOwner;
  private readonly setting: ClientConnectionSetting;
  private readonly prefix = new Uint8Array(prefixBytes);
  private pingedAt: number | undefined = undefined;

  /** @param socket connected, and past its TLS handshake. */
  constructor(socket: Socket, setting: ClientConnectionSetting, owner: ClientConnectionOwner) {
    this.owner = owner;
    this.setting = setting;
    const { clock, pool, flushes } = setting;
    this.driver = new SocketDriver({ socket, pool, flushes, clock, beforeFlush: () => undefined });
    this.http2 = new Http2Connection({
      role: 'client',
      events: new Dispatch(this),
      nowMs: clock.monotonic(),
      bounds: setting.bounds,
      pool,
    });
    this.driver.start(this.http2);
    socket.on('close', () => owner.gone(this));
  }

  get canStart(): boolean {
    return this.isReady && this.http2.canRequest;
  }

  /** Calls under way. */
  get calls(): number {
    return this.http2.streamCount;
  }

  /** No further call can start here, ever. */
  get isUsedUp(): boolean {
    return this.http2.isExhausted;
  }

  /** Opens a stream for the call. Only while `canStart`. */
  start(call: ClientCall): void {
    const id = this.http2.request(call.head, false, call);
    call.started(this, id);
    this.driver.flushSoon();
  }

  /** Sends one request; false: wait until the call is told that its stream has drained. */
  sendMessage(id: number, payload: Uint8Array, isCompressed: boolean, end: boolean): boolean {
    const { prefix } = this;
    const { length } = payload;
    prefix[0] = isCompressed ? 1 : 0;
    prefix[1] = length >>> 24;
    prefix[2] = length >>> 16;
    prefix[3] = length >>> 8;
    prefix[4] = length;
    const goesOn = this.http2.sendData(id, payload, end, prefix);
    this.driver.flushSoon();
    return goesOn;
  }

  sendEnd(id: number): void {
    this.http2.sendData(id, emptyBytes, true);
    this.driver.flushSoon();
  }

  consume(id: number, bytes: number): void {
    this.http2.consume(id, bytes);
    this.driver.flushSoon();
  }

  reset(id: number, code: number): void {
    this.http2.reset(id, code);
    this.driver.flushSoon();
  }

  retry(call: ClientCall): void {
    this.owner.retry(call);
  }

  destroy(): void {
    this.driver.destroy();
  }

  onSettings(): void {
    this.isReady = true;
    this.owner.available(this);
  }

  /** The server takes no more calls, or the connection is over. */
  onEnd(): void {
    this.isReady = false;
    this.owner.draining(this);
    if (this.http2.streamCount === 0) this.http2.finish();
    this.driver.flushSoon();
  }

  onIdle(): void {
    if (!this.http2.goawayReceived) return;
    this.http2.finish();
    this.driver.flushSoon();
  }

  /** The status came before our last request: what is left of them is of no use. */
  stopSending(id: number): void {
    if (this.http2.stream(id)?.sentEnd === false) this.reset(id, http2Codes.NO_ERROR);
  }

  tick(nowMs: number): void {
    const { setting, driver, http2 } = this;
    http2.tick(nowMs);
    if (this.pingedAt !== undefined) {
      if (driver.heardAt >= this.pingedAt) this.pingedAt = undefined;
      else if (nowMs - this.pingedAt > setting.keepaliveTimeoutMs) driver.destroy();
    } else if (http2.streamCount > 0 && nowMs - driver.heardAt > setting.keepaliveMs) {
      this.pingedAt = nowMs;
      http2.ping(new Uint8Array(8));
    }
    driver.flushSoon();
  }
}

/** Hands the events of a connection to the calls they belong to. */
class Dispatch implements Http2Events {
  private readonly connection: ClientConnection;

  constructor(connection: ClientConnection) {
    this.connection = connection;
  }

  headers(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { id } = stream;
    callOf(stream).onHeaders(block, endStream);
    if (endStream) this.connection.stopSending(id);
  }

  data(stream: Stream, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    callOf(stream).onData(bytes, start, end, endStream);
  }

  trailers(stream: Stream, block: FieldBlock): void {
    const { id } = stream;
    callOf(stream).onTrailers(block);
    this.connection.stopSending(id);
  }

  reset(stream: Stream, code: number, by: ResetBy): void {
    callOf(stream).onReset(code, by);
  }

  drained(stream: Stream): void {
    callOf(stream).drained();
  }

  settings(): void {
    this.connection.onSettings();
  }

  pong(): void {
    // Whatever comes from the server is a sign of life; the driver has noted it.
  }

  goaway(): void {
    this.connection.onEnd();
  }

  idle(): void {
    this.connection.onIdle();
  }

  closed(): void {
    this.connection.onEnd();
  }
}

function callOf(stream: Stream): ClientCall {
  return stream.context as ClientCall;
}
