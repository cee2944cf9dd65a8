import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, parseProcesses } from './orphans.ts';
import type { Ready } from './sandbox.ts';

export type { Ready } from './sandbox.ts';

export interface StartedSandbox {
  readonly ready: Ready;
  /** Stops it as Ctrl-C does. Resolves with the milliseconds that it took, when the process has ended. */
  stop(): Promise<number>;
  /** Ends only the supervising process, at once, as a crash does. */
  kill(): Promise<void>;
  /** The processes that it consists of at this moment: the supervising one, the platform's programs and the pods. */
  pids(): Promise<readonly number[]>;
  /** What `npm start` has printed so far. */
  logs(): string;
}

export interface StartOptions {
  readonly dir: string;
  readonly portBase: number;
  /** Real clusters: name to context of KUBECONFIG. */
  readonly clusters?: Readonly<Record<string, string>>;
  readonly fresh?: boolean;
  /** Default 180,000: a first start builds. */
  readonly timeoutMs?: number;
}

/** Runs `npm start` and waits until it is ready. Rejects with its output when it ends or takes too long. */
export async function startSandbox(options: StartOptions): Promise<StartedSandbox> {
  const root = join(import.meta.dirname, '..', '..');
  const clusters = Object.entries(options.clusters ?? {}).flatMap(([name, context]) => [
    '--cluster',
    `${name}=${context}`,
  ]);
  const args = ['start', '--', '--dir', options.dir, '--port-base', String(options.portBase), ...clusters];
  if (options.fresh === true) args.push('--fresh');
  // A group of its own, so that a signal reaches npm and the sandbox as it does at a terminal.
  const child = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-100_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const signalGroup = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined && !hasEnded()) process.kill(-child.pid, name);
  };

  const deadline = performance.now() + (options.timeoutMs ?? 180_000);
  const file = join(options.dir, 'ready.json');
  let ready: Ready | undefined;
  while (ready === undefined) {
    if (hasEnded()) throw new Error(`npm start ended:\n${output}`);
    if (performance.now() > deadline) {
      signalGroup('SIGTERM');
      await ended;
      throw new Error(`npm start was not ready in time:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (output.includes('\nready in ')) ready = JSON.parse(await readFile(file, 'utf8')) as Ready;
  }
  return {
    ready,
    logs: () => output,
    pids: async () => {
      const lines = await Promise.all(['lock', 'processes'].map((name) => readFile(join(options.dir, name), 'utf8')));
      return parseProcesses(lines.join('\n'))
        .filter(isAlive)
        .map(({ pid }) => pid);
    },
    stop: async () => {
      const since = performance.now();
      signalGroup('SIGINT');
      await ended;
      return performance.now() - since;
    },
    kill: async () => {
      const [pid] = (await readFile(join(options.dir, 'lock'), 'utf8')).split(' ');
      process.kill(Number(pid), 'SIGKILL');
      await ended;
    },
  };
}
