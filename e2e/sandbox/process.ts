import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export type OutputStream = 'stdout' | 'stderr';

export interface ProcessOptions {
  /** Program and arguments; no shell. */
  readonly command: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Told of every line, without its end. */
  readonly onLine: (line: string, stream: OutputStream) => void;
  /** Told as soon as there is a process, before it can have ended. */
  readonly onStart?: (pid: number) => void;
}

export interface ProcessExit {
  /** 128 + signal for a process that a signal ended, as shells and container runtimes say it; 128 if it never started. */
  readonly code: number;
  readonly signal?: NodeJS.Signals;
  /** Why it could not be started. */
  readonly startError?: string;
}

export interface RunningProcess {
  readonly pid: number | undefined;
  /** Resolves when the process has ended and all of its output was read. */
  readonly exited: Promise<ProcessExit>;
  /** Sends a signal to the process and to those that it started. Does nothing after its end. */
  signal(name: NodeJS.Signals): void;
}

/** How long output is waited for after the end of a process whose own children keep its pipes open. */
const outputGraceMs = 500;
/** Longer lines are cut into pieces of this many characters, as container runtimes do. */
const lineMax = 16_384;

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/**
 * Starts a process in a process group of its own, so that Ctrl-C at the terminal reaches only the sandbox, which then
 * stops everything in order. Descriptor 3 is the tether (see tether.cjs): the process ends when the sandbox does.
 */
export function startProcess(options: ProcessOptions): RunningProcess {
  const [program = '', ...args] = options.command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...options.env, OAAS_SANDBOX_TETHER: '3' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // An idle pipe whose peer dies reports errors that mean nothing here.
  (child.stdio[3] as Duplex | null)?.on('error', () => undefined);
  readLines(child, 'stdout', options.onLine);
  readLines(child, 'stderr', options.onLine);
  if (child.pid !== undefined) options.onStart?.(child.pid);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: 128, startError: error.message });
    });
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
      resolve(signal === null ? { code: code ?? 0 } : { code: 128 + (signalNumbers[signal] ?? 0), signal });
    };
    child.once('close', ended);
    // A grandchild that keeps the pipes open must not hide the end of the process itself.
    child.once('exit', (code, signal) => setTimeout(ended, outputGraceMs, code, signal).unref());
  });
  return {
    pid: child.pid,
    exited,
    signal: (name) => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) signalGroup(child.pid, name);
    },
  };
}

function readLines(child: ChildProcess, stream: OutputStream, onLine: ProcessOptions['onLine']): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  child[stream]?.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line, stream);
    while (rest.length >= lineMax) {
      onLine(rest.slice(0, lineMax), stream);
      rest = rest.slice(lineMax);
    }
  });
  child[stream]?.on('end', () => {
    if (rest !== '') onLine(rest, stream);
    rest = '';
  });
}

/** Sends a signal to a process group; one that is gone is fine. */
export function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Asks a process to end and insists after `graceMs`. Resolves when it has ended. */
export async function endProcess(running: RunningProcess, graceMs: number): Promise<ProcessExit> {
  running.signal('SIGTERM');
  const insist = setTimeout(() => {
    running.signal('SIGKILL');
  }, graceMs);
  const exit = await running.exited;
  clearTimeout(insist);
  // What the process itself started and left behind.
  if (running.pid !== undefined) signalGroup(running.pid, 'SIGKILL');
  return exit;
}
