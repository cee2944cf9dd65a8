/**
 * What users write: the YAML of packages, deployments and overlays, as zod schemas. They are the one source of the types, of the
 * checks that need no other document, and of the JSON Schema for editors. Names are snake_case, as in the files.
 */
import { collectionOptionsHelp } from '@oaas/commons/config';
import { z } from 'zod';

export const apiVersion = 'oaas.io/v1alpha1';
export const documentKinds = ['Package', 'ClassDeployment', 'Overlay'] as const;
export type DocumentKind = (typeof documentKinds)[number];

/** Fields whose YAML numbers and booleans are read as the text that stands in the file (`version: 1.0` is "1.0"). */
export const textFields = z.registry<{ readonly text: true }>();
const text = (schema: z.ZodString) => schema.register(textFields, { text: true });

/** Names of packages. A unit's id, a class id and a Kubernetes name are made of it. */
export const packageNamePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
/** No dot: `<package>.<class>` is split at its last one. */
export const classKeyPattern = /^[A-Za-z]([-A-Za-z0-9_]{0,61}[A-Za-z0-9])?$/;
export const functionKeyPattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?$/;
export const environmentPattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** Variables of a container, as Kubernetes takes them. */
export const variablePattern = /^[-._A-Za-z][-._A-Za-z0-9]*$/;

const packageName = text(
  z
    .string()
    .regex(packageNamePattern, 'must be 1 to 63 letters, digits, "-", "_" or ".", with a letter or digit at both ends'),
);
const classKey = z
  .string()
  .regex(classKeyPattern, 'must be 1 to 63 letters, digits, "-" or "_", beginning with a letter (no dot)');
const functionKey = z
  .string()
  .regex(functionKeyPattern, 'must be 1 to 100 letters, digits, "-", "_" or ".", with a letter or digit at both ends');
const environmentName = z.string().regex(environmentPattern, 'must be 1 to 63 lower-case letters, digits or "-"');
const key = text(z.string().regex(functionKeyPattern, 'must be 1 to 100 letters, digits, "-", "_" or "."'));
const variables = z.record(
  z
    .string()
    .regex(variablePattern, 'must be a variable name: letters, digits, "-", "_" or ".", not beginning with a digit'),
  text(z.string().max(32_768)),
);

