/** The gRPC services of a node, and the one place where the wire's types are read and written. */
export { dataService } from './data-service.ts';
export { functionService, triggerPort } from './function-service.ts';
export { createPeers, peerService } from './peer-service.ts';
export { hopHeader, isPassedOn, onward } from './router.ts';
export { GridTracing } from './tracing.ts';
