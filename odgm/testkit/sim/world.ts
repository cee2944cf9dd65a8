import { seededRandom } from '@oaas/commons/testkit';
import type { Random, Timer } from '@oaas/commons/time';
import { EventQueue } from './event-queue.ts';
import { SimNode, type SimProcess } from './node.ts';
import { Trace } from './trace.ts';

export interface SimWorldOptions {
  /** 32 bits. Everything that happens follows from it and from the code under test. */
  readonly seed: number;
  /** Wall-clock time at the beginning. Default 2026-01-01T00:00:00Z. */
  readonly startMs?: number | undefined;
  /** Gets every line of the trace. */
  readonly onTrace?: ((line: string) => void) | undefined;
}

interface SimEvent {
  at: number;
  order: number;
  /** Undefined for what the world itself does. */
  readonly node: SimNode | undefined;
  /** The event dies with it. */
  readonly process: SimProcess | undefined;
  readonly run: () => void;
  isCancelled: boolean;
}

/** `touched`: the node that did something; undefined when the world did, to any of them. */
export type WorldCheck = (touched: SimNode | undefined) => void;

/** So often the real event loop gets a turn: for signals, and for rejections that nobody handles. */
const settlesInATurn = 64;

/** Far more than any world has in one second of simulated time. */
const stepsInASecond = 300_000;

/** Why a simulated run ended: says the seed, the time, and what happened last. */
export class SimFailure extends Error {
  readonly seed: number;
  readonly tail: readonly string[];

  constructor(seed: number, nowMs: number, tail: readonly string[], cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`seed ${seed}, ${nowMs.toFixed(3)} ms: ${reason}`, { cause });
    this.name = 'SimFailure';
    this.seed = seed;
    this.tail = tail;
  }
}

/**
 * One process that plays a whole cluster: virtual time, a queue of events, nodes with clocks of their own. Between two
 * events all promises settle, so that asynchronous code runs as it does in a real process, only without real time.
 * Nothing in it may wait for real I/O or a real timer.
 */
export class SimWorld {
  readonly seed: number;
  readonly startMs: number;
  readonly trace: Trace;
  /** Chance of the world itself: faults. */
  readonly random: Random;
  /** Events that have run. */
  steps = 0;
  /** The second of simulated time that is being counted, and the steps before it. */
  private secondBegan = 0;
  private stepsBefore = 0;
  private readonly queue = new EventQueue<SimEvent>();
  private readonly nodesById = new Map<string, SimNode>();
  private readonly checks: WorldCheck[] = [];
  private nowMs = 0;
  private lastOrder = 0;
  private failure: { readonly cause: unknown } | undefined = undefined;
  private settled = 0;

  constructor(options: SimWorldOptions) {
    this.seed = options.seed;
    this.startMs = options.startMs ?? 1_767_225_600_000;
    this.trace = new Trace(options.onTrace);
    this.random = this.randomOf('world');
  }

  /** Milliseconds since the beginning, in true time. */
  get now(): number {
    return this.nowMs;
  }

  /** Chance of its own for each name, so that one part drawing more does not change the others. */
  randomOf(name: string): Random {
    let hash = this.seed ^ 0x9e3779b9;
    for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return seededRandom(hash >>> 0);
  }

  /** The node of that id; a new one has no process yet. */
  node(id: string): SimNode {
    let node = this.nodesById.get(id);
    if (node === undefined) {
      node = new SimNode(this, id);
      this.nodesById.set(id, node);
    }
    return node;
  }

  nodes(): readonly SimNode[] {
    return [...this.nodesById.values()];
  }

  /** Runs `run` after `delayMs` of true time, as something that the world does: no node can be paused for it. */
  after(delayMs: number, run: () => void): Timer {
    return this.schedule(delayMs, undefined, undefined, run);
  }

  /** The same for a process: held while its node is paused, forgotten when the process is gone. */
  afterFor(process: SimProcess, delayMs: number, run: () => void): Timer {
    return this.schedule(delayMs, process.node, process, run);
  }

  /** Called after every event: throws when something that must always hold does not. */
  always(check: WorldCheck): void {
    this.checks.push(check);
  }

  /** Ends the run with a failure, from within code that cannot throw to the world. */
  fail(cause: unknown): void {
    this.failure ??= { cause };
  }

  /** Lets `ms` of virtual time pass. Throws {@link SimFailure}. */
  async run(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    await this.runUntil(end, () => false);
    this.nowMs = Math.max(this.nowMs, end);
  }

  /** Lets time pass until the condition holds, which is looked at after every event. False after `maxMs` without. */
  async until(condition: () => boolean, maxMs: number): Promise<boolean> {
    return this.runUntil(this.nowMs + maxMs, condition);
  }

  /** Lets everything run that needs no time to pass. */
  async settle(): Promise<void> {
    this.settled += 1;
    const isBreath = this.settled % settlesInATurn === 0;
    // A tick asked for from within a promise comes when no promise has anything left to do.
    await new Promise<void>((resolve) => {
      if (isBreath) setImmediate(resolve);
      else process.nextTick(resolve);
    });
    this.throwIfFailed();
  }

  /** Puts back, in order, what was held while a node was paused. For {@link SimNode}. */
  release(held: readonly SimEvent[]): void {
    for (const event of held) {
      event.at = this.nowMs;
      event.order = this.lastOrder += 1;
      this.queue.push(event);
    }
  }

  private schedule(
    delayMs: number,
    node: SimNode | undefined,
    process: SimProcess | undefined,
    run: () => void,
  ): Timer {
    const at = this.nowMs + Math.max(0, delayMs);
    const event: SimEvent = { at, order: (this.lastOrder += 1), node, process, run, isCancelled: false };
    this.queue.push(event);
    return { cancel: () => void (event.isCancelled = true) };
  }

  /** Fails a run in which time hardly goes on: messages that call forth more of themselves. */
  private countStep(): void {
    this.steps += 1;
    if (this.nowMs - this.secondBegan >= 1000) {
      this.secondBegan = this.nowMs;
      this.stepsBefore = this.steps;
    } else if (this.steps - this.stepsBefore > stepsInASecond) {
      this.fail(new Error(`no progress within ${stepsInASecond} steps of one second`));
    }
  }

  private async runUntil(end: number, condition: () => boolean): Promise<boolean> {
    await this.settle();
    if (condition()) return true;
    for (;;) {
      const event = this.queue.peek();
      if (event === undefined || event.at > end) return false;
      this.queue.pop();
      if (event.isCancelled || event.process?.isAlive === false) continue;
      this.nowMs = Math.max(this.nowMs, event.at);
      if (event.node?.hold(event) === true) continue;
      try {
        event.run();
      } catch (error) {
        this.fail(error);
      }
      await this.settle();
      this.countStep();
      try {
        for (const check of this.checks) check(event.node);
      } catch (error) {
        this.fail(error);
      }
      this.throwIfFailed();
      if (condition()) return true;
    }
  }

  private throwIfFailed(): void {
    if (this.failure === undefined) return;
    throw new SimFailure(this.seed, this.nowMs, this.trace.tail(), this.failure.cause);
  }
}

export type { SimEvent };
