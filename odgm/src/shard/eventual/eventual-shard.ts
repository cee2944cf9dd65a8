import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import {
  adoptCut,
  advanceReaping,
  compareStamps,
  earlierStamp,
  headerStamp,
  HybridClock,
  laterStamp,
  type ReapingState,
  type Stamp,
  zeroStamp,
} from '../../merge/index.ts';
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
import type { ReplicaStatus, ShardHandle, ShardStatus } from '../handle.ts';
import type { Mutation, MutationResult, ShardCounters, ShardLimits } from '../model.ts';
import { Outbox } from '../outbox.ts';
import type { OutboxChange, OutboxResult } from '../outbox-change.ts';
import { countsKey, decodeCounts, type OutboxCounts } from '../outbox-records.ts';
import type { ScanSource } from '../raft-shard.ts';
import { ShardReader } from '../reader.ts';
import { decodeTotals, type ShardLocation, type ShardTotals, totalsKey } from '../records.ts';
import { LeafKeys } from './leaf-keys.ts';
import { decodePatches, encodePatches, type ObjectPatch } from './patch.ts';
import { clockKey, graveBounds, ofGraveKey, ofTreeKey } from './records.ts';
import { ShardRefs } from './shard-refs.ts';
import { EventualTransaction, type EventualTransactionOptions, type LeafChange } from './transaction.ts';
import { TreeIndex } from './tree-index.ts';
import { ShardVersions } from './versions.ts';

/** Who holds replicas of a shard, as the meta group has recorded it. */
export interface Membership {
  /** Of the shard's record. */
  readonly epoch: number;
  readonly replicas: readonly {
    readonly member: number;
    readonly role: 'voter' | 'learner';
    readonly epoch: number;
  }[];
}

