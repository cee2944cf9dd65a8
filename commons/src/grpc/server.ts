import type { HealthRegistry } from '../lifecycle/index.ts';
import type { TlsMaterial } from '../security/index.ts';
import type { Logger, Metrics } from '../telemetry/index.ts';
import type { ServiceDefinition, ServiceHandlers } from './definition.ts';
import type { Interceptor } from './interceptor.ts';

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

/** The same for every carrier. */
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
