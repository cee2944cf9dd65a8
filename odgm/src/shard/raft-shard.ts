import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type {
  CommittedEntry,
  FirstMembers,
  GroupStatus,
  RaftGroup,
  RaftHost,
  StateMachine,
} from '../replication/index.ts';
import type { Engine, StorageSnapshot, WriteOperation } from '../storage/index.ts';
import { applyMutation, checkMutation } from './apply.ts';
import { contentAlgorithm, rootOf } from './content-hash.ts';
import { contentOf } from './content-scan.ts';
import { ExpirySweep } from './expiry-sweep.ts';
import type { Consistency, ReplicaStatus, ShardHandle, ShardStatus } from './handle.ts';
import {
  type CheckMark,
  defaultLimits,
  type Mutation,
  type MutationResult,
  type ShardCounters,
  type ShardLimits,
} from './model.ts';
import { decodeMutation, encodeMutation, firesTriggers, isScanMark } from './mutation-codec.ts';
import { OperationRate } from './operation-rate.ts';
import { Outbox } from './outbox.ts';
import type { OutboxChange, OutboxResult } from './outbox-change.ts';
import { countsKey, decodeCounts, noCounts, type OutboxCounts } from './outbox-records.ts';
import { ShardReader } from './reader.ts';
import { decodeTotals, type ShardLocation, type ShardTotals, totalsKey } from './records.ts';
import { ShardTransaction } from './transaction.ts';

export interface RaftShardOptions {
  /** Number of the shard and of its group. */
  readonly id: number;
  /** See {@link GroupConfig.epoch}. */
  readonly epoch: number;
  readonly collection: string;
  readonly partition: number;
  readonly engine: Engine;
  readonly clock: Clock;
  /** At first; see {@link ShardHandle.setLimits}. */
  readonly limits: ShardLimits;
  /** Given what to read at a mark that asks for a scan, as soon as it is applied. Must close the snapshot. */
  readonly onScan?: ((scan: ScanSource) => void) | undefined;
  /** Whether changes proposed now set off triggers: only once all members know of events. Default: they do not. */
  readonly fires?: (() => boolean) | undefined;
  /** There are new events in the outbox; they can be read when the call that it is told within has ended. */
  readonly onEvents?: (() => void) | undefined;
}

/** What a replica had when it applied a mark. */
export interface ReplicaMark {
  readonly id: string;
  /** Index of the mark in the log; 0 where replicas merge, which have none. */
  readonly index: number;
  /** Version of the content's hash of this replica. */
  readonly algorithm: number;
  /** See {@link rootOf}; where replicas merge that of the tree. */
  readonly root: string;
  readonly counters: ShardCounters;
}

/** A replica's stored state as of a mark. */
export interface ScanSource {
  readonly shard: number;
  /** It is one of those that merge, and has stored more than objects. */
  readonly merges?: boolean | undefined;
  readonly mark: ReplicaMark;
  readonly snapshot: StorageSnapshot;
  readonly location: ShardLocation;
  readonly engine: Engine;
}

/** Marks that a replica remembers; older ones are forgotten. */
const marksKept = 16;

/**
 * Makes the replica of a shard on this node with its first members, or opens the stored one when there are none given.
 * Rejects as {@link RaftHost.create} and {@link RaftHost.open} do.
 */
export async function openRaftShard(
  host: RaftHost,
  options: RaftShardOptions,
  first?: FirstMembers,
): Promise<RaftShard> {
  const machine = new ShardMachine(options);
  const config = { group: options.id, epoch: options.epoch, machine };
  const group = first === undefined ? host.open(config) : await host.create(config, first);
  return new RaftShard(host, group, machine, options);
}

/** What this replica proposed, with what it put into the log beside it: its limits may be others when it is applied. */
interface OwnProposal {
  readonly mutation: Mutation | CheckMark | OutboxChange;
  readonly limits: ShardLimits | undefined;
}

/** Objects of one shard as a function of its log. */
class ShardMachine implements StateMachine {
  readonly #options: RaftShardOptions;
  #location!: ShardLocation;
  #totals!: ShardTotals;
  #marks: readonly ReplicaMark[] = [];
  reader!: ShardReader;
  earliestExpiry = 0;
  outboxCounts: OutboxCounts = noCounts;
  readonly isMark = isScanMark;

  constructor(options: RaftShardOptions) {
    this.#options = options;
  }

  get counters(): ShardCounters {
    return this.#totals.counters;
  }

  get location(): ShardLocation {
    return this.#location;
  }

