import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@oaas/commons/telemetry';
import { EventRecorder } from '@oaas/reconciler/controller';
import type { KubernetesApi } from '@oaas/reconciler/kubernetes';
import type { ProcessList } from './orphans.ts';
import type { HostPorts } from './runner/host-ports.ts';
import type { ImageTable } from './runner/images.ts';
import { Runner } from './runner/runner.ts';
import { ServiceProxies } from './runner/service-proxies.ts';
import { type Ambient, createCaches } from './workloads/caches.ts';
import { createWorkloadControllers } from './workloads/controllers.ts';
import { eventSink } from './workloads/events.ts';
import { LocalNode } from './workloads/node.ts';

export interface WorkloadsOptions extends Ambient {
  readonly api: KubernetesApi;
  readonly cluster: string;
  /** Folder of the cluster: `pods/` and `volumes/` are kept here. */
  readonly dir: string;
  readonly images: ImageTable;
  readonly ports: HostPorts;
  readonly processes: ProcessList;
  /** Environment that every pod's process has, such as PATH. */
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly logger: Logger;
  /** Ends the wait for the server. */
  readonly signal: AbortSignal;
}

export interface Workloads {
  readonly runner: Runner;
  readonly proxies: ServiceProxies;
  /** Ends all pods' processes and everything that watches. The objects stay in the API server. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Everything that a bare API server lacks to run pods on this machine: a node, the workload controllers, the process
 * runner and the service proxies. Resolves when all of it is at work.
 */
export async function startWorkloads(options: WorkloadsOptions): Promise<Workloads> {
  const { api, cluster, clock, timers, random, ports, logger } = options;
  const ambient = { clock, timers, random };
  const nodeName = `${cluster}-local`;
  const claimDir = (namespace: string, claim: string) => join(options.dir, 'volumes', namespace, claim);
  await mkdir(join(options.dir, 'pods'), { recursive: true, mode: 0o700 });

  const caches = createCaches(api, ambient, (error) => logger.debug({ err: error }, 'a watch failed and goes on'));
  const node = new LocalNode({
    api,
    name: nodeName,
    ...ambient,
    onError: (error) => logger.warn({ err: error }, 'the node lease was not renewed'),
  });
  const events = new EventRecorder({
    sink: eventSink(api, 'sandbox-controllers', nodeName, random),
    clock,
    onError: (error) => logger.debug({ err: error }, 'an event was not written'),
  });
  const controllers = createWorkloadControllers({
    api,
    caches,
    nodeName,
    claimDir,
    events,
    ...ambient,
    onFailure: (controller, key, error) =>
      logger.warn({ err: error, controller, key }, 'a workload was not reconciled'),
  });
  const proxies = new ServiceProxies({
    cluster,
    caches,
    ports,
    ...ambient,
    onFailure: (key, error) => logger.warn({ err: error, service: key }, 'a service has no listener'),
  });
  const runner = new Runner({ ...options, nodeName, claimDir, caches });

  await Promise.all([node.start(), caches.start(options.signal)]);
  await runner.start();
  proxies.start();
  for (const controller of controllers) controller.start();

  return {
    runner,
    proxies,
    stop: async (graceMs) => {
      node.stop();
      // No new pods while the present ones end.
      await Promise.all(controllers.map((controller) => controller.stop(500).catch(() => undefined)));
      await runner.stop(graceMs);
      await proxies.stop();
      await caches.stop();
    },
  };
}
