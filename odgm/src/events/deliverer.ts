import type { CallOptions } from '@oaas/commons/grpc';
import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Random, Timer, Timers } from '@oaas/commons/time';
import type { invoke } from '@oaas/proto';
import type { Invocation } from '../invocation/index.ts';
import { type Death, type EventRef, type Outbox, type WaitingEvent } from '../shard/index.ts';
import { callOf, type EventSource, targetOf } from './call.ts';
import {
  defaultPolicy,
  type DeliveryPolicy,
  type Outcome,
  outcomeOfError,
  outcomeOfResponse,
  verdictOf,
} from './schedule.ts';

/** Calls the functions that triggers name, as clients' calls are made. */
export interface TriggerPort {
  /** Rejects with `NotFound` for a class that there is not, and as calls do. */
  call(classId: string, invocation: Invocation, options: CallOptions): Promise<invoke.InvocationResponse>;
}

/** A replica whose events are to be delivered. */
export interface OutboxOwner extends EventSource {
  readonly outbox: Outbox;
}

export interface DelivererOptions {
  readonly port: TriggerPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Runs something once what has arrived by now is dealt with. */
  readonly schedule: (run: () => void) => void;
  /** Calls of triggers that may lead to each other; a deeper one is a dead letter. */
  readonly maxDepth: number;
  /** Longest call, in milliseconds. */
  readonly timeoutMs: number;
  readonly policy?: DeliveryPolicy | undefined;
  readonly observer?: DeliveryObserver | undefined;
}

/** Told of what happens, for metrics. */
export interface DeliveryObserver {
  /** So many events were taken up by this node. */
  taken(events: number): void;
  /** The calls of an event have ended, so many milliseconds after it came to be. */
  ended(ageMs: number, death: Death | undefined): void;
}

/** A target whose last try failed. */
export interface FailingTarget {
  /** `<class>.<function>`. */
  readonly target: string;
  /** Tries that failed, one after the other. */
  readonly failures: number;
  /** Wall clock of the first of them. */
  readonly since: number;
  readonly error: string;
}

/** Calls in flight of a node. */
const maxInFlight = 64;
/** Events of one shard in memory. More wait in storage: a target that fails holds up others of the shard from there on. */
const windowMax = 1024;
/** Events that one entry of the log settles. */
const settleMax = 512;
const settleAgainMs = 200;
/** Failing targets that are remembered. */
const failingMax = 100;

/** Events of one object for one target: one after the other, in their order. */
interface Lane {
  readonly name: string;
  readonly queue: ShardQueue;
  readonly events: WaitingEvent[];
  attempts: number;
  timer: Timer | undefined;
}

/** What this node delivers of one shard. */
interface ShardQueue {
  readonly owner: OutboxOwner;
  readonly lanes: Map<string, Lane>;
  /** The last one that was taken from the outbox. */
  taken: EventRef | undefined;
  /** Taken and not ended. */
  size: number;
  done: EventRef[];
  dead: ({ readonly ref: EventRef } & Death)[];
  isSettling: boolean;
  isClosed: boolean;
}

/**
 * Delivers events from the outboxes of this node's shards: calls their targets, tries again what fails, and takes what
 * was delivered out of the outbox, or makes it a dead letter. At least once: an event whose outcome is not stored when
 * the node or its leadership ends is delivered again, under the same id.
 *
 * Events of one object go to one target one after the other, in their order; all others at the same time, up to a bound.
 * Tries are counted in memory: another leader begins to count anew.
 */
