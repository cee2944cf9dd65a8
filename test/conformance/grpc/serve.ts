import { dataServiceDefinition } from '@oaas/commons/client';
import { audit, authenticate, createGrpcServer, type GrpcServer, type Interceptor, traced } from '@oaas/commons/grpc';
import { createEdgeServer } from '@oaas/commons/grpc/edge';
import { HealthRegistry } from '@oaas/commons/lifecycle';
import type { TlsMaterial } from '@oaas/commons/security';
import { createMetrics, type Logger } from '@oaas/commons/telemetry';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { testing, testingOrca } from '@oaas/proto';
import { type TextMapPropagator, trace } from '@opentelemetry/api';
import { mapDataService } from './data-service.ts';
import { nodeHttp2Server } from './node-http2-server.ts';
import { loadService, testService } from './test-service.ts';

export const implementations = ['ours', 'grpc-js', 'http2'] as const;
export type Implementation = (typeof implementations)[number];

/** What may stand around the calls of our server, to see what it costs. */
export const extras = ['metrics', 'authenticate', 'audit', 'trace'] as const;
export type Extra = (typeof extras)[number];

export interface ServeOptions {
  readonly impl: Implementation;
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsMaterial | undefined;
  readonly logger: Logger;
  readonly extras?: readonly Extra[];
}

const interceptors: Readonly<Record<Exclude<Extra, 'metrics'>, () => Interceptor>> = {
  authenticate: () => authenticate(() => ({ name: 'anybody', grants: [] })),
  audit: () =>
    audit({ sink: { record: () => Promise.resolve() }, clock: systemClock, actionOf: (method) => method.slice(1) }),
  trace: () => {
    const propagator: TextMapPropagator = { inject: () => undefined, extract: (context) => context, fields: () => [] };
    return traced({ tracer: trace.getTracer('edge'), propagator });
  },
};

/** Serves the interop service and the data service over a map, by the carrier named. */
export async function serve(options: ServeOptions): Promise<{ readonly port: number; readonly stop: () => void }> {
  const { impl, host, port, tls, logger } = options;
  const services = [
    [testing.TestServiceDefinition, testService],
    [dataServiceDefinition, mapDataService()],
  ] as const;
  if (impl === 'http2') return nodeHttp2Server(services, { host, port }, tls);
  const health = new HealthRegistry({ timers: systemTimers });
  const around = (options.extras ?? []).filter((extra) => extra !== 'metrics');
  const common = {
    ...{ logger, tls, reflection: true, health },
    interceptors: around.map((extra) => interceptors[extra]()),
    metrics: options.extras?.includes('metrics') === true ? createMetrics({ service: 'edge' }) : undefined,
  };
  const server: GrpcServer =
    impl === 'ours'
      ? createEdgeServer({ ...common, clock: systemClock, timers: systemTimers })
      : createGrpcServer(common);
  server.add(testing.TestServiceDefinition, testService);
  server.add(testingOrca.OpenRcaServiceDefinition, loadService);
  server.add(dataServiceDefinition, mapDataService());
  const bound = await server.listen({ host, port });
  return { port: bound.port, stop: () => server.stop() };
}
