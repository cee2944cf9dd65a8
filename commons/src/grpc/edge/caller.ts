import { gzipSync } from 'node:zlib';
import { oaasError, toOaasError } from '../../errors/index.ts';
import { FieldBlock } from '../../http2/index.ts';
import type { Clock } from '../../time/index.ts';
import type { MethodCaller, OutgoingCall } from '../channel.ts';
import type { MethodDefinition } from '../definition.ts';
import type { MetadataInput } from '../metadata.ts';
import type { CallSetting, ClientCall } from './client-call.ts';
import type { Codec } from './codec.ts';
import type { Deadlines } from './deadlines.ts';
import type { HeldBytes } from './held-bytes.ts';
import { pushAllMetadata } from './metadata.ts';
import { ResponseStream } from './response-stream.ts';
import type { EncodedRequest, RequestEncoder } from './sending.ts';
import { ClientStreamingCall, UnaryCall } from './single-response.ts';
import { formatTimeout } from './wire.ts';

/** Header blocks without metadata that a method keeps, one for each timeout in use; more are made each time. */
const keptHeads = 16;
const userAgent = 'grpc-oaas-edge/1';

/** What a channel gives to its callers. */
export interface CallerSetting {
  /** `:authority` and `:scheme` of its calls. */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly codec: Codec;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly held: HeldBytes;
  readonly maxMessageBytes: number;
  /** Requests of at least so many bytes are compressed; undefined: never. */
  readonly compressFrom: number | undefined;
  /** Starts the call on the next connection in turn that has room, or when there is one. */
  start(call: ClientCall): void;
}

/** The calls of one method over an edge channel. */
export class EdgeCaller implements MethodCaller, CallSetting, RequestEncoder {
  readonly path: string;
  readonly method: MethodDefinition;
  readonly codec: Codec;
  readonly maxMessageBytes: number;
  readonly deadlines: Deadlines;
  readonly held: HeldBytes;
  private readonly setting: CallerSetting;
  private readonly heads = new Map<string, FieldBlock>();
  private readonly compressedHeads = new Map<string, FieldBlock>();

  constructor(path: string, method: MethodDefinition, setting: CallerSetting) {
    this.path = path;
    this.method = method;
    this.setting = setting;
    this.codec = setting.codec;
    this.maxMessageBytes = setting.maxMessageBytes;
    this.deadlines = setting.deadlines;
    this.held = setting.held;
  }

  unary(request: unknown, outgoing: OutgoingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { payload, isCompressed } = this.encode(request);
      this.start(new UnaryCall(this, outgoing, resolve, reject, payload, isCompressed), isCompressed);
    });
  }

  clientStreaming(requests: AsyncIterable<unknown>, outgoing: OutgoingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.start(new ClientStreamingCall(this, outgoing, resolve, reject, requests, this), this.mayCompress);
    });
  }

  serverStreaming(request: unknown, outgoing: OutgoingCall): AsyncIterable<unknown> {
    const encode = () => ({ kind: 'one', request: this.encode(request) }) as const;
    return new ResponseStream(this, outgoing, encode, (call) => this.start(call, this.mayCompress));
  }

  bidirectional(requests: AsyncIterable<unknown>, outgoing: OutgoingCall): AsyncIterable<unknown> {
    const all = () => ({ kind: 'many', requests, encoder: this }) as const;
    return new ResponseStream(this, outgoing, all, (call) => this.start(call, this.mayCompress));
  }

  /** Encodes one request, and compresses it when it is large enough. */
  encode(message: unknown): EncodedRequest {
    const { requestType } = this.method;
    let payload: Uint8Array;
    try {
      payload = this.codec.encodePartial(requestType, message);
    } catch (error) {
      throw oaasError('Internal', `a request of ${this.path} cannot be encoded`, { cause: error });
    }
    const { compressFrom } = this.setting;
    if (compressFrom === undefined || payload.length < compressFrom) return { payload, isCompressed: false };
    return { payload: gzipSync(payload), isCompressed: true };
  }

  private get mayCompress(): boolean {
    return this.setting.compressFrom !== undefined;
  }

  /** Hands the call to the channel; what is wrong with it is told to its caller. */
  private start(call: ClientCall, gzip: boolean): void {
    const { outgoing } = call;
    let head: FieldBlock;
    try {
      head = this.head(outgoing.metadata(), outgoing.timeoutMs, gzip);
    } catch (error) {
      call.finish(toOaasError(error), undefined);
      return;
    }
    if (call.begin(head, this.setting.clock.monotonic())) this.setting.start(call);
  }

  private head(metadata: MetadataInput | undefined, timeoutMs: number | undefined, gzip: boolean): FieldBlock {
    const timeout = timeoutMs === undefined ? '' : formatTimeout(timeoutMs);
    if (metadata !== undefined) {
      const fields = this.fields(timeout, gzip);
      pushAllMetadata(fields, metadata);
      return new FieldBlock(fields);
    }
    const heads = gzip ? this.compressedHeads : this.heads;
    const kept = heads.get(timeout);
    if (kept !== undefined) return kept;
    const reused = heads.size < keptHeads;
    const head = new FieldBlock(this.fields(timeout, gzip), { reused });
    if (reused) heads.set(timeout, head);
    return head;
  }

  private fields(timeout: string, gzip: boolean): string[] {
    const { scheme, authority } = this.setting;
    const fields = [':method', 'POST', ':scheme', scheme, ':path', this.path, ':authority', authority];
    fields.push('te', 'trailers', 'content-type', 'application/grpc', 'user-agent', userAgent);
    if (gzip) fields.push('grpc-encoding', 'gzip');
    fields.push('grpc-accept-encoding', 'gzip,identity');
    if (timeout !== '') fields.push('grpc-timeout', timeout);
    return fields;
  }
}
