import type { Column, Printer } from '../resource.ts';
import { isJson, listAt, numberAt, objectAt, textAt, type Json, type KubeObject } from '../types.ts';
import { ageOf, humanDuration } from './ages.ts';
import { podCells } from './pod-printer.ts';

type Cell = (object: KubeObject, now: number) => unknown;
type ColumnSpec = readonly [
  name: string,
  cell: Cell,
  options?: { wide?: true; type?: Column['type']; format?: string },
];

/** A printer from its columns, in order. */
export function columns(...specs: readonly ColumnSpec[]): Printer {
  return {
    columns: specs.map(([name, , options]) => ({
      name,
      type: options?.type ?? 'string',
      format: options?.format ?? (name === 'Name' ? 'name' : ''),
      description: '',
      priority: options?.wide === true ? 1 : 0,
    })),
    cells: (object, now) => specs.map(([, cell]) => cell(object, now)),
  };
}

const NAME: ColumnSpec = ['Name', (object) => object.metadata.name ?? ''];
const AGE: ColumnSpec = ['Age', (object, now) => ageOf(object.metadata.creationTimestamp, now)];
const CREATED: ColumnSpec = ['Created At', (object) => object.metadata.creationTimestamp ?? ''];
const integer = { type: 'integer' } as const;
const wide = { wide: true } as const;

/** What is printed of a kind without columns of its own. */
export const plainPrinter: Printer = columns(NAME, AGE);

function count(object: KubeObject, ...path: string[]): number {
  return numberAt(object, ...path) ?? 0;
}

function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

function orUnknown(text: string | undefined): string {
  return text === undefined || text === '' ? '<unknown>' : text;
}

function containersOf(object: KubeObject): unknown[] {
  return listAt(object.spec, 'template', 'spec', 'containers');
}

function jobContainers(object: KubeObject): unknown[] {
  return listAt(object.spec, 'jobTemplate', 'spec', 'template', 'spec', 'containers');
}

const CONTAINERS: ColumnSpec = [
  'Containers',
  (object) =>
    containersOf(object)
      .map((item) => textAt(item, 'name'))
      .join(','),
  wide,
];
const IMAGES: ColumnSpec = [
  'Images',
  (object) =>
    containersOf(object)
      .map((item) => textAt(item, 'image'))
      .join(','),
  wide,
];
const SELECTOR: ColumnSpec = ['Selector', (object) => printSelector(objectAt(object.spec, 'selector')), wide];

/** A LabelSelector as text: `a=b,c in (d,e)`. */
export function printSelector(selector: Json): string {
  const parts = Object.entries(objectAt(selector, 'matchLabels'))
    .map(([key, value]) => `${key}=${String(value)}`)
    .sort();
  for (const term of listAt(selector, 'matchExpressions')) {
    const key = textAt(term, 'key') ?? '';
    const values = listAt(term, 'values').join(',');
    switch (textAt(term, 'operator')) {
      case 'In':
        parts.push(`${key} in (${values})`);
        break;
      case 'NotIn':
        parts.push(`${key} notin (${values})`);
        break;
      case 'Exists':
        parts.push(key);
        break;
      default:
        parts.push(`!${key}`);
    }
  }
  return parts.length === 0 ? '<none>' : parts.join(',');
}

function printLabels(labels: Json): string {
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  return parts.length === 0 ? '<none>' : parts.sort().join(',');
}

function servicePorts(object: KubeObject): string {
  const ports = listAt(object.spec, 'ports').map((port) => {
    const nodePort = numberAt(port, 'nodePort');
    const number = String(numberAt(port, 'port') ?? 0);
    return `${number}${nodePort === undefined || nodePort === 0 ? '' : `:${String(nodePort)}`}/${textAt(port, 'protocol') ?? 'TCP'}`;
  });
  return ports.length === 0 ? '<none>' : ports.join(',');
}

