import type {
  CallOptions as GrpcCallOptions,
  ClientDuplexStream,
  ClientReadableStream,
  ClientWritableStream,
  Metadata,
  ServiceError,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { oaasError, type OaasError } from '../errors/index.ts';
import { correlationHeader, currentCorrelationId } from '../telemetry/index.ts';
import type { Breaker } from './breaker.ts';
import type { Channel } from './channel.ts';
import {
  type CallOptions,
  type Client,
  type MethodDefinition,
  methodPath,
  type ServiceDefinition,
} from './definition.ts';
import { type MetadataInput, readMetadata, toBuffer, toMetadata } from './metadata.ts';
import { mayRetry, type RetryOptions, withRetry } from './retry.ts';
import { receivedError } from './status.ts';

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

/** What the four kinds of calls share. */
interface Wire {
  readonly path: string;
  readonly method: MethodDefinition;
  readonly channel: Channel;
  readonly options: GrpcClientOptions;
  readonly serialize: (message: unknown) => Buffer;
  readonly deserialize: (bytes: Buffer) => unknown;
}

/** A typed client of a service. Its methods reject with OaasErrors only; the correlation id of the caller travels along. */
export function createGrpcClient<const D extends ServiceDefinition>(
  definition: D,
  channel: Channel,
  options: GrpcClientOptions = {},
): Client<D> {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const wire: Wire = {
      path: methodPath(definition, method),
      method,
      channel,
      options,
      serialize: (message) => toBuffer(method.requestType.encode(method.requestType.fromPartial(message)).finish()),
      deserialize: (bytes) => method.responseType.decode(bytes),
    };
    return [key, callOf(wire)];
  });
  return Object.fromEntries(methods) as Client<D>;
}

function callOf(wire: Wire): (input: never, call?: CallOptions) => unknown {
  const { requestStream, responseStream } = wire.method;
  if (requestStream && responseStream)
    return (requests: AsyncIterable<unknown>, call = {}) => bidi(wire, requests, call);
  if (requestStream) return (requests: AsyncIterable<unknown>, call = {}) => clientStreaming(wire, requests, call);
  if (responseStream) return (request: unknown, call = {}) => serverStreaming(wire, request, call);
  return (request: unknown, call = {}) => unary(wire, request, call);
}

function unary(wire: Wire, request: unknown, call: CallOptions): Promise<unknown> {
  const { retry, breaker, deadlineMs = defaultDeadlineMs } = wire.options;
  // grpc-js measures deadlines by the system's clock, so no other clock would do here.
  const endsAt = Date.now() + (call.deadlineMs ?? deadlineMs);
  const send = () => sendUnary(wire, request, call, endsAt);
  const guarded = breaker === undefined ? send : () => breaker.execute(send);
  if (retry === undefined || !mayRetry(wire.method, retry.methods)) return guarded();
  return withRetry(retry, { endsAt, now: Date.now, signal: call.signal }, guarded);
}

function sendUnary(wire: Wire, request: unknown, call: CallOptions, endsAt: number): Promise<unknown> {
  if (call.signal?.aborted === true) return Promise.reject(cancelled(wire, call.signal));
  return new Promise((resolve, reject) => {
    const sent = wire.channel
      .pick()
      .makeUnaryRequest(
        wire.path,
        wire.serialize,
        wire.deserialize,
        request,
        metadataOf(wire, call),
        { deadline: endsAt },
        answered(wire, call, resolve, reject),
      );
    follow(sent, call);
  });
}

function clientStreaming(wire: Wire, requests: AsyncIterable<unknown>, call: CallOptions): Promise<unknown> {
  if (call.signal?.aborted === true) return Promise.reject(cancelled(wire, call.signal));
  return new Promise((resolve, reject) => {
    const sent = wire.channel
      .pick()
      .makeClientStreamRequest(
        wire.path,
        wire.serialize,
        wire.deserialize,
        metadataOf(wire, call),
        streamOptions(call),
        answered(wire, call, resolve, reject),
      );
    follow(sent, call);
    sendAll(sent, requests).catch((error: unknown) => {
      sent.cancel();
      reject(oaasError('Internal', `the requests of ${wire.path} broke off`, { cause: error }));
    });
  });
}

