import { z } from 'zod';
import { layoutBounds } from './layout.ts';

/**
 * The one source of DeploymentRecord, DeploymentTemplate and EnvironmentConfig (oaas.io/v1alpha1): TypeScript types are
 * inferred from these schemas, CRD manifests are rendered from them, and requests are validated by them. They carry no
 * defaults, so that what is stored is what was asked for and can be compared with it.
 */

/** Most functions of a class, and most names bound to them. More are refused. */
export const specBounds = {
  functions: 64,
  functionBindings: 256,
  parameters: 64,
  variables: 256,
  scale: 1000,
} as const;

/** Longest text of a name or key; longer ones are refused. */
const key = z.string().min(1).max(253);
const text = z.string().max(4096);
const variables = z.record(z.string(), z.string().max(32_768)).optional();
/** A Kubernetes quantity: an amount of CPU ("100m") or of bytes ("256Mi"). */
const quantity = z
  .string()
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|e[0-9]+)?$/)
  .max(32);
const count = (max: number) => z.int().min(0).max(max);

export const nfrSchema = z.object({
  minThroughputRps: count(2 ** 31 - 1)
    .optional()
    .describe('Requests a second that the class must be able to serve.'),
  maxLatencyMs: count(2 ** 31 - 1).optional(),
  availability: z.number().min(0).max(1).optional().describe('Fraction of time, 0..1.'),
  cpuUtilizationTarget: z.number().min(0).max(1).optional().describe('Fraction of the requested CPU, 0..1.'),
});

export const provisionSchema = z.object({
  containerImage: z.string().min(1).max(1024).optional(),
  port: z.int().min(1).max(65_535).optional().describe('Port that the container serves gRPC on. Default: 8080.'),
  maxConcurrency: count(1_000_000).optional(),
  needHttp2: z.boolean().optional(),
  cpuRequest: quantity.optional(),
  memoryRequest: quantity.optional(),
  cpuLimit: quantity.optional(),
  memoryLimit: quantity.optional(),
  minScale: count(specBounds.scale).optional().describe('Replicas that are always there. Default: 1.'),
  maxScale: count(specBounds.scale).optional(),
  wasmModuleUrl: text.optional(),
});

export const functionSchema = z.object({
  functionKey: key,
  functionType: z.string().max(32).optional().describe('BUILTIN, CUSTOM, MACRO, LOGICAL or WASM. Default: CUSTOM.'),
  description: text.optional(),
  availableLocation: z.string().max(253).optional(),
  nfrRequirements: nfrSchema.optional(),
  provisionConfig: provisionSchema.optional(),
  config: variables.describe("Environment of the function's container."),
});

export const bindingSchema = z.object({
  name: key.describe('Name that callers use.'),
  functionKey: key,
  accessModifier: z.string().max(32).optional(),
  stateless: z.boolean().optional(),
  parameters: z.array(z.string().max(253)).max(specBounds.parameters).optional(),
  triggerOnStateChange: z.boolean().optional(),
  asyncExecution: z.boolean().optional(),
});

export const stateSpecSchema = z.object({
  consistencyModel: z.string().max(32).optional(),
  persistent: z.boolean().optional().describe('False keeps objects in memory only. Default: true.'),
  serializationFormat: z.string().max(64).optional(),
  requiresSingleton: z.boolean().optional(),
  supportsBatchOperations: z.boolean().optional(),
});

const eventTriggerSchema = z.object({
  event: z.enum(['data_create', 'data_update', 'data_delete', 'func_complete', 'func_error']),
  key: z.string().max(253).optional(),
  functionKey: key,
  asyncExecution: z.boolean().optional(),
});

