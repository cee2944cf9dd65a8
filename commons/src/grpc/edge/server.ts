import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { oaasError } from '../../errors/index.ts';
import { ChunkPool, type Http2Bounds } from '../../http2/index.ts';
import type { TlsMaterial } from '../../security/index.ts';
import { correlationHeader } from '../../telemetry/index.ts';
import type { Clock, Timer, Timers } from '../../time/index.ts';
import { createCallMeter } from '../call-meter.ts';
import { methodPath, type ServiceDefinition, type ServiceHandlers } from '../definition.ts';
import { healthDefinition, healthHandlers } from '../health-service.ts';
import { compose, correlate } from '../interceptor.ts';
import { messageBytesMax } from '../limits.ts';
import { reflectionServices } from '../reflection.ts';
import type { GrpcServer, GrpcServerOptions } from '../server.ts';
import { Codec } from './codec.ts';
import { Deadlines } from './deadlines.ts';
import { HeldTotal } from './held-total.ts';
import { LonePoll } from './lone-poll.ts';
import { type OtherProtocol, PrefaceSorter, protocolsProblem } from './other-protocols.ts';
import type { ServerSetting } from './responder.ts';
import { ServerConnection } from './server-connection.ts';
import type { AnyHandler, Around, EdgeMethod } from './server-method.ts';
import { FlushQueue } from './socket-driver.ts';

export interface EdgeServerOptions extends GrpcServerOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Bounds of each connection; `maxConcurrentStreams` stands for `streamsMax`. */
  readonly bounds?: Partial<Http2Bounds> | undefined;
  /** Connections at once; more are refused at once. Default 10,000. */
  readonly connectionsMax?: number | undefined;
  /** Unfinished and unread messages of one connection, in bytes; the call over it is RESOURCE_EXHAUSTED. Default 64 MiB. */
  readonly heldBytesMax?: number | undefined;
  /**
   * What all connections hold together, in bytes: unfinished and unread messages, answers that wait for windows or
   * sockets, and what handlers said they keep for streams. At the bound the connection that holds the most loses its
   * largest calls, RESOURCE_EXHAUSTED, until all fits; the others go on. Default 256 MiB.
   */
  readonly heldBytesTotalMax?: number | undefined;
  /** A connection that is asked for a sign of life and gives none in this time is closed. Default 10,000 ms. */
  readonly keepaliveTimeoutMs?: number | undefined;
  /** A new connection must have sent its preface and settings, and made its TLS handshake, by then. Default 10,000 ms. */
  readonly handshakeMs?: number | undefined;
  /** A connection without calls is closed gracefully after this time. Default one hour. */
  readonly idleMs?: number | undefined;
  /** Compress responses of at least so many bytes with gzip for callers who take it. Default: never. */
  readonly compressFrom?: number | undefined;
  /**
   * How long the event loop stays awake for the next call of a caller who makes one at a time, in milliseconds: see
   * {@link LonePoll}. 0: never, where other processes need the processor more. Default 0.2.
   */
  readonly pollMs?: number | undefined;
  /**
   * The contents of requests: `copied` ones may be kept; `borrowed` ones lie in what was read from the connection, up to
   * 64 KiB of which stay in memory for as long as one of them is kept. Neither is written again. Default `copied`.
   */
  readonly requestBytes?: 'copied' | 'borrowed' | undefined;
  /**
   * Other protocols on the same port. With any, a connection says first what it speaks: it has `handshakeMs` for that.
   * They count among `connectionsMax`. Default: none.
   */
  readonly otherProtocols?: readonly OtherProtocol[] | undefined;
}

export interface EdgeServer extends GrpcServer {
  /** New connections use this certificate and key; those that stand keep theirs. Only on a server with TLS. */
  reloadTls(material: TlsMaterial): void;
  /** Connections and calls under way, and the bytes that are held for them. */
  load(): { readonly connections: number; readonly calls: number; readonly heldBytes: number };
  /** Bytes of all connections since the start; those of other protocols up to where they were handed over. */
  traffic(): { readonly received: number; readonly sent: number };
}

const handshakeDefaultMs = 10_000;

