/** Texts by which the objects of the platform are known in Kubernetes. */

export const group = 'oaas.io';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}` as const;
export const finalizer = `${group}/deployment-finalizer`;

export const annotations = {
  /** RFC 3339 time of a wish to reconcile now; echoed as `status.lastHandledRequestedAt`. */
  requestedAt: `${group}/requestedAt`,
  /** `on`, `observe` or `off`. */
  enforcement: `${group}/enforcement`,
  correlationId: `${group}/correlation-id`,
  /** Commit that a record comes from; on a child, the one that changed it last. */
  gitCommit: `${group}/git-commit`,
  /** `delete`: the grid's volumes go with the record. Anything else keeps them. */
  dataPolicy: `${group}/data-policy`,
  /** Digest of a child as it was rendered. */
  renderedDigest: `${group}/rendered-digest`,
  /** Digest of a record's spec as it was deployed, to see changes made by hand. */
  specDigest: `${group}/spec-digest`,
  /** Layout (JSON) that a grid was made with. */
  gridLayout: `${group}/grid-layout`,
} as const;

export const labels = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
  managedBy: 'app.kubernetes.io/managed-by',
  package: `${group}/package`,
  class: `${group}/class`,
  deployment: `${group}/deployment`,
  /** Name of the StatefulSet or Deployment that a pod or volume claim belongs to. */
  workload: `${group}/workload`,
  gridCluster: 'odgm-cluster',
} as const;

/** Value of {@link labels.managedBy} on every child of a record. */
export const managedBy = 'oaas-crm';

/** One field manager per intent, so that none drops another's fields. */
export const fieldManagers = {
  /** What PM asked for: the record's spec. */
  deploy: 'oaas-crm-deploy',
  /** Children as rendered. */
  render: 'oaas-crm',
  status: 'oaas-crm-status',
} as const;

/** A label's value for any text: what is not allowed becomes a dash, at most 63 characters. */
export function labelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}
