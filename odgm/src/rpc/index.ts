/** The gRPC services of a node, and the one place where the wire's types are read and written. */
export { dataService, type DataServiceOptions } from './data-service.ts';
export { functionService, type FunctionServiceOptions } from './function-service.ts';
export { createPeers, peerService } from './peer-service.ts';
export { hopHeader, ownerTrailer, partitionHeader } from './router.ts';
