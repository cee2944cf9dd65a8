import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import {
  type ChunkPool,
  FieldBlock,
  Http2Connection,
  type Http2Bounds,
  type Http2Error,
  http2CodeName,
  http2Codes,
  type Http2Events,
  type ResetBy,
  type Stream,
} from '../../http2/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { Clock, Timers } from '../../time/index.ts';
import type { Codec } from './codec.ts';
import { MessageQueue } from './message-queue.ts';
import { lengthAt, MessageReader, type MessageSink } from './message-reader.ts';
import { cancelledError, ServerCall } from './server-call.ts';
import {
  type Around,
  type EdgeMethod,
  gzipHeaders,
  httpRefusal,
  httpRefusalText,
  plainHeaders,
  readHead,
  type RequestHead,
  responseHeaders,
} from './server-method.ts';
import { type FlushQueue, SocketDriver } from './socket-driver.ts';
import { errorTrailers, okTrailers } from './status.ts';
import { prefixBytes } from './wire.ts';

/** How long a connection that ended waits for the peer to take the last words and close as well. */
const lingerMs = 2000;

/** What all connections of a server share. */
export interface ServerSetting {
  readonly methods: ReadonlyMap<string, EdgeMethod>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly pool: ChunkPool;
  readonly flushes: FlushQueue;
  readonly codec: Codec;
  readonly bounds: Partial<Http2Bounds>;
  readonly messageBytesMax: number;
  /** Bytes of unfinished and unread messages of one connection. */
  readonly heldBytesMax: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly handshakeMs: number;
  readonly idleMs: number;
  /** Responses of at least so many bytes are compressed for those who take gzip; undefined: never. */
  readonly compressFrom: number | undefined;
  readonly correlationHeader: string;
  /** Stands around calls without interceptors of which the caller sent a correlation id. */
  readonly correlated: Around;
  /** Called when the connection is gone. */
  readonly onClose: (connection: ServerConnection) => void;
}

/** A unary call whose request is not whole yet. */
class Collecting implements MessageSink {
  readonly call: ServerCall;
  readonly reader: MessageReader;
  request: unknown = undefined;
  count = 0;
  private readonly codec: Codec;

  constructor(call: ServerCall, { codec, messageBytesMax: bytesMax }: ServerSetting) {
    this.call = call;
    this.codec = codec;
    this.reader = new MessageReader(this, bytesMax, call.head.encoding === 'gzip');
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    this.count += 1;
    if (this.count > 1) return;
    this.request = decode(this.codec, this.call.entry, bytes, start, end);
  }
}

/**
 * One connection of a gRPC server. A unary call whose request comes whole in one frame has no state of its own before its
 * handler runs: the stream's context is what its header block says, which all calls with this block share.
 */
export class ServerConnection implements Http2Events {
  private readonly setting: ServerSetting;
  private readonly http2: Http2Connection;
  private readonly driver: SocketDriver;
  private readonly peer: string;
  private readonly prefix = new Uint8Array(prefixBytes);
  private readonly startedAt: number;
  /** Streams with a deadline that are new in this turn; a timer is only set for those that outlive it. */
  private withDeadline: number[] = [];
  private held = 0;
  private pingedAt: number | undefined = undefined;
  private activeAt: number;
  private closedAt: number | undefined = undefined;