export interface EventualShardOptions {
  readonly type: 'basic' | 'mst';
  readonly id: number;
  /** Of this replica. */
  readonly epoch: number;
  readonly collection: string;
  readonly partition: number;
  readonly engine: Engine;
  readonly clock: Clock;
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

type Item =
  | {
      readonly kind: 'mutation';
      readonly mutation: Mutation;
      readonly bytes: number;
      readonly resolve: (result: MutationResult) => void;
      readonly reject: Reject;
    }
  | {
      readonly kind: 'states';
      readonly states: Uint8Array;
      readonly isFormer: boolean;
      readonly resolve: (isWhole: boolean) => void;
      readonly reject: Reject;
    }
  | { readonly kind: 'task'; readonly run: () => Promise<void>; readonly reject: Reject };
type Reject = (error: unknown) => void;

interface Peer {
  readonly epoch: number;
  role: 'voter' | 'learner';
  /** See {@link ReplicaProgress}. */
  pulled: Stamp;
  pushed: Stamp;
  /** Epoch of the shard's record that both followed when they last had the same. */
  syncedMembership: number;
  /** Monotonic time of that. */
  syncedAt: number | undefined;
  /** Keys that differed the last time. */
  found: number;
  /** Keys of what could not be sent to it. Undefined: too many, the comparison of trees finds them. */
  hints: Set<Key> | undefined;
}

/** Mutations of one commit, and bytes of mutations and states in it. */
const maxGroup = 512;
const maxGroupBytes = 8 * 1024 * 1024;
/** Mutations that wait, and their bytes; more are refused. One is always taken. */
const maxWaiting = 8192;
const maxMutationBytes = 128 * 1024 * 1024;
/** States of other replicas that wait; more are refused, and come again. */
const maxWaitingBytes = 32 * 1024 * 1024;
const maxHints = 16_384;
const hintBytes = 512 * 1024;
/** Graves looked at in one go. */
const reapAtOnce = 512;
/** The tree is stored at the latest when so many of its pages wait in memory: about 8 MB. */
const maxPendingPages = 4096;
/** How often an idle replica with graves takes a new stamp, so that they come to be reaped. */
const reapEveryMs = 30_000;
const defaultGraceMs = 600_000;

/**
 * One replica of a partition whose replicas all take writes and merge (collections of type basic with several replicas,
 * and of type mst).
 *
 * A mutation is decided here, against what this replica has; so is compare-and-set, and the version is this replica's
 * count of the batches that it knows of. It is answered when it is on this node's disk, and sent to the others after
 * that. Entries merge one by one: the later stamp of a hybrid logical clock wins (maps of our format merge by key);
 * deletes are tombstones, reaped once all replicas have them. What cannot be sent is remembered by its key, in memory and
 * up to a bound (hinted hand-off); what is lost of that, with a restart or over the bound, is found by the comparison of
 * trees, which goes on at all times. So replicas end alike after any partition.
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
  readonly #options: EventualShardOptions;
  readonly #host: EventualHost;
  readonly #location: ShardLocation;
  readonly #clock: HybridClock;
  readonly #peers = new Map<number, Peer>();
  readonly #leafKeys = new LeafKeys();
  readonly #versionOf: EventualTransactionOptions['versionOf'];
  #membership: Membership;
  #queue: Item[] = [];
  #waiting = 0;
  #waitingBytes = 0;
  #mutationBytes = 0;
  #working: Promise<void> | undefined;
  #totals: ShardTotals;
  #earliestExpiry: number;
  #isExpiring = false;
  #isClosed = false;
  #reaping: ReapingState;
  #isComplete: boolean;
  /** The state says something that is not stored yet. */
  #isStateChanged = false;
  #announced: Announcement | undefined;
  /** Highest epoch of the shard's record that any replica is known to follow. */
  #heardMembership = 0;
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
    this.#membership = copyOf(options.membership);
    this.reader = new ShardReader(engine, location, `${collection}/${String(options.partition)}`, clock);
    const stamp = (): Stamp => this.#clock.tick(clock.now());
    const author = type === 'mst' ? { member: host.self, epoch: options.epoch, stamp } : undefined;
    this.index = new TreeIndex({ engine, location, levelKey, isFounder, author });
    this.refs = this.#shardRefs();
    this.#versionOf = type === 'mst' ? (treeKey) => this.index.versionOf(treeKey) : undefined;
    const { counters, content } = decodeTotals(engine.get(totalsKey(location)));
    this.#totals = { counters, content: content ?? contentOf(engine, location) };
    this.#earliestExpiry = this.reader.earliestExpiry();
    this.#isComplete = this.index.state.isComplete;
    this.#reaping = { cut: this.index.state.cut, candidate: undefined };
    this.#clock = new HybridClock({ member: host.self, last: readClock(engine.get(clockKey(location))) });
    this.#outboxCounts = decodeCounts(engine.get(countsKey(location)));
    this.outbox = new Outbox({
      storage: engine,
      location: () => location,
      counts: () => this.#outboxCounts,
      isActive: () => !this.#isClosed,
      change: (change) => this.whenIdle(() => this.#changeOutbox(change)),
    });
    this.configure(options.membership);
  }

