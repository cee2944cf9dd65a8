import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { createGrpcServer, type GrpcServer } from '@oaas/commons/grpc';
import { HealthRegistry, LifecycleGroup } from '@oaas/commons/lifecycle';
import type { TlsMaterial } from '@oaas/commons/security';
import { createMetrics, type Logger, newCorrelationId, type OpsServer, startOpsServer } from '@oaas/commons/telemetry';
import { type Clock, type Random, randomHex, sleep, type Timers } from '@oaas/commons/time';
import { admin, deployment, health as healthProto, topology } from '@oaas/proto';
import { Controller, EventRecorder, LeaderElector, Manager, type StoreChange } from '../controller/index.ts';
import type { KubernetesClient, KubeObject } from '../kubernetes/index.ts';
import { type DeploymentRecord, labels } from '../record/index.ts';
import { applyCrds } from './cluster/apply-crds.ts';
import { createCaches } from './cluster/caches.ts';
import { eventSink } from './cluster/event-sink.ts';
import { leaseStore } from './cluster/lease-store.ts';
import type { CrmConfig } from './config.ts';
import { DeploysFirst } from './deploys-first.ts';
import { createCrmMetrics } from './metrics.ts';
import type { Workload } from './objects.ts';
import { createGridHttp } from './observe/grid-http.ts';
import { GridObserver } from './observe/grid-observer.ts';
import { ChildApplier } from './reconcile/applier.ts';
import { createReconciler } from './reconcile/reconciler.ts';
import { requireToken } from './serve/authenticate.ts';
import { Deployer } from './serve/deployer.ts';
import { deploymentService } from './serve/deployment-service.ts';
import { gridService } from './serve/grid-service.ts';
import { crmInfoService, healthService, type InfoOptions, topologyService } from './serve/info-services.ts';
import { RecordHub } from './serve/record-hub.ts';

export interface CrmDependencies {
  readonly api: KubernetesClient;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly version: string;
  /** Name of this machine or pod; with a random part it is the identity in the election. */
  readonly hostName: string;
  readonly tls?: TlsMaterial | undefined;
  /** Ends the program: it may no longer work. */
  readonly onFatal: (reason: string) => void;
}

export interface CrmProgram {
  readonly group: LifecycleGroup;
  /** Where it listens, once started. */
  readonly listening: { grpc: string; ops: string };
}

/** Changes of children that come together are one look at their record. */
const childDelayMs = 50;
/** While records wait, each of the two writers of events pauses this long before each. */
const eventPaceMs = 200;
/** How long the API server may take to be there when the CRM starts. */
const startTimeoutMs = 60_000;
const stopTimeoutMs = 3000;
const leaseName = 'oaas-crm';

