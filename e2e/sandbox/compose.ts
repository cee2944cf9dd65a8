import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@oaas/commons/telemetry';
import { createKubernetesClient } from '@oaas/reconciler/kubernetes';
import { type GitServer, startGitServer } from '@oaas/reconciler/testkit/git';
import { type EmbeddedApi, startEmbeddedApi } from '@oaas/reconciler/testkit/kubernetes';
import { stringify } from 'yaml';
import { Child } from './child.ts';
import type { ProcessList } from './orphans.ts';
import type { ClusterPorts } from './ports.ts';
import type { HostPorts } from './runner/host-ports.ts';
import type { ImageTable } from './runner/images.ts';
import { startWorkloads, type Workloads } from './workloads.ts';
import type { Ambient } from './workloads/caches.ts';

/** What the parts of one sandbox share. */
export interface Setting extends Ambient {
  /** Folder of everything that is kept. */
  readonly dir: string;
  /** Folder of the built programs. */
  readonly dist: string;
  /** The program that runs them, with its flags. */
  readonly node: readonly string[];
  readonly processes: ProcessList;
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly logger: Logger;
  /** Told when something fails without which nothing can go on. */
  readonly fail: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export interface EmbeddedCluster {
  readonly api: EmbeddedApi;
  /** Path of a kubeconfig for it, mode 0600. */
  readonly kubeconfig: string;
  /** Absent: started without a runner. */
  readonly workloads: Workloads | undefined;
  stop(graceMs: number): Promise<void>;
}

export interface EmbeddedClusterOptions {
  readonly name: string;
  readonly port: number;
  readonly nodePorts: readonly [number, number];
  /** Absent: pods are objects that nobody runs. */
  readonly run?: { readonly images: ImageTable; readonly ports: HostPorts };
}

/** A Kubernetes API of this process, persistent under `<dir>/clusters/<name>`, and who runs its pods. */
export async function startEmbeddedCluster(
  setting: Setting,
  { name, port, nodePorts, run }: EmbeddedClusterOptions,
): Promise<EmbeddedCluster> {
  const { clock, timers, random } = setting;
  const dir = join(setting.dir, 'clusters', name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const logger = setting.logger.child({ cluster: name });
  let workloads: Workloads | undefined;
  const api = await startEmbeddedApi({
    name,
    dir: join(dir, 'api'),
    port,
    nodePorts,
    clock,
    timers,
    random,
    logger,
    onStorageFailure: setting.fail,
    subresources: {
      podLog: async (namespace, pod, query) => workloads?.runner.podLog(namespace, pod, query),
      proxy: (kind, namespace, nameAndPort) => {
        const { target, targetPort } = proxyTarget(nameAndPort);
        const found =
          kind === 'pods'
            ? workloads?.proxies.resolvePod(namespace, target, targetPort)
            : workloads?.proxies.resolveService(namespace, target, targetPort);
        return Promise.resolve(found === undefined ? undefined : `http://127.0.0.1:${String(found)}`);
      },
    },
  });
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(kubeconfig, api.kubeconfig, { mode: 0o600 });
  const client = createKubernetesClient({ kubeconfigText: api.kubeconfig, clock, timers, userAgent: 'oaas-sandbox' });
  if (run !== undefined) {
    workloads = await startWorkloads({
      api: client,
      cluster: name,
      dir,
      ...run,
      processes: setting.processes,
      baseEnv: setting.baseEnv,
      logger,
      signal: setting.signal,
      clock,
      timers,
      random,
    });
  }
  return {
    api,
    kubeconfig,
    workloads,
    stop: async (graceMs) => {
      await workloads?.stop(graceMs);
      await client.close();
      await api.stop();
    },
  };
}

/** `name`, `name:port` or `scheme:name:port`, as paths of the API server's proxy write it. */
function proxyTarget(nameAndPort: string): { target: string; targetPort: string } {
  const parts = nameAndPort.split(':');
  if (parts.length === 3) return { target: parts[1] ?? '', targetPort: parts[2] ?? '' };
  return { target: parts[0] ?? '', targetPort: parts[1] ?? '' };
}

export interface GitOptions {
  readonly port: number;
  readonly password: string;
  /** Where a push is told. */
  readonly webhook: { readonly url: string; readonly secret: string };
  /** Folder of gitops-examples. */
  readonly examples: string;
}

export const gitUser = 'oaas';
export const repository = 'gitops';

/** The Git server with one repository, which begins with the examples that are meant to run. */
export async function startGit(setting: Setting, options: GitOptions): Promise<GitServer> {
  const dir = join(setting.dir, 'git');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return startGitServer({
    dir,
    port: options.port,
    repositories: [{ name: repository, files: await seedFiles(options.examples) }],
    auth: { username: gitUser, password: options.password },
    onPush: options.webhook,
  });
}

/** YAML and README of each example. Their programs are built from the checkout, and refused inputs are for tests. */
async function seedFiles(examples: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(examples, { withFileTypes: true })) {
    if (!entry.isDirectory() || ['refused', 'schema', 'node_modules', 'dist'].includes(entry.name)) continue;
    for (const file of await readdir(join(examples, entry.name))) {
      if (!/\.(?:ya?ml|md)$/.test(file)) continue;
      files[`${entry.name}/${file}`] = await readFile(join(examples, entry.name, file), 'utf8');
    }
  }
  return files;
}

export interface CrmOptions {
  /** Name of the cluster, which is the environment that packages name. */
  readonly name: string;
  readonly ports: Pick<ClusterPorts, 'crm' | 'crmOps'>;
  readonly kubeconfig: string;
  /** Context of the kubeconfig. Absent: its current one. */
  readonly context?: string;
  readonly token: string;
  /** More environment: credential plugins of a real cluster want theirs. */
  readonly env?: Readonly<Record<string, string>>;
  /** A cluster that was there before: another CRM may serve it too, and its volumes may be plain directories of root's. */
  readonly isReal: boolean;
}

export function startCrm(setting: Setting, options: CrmOptions): Child {
  return startProgram(setting, {
    name: `crm-${options.name}`,
    program: 'crm.mjs',
    ready: `http://127.0.0.1:${String(options.ports.crmOps)}/ready`,
    env: {
      ...options.env,
      OPRC_CRM_ENV: options.name,
      OPRC_CRM_BIND_HOST: '127.0.0.1',
      OPRC_CRM_GRPC_PORT: String(options.ports.crm),
      OPRC_CRM_OPS_PORT: String(options.ports.crmOps),
      OPRC_CRM_KUBECONFIG: options.kubeconfig,
      ...(options.context === undefined ? {} : { OPRC_CRM_CONTEXT: options.context }),
      OPRC_CRM_TOKEN: options.token,
      // It runs outside the cluster: grids are asked through the API server, and clients come by node ports.
      OPRC_CRM_GRID_ACCESS: 'proxy',
      OPRC_CRM_SERVICE_TYPE: 'NodePort',
      OPRC_CRM_FEATURES_LEADER_ELECTION: String(options.isReal),
      OPRC_CRM_ODGM_VOLUME_PERMISSIONS: String(options.isReal),
      OPRC_CRM_LOG: 'info',
    },
  });
}

export interface PmOptions {
  readonly port: number;
  readonly opsPort: number;
  readonly grpcPort: number;
  readonly token: string;
  readonly clusters: readonly { readonly name: string; readonly url: string; readonly token: string }[];
  readonly git: { readonly url: string; readonly password: string };
  readonly webhookSecret: string;
  /** How often the repository is looked at without a push. Default 15. */
  readonly intervalSeconds?: number;
}

export async function startPm(setting: Setting, options: PmOptions): Promise<Child> {
  const dataDir = join(setting.dir, 'pm');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const source = {
    name: repository,
    url: options.git.url,
    ref: { branch: 'main' },
    interval_seconds: options.intervalSeconds ?? 15,
    prune: 'delete',
    auth: { type: 'basic', username: gitUser, password: options.git.password },
    webhook_secret: options.webhookSecret,
  };
  const sourcesFile = join(dataDir, 'sources.yaml');
  await writeFile(sourcesFile, stringify([source]), { mode: 0o600 });
  return startProgram(setting, {
    name: 'pm',
    program: 'pm.mjs',
    ready: `http://127.0.0.1:${String(options.opsPort)}/ready`,
    env: {
      OPRC_PM_HOST: '127.0.0.1',
      OPRC_PM_PORT: String(options.port),
      OPRC_PM_GRPC_PORT: String(options.grpcPort),
      OPRC_PM_OPS_PORT: String(options.opsPort),
      OPRC_PM_DATA_DIR: dataDir,
      OPRC_PM_TOKEN: options.token,
      OPRC_PM_SOURCES_FILE: sourcesFile,
      STORAGE_TYPE: 'embedded',
      CRM_CLUSTERS_JSON: JSON.stringify(options.clusters),
    },
  });
}

export interface ConsoleOptions {
  /** The built server.js. */
  readonly server: string;
  readonly port: number;
  readonly pm: { readonly url: string; readonly token: string };
  readonly password: string;
  readonly cookieKey: string;
}

export function startConsole(setting: Setting, options: ConsoleOptions): Child {
  return startProgram(setting, {
    name: 'console',
    program: options.server,
    ready: `http://127.0.0.1:${String(options.port)}/sign-in`,
    env: {
      NODE_ENV: 'production',
      HOSTNAME: '127.0.0.1',
      PORT: String(options.port),
      NEXT_TELEMETRY_DISABLED: '1',
      OAAS_PM_URL: options.pm.url,
      OAAS_PM_TOKEN: options.pm.token,
      OAAS_CONSOLE_PASSWORD: options.password,
      OAAS_CONSOLE_SECRET: options.cookieKey,
    },
  });
}

interface ProgramOptions {
  readonly name: string;
  /** File under dist, or an absolute path. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  /** Answers 200 when the program is ready. */
  readonly ready: string;
}

function startProgram(setting: Setting, { name, program, env, ready }: ProgramOptions): Child {
  const { node, dist, dir, processes, logger, clock, timers, random } = setting;
  return new Child({
    name,
    command: [...node, program.startsWith('/') ? program : join(dist, program)],
    env: { ...setting.baseEnv, ...env },
    cwd: dir,
    logPath: join(dir, 'logs', `${name}.log`),
    isReady: async () => {
      const response = await fetch(ready, { signal: AbortSignal.timeout(2000), redirect: 'manual' });
      await response.body?.cancel();
      return response.status === 200;
    },
    processes,
    logger,
    clock,
    timers,
    random,
  }).start();
}
