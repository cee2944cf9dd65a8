import { PassThrough } from 'node:stream';
import { admin, common, deployment, health, topology, type unit } from '@oaas/proto';
import { oaasError, type OaasError } from '@oaas/commons/errors';
import { createGrpcServer, type GrpcServer } from '@oaas/commons/grpc';
import { createLogger } from '@oaas/commons/telemetry';
import { gridLayout } from '../../src/record/index.ts';

type DeploymentRecord = deployment.DeploymentRecord;
type RecordEvent = deployment.DeploymentRecordEvent;

export interface FakeCrmOptions {
  /** Name of the environment. */
  readonly name: string;
  /** @default 0, any free one */
  readonly port?: number;
  /** Bearer token that callers must send. Absent: everyone may call. */
  readonly token?: string;
}

export interface FakeCrm {
  readonly url: string;
  readonly port: number;
  /** Records by id, as the cluster has them. They survive `stop` and `restart`. */
  readonly records: ReadonlyMap<string, DeploymentRecord>;
  /** Last unit that was deployed, by id. */
  readonly units: ReadonlyMap<string, unit.DeploymentUnit>;
  /** `Deploy` and `DeleteDeployment` calls that came in, oldest first. */
  readonly calls: readonly {
    readonly method: 'deploy' | 'delete';
    readonly id: string;
    readonly deleteData?: boolean;
  }[];
  /** What `Deploy` of a unit answers instead of taking it. */
  refuse(decide: (unit: unit.DeploymentUnit) => OaasError | undefined): void;
  /** Objects that the grid of a record holds. Default 0. */
  setObjects(id: string, objects: number): void;
  /** Whether grids answer. */
  setGridReachable(isReachable: boolean): void;
  /** Marks a record as running, as its workloads would make it. */
  markReady(id: string): void;
  /** Changes a record's spec behind PM's back, its digest staying as it is. */
  tamper(id: string): void;
  /** Deletes a record behind PM's back. */
  remove(id: string): void;
  stop(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
}

const { RECORD_EVENT_ADDED, RECORD_EVENT_DELETED, RECORD_EVENT_MODIFIED, RECORD_EVENT_SYNCED } =
  deployment.RecordEventType;

export async function startFakeCrm(options: FakeCrmOptions): Promise<FakeCrm> {
  const records = new Map<string, DeploymentRecord>();
  const units = new Map<string, unit.DeploymentUnit>();
  const objects = new Map<string, number>();
  const tampered = new Set<string>();
  const calls: { method: 'deploy' | 'delete'; id: string; deleteData?: boolean }[] = [];
  const watchers = new Set<PassThrough>();
  let refuse: (unit: unit.DeploymentUnit) => OaasError | undefined = () => undefined;
  let isGridReachable = true;
  let clock = 0;
  let server: GrpcServer;
  let port = options.port ?? 0;

  const emit = (type: RecordEvent['type'], record: DeploymentRecord | undefined) => {
    for (const watcher of watchers) watcher.write({ type, record });
  };
  const now = () => new Date(1_767_225_600_000 + clock++).toISOString();
  const put = (record: DeploymentRecord) => {
    const isNew = !records.has(record.id);
    records.set(record.id, record);
    emit(isNew ? RECORD_EVENT_ADDED : RECORD_EVENT_MODIFIED, record);
  };
  const remove = (id: string) => {
    const record = records.get(id);
    if (record === undefined) return;
    records.delete(id);
    units.delete(id);
    emit(RECORD_EVENT_DELETED, record);
  };

  function deploy(wanted: unit.DeploymentUnit): deployment.DeployResult {
    const { DEPLOY_RESULT_CREATED, DEPLOY_RESULT_UPDATED, DEPLOY_RESULT_UNCHANGED } = deployment.DeployResult;
    const before = records.get(wanted.id);
    if (before?.source?.digest === wanted.source?.digest && !tampered.has(wanted.id)) return DEPLOY_RESULT_UNCHANGED;
    tampered.delete(wanted.id);
    units.set(wanted.id, wanted);
    put(recordOf(wanted, before, now()));
    return before === undefined ? DEPLOY_RESULT_CREATED : DEPLOY_RESULT_UPDATED;
  }

  const requireGrid = (id: string): unit.DeploymentUnit => {
    const wanted = units.get(id);
    if (wanted === undefined) throw oaasError('NotFound', `no deployment ${id}`);
    if (!isGridReachable) throw oaasError('Unavailable', 'the grid does not answer');
    return wanted;
  };

  const listen = async () => {
    server = createGrpcServer({
      logger: createLogger({ service: 'fake-crm', level: 'error' }),
      interceptors: [
        (context, next) => {
          const given = context.metadata.get('authorization');
          if (options.token !== undefined && given !== `Bearer ${options.token}`)
            throw oaasError('Unauthenticated', 'the token is not known');
          return next();
        },
      ],
    });
    server.add(deployment.DeploymentServiceDefinition, {
      deploy: async ({ deploymentUnit }) => {
        await Promise.resolve();
        if (deploymentUnit === undefined) throw oaasError('InvalidArgument', 'there is no unit');
        calls.push({ method: 'deploy', id: deploymentUnit.id });
        const refusal = refuse(deploymentUnit);
        if (refusal !== undefined) throw refusal;
        return {
          status: common.StatusCode.OK,
          deploymentId: deploymentUnit.id,
          message: undefined,
          result: deploy(deploymentUnit),
        };
      },
      deleteDeployment: async ({ deploymentId, deleteData }) => {
        await Promise.resolve();
        calls.push({ method: 'delete', id: deploymentId, deleteData: deleteData === true });
        if (!records.has(deploymentId)) throw oaasError('NotFound', `no deployment ${deploymentId}`);
        remove(deploymentId);
        return { status: common.StatusCode.OK, message: undefined };
      },
      listDeploymentRecords: async () => {
        await Promise.resolve();
        return { records: [...records.values()], nextCursor: '' };
      },
      async *watchDeploymentRecords(_request, { signal }) {
        const stream = new PassThrough({ objectMode: true, highWaterMark: 100_000 });
        for (const record of records.values()) stream.write({ type: RECORD_EVENT_ADDED, record });
        stream.write({ type: RECORD_EVENT_SYNCED, record: undefined });
        watchers.add(stream);
        const end = () => stream.end();
        signal.addEventListener('abort', end, { once: true });
        try {
          for await (const event of stream) yield event as RecordEvent;
        } finally {
          watchers.delete(stream);
          signal.removeEventListener('abort', end);
        }
      },
    });
    server.add(health.CrmInfoServiceDefinition, {
      getEnvHealth: async () => {
        await Promise.resolve();
        return {
          envName: options.name,
          status: 'Healthy',
          crmVersion: '0.0.0',
          lastSeen: undefined,
          nodeCount: 1,
          readyNodes: 1,
          availability: 1,
          kubernetesVersion: 'v0',
          profile: 'dev',
          records: records.size,
          leader: true,
        };
      },
    });
    server.add(topology.TopologyServiceDefinition, {
      getTopology: async () => {
        await Promise.resolve();
        const node = {
          id: options.name,
          nodeType: 'environment',
          status: 'healthy',
          metadata: {},
          deployedClasses: [],
        };
        return { nodes: [node], edges: [], timestamp: undefined };
      },
    });
    server.add(admin.GridAdminDefinition, {
      listCollections: async ({ deploymentId }) => {
        await Promise.resolve();
        return { collections: collectionsOf(requireGrid(deploymentId), objects.get(deploymentId) ?? 0) };
      },
      getClusterStatus: async ({ deploymentId }) => {
        await Promise.resolve();
        requireGrid(deploymentId);
        return {
          clusterId: deploymentId,
          leaderNode: '',
          totalNodes: 1,
          activeNodes: 1,
          currentTerm: 0,
          committedIndex: 0,
          lastApplied: 0,
        };
      },
      listMembers: async ({ deploymentId }) => {
        await Promise.resolve();
        requireGrid(deploymentId);
        return { members: [] };
      },
      getShardDistribution: async ({ deploymentId }) => {
        await Promise.resolve();
        requireGrid(deploymentId);
        return { shards: [], balanceScore: 1 };
      },
    });
    ({ port } = await server.listen({ host: '127.0.0.1', port }));
  };

  await listen();
  return {
    get port() {
      return port;
    },
    get url() {
      return `http://127.0.0.1:${String(port)}`;
    },
    records,
    units,
    calls,
    refuse: (decide) => {
      refuse = decide;
    },
    setObjects: (id, count) => objects.set(id, count),
    setGridReachable: (isReachable) => {
      isGridReachable = isReachable;
    },
    markReady: (id) => {
      const record = records.get(id);
      if (record !== undefined)
        put({
          ...record,
          updatedAt: now(),
          condition: 'Running',
          phase: 'Ready',
          conditions: [readyCondition(record.generation)],
        });
    },
    tamper: (id) => {
      const record = records.get(id);
      tampered.add(id);
      if (record !== undefined) put({ ...record, generation: record.generation + 1, updatedAt: now() });
    },
    remove,
    stop: async () => {
      server.stop();
      await Promise.resolve();
    },
    restart: listen,
  };
}

function readyCondition(generation: number): deployment.Condition {
  return {
    type: 'Ready',
    status: 'True',
    reason: 'ReconciliationSucceeded',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: generation,
  };
}

function collectionsOf(wanted: unit.DeploymentUnit, total: number): admin.Collection[] {
  const layout = gridLayout({
    packageName: wanted.packageName,
    classKey: wanted.classKey,
    stateSpec: wanted.stateSpec,
    nfr: wanted.nfrRequirements,
    odgm: wanted.odgmConfig,
  });
  return layout.collections.map((each, index) => ({
    name: each.name,
    partitionCount: each.partitionCount,
    replicaCount: each.replicaCount,
    shardType: each.shardType,
    durability: each.durability,
    totalObjects: index === 0 ? total : 0,
    sizeBytes: 0,
    shardsReady: each.partitionCount,
    shards: [],
    performanceStats: undefined,
    classIds: [...each.classIds],
  }));
}

function recordOf(wanted: unit.DeploymentUnit, before: DeploymentRecord | undefined, at: string): DeploymentRecord {
  return deployment.DeploymentRecord.fromPartial({
    id: wanted.id,
    namespace: 'default',
    uid: wanted.id,
    packageName: wanted.packageName,
    classKey: wanted.classKey,
    targetEnv: wanted.targetEnv,
    source: wanted.source,
    generation: (before?.generation ?? 0) + 1,
    observedGeneration: 0,
    phase: 'ResourceProvisioning',
    condition: 'Provisioning',
    conditions: [],
    selectedTemplate: 'k8s_deployment',
    createdAt: before?.createdAt ?? at,
    updatedAt: at,
  });
}
