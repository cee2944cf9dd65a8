import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type MethodDefinition as GrpcMethod,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { oaasError } from '../errors/index.ts';
import type { HealthRegistry } from '../lifecycle/index.ts';
import type { TlsMaterial } from '../security/index.ts';
import type { Logger, Metrics } from '../telemetry/index.ts';
import { type CallContext, methodPath, type ServiceDefinition, type ServiceHandlers } from './definition.ts';
import { healthDefinition, healthHandlers } from './health-service.ts';
import { ownConnections, widenStreamWindow } from './http2-server.ts';
import { compose, correlate, type Interceptor, logFailures, measure } from './interceptor.ts';
import { messageBytesMax } from './limits.ts';
import { toBuffer } from './metadata.ts';
import { reflectionServices } from './reflection.ts';
import { carry } from './server-call.ts';

export interface GrpcServerOptions {
  readonly logger: Logger;
  /** Counts and measures calls. */
  readonly metrics?: Metrics | undefined;
  /** Default 16 MiB. A larger message is RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes?: number | undefined;
  /** Calls at once on one connection; further ones wait at the client. Default 1,024. */
  readonly maxConcurrentStreams?: number | undefined;
  /** A silent connection is asked for a sign of life after this time. Default 30,000 ms. */
  readonly keepaliveMs?: number | undefined;
  /** With `ca`, clients must show a certificate of it. Default: no TLS. */
  readonly tls?: TlsMaterial | undefined;
  /** Around every call, first outermost, inside logging, correlation and metrics. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Makes an id for calls that bring none. Default: such calls have none. */
  readonly newCorrelationId?: (() => string) | undefined;
  /** Serves grpc.reflection.v1 and v1alpha over the services added. Default false. */
  readonly reflection?: boolean | undefined;
  /** Serves grpc.health.v1 by the readiness checks of this registry. */
  readonly health?: HealthRegistry | undefined;
}

export interface GrpcServer {
  /** Adds a service. Only before `listen`. */
  add<const D extends ServiceDefinition>(definition: D, handlers: ServiceHandlers<D>): void;
  /** Port 0 takes any free one. Rejects with `PortInUse`. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ host: string; port: number }>;
  /**
   * Takes no new connections and calls, and lets those under way finish. Streams that are still open after a quarter of
   * `timeoutMs` end with UNAVAILABLE, so that watchers go elsewhere; what is left at the end is cut off.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Cuts everything off. */
  stop(): void;
}

/** A gRPC server over grpc-js. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { logger } = options;
  // What goes wrong is thrown or logged here; the library's own lines to stderr would say it twice.
  setLogVerbosity(logVerbosity.NONE);
  const bytesMax = options.maxMessageBytes ?? messageBytesMax;
  const server = new Server({
    'grpc.max_receive_message_length': bytesMax,
    'grpc.max_send_message_length': bytesMax,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams ?? 1024,
    'grpc.keepalive_time_ms': options.keepaliveMs ?? 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.enable_channelz': 0,
  });
  widenStreamWindow(server);
  const streamsEnd = new AbortController();
  const around = compose([
    correlate(options.newCorrelationId),
    ...(options.metrics === undefined ? [] : [measure(options.metrics)]),
    logFailures,
    ...(options.interceptors ?? []),
  ]);
  // What a probe or a developer asks is neither authenticated nor counted.
  const bare = (_context: CallContext, run: () => Promise<void>): Promise<void> => run();
  const names: string[] = [];
  const connections: { cutOff: () => void }[] = [];

  const stop = (): void => {
    server.forceShutdown();
    for (const { cutOff } of connections) cutOff();
  };

  const add = <D extends ServiceDefinition>(definition: D, handlers: ServiceHandlers<D>, wrap = around): void => {
    const service: Record<string, GrpcMethod<unknown, unknown>> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const [key, method] of Object.entries(definition.methods)) {
      const path = methodPath(definition, method);
      service[key] = {
        path,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: (message) => toBuffer(method.requestType.encode(message).finish()),
        requestDeserialize: (bytes) => method.requestType.decode(bytes),
        responseSerialize: (message) => toBuffer(method.responseType.encode(message).finish()),
        responseDeserialize: (bytes) => method.responseType.decode(bytes),
      };
      const handler = handlers[key] as Parameters<typeof carry>[1] | undefined;
      if (handler === undefined) continue;
      implementation[key] = carry(method, handler.bind(handlers), {
        path,
        logger,
        streamsEnd: streamsEnd.signal,
        around: wrap,
      });
    }
    server.addService(service, implementation);
    names.push(definition.fullName);
  };

  if (options.health !== undefined)
    add(
      healthDefinition,
      healthHandlers(options.health, () => names),
      bare,
    );
  if (options.reflection === true) {
    for (const { definition, handlers } of reflectionServices(() => names)) add(definition, handlers, bare);
  }

  return {
    add: (definition, handlers) => {
      add(definition, handlers);
    },
    async listen({ host, port }) {
      const bound = await bind(server, host, port, credentials(options.tls));
      connections.push(ownConnections(server));
      logger.info({ host, port: bound }, 'gRPC server listens');
      return { host, port: bound };
    },
    drain: (timeoutMs) =>
      new Promise((resolve) => {
        // Sockets live in the system's time, as all of grpc-js does.
        const grace = setTimeout(() => {
          streamsEnd.abort(oaasError('Unavailable', 'the server is stopping', { retryAfterMs: 0 }));
        }, timeoutMs / 4);
        const force = setTimeout(stop, timeoutMs);
        server.tryShutdown(() => {
          clearTimeout(grace);
          clearTimeout(force);
          resolve();
        });
      }),
    stop,
  };
}

function credentials(tls: TlsMaterial | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(
    tls.ca ?? null,
    [{ cert_chain: tls.cert, private_key: tls.key }],
    tls.ca !== undefined,
  );
}

function bind(server: Server, host: string, port: number, serverCredentials: ServerCredentials): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, serverCredentials, (error, bound) => {
      if (error === null) resolve(bound);
      else if (error.message.includes('EADDRINUSE')) {
        reject(oaasError('PortInUse', `port ${String(port)} on ${host} is taken`, { cause: error }));
      } else {
        reject(oaasError('ConfigInvalid', `cannot listen on ${address}: ${error.message}`, { cause: error }));
      }
    });
  });
}
