import type { ServiceHandlers } from '@oaas/commons/grpc';
import type { HealthRegistry } from '@oaas/commons/lifecycle';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import { health, type topology } from '@oaas/proto';
import { type DeploymentRecord, labels } from '../../record/index.ts';
import { byRecord, type Caches } from '../cluster/caches.ts';
import type { Node } from '../objects.ts';
import { isPodReady } from '../observe/pods.ts';

export interface InfoOptions {
  readonly caches: Caches;
  readonly registry: HealthRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly env: string;
  readonly profile: string;
  readonly version: string;
  readonly kubernetesVersion: () => string | undefined;
  readonly isLeader: () => boolean;
  /** Collections that cannot be followed at the moment. */
  readonly lostCaches: () => readonly string[];
}

const healthPollMs = 1000;

export function healthService({
  registry,
  timers,
}: InfoOptions): ServiceHandlers<typeof health.HealthServiceDefinition> {
  const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = health.HealthCheckResponse_ServingStatus;
  const check = async (service: string): Promise<health.HealthCheckResponse> => {
    if (service !== '' && service !== 'crm' && !service.startsWith('oaas.')) return { status: SERVICE_UNKNOWN };
    return { status: (await registry.report('readiness')).ok ? SERVING : NOT_SERVING };
  };
  return {
    check: ({ service }) => check(service),
    watch: async function* ({ service }, { signal }) {
      let last: number | undefined;
      while (!signal.aborted) {
        const answer = await check(service);
        if (answer.status !== last) yield answer;
        last = answer.status;
        await sleep(timers, healthPollMs, signal).catch(() => undefined);
      }
    },
  };
}

export function crmInfoService(options: InfoOptions): ServiceHandlers<typeof health.CrmInfoServiceDefinition> {
  return {
    getEnvHealth: async () => {
      const nodes = [...options.caches.nodes.values()];
      const readyNodes = nodes.filter(isNodeReady).length;
      const report = await options.registry.report('readiness');
      const isDegraded = options.lostCaches().length > 0 || readyNodes < nodes.length;
      return {
        envName: options.env,
        status: report.ok ? (isDegraded ? 'Degraded' : 'Healthy') : 'Unhealthy',
        crmVersion: options.version,
        lastSeen: timestamp(options.clock.now()),
        nodeCount: nodes.length,
        readyNodes,
        availability: nodes.length === 0 ? undefined : readyNodes / nodes.length,
        kubernetesVersion: options.kubernetesVersion(),
        profile: options.profile,
        records: options.caches.records.size,
        leader: options.isLeader(),
      };
    },
  };
}

export function topologyService({
  caches,
  clock,
  env,
}: InfoOptions): ServiceHandlers<typeof topology.TopologyServiceDefinition> {
  return {
    getTopology: () => {
      const nodes: topology.TopologyNode[] = [];
      const edges: topology.TopologyEdge[] = [];
      const records = [...caches.records.values()];
      const classes = records.map(classId);
      nodes.push({
        id: `env:${env}`,
        nodeType: 'environment',
        status: worst(records),
        metadata: {},
        deployedClasses: classes,
      });
      for (const record of records) addRecord(record, caches, env, nodes, edges);
      return Promise.resolve({ nodes, edges, timestamp: timestamp(clock.now()) });
    },
  };
}

function addRecord(
  record: DeploymentRecord,
  caches: Caches,
  env: string,
  nodes: topology.TopologyNode[],
  edges: topology.TopologyEdge[],
): void {
  const id = record.metadata.name;
  const deployedClasses = [classId(record)];
  const classNode = `class:${id}`;
  nodes.push({
    id: classNode,
    nodeType: 'class',
    status: statusOf(record),
    metadata: { deployment: id, package: record.spec.deploymentUnit.packageName },
    deployedClasses,
  });
  edges.push({ fromId: `env:${env}`, toId: classNode, metadata: {} });
  for (const pod of caches.pods.byIndex(byRecord, id)) {
    const isGrid = pod.metadata.labels?.[labels.name] === 'odgm';
    const node = `${isGrid ? 'odgm' : 'function'}:${pod.metadata.name}`;
    nodes.push({
      id: node,
      nodeType: isGrid ? 'odgm' : 'function',
      status: isPodReady(pod) ? 'healthy' : 'degraded',
      metadata: {
        deployment: id,
        component: pod.metadata.labels?.[labels.component] ?? '',
        node: pod.spec?.nodeName ?? '',
      },
      deployedClasses,
    });
    edges.push({ fromId: classNode, toId: node, metadata: {} });
  }
}

function classId({ spec }: DeploymentRecord): string {
  return `${spec.deploymentUnit.packageName}.${spec.deploymentUnit.classKey}`;
}

type TopologyStatus = 'healthy' | 'degraded' | 'down';

function statusOf(record: DeploymentRecord): TopologyStatus {
  if (record.status?.health === 'Healthy') return 'healthy';
  return record.status?.condition === 'Failed' ? 'down' : 'degraded';
}

function worst(records: readonly DeploymentRecord[]): TopologyStatus {
  return records.every((record) => statusOf(record) === 'healthy') ? 'healthy' : 'degraded';
}

function isNodeReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function timestamp(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor(ms % 1000) * 1_000_000 };
}
