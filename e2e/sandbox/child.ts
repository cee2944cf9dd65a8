import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { backoffDelay, type BackoffOptions, type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';
import { LogFile } from './log-file.ts';
import type { ProcessList } from './orphans.ts';
import { endProcess, type ProcessExit, type RunningProcess, startProcess } from './process.ts';

export interface ChildOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Gets everything that the program prints. */
  readonly logPath: string;
  /** Whether the program answers. Rejects or gives false while it does not. */
  readonly isReady: () => Promise<boolean>;
  readonly processes: ProcessList;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

const backoff: BackoffOptions = { baseMs: 500, maxMs: 30_000, factor: 2, jitter: 0.2 };
/** A program that ran this long begins the delays anew. */
const goodRunMs = 60_000;
/** A program that ends this often before it was ready even once will not be by trying again. */
const startTriesMax = 3;
const pollMs = 100;

/** A program of the platform, restarted whenever it ends, until it is stopped. */
export class Child {
  readonly #options: ChildOptions;
  readonly #log: LogFile;
  readonly #stop = new AbortController();
  #process: RunningProcess | undefined;
  #ended: Promise<void> | undefined;
  #wasReady = false;
  #failures = 0;
  #lastExit: ProcessExit | undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#log = new LogFile(options.logPath);
  }

  get name(): string {
    return this.#options.name;
  }

  start(): this {
    this.#ended ??= this.#loop();
    return this;
  }

  /** Resolves when the program answers. Throws `Unavailable`, with the end of its output, when it cannot be started. */
  async ready(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { clock, timers, name, logPath } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    for (;;) {
      if (signal.aborted) throw oaasError('Cancelled', `the start of ${name} was cancelled`);
      if (await this.#options.isReady().catch(() => false)) break;
      const hasGivenUp = !this.#wasReady && this.#failures >= startTriesMax;
      if (hasGivenUp || clock.monotonic() > deadline) {
        const what = hasGivenUp
          ? `ended with exit code ${String(this.#lastExit?.code ?? 0)}, ${String(this.#failures)} times`
          : `did not answer within ${String(timeoutMs / 1000)} s`;
        throw oaasError('Unavailable', `${name} ${what}. Its output ends:\n${this.#log.tail.slice(-8).join('\n')}`, {
          remedy: `See ${logPath}`,
        });
      }
      await sleep(timers, pollMs, signal);
    }
    this.#wasReady = true;
  }

  /** SIGTERM, and SIGKILL after `graceMs`. Resolves when the program is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    if (this.#process !== undefined) await endProcess(this.#process, graceMs);
    await this.#ended;
    this.#log.close();
  }

  async #loop(): Promise<void> {
    const { name, logger, clock, timers, random, processes } = this.#options;
    while (!this.#isStopped()) {
      const startedMs = clock.monotonic();
      const running = startProcess({
        command: this.#options.command,
        env: this.#options.env,
        cwd: this.#options.cwd,
        onLine: (line) => this.#log.write(`${line}\n`),
        onStart: (pid) => processes.add(pid),
      });
      this.#process = running;
      const exit = await running.exited;
      this.#process = undefined;
      if (running.pid !== undefined) processes.remove(running.pid);
      if (this.#isStopped()) return;
      if (clock.monotonic() - startedMs > goodRunMs) this.#failures = 0;
      const delayMs = backoffDelay(this.#failures, backoff, random);
      this.#failures += 1;
      this.#lastExit = exit;
      logger.warn({ program: name, exit, restartInMs: Math.round(delayMs) }, 'a program ended and is started again');
      this.#log.write(`-- ended: ${JSON.stringify(exit)}\n`);
      await sleep(timers, delayMs, this.#stop.signal).catch(() => undefined);
    }
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }
}