export const odgmSchema = z.object({
  collections: z.array(z.string().min(1).max(160)).max(layoutBounds.collections).optional(),
  partitionCount: z.int().min(1).max(layoutBounds.partitionCount).optional(),
  replicaCount: z.int().min(1).max(layoutBounds.replicaCount).optional(),
  shardType: z
    .string()
    .regex(/^(basic|raft|mst)$/i)
    .optional(),
  options: z.record(z.string(), z.string().max(4096)).optional(),
  log: z.string().max(253).optional(),
  disabledFunctions: z.array(key).max(specBounds.functionBindings).optional(),
  eventTriggers: z.array(eventTriggerSchema).max(256).optional(),
});

export const telemetrySchema = z.object({
  enabled: z.boolean(),
  traces: z.boolean().optional(),
  metrics: z.boolean().optional(),
  logs: z.boolean().optional(),
  samplingRate: z.number().min(0).max(1).optional(),
  serviceName: z.string().max(253).optional(),
  resourceAttributes: variables,
});

export const sourceSchema = z.object({
  source: z.string().max(253).optional().describe('Name of the source in the Package Manager.'),
  repo: z.string().max(2048).optional(),
  ref: z.string().max(1024).optional(),
  commit: z.string().max(64).optional(),
  path: z.string().max(4096).optional(),
  digest: z.string().max(128).optional().describe('Equal digests mean equal desired state.'),
});

export const recordSpecSchema = z.object({
  deploymentUnit: z
    .object({
      packageName: key,
      packageVersion: z.string().max(128).optional(),
      classKey: key,
      functions: z.array(functionSchema).max(specBounds.functions).optional(),
      functionBindings: z.array(bindingSchema).max(specBounds.functionBindings).optional(),
      stateSpec: stateSpecSchema.optional(),
      generation: z.int().min(0).optional().describe('Counts the changes that the Package Manager made.'),
    })
    .describe('One class and its functions.'),
  targetEnvironment: key,
  selectedTemplate: z.string().max(253).optional().describe('Template asked for. Absent: the CRM selects one.'),
  nfrRequirements: nfrSchema.optional(),
  odgmConfig: odgmSchema.optional().describe('The grid as asked for; what is absent is derived.'),
  telemetry: telemetrySchema.optional(),
  environment: variables.describe('Variables of the environment, given to every function.'),
  source: sourceSchema.optional().describe('The commit that this record comes from.'),
  suspend: z.boolean().optional().describe('True: nothing is changed in the cluster until it is false again.'),
});

export const phases = [
  'TemplateSelection',
  'ResourceProvisioning',
  'PodScheduling',
  'ServiceBinding',
  'HealthChecking',
  'Ready',
] as const;

export const overallConditions = ['Pending', 'Provisioning', 'Running', 'Scaling', 'Failed', 'Terminated'] as const;

export const healths = ['Healthy', 'Progressing', 'Degraded', 'Suspended', 'Unknown'] as const;

/** metav1.Condition. */
export const conditionSchema = z.object({
  type: z.string().min(1).max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32_768),
  lastTransitionTime: z.string(),
  observedGeneration: z.int().min(0).optional(),
});

const resourceRefSchema = z.object({
  kind: z.string(),
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
});

const endpointSchema = z.object({ name: z.string(), protocol: z.string(), address: z.string() });

const functionStatusSchema = z.object({
  functionKey: z.string(),
  service: z.string().optional(),
  port: z.int().optional(),
  url: z.string().optional(),
  replicas: z.int().optional(),
  readyReplicas: z.int().optional(),
  ready: z.boolean(),
  reason: z.string().optional(),
  message: z.string().optional(),
});

const gridCollectionStatusSchema = z.object({
  name: z.string(),
  shardType: z.string().optional(),
  partitionCount: z.int(),
  replicaCount: z.int(),
  objects: z.int(),
  bytes: z.int(),
  shardsReady: z.int(),
});

