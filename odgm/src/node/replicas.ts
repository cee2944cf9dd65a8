import { collectionOptionValues } from '@oaas/commons/config';
import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Timer, Timers } from '@oaas/commons/time';
import {
  type Alarm,
  alarmOf,
  canDoWithout,
  type CollectionRecord,
  freezeOf,
  type MetaState,
  type ShardRecord,
  type ShardReplicaRecord,
} from '../meta/index.ts';
import { EventualShard, RaftShard, type ShardHandle, type ShardLimits } from '../shard/index.ts';

/** Makes, opens and removes replicas of shards. */
export interface ReplicaFactory {
  open(shard: ShardRecord, collection: CollectionRecord, replica: ShardReplicaRecord): Promise<ShardHandle>;
  /**
   * Removes the replica with this epoch for good, with its data. `shard`: the record that it is no part of any more, to
   * hand over to the others what they may lack; undefined where there is no such shard. Rejects when that cannot be done
   * yet. Does nothing where there is none, or a later one.
   */
  remove(id: number, epoch: number, shard?: ShardRecord): Promise<void>;
  /** Shards of which there is something stored here, with the epoch of the replica. */
  stored(): ReadonlyMap<number, number>;
}

export interface ReplicasOptions {
  /** Own member number. */
  readonly self: number;
  readonly factory: ReplicaFactory;
  readonly logger: Logger;
  readonly timers: Timers;
  /** The replica serves from now on, and no longer. */
  readonly onOpen: (shard: ShardRecord, handle: ShardHandle) => void;
  readonly onClose: (shard: number) => void;
  /** The replica with this epoch cannot be opened. */
  readonly onProblem: (shard: number, epoch: number, error: Error) => void;
  /**
   * The meta state is no older than what this member knew when it last stopped. Until then (the group's log of this
   * member ends where the disk did, and says little about what was committed) a replica that it does not want may be one
   * that it does not want yet, and nothing is removed.
   */
  readonly isCurrent: () => boolean;
  /** Something is wrong with the replica that the meta state does not say yet: it must not serve. */
  readonly isSuspect: (shard: number, epoch: number) => boolean;
}

/** Replicas that are opened at once: a start with thousands of them stays responsive. */
const openAtOnce = 64;
/** What could not be removed yet is tried again after so long, and with the next change. */
const removeAgainMs = 2000;

interface Held {
  readonly handle: ShardHandle;
  readonly epoch: number;
  /** False: it follows its log, and nobody reads or writes here. */
  isServing: boolean;
}

interface Wanted {
  readonly shard: ShardRecord;
  readonly collection: CollectionRecord;
  readonly replica: ShardReplicaRecord;
  /** Of the collection's options. */
  readonly limits: ShardLimits;
}