/** A gRPC server on its own HTTP/2: the data path's. Same interface and handlers as `createGrpcServer`. */
export function createEdgeServer(options: EdgeServerOptions): EdgeServer {
  const { logger, clock, timers } = options;
  const connections = new Set<ServerConnection>();
  const methods = new Map<string, EdgeMethod>();
  const names: string[] = [];
  const { pollMs = 0.2 } = options;
  const poll = pollMs > 0 ? new LonePoll({ clock, pollMs, soon: setImmediate }) : undefined;
  const setting: ServerSetting = {
    methods,
    logger,
    clock,
    deadlines: new Deadlines(clock, timers),
    pool: new ChunkPool(),
    flushes: new FlushQueue(poll),
    poll,
    codec: new Codec(options.requestBytes === 'borrowed'),
    bounds: {
      ...(options.maxConcurrentStreams === undefined ? {} : { streamsMax: options.maxConcurrentStreams }),
      ...options.bounds,
    },
    messageBytesMax: options.maxMessageBytes ?? messageBytesMax,
    heldBytesMax: options.heldBytesMax ?? 64 * 1024 * 1024,
    held: new HeldTotal(options.heldBytesTotalMax ?? 256 * 1024 * 1024),
    keepaliveMs: options.keepaliveMs ?? 30_000,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 10_000,
    handshakeMs: options.handshakeMs ?? handshakeDefaultMs,
    idleMs: options.idleMs ?? 3_600_000,
    compressFrom: options.compressFrom,
    correlationHeader,
    correlated: correlate(undefined),
  };
  let onEmpty: (() => void) | undefined;
  let sweep: Timer | undefined;
  /** The TCP sockets of this server, also during their TLS handshake. */
  const sockets = new Map<string, Socket>();
  const past = { received: 0, sent: 0 };
  const forget = (endpoints: string, socket: Socket): void => {
    past.received += socket.bytesRead;
    past.sent += socket.bytesWritten;
    sockets.delete(endpoints);
  };

  const accept = (socket: Socket, head?: Uint8Array): void => {
    const connection = new ServerConnection(socket, setting, head, () => {
      connections.delete(connection);
      if (connections.size === 0) onEmpty?.();
    });
    connections.add(connection);
  };
  const { otherProtocols: protocols = [] } = options;
  const problem = protocolsProblem(protocols);
  if (problem !== undefined) throw oaasError('InvalidArgument', problem);
  const sorter = new PrefaceSorter({
    ...{ protocols, clock, waitMs: setting.handshakeMs, http2: accept },
    handedOver: (socket) => {
      const own = sockets.get(endpointsOf(socket));
      if (own !== undefined) forget(endpointsOf(socket), own);
    },
  });
  const listener = listenerOf(options, (socket, mayBeHttp2) => {
    if (protocols.length > 0) sorter.sort(socket, mayBeHttp2);
    else accept(socket);
  });
  listener.maxConnections = options.connectionsMax ?? 10_000;
  listener.on('connection', (socket: Socket) => {
    const endpoints = endpointsOf(socket);
    sockets.set(endpoints, socket);
    socket.on('close', () => {
      if (sockets.get(endpoints) === socket) forget(endpoints, socket);
    });
  });

  const around = aroundOf(options);
  const meterOf = options.metrics === undefined ? undefined : createCallMeter(options.metrics);
  const add = (definition: ServiceDefinition, handlers: object, isBare: boolean): void => {
    for (const [key, method] of Object.entries(definition.methods)) {
      const handler = (handlers as Record<string, AnyHandler | undefined>)[key];
      if (handler === undefined) continue;
      const path = methodPath(definition, method);
      const { requestStream, responseStream, requestType, responseType } = method;
      methods.set(path, {
        ...{ path, requestStream, responseStream, requestType, responseType },
        handler: handler.bind(handlers),
        around: isBare ? undefined : around,
        meter: isBare ? undefined : meterOf?.(path),
      });
    }
    names.push(definition.fullName);
  };
  // What a probe or a developer asks is neither authenticated nor counted.
  if (options.health !== undefined)
    add(
      healthDefinition,
      healthHandlers(options.health, () => names),
      true,
    );
  if (options.reflection === true) {
    for (const { definition, handlers } of reflectionServices(() => names)) add(definition, handlers, true);
  }

  const stop = (): void => {
    sweep?.cancel();
    setting.deadlines.close();
    listener.close();
    for (const socket of sockets.values()) socket.destroy();
  };

  return {
    add<const D extends ServiceDefinition>(definition: D, handlers: ServiceHandlers<D>) {
      add(definition, handlers, false);
    },
    async listen({ host, port }) {
      const bound = await listen(listener, host, port);
      // Such as no free file descriptor for a new connection: those that stand go on.
      listener.on('error', (error) => logger.warn({ err: error }, 'a connection was not accepted'));
      sweep = timers.every(1000, () => {
        const nowMs = clock.monotonic();
        for (const connection of connections) connection.tick(nowMs);
        sorter.tick(nowMs);
      });
      logger.info({ host, port: bound }, 'gRPC server listens');
      return { host, port: bound };
    },
    drain: (timeoutMs) =>
      new Promise((resolve) => {
        listener.close();
        const grace = timers.after(timeoutMs / 4, () => {
          const error = oaasError('Unavailable', 'the server is stopping', { retryAfterMs: 0 });
          for (const connection of connections) connection.endStreams(error);
        });
        const end = (): void => {
          grace.cancel();
          force.cancel();
          onEmpty = undefined;
          stop();
          resolve();
        };
        const force = timers.after(timeoutMs, end);
        onEmpty = end;
        for (const connection of connections) connection.shutdown();
        if (connections.size === 0) end();
      }),
    stop,
    reloadTls(material) {
      if (!('setSecureContext' in listener)) throw oaasError('FailedPrecondition', 'the server has no TLS');
      listener.setSecureContext(tlsOptions(material));
    },
    load: () => {
      let calls = 0;
      for (const connection of connections) calls += connection.calls;
      return { connections: connections.size, calls, heldBytes: setting.held.bytes };
    },
    traffic: () => {
      let { received, sent } = past;
      for (const { bytesRead, bytesWritten } of sockets.values()) {
        received += bytesRead;
        sent += bytesWritten;
      }
      return { received, sent };
    },
  };
}

