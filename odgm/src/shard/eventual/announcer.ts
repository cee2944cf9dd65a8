import type { Clock } from '@oaas/commons/time';
import {
  adoptCut,
  advanceReaping,
  compareStamps,
  earlierStamp,
  defaultGraceMs,
  type HybridClock,
  laterStamp,
  type ReapingState,
  type Stamp,
  zeroStamp,
} from '../../merge/index.ts';
import type { Announcement } from '../../replication/index.ts';
import type { Engine, WriteOperation } from '../../storage/index.ts';
import type { ShardLocation } from '../records.ts';
import type { Peers } from './peers.ts';
import { graveBounds, ofGraveKey } from './records.ts';
import type { EventualTransaction, LeafChange } from './transaction.ts';
import type { TreeIndex } from './tree-index.ts';

export interface AnnouncerOptions {
  readonly engine: Engine;
  readonly location: ShardLocation;
  readonly clock: Clock;
  /** Of this replica. */
  readonly stamps: HybridClock;
  /** Tombstones stay for at least so long, in milliseconds. Default 10 minutes. */
  readonly graceMs: number | undefined;
  readonly index: TreeIndex;
  readonly peers: Peers;
  readonly transaction: () => EventualTransaction;
  /** Stores what a transaction changed, and tells of which leaves that was. */
  readonly write: (transaction: EventualTransaction) => Promise<readonly LeafChange[]>;
  /** Stores the latest stamp. */
  readonly clockOperation: () => WriteOperation;
}

/** Graves looked at in one go. */
const reapAtOnce = 512;
/** How often an idle replica with graves takes a new stamp, so that they come to be reaped. */
const reapEveryMs = 30_000;

/**
 * What a merging replica tells the others of itself, and when it forgets what was deleted: two things that hang together.
 *
 * An announcement is the root of the tree, with a stamp: all that this replica stamps later is not in it. Who has taken
 * over what was announced has all up to that stamp, and with these stamps of all replicas the cut moves on
 * ({@link advanceReaping}): up to it every replica has everything. Tombstones up to the cut are taken away before the root
 * is announced, so that roots with the same cut are alike. A cut that another replica announces holds here too, once this
 * one is complete; one that is new takes the cut together with the first root that it has taken over as a whole.
 *
 * Cut and completeness are stored with the tree, when it is announced.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #graceMs: number;
  #reaping: ReapingState;
  #isComplete: boolean;
  /** The state says something that is not stored yet. */
  #isStateChanged = false;
  #announced: Announcement | undefined;
  /** Highest epoch of the shard's record that any replica is known to follow. */
  #heardMembership = 0;

  /** Goes on with what is stored with the tree. */
  constructor(options: AnnouncerOptions) {
    const { index, graceMs = defaultGraceMs } = options;
    this.#options = options;
    this.#graceMs = graceMs;
    this.#isComplete = index.state.isComplete;
    this.#reaping = { cut: index.state.cut, candidate: undefined };
  }

  /** It has had all that another complete replica had; one that began with the shard is complete from the start. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Tombstones up to here are on every replica. */
  get cut(): Stamp {
    return this.#reaping.cut;
  }

  /**
   * A former replica's states are let in when they are stamped later. Nobody can be about to make a cut of a later stamp:
   * a cut is by the time of grace earlier than something that this replica has announced, and what it announces from now
   * on comes with all that it has let in.
   */
  get floor(): Stamp {
    const { clock, stamps } = this.#options;
    const { cut, candidate } = this.#reaping;
    const { ms } = stamps.tick(clock.now());
    const old: Stamp = { ms: Math.max(0, ms - this.#graceMs), counter: 0, member: 0 };
    const announced = this.#announced?.stamp ?? stamps.last;
    return laterStamp(laterStamp(cut, candidate?.cut ?? cut), earlierStamp(announced, old));
  }

  /**
   * The shard has other replicas. What the others had before they followed this record may still grow by what a former
   * replica sends them: a cut that was about to be made on that is not made.
   */
  forgetCandidate(): void {
    this.#reaping = { cut: this.#reaping.cut, candidate: undefined };
  }

  /** Takes over the stamp and the cut of another replica. */
  heard({ stamp, cut, membership }: Announcement): void {
    const { clock, stamps } = this.#options;
    const now = clock.now();
    this.#heardMembership = Math.max(this.#heardMembership, membership);
    stamps.observe(stamp, now);
    if (!this.#isComplete || compareStamps(cut, this.#reaping.cut) <= 0 || !stamps.observe(cut, now)) return;
    this.#reaping = adoptCut(this.#reaping, cut);
    this.#isStateChanged = true;
  }

  /** All that a complete replica had is here. What it had reaped by then must not come back from anywhere. */
  becomeComplete(cut: Stamp): void {
    const { clock, stamps } = this.#options;
    this.#isComplete = true;
    this.#isStateChanged = true;
    if (stamps.observe(cut, clock.now())) this.#reaping = adoptCut(this.#reaping, cut);
  }

  /**
   * Reaps, stores the tree, and announces it; the announcement before this one when nothing is new. Only while nothing
   * else changes what is stored. Rejects when it cannot be stored.
   */
  async announce(): Promise<Announcement> {
    const { clock, engine, location, stamps, index, peers, clockOperation } = this.#options;
    const now = clock.now();
    const hasGraves = hasAny(engine.range({ ...graveBounds(location, Infinity), limit: 1 }));
    const old = this.#announced;
    const isDue = hasGraves && now - (old?.stamp.ms ?? 0) > Math.min(reapEveryMs, this.#graceMs / 2);
    if (old !== undefined && !index.isDirty && !this.#isStateChanged && !isDue) return old;
    this.#advanceReaping(now);
    await this.#reap();
    const stamp = stamps.tick(now);
    const { cut } = this.#reaping;
    const isComplete = this.#isComplete;
    this.#isStateChanged = false;
    try {
      await index.commit({ cut, isComplete }, now, [clockOperation()]);
    } catch (error) {
      this.#isStateChanged = true;
      throw error;
    }
    index.collect();
    this.#announced = { root: index.root, stamp, cut, isComplete, membership: peers.membership.epoch };
    return this.#announced;
  }

  /** Not while somebody may follow a newer record: it may name a replica that this one does not know of. */
  #advanceReaping(now: number): void {
    const { peers, stamps } = this.#options;
    if (!this.#isComplete || this.#heardMembership > peers.membership.epoch) return;
    this.#reaping = advanceReaping(this.#reaping, peers.progress(), stamps.tick(now), this.#graceMs);
  }

  /** Takes away what is up to the cut, all of it: until then the tree is not what it is on the others. */
  async #reap(): Promise<void> {
    const { engine, location, transaction: begin, write } = this.#options;
    const { cut } = this.#reaping;
    if (compareStamps(cut, zeroStamp) === 0) return;
    for (;;) {
      const bounds = { ...graveBounds(location, cut.ms), limit: reapAtOnce };
      const graves = Array.from(engine.range(bounds), ({ key }) => ofGraveKey(key));
      const transaction = begin();
      for (const { treeKey, ms } of graves) transaction.reap(treeKey, ms, cut);
      const leaves = await write(transaction);
      if (leaves.length === 0 || graves.length < reapAtOnce) return;
    }
  }
}

function hasAny(items: Iterable<unknown>): boolean {
  for (const _ of items) return true;
  return false;
}