/** Puts one CRM together: configuration in, everything that starts and stops out. */
export function createCrmProgram(config: CrmConfig, dependencies: CrmDependencies): CrmProgram {
  const { api, clock, timers, random, logger, version } = dependencies;
  const time = { clock, timers, random };
  const namespace = config.k8sNamespace ?? api.defaultNamespace ?? 'default';
  const identity = `${dependencies.hostName}_${randomHex(random, 4)}`;
  const metrics = createMetrics({ service: 'crm', processMetrics: true });
  const crmMetrics = createCrmMetrics(metrics, () => caches);
  const health = new HealthRegistry({ timers });
  const lost = new Set<string>();

  const caches = createCaches({
    api,
    namespace,
    ...time,
    onError: (collection, error) => {
      crmMetrics.cacheErrors.inc({ collection });
      const isNews = !lost.has(collection);
      lost.add(collection);
      if (isNews) logger.warn({ collection, err: error }, 'a collection cannot be followed');
    },
  });
  const http = createGridHttp({ namespace, access: config.gridAccess, api, timers });
  const grids = new GridObserver({
    http,
    ...time,
    metrics: crmMetrics.queue('grids'),
    onChange: (id) => {
      controller.enqueue(`${namespace}/${id}`);
      hub.touch(id);
    },
  });
  const first = new DeploysFirst(time);
  const events = new EventRecorder({
    sink: eventSink(api, identity),
    // Events are for people: while records wait, they are written a few at a time.
    pace: (): Promise<void> | undefined => (controller.depth > 0 ? sleep(timers, eventPaceMs) : undefined),
    clock,
    onError: (error) => {
      logger.debug({ err: error }, 'an event could not be written');
    },
  });
  const controller: Controller = new Controller({
    name: 'records',
    ...time,
    concurrency: config.workers,
    metrics: crmMetrics.queue('records'),
    reconcile: createReconciler({
      api,
      caches,
      applier: new ChildApplier(api, caches.children),
      grids,
      events,
      first,
      isBusy: (): boolean => controller.depth > 0,
      clock,
      logger,
      namespace,
      settings: {
        odgmImage: config.odgmImage,
        serviceType: config.serviceType,
        logLevel: config.profile === 'dev' ? 'debug' : 'info',
        antiAffinity: config.profile === 'full',
        volumePermissions: config.odgmVolumePermissions,
        ephemeralGrid: config.odgmEphemeral,
      },
      onDone: (seconds, result) => {
        crmMetrics.reconciliation.observe({ result }, seconds);
      },
    }),
    onFailure: (key, error, retryInMs) => {
      logger.warn(
        { record: key, code: error.code, reason: error.message, retryInMs },
        'a record is not where it should be',
      );
    },
  });
  const hub = new RecordHub({ caches, grids, namespace, timers });

  controller.watch(caches.records, (change) => (isOwnWrite(change) ? [] : [change.key]));
  const ofRecord = ({ object }: StoreChange<KubeObject>): string[] => {
    const id = object.metadata.labels?.[labels.deployment];
    return id === undefined ? [] : [`${namespace}/${id}`];
  };
  const delayed = { delayMs: childDelayMs };
  for (const store of caches.children.values()) controller.watch(store, ofRecord, delayed);
  controller.watch(caches.pods, ofRecord, delayed);
  const everyRecord = (): string[] => [...caches.records.keys()];
  controller.watch(caches.templates, everyRecord, delayed);
  controller.watch(caches.environments, everyRecord, delayed);
  caches.statefulSets.subscribe((change) => {
    if (change.type === 'updated' && readyOf(change.object) !== readyOf(change.old)) {
      grids.hurry(change.object.metadata.labels?.[labels.deployment] ?? '');
    }
  });

  const elector = config.features.leaderElection
    ? new LeaderElector({
        lease: leaseStore(api, { namespace, name: leaseName }),
        identity,
        ...time,
        onElected: () => {
          logger.info({ identity }, 'holds the lease');
          manager.work();
        },
        onLost: dependencies.onFatal,
        onError: (error) => {
          logger.warn({ err: error }, 'the lease could not be renewed');
        },
      })
    : undefined;
  const manager = new Manager({ caches: caches.required, controllers: [controller], elector });
  health.register('readiness', 'caches', () => {
    const waiting = manager.waitingFor;
    return waiting.length === 0 ? { ok: true } : { ok: false, reason: `waiting for ${waiting.join(', ')}` };
  });

  let kubernetesVersion: string | undefined;
  const info: InfoOptions = {
    caches,
    registry: health,
    clock,
    timers,
    env: config.env,
    profile: config.profile,
    version,
    kubernetesVersion: () => kubernetesVersion,
    isLeader: () => manager.isLeader,
    lostCaches: () => caches.required.filter(({ failures }) => failures > 0).map(({ name }) => name),
  };
  const grpc: GrpcServer = createGrpcServer({
    logger,
    metrics,
    health,
    reflection: true,
    newCorrelationId: () => newCorrelationId(random),
    ...(dependencies.tls === undefined ? {} : { tls: dependencies.tls }),
    interceptors: config.token === undefined ? [] : [requireToken(config.token)],
  });
  grpc.add(
    deployment.DeploymentServiceDefinition,
    deploymentService({
      deployer: new Deployer({ api, caches, namespace, first }),
      hub,
      caches,
      namespace,
      clusterName: config.env,
      onDeployed: (result) => {
        crmMetrics.deployments.inc({ result });
      },
    }),
  );
  grpc.add(healthProto.HealthServiceDefinition, healthService(info));
  grpc.add(healthProto.CrmInfoServiceDefinition, crmInfoService(info));
  grpc.add(topology.TopologyServiceDefinition, topologyService(info));
  grpc.add(admin.GridAdminDefinition, gridService({ http, caches, namespace, timers }));

  const listening = { grpc: '', ops: '' };
  let ops: OpsServer | undefined;
  const group = new LifecycleGroup({ timers, logger })
    .add({
      name: 'operations pages',
      start: async () => {
        const status = () => ({
          program: 'crm',
          version,
          env: config.env,
          namespace,
          leader: manager.isLeader,
          records: caches.records.size,
          kubernetes_version: kubernetesVersion ?? '',
        });
        ops = await startOpsServer({ host: config.bindHost, port: config.opsPort, health, metrics, status, logger });
        listening.ops = `${ops.host}:${String(ops.port)}`;
      },
      stop: () => ops?.stop(),
    })
    .add({
      name: 'Kubernetes API',
      timeoutMs: startTimeoutMs,
      start: async (signal) => {
        kubernetesVersion = await untilReachable(() => api.serverVersion({ signal }), dependencies, signal);
        logger.info({ cluster: api.cluster, namespace, kubernetesVersion }, 'connected to Kubernetes');
        if (config.applyCrds) {
          await untilReachable(() => applyCrds(api, timers, signal), dependencies, signal);
        }
      },
      stop: () => api.close(),
    })
    .add({
      name: 'grid observer',
      start: () => {
        grids.start();
      },
      stop: async () => {
        await grids.stop();
        await http.close();
      },
    })
    .add({
      name: 'controller',
      timeoutMs: startTimeoutMs,
      start: async (signal) => {
        for (const cache of caches.optional) cache.start();
        await manager.start(signal);
      },
      stop: async () => {
        await manager.stop(stopTimeoutMs);
        await Promise.all(caches.optional.map((cache) => cache.stop()));
        hub.stop();
      },
    })
    .add({
      name: 'gRPC server',
      start: async () => {
        const { host, port } = await grpc.listen({ host: config.bindHost, port: config.grpcPort });
        listening.grpc = `${host}:${String(port)}`;
      },
      stop: () => grpc.drain(stopTimeoutMs),
    });
  return { group, listening };
}

