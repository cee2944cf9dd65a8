import type { KindRules, ResourceType, ScalePaths } from '../resource.ts';
import { SchemaCompiler, type RawSchema } from '../schema/schema.ts';
import builtin from '../schema/builtin.generated.json' with { type: 'json' };
import * as core from './core.ts';
import { eventsConversion } from './events-v1.ts';
import * as networking from './networking.ts';
import { printerOf } from './printers.ts';
import * as workloads from './workloads.ts';

/** The facts of built-in kinds, as generate.ts wrote them. */
export const builtinFacts = builtin as unknown as {
  readonly kubernetes: string;
  readonly resources: readonly BuiltinResource[];
  readonly definitions: Readonly<Record<string, RawSchema>>;
};

export interface BuiltinResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly string[];
  readonly definition: string;
}

const RULES: Readonly<Record<string, KindRules>> = {
  '/namespaces': core.namespaceRules,
  '/secrets': core.secretRules,
  '/configmaps': core.configMapRules,
  '/events': core.eventRules,
  'events.k8s.io/events': core.newEventRules,
  '/persistentvolumeclaims': core.claimRules,
  '/persistentvolumes': core.volumeRules,
  '/nodes': core.nodeRules,
  '/serviceaccounts': { answersDeleted: true },
  '/services': networking.serviceRules,
  '/endpoints': networking.endpointsRules,
  '/pods': workloads.podRules,
  '/replicationcontrollers': { generation: true },
  'apps/deployments': workloads.deploymentRules,
  'apps/replicasets': workloads.replicaSetRules,
  'apps/statefulsets': workloads.statefulSetRules,
  'apps/daemonsets': workloads.daemonSetRules,
  'batch/jobs': workloads.jobRules,
  'batch/cronjobs': workloads.cronJobRules,
  'autoscaling/horizontalpodautoscalers': core.autoscalerRules,
  'policy/poddisruptionbudgets': { generation: true, prepareCreate: core.blankDisruptionStatus },
  'networking.k8s.io/networkpolicies': networking.networkPolicyRules,
  'networking.k8s.io/ingresses': networking.ingressRules,
  'networking.k8s.io/ingressclasses': { generation: true },
  'discovery.k8s.io/endpointslices': networking.endpointSliceRules,
  'coordination.k8s.io/leases': core.leaseRules,
  'storage.k8s.io/storageclasses': core.storageClassRules,
  'rbac.authorization.k8s.io/roles': core.roleRules,
  'rbac.authorization.k8s.io/clusterroles': core.roleRules,
  'rbac.authorization.k8s.io/rolebindings': core.bindingRules,
  'rbac.authorization.k8s.io/clusterrolebindings': core.bindingRules,
  'scheduling.k8s.io/priorityclasses': core.priorityClassRules,
};

const SCALE: ScalePaths = {
  specReplicasPath: ['spec', 'replicas'],
  statusReplicasPath: ['status', 'replicas'],
  labelSelectorPath: ['spec', 'selector'],
};

/** The built-in resources, with one compiler for all their schemas. CustomResourceDefinitions get their rules elsewhere. */
export function builtinResources(extraRules: Readonly<Record<string, KindRules>>): {
  resources: ResourceType[];
  compiler: SchemaCompiler;
} {
  const compiler = new SchemaCompiler(builtinFacts.definitions);
  const resources = builtinFacts.resources.map((fact): ResourceType => {
    const id = `${fact.group}/${fact.plural}`;
    const isEventsGroup = id === 'events.k8s.io/events';
    const apiVersion = fact.group === '' ? fact.version : `${fact.group}/${fact.version}`;
    return {
      ...fact,
      listKind: `${fact.kind}List`,
      subresources: new Set(fact.subresources),
      storage: isEventsGroup ? '/events/' : `${id}/`,
      storageVersion: isEventsGroup ? 'v1' : apiVersion,
      node: compiler.definition(fact.definition),
      isNative: true,
      rules: extraRules[id] ?? RULES[id] ?? {},
      printer: printerOf(id),
      ...(isEventsGroup ? { conversion: eventsConversion } : {}),
      ...(fact.subresources.includes('scale') ? { scale: SCALE } : {}),
    };
  });
  return { resources, compiler };
}
