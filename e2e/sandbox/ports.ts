import { oaasError } from '@oaas/commons/errors';
import { isPortFree } from './runner/host-ports.ts';

export interface ClusterPorts {
  /** Embedded Kubernetes API. */
  readonly api: number;
  readonly crm: number;
  readonly crmOps: number;
  /** First and last node port of Services. */
  readonly nodePorts: readonly [number, number];
}

/** Who listens where. Fixed offsets from one base, so that a sandbox is found at the same place after each start. */
export interface PortPlan {
  readonly console: number;
  readonly pm: number;
  readonly pmOps: number;
  readonly pmGrpc: number;
  readonly git: number;
  readonly clusters: ReadonlyMap<string, ClusterPorts>;
  /** Ports for containers and Services. */
  readonly pods: { readonly first: number; readonly count: number };
}

const perCluster = 4;
const clustersOffset = 10;
/** The first 50 of a thousand stay free, so that a second sandbox 1000 further finds its own fixed ports there. */
const podsOffset = 1050;
const podsCount = 950;
const nodePortsOffset = 2050;
const nodePortsCount = 118;

/** The ports of a sandbox with these clusters. */
export function planPorts(base: number, clusters: readonly string[]): PortPlan {
  return {
    console: base,
    pm: base + 1,
    pmOps: base + 2,
    git: base + 3,
    pmGrpc: base + 4,
    clusters: new Map(
      clusters.map((name, index) => {
        const first = base + clustersOffset + perCluster * index;
        const nodePort = base + nodePortsOffset + nodePortsCount * index;
        return [
          name,
          { api: first, crm: first + 1, crmOps: first + 2, nodePorts: [nodePort, nodePort + nodePortsCount - 1] },
        ];
      }),
    ),
    pods: { first: base + podsOffset, count: podsCount },
  };
}

/** Throws `PortInUse`, in one line, for the first fixed port that something else listens on. */
export async function checkPorts(plan: PortPlan, base: number): Promise<void> {
  const wanted: [number, string][] = [
    [plan.console, 'the console'],
    [plan.pm, 'the package manager'],
    [plan.pmOps, "the package manager's metrics"],
    [plan.pmGrpc, "the package manager's gRPC services"],
    [plan.git, 'the Git server'],
  ];
  for (const [name, ports] of plan.clusters) {
    wanted.push([ports.api, `the Kubernetes API of ${name}`]);
    wanted.push([ports.crm, `the class runtime manager of ${name}`]);
    wanted.push([ports.crmOps, `the metrics of the class runtime manager of ${name}`]);
  }
  for (const [port, owner] of wanted) {
    if (await isPortFree(port)) continue;
    throw oaasError('PortInUse', `Port ${String(port)}, meant for ${owner}, is taken by another program.`, {
      remedy: `Choose others: npm start -- --port-base ${String(base + 3000 > 62_000 ? 7400 : base + 3000)}`,
    });
  }
}
