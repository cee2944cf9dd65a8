import type { unit as wire } from '@oaas/proto';
import type { FunctionSpec, OdgmSpec, ProvisionSpec } from '../model/schema.ts';
import type { UnitState } from '../model/state.ts';
import type { UnitSpec } from '../model/unit.ts';

/** A unit as it goes to a CRM: its desired state, and where that came from. */
export function toWire(state: UnitState): wire.DeploymentUnit {
  const { spec, owner } = state;
  return {
    ...specToWire(spec),
    createdAt: timestamp(Date.parse(state.createdAt)),
    generation: state.generation,
    source: {
      repo: state.repo,
      ref: state.ref,
      commit: state.commit ?? '',
      path: state.path,
      digest: state.digest,
      source: owner.type === 'git' ? owner.source : '',
    },
  };
}

function specToWire(spec: UnitSpec): Omit<wire.DeploymentUnit, 'createdAt'> {
  const { state_spec: state, nfr_requirements: nfr, telemetry } = spec;
  return {
    id: spec.id,
    packageName: spec.package_name,
    packageVersion: spec.package_version,
    classKey: spec.class_key,
    targetEnv: spec.target_env,
    selectedTemplate: spec.template,
    functions: spec.functions.map(functionToWire),
    functionBindings: spec.function_bindings.map((binding) => ({
      name: binding.name,
      functionKey: binding.function_key,
      accessModifier: binding.access_modifier,
      stateless: binding.stateless,
      parameters: binding.parameters ?? [],
      triggerOnStateChange: binding.trigger_on_state_change,
      asyncExecution: binding.async_execution,
    })),
    odgmConfig: odgmToWire(spec.odgm),
    telemetry:
      telemetry === undefined
        ? undefined
        : {
            enabled: telemetry.enabled ?? false,
            traces: telemetry.traces,
            metrics: telemetry.metrics,
            logs: telemetry.logs,
            samplingRate: telemetry.sampling_rate,
            serviceName: telemetry.service_name,
            resourceAttributes: telemetry.resource_attributes ?? {},
          },
    nfrRequirements:
      nfr === undefined
        ? undefined
        : {
            minThroughputRps: nfr.min_throughput_rps,
            availability: nfr.availability,
            cpuUtilizationTarget: nfr.cpu_utilization_target,
            maxLatencyMs: nfr.max_latency_ms,
          },
    environment: { ...spec.environment },
    stateSpec:
      state === undefined
        ? undefined
        : {
            consistencyModel: state.consistency_model,
            persistent: state.persistent,
            serializationFormat: state.serialization_format,
            requiresSingleton: state.requires_singleton,
            supportsBatchOperations: state.supports_batch_operations,
          },
  };
}

function functionToWire(spec: FunctionSpec): wire.FunctionDeploymentSpec {
  return {
    functionKey: spec.key,
    description: spec.description,
    functionType: spec.function_type,
    provisionConfig: spec.provision_config === undefined ? undefined : provisionToWire(spec.provision_config),
    config: { ...spec.config },
  };
}

function provisionToWire(spec: ProvisionSpec): wire.FunctionDeploymentSpec['provisionConfig'] {
  return {
    containerImage: spec.container_image,
    wasmModuleUrl: spec.wasm_module_url,
    port: spec.port,
    maxConcurrency: spec.max_concurrency ?? 0,
    needHttp2: spec.need_http2 ?? false,
    cpuRequest: spec.cpu_request,
    memoryRequest: spec.memory_request,
    cpuLimit: spec.cpu_limit,
    memoryLimit: spec.memory_limit,
    minScale: spec.min_scale,
    maxScale: spec.max_scale,
  };
}

function odgmToWire(spec: OdgmSpec | undefined): wire.OdgmConfig {
  return {
    collections: spec?.collections ?? [],
    partitionCount: spec?.partition_count,
    replicaCount: spec?.replica_count,
    shardType: spec?.shard_type,
    // Routes hold addresses inside the cluster: its CRM makes them.
    invocations: undefined,
    options: { ...spec?.options },
    log: spec?.log,
    envNodeIds: {},
    odgmNodeId: undefined,
    collectionAssignments: {},
    eventTriggers: (spec?.event_triggers ?? []).map((trigger) => ({
      event: trigger.event,
      key: trigger.key ?? '',
      functionKey: trigger.function_key,
      asyncExecution: trigger.async_execution ?? false,
    })),
  };
}

function timestamp(ms: number): wire.DeploymentUnit['createdAt'] {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}
