import type { TextMapPropagator, Tracer } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';

export interface TracingOptions {
  /** Name of the program, such as `odgm`. */
  readonly service: string;
  readonly version: string;
  /** Which of several programs of that name. */
  readonly instance: string;
  /** Where spans go by OTLP over HTTP: a whole URL, such as http://collector:4318/v1/traces. */
  readonly endpoint: string;
  /** Of the traces that begin here, so many are recorded: 0 to 1. Those of callers are recorded as the callers say. */
  readonly ratio: number;
  /** Spans wait for others for so long. Default 5,000 ms. */
  readonly flushMs?: number | undefined;
}

/** Spans of one program on their way to a collector. Each program makes its own: nothing is registered globally. */
export interface Tracing {
  readonly tracer: Tracer;
  readonly propagator: TextMapPropagator;
  /** Sends what is left, as far as the collector takes it within ten seconds. Never rejects. */
  close(): Promise<void>;
}

/** Spans that wait to be sent; more are dropped, so that a collector that is down costs no memory. */
const queueMax = 4096;
const exportMs = 10_000;

/** Tracing by OpenTelemetry, with the context of W3C (`traceparent`). */
export function createTracing({
  service,
  version,
  instance,
  endpoint,
  ratio,
  flushMs = 5000,
}: TracingOptions): Tracing {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: endpoint, timeoutMillis: exportMs }), {
        maxQueueSize: queueMax,
        scheduledDelayMillis: flushMs,
        exportTimeoutMillis: exportMs,
      }),
    ],
  });
  return {
    tracer: provider.getTracer(service, version),
    propagator: new W3CTraceContextPropagator(),
    close: () => provider.shutdown().catch(() => undefined),
  };
}
