/** Objects of a record, as functions of what they follow from. Pure. */
export { type Child, namesOf, ports, type RenderInput, type RenderSettings, serviceAddress } from './common.ts';
export { functionDeployments, functionPort, functionReplicas, functionServices } from './functions.ts';
export { gridConfigMap, gridServices, gridStatefulSet } from './grid.ts';
