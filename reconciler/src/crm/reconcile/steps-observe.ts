import { byWorkload, type Caches } from '../cluster/caches.ts';
import { functionPort, functionReplicas, namesOf, ports, serviceAddress } from '../manifests/index.ts';
import type { Service, Workload } from '../objects.ts';
import { workloadFacts, type WorkloadFacts } from '../observe/workloads.ts';
import type { ServiceFacts } from './facts.ts';
import type { Step } from './step.ts';

const observeWorkloads: Step = {
  name: 'observeWorkloads',
  observes: true,
  run({ record, caches, facts, namespace }) {
    const names = namesOf(record);
    const grid = caches.statefulSets.get(`${namespace}/${names.grid}`);
    const nodes = facts.layout?.effective.nodeCount ?? grid?.spec?.replicas;
    const look = (expected: Parameters<typeof workloadFacts>[0], workload: Workload | undefined): WorkloadFacts =>
      workloadFacts(expected, workload, caches.pods.byIndex(byWorkload, expected.name));
    const found = (record.spec.deploymentUnit.functions ?? []).map((fn) => {
      const name = names.workload(fn.functionKey);
      const expected = {
        kind: 'Deployment',
        name,
        functionKey: fn.functionKey,
        desired: functionReplicas(fn),
      } as const;
      return look(expected, caches.deployments.get(`${namespace}/${name}`));
    });
    if (nodes !== undefined) found.unshift(look({ kind: 'StatefulSet', name: names.grid, desired: nodes }, grid));
    return Promise.resolve({ workloads: found });
  },
};

const observeServices: Step = {
  name: 'observeServices',
  observes: true,
  run({ record, caches, namespace }) {
    const names = namesOf(record);
    const functions = (record.spec.deploymentUnit.functions ?? []).map((fn) =>
      serviceFacts(caches, namespace, fn.functionKey, names.workload(fn.functionKey), functionPort(fn)),
    );
    return Promise.resolve({
      services: [serviceFacts(caches, namespace, 'grid', names.grid, ports.grid), ...functions],
    });
  },
};

function serviceFacts(caches: Caches, namespace: string, name: string, service: string, port: number): ServiceFacts {
  const object = caches.services.get(`${namespace}/${service}`);
  const clusterIP = object?.spec?.clusterIP;
  return {
    name,
    service,
    port,
    address: outsideAddress(caches, object, port) ?? serviceAddress(service, namespace, port),
    isBound: clusterIP !== undefined && clusterIP !== '',
  };
}

/** A node's address and the Service's port there, where it has one. */
function outsideAddress(caches: Caches, service: Service | undefined, port: number): string | undefined {
  if (service?.spec?.type !== 'NodePort') return undefined;
  const nodePort = service.spec.ports?.find((candidate) => candidate.port === port)?.nodePort;
  const addresses = [...caches.nodes.values()].flatMap((node) => node.status?.addresses ?? []);
  const internal = addresses.find((address) => address.type === 'InternalIP')?.address;
  return nodePort === undefined || internal === undefined ? undefined : `${internal}:${String(nodePort)}`;
}

/** Looks at the last answer of the grid; asking is not this step's work. A grid without a ready pod is not asked. */
const observeGrid: Step = {
  name: 'observeGrid',
  observes: true,
  run({ record, caches, grids, namespace }) {
    const id = record.metadata.name;
    const workload = caches.statefulSets.get(`${namespace}/${namesOf(record).grid}`);
    if ((workload?.status?.readyReplicas ?? 0) > 0) grids.track(id);
    else grids.forget(id);
    return Promise.resolve({ grid: grids.get(id) });
  },
};

export const observeSteps: readonly Step[] = [observeWorkloads, observeServices, observeGrid];