  /** It takes writes: all replicas do, but those that are new, and those that are about to go. */
  get isPrimary(): boolean {
    return !this.#isClosed && this.#isComplete && this.#role() === 'voter';
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get counters(): ShardCounters {
    return this.#totals.counters;
  }

  get pages(): Pages {
    return this.index.pages;
  }

  get members(): readonly number[] {
    return [...this.#peers.keys()];
  }

  /** The replicas that it knows of. */
  get membership(): Membership {
    return this.#membership;
  }

  get location(): ShardLocation {
    return this.#location;
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
    const { clock, graceMs = defaultGraceMs } = this.#options;
    const { cut, candidate } = this.#reaping;
    const { ms } = this.#clock.tick(clock.now());
    const old: Stamp = { ms: Math.max(0, ms - graceMs), counter: 0, member: 0 };
    const announced = this.#announced?.stamp ?? this.#clock.last;
    return laterStamp(laterStamp(cut, candidate?.cut ?? cut), earlierStamp(announced, old));
  }

  epochOf(member: number): number | undefined {
    return this.#peers.get(member)?.epoch;
  }

  /** The meta group has recorded other replicas. */
  configure(membership: Membership): void {
    if (membership.epoch < this.#membership.epoch) return;
    const isNew = membership.epoch > this.#membership.epoch;
    this.#membership = copyOf(membership);
    const others = membership.replicas.filter(({ member }) => member !== this.#host.self);
    for (const { member, epoch, role } of others) {
      const known = this.#peers.get(member);
      if (known?.epoch === epoch) known.role = role;
      else this.#peers.set(member, newPeer(epoch, role));
    }
    if (isNew) {
      // What the others had before they followed this record may still grow by what a former replica sends them.
      this.#reaping = { cut: this.#reaping.cut, candidate: undefined };
      for (const peer of this.#peers.values()) peer.pulled = zeroStamp;
    }
    for (const member of this.#peers.keys()) {
      if (!others.some((other) => other.member === member)) this.#peers.delete(member);
    }
    this.#host.poke(this.id);
  }

  read(): ShardReader {
    return this.reader;
  }

  /**
   * Rejects as {@link ShardHandle.mutate}; `NoLeader` while this replica takes no writes. `VersionConflict` is about the
   * version here.
   */
  mutate(mutation: Mutation): Promise<MutationResult> {
    const bytes = sizeOf(mutation);
    try {
      if (this.#isClosed) throw oaasError('Unavailable', 'the shard is closed', { retryAfterMs: 200 });
      if (!this.isPrimary) throw oaasError('NoLeader', 'this replica takes no writes', { details: { leader: 0 } });
      checkMutation(mutation, this.#options.limits);
      if (this.#waiting >= maxWaiting) throw tooMuch('writes');
      const isTooMuch = this.#waiting > 0 && this.#mutationBytes + bytes > maxMutationBytes;
      if (isTooMuch) throw tooMuch('bytes of writes');
    } catch (error) {
      return Promise.reject(toOaasError(error));
    }
    return this.#enqueueMutation(mutation, bytes);
  }

  expire(limit: number): void {
    if (this.#isExpiring || this.#isClosed || this.#earliestExpiry > this.#options.clock.now()) return;
    const entries = this.reader.expired(limit);
    if (entries.length === 0) {
      this.#earliestExpiry = this.reader.earliestExpiry();
      return;
    }
    this.#isExpiring = true;
    const done = (): void => {
      this.#isExpiring = false;
    };
    this.#enqueueMutation({ type: 'expire', entries }, 0).then(done, done);
  }

  status(): ShardStatus {
    const now = this.#options.clock.monotonic();
    const replicas = [...this.#peers].map(([member, peer]): ReplicaStatus => {
      const isActive = this.#host.isUp(member);
      const isSynced = peer.syncedMembership >= this.#membership.epoch;
      return {
        ...{ member, role: peer.role, match: 0, isActive },
        state: isSynced && isActive ? 'synced' : 'behind',
        lag: isSynced ? (peer.hints?.size ?? maxHints) : Math.max(1, this.counters.entries),
        staleMs: peer.syncedAt === undefined ? undefined : Math.round(now - peer.syncedAt),
      };
    });
    return {
      state: this.#isClosed ? 'closed' : 'serving',
      role: this.#isComplete && this.#role() === 'voter' ? 'replica' : 'learner',
      ...{ leader: 0, term: 0, commit: 0, applied: 0, lastIndex: 0, replicas },
    };
  }

  /** Milliseconds since it last had the same as each of the others; undefined: that was not the case since the start. */
  get staleMs(): number | undefined {
    const now = this.#options.clock.monotonic();
    let most = 0;
    for (const { syncedAt } of this.#peers.values()) {
      if (syncedAt === undefined) return undefined;
      most = Math.max(most, now - syncedAt);
    }
    return Math.round(most);
  }

  /** Has nothing of the other replica that it lacks been found since the shard has its present replicas, both ways? */
  isSyncedWith(member: number): boolean {
    return (this.#peers.get(member)?.syncedMembership ?? -1) >= this.#membership.epoch;
  }

  async close(): Promise<void> {
    this.#host.detach(this.id);
    this.#isClosed = true;
    await this.#working;
  }

  // ---- what the host and exchanges ask

  announce(): Promise<Announcement> {
    const { membership } = { membership: this.#membership.epoch };
    return this.whenIdle(async () => {
      const announcement = await this.#announceNow();
      return { ...announcement, membership, refs: this.refs?.digest };
    });
  }

  heard(from: ReplicaId, { stamp, cut, membership }: Announcement): void {
    if (this.epochOf(from.member) !== from.epoch) return;
    const now = this.#options.clock.now();
    this.#heardMembership = Math.max(this.#heardMembership, membership);
    this.#clock.observe(stamp, now);
    if (!this.#isComplete || compareStamps(cut, this.#reaping.cut) <= 0 || !this.#clock.observe(cut, now)) return;
    this.#reaping = adoptCut(this.#reaping, cut);
    this.#isStateChanged = true;
  }

  pin(root: PageHash): () => void {
    return this.index.pin(root);
  }

  take(keys: readonly Key[], maxBytes: number): { readonly states: Uint8Array; readonly count: number } {
    const states: Uint8Array[] = [];
    const view = this.#transaction();
    let bytes = 0;
    let count = 0;
    while (count < keys.length && (count === 0 || bytes < maxBytes)) {
      const { id } = ofTreeKey(keys[count] ?? '');
      const header = view.header(id);
      const entries: [string, NonNullable<ReturnType<typeof view.register>>][] = [];
      let size = 0;
      while (count < keys.length && bytes + size < maxBytes) {
        const next = ofTreeKey(keys[count] ?? '');
        if (next.id !== id) break;
        const register = next.key === undefined ? undefined : view.register(id, next.key);
        if (next.key !== undefined && register !== undefined) entries.push([next.key, register]);
        size += register?.value?.length ?? 0;
        count += 1;
      }
      if (header === undefined) continue;
      const patch = encodePatches([{ id, header, entries: new Map(entries) }]);
      states.push(patch);
      bytes += patch.length;
    }
    return { states: Buffer.concat(states), count };
  }

  merge(states: Uint8Array, isFormer = false): Promise<boolean> {
    if (this.#isClosed || this.#waitingBytes + states.length > maxWaitingBytes) {
      return Promise.reject(tooMuch('states of other replicas'));
    }
    this.#waitingBytes += states.length;
    return new Promise((resolve, reject) => {
      this.#push({ kind: 'states', states, isFormer, resolve, reject });
    });
  }

  completed(from: ReplicaId, { mine, theirs }: Completion, found: number): void {
    const peer = this.#peers.get(from.member);
    if (peer?.epoch !== from.epoch) return;
    if (theirs.membership >= this.#membership.epoch) peer.pulled = laterStamp(peer.pulled, theirs.stamp);
    peer.pushed = laterStamp(peer.pushed, mine.stamp);
    const hasRefs = mine.refs === undefined || theirs.refs === undefined || mine.refs === theirs.refs;
    if (hasRefs) {
      peer.syncedMembership = Math.max(peer.syncedMembership, Math.min(mine.membership, theirs.membership));
    }
    peer.syncedAt = this.#options.clock.monotonic();
    peer.found = found;
    if (peer.hints === undefined) peer.hints = new Set();
    if (this.#isComplete || !theirs.isComplete || !hasRefs) return;
    // All that the other one had is here. What it had reaped by then must not come back from anywhere.
    this.#isComplete = true;
    this.#isStateChanged = true;
    if (this.#clock.observe(theirs.cut, this.#options.clock.now())) this.#reaping = adoptCut(this.#reaping, theirs.cut);
    this.#host.poke(this.id);
  }

  linkUp(member: number): void {
    this.#sendHints(member);
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
        await this.#announceNow();
      },
      stamp: () => this.#clock.tick(clock.now()),
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
        await this.#announceNow();
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
    return new Promise<T>((resolve, reject) => {
      this.#push({ kind: 'task', run: async () => resolve(await run()), reject });
    });
  }

  // ---- the queue

  #role(): 'voter' | 'learner' | undefined {
    return this.#membership.replicas.find(({ member }) => member === this.#host.self)?.role;
  }

  #enqueueMutation(mutation: Mutation, bytes: number): Promise<MutationResult> {
    this.#waiting += 1;
    this.#mutationBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#push({ kind: 'mutation', mutation, bytes, resolve, reject });
    });
  }

  #push(item: Item): void {
    this.#queue.push(item);
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    // Lets everything that arrives in this turn of the event loop join the first group.
    await Promise.resolve();
    try {
      for (;;) {
        const first = this.#queue[0];
        if (first === undefined) break;
        if (first.kind === 'task') {
          this.#queue.shift();
          await first.run().catch(first.reject);
        } else {
          await this.#commitGroup(this.#takeGroup());
          if (this.index.pendingPages > maxPendingPages) await this.#announceNow().catch(() => undefined);
        }
      }
    } finally {
      this.#working = undefined;
    }
  }

  #takeGroup(): Exclude<Item, { kind: 'task' }>[] {
    const group: Exclude<Item, { kind: 'task' }>[] = [];
    let bytes = 0;
    for (const item of this.#queue) {
      if (item.kind === 'task' || group.length === maxGroup || (group.length > 0 && bytes > maxGroupBytes)) break;
      if (item.kind === 'states') {
        bytes += item.states.length;
        this.#waitingBytes -= item.states.length;
      } else {
        bytes += item.bytes;
        this.#waiting -= 1;
        this.#mutationBytes -= item.bytes;
      }
      group.push(item);
    }
    this.#queue.splice(0, group.length);
    return group;
  }

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
  async #commitGroup(group: readonly Exclude<Item, { kind: 'task' }>[]): Promise<void> {
    const answers: (() => void)[] = [];
    let patches: readonly ObjectPatch[];
    try {
      const transaction = this.#transaction();
      for (const item of group) this.#decide(transaction, item, answers);
      patches = this.#peers.size === 0 ? [] : transaction.patches();
      await this.#write(transaction);
    } catch (thrown) {
      const error = toOaasError(thrown);
      for (const { reject } of group) reject(error);
      return;
    }
    for (const answer of answers) answer();
    if (patches.length > 0) this.#replicate(patches);
  }

  #decide(transaction: EventualTransaction, item: Exclude<Item, { kind: 'task' }>, answers: (() => void)[]): void {
    if (item.kind === 'mutation') {
      try {
        const result = transaction.mutate(item.mutation, this.#options.limits);
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
      isWhole = transaction.merge(patch, floor ?? this.#reaping.cut) && isWhole;
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
    const { ms, counter, member } = this.#clock.last;
    const value = Buffer.alloc(17);
    value[0] = 1;
    value.writeUIntBE(ms, 1, 6);
    value.writeUInt16BE(counter, 7);
    value.writeDoubleBE(member, 9);
    return { type: 'put', key: clockKey(this.#location), value };
  }

  // ---- to the others

  #replicate(patches: readonly ObjectPatch[]): void {
    const states = encodePatches(patches);
    for (const [member, peer] of this.#peers) {
      const canGo = peer.hints?.size === 0;
      if (canGo && this.#host.send(this, member, states)) continue;
      remember(peer, patches);
      if (this.#host.isUp(member)) this.#sendHints(member);
    }
  }

  /** What could not be sent before, as it is now. */
  #sendHints(member: number): void {
    const hints = this.#peers.get(member)?.hints;
    if (hints === undefined) return;
    while (hints.size > 0) {
      const keys = [...hints].sort().slice(0, 4096);
      const { states, count } = this.take(keys, hintBytes);
      if (states.length > 0 && !this.#host.send(this, member, states)) return;
      for (const key of keys.slice(0, count)) hints.delete(key);
    }
  }

  // ---- the tree

  async #announceNow(): Promise<Announcement> {
    const { clock, engine, graceMs = defaultGraceMs } = this.#options;
    const now = clock.now();
    const hasGraves = hasAny(engine.range({ ...graveBounds(this.#location, Infinity), limit: 1 }));
    const old = this.#announced;
    const isDue = hasGraves && now - (old?.stamp.ms ?? 0) > Math.min(reapEveryMs, graceMs / 2);
    if (old !== undefined && !this.index.isDirty && !this.#isStateChanged && !isDue) return old;
    this.#advanceReaping(now, graceMs);
    await this.#reap();
    const stamp = this.#clock.tick(now);
    const { cut } = this.#reaping;
    const isComplete = this.#isComplete;
    this.#isStateChanged = false;
    try {
      await this.index.commit({ cut, isComplete }, now, [this.#clockOperation()]);
    } catch (error) {
      this.#isStateChanged = true;
      throw error;
    }
    this.index.collect();
    this.#announced = { root: this.index.root, stamp, cut, isComplete, membership: this.#membership.epoch };
    return this.#announced;
  }

  /** Not while somebody may follow a newer record: it may name a replica that this one does not know of. */
  #advanceReaping(now: number, graceMs: number): void {
    if (!this.#isComplete || this.#heardMembership > this.#membership.epoch) return;
    const others = [...this.#peers].map(([member, { pulled, pushed }]) => ({ member, pulled, pushed }));
    this.#reaping = advanceReaping(this.#reaping, others, this.#clock.tick(now), graceMs);
  }

  /** Takes away what is up to the cut, all of it: until then the tree is not what it is on the others. */
  async #reap(): Promise<void> {
    const { cut } = this.#reaping;
    if (compareStamps(cut, zeroStamp) === 0) return;
    for (;;) {
      const bounds = { ...graveBounds(this.#location, cut.ms), limit: reapAtOnce };
      const graves = Array.from(this.#options.engine.range(bounds), ({ key }) => ofGraveKey(key));
      const transaction = this.#transaction();
      for (const { treeKey, ms } of graves) transaction.reap(treeKey, ms, cut);
      const leaves = await this.#write(transaction);
      if (leaves.length === 0 || graves.length < reapAtOnce) return;
    }
  }
}

/** The given one may be changed by its owner. */
function copyOf({ epoch, replicas }: Membership): Membership {
  return { epoch, replicas: [...replicas] };
}

function newPeer(epoch: number, role: 'voter' | 'learner'): Peer {
  return {
    ...{ epoch, role, pulled: zeroStamp, pushed: zeroStamp },
    ...{ syncedMembership: -1, syncedAt: undefined, found: 0, hints: new Set() },
  };
}

function remember(peer: Peer, patches: readonly ObjectPatch[]): void {
  for (const { id, entries } of patches) {
    peer.hints?.add(id);
    for (const key of entries.keys()) peer.hints?.add(`${id}\u0000${key}`);
  }
  if ((peer.hints?.size ?? 0) > maxHints) peer.hints = undefined;
}

function readClock(value: Uint8Array | undefined): Stamp {
  if (value === undefined) return zeroStamp;
  const bytes = Buffer.from(value);
  return { ms: bytes.readUIntBE(1, 6), counter: bytes.readUInt16BE(7), member: bytes.readDoubleBE(9) };
}

function hasAny(items: Iterable<unknown>): boolean {
  for (const _ of items) return true;
  return false;
}

function sizeOf(mutation: Mutation): number {
  if (mutation.type !== 'change') return 0;
  let bytes = 0;
  for (const { data } of mutation.put.values()) bytes += data.length;
  return bytes;
}

function tooMuch(what: string): Error {
  return oaasError('ResourceExhausted', `too many ${what} wait for this shard`, {
    remedy: 'Send slower; use more partitions.',
    retryAfterMs: 50,
  });
}
