import { toOaasError } from '../errors/index.ts';
import { correlationHeader, currentCorrelationId } from '../telemetry/index.ts';
import type { Breaker } from './breaker.ts';
import type { Channel, MethodCaller, OutgoingCall } from './channel.ts';
import {
  type CallOptions,
  type Client,
  type MethodDefinition,
  methodPath,
  type ServiceDefinition,
} from './definition.ts';
import type { MetadataInput, ReadonlyMetadata } from './metadata.ts';
import { mayRetry, type RetryOptions, withRetry } from './retry.ts';

export interface GrpcClientOptions {
  /** Time for a call with one response, retries included. Default 10,000 ms. Streams have none unless a call says so. */
  readonly deadlineMs?: number | undefined;
  /** For calls with one request and one response. Default: a call is sent once. */
  readonly retry?: RetryOptions | undefined;
  /** Guards the calls with one request and one response. Default: none. */
  readonly breaker?: Breaker | undefined;
  /** Sent with every call; a function is asked each time, so that a token may be renewed. */
  readonly metadata?: MetadataInput | (() => MetadataInput) | undefined;
}

const defaultDeadlineMs = 10_000;

/** A typed client of a service. Its methods reject with OaasErrors only; the correlation id of the caller travels along. */
export function createGrpcClient<const D extends ServiceDefinition>(
  definition: D,
  channel: Channel,
  options: GrpcClientOptions = {},
): Client<D> {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const caller = channel.caller(methodPath(definition, method), method);
    return [key, callOf(method, caller, channel, options)];
  });
  return Object.fromEntries(methods) as Client<D>;
}

function callOf(
  method: MethodDefinition,
  caller: MethodCaller,
  channel: Channel,
  options: GrpcClientOptions,
): (input: never, call?: CallOptions) => unknown {
  const { metadata } = options;
  const { requestStream, responseStream } = method;
  if (requestStream && responseStream) {
    return (requests: AsyncIterable<unknown>, call) =>
      caller.bidirectional(requests, new Outgoing(metadata, call, call?.deadlineMs));
  }
  if (requestStream) {
    return (requests: AsyncIterable<unknown>, call) =>
      caller.clientStreaming(requests, new Outgoing(metadata, call, call?.deadlineMs));
  }
  if (responseStream) {
    return (request: unknown, call) => caller.serverStreaming(request, new Outgoing(metadata, call, call?.deadlineMs));
  }
  return unary(method, caller, channel, options);
}

function unary(
  method: MethodDefinition,
  caller: MethodCaller,
  { clock }: Channel,
  { metadata, retry, breaker, deadlineMs = defaultDeadlineMs }: GrpcClientOptions,
): (request: unknown, call?: CallOptions) => Promise<unknown> {
  if (retry === undefined && breaker === undefined) {
    return (request, call) => caller.unary(request, new Outgoing(metadata, call, call?.deadlineMs ?? deadlineMs));
  }
  return (request, call) => {
    const endsAt = clock.now() + (call?.deadlineMs ?? deadlineMs);
    const send = () => caller.unary(request, new Outgoing(metadata, call, endsAt - clock.now()));
    const guarded = breaker === undefined ? send : () => breaker.execute(send);
    if (retry === undefined || !mayRetry(method, retry.methods)) return guarded();
    return withRetry(retry, { endsAt, now: () => clock.now(), signal: call?.signal }, guarded);
  };
}

class Outgoing implements OutgoingCall {
  readonly timeoutMs: number | undefined;
  private readonly shared: GrpcClientOptions['metadata'];
  private readonly call: CallOptions | undefined;

  constructor(shared: GrpcClientOptions['metadata'], call: CallOptions | undefined, timeoutMs: number | undefined) {
    this.shared = shared;
    this.call = call;
    this.timeoutMs = timeoutMs;
  }

  get signal(): AbortSignal | undefined {
    return this.call?.signal;
  }

  get onTrailer(): ((trailer: ReadonlyMetadata) => void) | undefined {
    return this.call?.onTrailer;
  }

  metadata(): MetadataInput | undefined {
    const { shared } = this;
    const own = this.call?.metadata;
    const correlationId = currentCorrelationId();
    if (shared === undefined && own === undefined && correlationId === undefined) return undefined;
    try {
      return {
        ...(correlationId === undefined ? {} : { [correlationHeader]: correlationId }),
        ...(typeof shared === 'function' ? shared() : shared),
        ...own,
      };
    } catch (error) {
      throw toOaasError(error);
    }
  }
}
