import type { common, packages, unit } from '@oaas/proto';
import { oaasError } from '@oaas/commons/errors';
import type { FunctionSpec, PackageSpec } from '../model/schema.ts';
import type { PackageState } from '../shell/state.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A package of the wire as the fields of its YAML. Nothing is checked here: it goes the way of every other package. */
export function packageFields(given: packages.OPackage): Fields {
  if (given.disabled) throw disabled(`package "${given.name}"`);
  return defined({
    name: given.name,
    version: given.version,
    metadata: defined({
      author: textOf(given.metadata?.author),
      description: textOf(given.metadata?.description),
      tags: listOf(given.metadata?.tags),
    }),
    dependencies: given.dependencies,
    classes: given.classes.map(classFields),
    functions: given.functions.map(functionFields),
  });
}

function classFields({ key, functions, stateSpec, disabled: isDisabled }: packages.OClass): Fields {
  if (isDisabled) throw disabled(`class "${key}"`);
  return defined({
    key,
    state_spec:
      stateSpec === undefined
        ? undefined
        : defined({
            consistency_model: textOf(stateSpec.type),
            persistent: stateSpec.persistent,
            serialization_format: textOf(stateSpec.serializationFormat),
            requires_singleton: trueOf(stateSpec.requiresSingleton),
            supports_batch_operations: trueOf(stateSpec.supportsBatchOperations),
          }),
    function_bindings: functions.map((binding) =>
      defined({
        name: textOf(binding.name) ?? binding.functionKey,
        function_key: binding.functionKey,
        access_modifier: textOf(binding.accessModifier),
        stateless: trueOf(binding.stateless),
        parameters: listOf(binding.parameters),
      }),
    ),
  });
}

function functionFields(given: packages.OFunction): Fields {
  if (given.disabled) throw disabled(`function "${given.key}"`);
  const resources = given.metadata?.resourceRequirements;
  const provision = defined({
    ...(resources === undefined ? {} : resourceFields(resources)),
    ...(given.provisionConfig === undefined ? {} : provisionFields(given.provisionConfig)),
  });
  return defined({
    key: given.key,
    description: textOf(given.metadata?.description),
    function_type: textOf(given.functionType),
    provision_config: Object.keys(provision).length === 0 ? undefined : provision,
    config: Object.keys(given.config).length === 0 ? undefined : given.config,
  });
}

function resourceFields(given: common.ResourceRequirements): Fields {
  return defined({
    cpu_request: textOf(given.cpuRequest),
    memory_request: textOf(given.memoryRequest),
    cpu_limit: given.cpuLimit,
    memory_limit: given.memoryLimit,
  });
}

function provisionFields(given: common.ProvisionConfig): Fields {
  return defined({
    container_image: given.containerImage,
    wasm_module_url: given.wasmModuleUrl,
    port: given.port,
    max_concurrency: given.maxConcurrency === 0 ? undefined : given.maxConcurrency,
    need_http2: trueOf(given.needHttp2),
    cpu_request: given.cpuRequest,
    memory_request: given.memoryRequest,
    cpu_limit: given.cpuLimit,
    memory_limit: given.memoryLimit,
    min_scale: given.minScale,
    max_scale: given.maxScale,
  });
}

/** A deployment of a class as the fields of its YAML. */
export function deploymentFields(given: packages.DeployClassRequest): Fields {
  const environments = given.targetEnv === '' ? given.targetEnvs : [given.targetEnv, ...given.targetEnvs];
  const nfr = given.nfrRequirements;
  return defined({
    kind: 'ClassDeployment',
    apiVersion: 'oaas.io/v1alpha1',
    key: textOf(given.deploymentKey) ?? given.classKey.toLowerCase(),
    package_name: given.packageName,
    class_key: given.classKey,
    target_envs: [...new Set(environments)],
    nfr_requirements:
      nfr === undefined
        ? undefined
        : defined({
            min_throughput_rps: nfr.minThroughputRps,
            max_latency_ms: nfr.maxLatencyMs,
            availability: nfr.availability,
            cpu_utilization_target: nfr.cpuUtilizationTarget,
          }),
    odgm: given.odgmConfig === undefined ? undefined : odgmFields(given.odgmConfig),
  });
}

