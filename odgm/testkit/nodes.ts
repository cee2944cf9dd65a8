import { createDataClient, createFunctionClient, type DataClient, type FunctionClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import { createLogger } from '@oaas/commons/telemetry';
import type { Clock } from '@oaas/commons/time';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { eventually } from '@oaas/commons/testkit';
import { loadOdgmConfig } from '../src/config.ts';
import { accessOfPod, type ClusterAccess } from '../src/discovery/index.ts';
import { createNodeProgram, type NodeProgram } from '../src/main-node.ts';
import { metaShard } from '../src/meta/index.ts';
import { freePorts } from './ports.ts';

export interface NodeOptions {
  readonly id?: string;
  readonly dataDir: string;
  /** As in ODGM_COLLECTION. */
  readonly collections: readonly object[];
  /** As in ODGM_MEMBERS. Default: this node alone. */
  readonly members?: readonly string[];
  readonly grpcPort?: number;
  readonly adminPort?: number;
  /** For the discovery of pods. */
  readonly clusterAccess?: () => Promise<ClusterAccess>;
  /** Default: that of the system. */
  readonly clock?: Clock;
  /** Further variables, such as ODGM_ADMIN_TOKEN. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningNode {
  readonly id: string;
  readonly program: NodeProgram;
  /** host:port. */
  readonly grpc: string;
  /** http://host:port. */
  readonly admin: string;
  readonly channel: Channel;
  readonly data: DataClient;
  readonly functions: FunctionClient;
  stop(): Promise<void>;
}

/** Starts a node in this process, by the same way as the program does. Resolves when it is ready. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const id = options.id ?? 'n1';
  const { config } = loadOdgmConfig(
    {
      ODGM_NODE_ID: id,
      ODGM_BIND_HOST: '127.0.0.1',
      ODGM_HTTP_PORT: String(options.grpcPort ?? 0),
      ODGM_ADMIN_PORT: String(options.adminPort ?? 0),
      ODGM_DATA_DIR: options.dataDir,
      ODGM_COLLECTION: JSON.stringify(options.collections),
      ODGM_MEMBERS: (options.members ?? []).join(','),
      ODGM_HEARTBEAT_INTERVAL: '100ms',
      ODGM_MAX_SESSIONS: '1',
      ...options.env,
    },
    [],
  );
  const program = createNodeProgram(config, {
    clock: options.clock ?? systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger: createLogger({ service: 'odgm', level: (process.env['TEST_LOG'] as 'silent' | undefined) ?? 'silent' }),
    version: 'test',
    hostName: 'localhost',
    clusterAccess: options.clusterAccess ?? (() => accessOfPod({})),
    memoryBytes: () => process.memoryUsage.rss(),
    cpuMs: () => process.cpuUsage().user / 1000,
  });
  await program.group.start();
  const channel = createGrpcChannel(program.listening.grpc);
  return {
    id,
    program,
    grpc: program.listening.grpc,
    admin: `http://${program.listening.admin}`,
    channel,
    data: createDataClient(channel),
    functions: createFunctionClient(channel),
    stop: async () => {
      channel.close();
      await program.group.stop();
    },
  };
}

export interface GridOptions {
  /** Each node has the folder `<dataDir>/<id>`. */
  readonly dataDir: string;
  /** Ids of the nodes, such as n1, n2. */
  readonly ids: readonly string[];
  readonly collections: readonly object[];
}

export interface RunningGrid {
  readonly nodes: readonly RunningNode[];
  /** Member list, as in ODGM_MEMBERS. */
  readonly members: readonly string[];
  stop(): Promise<void>;
}

/** Starts several nodes that know each other, all at once. Resolves when any one of three or more can be stopped. */
export async function startGrid(options: GridOptions): Promise<RunningGrid> {
  const ports = await freePorts(options.ids.length);
  const members = options.ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i] ?? 0)}`);
  const nodes = await Promise.all(
    options.ids.map((id, i) =>
      startNode({
        id,
        members,
        dataDir: `${options.dataDir}/${id}`,
        collections: options.collections,
        grpcPort: ports[i] ?? 0,
      }),
    ),
  );
  await eventually(() => nodes.every((node) => isWhole(node, nodes.length)), { timeoutMs: 30_000 });
  return {
    nodes,
    members,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** As far as this node has heard, all members are there, and as many of them vote in the meta group as should. */
function isWhole({ program }: RunningNode, memberCount: number): boolean {
  const meta = program.node.meta;
  if (meta?.state.members.size !== memberCount) return false;
  return meta.state.shards.get(metaShard)?.wanted === meta.group.confState.voters.length;
}
