import { invariant, oaasError } from '@oaas/commons/errors';
import {
  annotations,
  childNames,
  type DeploymentRecord,
  finalizer,
  fieldManagers,
  gridLayout,
} from '../../record/index.ts';
import { byRecord, lean } from '../cluster/caches.ts';
import { layoutChanges, parseLayout } from '../layout-guard.ts';
import {
  type Child,
  functionDeployments,
  functionServices,
  gridConfigMap,
  gridServices,
  gridStatefulSet,
  type RenderInput,
} from '../manifests/index.ts';
import { childKinds, platformKinds } from '../objects.ts';
import { selectTemplate } from '../template.ts';
import type { GridObservation } from '../observe/grid.ts';
import type { AppliedChild, LayoutFacts } from './facts.ts';
import { renderInput, type Step, type StepContext, type StepResult } from './step.ts';

/** Records that PM made have it already; one that a person made must not vanish with its children unseen. */
const ensureFinalizer: Step = {
  name: 'ensureFinalizer',
  async run({ record, api, caches, signal }) {
    if (record.metadata.finalizers?.includes(finalizer) === true) return {};
    const { name, namespace } = record.metadata;
    const answer = await api.apply(
      platformKinds.record,
      {
        apiVersion: record.apiVersion,
        kind: record.kind,
        metadata: { name, ...(namespace === undefined ? {} : { namespace }), finalizers: [finalizer] },
      },
      { fieldManager: fieldManagers.render, signal },
    );
    caches.records.put(lean(answer) as unknown as DeploymentRecord);
    return {};
  },
};

const checkFunctions: Step = {
  name: 'checkFunctions',
  run({ record }) {
    const { functions = [], functionBindings = [] } = record.spec.deploymentUnit;
    for (const fn of functions) {
      const type = fn.functionType ?? 'CUSTOM';
      if (type !== 'CUSTOM') {
        throw specProblem(
          'FunctionTypeUnsupported',
          `function ${fn.functionKey} is of type ${type}, which no template runs`,
        );
      }
      if (fn.provisionConfig?.containerImage === undefined) {
        throw specProblem('SpecInvalid', `function ${fn.functionKey} has no provision_config.container_image`);
      }
    }
    const keys = new Set(functions.map((fn) => fn.functionKey));
    const unknown = functionBindings.find((binding) => !keys.has(binding.functionKey));
    if (unknown !== undefined) {
      throw specProblem(
        'SpecInvalid',
        `binding ${unknown.name} names function ${unknown.functionKey}, which is not there`,
      );
    }
    return Promise.resolve({});
  },
};

function specProblem(reason: 'FunctionTypeUnsupported' | 'SpecInvalid', message: string): Error {
  return oaasError('InvalidArgument', message, { details: { reason } });
}

const chooseTemplate: Step = {
  name: 'selectTemplate',
  run({ record, caches, namespace }) {
    const selection = selectTemplate(
      record,
      (name) => caches.templates.get(`${namespace}/${name}`),
      caches.environments.get(`${namespace}/${record.spec.targetEnvironment}`),
    );
    return Promise.resolve({ selection });
  },
};

const planLayout: Step = {
  name: 'planLayout',
  run: async (context) => ({ layout: await layoutFacts(context) }),
};

async function layoutFacts({ record, caches, grids, namespace, signal }: StepContext): Promise<LayoutFacts> {
  const { deploymentUnit, nfrRequirements, odgmConfig } = record.spec;
  const wanted = gridLayout({ ...deploymentUnit, nfr: nfrRequirements, odgm: odgmConfig });
  const id = record.metadata.name;
  const grid = caches.statefulSets.get(`${namespace}/${childNames(id).grid}`);
  const current = parseLayout(grid?.metadata.annotations?.[annotations.gridLayout]);
  if (grid === undefined || current === undefined) return { wanted, effective: wanted };
  const changes = layoutChanges(current, wanted);
  if (changes.length === 0) return { wanted, effective: wanted };
  const hasEverBeenReady =
    (grid.status?.readyReplicas ?? 0) > 0 || record.status?.odgmClusterStatus?.observedAt !== undefined;
  // A grid that was never ready holds nothing. Of any other it must be known at this moment.
  const why = hasEverBeenReady ? whyBlocked(await grids.ask(id, signal)) : undefined;
  return why === undefined ? { wanted, effective: wanted } : { wanted, effective: current, blocked: { changes, why } };
}

function whyBlocked({ result }: GridObservation): string | undefined {
  if (!result.ok) return `the grid cannot be asked whether it holds objects (${result.message})`;
  const { objects, membersReady, membersTotal } = result.status;
  if (objects > 0) return `the grid holds ${String(objects)} objects`;
  return membersReady < membersTotal ? 'not all nodes of the grid answer, and they may hold objects' : undefined;
}

const applyConfig = applying('applyConfig', (input) => [gridConfigMap(input)]);
const applyGrid = applying('applyGrid', (input) => [gridStatefulSet(input)]);
const applyFunctions = applying('applyFunctions', functionDeployments);
const applyServices = applying('applyServices', (input) => [...gridServices(input), ...functionServices(input)]);

function applying(name: string, render: (input: RenderInput) => readonly Child[]): Step {
  return {
    name,
    async run(context): Promise<StepResult> {
      const input = renderInput(context);
      invariant(input !== undefined, 'template and layout are chosen before anything is applied');
      const uid = context.record.metadata.uid ?? '';
      const outcomes = await Promise.allSettled(
        render(input).map((child) => context.applier.apply(child, uid, context.signal)),
      );
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return { applied: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])) };
    },
  };
}

/** Removes children that are no longer rendered, such as those of a function that left the class. */
const pruneChildren: Step = {
  name: 'pruneChildren',
  async run(context) {
    const { caches, record, applier, facts, signal } = context;
    const wanted = new Set(facts.applied.map(({ kind, name }) => `${kind}/${name}`));
    const pruned: AppliedChild[] = [];
    for (const type of childKinds) {
      for (const object of caches.children.get(type.plural)?.byIndex(byRecord, record.metadata.name) ?? []) {
        const { name, uid = '', ownerReferences, deletionTimestamp } = object.metadata;
        const isOurs = ownerReferences?.some((owner) => owner.uid === record.metadata.uid) ?? false;
        if (!isOurs || deletionTimestamp !== undefined || wanted.has(`${type.kind}/${name}`)) continue;
        await applier.remove(type, object, 'Background', signal);
        pruned.push({ kind: type.kind, name, uid, action: 'pruned' });
      }
    }
    return { applied: pruned };
  },
};

export const applySteps: readonly Step[] = [
  ensureFinalizer,
  checkFunctions,
  chooseTemplate,
  planLayout,
  applyConfig,
  applyGrid,
  applyFunctions,
  applyServices,
  pruneChildren,
];