function odgmFields(given: unit.OdgmConfig): Fields {
  return defined({
    collections: listOf(given.collections),
    partition_count: given.partitionCount,
    replica_count: given.replicaCount,
    shard_type: given.shardType,
    log: given.log,
    options: Object.keys(given.options).length === 0 ? undefined : given.options,
    event_triggers: listOf(
      given.eventTriggers.map((trigger) =>
        defined({
          event: trigger.event,
          key: textOf(trigger.key),
          function_key: trigger.functionKey,
          async_execution: trueOf(trigger.asyncExecution),
        }),
      ),
    ),
  });
}

/** A package as the wire has it. */
export function wirePackage({ spec, createdAt, updatedAt }: PackageState): packages.OPackage {
  return {
    name: spec.name,
    version: spec.version,
    classes: spec.classes.map((each) => wireClass(spec.name, each)),
    functions: spec.functions.map((each) => wireFunction(spec.name, each)),
    dependencies: [...spec.dependencies],
    metadata: {
      author: spec.metadata?.author ?? '',
      description: spec.metadata?.description ?? '',
      tags: [...(spec.metadata?.tags ?? [])],
      createdAt: timestamp(createdAt),
      updatedAt: timestamp(updatedAt),
    },
    disabled: false,
  };
}

function wireClass(packageName: string, spec: PackageSpec['classes'][number]): packages.OClass {
  const state = spec.state_spec;
  return {
    key: spec.key,
    name: spec.key,
    package: packageName,
    functions: spec.function_bindings.map((binding) => ({
      functionKey: binding.function_key,
      accessModifier: binding.access_modifier,
      parameters: [...(binding.parameters ?? [])],
      name: binding.name,
      stateless: binding.stateless,
    })),
    stateSpec:
      state === undefined
        ? undefined
        : {
            type: state.consistency_model,
            // Objects persist unless the class says otherwise.
            persistent: state.persistent ?? true,
            serializationFormat: state.serialization_format ?? '',
            requiresSingleton: state.requires_singleton ?? false,
            supportsBatchOperations: state.supports_batch_operations ?? false,
          },
    disabled: false,
  };
}

function wireFunction(packageName: string, spec: FunctionSpec): packages.OFunction {
  const provision = spec.provision_config;
  return {
    key: spec.key,
    name: spec.key,
    package: packageName,
    runtime: '',
    handler: '',
    metadata: { description: spec.description ?? '', parameters: [], returnType: '', resourceRequirements: undefined },
    disabled: false,
    provisionConfig:
      provision === undefined
        ? undefined
        : {
            containerImage: provision.container_image,
            port: provision.port,
            maxConcurrency: provision.max_concurrency ?? 0,
            needHttp2: provision.need_http2 ?? false,
            cpuRequest: provision.cpu_request,
            memoryRequest: provision.memory_request,
            cpuLimit: provision.cpu_limit,
            memoryLimit: provision.memory_limit,
            minScale: provision.min_scale,
            maxScale: provision.max_scale,
            wasmModuleUrl: provision.wasm_module_url,
          },
    config: { ...spec.config },
    functionType: spec.function_type,
  };
}

function timestamp(text: string): common.Timestamp {
  const ms = Date.parse(text);
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}

function disabled(what: string): Error {
  return oaasError('InvalidArgument', `the ${what} is disabled`, { remedy: 'Leave out what shall not be there.' });
}

// The wire has no word for "not given": what is empty is left out, so that the defaults of the YAML hold.
function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
function listOf<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list?.length === 0 ? undefined : list;
}
function trueOf(value: boolean): true | undefined {
  return value || undefined;
}
function defined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
