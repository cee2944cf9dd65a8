import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { sleep, type Timers } from '@oaas/commons/time';
import { signalGroup } from './process.ts';

/** How long a process of an earlier run gets to end by itself. */
const graceMs = 3000;
const pollMs = 50;

/**
 * When the process with this id was started, as the operating system tells it: two processes that had the same id one
 * after the other differ in it. Undefined: there is no such process.
 */
export function processStart(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
      // The name in parentheses may hold blanks; fields are counted after it. Field 3 is the state, 22 the start time.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? undefined : fields[19];
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * The list of processes that this sandbox has started: a file with one `<pid> <start time>` a line, so that a sandbox
 * that was killed leaves a trace for the next one on the same directory.
 */
export class ProcessList {
  readonly #file: string;
  readonly #live = new Map<number, string>();
  #linesSince = 0;

  constructor(file: string) {
    this.#file = file;
  }

  add(pid: number): void {
    const start = processStart(pid);
    // It has ended already.
    if (start === undefined) return;
    this.#live.set(pid, start);
    appendFileSync(this.#file, `${String(pid)} ${start}\n`, { mode: 0o600 });
    this.#linesSince += 1;
    if (this.#linesSince > 200) this.#rewrite();
  }

  remove(pid: number): void {
    this.#live.delete(pid);
  }

  /** Kills what still runs, now: for the end by a second Ctrl-C. */
  killAll(): void {
    for (const [pid, start] of this.#live) if (processStart(pid) === start) signalGroup(pid, 'SIGKILL');
  }

  /** Everything has ended: the file goes. */
  clear(): void {
    this.#live.clear();
    rmSync(this.#file, { force: true });
  }

  #rewrite(): void {
    writeFileSync(this.#file, [...this.#live].map(([pid, start]) => `${String(pid)} ${start}\n`).join(''), {
      mode: 0o600,
    });
    this.#linesSince = 0;
  }
}

/** Ends the processes that an earlier sandbox on this directory left behind. Gives their number. */
export async function endOrphans(file: string, timers: Timers): Promise<number> {
  if (!existsSync(file)) return 0;
  const orphans = parseProcesses(readFileSync(file, 'utf8')).filter(isAlive);
  for (const { pid } of orphans) signalGroup(pid, 'SIGTERM');
  for (let waited = 0; waited < graceMs && orphans.some(isAlive); waited += pollMs) await sleep(timers, pollMs);
  for (const orphan of orphans) if (isAlive(orphan)) signalGroup(orphan.pid, 'SIGKILL');
  rmSync(file, { force: true });
  return orphans.length;
}

export interface KnownProcess {
  readonly pid: number;
  readonly start: string;
}

/** Reads what a process list or a lock holds. */
export function parseProcesses(text: string): KnownProcess[] {
  return [...text.matchAll(/^(\d+) (.+)$/gm)].map(([, pid, start = '']) => ({ pid: Number(pid), start }));
}

/** Whether it is still the same process, and not another one that got its id. */
export function isAlive({ pid, start }: KnownProcess): boolean {
  return processStart(pid) === start;
}
