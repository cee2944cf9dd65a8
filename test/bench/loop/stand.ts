import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPmClient, type PmClient } from '@oaas/commons/client/pm';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { createKubernetesClient, type KubernetesClient } from '@oaas/reconciler/kubernetes';
import { type RealApi, startRealApi } from '@oaas/reconciler/testkit/kubernetes';
import {
  gitUser,
  repository,
  type Setting,
  startCrm,
  startEmbeddedCluster,
  startGit,
  startPm,
} from '@oaas/e2e/sandbox/compose';
import { ProcessList } from '@oaas/e2e/sandbox/orphans';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Stand {
  readonly pm: PmClient;
  readonly kubernetes: KubernetesClient;
  /** A clone to work in. */
  readonly clone: string;
  /** Process ids of the programs under measurement. */
  pid(program: 'pm' | 'crm-cloud'): number;
  /** Process ids of the real API server and its etcd; empty where the API is another one. */
  readonly apiPids: ReadonlyMap<string, number>;
  /** Requests that the real API server has served, by verb and resource; empty where the API is another one. */
  requests(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

export interface StandOptions {
  readonly api: 'embedded' | 'real' | 'none';
  /** False: PM finds commits by polling only. */
  readonly webhook: boolean;
  /** Default 15. */
  readonly pollSeconds?: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** PM and one CRM as real processes, a Git server and a Kubernetes API; nobody runs the pods. */
export async function startStand(options: StandOptions): Promise<Stand> {
  const dir = mkdtempSync(join(tmpdir(), 'oaas-bench-'));
  mkdirSync(join(dir, 'logs'));
  const abort = new AbortController();
  const stops: (() => Promise<unknown>)[] = [];
  const setting: Setting = {
    dir,
    dist: join(root, 'dist'),
    node: [process.execPath],
    processes: new ProcessList(join(dir, 'processes')),
    baseEnv: { PATH: process.env['PATH'] ?? '', HOME: dir },
    logger: createLogger({ service: 'bench', level: 'error' }),
    fail: (error) => {
      throw error;
    },
    signal: abort.signal,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  };
  const token = 'benchmark-token-0123456789';
  let kubeconfig = '';
  let real: RealApi | undefined;
  if (options.api === 'embedded') {
    const cluster = await startEmbeddedCluster(setting, { name: 'cloud', port: 0, nodePorts: [30_000, 32_767] });
    kubeconfig = cluster.kubeconfig;
    stops.unshift(() => cluster.stop(1000));
  }
  if (options.api === 'real') {
    const assets = process.env['KUBEBUILDER_ASSETS'];
    if (assets === undefined) throw new Error('KUBEBUILDER_ASSETS names no real API server');
    const started = await startRealApi({ assets });
    real = started;
    kubeconfig = join(dir, 'kubeconfig');
    writeFileSync(kubeconfig, started.kubeconfig, { mode: 0o600 });
    stops.unshift(() => started.stop());
  }
  const kubernetes = createKubernetesClient({
    ...(kubeconfig === '' ? { kubeconfigText: emptyKubeconfig } : { kubeconfig }),
    clock: systemClock,
    timers: systemTimers,
  });
  stops.unshift(() => kubernetes.close());
  const [gitPort, pmPort, pmOps, pmGrpc, crmPort, crmOps] = await Promise.all([1, 2, 3, 4, 5, 6].map(freePort));
  const examples = join(dir, 'seed');
  mkdirSync(join(examples, 'readme'), { recursive: true });
  writeFileSync(join(examples, 'readme', 'README.md'), 'Benchmark\n');
  const secret = 'benchmark-webhook-secret';
  const pmUrl = `http://127.0.0.1:${pmPort ?? 0}`;
  const git = await startGit(setting, {
    port: gitPort ?? 0,
    password: 'benchmark',
    webhook: { url: options.webhook ? `${pmUrl}/api/v1/webhooks/{repository}` : 'http://127.0.0.1:9/', secret },
    examples,
  });
  stops.unshift(() => git.stop());
  const children = new Map<
    string,
    { stop(graceMs: number): Promise<void>; ready(ms: number, s: AbortSignal): Promise<void> }
  >();
  const crmUrl = `http://127.0.0.1:${crmPort ?? 0}`;
  if (options.api !== 'none') {
    children.set(
      'crm-cloud',
      startCrm(setting, {
        name: 'cloud',
        ports: { crm: crmPort ?? 0, crmOps: crmOps ?? 0 },
        kubeconfig,
        token,
        isReal: false,
      }),
    );
  }
  const pm = await startPm(setting, {
    port: pmPort ?? 0,
    opsPort: pmOps ?? 0,
    grpcPort: pmGrpc ?? 0,
    token,
    clusters: ['cloud', ...(options.api === 'none' ? ['edge'] : [])].map((name) => ({ name, url: crmUrl, token })),
    git: { url: git.repositoryUrl(repository), password: 'benchmark' },
    webhookSecret: secret,
    intervalSeconds: options.pollSeconds ?? 15,
  });
  children.set('pm', pm);
  for (const child of children.values()) stops.unshift(() => child.stop(2000));
  await Promise.all([...children.values()].map((child) => child.ready(60_000, abort.signal)));

  const clone = join(dir, 'clone');
  const url = new URL(git.repositoryUrl(repository));
  url.username = gitUser;
  url.password = 'benchmark';
  await run('git', ['clone', '--quiet', url.href, clone]);
  await run('git', ['-C', clone, 'config', 'user.name', 'Bench']);
  await run('git', ['-C', clone, 'config', 'user.email', 'bench@example.org']);
  return {
    pm: createPmClient({ baseUrl: pmUrl, token, timeoutMs: 60_000 }),
    kubernetes,
    clone,
    pid: (program) => pidOf(setting.dist, program),
    apiPids: real?.pids ?? new Map<string, number>(),
    requests: () => (real === undefined ? Promise.resolve(new Map<string, number>()) : requestsOf(real)),
    stop: async () => {
      abort.abort();
      for (const stop of stops) await stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };

  function pidOf(dist: string, program: 'pm' | 'crm-cloud'): number {
    const file = join(dist, program === 'pm' ? 'pm.mjs' : 'crm.mjs');
    const pids = readFileSync(join(dir, 'processes'), 'utf8')
      .split('\n')
      .map((line) => Number(line.split(' ')[0]))
      .filter((pid) => pid > 0);
    const found = pids.find((pid) => commandLine(pid).includes(file));
    if (found === undefined) throw new Error(`${program} does not run`);
    return found;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Processor time of a process so far, in milliseconds, as Linux counts it (in ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** `apiserver_request_total` of the server's own metrics, by `VERB resource/subresource`. */
async function requestsOf(real: RealApi): Promise<ReadonlyMap<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { authorization: `Bearer ${real.token}` };
    get(`${real.url}/metrics`, { ca: real.caPem, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    }).once('error', reject);
  });
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('apiserver_request_total{')) continue;
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? '';
    const subresource = label('subresource');
    const key = `${label('verb')} ${label('resource')}${subresource === '' ? '' : `/${subresource}`}`;
    counts.set(key, (counts.get(key) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return counts;
}

/** Greatest resident memory of a process so far, in KiB, as Linux counts it. */
export function peakMemoryKiB(pid: number): number {
  const line = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0);
}

/** Writes files, commits, and pushes. Resolves with the commit's id and when the push began. */
export async function push(
  clone: string,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly commit: string; readonly at: number }> {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    writeFileSync(join(clone, path), text);
  }
  await run('git', ['-C', clone, 'add', '--all'], { maxBuffer: 64 * 1024 * 1024 });
  await run('git', ['-C', clone, 'commit', '--quiet', '-m', 'Change']);
  const { stdout } = await run('git', ['-C', clone, 'rev-parse', 'HEAD']);
  const at = performance.now();
  await run('git', ['-C', clone, 'push', '--quiet']);
  return { commit: stdout.trim(), at };
}

const emptyKubeconfig = `apiVersion: v1
kind: Config
clusters: [{ name: none, cluster: { server: 'http://127.0.0.1:9' } }]
users: [{ name: none, user: {} }]
contexts: [{ name: none, context: { cluster: none, user: none } }]
current-context: none
`;
