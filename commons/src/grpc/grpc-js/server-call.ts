import {
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { oaasError } from '../../errors/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import type { CallContext, MethodDefinition } from '../definition.ts';
import { identityOf, peerIdentityKey } from '../identity.ts';
import { readMetadata, setMetadata } from './metadata.ts';
import { sentStatus } from './status.ts';

/** What every kind of call has. The kinds' own types overload `on` in ways that do not unite. */
interface AnyCall extends Pick<
  ServerUnaryCall<unknown, unknown>,
  'metadata' | 'getPeer' | 'getDeadline' | 'sendMetadata' | 'getAuthContext'
> {
  on(event: 'cancelled', listener: () => void): unknown;
}

type ResponseStream = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;
type RequestStream = ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;

type AnyHandler = (request: unknown, context: CallContext) => unknown;

export interface CallSetting {
  readonly path: string;
  readonly logger: Logger;
  /** Aborts the streams of a draining server. */
  readonly streamsEnd: AbortSignal;
  readonly around: (context: CallContext, run: () => Promise<void>) => Promise<void>;
}

interface OpenCall {
  readonly context: CallContext;
  readonly trailer: Metadata;
  /** Sends the headers that the handler has set, once. */
  readonly sendHeaders: () => void;
}

/** A handler of the platform as a handler of grpc-js. */
export function carry(method: MethodDefinition, handler: AnyHandler, setting: CallSetting): UntypedHandleCall {
  if (method.responseStream) {
    return (call: ResponseStream) => {
      const open = openCall(call, setting, setting.streamsEnd);
      const input = method.requestStream
        ? requestsOf(call as RequestStream, open.context.signal)
        : (call as ServerWritableStream<unknown, unknown>).request;
      void answerStream(call, open, setting, () => handler(input, open.context) as AsyncIterable<unknown>);
    };
  }
  if (method.requestStream) {
    return (call: ServerReadableStream<unknown, unknown>, callback: sendUnaryData<unknown>) => {
      const open = openCall(call, setting, setting.streamsEnd);
      const input = requestsOf(call, open.context.signal);
      void answerOnce(open, setting, callback, () => handler(input, open.context) as Promise<unknown>);
    };
  }
  const unary: handleUnaryCall<unknown, unknown> = (call, callback) => {
    const open = openCall(call, setting, undefined);
    void answerOnce(open, setting, callback, () => handler(call.request, open.context) as Promise<unknown>);
  };
  return unary;
}

function openCall(call: AnyCall, setting: CallSetting, end: AbortSignal | undefined): OpenCall {
  const cancel = new AbortController();
  call.on('cancelled', () => {
    cancel.abort(oaasError('Cancelled', 'the caller gave the call up or its deadline passed'));
  });
  const headers = new Metadata();
  const trailer = new Metadata();
  let hasHeaders = false;
  const deadline = Number(call.getDeadline());
  let attributes: Map<string, unknown> | undefined;
  return {
    trailer,
    context: {
      method: setting.path,
      metadata: readMetadata(call.metadata),
      peer: call.getPeer(),
      ...(Number.isFinite(deadline) ? { deadlineMs: deadline } : {}),
      signal: end === undefined ? cancel.signal : AbortSignal.any([cancel.signal, end]),
      setHeader: (key, value) => {
        hasHeaders = true;
        setMetadata(headers, key, value);
      },
      setTrailer: (key, value) => {
        setMetadata(trailer, key, value);
      },
      get attributes() {
        return (attributes ??= attributesOf(call));
      },
      logger: setting.logger,
    },
    sendHeaders: () => {
      if (!hasHeaders) return;
      hasHeaders = false;
      call.sendMetadata(headers);
    },
  };
}

function attributesOf(call: AnyCall): Map<string, unknown> {
  const identity = identityOf(call.getAuthContext().sslPeerCertificate);
  return new Map(identity === undefined ? [] : [[peerIdentityKey, identity]]);
}

async function answerOnce(
  { context, trailer, sendHeaders }: OpenCall,
  setting: CallSetting,
  callback: sendUnaryData<unknown>,
  handle: () => Promise<unknown>,
): Promise<void> {
  try {
    let response: unknown;
    await setting.around(context, async () => {
      response = await handle();
    });
    sendHeaders();
    callback(null, response, trailer);
  } catch (error) {
    sendHeaders();
    callback(sentStatus(error, trailer));
  }
}

async function answerStream(
  call: ResponseStream,
  { context, trailer, sendHeaders }: OpenCall,
  setting: CallSetting,
  handle: () => AsyncIterable<unknown>,
): Promise<void> {
  const { signal } = context;
  try {
    await setting.around(context, async () => {
      for await (const response of handle()) {
        signal.throwIfAborted();
        sendHeaders();
        if (!call.write(response)) await once(call, 'drain', { signal });
      }
      signal.throwIfAborted();
    });
    sendHeaders();
    call.end(trailer);
  } catch (error) {
    sendHeaders();
    // The reason of an abort says more than the error that it caused somewhere below.
    call.emit('error', sentStatus(signal.aborted ? signal.reason : error, trailer));
  }
}

/** The requests of a streaming call. Ends with the reason of `signal` when that aborts. */
async function* requestsOf(call: RequestStream, signal: AbortSignal): AsyncGenerator {
  // The stream's own iterator would destroy a two-way call when the requests end, before the responses do.
  const iterator = call.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() as AsyncIterator<unknown>;
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
  aborted.catch(() => undefined);
  for (;;) {
    const step = await Promise.race([iterator.next(), aborted]);
    if (step.done === true) return;
    yield step.value;
  }
}
