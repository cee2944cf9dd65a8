import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface GridMember {
  readonly id: string;
  readonly pid: number;
  /** host:port. */
  readonly grpc: string;
  readonly http: string;
}

export interface GridProcesses {
  members(): readonly GridMember[];
  /** The member that leads partition 0 of the collection. */
  leader(collection: string): Promise<GridMember>;
  stop(): Promise<void>;
}

/** A grid of node processes, as `npm run grid` runs it. */
export async function startGrid(dir: string, args: readonly string[]): Promise<GridProcesses> {
  const child = spawn(process.execPath, [join(root, 'e2e/grid/start.mjs'), '--dir', dir, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const file = join(dir, 'ready.json');
  await until(() => existsSync(file), 120_000, child);
  const members = (): GridMember[] => (JSON.parse(readFileSync(file, 'utf8')) as { nodes: GridMember[] }).nodes;
  return {
    members,
    leader: async (collection) => {
      for (;;) {
        const [asked] = members();
        if (asked !== undefined) {
          const response = await fetch(`${asked.http}/admin/shards/distribution`);
          const { shards } = (await response.json()) as {
            shards: { collection: string; partition: number; leader: string }[];
          };
          const id = shards.find((shard) => shard.collection === collection && shard.partition === 0)?.leader;
          const found = members().find((member) => member.id === id);
          if (found !== undefined) return found;
        }
        await pause(100);
      }
    },
    stop: () => end(child, 'SIGINT'),
  };
}

/** etcd of the environment or the path; undefined where there is none. */
export function findEtcd(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const assets = env['KUBEBUILDER_ASSETS'];
  const candidates = [
    env['OAAS_ETCD'],
    assets === undefined ? undefined : join(assets, 'etcd'),
    ...(env['PATH'] ?? '').split(':').map((folder) => join(folder, 'etcd')),
  ];
  return candidates.find((file): file is string => file !== undefined && existsSync(file));
}

export interface EtcdCluster {
  /** Client port of the leader. */
  leader(): Promise<number>;
  readonly version: string;
  stop(): Promise<void>;
}

/** Three etcd on loopback, as they come: every commit on disk. @param port first of six ports. */
export async function startEtcd(program: string, dir: string, port: number): Promise<EtcdCluster> {
  const numbers = [0, 1, 2];
  const peers = numbers.map((n) => `e${n}=http://127.0.0.1:${port + 3 + n}`).join(',');
  const children = numbers.map((n) => {
    const data = join(dir, `etcd-${n}`);
    mkdirSync(data, { recursive: true });
    const client = `http://127.0.0.1:${port + n}`;
    const peer = `http://127.0.0.1:${port + 3 + n}`;
    const args = ['--name', `e${n}`, '--data-dir', data, '--initial-cluster', peers, '--log-level', 'error'];
    args.push('--listen-client-urls', client, '--advertise-client-urls', client);
    args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer);
    return spawn(program, args, { stdio: 'ignore' });
  });
  const status = async (n: number): Promise<{ leader: string; header: { member_id: string }; version: string }> => {
    const response = await fetch(`http://127.0.0.1:${port + n}/v3/maintenance/status`, { method: 'POST', body: '{}' });
    return (await response.json()) as never;
  };
  const leader = async (): Promise<number> => {
    for (;;) {
      for (const n of numbers) {
        const found = await status(n).catch(() => undefined);
        if (found?.leader !== undefined && found.leader !== '0' && found.leader === found.header.member_id)
          return port + n;
      }
      await pause(100);
    }
  };
  await leader();
  const { version } = await status(0);
  return {
    leader,
    version,
    stop: async () => {
      await Promise.all(children.map((child) => end(child, 'SIGTERM')));
    },
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(isTrue: () => boolean, timeoutMs: number, child: ChildProcess): Promise<void> {
  for (const end = performance.now() + timeoutMs; !isTrue();) {
    if (child.exitCode !== null) throw new Error(`a program of the benchmark ended with ${String(child.exitCode)}`);
    if (performance.now() > end) throw new Error('a program of the benchmark was not ready in time');
    await pause(50);
  }
}

export function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => {
      resolve();
    });
    child.kill(signal);
  });
}
