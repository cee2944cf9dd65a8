import { createEdgeChannel, createEdgeServer } from '@oaas/commons/grpc/edge';
import type { Duplex } from 'node:stream';
import { HealthRegistry, LifecycleGroup } from '@oaas/commons/lifecycle';
import { createMetrics, createOpsHandler, type Logger, newCorrelationId } from '@oaas/commons/telemetry';
import { createTracing } from '@oaas/commons/telemetry/tracing';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { oaasError } from '@oaas/commons/errors';
import { admin, invoke, peer } from '@oaas/proto';
import { dataServiceDefinition } from '@oaas/commons/client';
import {
  AdminAccess,
  Audit,
  Collections,
  createAdminHttp,
  DeadLetters,
  gridAdminService,
  logAuditSink,
  Tasks,
  VersionHolders,
} from './admin/index.ts';
import type { OdgmConfig } from './config.ts';
import { type ConfigSource, ConfigWatch } from './config-watch.ts';
import { ClientPool, createFunctions, Invoker } from './invocation/index.ts';
import { type ClusterAccess, discoveredSeeds, nodesOfName, PodWatch } from './discovery/index.ts';
import { changedSettings, defaultSettings, invalidSettings, newClusterThrottle, type Settings } from './meta/index.ts';
import {
  createNodeMetrics,
  GridNode,
  hostAndPort,
  listedSeeds,
  type Member,
  parseMembers,
  type Seed,
  type Seeds,
  withSelf,
} from './node/index.ts';
import { dialTcp } from './mesh/dial.ts';
import { createTcpMesh } from './mesh/tcp-mesh.ts';
import { meshPreface } from './mesh/handshake.ts';
import { ResourceSampler } from './resources.ts';
import { deliveryObserver, sampleOnScrape } from './sampling.ts';
import { createPeers, dataService, functionService, GridTracing, peerService, triggerPort } from './rpc/index.ts';
import { openDurableEngine } from './storage/durable.ts';
import { createMemoryEngine } from './storage/memory.ts';

/** The DNS is asked again when what it said is older than this. */
const dnsFreshMs = 1000;

export interface NodeDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly version: string;
  readonly hostName: string;
  readonly memoryBytes: () => number;
  /** Processor time used so far, in milliseconds. */
  readonly cpuMs: () => number;
  /** The API server, asked for when pods are discovered. Rejects with `ConfigInvalid` outside of a pod. */
  readonly clusterAccess: () => Promise<ClusterAccess>;
  /** Absent: the configuration does not come from a file. */
  readonly configSource?: ConfigSource | undefined;
}

export interface NodeProgram {
  readonly group: LifecycleGroup;
  readonly node: GridNode;
  /** Where the node listens, once started. */
  readonly listening: { grpc: string; admin: string };
}