/** Kubernetes quantity: `100m`, `0.5`, `256Mi`. */
const quantity = text(
  z.string().regex(/^\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE]\d+)?$/, 'must be a quantity such as 100m, 0.5 or 256Mi'),
);
/** Reference of the OCI distribution specification: `[host[:port]/]name[:tag][@digest]`. */
const image = z
  .string()
  .max(512)
  .regex(
    /^(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$/,
    'must be an image reference such as ghcr.io/me/counter:1.0',
  );

export const provisionSchema = z.strictObject({
  container_image: image.optional().describe('Image that holds the function; CUSTOM functions need one'),
  wasm_module_url: z.string().optional(),
  port: z.int().min(1).max(65_535).optional().describe('Port that the function serves; default 8080'),
  max_concurrency: z.int().min(0).max(1_000_000).optional().describe('Calls at once per instance; 0 has no limit'),
  need_http2: z.boolean().optional(),
  cpu_request: quantity.optional(),
  memory_request: quantity.optional(),
  cpu_limit: quantity.optional(),
  memory_limit: quantity.optional(),
  min_scale: z.int().min(0).max(1000).optional(),
  max_scale: z.int().min(1).max(1000).optional(),
});
export type ProvisionSpec = z.infer<typeof provisionSchema>;

export const functionTypes = ['BUILTIN', 'CUSTOM', 'MACRO', 'LOGICAL', 'WASM'] as const;
export const functionSchema = z.strictObject({
  key: functionKey,
  description: z.string().optional(),
  function_type: z.enum(functionTypes).default('CUSTOM'),
  provision_config: provisionSchema.optional(),
  config: variables.optional().describe('Environment of the container'),
});
export type FunctionSpec = z.infer<typeof functionSchema>;

export const stateSchema = z.strictObject({
  consistency_model: z.enum(['NONE', 'READ_YOUR_WRITE', 'BOUNDED_STALENESS', 'STRONG']).default('NONE'),
  persistent: z.boolean().optional(),
  key_specs: z.array(z.strictObject({ name: z.string().min(1), key_type: z.string() })).optional(),
  serialization_format: z.string().optional(),
  requires_singleton: z.boolean().optional(),
  supports_batch_operations: z.boolean().optional(),
});
export type StateSpec = z.infer<typeof stateSchema>;

export const bindingSchema = z.strictObject({
  name: key.describe('Name under which the function is called'),
  function_key: functionKey,
  access_modifier: z.enum(['PUBLIC', 'INTERNAL', 'PRIVATE']).default('PUBLIC'),
  stateless: z.boolean().default(false),
  parameters: z.array(z.string()).optional(),
  trigger_on_state_change: z.boolean().optional(),
  async_execution: z.boolean().optional(),
});
export type BindingSpec = z.infer<typeof bindingSchema>;

export const classSchema = z.strictObject({
  key: classKey,
  description: z.string().optional(),
  state_spec: stateSchema.optional(),
  function_bindings: z.array(bindingSchema).max(500).default([]),
});
export type ClassSpec = z.infer<typeof classSchema>;

export const nfrSchema = z.strictObject({
  min_throughput_rps: z.int().min(1).max(10_000_000).optional().describe('Requests a second'),
  max_latency_ms: z.int().min(1).max(3_600_000).optional(),
  availability: z.number().min(0).max(1).optional().describe('Fraction of time, such as 0.999'),
  cpu_utilization_target: z.number().min(0).max(1).optional().describe('Fraction of the requested CPU'),
});
export type NfrSpec = z.infer<typeof nfrSchema>;

export const shardTypes = ['basic', 'raft', 'mst'] as const;
export const odgmSchema = z.strictObject({
  collections: z
    .array(z.string().regex(/^[A-Za-z0-9._:-]{1,160}$/, 'must be 1 to 160 of a-z, 0-9, ".", "_", ":" and "-"'))
    .max(16)
    .optional(),
  partition_count: z.int().min(1).max(1024).optional(),
  replica_count: z.int().min(1).max(9).optional(),
  shard_type: z.enum(shardTypes).optional(),
  log: text(z.string()).optional(),
  options: z
    .record(z.string(), text(z.string()))
    .optional()
    .describe(
      ['node_count: number of grid nodes', 'durability: persistent or ephemeral', ...collectionOptionsHelp].join('; '),
    ),
  event_triggers: z
    .array(
      z.strictObject({
        event: z.enum(['data_create', 'data_update', 'data_delete', 'func_complete', 'func_error']),
        key: z.string().optional().describe('Entry key or function name that is watched; absent watches all'),
        function_key: functionKey,
        async_execution: z.boolean().optional(),
      }),
    )
    .max(100)
    .optional(),
});
export type OdgmSpec = z.infer<typeof odgmSchema>;

export const telemetrySchema = z.strictObject({
  enabled: z.boolean().optional(),
  traces: z.boolean().optional(),
  metrics: z.boolean().optional(),
  logs: z.boolean().optional(),
  sampling_rate: z.number().min(0).max(1).optional(),
  service_name: z.string().optional(),
  resource_attributes: z.record(z.string(), text(z.string())).optional(),
});
export type TelemetrySpec = z.infer<typeof telemetrySchema>;

/** What a deployment says otherwise about one function of its package; found by `function_key`. */
export const functionOverrideSchema = z.strictObject({
  function_key: functionKey,
  description: z.string().optional(),
  provision_config: provisionSchema.optional(),
  config: variables.optional(),
});

const deploymentFields = {
  key: key.describe('Name of the deployment, unique in its package'),
  class_key: classKey,
  target_envs: z.array(environmentName).max(100).default([]).describe('Empty: available_envs, or else every cluster'),
  available_envs: z.array(environmentName).max(100).default([]),
  env_templates: z.record(environmentName, z.string().min(1)).optional().describe('Template per environment'),
  nfr_requirements: nfrSchema.optional(),
  functions: z.array(functionOverrideSchema).max(500).optional(),
  odgm: odgmSchema.optional(),
  telemetry: telemetrySchema.optional(),
  environment: variables.optional().describe('Variables that every function of the class gets'),
};
export const deploymentSchema = z.strictObject({ ...deploymentFields, package_name: packageName.optional() });
export type DeploymentSpec = z.infer<typeof deploymentSchema>;

const head = { apiVersion: z.literal(apiVersion).optional() };

export const prunePolicies = ['delete', 'keep'] as const;
export const packageSchema = z.strictObject({
  ...head,
  kind: z.literal('Package').optional(),
  name: packageName,
  version: text(z.string().max(128)).optional(),
  metadata: z
    .strictObject({
      author: z.string().optional(),
      description: z.string().optional(),
      tags: z.array(text(z.string())).default([]),
      prune: z.enum(prunePolicies).optional().describe("Overrides the source's policy for this package"),
    })
    .optional(),
  classes: z.array(classSchema).max(1000).default([]),
  functions: z.array(functionSchema).max(5000).default([]),
  dependencies: z.array(packageName).max(500).default([]),
  deployments: z.array(deploymentSchema).max(1000).default([]),
});
export type PackageSpec = z.infer<typeof packageSchema>;

export const classDeploymentSchema = z.strictObject({
  ...head,
  kind: z.literal('ClassDeployment').optional(),
  ...deploymentFields,
  package_name: packageName,
});
export type ClassDeploymentSpec = z.infer<typeof classDeploymentSchema>;

/**
 * Changes a package for some environments. Maps are merged field by field, functions and deployments are found by their key, lists
 * of plain values are replaced. An overlay can set, not remove; several overlays of one environment apply in the order of their names.
 */
export const overlaySchema = z.strictObject({
  ...head,
  kind: z.literal('Overlay'),
  name: key.describe('Unique in its repository'),
  package_name: packageName,
  environments: z.array(environmentName).min(1).max(100),
  functions: z
    .array(
      z.strictObject({ key: functionKey, provision_config: provisionSchema.optional(), config: variables.optional() }),
    )
    .default([]),
  deployments: z
    .array(
      z.strictObject({
        key,
        nfr_requirements: nfrSchema.optional(),
        functions: z.array(functionOverrideSchema).optional(),
        odgm: odgmSchema.optional(),
        telemetry: telemetrySchema.optional(),
        environment: variables.optional(),
      }),
    )
    .default([]),
});
export type OverlaySpec = z.infer<typeof overlaySchema>;

export const schemaOf = {
  Package: packageSchema,
  ClassDeployment: classDeploymentSchema,
  Overlay: overlaySchema,
} as const satisfies Record<DocumentKind, z.ZodType>;

/** JSON Schema (2020-12) of each kind, for editors. */
export function editorSchemas(): Readonly<Record<DocumentKind, unknown>> {
  const convert = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return {
    Package: convert(packageSchema),
    ClassDeployment: convert(classDeploymentSchema),
    Overlay: convert(overlaySchema),
  };
}
