import {
  availableInMs,
  controllerReference,
  isControlledBy,
  isFinished,
  isReady,
  type Pod,
  type PodTemplate,
  type StatefulSet,
  templateHash,
  type Volume,
  type VolumeClaim,
} from './objects.ts';

const revisionLabel = 'controller-revision-hash';
const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

/** The next step of a StatefulSet. Applied again and again, it ends in all pods being there at the newest revision. */
export interface StatefulSetPlan {
  readonly claims: readonly VolumeClaim[];
  readonly create: readonly Pod[];
  readonly remove: readonly string[];
  readonly status: NonNullable<StatefulSet['status']>;
  readonly requeueAfterMs?: number;
}

export interface StatefulSetInput {
  readonly set: StatefulSet;
  readonly pods: readonly Pod[];
  readonly claims: readonly VolumeClaim[];
  readonly nodeName: string;
  readonly nowMs: number;
}

/**
 * Plans pods with ordinals: `OrderedReady` one after another, `Parallel` all at once; a new template replaces pods one by
 * one from the highest ordinal down to `partition`, each waiting until the one before is ready again. Claims are
 * made for every ordinal and kept when the set shrinks or goes.
 *
 * Source: the behaviour of the StatefulSet controller, kubernetes.io/docs/concepts/workloads/controllers/statefulset.
 * Unlike there, a pod that is missing during an update always comes back at the newest revision: old templates are not kept.
 */
export function planStatefulSet(input: StatefulSetInput): StatefulSetPlan {
  const { set, nowMs } = input;
  const desired = set.spec.replicas ?? 1;
  const revision = `${set.metadata.name}-${templateHash(set.spec.template)}`;
  const own = input.pods.filter((pod) => isControlledBy(pod, set));
  const byOrdinal = new Map(own.map((pod) => [ordinalOf(set, pod), pod]));
  const isOrdered = set.spec.podManagementPolicy !== 'Parallel';
  const steps =
    set.metadata.deletionTimestamp === undefined
      ? nextSteps({ set, byOrdinal, desired, isOrdered, revision })
      : { create: [], remove: [] };
  const waits = own.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, nowMs));
  const pending = waits.filter((wait) => wait !== undefined && wait > 0) as number[];
  return {
    claims: steps.create.flatMap((ordinal) => missingClaims(input, ordinal)),
    create: steps.create.map((ordinal) => newPod(input, ordinal, revision)),
    remove: steps.remove,
    status: statusOf(set, own, waits, revision),
    ...(pending.length === 0 ? {} : { requeueAfterMs: Math.min(...pending) }),
  };
}

interface Facts {
  readonly set: StatefulSet;
  readonly byOrdinal: ReadonlyMap<number, Pod>;
  readonly desired: number;
  readonly isOrdered: boolean;
  readonly revision: string;
}

function nextSteps(facts: Facts): { create: number[]; remove: string[] } {
  const { byOrdinal, desired, isOrdered } = facts;
  const create: number[] = [];
  for (let ordinal = 0; ordinal < desired; ordinal += 1) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) create.push(ordinal);
    else if (isFinished(pod) && !isLeaving(pod)) return { create: [], remove: [pod.metadata.name] };
    else if (!isOrdered || (isReady(pod) && !isLeaving(pod))) continue;
    if (isOrdered) return { create, remove: [] };
  }
  const surplus = [...byOrdinal].filter(([ordinal]) => ordinal >= desired).sort(([a], [b]) => b - a);
  if (surplus.length > 0) {
    const leaving = surplus.filter(([, pod]) => !isLeaving(pod)).map(([, pod]) => pod.metadata.name);
    if (!isOrdered) return { create, remove: leaving };
    // One at a time: the next goes when the one before is gone.
    return { create, remove: leaving.length === surplus.length ? leaving.slice(0, 1) : [] };
  }
  return { create, remove: create.length === 0 ? outdated(facts) : [] };
}

/** The pod to replace next: the highest one of an old revision, once all above it are ready. */
function outdated({ set, byOrdinal, desired, revision }: Facts): string[] {
  if (set.spec.updateStrategy?.type === 'OnDelete') return [];
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  for (let ordinal = desired - 1; ordinal >= partition; ordinal -= 1) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined || isLeaving(pod)) return [];
    if (pod.metadata.labels?.[revisionLabel] !== revision) return [pod.metadata.name];
    if (!isReady(pod)) return [];
  }
  return [];
}

function missingClaims({ set, claims }: StatefulSetInput, ordinal: number): VolumeClaim[] {
  return (set.spec.volumeClaimTemplates ?? [])
    .filter((template) => {
      const name = claimName(set, template.metadata.name, ordinal);
      return !claims.some((claim) => claim.metadata.name === name);
    })
    .map((template) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        ...template.metadata,
        name: claimName(set, template.metadata.name, ordinal),
        namespace: set.metadata.namespace ?? 'default',
        labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
      },
      spec: template.spec,
    }));
}

function newPod({ set, nodeName }: StatefulSetInput, ordinal: number, revision: string): Pod {
  const { template } = set.spec;
  const name = `${set.metadata.name}-${String(ordinal)}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...template.metadata,
      name,
      namespace: set.metadata.namespace ?? 'default',
      labels: {
        ...template.metadata?.labels,
        [revisionLabel]: revision,
        [podNameLabel]: name,
        [podIndexLabel]: String(ordinal),
      },
      ownerReferences: [controllerReference(set)],
    },
    spec: {
      ...template.spec,
      nodeName,
      hostname: name,
      ...(set.spec.serviceName === undefined ? {} : { subdomain: set.spec.serviceName }),
      volumes: volumesOf(set, template, ordinal),
    },
  };
}

/** A claim of the set stands in for a volume of the template with the same name. */
function volumesOf(set: StatefulSet, template: PodTemplate, ordinal: number): Volume[] {
  const claimed = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: claimName(set, claim.metadata.name, ordinal) },
  }));
  const names = new Set(claimed.map((volume) => volume.name));
  return [...(template.spec.volumes ?? []).filter((volume) => !names.has(volume.name)), ...claimed];
}

function statusOf(
  set: StatefulSet,
  own: readonly Pod[],
  waits: readonly (number | undefined)[],
  revision: string,
): NonNullable<StatefulSet['status']> {
  const at = (wanted: string) =>
    own.filter((pod) => !isLeaving(pod) && pod.metadata.labels?.[revisionLabel] === wanted).length;
  const desired = set.spec.replicas ?? 1;
  const ready = own.filter(isReady).length;
  const updated = at(revision);
  const isComplete = updated === desired && ready === desired && own.length === desired;
  const current = isComplete ? revision : (set.status?.currentRevision ?? revision);
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: own.length,
    readyReplicas: ready,
    availableReplicas: waits.filter((wait) => wait === 0).length,
    currentReplicas: at(current),
    updatedReplicas: updated,
    currentRevision: current,
    updateRevision: revision,
  };
}

function claimName(set: StatefulSet, template: string, ordinal: number): string {
  return `${template}-${set.metadata.name}-${String(ordinal)}`;
}

/** -1 for a pod whose name has no ordinal of this set: it counts as surplus of none. */
function ordinalOf(set: StatefulSet, pod: Pod): number {
  const suffix = pod.metadata.name.slice(set.metadata.name.length + 1);
  return /^\d+$/.test(suffix) ? Number(suffix) : -1;
}

function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}
