import type { GridLayout } from '../../record/index.ts';
import type {
  BindingSpec,
  ClassDeploymentSpec,
  FunctionSpec,
  NfrSpec,
  OdgmSpec,
  PackageSpec,
  StateSpec,
  TelemetrySpec,
} from './schema.ts';

/** One class in one environment, as desired. Everything that its digest covers, and nothing else. */
export interface UnitSpec {
  readonly id: string;
  readonly package_name: string;
  readonly package_version?: string | undefined;
  readonly class_key: string;
  readonly target_env: string;
  readonly template?: string | undefined;
  readonly state_spec?: StateSpec | undefined;
  /** In order of their names. */
  readonly function_bindings: readonly BindingSpec[];
  /** The functions that the class binds, in order of their keys. */
  readonly functions: readonly FunctionSpec[];
  readonly odgm?: OdgmSpec | undefined;
  readonly nfr_requirements?: NfrSpec | undefined;
  readonly telemetry?: TelemetrySpec | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export interface DesiredUnit {
  readonly spec: UnitSpec;
  /** Digest of `spec`. */
  readonly digest: string;
  readonly layout: GridLayout;
  readonly deploymentKey: string;
  /** File that asks for it. */
  readonly path: string;
  readonly prune: 'delete' | 'keep' | undefined;
}

export interface ResolvedPackage {
  readonly spec: PackageSpec;
  /** Those inside the package and those beside it. */
  readonly deployments: readonly ClassDeploymentSpec[];
  /** Digest of `spec` and `deployments`. */
  readonly digest: string;
  readonly path: string;
}