  mark(id: string): ReplicaMark | undefined {
    return this.#marks.find((mark) => mark.id === id);
  }

  open(generation: number): void {
    const { id, engine, clock, collection, partition } = this.#options;
    this.#location = { shard: id, generation };
    const { counters, content } = decodeTotals(engine.get(totalsKey(this.#location)));
    this.#totals = { counters, content: content ?? contentOf(engine, this.#location) };
    this.#marks = [];
    this.outboxCounts = decodeCounts(engine.get(countsKey(this.#location)));
    this.reader = new ShardReader(engine, this.#location, `${collection}/${String(partition)}`, clock);
    this.earliestExpiry = this.reader.earliestExpiry();
  }

  apply(entries: readonly CommittedEntry[], results: unknown[]): readonly WriteOperation[] {
    const transaction = new ShardTransaction(this.#options.engine, this.#location, this.#totals);
    for (const entry of entries) results.push(this.#decide(transaction, entry));
    this.#totals = transaction.totals;
    if (transaction.earliestExpiry < this.earliestExpiry) this.earliestExpiry = transaction.earliestExpiry;
    const counts = transaction.openedOutbox?.counts;
    if (counts !== undefined) {
      this.outboxCounts = counts;
      if (counts.events > 0) this.#options.onEvents?.();
    }
    return transaction.operations();
  }

  marked(index: number): void {
    const { id, engine, onScan } = this.#options;
    const mark = this.#marks.find((one) => one.index === index);
    if (onScan === undefined || mark === undefined) return;
    onScan({ shard: id, mark, snapshot: engine.snapshot(), location: this.#location, engine });
  }

  #decide(
    transaction: ShardTransaction,
    { index, data, own }: CommittedEntry,
  ): MutationResult | ReplicaMark | OutboxResult | Error {
    const { mutation, limits = defaultLimits } = (own as OwnProposal | undefined) ?? decodeMutation(data);
    if (mutation.type === 'mark') return this.#remember(mutation.id, index, transaction.totals);
    if (mutation.type === 'outbox') return transaction.outbox.change(mutation, { major: index, first: 0, by: 0 });
    try {
      const result = applyMutation(transaction, mutation, limits, firesTriggers(data) ? index : 0);
      // Only where it was proposed: the log does not say that somebody asks for it.
      if (mutation.type !== 'change' || mutation.returnsObject !== true) return result;
      return { ...result, object: transaction.objectAt(mutation.objectId, this.#options.clock.now()) };
    } catch (error) {
      // Every replica refuses it alike. Anything else is a fault of this one.
      if (isOaasError(error, 'VersionConflict') || isOaasError(error, 'ResourceExhausted')) return toOaasError(error);
      throw error;
    }
  }

  #remember(id: string, index: number, { counters, content }: ShardTotals): ReplicaMark {
    const mark: ReplicaMark = { id, index, algorithm: contentAlgorithm, root: rootOf(content), counters };
    this.#marks = [...this.#marks.slice(1 - marksKept), mark];
    return mark;
  }
}

/** One partition of a collection that is replicated by consensus: each mutation is one entry of its log. */
export class RaftShard implements ShardHandle {
  readonly type = 'raft';
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  readonly group: RaftGroup;
  readonly outbox: Outbox;
  readonly operations = new OperationRate();
  readonly #host: RaftHost;
  readonly #machine: ShardMachine;
  #limits: ShardLimits;
  readonly #clock: Clock;
  readonly #fires: (() => boolean) | undefined;
  readonly #sweep = new ExpirySweep({
    isDue: () => this.group.isLeader && this.#machine.earliestExpiry <= this.#clock.now(),
    expired: (limit) => this.reader.expired(limit),
    take: (entries) => this.mutate({ type: 'expire', entries }),
    onNone: () => {
      this.#machine.earliestExpiry = this.reader.earliestExpiry();
    },
  });
  #frozen: string | undefined;
  /** Reads that wait together share one promise. */
  #waited: Promise<void> | undefined;
  #read: Promise<ShardReader> | undefined;

  constructor(host: RaftHost, group: RaftGroup, machine: ShardMachine, options: RaftShardOptions) {
    this.id = options.id;
    this.collection = options.collection;
    this.partition = options.partition;
    this.group = group;
    this.#host = host;
    this.#machine = machine;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#fires = options.fires;
    this.outbox = new Outbox({
      storage: options.engine,
      location: () => machine.location,
      counts: () => machine.outboxCounts,
      isActive: () => this.isPrimary && this.#frozen === undefined,
      change: (change) => this.#changeOutbox(change),
    });
  }

  get isPrimary(): boolean {
    return this.group.isLeader;
  }

  get reader(): ShardReader {
    return this.#machine.reader;
  }

  get isReadable(): boolean {
    return this.group.isReadable;
  }

  get staleMs(): number | undefined {
    return this.group.staleMs;
  }

  get counters(): ShardCounters {
    return this.#machine.counters;
  }

  setLimits(limits: ShardLimits): void {
    this.#limits = limits;
  }

  /** Refuses mutations with `FailedPrecondition` and this reason; `undefined` takes them again. Reads go on. */
  freeze(reason: string | undefined): void {
    this.#frozen = reason;
  }

  /**
   * Puts a mark into the log; resolves when it is applied here, with what this replica has then. Rejects as a mutation
   * does.
   */
  mark(id: string, scan: boolean): Promise<ReplicaMark> {
    const mark: CheckMark = { type: 'mark', id, algorithm: contentAlgorithm, scan };
    return this.#propose(mark, false) as Promise<ReplicaMark>;
  }

  /** What this replica had at a mark; undefined while it has not applied it, and for one that it has forgotten. */
  markOf(id: string): ReplicaMark | undefined {
    return this.#machine.mark(id);
  }

  mutate(mutation: Mutation): Promise<MutationResult> {
    this.operations.count += 1;
    if (this.#frozen !== undefined) return Promise.reject(frozen(this, this.#frozen));
    try {
      checkMutation(mutation, this.#limits);
      return this.#propose(mutation, this.#fires?.()) as Promise<MutationResult>;
    } catch (error) {
      return Promise.reject(toOaasError(error));
    }
  }

  #changeOutbox(change: OutboxChange): Promise<OutboxResult> {
    if (this.#frozen !== undefined) return Promise.reject(frozen(this, this.#frozen));
    return this.#propose(change, false) as Promise<OutboxResult>;
  }

  #propose(mutation: OwnProposal['mutation'], fires: boolean | undefined): Promise<unknown> {
    const limits = this.#limits;
    const own: OwnProposal = { mutation, limits };
    return this.group.propose(encodeMutation(mutation, limits, fires), own);
  }

  read(consistency: Consistency): ShardReader | Promise<ShardReader> {
    this.operations.count += 1;
    if (consistency === 'local') {
      const stopped = this.group.problem();
      return stopped === undefined ? this.#machine.reader : Promise.reject(stopped);
    }
    const wait = this.group.linearize();
    if (wait === undefined) return this.#machine.reader;
    if (wait !== this.#waited || this.#read === undefined) {
      this.#waited = wait;
      this.#read = wait.then(() => this.#machine.reader);
    }
    return this.#read;
  }

  status(): ShardStatus {
    return statusOf(this.group.status(), this.#host.self);
  }

  expire(limit: number): void {
    this.#sweep.begin(limit);
  }

  close(): Promise<void> {
    this.#host.close(this.id);
    return Promise.resolve();
  }
}

function frozen({ id, collection, partition }: RaftShard, reason: string): Error {
  return oaasError('FailedPrecondition', `writes to ${collection}/${String(partition)} are frozen: ${reason}`, {
    remedy: 'See the diagnostics of the grid for what was found, and repair the replicas that are not to be kept.',
    details: { shard: id, reason: 'frozen' },
    retryAfterMs: 5000,
  });
}

function statusOf(status: GroupStatus, self: number): ShardStatus {
  const { voters, learners, votersOutgoing } = status.confState;
  const isLeading = status.progress.length > 0;
  const replicas: ReplicaStatus[] = isLeading
    ? status.progress.map(({ member, role, state, match, lag, recentActive }) => ({
        ...{ member, role, state, match, lag },
        isActive: recentActive,
      }))
    : [
        ...voters.map((member) => silent(member, 'voter')),
        ...learners.map((member) => silent(member, 'learner')),
        ...votersOutgoing.filter((member) => !voters.includes(member)).map((member) => silent(member, 'outgoing')),
      ];
  return {
    state: status.state === 'running' ? 'serving' : status.state,
    role: status.role === 'preCandidate' ? 'candidate' : status.role,
    leader: status.role === 'leader' ? self : status.leader,
    term: status.term,
    commit: status.commit,
    applied: status.applied,
    lastIndex: status.lastIndex,
    replicas,
    problem: status.problem,
  };
}

/** What a replica that does not lead knows of another one. */
function silent(member: number, role: ReplicaStatus['role']): ReplicaStatus {
  return { member, role, state: 'unknown', match: 0, lag: 0, isActive: false };
}