async function* serverStreaming(wire: Wire, request: unknown, call: CallOptions): AsyncGenerator {
  if (call.signal?.aborted === true) throw cancelled(wire, call.signal);
  const client = wire.channel.pick();
  const metadata = metadataOf(wire, call);
  const sent = client.makeServerStreamRequest(
    wire.path,
    wire.serialize,
    wire.deserialize,
    request,
    metadata,
    streamOptions(call),
  );
  follow(sent, call);
  yield* responsesOf(wire, sent, call);
}

async function* bidi(wire: Wire, requests: AsyncIterable<unknown>, call: CallOptions): AsyncGenerator {
  if (call.signal?.aborted === true) throw cancelled(wire, call.signal);
  const client = wire.channel.pick();
  const sent = client.makeBidiStreamRequest(
    wire.path,
    wire.serialize,
    wire.deserialize,
    metadataOf(wire, call),
    streamOptions(call),
  );
  follow(sent, call);
  let broken: unknown;
  sendAll(sent, requests).catch((error: unknown) => {
    broken = error;
    sent.cancel();
  });
  try {
    yield* responsesOf(wire, sent, call);
  } catch (error) {
    if (broken === undefined) throw error;
    throw oaasError('Internal', `the requests of ${wire.path} broke off`, { cause: broken });
  }
}

/** The responses of a stream. A caller that leaves the loop cancels the call. */
async function* responsesOf(
  wire: Wire,
  sent: ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>,
  call: CallOptions,
): AsyncGenerator {
  // Cancelling makes grpc-js emit an error that nobody waits for any more.
  sent.on('error', () => undefined);
  try {
    for await (const response of sent) yield response;
  } catch (error) {
    throw call.signal?.aborted === true ? cancelled(wire, call.signal) : receivedError(error, wire.path);
  } finally {
    sent.cancel();
  }
}

async function sendAll(
  sent: ClientWritableStream<unknown> | ClientDuplexStream<unknown, unknown>,
  requests: AsyncIterable<unknown>,
): Promise<void> {
  const ended = new AbortController();
  sent.on('status', () => {
    ended.abort();
  });
  for await (const request of requests) {
    if (ended.signal.aborted) return;
    if (!sent.write(request)) await once(sent, 'drain', { signal: ended.signal }).catch(() => undefined);
  }
  sent.end();
}

function answered(
  wire: Wire,
  call: CallOptions,
  resolve: (response: unknown) => void,
  reject: (error: OaasError) => void,
): (error: ServiceError | null, response?: unknown) => void {
  return (error, response) => {
    if (error === null) resolve(response);
    else reject(call.signal?.aborted === true ? cancelled(wire, call.signal) : receivedError(error, wire.path));
  };
}

interface SentCall {
  cancel(): void;
  on(event: 'status', listener: (status: { metadata: Metadata }) => void): unknown;
}

/** Cancels the call with its signal, and hands its trailer on. */
function follow(sent: SentCall, call: CallOptions): void {
  const { signal, onTrailer } = call;
  const cancel = (): void => {
    sent.cancel();
  };
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal === undefined && onTrailer === undefined) return;
  sent.on('status', (status) => {
    signal?.removeEventListener('abort', cancel);
    onTrailer?.(readMetadata(status.metadata));
  });
}

function streamOptions(call: CallOptions): GrpcCallOptions {
  return call.deadlineMs === undefined ? {} : { deadline: Date.now() + call.deadlineMs };
}

function metadataOf(wire: Wire, call: CallOptions): Metadata {
  const { metadata } = wire.options;
  const correlationId = currentCorrelationId();
  return toMetadata({
    ...(correlationId === undefined ? {} : { [correlationHeader]: correlationId }),
    ...(typeof metadata === 'function' ? metadata() : metadata),
    ...call.metadata,
  });
}

function cancelled(wire: Wire, signal: AbortSignal): OaasError {
  return oaasError('Cancelled', `${wire.path} was cancelled by the caller`, { cause: signal.reason });
}
