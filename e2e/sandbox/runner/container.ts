import { type Clock, sleep, type Timers, toRfc3339 } from '@oaas/commons/time';
import { endProcess, type ProcessExit, type RunningProcess, startProcess } from '../process.ts';
import type { Container, ContainerState, ContainerStatus } from '../workloads/objects.ts';
import { RunnerFault } from './fault.ts';
import type { ContainerLogs, RunLog } from './logs.ts';
import { checkProbe, type ProbeTarget } from './probe-check.ts';
import { type ProbeKind, Probes } from './probes.ts';
import type { Slots } from './slots.ts';

/** What to run: made anew for each run, since ConfigMaps, Secrets and ports may have changed. */
export interface Launch extends ProbeTarget {
  readonly command: readonly string[];
}

export type Restart = 'Always' | 'OnFailure' | 'Never';

export interface ContainerOptions {
  readonly container: Container;
  readonly podName: string;
  readonly restartPolicy: Restart;
  /** Seconds between SIGTERM and SIGKILL when a probe has the container restarted. */
  readonly graceSeconds: number;
  /** Throws a {@link RunnerFault} when the container cannot be started now. */
  readonly prepare: () => Promise<Launch>;
  readonly logs: ContainerLogs;
  /** Bounds the containers that start at the same time. */
  readonly starts: Slots;
  /** What an earlier sandbox wrote: its restarts are counted on. */
  readonly before: ContainerStatus | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly onChange: () => void;
  readonly onEvent: (type: 'Normal' | 'Warning', reason: string, note: string) => void;
  readonly onProcess: (pid: number, isRunning: boolean) => void;
}

/** Delay before a restart: 1 s, doubling to 60 s. A kubelet has 10 s and 300 s; a person at a laptop waits less gladly. */
const backoffBaseMs = 1000;
const backoffMaxMs = 60_000;
/** A run that lasted this long begins the delays anew. */
const goodRunMs = 120_000;
/** After this many tries a missing volume is worth an event. */
const mountTriesQuiet = 5;
/** A start gives its slot back after this long at the latest. */
const startSlotMs = 10_000;

/** Runs one container again and again, as its restart policy asks. */
export class ContainerLoop {
  readonly #options: ContainerOptions;
  readonly #stop = new AbortController();
  #process: RunningProcess | undefined;
  #ended: Promise<void> | undefined;
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #lastState: ContainerState;
  #restarts: number;
  #runs = 0;
  #isStarted = false;
  #isReady = false;
  #failures = 0;

  constructor(options: ContainerOptions) {
    this.#options = options;
    const { before } = options;
    const hadRun = before !== undefined && (before.state.running ?? before.state.terminated) !== undefined;
    this.#restarts = before === undefined ? 0 : before.restartCount + (hadRun ? 1 : 0);
    this.#lastState = hadRun
      ? { terminated: lostRun(before, toRfc3339(options.clock.now())) }
      : (before?.lastState ?? {});
  }

  get name(): string {
    return this.#options.container.name;
  }

  get logs(): ContainerLogs {
    return this.#options.logs;
  }

  get status(): ContainerStatus {
    const { container } = this.#options;
    const pid = this.#process?.pid;
    return {
      name: container.name,
      image: container.image,
      imageID: container.image,
      ...(pid === undefined ? {} : { containerID: `process://${String(pid)}` }),
      ready: this.#isReady,
      started: this.#isStarted,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#lastState,
    };
  }

  /** Starts the loop. To be called once. */
  start(): void {
    this.#ended = this.#loop();
  }

