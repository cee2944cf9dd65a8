import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type MethodDefinition as GrpcMethod,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { oaasError } from '../../errors/index.ts';
import type { TlsMaterial } from '../../security/index.ts';
import { createCallMeter } from '../call-meter.ts';
import { type CallContext, methodPath, type ServiceDefinition, type ServiceHandlers } from '../definition.ts';
import { healthDefinition, healthHandlers } from '../health-service.ts';
import { ownConnections, widenStreamWindow } from './http2-server.ts';
import { compose, correlate, logFailures, measure } from '../interceptor.ts';
import { messageBytesMax } from '../limits.ts';
import { toBuffer } from './metadata.ts';
import { reflectionServices } from '../reflection.ts';
import type { GrpcServer, GrpcServerOptions } from '../server.ts';
import { carry } from './server-call.ts';

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
    ...(options.metrics === undefined ? [] : [measure(createCallMeter(options.metrics))]),
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
