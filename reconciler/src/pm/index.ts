/** The Package Manager: desired state from Git, applied to clusters over gRPC, told by REST and gRPC. */
export { PackageManager, type PackageManagerOptions } from './shell/manager.ts';
export type { ClusterConfig } from './cluster/agent.ts';
export { createPackageServer, type PackageServerOptions } from './grpc/server.ts';
export { createRestServer, type RestOptions } from './rest/server.ts';
export type { AuthOptions, TokenConfig } from './access.ts';
export { loadPmConfig, type PmConfig } from './config.ts';
