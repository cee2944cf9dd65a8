import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type ErrorCode, type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import {
  type FieldBlock,
  Http2Connection,
  type Http2Error,
  http2CodeName,
  http2Codes,
  type Http2Events,
  type ResetBy,
  type Stream,
} from '../../http2/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { Clock } from '../../time/index.ts';
import { identityOf, type PeerIdentity } from '../identity.ts';
import { untimed } from './deadlines.ts';
import { Collecting, callOf } from './collecting.ts';
import { ConnectionHeld } from './connection-held.ts';
import { lengthAt } from './message-reader.ts';
import { RequestStream } from './request-stream.ts';
import { Responder, type ServerSetting } from './responder.ts';
import { type CallHost, cancelledError, ServerCall } from './server-call.ts';
import { type Around, decodeRequest, type EdgeMethod, readHead, type RequestHead } from './server-method.ts';
import { SocketDriver } from './socket-driver.ts';
import { prefixBytes } from './wire.ts';

const noBytes = new Uint8Array(0);

/** How long a connection that ended waits for the peer to take the last words and close as well. */
const lingerMs = 2000;

/**
 * One connection of a gRPC server. A unary call whose request comes whole in one frame has no state of its own before its
 * handler runs: the stream's context is what its header block says, which all calls with this block share.
 */
export class ServerConnection implements Http2Events, CallHost {
  readonly peer: string;
  /** Whom the client's certificate names, when the server has asked for one. */
  readonly identity: PeerIdentity | undefined;
  private readonly setting: ServerSetting;
  private readonly http2: Http2Connection;
  private readonly driver: SocketDriver;
  private readonly responder: Responder;
  private readonly startedAt: number;
  /** Streams with a deadline that are new in this turn; a timer is only set for those that outlive it. */
  private withDeadline: number[] = [];
  private readonly held: ConnectionHeld;
  private pingedAt: number | undefined = undefined;
  private activeAt: number;
  private closedAt: number | undefined = undefined;

  /** @param head what was read off the socket before. @param onClose called when the socket is gone. */
  constructor(socket: Socket, setting: ServerSetting, head: Uint8Array | undefined, onClose: () => void) {
    this.setting = setting;
    this.identity =
      socket instanceof TLSSocket && socket.authorized ? identityOf(socket.getPeerCertificate()) : undefined;
    this.peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    this.startedAt = setting.clock.monotonic();
    this.activeAt = this.startedAt;
    const { pool, flushes, clock } = setting;
    this.driver = new SocketDriver({ socket, pool, flushes, clock, beforeFlush: () => this.beforeFlush() });
    this.http2 = new Http2Connection({
      role: 'server',
      events: this,
      nowMs: this.startedAt,
      bounds: setting.bounds,
      pool,
    });
    this.held = new ConnectionHeld(this.http2, setting, (call, error) => this.interrupt(call, error));
    this.responder = new Responder(this.http2, setting, this.peer);
    this.driver.start(this.http2, head);
    socket.on('close', onClose);
  }

  get logger(): Logger {
    return this.setting.logger;
  }

  get clock(): Clock {
    return this.setting.clock;
  }

  /** Calls under way. */
  get calls(): number {
    return this.http2.streamCount;
  }

  /** Takes no new calls; closes when the last one is done. */
  shutdown(): void {
    this.http2.shutdown();
    this.driver.flushSoon();
  }

  /** Ends the streaming calls, since they might never end by themselves. */
  endStreams(error: OaasError): void {
    this.http2.forEachStream(({ context }) => {
      if (!(context instanceof ServerCall)) return;
      if (context.entry.requestStream || context.entry.responseStream) this.interrupt(context, error);
    });
  }

  destroy(): void {
    this.driver.destroy();
  }

  /** Looks at what took too long. About once a second. */
  tick(nowMs: number): void {
    const { setting, http2, driver } = this;
    if (this.closedAt !== undefined) {
      if (nowMs - this.closedAt > lingerMs) driver.destroy();
      return;
    }
    http2.tick(nowMs);
    if (!http2.settingsReceived && nowMs - this.startedAt > setting.handshakeMs) {
      driver.destroy();
      return;
    }
    if (http2.streamCount > 0) this.activeAt = nowMs;
    else if (nowMs - this.activeAt > setting.idleMs) http2.shutdown();
    if (this.pingedAt !== undefined && nowMs - this.pingedAt > setting.keepaliveTimeoutMs) {
      if (driver.heardAt < this.pingedAt) {
        driver.destroy();
        return;
      }
      this.pingedAt = undefined;
    } else if (this.pingedAt === undefined && nowMs - driver.heardAt > setting.keepaliveMs) {
      this.pingedAt = nowMs;
      http2.ping(new Uint8Array(8));
    }
    driver.flushSoon();
  }

  // ---- events of the connection --------------------------------------------------------------------------------

