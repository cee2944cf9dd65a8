import { gridLayout, type LayoutInput, unitId } from '../../record/index.ts';
import { digestOf } from '../digest.ts';
import type { ClassSpec, DeploymentSpec, FunctionSpec, OverlaySpec, PackageSpec } from '../model/schema.ts';
import type { DesiredUnit, UnitSpec } from '../model/unit.ts';
import { strategicMerge } from './merge.ts';

/** The environments a deployment is for: those it targets, else those it may use, else all clusters. */
export function environmentsOf(deployment: DeploymentSpec, clusters: readonly string[]): readonly string[] {
  if (deployment.target_envs.length > 0) return [...new Set(deployment.target_envs)];
  if (deployment.available_envs.length > 0) return [...new Set(deployment.available_envs)];
  return clusters;
}

export interface UnitInput {
  readonly owner: PackageSpec;
  readonly classSpec: ClassSpec;
  readonly deployment: DeploymentSpec;
  readonly environment: string;
  /** Overlays of this package and environment, in order of their names. */
  readonly overlays: readonly OverlaySpec[];
  readonly path: string;
}

/** The unit of one class in one environment. Throws `InvalidArgument` where its layout is impossible. */
export function buildUnit(input: UnitInput): DesiredUnit {
  const { owner, classSpec, environment } = input;
  const deployment = overlaidDeployment(input);
  const functions = boundFunctions(input, deployment);
  const spec: UnitSpec = {
    id: unitId(owner.name, classSpec.key, environment),
    package_name: owner.name,
    package_version: owner.version,
    class_key: classSpec.key,
    target_env: environment,
    template: deployment.env_templates?.[environment],
    state_spec: classSpec.state_spec,
    function_bindings: [...classSpec.function_bindings].sort((a, b) => (a.name < b.name ? -1 : 1)),
    functions,
    odgm: deployment.odgm,
    nfr_requirements: deployment.nfr_requirements,
    telemetry: deployment.telemetry,
    environment: deployment.environment,
  };
  return {
    spec,
    digest: digestOf(spec),
    layout: gridLayout(layoutInput(spec)),
    deploymentKey: deployment.key,
    path: input.path,
    prune: owner.metadata?.prune,
  };
}

function overlaidDeployment({ deployment, overlays }: UnitInput): DeploymentSpec {
  let result = deployment;
  for (const overlay of overlays) {
    const patch = overlay.deployments.find((each) => each.key === deployment.key);
    if (patch !== undefined) result = strategicMerge(result, patch);
  }
  return result;
}

/** From weak to strong: the package, its overlays, the deployment (itself overlaid). */
function boundFunctions(
  { owner, classSpec, overlays }: UnitInput,
  deployment: DeploymentSpec,
): readonly FunctionSpec[] {
  const bound = new Set(classSpec.function_bindings.map((binding) => binding.function_key));
  for (const trigger of deployment.odgm?.event_triggers ?? []) bound.add(trigger.function_key);
  return owner.functions
    .filter((each) => bound.has(each.key))
    .map((each) => {
      let result = each;
      for (const overlay of overlays) {
        result = strategicMerge(
          result,
          overlay.functions.find((patch) => patch.key === each.key),
        );
      }
      const override = deployment.functions?.find((patch) => patch.function_key === each.key);
      if (override === undefined) return result;
      const { description, provision_config, config } = override;
      return strategicMerge(result, { description, provision_config, config });
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

function layoutInput(spec: UnitSpec): LayoutInput {
  const { state_spec: state, nfr_requirements: nfr, odgm } = spec;
  return {
    packageName: spec.package_name,
    classKey: spec.class_key,
    stateSpec: {
      persistent: state?.persistent,
      requiresSingleton: state?.requires_singleton,
      supportsBatchOperations: state?.supports_batch_operations,
    },
    nfr: {
      minThroughputRps: nfr?.min_throughput_rps,
      maxLatencyMs: nfr?.max_latency_ms,
      availability: nfr?.availability,
    },
    odgm: {
      collections: odgm?.collections,
      partitionCount: odgm?.partition_count,
      replicaCount: odgm?.replica_count,
      shardType: odgm?.shard_type,
      options: odgm?.options,
    },
  };
}
