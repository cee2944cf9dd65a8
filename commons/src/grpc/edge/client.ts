import { type OaasError, oaasError } from '../../errors/index.ts';
import { FieldBlock } from '../../http2/index.ts';
import { correlationHeader, currentCorrelationId } from '../../telemetry/index.ts';
import type { GrpcClientOptions } from '../client.ts';
import {
  type CallOptions,
  type Client,
  type MethodDefinition,
  methodPath,
  type ServiceDefinition,
} from '../definition.ts';
import { mayRetry, withRetry } from '../retry.ts';
import type { EdgeChannel } from './channel.ts';
import { type CallOwner, ClientCall } from './client-call.ts';
import { MessageQueue } from './message-queue.ts';
import { EdgeMetadata, pushAllMetadata } from './metadata.ts';
import { formatTimeout } from './wire.ts';

const defaultDeadlineMs = 10_000;
/** Header blocks without metadata that a method keeps, one for each timeout in use; more are made each time. */
const keptHeads = 16;
const userAgent = 'grpc-oaas-edge/1';

/**
 * A typed client of a service over an {@link EdgeChannel}: the same methods, options and errors as `createGrpcClient`.
 */
export function createEdgeClient<const D extends ServiceDefinition>(
  definition: D,
  channel: EdgeChannel,
  options: GrpcClientOptions = {},
): Client<D> {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const wire = new Wire(methodPath(definition, method), method, channel, options);
    return [key, callOf(wire)];
  });
  return Object.fromEntries(methods) as Client<D>;
}

function callOf(wire: Wire): (input: never, call?: CallOptions) => unknown {
  const { requestStream, responseStream } = wire.method;
  if (requestStream && responseStream) {
    return (requests: AsyncIterable<unknown>, call = {}) => new ResponseStream(wire, call, requests, undefined);
  }
  if (requestStream) return (requests: AsyncIterable<unknown>, call = {}) => wire.clientStreaming(requests, call);
  if (responseStream) return (request: unknown, call = {}) => new ResponseStream(wire, call, undefined, request);
  return (request: unknown, call = {}) => wire.unary(request, call);
}

/** A method on a channel: what its calls share. */
class Wire {
  readonly path: string;
  readonly method: MethodDefinition;
  readonly channel: EdgeChannel;
  readonly options: GrpcClientOptions;
  private readonly heads = new Map<string, FieldBlock>();

  constructor(path: string, method: MethodDefinition, channel: EdgeChannel, options: GrpcClientOptions) {
    this.path = path;
    this.method = method;
    this.channel = channel;
    this.options = options;
  }

  unary(request: unknown, call: CallOptions): Promise<unknown> {
    const { retry, breaker, deadlineMs = defaultDeadlineMs } = this.options;
    const { clock } = this.channel;
    const timeoutMs = call.deadlineMs ?? deadlineMs;
    if (retry === undefined && breaker === undefined) return this.sendUnary(request, call, timeoutMs);
    const endsAt = clock.now() + timeoutMs;
    const send = () => this.sendUnary(request, call, endsAt - clock.now());
    const guarded = breaker === undefined ? send : () => breaker.execute(send);
    if (retry === undefined || !mayRetry(this.method, retry.methods)) return guarded();
    return withRetry(retry, { endsAt, now: () => clock.now(), signal: call.signal }, guarded);
  }

  clientStreaming(requests: AsyncIterable<unknown>, options: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const owner = new SingleResponse(this, options, resolve, reject, (call) => {
        void sendAll(this, call, owner.drains, requests);
      });
      this.begin(owner, options, options.deadlineMs);
    });
  }

  /** Encodes one request of the caller. */
  encode(message: unknown): Uint8Array {
    const { requestType } = this.method;
    return this.channel.codec.encode(requestType, requestType.fromPartial(message));
  }

  /** Makes the call and hands it to the channel; what is wrong with it goes to the owner as well. */
  begin(owner: CallOwner, options: CallOptions, timeoutMs: number | undefined): void {
    const { signal } = options;
    if (signal?.aborted === true) {
      owner.ended(this.cancelled(signal), undefined);
      return;
    }
    if (timeoutMs !== undefined && timeoutMs <= 0) {
      owner.ended(this.late(), undefined);
      return;
    }
    const { channel } = this;
    const call = new ClientCall(this.path, this.method, this.head(options, timeoutMs), owner, channel);
    owner.created(call);
    if (timeoutMs !== undefined) call.timer = channel.timers.after(timeoutMs, () => call.cancel(this.late()));
    channel.start(call);
  }

  /** Cancels the call with the caller's signal. Returns the listener, to be taken off when the call is over. */
  followSignal(call: ClientCall, { signal }: CallOptions): (() => void) | undefined {
    if (signal === undefined) return undefined;
    const abort = (): void => call.cancel(this.cancelled(signal));
    signal.addEventListener('abort', abort, { once: true });
    return abort;
  }

  private cancelled(signal: AbortSignal): OaasError {
    return oaasError('Cancelled', `${this.path} was cancelled by the caller`, { cause: signal.reason });
  }

  private late(): OaasError {
    return oaasError('DeadlineExceeded', `${this.path} took longer than its deadline`);
  }

  private sendUnary(request: unknown, options: CallOptions, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const payload = this.encode(request);
      const owner = new SingleResponse(this, options, resolve, reject, (call) => call.send(payload, true));
      this.begin(owner, options, timeoutMs);
    });
  }

  private head(options: CallOptions, timeoutMs: number | undefined): FieldBlock {
    const timeout = timeoutMs === undefined ? '' : formatTimeout(timeoutMs);
    const { metadata } = this.options;
    const correlationId = currentCorrelationId();
    if (metadata !== undefined || options.metadata !== undefined || correlationId !== undefined) {
      const fields = this.fields(timeout);
      if (correlationId !== undefined) fields.push(correlationHeader, correlationId);
      if (metadata !== undefined) pushAllMetadata(fields, typeof metadata === 'function' ? metadata() : metadata);
      if (options.metadata !== undefined) pushAllMetadata(fields, options.metadata);
      return new FieldBlock(fields);
    }
    const kept = this.heads.get(timeout);
    if (kept !== undefined) return kept;
    const reused = this.heads.size < keptHeads;
    const head = new FieldBlock(this.fields(timeout), { reused });
    if (reused) this.heads.set(timeout, head);
    return head;
  }

  private fields(timeout: string): string[] {
    const { scheme, authority } = this.channel;
    const fields = [':method', 'POST', ':scheme', scheme, ':path', this.path, ':authority', authority];
    fields.push('te', 'trailers', 'content-type', 'application/grpc', 'user-agent', userAgent);
    fields.push('grpc-accept-encoding', 'gzip,identity');
    if (timeout !== '') fields.push('grpc-timeout', timeout);
    return fields;
  }
}

