import { gzipSync } from 'node:zlib';
import { type OaasError, oaasError } from '../../errors/index.ts';
import { type ChunkPool, FieldBlock, type Http2Bounds, type Http2Connection } from '../../http2/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { Clock } from '../../time/index.ts';
import type { Codec } from './codec.ts';
import type { Deadlines } from './deadlines.ts';
import type { HeldTotal } from './held-total.ts';
import type { ServerCall } from './server-call.ts';
import {
  type Around,
  type EdgeMethod,
  gzipHeaders,
  httpRefusal,
  httpRefusalText,
  plainHeaders,
  type RequestHead,
  responseHeaders,
} from './server-method.ts';
import type { LonePoll } from './lone-poll.ts';
import type { FlushQueue } from './socket-driver.ts';
import { errorTrailers, okTrailers } from './status.ts';
import { prefixBytes } from './wire.ts';

/** What all connections of a server share. */
export interface ServerSetting {
  readonly methods: ReadonlyMap<string, EdgeMethod>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly pool: ChunkPool;
  readonly flushes: FlushQueue;
  readonly poll: LonePoll | undefined;
  readonly codec: Codec;
  readonly bounds: Partial<Http2Bounds>;
  readonly messageBytesMax: number;
  /** Bytes of unfinished and unread messages of one connection. */
  readonly heldBytesMax: number;
  /** What all connections together hold. */
  readonly held: HeldTotal;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly handshakeMs: number;
  readonly idleMs: number;
  /** Responses of at least so many bytes are compressed for those who take gzip; undefined: never. */
  readonly compressFrom: number | undefined;
  readonly correlationHeader: string;
  /** Stands around calls without interceptors of which the caller sent a correlation id. */
  readonly correlated: Around;
}

/** Writes what a server says on one connection: responses, statuses and refusals. */
export class Responder {
  private readonly http2: Http2Connection;
  private readonly setting: ServerSetting;
  private readonly peer: string;
  private readonly prefix = new Uint8Array(prefixBytes);

  constructor(http2: Http2Connection, setting: ServerSetting, peer: string) {
    this.http2 = http2;
    this.setting = setting;
    this.peer = peer;
  }

  /** The one response of a call, and OK. Throws, with nothing sent, when it cannot be encoded or is too large. */
  single(call: ServerCall, response: unknown): void {
    const [payload, gzip] = this.encode(call, response);
    const own = call.headers;
    const headers = own.length > 0 ? responseHeaders(own, gzip) : gzip ? gzipHeaders : plainHeaders;
    this.http2.respond(call.id, headers, this.prefixOf(payload.length, gzip), payload, trailersOf(call));
  }

  /** One response of several. False: wait until the stream has drained. */
  next(call: ServerCall, response: unknown): boolean {
    const [payload, gzip] = this.encode(call, response);
    if (!call.hasSentHeaders) {
      call.hasSentHeaders = true;
      const mayCompress = this.setting.compressFrom !== undefined && call.head.acceptsGzip;
      this.http2.sendHeaders(call.id, responseHeaders(call.headers, mayCompress), false);
    }
    return this.http2.sendData(call.id, payload, false, this.prefixOf(payload.length, gzip));
  }

  /** OK after the last of several responses. */
  end(call: ServerCall): void {
    const trailers = trailersOf(call);
    if (call.hasSentHeaders) this.http2.sendTrailers(call.id, trailers);
    else this.statusOnly(call, trailers.fields);
  }

  /** The status of a call that failed. */
  failure(call: ServerCall, error: OaasError): void {
    const { logger } = this.setting;
    const fields = { method: call.method, peer: this.peer, code: error.code };
    // Without a cause it is the protocol's own Internal, for a request that is not as it must be.
    const isDefect = (error.code === 'Internal' && error.cause !== undefined) || error.code === 'DataLoss';
    if (isDefect) logger.error({ ...fields, err: error }, 'call failed');
    else logger.debug({ ...fields, reason: error.message }, 'call refused');
    const trailers = errorTrailers(error, call.trailers);
    if (call.hasSentHeaders) this.http2.sendTrailers(call.id, new FieldBlock(trailers));
    else this.statusOnly(call, trailers);
  }

  /** The answer to a request that never becomes a call. */
  refuse(id: number, head: RequestHead): void {
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

  /** A status without a response is a response by itself ("Trailers-Only"). */
  private statusOnly(call: ServerCall, trailers: readonly string[]): void {
    const headers = responseHeaders(call.headers, false).fields;
    this.http2.sendHeaders(call.id, new FieldBlock([...headers, ...trailers]), true);
  }

  private encode(call: ServerCall, response: unknown): readonly [payload: Uint8Array, gzip: boolean] {
    const { codec, compressFrom, messageBytesMax } = this.setting;
    let payload: Uint8Array;
    try {
      payload = codec.encode(call.entry.responseType, response);
    } catch (error) {
      throw oaasError('Internal', 'the response cannot be encoded', { cause: error });
    }
    const gzip = compressFrom !== undefined && call.head.acceptsGzip && payload.length >= compressFrom;
    if (gzip) payload = gzipSync(payload);
    if (payload.length > messageBytesMax) {
      throw oaasError('PayloadTooLarge', `a response is larger than ${messageBytesMax} bytes`);
    }
    return [payload, gzip];
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
}

function trailersOf(call: ServerCall): FieldBlock {
  return call.trailers.length === 0 ? okTrailers : new FieldBlock([...okTrailers.fields, ...call.trailers]);
}
