import { admin, type data, deployment, health, invoke, topology } from '@oaas/proto';
import { type Channel, type Client, createGrpcClient, type GrpcClientOptions } from '../grpc/index.ts';
import { dataServiceDefinition } from './data/definition.ts';

export type DataClient = Client<typeof data.DataServiceDefinition>;
export type FunctionClient = Client<typeof invoke.OprcFunctionDefinition>;
export type DeploymentClient = Client<typeof deployment.DeploymentServiceDefinition>;
export type GridAdminClient = Client<typeof admin.GridAdminDefinition>;
export type CrmInfoClient = Client<typeof health.CrmInfoServiceDefinition>;
export type TopologyClient = Client<typeof topology.TopologyServiceDefinition>;

/** Objects and entries of a grid (`oprc.DataService`, served by ODGM). */
export function createDataClient(channel: Channel, options?: GrpcClientOptions): DataClient {
  return createGrpcClient(dataServiceDefinition, channel, options);
}

/** Calls of functions (`oprc.OprcFunction`, served by ODGM and by functions). */
export function createFunctionClient(channel: Channel, options?: GrpcClientOptions): FunctionClient {
  return createGrpcClient(invoke.OprcFunctionDefinition, channel, options);
}

/** Deployments of a cluster (`oaas.deployment.DeploymentService`, served by a CRM). */
export function createDeploymentClient(channel: Channel, options?: GrpcClientOptions): DeploymentClient {
  return createGrpcClient(deployment.DeploymentServiceDefinition, channel, options);
}

/** Administration of a grid (`oaas.admin.v1.GridAdmin`, served by ODGM and proxied by its CRM). */
export function createGridAdminClient(channel: Channel, options?: GrpcClientOptions): GridAdminClient {
  return createGrpcClient(admin.GridAdminDefinition, channel, options);
}

/** Health of a cluster (`oaas.health.CrmInfoService`, served by a CRM). */
export function createCrmInfoClient(channel: Channel, options?: GrpcClientOptions): CrmInfoClient {
  return createGrpcClient(health.CrmInfoServiceDefinition, channel, options);
}

/** Nodes of a cluster and what runs on them (`oaas.topology.TopologyService`, served by a CRM). */
export function createTopologyClient(channel: Channel, options?: GrpcClientOptions): TopologyClient {
  return createGrpcClient(topology.TopologyServiceDefinition, channel, options);
}