/**
 * The replicas of this node, kept as the meta state wants them: what is recorded for this member is open, what is
 * recorded no longer, or with another epoch, goes, data and all, where replicas merge once it has handed over what only it
 * has; open ones follow changed options of their collection. One with an alarm does not serve, and votes only where the
 * others could not go on without it. A replica that cannot be opened is tried again with the next change.
 */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #held = new Map<number, Held>();
  readonly #problems = new Map<number, string>();
  #running: Promise<void> | undefined;
  #wanted: (() => MetaState) | undefined;
  /** Former replicas that are to go, as of the last round: shard and epoch. */
  #leaving: readonly (readonly [id: number, epoch: number])[] = [];
  /** Which of them goes now. */
  #going: number | undefined;
  #departures: Promise<void> | undefined;
  #again: Timer | undefined;
  #isClosed = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /** Also one that does not serve. */
  get(shard: number): ShardHandle | undefined {
    return this.#held.get(shard)?.handle;
  }

  /** Those that serve. */
  serving(): ShardHandle[] {
    return [...this.#held.values()].filter(({ isServing }) => isServing).map(({ handle }) => handle);
  }

  isServing(shard: number): boolean {
    return this.#held.get(shard)?.isServing === true;
  }

  /** Why a replica that should be here is not, or does not serve. */
  problemOf(shard: number): string | undefined {
    return this.#problems.get(shard);
  }

  /** The replica serves no more, at once. What is to become of it, the meta state says. */
  withdraw(shard: number, problem: string): void {
    const held = this.#held.get(shard);
    this.#problems.set(shard, problem);
    if (held?.isServing !== true) return;
    held.isServing = false;
    this.#options.onClose(shard);
  }

  /** Brings the replicas to what the state wants. Calls that come meanwhile are one more round. Never rejects. */
  sync(state: () => MetaState): Promise<void> {
    this.#wanted = state;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Closes all replicas; nothing is removed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#again?.cancel();
    await this.#running;
    await this.#departures;
    await Promise.all([...this.#held.values()].map(({ handle }) => handle.close()));
    this.#held.clear();
  }

  async #run(): Promise<void> {
    try {
      while (this.#wanted !== undefined && !this.#isClosed) {
        const state = this.#wanted;
        this.#wanted = undefined;
        await this.#round(state());
        this.#beginDepartures(state);
      }
    } finally {
      this.#running = undefined;
    }
  }

  /** Beside everything else: what they hand over may be much, and whoever is to get it slow. */
  #beginDepartures(state: () => MetaState): void {
    if (this.#departures !== undefined || this.#leaving.length === 0) return;
    this.#again?.cancel();
    this.#departures = this.#depart(state).then(({ hasGone, hasStayed }) => {
      this.#departures = undefined;
      if (this.#isClosed) return;
      if (hasStayed) this.#again = this.#options.timers.after(removeAgainMs, () => void this.sync(state));
      // Their successors can be opened.
      if (hasGone) void this.sync(state);
    });
  }

  /** One after the other. */
  async #depart(state: () => MetaState): Promise<{ readonly hasGone: boolean; readonly hasStayed: boolean }> {
    const stayed = new Set<number>();
    let hasGone = false;
    for (;;) {
      const next = this.#isClosed ? undefined : this.#leaving.find(([id]) => !stayed.has(id));
      this.#going = next?.[0];
      if (next === undefined) return { hasGone, hasStayed: stayed.size > 0 };
      const [id, epoch] = next;
      const isGone = await this.#remove(id, epoch, state().shards.get(id));
      // A round may have listed it anew meanwhile.
      if (isGone) this.#leaving = this.#leaving.filter(([other]) => other !== id);
      else stayed.add(id);
      hasGone ||= isGone;
    }
  }

  async #round(state: MetaState): Promise<void> {
    const { factory } = this.#options;
    const wanted = this.#wantedOf(state);
    const epochs = new Map(wanted.map(({ shard, replica }) => [shard.id, replica.epoch]));
    for (const [id, { epoch }] of [...this.#held]) if (epochs.get(id) !== epoch) await this.#close(id);
    const stored = factory.stored();
    const obsolete = [...stored].filter(([id, epoch]) => this.#isObsolete(state, id, epoch, epochs.get(id)));
    // Where replicas merge, a former one may have what no other has, and hands that over before it goes.
    this.#leaving = obsolete.filter(([id]) => !epochs.has(id) || state.shards.get(id)?.merges === true);
    const waiting = new Set([...this.#leaving.map(([id]) => id), this.#going]);
    for (const [id, epoch] of obsolete) if (!waiting.has(id)) await this.#remove(id, epoch);
    const missing: Wanted[] = [];
    for (const one of wanted) {
      if ((stored.get(one.shard.id) ?? 0) > one.replica.epoch) continue;
      const alarm = alarmOf(state, one.shard, this.#options.self);
      const isMissing = alarm === undefined ? this.#keepServing(state, one) : await this.#setApart(state, one, alarm);
      if (isMissing && !waiting.has(one.shard.id)) missing.push(one);
    }
    for (let from = 0; from < missing.length && !this.#isClosed; from += openAtOnce) {
      await Promise.all(missing.slice(from, from + openAtOnce).map((one) => this.#open(state, one)));
    }
  }

  #wantedOf(state: MetaState): Wanted[] {
    const wanted: Wanted[] = [];
    for (const collection of state.collections.values()) {
      const limits = collectionOptionValues(collection.spec.options);
      for (const id of collection.shards) {
        const shard = state.shards.get(id);
        const replica = shard?.replicas.find(({ member }) => member === this.#options.self);
        if (shard !== undefined && replica !== undefined) wanted.push({ shard, collection, replica, limits });
      }
    }
    return wanted;
  }

  /** A newer epoch says for itself that the stored replica is over. Ids are never reused. */
  #isObsolete(state: MetaState, shard: number, epoch: number, wanted: number | undefined): boolean {
    if (wanted !== undefined) return epoch < wanted;
    return shard < state.next.shard && this.#options.isCurrent();
  }

  /** True when the replica is to be opened. */
  #keepServing(state: MetaState, one: Wanted): boolean {
    const held = this.#held.get(one.shard.id);
    if (held === undefined) return true;
    follow(state, one, held.handle);
    if (held.isServing || !this.#mayServe(state, one)) return false;
    held.isServing = true;
    this.#problems.delete(one.shard.id);
    this.#options.onOpen(one.shard, held.handle);
    return false;
  }

  /** It does not serve, and stops where the others can do without its vote. True when it is to be opened for that vote. */
  async #setApart(state: MetaState, { shard }: Wanted, { evidence }: Alarm): Promise<boolean> {
    const held = this.#held.get(shard.id);
    const problem = `set apart: ${evidence}`;
    this.withdraw(shard.id, problem);
    if (!canDoWithout(state, shard)) return held === undefined;
    if (held !== undefined) await this.#close(shard.id);
    this.#problems.set(shard.id, problem);
    return false;
  }

  #mayServe(state: MetaState, { shard, replica }: Wanted): boolean {
    const { self, isSuspect } = this.#options;
    return alarmOf(state, shard, self) === undefined && !isSuspect(shard.id, replica.epoch);
  }

  async #open(state: MetaState, one: Wanted): Promise<void> {
    const { factory, logger, onOpen, onProblem } = this.#options;
    const { shard, collection, replica } = one;
    try {
      const handle = await factory.open(shard, collection, replica);
      const isServing = this.#mayServe(state, one);
      this.#held.set(shard.id, { handle, epoch: replica.epoch, isServing });
      follow(state, one, handle);
      if (!isServing) return;
      this.#problems.delete(shard.id);
      onOpen(shard, handle);
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (this.#problems.get(shard.id) !== error.message) {
        logger.error(
          { err: error, collection: shard.collection, partition: shard.partition },
          'a replica cannot be opened',
        );
      }
      this.#problems.set(shard.id, error.message);
      onProblem(shard.id, replica.epoch, error);
    }
  }

  async #close(id: number): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#problems.delete(id);
    if (held.isServing) this.#options.onClose(id);
    await held.handle.close();
  }

  /** False when it is still there. */
  async #remove(id: number, epoch: number, shard?: ShardRecord): Promise<boolean> {
    try {
      await this.#options.factory.remove(id, epoch, shard);
      this.#problems.delete(id);
      return true;
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (this.#problems.get(id) !== error.message) {
        this.#options.logger.warn({ err: error, shard: id }, 'the data of a replica could not be removed yet');
      }
      this.#problems.set(id, error.message);
      return false;
    }
  }
}

/** Tells a replica what the meta state says of its shard, and of the collection. */
function follow(state: MetaState, { shard, limits }: Wanted, handle: ShardHandle): void {
  handle.setLimits(limits);
  if (handle instanceof EventualShard) handle.configure(state.shards.get(shard.id) ?? shard);
  if (!(handle instanceof RaftShard)) return;
  const alarm = freezeOf(state, handle.id);
  handle.freeze(alarm === undefined ? undefined : `no replica is known to be right (${alarm.evidence})`);
}
