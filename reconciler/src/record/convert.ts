import type { unit as wire } from '@oaas/proto';
import type { RecordSpec } from './schema.ts';

/** The one place where a DeploymentUnit of the wire and the spec of a DeploymentRecord meet. */

export function unitToSpec(unit: wire.DeploymentUnit): RecordSpec {
  return sparse({
    deploymentUnit: {
      packageName: unit.packageName,
      packageVersion: unit.packageVersion,
      classKey: unit.classKey,
      functions: unit.functions.map(({ provisionConfig, ...fn }) => ({
        ...fn,
        provisionConfig:
          provisionConfig === undefined
            ? undefined
            : {
                ...provisionConfig,
                // proto3 cannot tell 0 and false from absent here.
                maxConcurrency: provisionConfig.maxConcurrency === 0 ? undefined : provisionConfig.maxConcurrency,
                needHttp2: provisionConfig.needHttp2 ? true : undefined,
              },
      })),
      functionBindings: unit.functionBindings,
      stateSpec: unit.stateSpec,
      generation: unit.generation,
    },
    targetEnvironment: unit.targetEnv,
    selectedTemplate: unit.selectedTemplate,
    nfrRequirements: unit.nfrRequirements,
    odgmConfig: unit.odgmConfig === undefined ? undefined : odgmToSpec(unit.odgmConfig),
    telemetry: unit.telemetry,
    environment: unit.environment,
    source: unit.source,
  });
}

function odgmToSpec(odgm: wire.OdgmConfig): RecordSpec['odgmConfig'] {
  return {
    collections: odgm.collections,
    partitionCount: odgm.partitionCount,
    replicaCount: odgm.replicaCount,
    shardType: odgm.shardType,
    options: odgm.options,
    log: odgm.log,
    disabledFunctions: odgm.invocations?.disabledFn,
    // An event that does not exist is refused by the schema, which names the field.
    eventTriggers: odgm.eventTriggers.map((trigger) => ({
      ...trigger,
      event: trigger.event as NonNullable<NonNullable<RecordSpec['odgmConfig']>['eventTriggers']>[number]['event'],
      asyncExecution: trigger.asyncExecution ? true : undefined,
    })),
  };
}

/** The unit that a record was made of. `id` is the record's name. */
export function specToUnit(id: string, spec: RecordSpec): wire.DeploymentUnit {
  const { deploymentUnit: unit, odgmConfig: odgm, telemetry, source } = spec;
  return {
    id,
    packageName: unit.packageName,
    packageVersion: unit.packageVersion,
    classKey: unit.classKey,
    targetEnv: spec.targetEnvironment,
    functions: (unit.functions ?? []).map((fn) => ({
      ...fn,
      config: fn.config ?? {},
      provisionConfig:
        fn.provisionConfig === undefined
          ? undefined
          : {
              ...fn.provisionConfig,
              maxConcurrency: fn.provisionConfig.maxConcurrency ?? 0,
              needHttp2: fn.provisionConfig.needHttp2 ?? false,
            },
    })),
    functionBindings: (unit.functionBindings ?? []).map((binding) => ({
      ...binding,
      parameters: binding.parameters ?? [],
    })),
    createdAt: undefined,
    odgmConfig:
      odgm === undefined
        ? undefined
        : {
            collections: odgm.collections ?? [],
            partitionCount: odgm.partitionCount,
            replicaCount: odgm.replicaCount,
            shardType: odgm.shardType,
            options: odgm.options ?? {},
            log: odgm.log,
            invocations:
              odgm.disabledFunctions === undefined ? undefined : { fnRoutes: {}, disabledFn: odgm.disabledFunctions },
            envNodeIds: {},
            collectionAssignments: {},
            eventTriggers: (odgm.eventTriggers ?? []).map((trigger) => ({
              event: trigger.event,
              key: trigger.key ?? '',
              functionKey: trigger.functionKey,
              asyncExecution: trigger.asyncExecution ?? false,
            })),
          },
    selectedTemplate: spec.selectedTemplate,
    telemetry:
      telemetry === undefined ? undefined : { ...telemetry, resourceAttributes: telemetry.resourceAttributes ?? {} },
    source: source === undefined ? undefined : sourceToWire(source),
    generation: unit.generation,
    nfrRequirements: spec.nfrRequirements,
    environment: spec.environment ?? {},
    stateSpec:
      unit.stateSpec === undefined
        ? undefined
        : { ...unit.stateSpec, consistencyModel: unit.stateSpec.consistencyModel ?? '' },
  };
}

export function sourceToWire(source: NonNullable<RecordSpec['source']>): wire.SourceRef {
  return {
    source: source.source ?? '',
    repo: source.repo ?? '',
    ref: source.ref ?? '',
    commit: source.commit ?? '',
    path: source.path ?? '',
    digest: source.digest ?? '',
  };
}

/** Maps of the user's own names: an empty text is a value there. */
const openMaps = new Set(['config', 'environment', 'options', 'resourceAttributes']);

/**
 * Drops what is undefined, an empty text, an empty list or an empty object, however deep. proto3 has no absence for
 * lists and plain texts; a stored spec should not say more than was asked for.
 */
function sparse<T>(value: T): T {
  return (prune(value) ?? {}) as T;
}

function prune(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => prune(item) ?? {});
  if (typeof value !== 'object') return value;
  const entries = Object.entries(value)
    .map(([name, inner]) => [name, openMaps.has(name) ? nonEmpty(inner) : prune(inner)] as const)
    .filter(([, inner]) => inner !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function nonEmpty(map: unknown): unknown {
  return typeof map === 'object' && map !== null && Object.keys(map).length > 0 ? map : undefined;
}
