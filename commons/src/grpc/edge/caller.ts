import { type OaasError, oaasError, toOaasError } from '../../errors/index.ts';
import { FieldBlock } from '../../http2/index.ts';
import type { Timers } from '../../time/index.ts';
import type { MethodCaller, OutgoingCall } from '../channel.ts';
import type { MethodDefinition } from '../definition.ts';
import type { MetadataInput } from '../metadata.ts';
import { type CallOwner, type CallSetting, ClientCall } from './client-call.ts';
import { MessageQueue } from './message-queue.ts';
import { EdgeMetadata, pushAllMetadata } from './metadata.ts';
import { formatTimeout } from './wire.ts';

/** Header blocks without metadata that a method keeps, one for each timeout in use; more are made each time. */
const keptHeads = 16;
const userAgent = 'grpc-oaas-edge/1';

/** What a channel gives to its callers. */
export interface CallerSetting extends CallSetting {
  /** `:authority` and `:scheme` of its calls. */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly timers: Timers;
  /** Starts the call on the next connection in turn that has room, or when there is one. */
  start(call: ClientCall): void;
}

/** The calls of one method over an edge channel. */
export class EdgeCaller implements MethodCaller {
  readonly path: string;
  private readonly method: MethodDefinition;
  private readonly setting: CallerSetting;
  private readonly heads = new Map<string, FieldBlock>();

  constructor(path: string, method: MethodDefinition, setting: CallerSetting) {
    this.path = path;
    this.method = method;
    this.setting = setting;
  }

  unary(request: unknown, call: OutgoingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const payload = this.encode(request);
      this.begin(new SingleResponse(this, call, resolve, reject, (sent) => sent.send(payload, true)), call);
    });
  }

  clientStreaming(requests: AsyncIterable<unknown>, call: OutgoingCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const owner = new SingleResponse(this, call, resolve, reject, (sent) => {
        void sendAll(this, sent, owner.drains, requests);
      });
      this.begin(owner, call);
    });
  }

  serverStreaming(request: unknown, call: OutgoingCall): AsyncIterable<unknown> {
    return new ResponseStream(this, call, undefined, request);
  }

  bidirectional(requests: AsyncIterable<unknown>, call: OutgoingCall): AsyncIterable<unknown> {
    return new ResponseStream(this, call, requests, undefined);
  }

  /** Encodes one request of the caller. */
  encode(message: unknown): Uint8Array {
    const { requestType } = this.method;
    try {
      return this.setting.codec.encode(requestType, requestType.fromPartial(message));
    } catch (error) {
      throw oaasError('Internal', `a request of ${this.path} cannot be encoded`, { cause: error });
    }
  }

  /** Makes the call and hands it to the channel; what is wrong with it goes to the owner as well. */
  begin(owner: CallOwner, outgoing: OutgoingCall): void {
    const { signal, timeoutMs } = outgoing;
    if (signal?.aborted === true) {
      owner.ended(this.cancelled(signal), undefined);
      return;
    }
    if (timeoutMs !== undefined && timeoutMs <= 0) {
      owner.ended(this.late(), undefined);
      return;
    }
    const { setting } = this;
    let head: FieldBlock;
    try {
      head = this.head(outgoing.metadata(), timeoutMs);
    } catch (error) {
      owner.ended(toOaasError(error), undefined);
      return;
    }
    const call = new ClientCall(this.path, this.method, head, owner, setting);
    owner.created(call);
    if (timeoutMs !== undefined) call.timer = setting.timers.after(timeoutMs, () => call.cancel(this.late()));
    setting.start(call);
  }

  /** Cancels the call with the caller's signal. Returns the listener, to be taken off when the call is over. */
  followSignal(call: ClientCall, { signal }: OutgoingCall): (() => void) | undefined {
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

  private head(metadata: MetadataInput | undefined, timeoutMs: number | undefined): FieldBlock {
    const timeout = timeoutMs === undefined ? '' : formatTimeout(timeoutMs);
    if (metadata !== undefined) {
      const fields = this.fields(timeout);
      pushAllMetadata(fields, metadata);
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
    const { scheme, authority } = this.setting;
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
  private readonly caller: EdgeCaller;
  private readonly options: OutgoingCall;
  private readonly resolve: (response: unknown) => void;
  private readonly reject: (error: OaasError) => void;
  private readonly onStart: (call: ClientCall) => void;
  private response: unknown = undefined;
  private count = 0;
  private call: ClientCall | undefined = undefined;
  private abort: (() => void) | undefined = undefined;

  constructor(
    caller: EdgeCaller,
    options: OutgoingCall,
    resolve: (response: unknown) => void,
    reject: (error: OaasError) => void,
    onStart: (call: ClientCall) => void,
  ) {
    this.caller = caller;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
    this.onStart = onStart;
  }

  created(call: ClientCall): void {
    this.call = call;
    this.abort = this.caller.followSignal(call, this.options);
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
    else this.reject(oaasError('Internal', `${this.caller.path} answered with ${this.count} messages instead of one`));
    tell(this.options, trailer);
  }

  drained(): void {
    this.drains.release();
  }
}

/** A call whose responses come as a stream. It starts when the first one is asked for; leaving the loop cancels it. */
class ResponseStream implements CallOwner, AsyncIterableIterator<unknown> {
  private readonly caller: EdgeCaller;
  private readonly options: OutgoingCall;
  private readonly requests: AsyncIterable<unknown> | undefined;
  private readonly request: unknown;
  private readonly queue: MessageQueue;
  private readonly drains = new Drains();
  private call: ClientCall | undefined = undefined;
  private hasBegun = false;
  private abort: (() => void) | undefined = undefined;

  constructor(
    caller: EdgeCaller,
    options: OutgoingCall,
    requests: AsyncIterable<unknown> | undefined,
    request: unknown,
  ) {
    this.caller = caller;
    this.options = options;
    this.requests = requests;
    this.request = request;
    this.queue = new MessageQueue(
      (bytes) => this.call?.taken(bytes),
      () => this.call?.cancel(oaasError('Cancelled', `the caller of ${caller.path} left`)),
    );
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.hasBegun) {
      this.hasBegun = true;
      this.caller.begin(this, this.options);
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
    this.abort = this.caller.followSignal(call, this.options);
  }

  started(call: ClientCall): void {
    if (this.requests === undefined) {
      call.send(this.caller.encode(this.request), true);
      return;
    }
    void sendAll(this.caller, call, this.drains, this.requests);
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
function tell({ onTrailer }: OutgoingCall, trailer: FieldBlock | undefined): void {
  if (onTrailer === undefined || trailer === undefined) return;
  try {
    onTrailer(new EdgeMetadata(trailer));
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

async function sendAll(
  caller: EdgeCaller,
  call: ClientCall,
  drains: Drains,
  requests: AsyncIterable<unknown>,
): Promise<void> {
  try {
    for await (const request of requests) {
      if (isOver(call)) return;
      if (!call.send(caller.encode(request), false)) await drains.wait();
      if (isOver(call)) return;
    }
    call.sendEnd();
  } catch (error) {
    call.cancel(oaasError('Internal', `the requests of ${caller.path} broke off`, { cause: error }));
  }
}

/** Looks at the field anew after an await, which the compiler does not. */
function isOver(call: ClientCall): boolean {
  return call.isOver;
}
