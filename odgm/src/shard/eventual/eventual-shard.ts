import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import { compareStamps, headerStamp, HybridClock, type Stamp } from '../../merge/index.ts';
import type { Key, PageHash, Pages } from '../../merkle/index.ts';
import type {
  Announcement,
  Comparison,
  Completion,
  EventualHost,
  EventualReplica,
  ReplicaId,
  ReplicaRefs,
} from '../../replication/index.ts';
import type { Engine, WriteOperation } from '../../storage/index.ts';
import { checkMutation } from '../apply.ts';
import { contentAlgorithm } from '../content-hash.ts';
import { contentOf } from '../content-scan.ts';
import { ExpirySweep } from '../expiry-sweep.ts';
import type { ShardHandle, ShardStatus } from '../handle.ts';
import type { Mutation, MutationResult, ShardCounters, ShardLimits } from '../model.ts';
import { OperationRate } from '../operation-rate.ts';
import { Outbox } from '../outbox.ts';
import type { OutboxChange, OutboxResult } from '../outbox-change.ts';
import { countsKey, decodeCounts, type OutboxCounts } from '../outbox-records.ts';
import type { ScanSource } from '../raft-shard.ts';
import { ShardReader } from '../reader.ts';
import { decodeTotals, type ShardLocation, type ShardTotals, totalsKey } from '../records.ts';
import { Announcer } from './announcer.ts';
import { type CommitItem, CommitQueue, tooMuch } from './commit-queue.ts';
import { LeafKeys } from './leaf-keys.ts';
import { decodePatches, type ObjectPatch, type PatchBytes, takePatches } from './patch.ts';
import { type Membership, Peers } from './peers.ts';
import { clockKey, decodeClock, encodeClock } from './records.ts';
import { ShardRefs } from './shard-refs.ts';
import { EventualTransaction, type EventualTransactionOptions, type LeafChange } from './transaction.ts';
import { TreeIndex } from './tree-index.ts';
import { ShardVersions } from './versions.ts';

export interface EventualShardOptions {
  readonly type: 'basic' | 'mst';
  readonly id: number;
  /** Of this replica. */
  readonly epoch: number;
  readonly collection: string;
  readonly partition: number;
  readonly engine: Engine;
  readonly clock: Clock;
  /** At first; see {@link ShardHandle.setLimits}. */
  readonly limits: ShardLimits;
  /** 16 bytes, the same on all members of the cluster and known to nobody else. */
  readonly levelKey: Uint8Array;
  readonly membership: Membership;
  /** This replica began with the shard. */
  readonly isFounder: boolean;
  /** Tombstones stay for at least so long, in milliseconds. Default 10 minutes. */
  readonly graceMs?: number | undefined;
  /** Whether changes that clients ask for now set off triggers. Default: they do not. */
  readonly fires?: (() => boolean) | undefined;
  /** There are new events in the outbox. */
  readonly onEvents?: (() => void) | undefined;
}

/** The tree is stored at the latest when so many of its pages wait in memory: about 8 MB. */
const maxPendingPages = 4096;

/**
 * One replica of a partition whose replicas all take writes and merge (collections of type basic with several replicas,
 * and of type mst).
 *
 * A mutation is decided here, against what this replica has; so is compare-and-set, and the version is this replica's
 * count of the batches that it knows of. It is answered when it is on this node's disk, and sent to the others after
 * that. Entries merge one by one: the later stamp of a hybrid logical clock wins (maps of our format merge by key);
 * deletes are tombstones, reaped once all replicas have them. What cannot be sent is remembered, up to a bound
 * ({@link Peers}); what is lost of that, with a restart or over the bound, is found by the comparison of trees, which goes
 * on at all times. So replicas end alike after any partition.
 *
 * Reads show this replica's state: {@link status} says since when the others may have more.
 */
