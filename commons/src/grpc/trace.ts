import {
  type Context,
  context as contexts,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { errorTable, isOaasError, toOaasError } from '../errors/index.ts';
import type { Interceptor } from './interceptor.ts';
import type { MetadataInput, ReadonlyMetadata } from './metadata.ts';

export interface TraceOptions {
  readonly tracer: Pick<Tracer, 'startSpan'>;
  /** Reads the caller's context from the metadata; that of W3C reads `traceparent`. */
  readonly propagator: TextMapPropagator;
}

const getter: TextMapGetter<ReadonlyMetadata> = {
  get: (metadata, key) => metadata.get(key),
  keys: (metadata) => [...metadata.keys()],
};

const setter: TextMapSetter<Record<string, string>> = {
  set: (metadata, key, value) => {
    metadata[key.toLowerCase()] = value;
  },
};

/** The context that the caller's span is in. */
export function callerContext(propagator: TextMapPropagator, metadata: ReadonlyMetadata): Context {
  return propagator.extract(ROOT_CONTEXT, metadata, getter);
}

/**
 * A span around each call, below that of its caller, by the semantic conventions of OpenTelemetry for RPC. Handlers run in
 * its context, where the program has set a context manager up.
 */
export function traced({ tracer, propagator }: TraceOptions): Interceptor {
  return async (call, next) => {
    const parent = callerContext(propagator, call.metadata);
    const [, service = '', method = ''] = call.method.split('/');
    const attributes = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method };
    const span = tracer.startSpan(`${service}/${method}`, { kind: SpanKind.SERVER, attributes }, parent);
    span.setAttribute('network.peer.address', call.peer);
    try {
      await contexts.with(trace.setSpan(parent, span), next);
      span.setAttribute('rpc.grpc.status_code', 0);
    } catch (thrown) {
      const error = isOaasError(thrown) ? thrown : toOaasError(thrown);
      span.setAttributes({ 'rpc.grpc.status_code': errorTable[error.code].grpc, 'error.type': error.code });
      // A refusal is the caller's affair; what the server could not do is an error of this span.
      if (error.code === 'Internal' || error.code === 'DataLoss') {
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
        span.recordException(error);
      }
      throw thrown;
    } finally {
      span.end();
    }
  };
}

/** Metadata that puts the spans of the server below that of `context`, by default the current one; for the `metadata` of a client. */
export function traceMetadata(propagator: TextMapPropagator, context: Context = contexts.active()): MetadataInput {
  const metadata: Record<string, string> = {};
  propagator.inject(context, metadata, setter);
  return metadata;
}
