import type {
  CallOptions as GrpcCallOptions,
  Client,
  ClientDuplexStream,
  ClientReadableStream,
  ClientWritableStream,
  Metadata,
  ServiceError,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { oaasError, type OaasError } from '../../errors/index.ts';
import type { MethodCaller, OutgoingCall } from '../channel.ts';
import type { MethodDefinition } from '../definition.ts';
import { readMetadata, toBuffer, toMetadata } from './metadata.ts';
import { receivedError } from './status.ts';

/** What the calls of a method share. */
interface Wire {
  readonly path: string;
  /** The connection for the next call. */
  readonly pick: () => Client;
  readonly serialize: (message: unknown) => Buffer;
  readonly deserialize: (bytes: Buffer) => unknown;
}

export function createCaller(path: string, method: MethodDefinition, pick: () => Client): MethodCaller {
  const { requestType, responseType } = method;
  const wire: Wire = {
    path,
    pick,
    serialize: (message) => toBuffer(requestType.encode(requestType.fromPartial(message)).finish()),
    deserialize: (bytes) => responseType.decode(bytes),
  };
  return {
    unary: (request, call) => unary(wire, request, call),
    clientStreaming: (requests, call) => clientStreaming(wire, requests, call),
    serverStreaming: (request, call) => serverStreaming(wire, request, call),
    bidirectional: (requests, call) => bidirectional(wire, requests, call),
  };
}

function unary(wire: Wire, request: unknown, call: OutgoingCall): Promise<unknown> {
  return new Promise((resolve, reject) => {
    begin(wire, call);
    const sent = wire
      .pick()
      .makeUnaryRequest(
        wire.path,
        wire.serialize,
        wire.deserialize,
        request,
        metadataOf(call),
        optionsOf(call),
        answered(wire, call, resolve, reject),
      );
    follow(sent, call);
  });
}

function clientStreaming(wire: Wire, requests: AsyncIterable<unknown>, call: OutgoingCall): Promise<unknown> {
  return new Promise((resolve, reject) => {
    begin(wire, call);
    const sent = wire
      .pick()
      .makeClientStreamRequest(
        wire.path,
        wire.serialize,
        wire.deserialize,
        metadataOf(call),
        optionsOf(call),
        answered(wire, call, resolve, reject),
      );
    follow(sent, call);
    sendAll(sent, requests).catch((error: unknown) => {
      sent.cancel();
      reject(oaasError('Internal', `the requests of ${wire.path} broke off`, { cause: error }));
    });
  });
}

async function* serverStreaming(wire: Wire, request: unknown, call: OutgoingCall): AsyncGenerator {
  begin(wire, call);
  const client = wire.pick();
  const metadata = metadataOf(call);
  const sent = client.makeServerStreamRequest(
    wire.path,
    wire.serialize,
    wire.deserialize,
    request,
    metadata,
    optionsOf(call),
  );
  follow(sent, call);
  yield* responsesOf(wire, sent, call);
}

async function* bidirectional(wire: Wire, requests: AsyncIterable<unknown>, call: OutgoingCall): AsyncGenerator {
  begin(wire, call);
  const client = wire.pick();
  const sent = client.makeBidiStreamRequest(
    wire.path,
    wire.serialize,
    wire.deserialize,
    metadataOf(call),
    optionsOf(call),
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

/** Throws for a call that has no time or no caller any more. */
function begin(wire: Wire, { signal, timeoutMs }: OutgoingCall): void {
  if (signal?.aborted === true) throw cancelled(wire, signal);
  if (timeoutMs !== undefined && timeoutMs <= 0) {
    throw oaasError('DeadlineExceeded', `${wire.path} took longer than its deadline`);
  }
}

/** The responses of a stream. A caller that leaves the loop cancels the call. */
async function* responsesOf(
  wire: Wire,
  sent: ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>,
  call: OutgoingCall,
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
  call: OutgoingCall,
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
function follow(sent: SentCall, call: OutgoingCall): void {
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

/** grpc-js measures deadlines by the system's clock, so no other clock would do here. */
function optionsOf({ timeoutMs }: OutgoingCall): GrpcCallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function metadataOf(call: OutgoingCall): Metadata {
  return toMetadata(call.metadata() ?? {});
}

function cancelled(wire: Wire, signal: AbortSignal): OaasError {
  return oaasError('Cancelled', `${wire.path} was cancelled by the caller`, { cause: signal.reason });
}