  headers(stream: Stream, block: FieldBlock, endStream: boolean): void {
    const { setting } = this;
    const head = (block.memo ??= readHead(block, setting.methods, setting.correlationHeader)) as RequestHead;
    stream.context = head;
    const { entry } = head;
    if (head.httpStatus === undefined) {
      if (entry === undefined || head.encoding === 'unknown') {
        // At once: a caller who streams may wait for an answer before it ends its requests.
        this.responder.refuse(stream.id, head);
        return;
      }
      if (entry.requestStream || (entry.responseStream && endStream)) {
        this.startStreaming(stream, head, entry, endStream);
        return;
      }
      if (!endStream) {
        if (head.timeoutMs !== undefined) this.withDeadline.push(stream.id);
        return;
      }
    }
    if (endStream) this.responder.refuse(stream.id, head);
  }

  data(stream: Stream, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { context, id } = stream;
    if (context instanceof ServerCall) {
      this.feedStream(context, bytes, start, end, endStream);
      return;
    }
    if (context instanceof Collecting) {
      this.collect(stream, context, bytes, start, end, endStream);
      return;
    }
    const head = context as RequestHead;
    const { entry } = head;
    if (head.httpStatus !== undefined || entry === undefined) {
      this.http2.consume(id, end - start);
      if (endStream) this.responder.refuse(id, head);
      return;
    }
    const length = end - start - prefixBytes;
    // The fast path: one whole, plain message and nothing after it.
    if (endStream && length >= 0 && bytes[start] === 0 && lengthAt(bytes, start) === length) {
      const call = this.newCall(id, entry, head);
      stream.context = call;
      if (length > this.setting.messageBytesMax) {
        this.fail(call, oaasError('PayloadTooLarge', `a message is larger than ${this.setting.messageBytesMax} bytes`));
        return;
      }
      this.runDecoded(call, bytes, start + prefixBytes, end);
      return;
    }
    const collecting = new Collecting(this.newCall(id, entry, head), this.setting);
    stream.context = collecting;
    this.collect(stream, collecting, bytes, start, end, endStream);
  }

  trailers(stream: Stream): void {
    // Trailers of a request mean nothing in gRPC; the end of the stream does.
    this.data(stream, noBytes, 0, 0, true);
  }

  reset(stream: Stream, code: number, by: ResetBy): void {
    const call = callOf(stream.context);
    if (call === undefined) return;
    if (!call.isOver) this.ended(call, 'Cancelled');
    call.abandon(
      by === 'peer' || by === 'connection'
        ? cancelledError()
        : oaasError('Cancelled', `the stream was reset: ${http2CodeName(code)}`),
    );
  }

  drained(stream: Stream): void {
    if (stream.context instanceof ServerCall) stream.context.onDrained?.();
  }

  settings(): void {
    // Nothing waits for the client's settings.
  }

  pong(): void {
    this.pingedAt = undefined;
  }

  goaway(): void {
    // The client opens no more streams; those that are open go on.
  }

  idle(): void {
    if (this.http2.isShutDown) this.http2.finish();
  }

  closed(error: Http2Error | undefined): void {
    this.held.countQueued();
    this.closedAt = this.setting.clock.monotonic();
    if (error !== undefined) {
      const { logger } = this.setting;
      const fields = { peer: this.peer, code: http2CodeName(error.code), reason: error.message };
      if (error.code === http2Codes.INTERNAL_ERROR) logger.error({ ...fields, err: error.cause }, 'connection failed');
      else logger.debug(fields, 'connection refused');
    }
    this.driver.flushSoon();
  }

  // ---- calls ---------------------------------------------------------------------------------------------------

  private newCall(id: number, entry: EdgeMethod, head: RequestHead): ServerCall {
    const call = new ServerCall(id, entry, head, this);
    this.setting.poll?.called();
    if (entry.meter !== undefined) call.startedAt = this.driver.heardAt;
    return call;
  }

  private beforeFlush(): void {
    this.held.countQueued();
    this.armDeadlines();
  }

  keeps(call: ServerCall, bytes: number): void {
    this.held.keep(call, bytes);
  }

  /** Watches the deadlines of the calls that were not answered within the turn in which they came. */
  private armDeadlines(): void {
    if (this.withDeadline.length === 0) return;
    const ids = this.withDeadline;
    this.withDeadline = [];
    for (const id of ids) {
      const stream = this.http2.stream(id);
      if (stream === undefined) continue;
      let call = callOf(stream.context);
      if (call === undefined) {
        const head = stream.context as RequestHead;
        if (head.entry === undefined) continue;
        call = this.newCall(id, head.entry, head);
        stream.context = new Collecting(call, this.setting);
      }
      if (call.isOver || call.dueMs !== untimed) continue;
      this.setting.deadlines.add(call, this.driver.heardAt + (call.head.timeoutMs ?? 0));
    }
  }

  /** Answers a call from outside of its handler, and tells the handler. */
  interrupt(call: ServerCall, error: OaasError): void {
    if (call.isOver) return;
    this.fail(call, error);
    call.abandon(error);
  }

