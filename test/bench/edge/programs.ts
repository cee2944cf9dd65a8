import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Extra, Implementation } from '../../conformance/grpc/serve.ts';
import type { LoadOptions, LoadResult } from './load-client.ts';

const serverProgram = fileURLToPath(new URL('../../conformance/grpc/main.ts', import.meta.url));
const clientProgram = fileURLToPath(new URL('./load-client.ts', import.meta.url));
/** As a grid's node runs: see images/odgm.Containerfile. The same for every implementation. */
const nodeOptions = ['--import', 'tsx'];

export interface Usage {
  /** Processor time so far, garbage collection included. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A server in a process of its own. */
export interface ServerProcess {
  readonly port: number;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Folder with cert.pem and key.pem. */
  readonly tls?: string | undefined;
  readonly extras?: readonly Extra[] | undefined;
}

export async function startServer(
  impl: Implementation,
  { tls, extras = [] }: ServerOptions = {},
): Promise<ServerProcess> {
  const args = ['--impl', impl, '--with', extras.join(','), ...(tls === undefined ? [] : ['--tls', tls])];
  const child = fork(serverProgram, args, { execArgv: nodeOptions, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const { port } = await message<{ port: number }>(child);
  return {
    port,
    usage: () => {
      const usage = message<Usage>(child);
      child.send('usage');
      return usage;
    },
    stop: () => end(child),
  };
}

/** A client in a process of its own: resolves with what it measured, while it goes on until `stop`. */
export async function startLoad(
  options: LoadOptions,
): Promise<{ readonly result: LoadResult; readonly stop: () => Promise<void> }> {
  const child = fork(clientProgram, [JSON.stringify(options)], { execArgv: nodeOptions });
  const result = await message<LoadResult>(child);
  return { result, stop: () => end(child) };
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`a program of the benchmark ended with ${String(code)}`));
    };
    child.once('exit', onExit);
    child.once('message', (value) => {
      child.off('exit', onExit);
      resolve(value as T);
    });
  });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
