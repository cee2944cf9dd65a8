import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Timers } from '@oaas/commons/time';
import type { ExchangePort } from './exchange.ts';
import { isUnreadable } from './heir.ts';
import { type Head, headTo, requests } from './messages.ts';
import { takeRefs } from './refs.ts';
import { Turns } from './turns.ts';
import type { EventualReplica, ReplicaRefs } from './types.ts';

export interface RefTrafficOptions {
  readonly timers: Timers;
  readonly logger: Logger;
  /** Longest wait for another replica to have what changed here, in milliseconds. */
  readonly spreadMs: number;
  readonly isUp: (member: number) => boolean;
  readonly portTo: (member: number, head: Head) => ExchangePort;
}

interface Lanes {
  /** They are taken over from one replica after the other. */
  readonly taking: Turns;
  /** Of changes of them each member is told one after the other. */
  readonly telling: Map<number, Turns>;
}

/** A replica that is just handed over. */
interface Former {
  readonly replica: EventualReplica;
  /** Why it could not give what its heir asked for. */
  problem: unknown;
}

const nothing = new Uint8Array(0);
/** What a member was given stays readable for so long, or until it is given the next. */
const givenMs = 60_000;

/**
 * Labels and branches of the replicas of a node on their way. They go as a whole, and it is always the one that lacks
 * some that takes them over from the one that has them ({@link takeRefs}). So who changes some only tells the others
 * that there is something to take, and gives it to those that ask; and a replica that is no part of its shard any more
 * stays known as a former one for as long as its heir takes over what it had.
 */
export class RefTraffic {
  readonly #options: RefTrafficOptions;
  readonly #lanes = new WeakMap<EventualReplica, Lanes>();
  readonly #formers = new Map<number, Former>();
  /** Ends of what keeps readable what members were given. */
  readonly #given = new Map<string, () => void>();

  constructor(options: RefTrafficOptions) {
    this.#options = options;
  }

  /**
   * Tells all members that can be reached of a change. Resolves when one of them has it as well, on its disk; when none
   * can be reached, when all refuse, or when none has it in time.
   */
  async spread(replica: EventualReplica): Promise<void> {
    const { timers, isUp, spreadMs } = this.#options;
    const told = replica.members.filter((member) => isUp(member)).map((member) => this.#tell(replica, member));
    if (told.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = timers.after(spreadMs, resolve);
      const done = (): void => {
        timer.cancel();
        resolve();
      };
      Promise.any(told).then(done, done);
    });
  }

  /** The replica takes over what that of the member has. Rejects when it did not come to the end. */
  take(replica: EventualReplica, member: number, head: Head): Promise<void> {
    const { refs } = replica;
    if (refs === undefined) return Promise.resolve();
    const { logger, portTo } = this.#options;
    return this.#lanesOf(replica).taking.run(`${String(member)}.${String(head.toEpoch)}`, async () => {
      try {
        await takeRefs(refs, portTo(member, head));
      } catch (error) {
        if (isUnreadable(error)) {
          logger.warn({ err: error, member, shard: head.shard }, 'labels and branches cannot be taken over');
        }
        throw error;
      }
    });
  }

  /** What the replica has, encoded, for a member that asks: it stays readable for a minute, or until that asks again. */
  async give(replica: EventualReplica, member: number): Promise<Uint8Array> {
    const { refs, unpin } = await refsOf(replica).give();
    this.#keepGiven(`${String(member)}.${String(replica.shard)}`, unpin);
    return refs;
  }

  /**
   * Has the heir of a replica take over what that has, which is no part of its shard any more. Rejects when it does not:
   * with what is wrong with the former replica, where that could not be read.
   */
  async handOver(replica: EventualReplica, heir: ExchangePort): Promise<void> {
    const former: Former = { replica, problem: undefined };
    this.#formers.set(replica.shard, former);
    try {
      const [isTaken] = await heir.ask(requests.changed, nothing);
      if (isTaken !== 1) throw oaasError('Unavailable', 'the member has no replica to hand over to');
    } catch (error) {
      throw former.problem ?? error;
    } finally {
      this.#formers.delete(replica.shard);
    }
  }

  /** The replica that is just handed over. */
  former(shard: number): EventualReplica | undefined {
    return this.#formers.get(shard)?.replica;
  }

  /** The heir asked for something that this replica could not give. */
  couldNotGive(replica: EventualReplica, error: unknown): void {
    const former = this.#formers.get(replica.shard);
    if (former?.replica === replica && isUnreadable(error)) former.problem = error;
  }

  #tell(replica: EventualReplica, member: number): Promise<void> {
    const { telling } = this.#lanesOf(replica);
    const turns = telling.get(member) ?? new Turns();
    telling.set(member, turns);
    return turns.run('', async () => {
      const head = headTo(replica, member);
      if (head === undefined) throw oaasError('Unavailable', 'the member has no replica any more');
      const [isTaken] = await this.#options.portTo(member, head).ask(requests.changed, nothing);
      if (isTaken !== 1) throw oaasError('Unavailable', 'the replica is new');
    });
  }

  #lanesOf(replica: EventualReplica): Lanes {
    const known = this.#lanes.get(replica);
    if (known !== undefined) return known;
    const lanes: Lanes = { taking: new Turns(), telling: new Map() };
    this.#lanes.set(replica, lanes);
    return lanes;
  }

  /** Each member takes over one after the other: what it was given before it does not need any more. */
  #keepGiven(name: string, unpin: () => void): void {
    this.#given.get(name)?.();
    const timer = this.#options.timers.after(givenMs, () => {
      end();
    });
    const end = (): void => {
      timer.cancel();
      unpin();
      if (this.#given.get(name) === end) this.#given.delete(name);
    };
    this.#given.set(name, end);
  }
}

/** `FailedPrecondition` where none are kept. */
export function refsOf({ refs, shard }: EventualReplica): ReplicaRefs {
  if (refs !== undefined) return refs;
  throw oaasError('FailedPrecondition', `shard ${String(shard)} keeps no labels and branches`);
}