/** Lets the one who sends wait until there is room. */
class Drains {
  private resume: (() => void) | undefined = undefined;

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.resume = resolve;
    });
  }

  release(): void {
    this.resume?.();
    this.resume = undefined;
  }
}

/** A call with one response. */
class SingleResponse implements CallOwner {
  readonly drains = new Drains();
  private readonly wire: Wire;
  private readonly options: CallOptions;
  private readonly resolve: (response: unknown) => void;
  private readonly reject: (error: OaasError) => void;
  private readonly onStart: (call: ClientCall) => void;
  private response: unknown = undefined;
  private count = 0;
  private call: ClientCall | undefined = undefined;
  private abort: (() => void) | undefined = undefined;

  constructor(
    wire: Wire,
    options: CallOptions,
    resolve: (response: unknown) => void,
    reject: (error: OaasError) => void,
    onStart: (call: ClientCall) => void,
  ) {
    this.wire = wire;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
    this.onStart = onStart;
  }

  created(call: ClientCall): void {
    this.call = call;
    this.abort = this.wire.followSignal(call, this.options);
  }

  started(call: ClientCall): void {
    this.onStart(call);
  }

  message(value: unknown, bytes: number): void {
    this.count += 1;
    this.response = value;
    this.call?.taken(bytes);
  }

  isWaiting(): boolean {
    return true;
  }

  ended(error: OaasError | undefined, trailer: FieldBlock | undefined): void {
    if (this.abort !== undefined) this.options.signal?.removeEventListener('abort', this.abort);
    this.drains.release();
    if (error !== undefined) this.reject(error);
    else if (this.count === 1) this.resolve(this.response);
    else this.reject(oaasError('Internal', `${this.wire.path} answered with ${this.count} messages instead of one`));
    tell(this.options, trailer);
  }

  drained(): void {
    this.drains.release();
  }
}

/** A call whose responses come as a stream. It starts when the first one is asked for; leaving the loop cancels it. */
class ResponseStream implements CallOwner, AsyncIterableIterator<unknown> {
  private readonly wire: Wire;
  private readonly options: CallOptions;
  private readonly requests: AsyncIterable<unknown> | undefined;
  private readonly request: unknown;
  private readonly queue: MessageQueue;
  private readonly drains = new Drains();
  private call: ClientCall | undefined = undefined;
  private hasBegun = false;
  private abort: (() => void) | undefined = undefined;

  constructor(wire: Wire, options: CallOptions, requests: AsyncIterable<unknown> | undefined, request: unknown) {
    this.wire = wire;
    this.options = options;
    this.requests = requests;
    this.request = request;
    this.queue = new MessageQueue(
      (bytes) => this.call?.taken(bytes),
      () => this.call?.cancel(oaasError('Cancelled', `the caller of ${wire.path} left`)),
    );
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.hasBegun) {
      this.hasBegun = true;
      this.wire.begin(this, this.options, this.options.deadlineMs);
    }
    return this.queue.next();
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.hasBegun = true;
    return this.queue.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  created(call: ClientCall): void {
    this.call = call;
    this.abort = this.wire.followSignal(call, this.options);
  }

  started(call: ClientCall): void {
    if (this.requests === undefined) {
      call.send(this.wire.encode(this.request), true);
      return;
    }
    void sendAll(this.wire, call, this.drains, this.requests);
  }

  message(value: unknown, bytes: number): void {
    this.queue.push(value, bytes);
  }

  isWaiting(): boolean {
    return this.queue.isEmpty;
  }

  ended(error: OaasError | undefined, trailer: FieldBlock | undefined): void {
    if (this.abort !== undefined) this.options.signal?.removeEventListener('abort', this.abort);
    this.drains.release();
    if (error === undefined) this.queue.end();
    else this.queue.fail(error);
    tell(this.options, trailer);
  }

  drained(): void {
    this.drains.release();
  }
}

/** Hands the trailer to the caller. What the caller's function throws is its own: it must not end the connection. */
function tell({ onTrailer }: CallOptions, trailer: FieldBlock | undefined): void {
  if (onTrailer === undefined || trailer === undefined) return;
  try {
    onTrailer(new EdgeMetadata(trailer));
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

async function sendAll(wire: Wire, call: ClientCall, drains: Drains, requests: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const request of requests) {
      if (isOver(call)) return;
      if (!call.send(wire.encode(request), false)) await drains.wait();
      if (isOver(call)) return;
    }
    call.sendEnd();
  } catch (error) {
    call.cancel(oaasError('Internal', `the requests of ${wire.path} broke off`, { cause: error }));
  }
}

/** Looks at the field anew after an await, which the compiler does not. */
function isOver(call: ClientCall): boolean {
  return call.isOver;
}
