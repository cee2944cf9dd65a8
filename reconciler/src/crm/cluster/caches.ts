import type { OaasError } from '@oaas/commons/errors';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { type Indexer, Reflector, Store, type Watched } from '../../controller/index.ts';
import {
  createdEntries,
  kinds,
  type KubernetesApi,
  type KubeObject,
  type ResourceType,
} from '../../kubernetes/index.ts';
import {
  type DeploymentRecord,
  type DeploymentTemplate,
  type EnvironmentConfig,
  fieldManagers,
  labels,
  managedBy,
} from '../../record/index.ts';
import {
  childKinds,
  type Node,
  platformKinds,
  type Pod,
  type Service,
  type VolumeClaim,
  type Workload,
} from '../objects.ts';
import { type KubeEvent, recordOfEvent } from './kube-event.ts';
import { listWatch, type Selection } from './list-watch.ts';

export interface CacheOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly onError: (collection: string, error: OaasError) => void;
}

/** A reflector whose types nobody needs any more. */
type AnyReflector = Pick<
  Reflector<KubeObject, KubeObject>,
  'name' | 'hasSynced' | 'failures' | 'start' | 'stop' | 'synced'
>;

/** Index that finds what belongs to a record, by the record's name. */
export const byRecord = 'record';
/** Index that finds the pods of a StatefulSet or Deployment, by its name. */
export const byWorkload = 'workload';

/** The namespace as last seen. One watch per kind; of objects that are not ours, nothing is kept. */
export interface Caches {
  readonly records: Store<DeploymentRecord>;
  readonly templates: Store<DeploymentTemplate>;
  readonly environments: Store<EnvironmentConfig>;
  /** Children of records, by the plural of their kind. */
  readonly children: ReadonlyMap<string, Store<KubeObject>>;
  readonly statefulSets: Store<Workload>;
  readonly deployments: Store<Workload>;
  readonly services: Store<Service>;
  readonly pods: Store<Pod>;
  readonly claims: Store<VolumeClaim>;
  readonly events: Store<KubeEvent>;
  readonly nodes: Store<Node>;
  /** What must be filled before anything is decided. */
  readonly required: readonly AnyReflector[];
  /** What a CRM with fewer rights does without. */
  readonly optional: readonly AnyReflector[];
}

export function createCaches(options: CacheOptions): Caches {
  const { api, namespace } = options;
  const required: AnyReflector[] = [];
  const optional: AnyReflector[] = [];
  const ours: Selection = { namespace, labelSelector: `${labels.managedBy}=${managedBy}` };

  function follow<T extends Watched>(
    type: ResourceType,
    selection: Selection,
    transform: (object: KubeObject) => T | undefined,
    indexers: Readonly<Record<string, Indexer<T>>> = {},
    into: AnyReflector[] = required,
  ): Store<T> {
    const store = new Store<T>(indexers);
    into.push(
      new Reflector<KubeObject, T>({
        name: type.plural,
        source: listWatch(api, type, selection),
        store,
        transform,
        clock: options.clock,
        timers: options.timers,
        random: options.random,
        onError: (error) => {
          options.onError(type.plural, error);
        },
      }),
    );
    return store;
  }

  const label = (name: string) => (object: KubeObject) => {
    const value = object.metadata.labels?.[name];
    return value === undefined ? [] : [value];
  };
  const whole = { namespace };
  const children = new Map<string, Store<KubeObject>>(
    childKinds.map((type) => [type.plural, follow(type, ours, lean, { [byRecord]: label(labels.deployment) })]),
  );
  const child = (type: ResourceType) => children.get(type.plural) as unknown;
  return {
    records: follow(platformKinds.record, whole, (object) => lean(object) as unknown as DeploymentRecord),
    templates: follow(platformKinds.template, whole, (object) => lean(object) as unknown as DeploymentTemplate),
    environments: follow(platformKinds.environment, whole, (object) => lean(object) as unknown as EnvironmentConfig),
    children,
    statefulSets: child(kinds.statefulSet) as Store<Workload>,
    deployments: child(kinds.deployment) as Store<Workload>,
    services: child(kinds.service) as Store<Service>,
    pods: follow(kinds.pod, ours, leanPod, {
      [byRecord]: label(labels.deployment),
      [byWorkload]: label(labels.workload),
    }),
    claims: follow(kinds.volumeClaim, ours, lean as (object: KubeObject) => VolumeClaim, {
      [byRecord]: label(labels.deployment),
    }),
    events: follow(kinds.eventV1, whole, leanEvent, { [byRecord]: (event) => [recordOfEvent(event) ?? ''] }, optional),
    nodes: follow(kinds.node, {}, leanNode, {}, optional),
    required,
    optional,
  };
}

/**
 * Managed fields are more than half of an object, and only the server needs them. What stays is the mark of an object that one of
 * our managers has created and not yet applied.
 */
export function lean(object: KubeObject): KubeObject {
  const { managedFields: dropped, ...metadata } = object.metadata;
  if (dropped === undefined) return object;
  const marks = Object.values(fieldManagers)
    .filter((manager) => createdEntries(object, manager).length > 0)
    .map((manager) => ({ manager, operation: 'Update' }));
  return { ...object, metadata: { ...metadata, ...(marks.length === 0 ? {} : { managedFields: marks }) } };
}

function leanPod(object: KubeObject): Pod {
  const pod = object as Pod;
  const {
    name,
    namespace,
    uid,
    resourceVersion,
    creationTimestamp,
    deletionTimestamp,
    labels: podLabels,
  } = pod.metadata;
  const status = pod.status;
  return {
    apiVersion: pod.apiVersion,
    kind: 'Pod',
    metadata: definedOnly({
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      labels: podLabels,
    }),
    spec: definedOnly({ nodeName: pod.spec?.nodeName }),
    status: definedOnly({
      phase: status?.phase,
      reason: status?.reason,
      message: status?.message,
      conditions: status?.conditions,
      containerStatuses: status?.containerStatuses,
      initContainerStatuses: status?.initContainerStatuses,
    }),
  };
}

function leanNode(object: KubeObject): Node {
  const { name, uid, resourceVersion } = object.metadata;
  const { status } = object as Node;
  return {
    apiVersion: object.apiVersion,
    kind: 'Node',
    metadata: definedOnly({ name, uid, resourceVersion }),
    status: definedOnly({ conditions: status?.conditions, addresses: status?.addresses }),
  };
}

/** Events about other things are left out. The server forgets events after an hour, which bounds how many are kept. */
function leanEvent(object: KubeObject): KubeEvent | undefined {
  const event = object as KubeEvent;
  if (recordOfEvent(event) === undefined) return undefined;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = event.metadata;
  return { ...event, metadata: definedOnly({ name, namespace, uid, resourceVersion, creationTimestamp }) };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function definedOnly<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Defined<T>;
}