function externalIp(object: KubeObject): string {
  const type = textAt(object.spec, 'type');
  if (type === 'ExternalName') return textAt(object.spec, 'externalName') ?? '';
  const ingress = listAt(object.status, 'loadBalancer', 'ingress').map(
    (item) => textAt(item, 'ip') ?? textAt(item, 'hostname') ?? '',
  );
  const all = [...ingress, ...listAt(object.spec, 'externalIPs').map(String)];
  if (all.length > 0) return all.join(',');
  return type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function endpointsText(object: KubeObject): string {
  const all = listAt(object, 'subsets').flatMap((subset) => {
    const ports = listAt(subset, 'ports');
    return listAt(subset, 'addresses').flatMap((address) => {
      const ip = textAt(address, 'ip') ?? '';
      return ports.length === 0 ? [ip] : ports.map((port) => `${ip}:${String(numberAt(port, 'port') ?? 0)}`);
    });
  });
  if (all.length === 0) return '<none>';
  return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${String(all.length - 3)} more...` : all.join(',');
}

function nodeStatus(object: KubeObject): string {
  const ready = listAt(object.status, 'conditions').find((item) => textAt(item, 'type') === 'Ready');
  const parts = [ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
  if (objectAt(object.spec)['unschedulable'] === true) parts.push('SchedulingDisabled');
  return parts.join(',');
}

function nodeRoles(object: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(object.metadata.labels ?? {}).filter((key) => key.startsWith(prefix));
  return roles.length === 0
    ? '<none>'
    : roles
        .map((key) => key.slice(prefix.length))
        .sort()
        .join(',');
}

function nodeAddress(object: KubeObject, type: string): string {
  return orNone(
    textAt(
      listAt(object.status, 'addresses').find((item) => textAt(item, 'type') === type),
      'address',
    ),
  );
}

function accessModes(modes: readonly unknown[]): string {
  const short: Record<string, string> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return modes.map((mode) => short[String(mode)] ?? String(mode)).join(',');
}

function jobDuration(object: KubeObject, now: number): string {
  const start = textAt(object.status, 'startTime');
  if (start === undefined) return '';
  const end = textAt(object.status, 'completionTime');
  return humanDuration((end === undefined ? now : Date.parse(end)) - Date.parse(start));
}

function jobStatus(object: KubeObject): string {
  const has = (type: string): boolean =>
    listAt(object.status, 'conditions').some(
      (item) => textAt(item, 'type') === type && textAt(item, 'status') === 'True',
    );
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  return has('FailureTarget') ? 'FailureTarget' : has('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function targetText(object: KubeObject): string {
  const parts = listAt(object.spec, 'metrics').map((metric) => {
    const name = textAt(metric, 'resource', 'name') ?? textAt(metric, 'type')?.toLowerCase() ?? '';
    const current = listAt(object.status, 'currentMetrics').find((item) => textAt(item, 'resource', 'name') === name);
    const wanted = numberAt(metric, 'resource', 'target', 'averageUtilization');
    const is = numberAt(current, 'resource', 'current', 'averageUtilization');
    const isText = is === undefined ? '<unknown>' : `${String(is)}%`;
    return `${name}: ${isText}/${wanted === undefined ? '<auto>' : `${String(wanted)}%`}`;
  });
  return parts.length === 0 ? '<none>' : parts.join(', ');
}

function eventLastSeen(object: KubeObject, now: number): string {
  const last =
    textAt(object, 'series', 'lastObservedTime') ?? textAt(object, 'lastTimestamp') ?? textAt(object, 'eventTime');
  return ageOf(last ?? textAt(object, 'firstTimestamp'), now);
}

function eventAbout(object: KubeObject): string {
  const about = objectAt(object, 'involvedObject');
  return `${(textAt(about, 'kind') ?? '').toLowerCase()}/${textAt(about, 'name') ?? ''}`;
}

function eventSource(object: KubeObject): string {
  const component = textAt(object, 'source', 'component') ?? '';
  const host = textAt(object, 'source', 'host');
  const name = component === '' ? (textAt(object, 'reportingComponent') ?? '') : component;
  return host === undefined || host === '' ? name : `${name}, ${host}`;
}

const EVENTS = columns(
  ['Last Seen', eventLastSeen],
  ['Type', (object) => textAt(object, 'type') ?? ''],
  ['Reason', (object) => textAt(object, 'reason') ?? ''],
  ['Object', eventAbout],
  ['Subobject', (object) => textAt(object, 'involvedObject', 'fieldPath') ?? '', wide],
  ['Source', eventSource, wide],
  ['Message', (object) => (textAt(object, 'message') ?? '').trim()],
  ['First Seen', (object, now) => ageOf(textAt(object, 'firstTimestamp') ?? textAt(object, 'eventTime'), now), wide],
  [
    'Count',
    (object) => numberAt(object, 'series', 'count') ?? numberAt(object, 'count') ?? 1,
    { wide: true, type: 'integer' },
  ],
  ['Name', (object) => object.metadata.name ?? '', wide],
);

const BINDING = columns(
  NAME,
  ['Role', (object) => `${textAt(object, 'roleRef', 'kind') ?? ''}/${textAt(object, 'roleRef', 'name') ?? ''}`],
  AGE,
  ['Users', (object) => subjects(object, 'User'), wide],
  ['Groups', (object) => subjects(object, 'Group'), wide],
  ['ServiceAccounts', (object) => subjects(object, 'ServiceAccount'), wide],
);

function subjects(object: KubeObject, kind: string): string {
  return listAt(object, 'subjects')
    .filter((item) => textAt(item, 'kind') === kind)
    .map((item) => {
      const namespace = textAt(item, 'namespace');
      return `${kind === 'ServiceAccount' && namespace !== undefined ? `${namespace}/` : ''}${textAt(item, 'name') ?? ''}`;
    })
    .join(', ');
}

/** Columns by `<group>/<plural>`, as kube-apiserver 1.34 prints them (pkg/printers/internalversion). */
const PRINTERS: Readonly<Record<string, Printer>> = {
  '/pods': columns(
    NAME,
    ['Ready', (object) => podCells(object).ready],
    ['Status', (object) => podCells(object).status],
    ['Restarts', (object, now) => podCells(object, now).restarts],
    AGE,
    ['IP', (object) => orNone(textAt(object.status, 'podIP')), wide],
    ['Node', (object) => orNone(textAt(object.spec, 'nodeName')), wide],
    ['Nominated Node', (object) => orNone(textAt(object.status, 'nominatedNodeName')), wide],
    ['Readiness Gates', (object) => podCells(object).gates, wide],
  ),
  '/services': columns(
    NAME,
    ['Type', (object) => textAt(object.spec, 'type') ?? ''],
    ['Cluster-IP', (object) => orNone(textAt(object.spec, 'clusterIP'))],
    ['External-IP', externalIp],
    ['Port(s)', servicePorts],
    AGE,
    ['Selector', (object) => printLabels(objectAt(object.spec, 'selector')), wide],
  ),
  '/endpoints': columns(NAME, ['Endpoints', endpointsText], AGE),
  '/configmaps': columns(
    NAME,
    [
      'Data',
      (object) => Object.keys(objectAt(object, 'data')).length + Object.keys(objectAt(object, 'binaryData')).length,
    ],
    AGE,
  ),
  '/secrets': columns(
    NAME,
    ['Type', (object) => textAt(object, 'type') ?? ''],
    ['Data', (object) => Object.keys(objectAt(object, 'data')).length],
    AGE,
  ),
  '/serviceaccounts': columns(NAME, ['Secrets', (object) => listAt(object, 'secrets').length], AGE),
  '/namespaces': columns(NAME, ['Status', (object) => textAt(object.status, 'phase') ?? ''], AGE),
  '/nodes': columns(
    NAME,
    ['Status', nodeStatus],
    ['Roles', nodeRoles],
    AGE,
    ['Version', (object) => textAt(object.status, 'nodeInfo', 'kubeletVersion') ?? ''],
    ['Internal-IP', (object) => nodeAddress(object, 'InternalIP'), wide],
    ['External-IP', (object) => nodeAddress(object, 'ExternalIP'), wide],
    ['OS-Image', (object) => orUnknown(textAt(object.status, 'nodeInfo', 'osImage')), wide],
    ['Kernel-Version', (object) => orUnknown(textAt(object.status, 'nodeInfo', 'kernelVersion')), wide],
    ['Container-Runtime', (object) => orUnknown(textAt(object.status, 'nodeInfo', 'containerRuntimeVersion')), wide],
  ),
  '/events': EVENTS,
  'events.k8s.io/events': {
    columns: EVENTS.columns,
    cells: (object, now) => EVENTS.cells(asCoreEvent(object), now),
  },
  '/persistentvolumeclaims': columns(
    NAME,
    [
      'Status',
      (object) =>
        object.metadata.deletionTimestamp === undefined ? (textAt(object.status, 'phase') ?? '') : 'Terminating',
    ],
    ['Volume', (object) => textAt(object.spec, 'volumeName') ?? ''],
    ['Capacity', (object) => textAt(object.status, 'capacity', 'storage') ?? ''],
    ['Access Modes', (object) => accessModes(listAt(object.status, 'accessModes'))],
    ['StorageClass', (object) => textAt(object.spec, 'storageClassName') ?? ''],
    ['VolumeAttributesClass', (object) => textAt(object.spec, 'volumeAttributesClassName') ?? '<unset>'],
    AGE,
    ['VolumeMode', (object) => textAt(object.spec, 'volumeMode') ?? '<unset>', wide],
  ),
  '/persistentvolumes': columns(
    NAME,
    ['Capacity', (object) => textAt(object.spec, 'capacity', 'storage') ?? ''],
    ['Access Modes', (object) => accessModes(listAt(object.spec, 'accessModes'))],
    ['Reclaim Policy', (object) => textAt(object.spec, 'persistentVolumeReclaimPolicy') ?? ''],
    ['Status', (object) => textAt(object.status, 'phase') ?? ''],
    ['Claim', (object) => claimText(object)],
    ['StorageClass', (object) => textAt(object.spec, 'storageClassName') ?? ''],
    ['VolumeAttributesClass', (object) => textAt(object.spec, 'volumeAttributesClassName') ?? '<unset>'],
    ['Reason', (object) => textAt(object.status, 'reason') ?? ''],
    AGE,
    ['VolumeMode', (object) => textAt(object.spec, 'volumeMode') ?? '<unset>', wide],
  ),
  'apps/deployments': columns(
    NAME,
    [
      'Ready',
      (object) => `${String(count(object, 'status', 'readyReplicas'))}/${String(count(object, 'spec', 'replicas'))}`,
    ],
    ['Up-to-date', (object) => count(object, 'status', 'updatedReplicas'), integer],
    ['Available', (object) => count(object, 'status', 'availableReplicas'), integer],
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ),
  'apps/replicasets': columns(
    NAME,
    ['Desired', (object) => count(object, 'spec', 'replicas'), integer],
    ['Current', (object) => count(object, 'status', 'replicas'), integer],
    ['Ready', (object) => count(object, 'status', 'readyReplicas'), integer],
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ),
  'apps/statefulsets': columns(
    NAME,
    [
      'Ready',
      (object) => `${String(count(object, 'status', 'readyReplicas'))}/${String(count(object, 'spec', 'replicas'))}`,
    ],
    AGE,
    CONTAINERS,
    IMAGES,
  ),
  'apps/daemonsets': columns(
    NAME,
    ['Desired', (object) => count(object, 'status', 'desiredNumberScheduled'), integer],
    ['Current', (object) => count(object, 'status', 'currentNumberScheduled'), integer],
    ['Ready', (object) => count(object, 'status', 'numberReady'), integer],
    ['Up-to-date', (object) => count(object, 'status', 'updatedNumberScheduled'), integer],
    ['Available', (object) => count(object, 'status', 'numberAvailable'), integer],
    ['Node Selector', (object) => printLabels(objectAt(object.spec, 'template', 'spec', 'nodeSelector'))],
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ),
  'apps/controllerrevisions': columns(
    NAME,
    ['Controller', (object) => controllerText(object)],
    ['Revision', (object) => count(object, 'revision'), integer],
    AGE,
  ),
  'batch/jobs': columns(
    NAME,
    ['Status', jobStatus],
    [
      'Completions',
      (object) =>
        `${String(count(object, 'status', 'succeeded'))}/${String(numberAt(object.spec, 'completions') ?? 1)}`,
    ],
    ['Duration', jobDuration],
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ),
  'batch/cronjobs': columns(
    NAME,
    ['Schedule', (object) => textAt(object.spec, 'schedule') ?? ''],
    ['Timezone', (object) => orNone(textAt(object.spec, 'timeZone'))],
    ['Suspend', (object) => (objectAt(object.spec)['suspend'] === true ? 'True' : 'False')],
    ['Active', (object) => listAt(object.status, 'active').length, integer],
    [
      'Last Schedule',
      (object, now) =>
        textAt(object.status, 'lastScheduleTime') === undefined
          ? '<none>'
          : ageOf(textAt(object.status, 'lastScheduleTime'), now),
    ],
    AGE,
    [
      'Containers',
      (object) =>
        jobContainers(object)
          .map((item) => textAt(item, 'name'))
          .join(','),
      wide,
    ],
    [
      'Images',
      (object) =>
        jobContainers(object)
          .map((item) => textAt(item, 'image'))
          .join(','),
      wide,
    ],
    ['Selector', (object) => printSelector(objectAt(object.spec, 'jobTemplate', 'spec', 'selector')), wide],
  ),
  'autoscaling/horizontalpodautoscalers': columns(
    NAME,
    [
      'Reference',
      (object) =>
        `${textAt(object.spec, 'scaleTargetRef', 'kind') ?? ''}/${textAt(object.spec, 'scaleTargetRef', 'name') ?? ''}`,
    ],
    ['Targets', targetText],
    ['MinPods', (object) => String(numberAt(object.spec, 'minReplicas') ?? '<unset>')],
    ['MaxPods', (object) => count(object, 'spec', 'maxReplicas'), integer],
    ['Replicas', (object) => count(object, 'status', 'currentReplicas'), integer],
    AGE,
  ),
  'policy/poddisruptionbudgets': columns(
    NAME,
    ['Min Available', (object) => intOrText(objectAt(object.spec)['minAvailable'])],
    ['Max Unavailable', (object) => intOrText(objectAt(object.spec)['maxUnavailable'])],
    ['Allowed Disruptions', (object) => count(object, 'status', 'disruptionsAllowed'), integer],
    AGE,
  ),
  'networking.k8s.io/networkpolicies': columns(
    NAME,
    ['Pod-Selector', (object) => printSelector(objectAt(object.spec, 'podSelector'))],
    AGE,
  ),
  'networking.k8s.io/ingresses': columns(
    NAME,
    ['Class', (object) => orNone(textAt(object.spec, 'ingressClassName'))],
    ['Hosts', (object) => hostsText(object)],
    [
      'Address',
      (object) =>
        listAt(object.status, 'loadBalancer', 'ingress')
          .map((item) => textAt(item, 'ip') ?? textAt(item, 'hostname') ?? '')
          .join(','),
    ],
    ['Ports', (object) => (listAt(object.spec, 'tls').length > 0 ? '80, 443' : '80')],
    AGE,
  ),
  'networking.k8s.io/ingressclasses': columns(
    NAME,
    ['Controller', (object) => textAt(object.spec, 'controller') ?? ''],
    ['Parameters', (object) => orNone(textAt(object.spec, 'parameters', 'name'))],
    AGE,
  ),
  'discovery.k8s.io/endpointslices': columns(
    NAME,
    ['AddressType', (object) => textAt(object, 'addressType') ?? ''],
    [
      'Ports',
      (object) =>
        listText(
          listAt(object, 'ports').map((port) => String(numberAt(port, 'port') ?? '*')),
          '<unset>',
        ),
    ],
    [
      'Endpoints',
      (object) =>
        listText(
          listAt(object, 'endpoints').flatMap((item) => listAt(item, 'addresses').map(String)),
          '<unset>',
        ),
    ],
    AGE,
  ),
  'coordination.k8s.io/leases': columns(NAME, ['Holder', (object) => textAt(object.spec, 'holderIdentity') ?? ''], AGE),
  'rbac.authorization.k8s.io/roles': columns(NAME, CREATED),
  'rbac.authorization.k8s.io/clusterroles': columns(NAME, CREATED),
  'rbac.authorization.k8s.io/rolebindings': BINDING,
  'rbac.authorization.k8s.io/clusterrolebindings': BINDING,
  'storage.k8s.io/storageclasses': columns(
    [
      'Name',
      (object) =>
        `${object.metadata.name ?? ''}${object.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ? ' (default)' : ''}`,
    ],
    ['Provisioner', (object) => textAt(object, 'provisioner') ?? ''],
    ['ReclaimPolicy', (object) => textAt(object, 'reclaimPolicy') ?? 'Delete'],
    ['VolumeBindingMode', (object) => textAt(object, 'volumeBindingMode') ?? '<unset>'],
    ['AllowVolumeExpansion', (object) => object['allowVolumeExpansion'] === true, { type: 'boolean' }],
    AGE,
  ),
  'scheduling.k8s.io/priorityclasses': columns(
    NAME,
    ['Value', (object) => count(object, 'value'), integer],
    ['Global-Default', (object) => object['globalDefault'] === true, { type: 'boolean' }],
    AGE,
    ['PreemptionPolicy', (object) => textAt(object, 'preemptionPolicy') ?? 'PreemptLowerPriority'],
  ),
  'apiextensions.k8s.io/customresourcedefinitions': columns(NAME, CREATED),
};

export function printerOf(id: string): Printer {
  return PRINTERS[id] ?? plainPrinter;
}

function intOrText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'N/A';
}

function claimText(object: KubeObject): string {
  const claim = objectAt(object.spec, 'claimRef');
  return textAt(claim, 'name') === undefined
    ? ''
    : `${textAt(claim, 'namespace') ?? ''}/${textAt(claim, 'name') ?? ''}`;
}

function controllerText(object: KubeObject): string {
  const owner = (object.metadata.ownerReferences ?? []).find((item) => item.controller === true);
  if (owner === undefined) return '<none>';
  const group = owner.apiVersion.split('/').slice(0, -1).join('/');
  return `${owner.kind.toLowerCase()}${group === '' ? '' : `.${group}`}/${owner.name}`;
}

function hostsText(object: KubeObject): string {
  const hosts = listAt(object.spec, 'rules')
    .map((rule) => textAt(rule, 'host') ?? '')
    .filter((host) => host !== '');
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${String(hosts.length - 3)} more...` : hosts.join(',');
}

function listText(items: readonly string[], none: string): string {
  if (items.length === 0) return none;
  return items.length > 3 ? `${items.slice(0, 3).join(',')} + ${String(items.length - 3)} more...` : items.join(',');
}

function asCoreEvent(object: KubeObject): KubeObject {
  const regarding = object['regarding'];
  return {
    ...object,
    involvedObject: isJson(regarding) ? regarding : {},
    message: object['note'],
    source: object['deprecatedSource'],
    reportingComponent: object['reportingController'],
    firstTimestamp: object['deprecatedFirstTimestamp'],
    lastTimestamp: object['deprecatedLastTimestamp'],
    count: object['deprecatedCount'],
  };
}