export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #policy: DeliveryPolicy;
  readonly #queues = new Map<number, ShardQueue>();
  readonly #poked = new Set<OutboxOwner>();
  readonly #ready: Lane[] = [];
  readonly #failing = new Map<string, FailingTarget>();
  readonly #closing = new AbortController();
  #inFlight = 0;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#policy = options.policy ?? defaultPolicy;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Targets whose last try failed, as far as they are remembered. */
  get failing(): FailingTarget[] {
    return [...this.#failing.values()];
  }

  /** There may be something to deliver. Cheap; returns before anything is done. */
  poke(owner: OutboxOwner): void {
    if (this.#poked.size === 0) {
      this.#options.schedule(() => {
        this.#lookAt([...this.#poked]);
      });
    }
    this.#poked.add(owner);
  }

  /** The replica is no longer this node's to deliver from. */
  retire(shard: number): void {
    const queue = this.#queues.get(shard);
    if (queue !== undefined) this.#drop(queue);
  }

  /** Gives up what is under way; it is delivered again, by whoever comes next. */
  close(): void {
    this.#closing.abort();
    for (const queue of [...this.#queues.values()]) this.#drop(queue);
  }

  #lookAt(owners: readonly OutboxOwner[]): void {
    this.#poked.clear();
    if (this.#closing.signal.aborted) return;
    for (const owner of owners) {
      const { outbox, id } = owner;
      const known = this.#queues.get(id);
      if (known !== undefined && (known.owner !== owner || !outbox.isActive)) this.#drop(known);
      if (!outbox.isActive || outbox.counts.events === 0) continue;
      let queue = this.#queues.get(id);
      if (queue === undefined) {
        queue = {
          ...{ owner, lanes: new Map<string, Lane>(), taken: undefined, size: 0 },
          ...{ done: [], dead: [], isSettling: false, isClosed: false },
        };
        this.#queues.set(id, queue);
      }
      this.#take(queue);
    }
    this.#run();
  }

  #drop(queue: ShardQueue): void {
    queue.isClosed = true;
    for (const { timer } of queue.lanes.values()) timer?.cancel();
    queue.lanes.clear();
    this.#queues.delete(queue.owner.id);
  }

  /** Takes more events into memory, where there is room for a good many. */
  #take(queue: ShardQueue): void {
    if (queue.size > windowMax / 2) return;
    const { owner } = queue;
    let events: WaitingEvent[];
    try {
      events = owner.outbox.events(queue.taken, windowMax - queue.size);
    } catch (error) {
      // Whoever watches the storage has been told of the damage; the replica is set apart and another one delivers.
      this.#options.logger.error({ err: error, shard: owner.id }, 'events of a shard cannot be read');
      this.#drop(queue);
      return;
    }
    for (const waiting of events) {
      queue.taken = waiting.ref;
      queue.size += 1;
      const name = laneOf(waiting);
      let lane = queue.lanes.get(name);
      if (lane === undefined) {
        lane = { name, queue, events: [], attempts: 0, timer: undefined };
        queue.lanes.set(name, lane);
        this.#ready.push(lane);
      }
      lane.events.push(waiting);
    }
    if (events.length > 0) this.#options.observer?.taken(events.length);
  }

  #run(): void {
    while (this.#inFlight < maxInFlight) {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      const [waiting] = lane.events;
      if (lane.queue.isClosed || waiting === undefined) continue;
      this.#inFlight += 1;
      void this.#deliver(lane, waiting);
    }
  }

  /** Never rejects. */
  async #deliver(lane: Lane, waiting: WaitingEvent): Promise<void> {
    const { clock, random, maxDepth } = this.#options;
    const { queue } = lane;
    const { event, ref } = waiting;
    let death: Death | undefined;
    let againMs: number | undefined;
    if (event.depth > maxDepth) {
      const error = `${String(event.depth)} calls of triggers led to each other, at most ${String(maxDepth)} may`;
      death = { reason: 'depth', attempts: 0, error };
      // Nor deeper on the stack with each of them.
      await Promise.resolve();
    } else {
      const outcome = await this.#call(queue.owner, waiting);
      if (outcome.kind !== 'busy') lane.attempts += 1;
      const verdict = verdictOf(outcome, lane.attempts, clock.now() - event.at, this.#policy, random);
      this.#note(waiting, outcome);
      if (verdict.kind === 'again') againMs = verdict.afterMs;
      if (verdict.kind === 'dead') death = verdict.death;
    }
    this.#inFlight -= 1;
    if (!queue.isClosed) {
      if (againMs === undefined) this.#end(lane, ref, event.at, death);
      else this.#again(lane, againMs);
    }
    this.#run();
  }

  async #call(owner: OutboxOwner, { event }: WaitingEvent): Promise<Outcome> {
    const { port, timeoutMs: deadlineMs } = this.#options;
    const { signal } = this.#closing;
    try {
      const { classId, invocation, metadata } = callOf(owner, event);
      return outcomeOfResponse(await port.call(classId, invocation, { deadlineMs, metadata, signal }));
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  #again(lane: Lane, afterMs: number): void {
    lane.timer = this.#options.timers.after(afterMs, () => {
      lane.timer = undefined;
      if (lane.queue.isClosed) return;
      // Leadership may be gone by now, and with it the right to deliver.
      if (!lane.queue.owner.outbox.isActive) {
        this.#drop(lane.queue);
        return;
      }
      this.#ready.push(lane);
      this.#run();
    });
  }

  #end(lane: Lane, ref: EventRef, at: number, death: Death | undefined): void {
    const { queue } = lane;
    lane.events.shift();
    lane.attempts = 0;
    queue.size -= 1;
    if (death === undefined) queue.done.push(ref);
    else {
      queue.dead.push({ ref, ...death });
      this.#options.logger.warn({ shard: queue.owner.id, ...death }, 'an event became a dead letter');
    }
    this.#options.observer?.ended(Math.max(0, this.#options.clock.now() - at), death);
    if (lane.events.length > 0) this.#ready.push(lane);
    else queue.lanes.delete(lane.name);
    this.#take(queue);
    if (!queue.isSettling) void this.#settle(queue);
  }

  /** Takes what has ended out of the outbox, several events at once. Never rejects. */
  async #settle(queue: ShardQueue): Promise<void> {
    const { clock, logger, timers } = this.#options;
    const { outbox, id } = queue.owner;
    queue.isSettling = true;
    while (!queue.isClosed && queue.done.length + queue.dead.length > 0) {
      const done = queue.done.splice(0, settleMax);
      const dead = queue.dead.splice(0, settleMax);
      try {
        await outbox.change({ type: 'outbox', at: Math.max(0, Math.floor(clock.now())), done, dead });
      } catch (error) {
        if (!outbox.isActive) {
          this.#drop(queue);
          break;
        }
        queue.done.unshift(...done);
        queue.dead.unshift(...dead);
        logger.warn({ shard: id, err: toOaasError(error) }, 'what became of events cannot be stored now');
        await new Promise<void>((resolve) => timers.after(settleAgainMs, resolve));
      }
    }
    queue.isSettling = false;
  }

  #note({ event }: WaitingEvent, outcome: Outcome): void {
    if (outcome.kind === 'busy') return;
    const { clsId, fnId } = targetOf(event);
    const target = `${clsId}.${fnId}`;
    const known = this.#failing.get(target);
    this.#failing.delete(target);
    if (outcome.kind === 'delivered') return;
    const [oldest] = this.#failing.keys();
    if (this.#failing.size >= failingMax && oldest !== undefined) this.#failing.delete(oldest);
    const { error } = outcome;
    const since = known?.since ?? this.#options.clock.now();
    this.#failing.set(target, { target, failures: (known?.failures ?? 0) + 1, since, error });
  }
}

/** Object and target: what is to be in order. */
function laneOf({ event }: WaitingEvent): string {
  return `${event.objectId}\u0000${Buffer.from(event.target).toString('latin1')}`;
}
