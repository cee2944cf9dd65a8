import { kinds } from '../../kubernetes/index.ts';
import { annotations, labels, quantityOf } from '../../record/index.ts';
import { canonicalJson, digestOf } from '../digest.ts';
import {
  type Child,
  child,
  env,
  idOf,
  labelsOf,
  namesOf,
  type Part,
  ports,
  type RenderInput,
  resources,
  selectorLabels,
} from './common.ts';
import { eventSettings, gridCollections, gridConfig, gridConfigYaml, gridMembers } from './odgm-config.ts';

/** User of the grid's image: everything it may write is its volume and /tmp. */
const gridUser = 1000;
const defaultResources = { cpuRequest: '200m', memoryRequest: '512Mi', cpuLimit: '1', memoryLimit: '1Gi' };
const defaultStorage = '1Gi';
/** Of a volume so much is for objects. The rest is for the journal, and for what storage and trees keep beside them. */
const partForObjects = 0.5;
/** Put on pods by Kubernetes from 1.35 on (1.33 with the feature gate PodTopologyLabelsAdmission); absent, it is empty. */
const zoneLabel = 'topology.kubernetes.io/zone';

function part(input: RenderInput): Part {
  return { name: 'odgm', component: 'grid', workload: namesOf(input.record).grid };
}

export function gridConfigMap(input: RenderInput): Child {
  return child(input, kinds.configMap, namesOf(input.record).config, part(input), {
    data: { 'odgm-config.yaml': gridConfigYaml(input) },
  });
}

export function gridServices(input: RenderInput): readonly Child[] {
  const names = namesOf(input.record);
  const selector = selectorLabels(input.record, part(input));
  const portList = [
    { name: 'grpc', port: ports.grid, targetPort: 'grpc', protocol: 'TCP' },
    { name: 'admin', port: ports.gridAdmin, targetPort: 'admin', protocol: 'TCP' },
  ];
  // The StatefulSet names it in any case: its pods keep their names when a grid of one node grows, which is when they need it.
  const peers = child(input, kinds.service, names.peers, part(input), {
    // Nodes look for one another before they are ready.
    spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector, ports: portList },
  });
  return [
    child(input, kinds.service, names.grid, part(input), {
      spec: { type: input.settings.serviceType, selector, ports: portList },
    }),
    ...(input.layout.nodeCount === 1 ? [] : [peers]),
  ];
}

export function gridStatefulSet(input: RenderInput): Child {
  const { record, layout, settings, template } = input;
  const names = namesOf(record);
  const claims = volumeClaims(input);
  const podLabels = gridLabels(input);
  const image = template.grid?.image ?? settings.odgmImage;
  return child(
    input,
    kinds.statefulSet,
    names.grid,
    part(input),
    {
      spec: {
        replicas: layout.nodeCount,
        serviceName: names.peers,
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: selectorLabels(record, part(input)) },
        template: {
          metadata: {
            labels: podLabels,
            // A node reads its configuration once, so a new one must be a new pod.
            annotations: { 'oaas.io/config-digest': digestOf(gridConfig(input)) },
          },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 30,
            securityContext: {
              runAsNonRoot: true,
              runAsUser: gridUser,
              runAsGroup: gridUser,
              fsGroup: gridUser,
              seccompProfile: { type: 'RuntimeDefault' },
            },
            ...(settings.antiAffinity && layout.nodeCount > 1 ? { affinity: spread(podLabels) } : {}),
            ...(settings.volumePermissions && claims.length > 0 ? { initContainers: [volumeOwner(image)] } : {}),
            containers: [container(input, image)],
            volumes: [
              { name: 'config', configMap: { name: names.config } },
              { name: 'tmp', emptyDir: {} },
              ...(claims.length === 0 ? [{ name: 'data', emptyDir: {} }] : []),
            ],
          },
        },
        ...(claims.length === 0 ? {} : { volumeClaimTemplates: claims }),
      },
    },
    { [annotations.gridLayout]: canonicalJson(layout) },
  );
}

/** Kubernetes gives a volume to fsGroup only where its kind supports that; a directory of the host (hostPath) stays root's. */
function volumeOwner(image: string): Record<string, unknown> {
  return {
    name: 'volume-owner',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '--eval', `require('node:fs').chownSync('/data', ${String(gridUser)}, ${String(gridUser)})`],
    securityContext: {
      runAsUser: 0,
      runAsNonRoot: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN'] },
    },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
}