/** Puts one node together: configuration in, everything that starts and stops out. Throws `ConfigInvalid`. */
export function createNodeProgram(config: OdgmConfig, dependencies: NodeDependencies): NodeProgram {
  const { clock, timers, random, logger, version } = dependencies;
  const { seeds, self, podWatch } = seedsOf(config, dependencies);
  const metrics = createMetrics({ service: 'odgm', processMetrics: true });
  const nodeMetrics = createNodeMetrics(metrics);
  const health = new HealthRegistry({ timers });
  const { tracesEndpoint: endpoint, tracesRatio: ratio } = config;
  const traces =
    endpoint === undefined
      ? undefined
      : createTracing({ service: 'odgm', version, instance: self.id, endpoint, ratio, flushMs: config.tracesInterval });
  const tracing = traces === undefined ? undefined : new GridTracing(traces);
  let storageFailure: Error | undefined;

  const channelsOf = (connectionsPerAddress: number) => ({
    ...{ clock, timers },
    openChannel: (address: string) =>
      createEdgeChannel(address, { clock, timers, random, connectionsPerAddress, reconnectMaxMs: 1000 }),
  });
  const dataClients = new ClientPool(dataServiceDefinition, channelsOf(config.maxSessions));
  const peerClients = new ClientPool(peer.GridPeerDefinition, channelsOf(1));
  const adminClients = new ClientPool(admin.GridAdminDefinition, channelsOf(1));
  const functions = createFunctions(channelsOf(config.maxSessions));

  const peers = createPeers({
    clusterId: config.clusterId,
    self: self.id,
    clientOf: (address) => peerClients.client(address),
  });
  /** Until the node is a member it has no links: who dials comes again. */
  let acceptLink: (socket: Duplex, head: Uint8Array) => void = (socket) => {
    socket.destroy();
  };
  const resources = new ResourceSampler({ clock, timers, cpuMs: dependencies.cpuMs, directory: config.dataDir });
  const node = new GridNode({
    clusterId: config.clusterId,
    version,
    seeds,
    self,
    collections: config.collections,
    tuning: { leaseReads: config.leaseReads },
    openEngine: (durability, onCorruption) =>
      durability === 'persistent'
        ? openDurableEngine({
            directory: config.dataDir,
            owner: `ODGM node ${self.id} (pid ${String(process.pid)})`,
            timers,
            logger,
            onCorruption: (error) => {
              logger.error({ err: error }, 'stored data is damaged');
              onCorruption(error);
            },
            onFailure: (error) => {
              storageFailure = error;
            },
            onRetention: (hints) => {
              node.relieve(hints);
            },
          })
        : Promise.resolve(createMemoryEngine()),
    openMesh: ({ clusterId, ...identity }) => {
      const mesh = createTcpMesh({
        clusterId,
        self: identity,
        dial: dialTcp,
        clock,
        timers,
        random,
        logger,
      });
      acceptLink = (socket, head) => {
        mesh.accept(socket, head);
      };
      return mesh;
    },
    joinPort: peers,
    settings: settingsOf(config),
    capacityBytes: config.capacityBytes,
    reportPort: peers,
    random,
    schedule: (run) => setImmediate(run),
    clock,
    timers,
    logger,
    joinTimeoutMs: config.joinTimeout,
    memoryBytes: dependencies.memoryBytes,
    tracer: tracing,
    resources: () => ({ ...resources.sample, functionCalls: invoker.inFlight }),
    events: config.eventsEnabled
      ? {
          port: { call: (classId, invocation, options) => triggers.call(classId, invocation, options) },
          maxDepth: config.maxTriggerDepth,
          timeoutMs: config.triggerTimeoutMs,
          observer: deliveryObserver(nodeMetrics),
        }
      : undefined,
    onMoved: (seconds) => {
      nodeMetrics.migrationSeconds.observe({}, seconds);
    },
  });
  health.register('liveness', 'storage', () => ({ ok: storageFailure === undefined, reason: storageFailure?.message }));
  health.register('readiness', 'node', () => ({ ok: node.isReady, reason: node.phase }));

  const invoker = new Invoker({
    functions,
    clock,
    random,
    timeoutMs: config.invocationTimeout,
    maxInFlight: config.maxInvocations,
    onCall: ({ collection, functionName, status, durationMs }) => {
      const labels = { collection, function: functionName };
      nodeMetrics.calls.inc(labels);
      nodeMetrics.callSeconds.observe(labels, durationMs / 1000);
      if (status !== invoke.ResponseStatus.OKAY) nodeMetrics.callErrors.inc({ ...labels, status: nameOf(status) });
    },
  });

  const triggers = triggerPort({ node, invoker, clock });

  const grpc = createEdgeServer({
    logger,
    clock,
    timers,
    health,
    metrics,
    reflection: config.reflectionEnabled,
    // Shards encode what they store, and calls that are passed on end soon.
    requestBytes: 'borrowed',
    otherProtocols: [
      {
        preface: meshPreface,
        alpn: undefined,
        accept: (socket, head) => {
          acceptLink(socket, head);
        },
      },
    ],
  });
  const audit = new Audit(logAuditSink(logger), clock);
  const access = new AdminAccess({ token: config.adminToken, jwtSecret: config.adminJwtSecret, clock });
  const tasks = new Tasks({ node, clock, timers });
  const collections = new Collections({ node, clock, timers });
  const letters = new DeadLetters({ node, clientOf: ({ address }) => adminClients.client(address), clock });
  const versions = new VersionHolders(node, ({ address }) => adminClients.client(address));
  const clientOf = ({ address }: Member) => dataClients.client(address);
  grpc.add(dataServiceDefinition, dataService({ node, clientOf, metrics: nodeMetrics, clock, tracing }));
  grpc.add(
    invoke.OprcFunctionDefinition,
    functionService({ node, invoker, clock, newCorrelationId: () => newCorrelationId(random), tracing }),
  );
  grpc.add(peer.GridPeerDefinition, peerService(node));
  grpc.add(
    admin.GridAdminDefinition,
    gridAdminService({ node, tasks, collections, versions, deadLetters: letters, metrics, audit, clock, access }),
  );

  const { configSource } = dependencies;
  const configWatch =
    configSource === undefined
      ? undefined
      : new ConfigWatch({
          ...configSource,
          running: config,
          // Who adds a collection to the file of a running node wants it, also where one of that name was deleted.
          apply: (collections, added) => node.putCollections(collections, added),
          refusalOf: (collection) => node.refusalOf(collection),
          clock,
          timers,
          logger,
        });
  const status = () => ({
    program: 'odgm',
    version,
    node: self.id,
    cluster_id: config.clusterId,
    phase: node.phase,
    member: node.number,
    members: node.members().length,
    collections: node.collections().map(({ spec }) => spec.name),
    config: configWatch === undefined ? null : configOf(configWatch),
  });
  const http = createAdminHttp({
    node,
    tasks,
    collections,
    versions,
    deadLetters: letters,
    metrics,
    ops: createOpsHandler({ health, metrics, status, logger }),
    access,
    audit,
    clock,
    logger,
  });
  sampleOnScrape({ ...dependencies, node, invoker, resources, metrics: nodeMetrics, traffic: () => grpc.traffic() });

  const listening = { grpc: '', admin: '' };
  const group = new LifecycleGroup({ timers, logger })
    .add({
      name: 'traces',
      timeoutMs: 12_000,
      stop: () => traces?.close(),
    })
    .add({
      name: 'connections',
      stop: () => {
        resources.close();
        functions.close();
        dataClients.close();
        peerClients.close();
        adminClients.close();
      },
    })
    .add({
      name: 'node storage',
      timeoutMs: 30_000,
      stop: () => node.stop(),
    })
    .add({
      name: 'admin server',
      start: async () => {
        await http.listen({ host: config.bindHost, port: config.adminPort }).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
          throw oaasError('PortInUse', `port ${String(config.adminPort)} on ${config.bindHost} is taken`);
        });
        const [bound] = http.addresses();
        if (typeof bound === 'object') listening.admin = `${bound.address}:${String(bound.port)}`;
      },
      stop: () => http.close(),
    })
    .add({
      name: 'gRPC server',
      timeoutMs: config.drainTimeout + 1000,
      start: async () => {
        const { host, port } = await grpc.listen({ host: config.bindHost, port: config.httpPort });
        listening.grpc = `${host}:${String(port)}`;
      },
      stop: () => grpc.drain(config.drainTimeout),
    })
    .add({
      name: 'discovery of pods',
      start: () => podWatch?.start(),
      stop: () => podWatch?.stop(),
    })
    .add({
      name: 'node',
      timeoutMs: config.joinTimeout + 60_000,
      start: async (signal) => {
        await node.start(signal);
        logger.info({ ...listening }, 'listening');
      },
      stop: () => node.drain(),
    })
    .add({
      name: 'configuration file',
      start: () => configWatch?.start(),
      stop: () => configWatch?.stop(),
    });
  return { group, node, listening };
}