  /** Ends the container for good: SIGTERM, and SIGKILL after `graceMs`. Resolves when its process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    if (this.#process !== undefined) await endProcess(this.#process, graceMs);
    await this.#ended;
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped()) {
      const launch = await this.#prepare();
      if (launch === undefined) return;
      const { exit, lastedMs } = await this.#run(launch);
      const isOver =
        this.#isStopped() ||
        this.#options.restartPolicy === 'Never' ||
        (this.#options.restartPolicy === 'OnFailure' && exit.code === 0);
      if (isOver) return;
      if (lastedMs > goodRunMs) this.#failures = 0;
      await this.#backOff(exit);
      this.#restarts += 1;
    }
  }

  /** Tries until there is something to run. Undefined: stopped meanwhile. */
  async #prepare(): Promise<Launch | undefined> {
    for (let tries = 0; !this.#isStopped(); tries += 1) {
      try {
        return await this.#options.prepare();
      } catch (error) {
        const fault = faultOf(error);
        this.#showFault(fault, tries);
        await this.#pause(fault.reason === 'ContainerCreating' ? mountDelayOf(tries) : delayOf(tries));
      }
    }
    return undefined;
  }

  #showFault(fault: RunnerFault, tries: number): void {
    const { container, onEvent } = this.#options;
    if (fault.reason === 'ContainerCreating') {
      if (tries === mountTriesQuiet) onEvent('Warning', 'FailedMount', fault.message);
    } else if (tries === 0) {
      const isPull = fault.reason === 'ErrImagePull';
      onEvent(
        'Warning',
        'Failed',
        isPull ? `Failed to pull image "${container.image}": ${fault.message}` : fault.message,
      );
    }
    const isBackOff = fault.reason === 'ErrImagePull' && tries > 0;
    this.#set(
      isBackOff
        ? { reason: 'ImagePullBackOff', message: `Back-off pulling image "${container.image}": ${fault.message}` }
        : { reason: fault.reason, message: fault.message },
    );
  }

  async #run(launch: Launch): Promise<{ exit: ProcessExit; lastedMs: number }> {
    const { clock, timers, starts, logs, onEvent, container } = this.#options;
    const log = await logs.startRun(this.#restarts);
    const freeSlot = await starts.take(this.#stop.signal);
    const startedMs = clock.monotonic();
    const startedAt = toRfc3339(clock.now());
    if (this.#isStopped()) {
      freeSlot();
      return { exit: { code: 0 }, lastedMs: 0 };
    }
    if (this.#runs === 0)
      onEvent('Normal', 'Pulled', `Container image "${container.image}" is a program of this machine`);
    this.#runs += 1;
    const running = startProcess({
      ...launch,
      onLine: (line, stream) => log.append(line, stream),
      onStart: (pid) => this.#options.onProcess(pid, true),
    });
    this.#process = running;
    onEvent('Normal', 'Started', `Started container ${container.name}`);
    this.#state = { running: { startedAt } };
    const probes = this.#probe(running, launch, freeSlot);
    this.#options.onChange();
    const slotTimer = timers.after(startSlotMs, freeSlot);

    const exit = await running.exited;
    probes.stop();
    slotTimer.cancel();
    freeSlot();
    if (running.pid !== undefined) this.#options.onProcess(running.pid, false);
    await log.close();
    this.#ends(exit, log, startedAt, running.pid);
    return { exit, lastedMs: clock.monotonic() - startedMs };
  }

  #probe(running: RunningProcess, launch: Launch, freeSlot: () => void): Probes {
    const { container, timers, onEvent, onChange, graceSeconds } = this.#options;
    const probes = new Probes({
      startup: container.startupProbe,
      readiness: container.readinessProbe,
      liveness: container.livenessProbe,
      timers,
      check: (probe) => checkProbe(probe, launch),
      onStarted: () => {
        this.#isStarted = true;
        onChange();
      },
      onReady: (isReady) => {
        if (isReady) freeSlot();
        this.#isReady = isReady;
        onChange();
      },
      onUnhealthy: (kind, message) => {
        onEvent('Warning', 'Unhealthy', `${title(kind)} probe failed: ${message}`);
      },
      onDead: (kind) => {
        onEvent('Normal', 'Killing', `Container ${container.name} failed ${kind} probe, will be restarted`);
        probes.stop();
        void endProcess(running, graceSeconds * 1000);
      },
    });
    probes.start();
    return probes;
  }

  #ends(exit: ProcessExit, log: RunLog, startedAt: string, pid: number | undefined): void {
    const message = exit.startError ?? (exit.code === 0 ? '' : log.lastLine.slice(0, 500));
    this.#process = undefined;
    this.#isReady = false;
    this.#isStarted = false;
    this.#state = {
      terminated: {
        exitCode: exit.code,
        reason: exit.startError !== undefined ? 'StartError' : exit.code === 0 ? 'Completed' : 'Error',
        ...(message === '' ? {} : { message }),
        startedAt,
        finishedAt: toRfc3339(this.#options.clock.now()),
        ...(pid === undefined ? {} : { containerID: `process://${String(pid)}` }),
      },
    };
    this.#options.onChange();
  }

  async #backOff(exit: ProcessExit): Promise<void> {
    const { container, podName, onEvent } = this.#options;
    const delayMs = delayOf(this.#failures);
    this.#failures += 1;
    this.#lastState = this.#state;
    const last = this.#lastState.terminated?.message;
    onEvent('Warning', 'BackOff', `Back-off restarting failed container ${container.name} in pod ${podName}`);
    this.#set({
      reason: 'CrashLoopBackOff',
      message:
        `back-off ${String(delayMs / 1000)}s restarting failed container=${container.name} pod=${podName}: ` +
        `exit code ${String(exit.code)}${last === undefined ? '' : `, last output: ${last}`}`,
    });
    await this.#pause(delayMs);
  }

  #set(waiting: NonNullable<ContainerState['waiting']>): void {
    this.#state = { waiting };
    this.#options.onChange();
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.#options.timers, ms, this.#stop.signal).catch(() => undefined);
  }
}

function delayOf(failures: number): number {
  return Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(failures, 20));
}

/** What is missing is mostly just being made, such as the volume of a claim: it is looked for sooner than a crash is repeated. */
function mountDelayOf(tries: number): number {
  return Math.min(5000, 50 * 2 ** Math.min(tries, 20));
}

function faultOf(error: unknown): RunnerFault {
  if (error instanceof RunnerFault) return error;
  return new RunnerFault('RunContainerError', error instanceof Error ? error.message : String(error));
}

/** The run that an earlier sandbox had going: how it ended nobody has seen. */
function lostRun(before: ContainerStatus, now: string): NonNullable<ContainerState['terminated']> {
  return (
    before.state.terminated ?? {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The sandbox was stopped.',
      ...(before.state.running === undefined ? {} : { startedAt: before.state.running.startedAt }),
      finishedAt: now,
    }
  );
}

function title(kind: ProbeKind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}
