import type { Clock, Random, Timer, Timers } from '@oaas/commons/time';
import type { SimEvent, SimWorld } from './world.ts';

/** What a node's program gets: everything that it may know of the outside, until the node crashes. */
export interface SimProcess {
  readonly node: SimNode;
  /** 1 for the first process of the node. */
  readonly incarnation: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** False once the node has crashed: whatever its code still does has no effect. */
  readonly isAlive: boolean;
  /** Called when it crashes, latest first. */
  onCrash(run: () => void): void;
}

/** Starts whatever runs on the node. */
export type SimProgram = (process: SimProcess) => void | Promise<void>;

export type NodeChange = 'boot' | 'crash' | 'pause' | 'resume';

/** A machine of the simulated world: a clock that may jump and drift, and at most one process. */
export class SimNode {
  readonly id: string;
  private readonly world: SimWorld;
  private process: Process | undefined = undefined;
  private program: SimProgram | undefined = undefined;
  private processes = 0;
  private held: SimEvent[] | undefined = undefined;
  private readonly watchers: ((change: NodeChange) => void)[] = [];
  /** Local time passes at this rate. */
  private rate = 1;
  private localBase = 0;
  private trueBase = 0;
  private jumpedMs = 0;

  constructor(world: SimWorld, id: string) {
    this.world = world;
    this.id = id;
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  get isPaused(): boolean {
    return this.held !== undefined;
  }

  /** Called after each change. */
  watch(watcher: (change: NodeChange) => void): void {
    this.watchers.push(watcher);
  }

  /** Starts a process. `program` is started again by {@link restart}; what it rejects with fails the run. */
  boot(program: SimProgram): SimProcess {
    if (this.process !== undefined) throw new Error(`node ${this.id} runs already`);
    this.program = program;
    const process = new Process(this.world, this, (this.processes += 1));
    this.process = process;
    this.changed('boot');
    Promise.resolve()
      .then(() => program(process))
      .catch((error: unknown) => {
        if (process.isAlive) this.world.fail(error);
      });
    return process;
  }

  /** The process is gone in the middle of what it does. Does nothing when there is none. */
  crash(): void {
    const { process } = this;
    if (process === undefined) return;
    this.process = undefined;
    this.held = undefined;
    process.end();
    this.changed('crash');
  }

  /** Boots the last program again. */
  restart(): void {
    if (this.program === undefined) throw new Error(`node ${this.id} never ran`);
    this.boot(this.program);
  }

  /** Nothing of the node runs until {@link resume}: a stopped process, or a long pause of the garbage collector. */
  pause(): void {
    if (this.held !== undefined || this.process === undefined) return;
    this.held = [];
    this.changed('pause');
  }

  resume(): void {
    const { held } = this;
    if (held === undefined) return;
    this.held = undefined;
    this.world.release(held);
    this.changed('resume');
  }

  /** Sets the wall clock forward or back. The monotonic clock does not see it. */
  jumpClock(ms: number): void {
    this.jumpedMs += ms;
    this.world.trace.add(`${this.at()} ${this.id} clock jumps ${ms}`);
  }

  /** From now on local time passes faster (more than 0) or slower, in parts per million. Timers set from then on follow. */
  driftClock(partsPerMillion: number): void {
    this.localBase = this.localNow();
    this.trueBase = this.world.now;
    this.rate = 1 + partsPerMillion / 1e6;
    this.world.trace.add(`${this.at()} ${this.id} clock drifts ${partsPerMillion}`);
  }

  /** Monotonic time of the node. */
  localNow(): number {
    return this.localBase + (this.world.now - this.trueBase) * this.rate;
  }

  wallNow(): number {
    return Math.floor(this.world.startMs + this.localNow() + this.jumpedMs);
  }

  /** True time that passes while `localMs` do here. */
  toTrue(localMs: number): number {
    return localMs / this.rate;
  }

  /** Keeps an event back while the node is paused. For the world. */
  hold(event: SimEvent): boolean {
    if (this.held === undefined) return false;
    this.held.push(event);
    return true;
  }

  private changed(change: NodeChange): void {
    this.world.trace.add(`${this.at()} ${this.id} ${change}`);
    for (const watcher of this.watchers) watcher(change);
  }

  private at(): string {
    return this.world.now.toFixed(3);
  }
}

class Process implements SimProcess {
  readonly node: SimNode;
  readonly incarnation: number;
  readonly random: Random;
  readonly clock: Clock;
  readonly timers: Timers;
  isAlive = true;
  private readonly ends: (() => void)[] = [];

  constructor(world: SimWorld, node: SimNode, incarnation: number) {
    this.node = node;
    this.incarnation = incarnation;
    this.random = world.randomOf(`${node.id}/${incarnation}`);
    this.clock = { now: () => node.wallNow(), monotonic: () => node.localNow() };
    this.timers = {
      after: (delayMs, run) => world.afterFor(this, node.toTrue(Math.max(0, delayMs)), run),
      every: (intervalMs, run) => {
        let timer: Timer;
        const arm = (): void => {
          timer = world.afterFor(this, node.toTrue(Math.max(1, intervalMs)), () => {
            arm();
            run();
          });
        };
        arm();
        return { cancel: () => timer.cancel() };
      },
    };
  }

  onCrash(run: () => void): void {
    this.ends.push(run);
  }

  end(): void {
    this.isAlive = false;
    for (const run of this.ends.reverse()) run();
  }
}
