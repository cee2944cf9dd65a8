import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from '@oaas/commons/testkit';
import { freePorts } from './ports.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export interface NodeProcess {
  readonly child: ChildProcess;
  readonly grpc: string;
  readonly admin: string;
  /** Everything that it wrote to standard output and standard error. */
  output(): string;
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Starts the node's program as a process of its own. */
export async function spawnNode(options: {
  /** Default: n1. */
  readonly id?: string;
  readonly dataDir: string;
  readonly collections: readonly object[];
  /** As in ODGM_MEMBERS. Default: this node alone. */
  readonly members?: readonly string[];
  /** Default: ports that are free now. */
  readonly ports?: readonly [grpc: number, admin: number];
  readonly env?: Readonly<Record<string, string>>;
  /** What Node runs, with its flags. Default: the source, by tsx. A bundle of it starts five times as fast. */
  readonly program?: readonly string[];
  /** With a channel for messages, which the program must know how to take. */
  readonly ipc?: boolean;
}): Promise<NodeProcess> {
  const [grpcPort, adminPort] = options.ports ?? (await freePorts(2));
  const env = {
    PATH: process.env['PATH'] ?? '',
    ODGM_NODE_ID: options.id ?? 'n1',
    ODGM_MEMBERS: (options.members ?? []).join(','),
    ODGM_BIND_HOST: '127.0.0.1',
    ODGM_HTTP_PORT: String(grpcPort),
    ODGM_ADMIN_PORT: String(adminPort),
    ODGM_DATA_DIR: options.dataDir,
    ODGM_COLLECTION: JSON.stringify(options.collections),
    ...options.env,
  };
  const child = spawn(process.execPath, options.program ?? ['--import', 'tsx', main], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc === true ? (['ipc'] as const) : [])],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(signal ?? code ?? 0);
    });
  });
  return {
    child,
    grpc: `127.0.0.1:${String(grpcPort)}`,
    admin: `http://127.0.0.1:${String(adminPort)}`,
    output: () => output,
    ended,
  };
}

/** Resolves when the node says that it is ready. */
export async function untilReady(node: NodeProcess): Promise<void> {
  await eventually(
    async () => {
      if (node.child.exitCode !== null) throw new Error(`the node ended: ${node.output()}`);
      return (await fetch(`${node.admin}/ready`)).status === 200;
    },
    { timeoutMs: 30_000, intervalMs: 50 },
  );
}
