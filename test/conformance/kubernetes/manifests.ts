/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access -- answers are any JSON, checked by assertions */
import type { Any } from './api-client.ts';

const labels = { app: 'web' };
const template: Any = {
  metadata: { labels },
  spec: {
    containers: [
      {
        name: 'main',
        image: 'example.io/app',
        ports: [{ containerPort: 8080, name: 'http' }],
        env: [
          { name: 'A', value: '1' },
          { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        readinessProbe: { httpGet: { port: 8080 } },
        livenessProbe: { tcpSocket: { port: 'http' }, periodSeconds: 5 },
        resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '100m' } },
        volumeMounts: [
          { name: 'conf', mountPath: '/conf' },
          { name: 'data', mountPath: '/data' },
        ],
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'true'] } } },
      },
    ],
    initContainers: [{ name: 'init', image: 'example.io/init:1' }],
    volumes: [
      { name: 'conf', configMap: { name: 'c' } },
      { name: 'data', emptyDir: {} },
      { name: 'secret', secret: { secretName: 's' } },
    ],
  },
};
const meta = { name: 'web' };

/** One object of each kind, with the fields that get defaults. */
export const MANIFESTS: Readonly<Record<string, { readonly path: string; readonly object: Any }>> = {
  deployment: {
    path: '/apis/apps/v1/namespaces/{namespace}/deployments',
    object: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...meta, labels },
      spec: { selector: { matchLabels: labels }, template },
    },
  },
  replicaset: {
    path: '/apis/apps/v1/namespaces/{namespace}/replicasets',
    object: {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: meta,
      spec: { selector: { matchLabels: labels }, template },
    },
  },
  statefulset: {
    path: '/apis/apps/v1/namespaces/{namespace}/statefulsets',
    object: {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: meta,
      spec: {
        serviceName: 'web',
        selector: { matchLabels: labels },
        template,
        volumeClaimTemplates: [
          {
            metadata: { name: 'vol' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    },
  },
  daemonset: {
    path: '/apis/apps/v1/namespaces/{namespace}/daemonsets',
    object: {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: meta,
      spec: { selector: { matchLabels: labels }, template },
    },
  },
  pod: {
    path: '/api/v1/namespaces/{namespace}/pods',
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...meta, labels },
      spec: { ...template.spec, terminationGracePeriodSeconds: 5 },
    },
  },
  job: {
    path: '/apis/batch/v1/namespaces/{namespace}/jobs',
    object: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: meta,
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i:1' }] } } },
    },
  },
  cronjob: {
    path: '/apis/batch/v1/namespaces/{namespace}/cronjobs',
    object: {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: meta,
      spec: {
        schedule: '* * * * *',
        jobTemplate: {
          spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i:1' }] } } },
        },
      },
    },
  },
  service: {
    path: '/api/v1/namespaces/{namespace}/services',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta,
      spec: {
        selector: labels,
        ports: [
          { name: 'http', port: 80, targetPort: 'http' },
          { name: 'grpc', port: 81 },
        ],
      },
    },
  },
  'service-headless': {
    path: '/api/v1/namespaces/{namespace}/services',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta,
      spec: { clusterIP: 'None', selector: labels, ports: [{ port: 80 }], publishNotReadyAddresses: true },
    },
  },
  'service-node-port': {
    path: '/api/v1/namespaces/{namespace}/services',
    object: { apiVersion: 'v1', kind: 'Service', metadata: meta, spec: { type: 'NodePort', ports: [{ port: 80 }] } },
  },
  configmap: {
    path: '/api/v1/namespaces/{namespace}/configmaps',
    object: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...meta, annotations: { 'example.io/a': 'b' } },
      data: { k: 'v' },
      binaryData: { b: 'AAE=' },
    },
  },
  secret: {
    path: '/api/v1/namespaces/{namespace}/secrets',
    object: { apiVersion: 'v1', kind: 'Secret', metadata: meta, data: { k: 'dg==' } },
  },
  serviceaccount: {
    path: '/api/v1/namespaces/{namespace}/serviceaccounts',
    object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta },
  },
  namespace: {
    path: '/api/v1/namespaces',
    object: { apiVersion: 'v1', kind: 'Namespace', metadata: { ...meta, labels: { a: 'b' } } },
  },
  node: {
    path: '/api/v1/nodes',
    object: { apiVersion: 'v1', kind: 'Node', metadata: { ...meta, labels: { 'node-role.kubernetes.io/worker': '' } } },
  },
  claim: {
    path: '/api/v1/namespaces/{namespace}/persistentvolumeclaims',
    object: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: meta,
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  },
  volume: {
    path: '/api/v1/persistentvolumes',
    object: {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: meta,
      spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/tmp/x' } },
    },
  },
  event: {
    path: '/api/v1/namespaces/{namespace}/events',
    object: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: meta,
      involvedObject: { kind: 'Pod', name: 'p', namespace: '{namespace}', apiVersion: 'v1' },
      reason: 'Started',
      message: 'it started',
      type: 'Normal',
      source: { component: 'kubelet' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    },
  },
  endpoints: {
    path: '/api/v1/namespaces/{namespace}/endpoints',
    object: {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: meta,
      subsets: [{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 80 }] }],
    },
  },
  endpointslice: {
    path: '/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: meta,
      addressType: 'IPv4',
      endpoints: [{ addresses: ['10.1.2.3'], conditions: { ready: true } }],
      ports: [{ port: 80 }],
    },
  },
  lease: {
    path: '/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases',
    object: {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: meta,
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15 },
    },
  },
  autoscaler: {
    path: '/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers',
    object: {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: meta,
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 5 },
    },
  },
  'disruption-budget': {
    path: '/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets',
    object: {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: meta,
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    },
  },
  'network-policy': {
    path: '/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: meta,
      spec: { podSelector: { matchLabels: labels }, ingress: [{ ports: [{ port: 80 }] }] },
    },
  },
  ingress: {
    path: '/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: meta,
      spec: {
        rules: [
          {
            host: 'a.example.io',
            http: {
              paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }],
            },
          },
        ],
      },
    },
  },
  'storage-class': {
    path: '/apis/storage.k8s.io/v1/storageclasses',
    object: { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: meta, provisioner: 'example.io/p' },
  },
  role: {
    path: '/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: meta,
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    },
  },
  'role-binding': {
    path: '/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: meta,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'web' },
      subjects: [
        { kind: 'ServiceAccount', name: 'sa', namespace: 'default' },
        { kind: 'User', name: 'u' },
      ],
    },
  },
  'priority-class': {
    path: '/apis/scheduling.k8s.io/v1/priorityclasses',
    object: { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: meta, value: 7 },
  },
};
