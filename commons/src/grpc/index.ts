/** gRPC over ts-proto's generic definitions: servers, channels and typed clients. Handlers know no carrier. */
export type {
  CallContext,
  CallOptions,
  Client,
  ClientMethod,
  Handler,
  MessageType,
  MethodDefinition,
  RequestInput,
  RequestOf,
  ResponseOf,
  ServiceDefinition,
  ServiceHandlers,
} from './definition.ts';
export type { FastCodec, Pen, Scanner } from './fast/index.ts';
export type { MetadataInput, ReadonlyMetadata } from './metadata.ts';
export type { Interceptor } from './interceptor.ts';
export { authenticate, type Credentials, subjectOf } from './authenticate.ts';
export { audit, type AuditOptions, auditResourceKey } from './audit.ts';
export { callerContext, traced, traceMetadata, type TraceOptions } from './trace.ts';
export { type PeerIdentity, peerIdentityKey } from './identity.ts';
export type { GrpcServer, GrpcServerOptions } from './server.ts';
export type { Channel, ChannelOptions, ChannelTls, MethodCaller, OutgoingCall } from './channel.ts';
export { createGrpcServer } from './grpc-js/server.ts';
export { createGrpcChannel } from './grpc-js/channel.ts';
export { createGrpcClient, type GrpcClientOptions } from './client.ts';
export { type Breaker, type BreakerOptions, type BreakerState, createBreaker } from './breaker.ts';
export type { RetryOptions } from './retry.ts';
