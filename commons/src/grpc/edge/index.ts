/** gRPC on the platform's own HTTP/2, for the data path. The same interfaces as `@oaas/commons/grpc`. */
export { createEdgeServer, type EdgeServer, type EdgeServerOptions } from './server.ts';
export type { OtherProtocol } from './other-protocols.ts';
export { createEdgeChannel, type EdgeChannel, type EdgeChannelOptions } from './channel.ts';
