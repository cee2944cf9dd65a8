import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type {
  CommittedEntry,
  FirstMembers,
  GroupStatus,
  RaftGroup,
  RaftHost,
  StateMachine,
} from '../replication/index.ts';
import type { Engine, WriteOperation } from '../storage/index.ts';
import { applyMutation, checkMutation } from './apply.ts';
import type { Consistency, ReplicaStatus, ShardHandle, ShardStatus } from './handle.ts';
import { defaultLimits, type Mutation, type MutationResult, type ShardCounters, type ShardLimits } from './model.ts';
import { decodeMutation, encodeMutation } from './mutation-codec.ts';
import { ShardReader } from './reader.ts';
import { countersKey, decodeCounters, type ShardLocation } from './records.ts';
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
  readonly limits: ShardLimits;
}

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

/** Objects of one shard as a function of its log. */
class ShardMachine implements StateMachine {
  readonly #options: RaftShardOptions;
  #location!: ShardLocation;
  #counters!: ShardCounters;
  reader!: ShardReader;
  earliestExpiry = 0;

  constructor(options: RaftShardOptions) {
    this.#options = options;
  }

  get counters(): ShardCounters {
    return this.#counters;
  }

  open(generation: number): void {
    const { id, engine, clock, collection, partition } = this.#options;
    this.#location = { shard: id, generation };
    this.#counters = decodeCounters(engine.get(countersKey(this.#location)));
    this.reader = new ShardReader(engine, this.#location, `${collection}/${String(partition)}`, clock);
    this.earliestExpiry = this.reader.earliestExpiry();
  }

  apply(entries: readonly CommittedEntry[], results: unknown[]): readonly WriteOperation[] {
    const transaction = new ShardTransaction(this.#options.engine, this.#location, this.#counters);
    for (const entry of entries) results.push(this.#decide(transaction, entry));
    this.#counters = transaction.counters;
    if (transaction.earliestExpiry < this.earliestExpiry) this.earliestExpiry = transaction.earliestExpiry;
    return transaction.operations();
  }

  #decide(transaction: ShardTransaction, { data, own }: CommittedEntry): MutationResult | Error {
    let mutation = own as Mutation | undefined;
    let { limits } = this.#options;
    if (mutation === undefined) {
      const decoded = decodeMutation(data);
      mutation = decoded.mutation;
      limits = decoded.limits ?? defaultLimits;
    }
    try {
      return applyMutation(transaction, mutation, limits);
    } catch (error) {
      // Every replica refuses it alike. Anything else is a fault of this one.
      if (isOaasError(error, 'VersionConflict') || isOaasError(error, 'ResourceExhausted')) return toOaasError(error);
      throw error;
    }
  }
}

/** One partition of a collection that is replicated by consensus: each mutation is one entry of its log. */
export class RaftShard implements ShardHandle {
  readonly type = 'raft';
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  readonly group: RaftGroup;
  readonly #host: RaftHost;
  readonly #machine: ShardMachine;
  readonly #limits: ShardLimits;
  readonly #clock: Clock;
  #isExpiring = false;
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
  }

  get isPrimary(): boolean {
    return this.group.isLeader;
  }

  get reader(): ShardReader {
    return this.#machine.reader;
  }

  get counters(): ShardCounters {
    return this.#machine.counters;
  }

  mutate(mutation: Mutation): Promise<MutationResult> {
    try {
      checkMutation(mutation, this.#limits);
      const data = encodeMutation(mutation, this.#limits);
      return this.group.propose(data, mutation) as Promise<MutationResult>;
    } catch (error) {
      return Promise.reject(toOaasError(error));
    }
  }

  read(consistency: Consistency): ShardReader | Promise<ShardReader> {
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
    if (this.#isExpiring || !this.group.isLeader || this.#machine.earliestExpiry > this.#clock.now()) return;
    const entries = this.reader.expired(limit);
    if (entries.length === 0) {
      this.#machine.earliestExpiry = this.reader.earliestExpiry();
      return;
    }
    this.#isExpiring = true;
    const done = (): void => {
      this.#isExpiring = false;
    };
    // What could not be taken away now is found again by the next call, here or on the next leader.
    this.mutate({ type: 'expire', entries }).then(done, done);
  }

  close(): Promise<void> {
    this.#host.close(this.id);
    return Promise.resolve();
  }
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
