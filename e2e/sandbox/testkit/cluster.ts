import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createLogger } from '@oaas/commons/telemetry';
import { tempDir } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { createKubernetesClient, type KubernetesClient } from '@oaas/reconciler/kubernetes';
import { startEmbeddedApi } from '@oaas/reconciler/testkit/kubernetes';
import { ProcessList } from '../orphans.ts';
import { HostPorts, isPortFree } from '../runner/host-ports.ts';
import type { ImageTable } from '../runner/images.ts';
import type { LogQuery } from '../runner/logs.ts';
import { startWorkloads } from '../workloads.ts';
import type { Pod } from '../workloads/objects.ts';
import { sandboxKinds } from '../workloads/caches.ts';

export const ambient = { clock: systemClock, timers: systemTimers, random: systemRandom };

/** Preloaded into what runs, as in the sandbox. */
export const tether = join(import.meta.dirname, '..', 'tether.cjs');

const nodePorts: readonly [number, number] = [30_100, 30_999];

/** An embedded Kubernetes API with workload controllers and a process runner, whose images are small scripts. */
export interface TestCluster {
  readonly api: KubernetesClient;
  readonly dir: string;
  readonly processes: ProcessList;
  pod(name: string): Promise<Pod>;
  /** A port of 127.0.0.1 that nobody listens on, within the node ports of the API. */
  freePort(): Promise<number>;
  log(pod: string, query?: LogQuery & { readonly previous?: boolean }): Promise<string>;
  logStream(pod: string, query: LogQuery): Promise<Readable | undefined>;
  /** Ends the processes and starts everything anew on the same data, as a restart of the sandbox does. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param scripts image repository -> source of a Node.js script */
export async function startTestCluster(scripts: Readonly<Record<string, string>>): Promise<TestCluster> {
  const temp = await tempDir('oaas-sandbox-');
  const images = await writeImages(join(temp.path, 'images'), scripts);
  const processes = new ProcessList(join(temp.path, 'processes'));
  const start = async () => {
    const embedded = await startEmbeddedApi({ name: 'test', dir: join(temp.path, 'api'), nodePorts, ...ambient });
    const api = createKubernetesClient({
      kubeconfigText: embedded.kubeconfig,
      clock: systemClock,
      timers: systemTimers,
    });
    const workloads = await startWorkloads({
      api,
      cluster: 'test',
      dir: temp.path,
      images,
      ports: await freeRange(join(temp.path, 'ports.json')),
      processes,
      baseEnv: { PATH: process.env['PATH'] ?? '' },
      logger: createLogger({ service: 'sandbox', level: 'silent' }),
      signal: AbortSignal.timeout(20_000),
      ...ambient,
    });
    const stop = async (): Promise<void> => {
      await workloads.stop(2000);
      await api.close();
      await embedded.stop();
    };
    return { api, workloads, stop };
  };
  let running = await start();
  return {
    get api() {
      return running.api;
    },
    dir: temp.path,
    processes,
    pod: async (name) => (await running.api.get(sandboxKinds.pod, { namespace: 'default', name })) as Pod,
    freePort: async () => {
      for (let port = nodePorts[0]; port <= nodePorts[1]; port += 1) if (await isPortFree(port)) return port;
      throw new Error('no node port is free');
    },
    log: async (pod, query = {}) => {
      const stream = await running.workloads.runner.podLog('default', pod, query);
      let text = '';
      for await (const chunk of stream ?? []) text += String(chunk);
      return text;
    },
    logStream: (pod, query) => running.workloads.runner.podLog('default', pod, query),
    restart: async () => {
      await running.stop();
      running = await start();
    },
    stop: async () => {
      await running.stop();
      await temp.remove();
    },
  };
}

async function writeImages(dir: string, scripts: Readonly<Record<string, string>>): Promise<ImageTable> {
  await mkdir(dir, { recursive: true });
  const images: Record<string, ImageTable[string]> = {};
  for (const [repository, source] of Object.entries(scripts)) {
    const file = join(dir, `${repository.replaceAll('/', '-')}.mjs`);
    await writeFile(file, source);
    images[repository] = {
      command: [process.execPath, '--require', tether, file],
      portEnv: { 9090: 'ADMIN_PORT', any: 'PORT' },
      defaults: { DATA_DIR: '/data' },
    };
  }
  return images;
}

/** Ports far from those that the system gives to outgoing connections, at a random place: tests run side by side. */
async function freeRange(file: string): Promise<HostPorts> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 200) * 100;
    if (await isPortFree(first)) return new HostPorts({ file, first, count: 100 });
  }
}

/** A pod of one container for the test cluster. */
export function testPod(name: string, image: string, spec: object = {}, container: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: { containers: [{ name: 'main', image, ...container }], terminationGracePeriodSeconds: 2, ...spec },
  };
}