/** Settings of a grid that this node forms. Throws `ConfigInvalid`. */
function settingsOf({ settings }: OdgmConfig): Partial<Settings> {
  const base = { ...defaultSettings, throttle: newClusterThrottle };
  const changed = changedSettings(base, settings);
  const problem = invalidSettings({ ...base, ...changed });
  if (problem === undefined) return changed;
  throw oaasError('ConfigInvalid', `settings: ${problem}`, { remedy: 'Correct the settings of the configuration.' });
}

/** Where the other nodes are, by list, DNS or pods, and this one among them. Throws `ConfigInvalid`. */
function seedsOf(
  config: OdgmConfig,
  { hostName, clock, timers, random, logger, clusterAccess: access }: NodeDependencies,
): { readonly seeds: Seeds; readonly self: Member; readonly podWatch?: PodWatch } {
  const given = config.nodeAddr === undefined ? undefined : hostAndPort(config.nodeAddr);
  const own = { id: config.nodeId ?? hostName, address: given ?? `${hostName}:${String(config.httpPort)}` };
  const zone = config.zone === undefined ? {} : { zone: config.zone };
  const { discovery, discoveryName, expectedMembers, clusterId, httpPort } = config;
  if (discovery === 'list') {
    const { members, self } = withSelf(parseMembers(config.members), own);
    return { seeds: listedSeeds(members), self: { ...zone, ...self } };
  }
  const host = own.address.slice(0, own.address.lastIndexOf(':'));
  const self = { ...own, admin: `${host}:${String(config.adminPort)}`, ...zone };
  const found = (find: () => Promise<readonly Seed[]>, freshMs: number): Seeds =>
    discoveredSeeds({ find, expected: expectedMembers, freshMs, clock });
  if (discovery === 'dns') {
    if (discoveryName === undefined) {
      throw oaasError('ConfigInvalid', 'discovery by DNS needs a name', {
        remedy: 'Set ODGM_DISCOVERY_NAME to the name of the headless Service of the grid.',
      });
    }
    return { seeds: found(() => nodesOfName(discoveryName, httpPort), dnsFreshMs), self };
  }
  const onError = (error: Error): void => {
    logger.warn({ err: error }, 'the pods of the grid cannot be watched now');
  };
  const podWatch = new PodWatch({ access, clusterId, defaultPort: httpPort, timers, random, onError });
  // What is watched is never old.
  return { seeds: found(() => podWatch.nodes(), 0), self, podWatch };
}

function configOf({ status }: ConfigWatch) {
  const { file, changedAt, changed: what = null, refused, needsRestart, problem = null } = status;
  const changed = changedAt === undefined ? null : new Date(changedAt).toISOString();
  return { file, changed_at: changed, changed: what, refused, needs_restart: needsRestart, problem };
}

function nameOf(status: invoke.ResponseStatus): string {
  const found = Object.entries(invoke.ResponseStatus).find(([, value]) => value === status);
  return found?.[0] ?? 'SYSTEM_ERROR';
}
