import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, generateKeyPairSync } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderKubeconfig } from './kubeconfig.ts';

/** How to start a real control plane from a folder with `etcd`, `kube-apiserver` and `kube-controller-manager` (envtest's layout). */
export interface RealApiOptions {
  /** The folder that envtest calls KUBEBUILDER_ASSETS. */
  readonly assets: string;
  /**
   * Controllers to run in a kube-controller-manager beside the API server, by their names
   * (`garbage-collector-controller`, `namespace-controller`, ...). Absent or empty: none is started.
   */
  readonly controllers?: readonly string[];
  /** Cluster and context name in the kubeconfig. Default: `real`. */
  readonly name?: string;
  /** How long each process may take to become ready, in milliseconds. Default: 60,000. */
  readonly timeoutMs?: number;
}

/** A running real API server with its etcd. */
export interface RealApi {
  readonly url: string;
  /** YAML, with the server's certificate and an administrator's token. */
  readonly kubeconfig: string;
  readonly token: string;
  readonly caPem: string;
  /** The folder with the logs (`etcd.log`, `kube-apiserver.log`, ...), removed by `stop`. */
  readonly dir: string;
  /** Process ids by program: `etcd`, `kube-apiserver` and, where controllers run, `kube-controller-manager`. */
  readonly pids: ReadonlyMap<string, number>;
  /** Ends the processes and removes their data. */
  stop(): Promise<void>;
}

const POLL_MS = 50;
const STOP_GRACE_MS = 5_000;

/**
 * Starts etcd and kube-apiserver (and kube-controller-manager where controllers are named) on free ports of 127.0.0.1.
 * Throws, with the end of the log, when one of them does not become ready in time; nothing is left running then.
 */
export async function startRealApi(options: RealApiOptions): Promise<RealApi> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const dir = await mkdtemp(join(tmpdir(), 'real-kubernetes-'));
  const children: ChildProcess[] = [];
  const pids = new Map<string, number>();
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) await endProcess(child);
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const [client, peer, secure] = await freePorts(3);
    const etcd = `http://127.0.0.1:${String(client)}`;
    const etcdPeer = `http://127.0.0.1:${String(peer)}`;
    const url = `https://127.0.0.1:${String(secure)}`;
    const token = randomBytes(24).toString('base64url');
    const accountKey = join(dir, 'service-account.key');
    const tokens = join(dir, 'tokens.csv');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(accountKey, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    await writeFile(tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });

    const run = (program: string, args: readonly string[]): ChildProcess => {
      const log = createWriteStream(join(dir, `${program}.log`));
      const child = spawn(join(options.assets, program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.pipe(log, { end: false });
      child.stderr.pipe(log, { end: false });
      children.push(child);
      if (child.pid !== undefined) pids.set(program, child.pid);
      return child;
    };

    run('etcd', [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${etcdPeer}`,
      `--initial-advertise-peer-urls=${etcdPeer}`,
      `--initial-cluster=default=${etcdPeer}`,
      '--unsafe-no-fsync=true',
    ]);
    const api = run('kube-apiserver', [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${String(secure)}`,
      `--cert-dir=${join(dir, 'certificates')}`,
      `--service-account-key-file=${accountKey}`,
      `--service-account-signing-key-file=${accountKey}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${tokens}`,
      '--service-cluster-ip-range=10.0.0.0/16',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
    ]);
    await untilReady(api, url, token, timeoutMs, join(dir, 'kube-apiserver.log'));
    const caPem = await readFile(join(dir, 'certificates', 'apiserver.crt'), 'utf8');
    const kubeconfig = renderKubeconfig({ name: options.name ?? 'real', url, token, caPem });

    if (options.controllers !== undefined && options.controllers.length > 0) {
      const path = join(dir, 'kubeconfig');
      await writeFile(path, kubeconfig, { mode: 0o600 });
      run('kube-controller-manager', [
        `--kubeconfig=${path}`,
        `--controllers=${options.controllers.join(',')}`,
        '--leader-elect=false',
        '--use-service-account-credentials=false',
        '--bind-address=127.0.0.1',
        '--secure-port=0',
      ]);
    }
    return { url, kubeconfig, token, caPem, dir, pids, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            resolve(server);
          });
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    ),
  );
  return ports;
}

async function untilReady(
  child: ChildProcess,
  url: string,
  token: string,
  timeoutMs: number,
  log: string,
): Promise<void> {
  // The certificate is made by the server at its first start, so it cannot be known yet.
  const agent = new Agent({ rejectUnauthorized: false });
  const deadline = performance.now() + timeoutMs;
  try {
    while (performance.now() < deadline) {
      if (child.exitCode !== null) break;
      if (await isReady(agent, url, token)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    agent.destroy();
  }
  const tail = (await readFile(log, 'utf8').catch(() => '')).slice(-2_000);
  throw new Error(`kube-apiserver was not ready within ${String(timeoutMs)} ms; its log ends:\n${tail}`);
}

function isReady(agent: Agent, url: string, token: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(`${url}/readyz`, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once('error', () => {
      resolve(false);
    });
    call.end();
  });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  await ended;
  clearTimeout(force);
}