const gridStatusSchema = z.object({
  clusterId: z.string(),
  summary: z.string().optional().describe('Nodes and shards that are ready, for kubectl.'),
  membersTotal: z.int(),
  membersReady: z.int(),
  shardsTotal: z.int(),
  shardsReady: z.int(),
  objects: z.int(),
  bytes: z.int(),
  collections: z.array(gridCollectionStatusSchema).optional(),
  observedAt: z.string().optional(),
});

const nfrComplianceSchema = z.object({
  overallStatus: z.string(),
  throughputStatus: z.string().optional(),
  latencyStatus: z.string().optional(),
  availabilityStatus: z.string().optional(),
  lastChecked: z.string().optional(),
});

export const recordStatusSchema = z.object({
  observedGeneration: z.int().optional(),
  phase: z.enum(phases).optional(),
  condition: z.enum(overallConditions).optional(),
  health: z.enum(healths).optional(),
  message: z.string().optional(),
  revision: z.string().optional().describe('Short commit that the children come from.'),
  selectedTemplate: z.string().optional(),
  conditions: z.array(conditionSchema).max(32).optional(),
  resourceRefs: z.array(resourceRefSchema).optional(),
  endpoints: z.array(endpointSchema).optional(),
  functionContainerStatus: z.array(functionStatusSchema).optional(),
  odgmClusterStatus: gridStatusSchema.optional(),
  nfrCompliance: nfrComplianceSchema.optional(),
  lastHandledRequestedAt: z.string().optional(),
  lastUpdated: z.string().optional(),
});

/** Kinds of workload that a template makes of a function. `k8s_deployment` is the only one so far. */
export const templateTypes = ['k8s_deployment'] as const;

export const templateSpecSchema = z.object({
  description: text.optional(),
  templateType: z.enum(templateTypes),
  grid: z
    .object({
      image: z.string().max(1024).optional().describe("Image of the grid's nodes. Absent: the CRM's own."),
      storageClassName: z.string().max(253).optional(),
      storageSize: quantity.optional().describe('Volume of each grid node. Default: 1Gi.'),
      cpuRequest: quantity.optional(),
      memoryRequest: quantity.optional(),
      cpuLimit: quantity.optional(),
      memoryLimit: quantity.optional(),
    })
    .optional(),
  functions: z
    .object({
      cpuRequest: quantity.optional(),
      memoryRequest: quantity.optional(),
      cpuLimit: quantity.optional(),
      memoryLimit: quantity.optional(),
      imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
    })
    .optional(),
});

export const environmentSpecSchema = z.object({
  description: text.optional(),
  defaultTemplate: z.string().max(253).optional().describe('Template of records that ask for none.'),
  variables: variables.describe("Given to every function; a record's own variables win."),
});

export type Nfr = z.infer<typeof nfrSchema>;
export type FunctionSpec = z.infer<typeof functionSchema>;
export type FunctionBinding = z.infer<typeof bindingSchema>;
export type RecordSpec = z.infer<typeof recordSpecSchema>;
export type RecordStatus = z.infer<typeof recordStatusSchema>;
export type RecordPhase = (typeof phases)[number];
export type OverallCondition = (typeof overallConditions)[number];
export type Health = (typeof healths)[number];
export type Condition = z.infer<typeof conditionSchema>;
export type GridStatus = z.infer<typeof gridStatusSchema>;
export type FunctionStatus = z.infer<typeof functionStatusSchema>;
export type TemplateSpec = z.infer<typeof templateSpecSchema>;
export type EnvironmentSpec = z.infer<typeof environmentSpecSchema>;

/** The part of metav1.ObjectMeta that is read here. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

interface Resource<Kind extends string, Spec> {
  readonly apiVersion: 'oaas.io/v1alpha1';
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
}

export interface DeploymentRecord extends Resource<'DeploymentRecord', RecordSpec> {
  readonly status?: RecordStatus | undefined;
}

export type DeploymentTemplate = Resource<'DeploymentTemplate', TemplateSpec>;

export type EnvironmentConfig = Resource<'EnvironmentConfig', EnvironmentSpec>;