function container(input: RenderInput, image: string): Record<string, unknown> {
  const probe = (path: string, timing: Record<string, number>) => ({
    httpGet: { path, port: 'admin' },
    timeoutSeconds: 5,
    ...timing,
  });
  return {
    name: 'odgm',
    image,
    imagePullPolicy: 'IfNotPresent',
    ports: [
      { name: 'grpc', containerPort: ports.grid, protocol: 'TCP' },
      { name: 'admin', containerPort: ports.gridAdmin, protocol: 'TCP' },
    ],
    env: [
      { name: 'ODGM_NODE_ID', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      {
        name: 'ODGM_ZONE',
        valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${zoneLabel}']` } },
      },
      ...env(variables(input)),
    ],
    // Opening the shards of a large volume takes time: the start has two minutes, and ready nodes are watched closely.
    startupProbe: probe('/health', { periodSeconds: 1, failureThreshold: 120 }),
    readinessProbe: probe('/ready', { periodSeconds: 2, failureThreshold: 3 }),
    livenessProbe: probe('/health', { periodSeconds: 10, failureThreshold: 3 }),
    resources: resources(input.template.grid, defaultResources),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'config', mountPath: '/config', readOnly: true },
      { name: 'data', mountPath: '/data' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
}

function variables(input: RenderInput): Record<string, string> {
  const { record, settings } = input;
  return {
    ODGM_CONFIG: '/config/odgm-config.yaml',
    ODGM_DATA_DIR: '/data',
    ODGM_HTTP_PORT: String(ports.grid),
    ODGM_ADMIN_PORT: String(ports.gridAdmin),
    ODGM_CLUSTER_ID: idOf(record),
    ODGM_MEMBERS: gridMembers(input).join(','),
    ODGM_COLLECTION: JSON.stringify(gridCollections(input)),
    ...capacity(input),
    ...eventSettings(record),
    ODGM_MAX_SESSIONS: '4',
    ODGM_REFLECTION_ENABLED: 'false',
    ODGM_LOG: record.spec.odgmConfig?.log ?? settings.logLevel,
  };
}

/** None: nothing is to be kept. */
function volumeClaims(input: RenderInput): readonly unknown[] {
  const { layout, settings } = input;
  if (settings.ephemeralGrid || layout.collections.every((one) => one.durability === 'ephemeral')) return [];
  return input.existingVolumeClaims ?? [volumeClaim(input, gridLabels(input))];
}

function gridLabels(input: RenderInput): Record<string, string> {
  return { ...labelsOf(input.record, part(input)), [labels.gridCluster]: idOf(input.record) };
}

/** What a node may hold by the size of its volume, as it was asked for; no bound where there is none. */
function capacity(input: RenderInput): Record<string, string> {
  const [claim] = volumeClaims(input) as readonly PartialClaim[];
  const size = quantityOf(claim?.spec?.resources?.requests?.storage ?? '');
  return size === undefined ? {} : { ODGM_CAPACITY_BYTES: String(Math.floor(size * partForObjects)) };
}

interface PartialClaim {
  readonly spec?: { readonly resources?: { readonly requests?: { readonly storage?: string } } };
}

function volumeClaim(input: RenderInput, claimLabels: Readonly<Record<string, string>>): Record<string, unknown> {
  const grid = input.template.grid;
  return {
    metadata: { name: 'data', labels: claimLabels },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: grid?.storageSize ?? defaultStorage } },
      ...(grid?.storageClassName === undefined ? {} : { storageClassName: grid.storageClassName }),
    },
  };
}

/** Over machines above all, and over zones: the grid can keep replicas in several zones only where it has nodes in them. */
function spread(podLabels: Readonly<Record<string, string>>): Record<string, unknown> {
  const matchLabels = { [labels.gridCluster]: podLabels[labels.gridCluster] };
  const apart = (topologyKey: string, weight: number): Record<string, unknown> => ({
    weight,
    podAffinityTerm: { labelSelector: { matchLabels }, topologyKey },
  });
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [apart('kubernetes.io/hostname', 100), apart(zoneLabel, 50)],
    },
  };
}
