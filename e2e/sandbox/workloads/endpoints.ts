import { controllerReference, isFinished, isReady, type Pod, type Service, type ServicePort } from './objects.ts';

/**
 * Annotation of a pod with the loopback port that stands for each of its container ports, as JSON: {"8080": 8451}. All
 * pods of the sandbox share the address 127.0.0.1, so only the pair of address and port names one.
 */
export const hostPortsAnnotation = 'sandbox.oaas.io/host-ports';

/** One way to reach one pod for one port of a Service. */
export interface Backend {
  readonly pod: Pod;
  readonly isReady: boolean;
  readonly servicePort: ServicePort;
  /** Port on 127.0.0.1. */
  readonly hostPort: number;
}

/** The pods behind a Service with the real port of each. Empty for a Service without a selector. */
export function backendsOf(service: Service, pods: readonly Pod[]): Backend[] {
  const selector = Object.entries(service.spec.selector ?? {});
  if (selector.length === 0) return [];
  return pods
    .filter((pod) => selector.every(([key, value]) => pod.metadata.labels?.[key] === value))
    .filter((pod) => pod.metadata.namespace === service.metadata.namespace)
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod))
    .filter((pod) => pod.status?.podIP !== undefined)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap((pod) => {
      const isServing = isReady(pod) || service.spec.publishNotReadyAddresses === true;
      return (service.spec.ports ?? []).flatMap((servicePort) => {
        const containerPort = targetPort(servicePort, pod);
        if (containerPort === undefined) return [];
        return [{ pod, isReady: isServing, servicePort, hostPort: hostPortOf(pod, containerPort) }];
      });
    });
}

/** The loopback port of a container port; the port itself where no runner has given one. */
export function hostPortOf(pod: Pod, containerPort: number): number {
  const text = pod.metadata.annotations?.[hostPortsAnnotation];
  if (text === undefined) return containerPort;
  return (JSON.parse(text) as Record<string, number>)[String(containerPort)] ?? containerPort;
}

function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  const named = pod.spec.containers
    .flatMap((container) => container.ports ?? [])
    .find((candidate) => candidate.name === target);
  if (named !== undefined) return named.containerPort;
  return /^\d+$/.test(target) ? Number(target) : undefined;
}

const managedBy = 'endpointslice-controller.sandbox.oaas.io';

/**
 * The Endpoints and EndpointSlices of a Service. Ports of one slice are shared by all of its endpoints, and here each pod
 * has ports of its own: so there is one slice, and one subset, per pod. What they say is true: 127.0.0.1 and the port
 * that answers.
 */
export function renderEndpoints(service: Service, pods: readonly Pod[]) {
  const byPod = groupByPod(backendsOf(service, pods));
  const labels = service.metadata.labels ?? {};
  const namespace = service.metadata.namespace ?? 'default';
  const name = service.metadata.name;
  const subsets = [...byPod.values()].map((backends) => {
    const first = backends[0];
    const addresses = [{ ip: '127.0.0.1', nodeName: first.pod.spec.nodeName, targetRef: referenceTo(first.pod) }];
    return {
      ...(first.isReady ? { addresses } : { notReadyAddresses: addresses }),
      ports: backends.map(portOf),
    };
  });
  const endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, labels },
    subsets,
  };
  const slices = [...byPod].map(([podName, backends]) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${podName}`,
      namespace,
      labels: {
        ...labels,
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': managedBy,
      },
      ownerReferences: [controllerReference(service)],
    },
    addressType: 'IPv4',
    endpoints: [
      {
        addresses: ['127.0.0.1'],
        conditions: {
          ready: backends[0].isReady,
          serving: isReady(backends[0].pod),
          terminating: false,
        },
        nodeName: backends[0].pod.spec.nodeName,
        targetRef: referenceTo(backends[0].pod),
      },
    ],
    ports: backends.map(portOf),
  }));
  return { endpoints, slices };
}

type Backends = readonly [Backend, ...Backend[]];

function groupByPod(backends: readonly Backend[]): Map<string, Backends> {
  const groups = new Map<string, [Backend, ...Backend[]]>();
  for (const backend of backends) {
    const group = groups.get(backend.pod.metadata.name);
    if (group === undefined) groups.set(backend.pod.metadata.name, [backend]);
    else group.push(backend);
  }
  return groups;
}

function portOf({ servicePort, hostPort }: Backend) {
  const { name, protocol = 'TCP' } = servicePort;
  return { ...(name === undefined ? {} : { name }), port: hostPort, protocol };
}

function referenceTo(pod: Pod) {
  return { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid };
}