  constructor(socket: Socket, setting: ServerSetting) {
    this.setting = setting;
    this.peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    this.startedAt = setting.clock.monotonic();
    this.activeAt = this.startedAt;
    const { pool, flushes, clock } = setting;
    this.driver = new SocketDriver({ socket, pool, flushes, clock, beforeFlush: () => this.armDeadlines() });
    this.http2 = new Http2Connection({
      role: 'server',
      events: this,
      nowMs: this.startedAt,
      bounds: setting.bounds,
      pool,
    });
    this.driver.start(this.http2);
    socket.on('close', () => setting.onClose(this));
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
    if (head.httpStatus === undefined && entry !== undefined && head.encoding !== 'unknown') {
      if (entry.requestStream || (entry.responseStream && endStream)) {
        this.startStreaming(stream, head, entry, endStream);
        return;
      }
      if (!endStream) {
        if (head.timeoutMs !== undefined) this.withDeadline.push(stream.id);
        return;
      }
    }
    if (endStream) this.refuse(stream.id, head);
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
    if (head.httpStatus !== undefined || entry === undefined || head.encoding === 'unknown') {
      this.http2.consume(id, end - start);
      if (endStream) this.refuse(id, head);
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
    this.data(stream, this.prefix, 0, 0, true);
  }

  reset(stream: Stream, code: number, by: ResetBy): void {
    const call = callOf(stream.context);
    if (call === undefined) return;
    this.held -= heldBy(stream.context);
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
    const { setting } = this;
    const { timeoutMs } = head;
    if (timeoutMs === undefined) return new ServerCall(id, entry, head, this.peer, setting.logger);
    return new ServerCall(id, entry, head, this.peer, setting.logger, setting.clock.now() + timeoutMs);
  }

  /** Sets the timers of the calls that were not answered within the turn in which they came. */
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
      const late = call;
      if (late.isOver || late.timer !== undefined) continue;
      late.timer = this.setting.timers.after((late.deadlineMs ?? 0) - this.setting.clock.now(), () => {
        this.interrupt(late, oaasError('DeadlineExceeded', `${late.method} took longer than its deadline`));
      });
    }
  }

  /** Answers a call from outside of its handler, and tells the handler. */
  private interrupt(call: ServerCall, error: OaasError): void {
    if (call.isOver) return;
    this.fail(call, error);
    call.abandon(error);
  }

  private refuse(id: number, head: RequestHead): void {
    if (head.httpStatus !== undefined) {
      this.http2.sendHeaders(id, httpRefusal(head.httpStatus), false);
      this.http2.sendData(id, httpRefusalText, true);
      return;
    }
    const path = head.block.get(':path') ?? '';
    const error =
      head.entry === undefined
        ? oaasError('Unimplemented', `there is no method ${path} here`)
        : head.encoding === 'unknown'
          ? oaasError('Unimplemented', 'the request is compressed in a way that this server does not know')
          : oaasError('Internal', 'the request has no message');
    this.http2.sendHeaders(id, new FieldBlock([...plainHeaders.fields, ...errorTrailers(error, [])]), true);
  }

  /** Bytes that a connection holds for calls are bounded: the call that passes the bound is refused. */
  private hold(call: ServerCall, bytes: number): boolean {
    this.held += bytes;
    if (this.held <= this.setting.heldBytesMax) return true;
    this.interrupt(
      call,
      oaasError('ResourceExhausted', 'the unfinished messages of this connection take too much memory', {
        remedy: 'Send fewer large messages at once on one connection.',
      }),
    );
    return false;
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
      this.held -= before;
      this.fail(call, error);
      return;
    }
    if (!this.hold(call, reader.held - before)) {
      this.held -= reader.held;
      return;
    }
    this.http2.consume(id, end - start);
    if (!endStream) return;
    stream.context = call;
    this.run(call, collecting.request);
  }

  private runDecoded(call: ServerCall, bytes: Uint8Array, start: number, end: number): void {
    let request: unknown;
    try {
      request = decode(this.setting.codec, call.entry, bytes, start, end);
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
    let payload: Uint8Array;
    try {
      payload = this.setting.codec.encode(call.entry.responseType, response);
    } catch (error) {
      this.fail(call, oaasError('Internal', 'the response cannot be encoded', { cause: error }));
      return;
    }
    const gzip = this.compresses(call, payload.length);
    if (gzip) payload = gzipSync(payload);
    if (payload.length > this.setting.messageBytesMax) {
      this.fail(
        call,
        oaasError('PayloadTooLarge', `the response is larger than ${this.setting.messageBytesMax} bytes`),
      );
      return;
    }
    call.finish();
    const own = call.headers;
    const headers = own.length > 0 ? responseHeaders(own, gzip) : gzip ? gzipHeaders : plainHeaders;
    const trailers = call.trailers.length === 0 ? okTrailers : new FieldBlock([...okTrailers.fields, ...call.trailers]);
    this.http2.respond(call.id, headers, this.prefixOf(payload.length, gzip), payload, trailers);
    this.driver.flushSoon();
  }

  private compresses(call: ServerCall, length: number): boolean {
    const { compressFrom } = this.setting;
    return compressFrom !== undefined && call.head.acceptsGzip && length >= compressFrom;
  }

  /** The same array each time: it is copied before the next message. */
  private prefixOf(length: number, compressed: boolean): Uint8Array {
    const { prefix } = this;
    prefix[0] = compressed ? 1 : 0;
    prefix[1] = length >>> 24;
    prefix[2] = length >>> 16;
    prefix[3] = length >>> 8;
    prefix[4] = length;
    return prefix;
  }

  private fail(call: ServerCall, thrown: unknown): void {
    if (call.isOver) return;
    const error = toOaasError(thrown);
    const { logger } = this.setting;
    const fields = { method: call.method, peer: this.peer, code: error.code };
    if (error.code === 'Internal' && error.cause !== undefined) logger.error({ ...fields, err: error }, 'call failed');
    else logger.debug({ ...fields, reason: error.message }, 'call refused');
    call.finish();
    call.queue?.fail(error);
    const trailers = errorTrailers(error, call.trailers);
    if (call.hasSentHeaders) this.http2.sendTrailers(call.id, new FieldBlock(trailers));
    else {
      const headers = responseHeaders(call.headers, false).fields;
      this.http2.sendHeaders(call.id, new FieldBlock([...headers, ...trailers]), true);
    }
    this.driver.flushSoon();
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
    const queue = new MessageQueue(
      (bytes) => {
        this.held -= bytes;
        this.http2.consume(id, bytes);
        this.driver.flushSoon();
      },
      () => undefined,
    );
    call.queue = queue;
    call.reader = new MessageReader(
      {
        message: (bytes, start, end) => {
          const size = end - start + prefixBytes;
          this.held += size;
          queue.push(decode(this.setting.codec, entry, bytes, start, end), size);
        },
      },
      this.setting.messageBytesMax,
      head.encoding === 'gzip',
    );
    if (endStream) queue.end();
    this.run(call, queue);
  }

  private feedStream(call: ServerCall, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { reader, queue } = call;
    if (call.isOver || reader === undefined || queue === undefined) return;
    const before = reader.held;
    try {
      reader.feed(bytes, start, end);
      if (endStream && reader.held > 0) throw oaasError('Internal', 'the last request is cut short');
    } catch (error) {
      this.interrupt(call, toOaasError(error));
      return;
    }
    // A message in parts must be able to grow beyond the window; a whole one frees it when it is read.
    if (reader.held > before) this.http2.consume(call.id, reader.held - before);
    if (!this.hold(call, reader.held - before)) return;
    if (endStream) queue.end();
  }

  private async answerStream(call: ServerCall, request: unknown): Promise<void> {
    const { entry } = call;
    const send = async (): Promise<void> => {
      for await (const response of entry.handler(request, call) as AsyncIterable<unknown>) {
        if (isOver(call)) return;
        if (!this.sendMessage(call, response)) await this.drainedOf(call);
        if (isOver(call)) return;
      }
    };
    try {
      const around = this.aroundOf(call);
      if (around === undefined) await send();
      else await around(call, send);
      if (isOver(call)) return;
      call.finish();
      const trailers = [...okTrailers.fields, ...call.trailers];
      if (call.hasSentHeaders) {
        this.http2.sendTrailers(call.id, call.trailers.length === 0 ? okTrailers : new FieldBlock(trailers));
      } else {
        const headers = responseHeaders(call.headers, false).fields;
        this.http2.sendHeaders(call.id, new FieldBlock([...headers, ...trailers]), true);
      }
      this.driver.flushSoon();
    } catch (error) {
      this.fail(call, error);
    }
  }

  /** False: wait for `drainedOf`. */
  private sendMessage(call: ServerCall, response: unknown): boolean {
    let payload = this.setting.codec.encode(call.entry.responseType, response);
    const { compressFrom, messageBytesMax } = this.setting;
    const gzip = this.compresses(call, payload.length);
    if (gzip) payload = gzipSync(payload);
    if (payload.length > messageBytesMax) {
      throw oaasError('PayloadTooLarge', `a response is larger than ${messageBytesMax} bytes`);
    }
    if (!call.hasSentHeaders) {
      call.hasSentHeaders = true;
      const announceGzip = compressFrom !== undefined && call.head.acceptsGzip;
      this.http2.sendHeaders(call.id, responseHeaders(call.headers, announceGzip), false);
    }
    const goesOn = this.http2.sendData(call.id, payload, false, this.prefixOf(payload.length, gzip));
    this.driver.flushSoon();
    return goesOn;
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

function callOf(context: unknown): ServerCall | undefined {
  if (context instanceof ServerCall) return context;
  return context instanceof Collecting ? context.call : undefined;
}

/** What the connection counts as held for a stream. */
function heldBy(context: unknown): number {
  if (context instanceof Collecting) return context.reader.held;
  return context instanceof ServerCall ? (context.reader?.held ?? 0) : 0;
}

/** Looks at the field anew after an await, which the compiler does not. */
function isOver(call: ServerCall): boolean {
  return call.isOver;
}

function decode(codec: Codec, entry: EdgeMethod, bytes: Uint8Array, start: number, end: number): unknown {
  try {
    return codec.decode(entry.requestType, bytes, start, end);
  } catch (error) {
    throw oaasError('Internal', `the request of ${entry.path} cannot be decoded: ${toOaasError(error).message}`);
  }
}
