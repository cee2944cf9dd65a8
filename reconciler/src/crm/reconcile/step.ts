import type { KubernetesApi } from '../../kubernetes/index.ts';
import type { DeploymentRecord } from '../../record/index.ts';
import type { Caches } from '../cluster/caches.ts';
import type { RenderInput, RenderSettings } from '../manifests/index.ts';
import type { GridObserver } from '../observe/grid-observer.ts';
import type { ChildApplier } from './applier.ts';
import type { Facts } from './facts.ts';

/** What every step may use. */
export interface StepDependencies {
  readonly api: KubernetesApi;
  readonly caches: Caches;
  readonly applier: ChildApplier;
  readonly grids: GridObserver;
  readonly namespace: string;
  readonly settings: RenderSettings;
}

export interface StepContext extends StepDependencies {
  readonly record: DeploymentRecord;
  /** What the steps before found. */
  readonly facts: Facts;
  readonly signal: AbortSignal;
}

/** What a step found and did; added to the facts. */
export type StepResult = Partial<Facts>;

export interface Step {
  readonly name: string;
  /** Runs even when a step before has failed, or the record is suspended: it only looks. */
  readonly observes?: boolean;
  readonly run: (context: StepContext) => Promise<StepResult>;
}

/** What manifests follow from, once template and layout are known. */
export function renderInput(context: StepContext): RenderInput | undefined {
  const { record, namespace, settings, facts, caches } = context;
  if (facts.selection === undefined || facts.layout === undefined) return undefined;
  const grid = caches.statefulSets.get(`${namespace}/${record.metadata.name}-odgm`);
  return {
    record,
    namespace,
    settings,
    layout: facts.layout.effective,
    template: facts.selection.template,
    environment: facts.selection.variables,
    existingVolumeClaims: claimsToApply(grid?.spec?.volumeClaimTemplates),
  };
}

/** As they were applied: without what the server adds. */
function claimsToApply(claims: readonly unknown[] | undefined): readonly unknown[] | undefined {
  if (claims === undefined || claims.length === 0) return undefined;
  return claims.map((claim) => {
    const { metadata, spec } = claim as Record<'metadata' | 'spec', Record<string, unknown>>;
    return {
      metadata: pick(metadata, ['name', 'labels']),
      spec: pick(spec, ['accessModes', 'resources', 'storageClassName']),
    };
  });
}

function pick(value: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]));
}

export function mergeFacts(facts: Facts, result: StepResult): Facts {
  return { ...facts, ...result, applied: [...facts.applied, ...(result.applied ?? [])] };
}