  private collect(
    stream: Stream,
    collecting: Collecting,
    bytes: Uint8Array,
    start: number,
    end: number,
    endStream: boolean,
  ): void {
    const { call, reader } = collecting;
    const { id } = stream;
    if (call.isOver) return;
    const before = reader.held;
    try {
      reader.feed(bytes, start, end);
      if (endStream && (collecting.count !== 1 || reader.held > 0)) {
        throw oaasError('Internal', collecting.count > 1 ? 'a unary call has one request' : 'the request is cut short');
      }
    } catch (error) {
      this.fail(call, error);
      return;
    }
    this.held.hold(call, reader.held - before);
    if (isOver(call)) return;
    this.http2.consume(id, end - start);
    if (!endStream) return;
    stream.context = call;
    this.run(call, collecting.request);
  }

  private runDecoded(call: ServerCall, bytes: Uint8Array, start: number, end: number): void {
    let request: unknown;
    try {
      request = decodeRequest(this.setting.codec, call.entry, bytes, start, end);
    } catch (error) {
      this.fail(call, error);
      return;
    }
    this.run(call, request);
  }

  /** Calls the handler of one request. */
  private run(call: ServerCall, request: unknown): void {
    const { entry } = call;
    if (entry.responseStream) {
      void this.answerStream(call, request);
      return;
    }
    const around = this.aroundOf(call);
    if (around !== undefined) {
      void this.runAround(call, around, request);
      return;
    }
    try {
      (entry.handler(request, call) as Promise<unknown>).then(
        (response) => this.answer(call, response),
        (error: unknown) => this.fail(call, error),
      );
    } catch (error) {
      this.fail(call, error);
    }
  }

  private aroundOf({ entry, head }: ServerCall): Around | undefined {
    return entry.around ?? (head.hasCorrelation ? this.setting.correlated : undefined);
  }

  private async runAround(call: ServerCall, around: Around, request: unknown): Promise<void> {
    try {
      let response: unknown;
      await around(call, async () => {
        response = await call.entry.handler(request, call);
      });
      this.answer(call, response);
    } catch (error) {
      this.fail(call, error);
    }
  }

  private answer(call: ServerCall, response: unknown): void {
    if (call.isOver) return;
    try {
      this.responder.single(call, response);
    } catch (error) {
      this.fail(call, error);
      return;
    }
    this.over(call, 'OK');
  }

  private fail(call: ServerCall, thrown: unknown): void {
    if (call.isOver) return;
    const error = toOaasError(thrown);
    this.over(call, error.code);
    call.requests?.queue.fail(error);
    this.responder.failure(call, error);
  }

  /** The status of the call goes out with this turn. */
  private over(call: ServerCall, code: 'OK' | ErrorCode): void {
    this.ended(call, code);
    call.isOver = true;
    this.driver.flushSoon();
  }

  /** Lets go of what is kept for a call, and counts it. Once for each call. */
  private ended(call: ServerCall, code: 'OK' | ErrorCode): void {
    const { setting } = this;
    if (call.dueMs !== untimed) setting.deadlines.remove(call);
    this.held.ended(call);
    call.entry.meter?.ended(code, (setting.clock.monotonic() - call.startedAt) / 1000);
  }

  // ---- streaming -----------------------------------------------------------------------------------------------

  private startStreaming(stream: Stream, head: RequestHead, entry: EdgeMethod, endStream: boolean): void {
    const { id } = stream;
    const call = this.newCall(id, entry, head);
    stream.context = call;
    if (head.timeoutMs !== undefined) this.withDeadline.push(id);
    if (!entry.requestStream) {
      this.fail(call, oaasError('Internal', 'the request has no message'));
      return;
    }
    const { codec, messageBytesMax } = this.setting;
    const requests = new RequestStream({
      ...{ entry, codec, messageBytesMax, gzip: head.encoding === 'gzip' },
      consume: (bytes) => {
        this.http2.consume(id, bytes);
        this.driver.flushSoon();
      },
      held: (bytes) => this.held.hold(call, bytes),
    });
    call.requests = requests;
    if (endStream) requests.queue.end();
    this.run(call, requests.queue);
  }

  private feedStream(call: ServerCall, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (call.isOver || call.requests === undefined) return;
    try {
      call.requests.feed(bytes, start, end, endStream);
    } catch (error) {
      this.interrupt(call, toOaasError(error));
    }
  }

  private async answerStream(call: ServerCall, request: unknown): Promise<void> {
    const { entry } = call;
    const send = async (): Promise<void> => {
      for await (const response of entry.handler(request, call) as AsyncIterable<unknown>) {
        if (isOver(call)) return;
        const goesOn = this.responder.next(call, response);
        this.driver.flushSoon();
        if (!goesOn) await this.drainedOf(call);
        if (isOver(call)) return;
      }
    };
    try {
      const around = this.aroundOf(call);
      if (around === undefined) await send();
      else await around(call, send);
      if (isOver(call)) return;
      this.responder.end(call);
      this.over(call, 'OK');
    } catch (error) {
      this.fail(call, error);
    }
  }

  private drainedOf(call: ServerCall): Promise<void> {
    if (call.isOver) return Promise.resolve();
    return new Promise((resolve) => {
      call.onDrained = () => {
        call.onDrained = undefined;
        resolve();
      };
    });
  }
}

/** Looks at the field anew after an await, which the compiler does not. */
function isOver(call: ServerCall): boolean {
  return call.isOver;
}
