/** metav1.ObjectMeta, as far as the platform reads it. Unknown fields are kept as they came. */
export interface KubeMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly unknown[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Any Kubernetes object as raw JSON. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeMeta;
  readonly [field: string]: unknown;
}

/** A kind of object and where the API server keeps it. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Name in paths: lower case, plural. */
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface ObjectKey {
  readonly name: string;
  /** Absent for kinds without a namespace. */
  readonly namespace?: string | undefined;
}

export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** Path of one object (with `name`), or of the collection. */
export function pathOf(
  type: ResourceType,
  key: { readonly name?: string; readonly namespace?: string | undefined },
): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const namespace =
    type.namespaced && key.namespace !== undefined ? `/namespaces/${encodeURIComponent(key.namespace)}` : '';
  const name = key.name === undefined ? '' : `/${encodeURIComponent(key.name)}`;
  return `${root}${namespace}/${type.plural}${name}`;
}

function builtIn(group: string, version: string, kind: string, plural: string, namespaced = true): ResourceType {
  return { group, version, kind, plural, namespaced };
}

/** Kinds of Kubernetes that the platform touches. */
export const kinds = {
  node: builtIn('', 'v1', 'Node', 'nodes', false),
  namespace: builtIn('', 'v1', 'Namespace', 'namespaces', false),
  pod: builtIn('', 'v1', 'Pod', 'pods'),
  service: builtIn('', 'v1', 'Service', 'services'),
  configMap: builtIn('', 'v1', 'ConfigMap', 'configmaps'),
  volumeClaim: builtIn('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  event: builtIn('', 'v1', 'Event', 'events'),
  statefulSet: builtIn('apps', 'v1', 'StatefulSet', 'statefulsets'),
  deployment: builtIn('apps', 'v1', 'Deployment', 'deployments'),
  lease: builtIn('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  eventV1: builtIn('events.k8s.io', 'v1', 'Event', 'events'),
  crd: builtIn('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false),
} as const satisfies Record<string, ResourceType>;
