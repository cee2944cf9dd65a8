/** Thin typed clients of the platform's gRPC services, and the rules for ids that all callers share. */
export {
  createCrmInfoClient,
  createDataClient,
  createDeploymentClient,
  createFunctionClient,
  createGridAdminClient,
  createTopologyClient,
  type CrmInfoClient,
  type DataClient,
  type DeploymentClient,
  type FunctionClient,
  type GridAdminClient,
  type TopologyClient,
} from './clients.ts';
export { dataServiceDefinition } from './data/definition.ts';
export { idLengthMax, isValidId, normalizeId, partitionOf } from './ids.ts';
export { eventIdHeader, triggerDepthHeader } from './trigger-headers.ts';