/** What we write ourselves, the status, is no reason to look again. */
function isOwnWrite(change: StoreChange<DeploymentRecord>): boolean {
  if (change.type !== 'updated') return false;
  const relevant = ({ metadata }: DeploymentRecord) =>
    JSON.stringify([metadata.generation, metadata.deletionTimestamp, metadata.finalizers, metadata.annotations]);
  return relevant(change.object) === relevant(change.old);
}

function readyOf(workload: Workload): number {
  return workload.status?.readyReplicas ?? 0;
}

/** Tries again while the server is not there: a CRM may start before its cluster. Refusals end the start. */
async function untilReachable<T>(
  attempt: () => Promise<T>,
  { timers, logger }: CrmDependencies,
  signal: AbortSignal,
): Promise<T> {
  for (let pauseMs = 200; ; pauseMs = Math.min(pauseMs * 2, 5000)) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (error.consequence !== 'retry' || signal.aborted) throw error;
      logger.warn({ err: error, retryInMs: pauseMs }, 'the Kubernetes API does not answer');
      await sleep(timers, error.retryAfterMs ?? pauseMs, signal).catch((cancelled: unknown) => {
        throw isOaasError(cancelled) && signal.aborted
          ? oaasError('Unavailable', error.message, { cause: error })
          : cancelled;
      });
    }
  }
}