/** The interceptors that are on, as one; undefined when none is. */
function aroundOf({ newCorrelationId, interceptors = [] }: EdgeServerOptions): Around | undefined {
  if (newCorrelationId === undefined && interceptors.length === 0) return undefined;
  return compose([correlate(newCorrelationId), ...interceptors]);
}

function tlsOptions(material: TlsMaterial) {
  return {
    cert: material.cert,
    key: material.key,
    ...(material.ca === undefined ? {} : { ca: material.ca, requestCert: true, rejectUnauthorized: true }),
    // RFC 9113 §9.2 wants 1.2 or later.
    minVersion: 'TLSv1.2' as const,
  };
}

/** What tells a socket from all others of a listener; the same for a TCP socket and for the TLS socket around it. */
function endpointsOf({ localAddress = '', remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`;
}

function listenerOf(
  options: EdgeServerOptions,
  accept: (socket: Socket, mayBeHttp2: boolean) => void,
): Server | TlsServer {
  const socketOptions = { noDelay: true, allowHalfOpen: true };
  if (options.tls === undefined) return createTcpServer(socketOptions, (socket) => accept(socket, true));
  const others = options.otherProtocols ?? [];
  const names = others.flatMap(({ alpn }) => (alpn === undefined ? [] : [alpn]));
  const server = createTlsServer({
    ...socketOptions,
    ...tlsOptions(options.tls),
    ALPNProtocols: ['h2', ...names],
    handshakeTimeout: options.handshakeMs ?? handshakeDefaultMs,
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    // A client that offers names of which the server has none does not get here.
    if (socket.alpnProtocol === 'h2') accept(socket, true);
    else if (others.length > 0) accept(socket, false);
    else socket.destroy();
  });
  return server;
}

function listen(listener: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(oaasError('PortInUse', `port ${port} on ${host} is taken`, { cause: error }));
      } else reject(oaasError('ConfigInvalid', `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
    });
    listener.listen({ host, port, backlog: 1024 }, () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