export class EventualShard implements ShardHandle, EventualReplica {
  readonly type: 'basic' | 'mst';
  readonly id: number;
  readonly shard: number;
  readonly epoch: number;
  readonly collection: string;
  readonly partition: number;
  readonly reader: ShardReader;
  readonly index: TreeIndex;
  /** Labels and branches, of a shard of type mst. */
  readonly refs: (ReplicaRefs & { readonly digest: string }) | undefined;
  /** Of triggers that changes set off which clients asked this replica for. It delivers them itself, whatever its role. */
  readonly outbox: Outbox;
  readonly operations = new OperationRate();
  readonly #options: EventualShardOptions;
  readonly #host: EventualHost;
  readonly #location: ShardLocation;
  #limits: ShardLimits;
  readonly #clock: HybridClock;
  readonly #peers: Peers;
  /** All that changes what is stored goes through it, one group after the other. */
  readonly #queue: CommitQueue;
  readonly #announcer: Announcer;
  readonly #leafKeys = new LeafKeys();
  readonly #versionOf: EventualTransactionOptions['versionOf'];
  #totals: ShardTotals;
  #earliestExpiry: number;
  readonly #sweep = new ExpirySweep({
    isDue: () => !this.#isClosed && this.#earliestExpiry <= this.#options.clock.now(),
    expired: (limit) => this.reader.expired(limit),
    take: (entries) => this.#queue.expire(entries),
    onNone: () => {
      this.#earliestExpiry = this.reader.earliestExpiry();
    },
  });
  #isClosed = false;
  #versions: ShardVersions | undefined;
  #outboxCounts: OutboxCounts;

  /** Opens what is stored at the location, or an empty replica. Throws `StorageCorrupt`. */
  constructor(host: EventualHost, location: ShardLocation, options: EventualShardOptions) {
    const { engine, clock, collection, id, type, levelKey, isFounder } = options;
    this.type = type;
    this.id = id;
    this.shard = id;
    this.epoch = options.epoch;
    this.collection = collection;
    this.partition = options.partition;
    this.#options = options;
    this.#host = host;
    this.#location = location;
    this.#peers = new Peers({
      ...{ self: host.self, clock, membership: options.membership },
      isUp: (member) => host.isUp(member),
      send: (member, states) => host.send(this, member, states),
      take: (keys, maxBytes) => this.take(keys, maxBytes),
    });
    this.#queue = new CommitQueue(async (group) => {
      await this.#commitGroup(group);
      if (this.index.pendingPages > maxPendingPages) await this.#announcer.announce().catch(() => undefined);
    }, host.waiting);
    this.reader = new ShardReader(engine, location, `${collection}/${String(options.partition)}`, clock);
    const stamp = (): Stamp => this.#clock.tick(clock.now());
    const author = type === 'mst' ? { member: host.self, epoch: options.epoch, stamp } : undefined;
    this.index = new TreeIndex({ engine, location, levelKey, isFounder, author });
    this.refs = this.#shardRefs();
    this.#versionOf = type === 'mst' ? (treeKey) => this.index.versionOf(treeKey) : undefined;
    const { counters, content } = decodeTotals(engine.get(totalsKey(location)));
    this.#totals = { counters, content: content ?? contentOf(engine, location) };
    this.#earliestExpiry = this.reader.earliestExpiry();
    this.#clock = new HybridClock({ member: host.self, last: decodeClock(engine.get(clockKey(location))) });
    this.#announcer = new Announcer({
      ...{ engine, location, clock, stamps: this.#clock, graceMs: options.graceMs },
      ...{ index: this.index, peers: this.#peers },
      transaction: () => this.#transaction(),
      write: (transaction) => this.#write(transaction),
      clockOperation: () => this.#clockOperation(),
    });
    this.#outboxCounts = decodeCounts(engine.get(countsKey(location)));
    this.outbox = new Outbox({
      storage: engine,
      location: () => location,
      counts: () => this.#outboxCounts,
      isActive: () => !this.#isClosed,
      change: (change) => this.whenIdle(() => this.#changeOutbox(change)),
    });
    this.#limits = options.limits;
    this.configure(options.membership);
  }

  /**
   * It takes writes: all replicas do, but those that are new, those that are about to go, and those whose stamps the
   * others would not take now.
   */
  get isPrimary(): boolean {
    return !this.#isClosed && this.isComplete && this.#peers.ownRole === 'voter' && this.#aloneMs === 0;
  }

  /** What was stamped while the clock was ahead lies before it, and what is written must come after that. */
  get #aloneMs(): number {
    const ms = this.#clock.aloneMs(this.#options.clock.now());
    return ms > 0 && this.#peers.members.length > 0 ? ms : 0;
  }

  /** Why it takes no writes although it has its part in the shard. */
  get #problem(): string | undefined {
    const ms = this.#aloneMs;
    if (ms === 0) return undefined;
    return `the clock was set back after writes: other replicas would not take what is written here for ${(ms / 1000).toFixed(1)} s`;
  }

  get isComplete(): boolean {
    return this.#announcer.isComplete;
  }

  get counters(): ShardCounters {
    return this.#totals.counters;
  }

  get pages(): Pages {
    return this.index.pages;
  }

  get members(): readonly number[] {
    return this.#peers.members;
  }

  /** The replicas that it knows of. */
  get membership(): Membership {
    return this.#peers.membership;
  }

  get location(): ShardLocation {
    return this.#location;
  }

  /** Tombstones up to here are on every replica. */
  get cut(): Stamp {
    return this.#announcer.cut;
  }

  /** What a former replica sends is let in when it is stamped later. */
  get floor(): Stamp {
    return this.#announcer.floor;
  }

  epochOf(member: number): number | undefined {
    return this.#peers.epochOf(member);
  }

  setLimits(limits: ShardLimits): void {
    this.#limits = limits;
  }

  /** The meta group has recorded other replicas. */
  configure(membership: Membership): void {
    const isNew = membership.epoch > this.membership.epoch;
    if (!this.#peers.configure(membership)) return;
    // What the others had before they followed this record may still grow by what a former replica sends them.
    if (isNew) this.#announcer.forgetCandidate();
    this.#host.poke(this.id);
  }

  read(): ShardReader {
    this.operations.count += 1;
    return this.reader;
  }

  /**
   * Rejects as {@link ShardHandle.mutate}; `NoLeader` while this replica takes no writes. `VersionConflict` is about the
   * version here.
   */
  mutate(mutation: Mutation): Promise<MutationResult> {
    this.operations.count += 1;
    try {
      if (this.#isClosed) throw oaasError('Unavailable', 'the shard is closed', { retryAfterMs: 200 });
      if (!this.isPrimary) throw this.#takesNone();
      checkMutation(mutation, this.#limits);
    } catch (error) {
      return Promise.reject(toOaasError(error));
    }
    return this.#queue.mutate(mutation);
  }

  #takesNone(): Error {
    const why = this.#problem;
    return oaasError('NoLeader', `this replica takes no writes${why === undefined ? '' : `: ${why}`}`, {
      details: { leader: 0 },
    });
  }

  expire(limit: number): void {
    this.#sweep.begin(limit);
  }

  status(): ShardStatus {
    return {
      state: this.#isClosed ? 'closed' : 'serving',
      role: this.isComplete && this.#peers.ownRole === 'voter' ? 'replica' : 'learner',
      ...{ leader: 0, term: 0, commit: 0, applied: 0, lastIndex: 0 },
      replicas: this.#peers.status(this.counters.entries),
      problem: this.#problem,
    };
  }

  get isReadable(): boolean {
    return this.isComplete;
  }

  /** Milliseconds since it last had the same as each of the others; undefined: that was not the case since the start. */
  get staleMs(): number | undefined {
    return this.#peers.staleMs;
  }

  /** Has nothing of the other replica that it lacks been found since the shard has its present replicas, both ways? */
  isSyncedWith(member: number): boolean {
    return this.#peers.isSyncedWith(member);
  }

  async close(): Promise<void> {
    this.#host.detach(this.id);
    this.#isClosed = true;
    await this.#queue.working;
  }

  // ---- what the host and exchanges ask

  announce(): Promise<Announcement> {
    const membership = this.membership.epoch;
    return this.whenIdle(async () => {
      const announcement = await this.#announcer.announce();
      return { ...announcement, membership, refs: this.refs?.digest };
    });
  }

  heard(from: ReplicaId, announcement: Announcement): void {
    if (this.epochOf(from.member) === from.epoch) this.#announcer.heard(announcement);
  }

  pin(root: PageHash): () => void {
    return this.index.pin(root);
  }

  take(keys: readonly Key[], maxBytes: number): PatchBytes {
    return takePatches(this.#transaction(), keys, maxBytes);
  }

  merge(states: Uint8Array, isFormer = false): Promise<boolean> {
    if (this.#isClosed) return Promise.reject(tooMuch('states of other replicas'));
    return this.#queue.merge(states, isFormer);
  }

  completed(from: ReplicaId, completion: Completion): void {
    const { theirs } = completion;
    const hasAll = this.#peers.completed(from, completion);
    if (this.isComplete || !theirs.isComplete || !hasAll) return;
    this.#announcer.becomeComplete(theirs.cut);
    this.#host.poke(this.id);
  }

  linkUp(member: number): void {
    this.#peers.sendHints(member);
  }

  /** History, branches and merges of a shard of type mst; `FailedPrecondition` for one of another type. */
  get versions(): ShardVersions {
    const { history } = this.index;
    if (history === undefined) {
      throw oaasError('FailedPrecondition', `collection ${this.collection} keeps no versions`, {
        remedy: 'Only collections of type mst do.',
      });
    }
    const { engine, clock } = this.#options;
    this.#versions ??= new ShardVersions({
      ...{ shard: this, history, engine, location: this.#location, index: this.index, clock },
      commit: async () => {
        await this.#announcer.announce();
      },
      stamp: () => this.#clock.tick(clock.now()),
      limits: () => this.#limits,
      check: (mutation) => {
        checkMutation(mutation, this.#limits);
        this.#transaction().mutate(mutation, this.#limits);
      },
      clockOperation: () => this.#clockOperation(),
      member: this.#host.self,
      spread: () => this.#host.spread(this),
    });
    return this.#versions;
  }

  #shardRefs(): ShardRefs | undefined {
    const { history } = this.index;
    const { engine, clock } = this.#options;
    if (history === undefined) return undefined;
    return new ShardRefs({
      ...{ engine, location: this.#location, index: this.index, history },
      whenIdle: (run) => this.whenIdle(run),
      commit: async () => {
        await this.#announcer.announce();
      },
      observe: (stamp) => this.#clock.observe(stamp, clock.now()),
      clockOperation: () => this.#clockOperation(),
      onTaken: () => {
        this.#host.poke(this.id);
      },
    });
  }

  /** Compares with the replica of a member, and changes nothing: at most `max` keys that differ. Rejects as requests do. */
  differencesWith(member: number, max: number): Promise<Comparison> {
    return this.#host.differencesWith(this, member, max);
  }

  /** What is stored now, to be read as a whole. Whoever gets it must close the snapshot. Rejects once closed. */
  async scanSource(id: string): Promise<ScanSource> {
    const { engine } = this.#options;
    const { root } = await this.announce();
    const mark = { id, index: 0, algorithm: contentAlgorithm, root, counters: this.counters };
    return { shard: this.id, merges: true, mark, snapshot: engine.snapshot(), location: this.#location, engine };
  }

  /** Runs something when all that was accepted before is done, and nothing else meanwhile. */
  whenIdle<T>(run: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(oaasError('Unavailable', 'the shard is closed', { retryAfterMs: 200 }));
    return this.#queue.whenIdle(run);
  }

  // ---- commits

  #transaction(): EventualTransaction {
    const { engine, clock } = this.#options;
    const options: EventualTransactionOptions = {
      storage: engine,
      location: this.#location,
      totals: this.#totals,
      member: this.#host.self,
      clock: this.#clock,
      now: clock.now(),
      versionOf: this.#versionOf,
      leafKeys: this.#leafKeys,
      fires: this.#options.fires?.(),
    };
    return new EventualTransaction(options);
  }

  /** Never rejects: each item gets its own answer. */
  async #commitGroup(group: readonly CommitItem[]): Promise<void> {
    const answers: (() => void)[] = [];
    let patches: readonly ObjectPatch[];
    try {
      const transaction = this.#transaction();
      for (const item of group) this.#decide(transaction, item, answers);
      patches = this.#peers.members.length === 0 ? [] : transaction.patches();
      await this.#write(transaction);
    } catch (thrown) {
      const error = toOaasError(thrown);
      for (const { reject } of group) reject(error);
      return;
    }
    for (const answer of answers) answer();
    if (patches.length > 0) this.#peers.replicate(patches);
  }

  #decide(transaction: EventualTransaction, item: CommitItem, answers: (() => void)[]): void {
    if (item.kind === 'mutation') {
      try {
        const result = transaction.mutate(item.mutation, this.#limits);
        answers.push(() => {
          item.resolve(result);
        });
      } catch (error) {
        if (!isOaasError(error, 'VersionConflict') && !isOaasError(error, 'ResourceExhausted')) throw error;
        // It may tell of a mutation before it in the group, which is not stored yet.
        answers.push(() => {
          item.reject(error);
        });
      }
      return;
    }
    let patches: ObjectPatch[];
    try {
      patches = decodePatches(item.states);
    } catch (error) {
      item.reject(error);
      return;
    }
    let isWhole = true;
    const floor = item.isFormer ? this.floor : undefined;
    for (const patch of patches) {
      if (floor !== undefined && compareStamps(headerStamp(patch.header), floor) <= 0) continue;
      isWhole = transaction.merge(patch, floor ?? this.cut, item.isFormer) && isWhole;
    }
    answers.push(() => {
      item.resolve(isWhole);
    });
  }

  async #write(transaction: EventualTransaction): Promise<readonly LeafChange[]> {
    const { operations, leaves } = transaction.finish();
    if (operations.length === 0) return leaves;
    if (leaves.length > 0) operations.push(this.index.noteOf(leaves));
    operations.push(this.#clockOperation());
    await this.#options.engine.write(operations);
    transaction.landed();
    this.#totals = transaction.totals;
    const counts = transaction.openedOutbox?.counts;
    if (counts !== undefined) {
      this.#outboxCounts = counts;
      if (counts.events > 0) this.#options.onEvents?.();
    }
    this.#earliestExpiry = Math.min(this.#earliestExpiry, transaction.earliestExpiry);
    if (leaves.length > 0) {
      this.index.apply(leaves);
      this.#host.poke(this.id);
    }
    return leaves;
  }

  async #changeOutbox(change: OutboxChange): Promise<OutboxResult> {
    const transaction = this.#transaction();
    const result = transaction.changeOutbox(change);
    await this.#write(transaction);
    return result;
  }

  /** A stamp leaves this node only after it, or a later one, is stored. */
  #clockOperation(): WriteOperation {
    return { type: 'put', key: clockKey(this.#location), value: encodeClock(this.#clock.last) };
  }
}
