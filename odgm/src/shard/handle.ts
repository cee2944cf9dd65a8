import type { Mutation, MutationResult, ShardCounters, ShardLimits } from './model.ts';
import type { OperationRate } from './operation-rate.ts';
import type { Outbox } from './outbox.ts';
import type { ShardReader } from './reader.ts';

/**
 * What a read promises. `linearizable`: it sees every mutation that was answered before it began. `local`: the state of
 * this replica, which may be older; {@link ShardHandle.status} says by how much.
 */
export type Consistency = 'linearizable' | 'local';

/** One replica as its shard's leader, or the replica itself, knows it. */
export interface ReplicaStatus {
  /** Member number. */
  readonly member: number;
  readonly role: 'voter' | 'learner' | 'outgoing';
  /**
   * How the leader sends to it; `leader` for itself, `unknown` on replicas that do not lead. Of shards whose replicas
   * merge: `synced` once the two have had the same since the shard has its present replicas, `behind` until then.
   */
  readonly state: 'leader' | 'probe' | 'replicate' | 'snapshot' | 'unknown' | 'synced' | 'behind';
  /** Its log equals the leader's up to this index; 0 while unknown. */
  readonly match: number;
  /**
   * Entries of the leader's log that it does not have yet; 0 while unknown. Of shards whose replicas merge: entries that
   * wait to be sent to it, and all while it is `behind`.
   */
  readonly lag: number;
  /** Of shards whose replicas merge: milliseconds since the two last had the same; undefined: never since the start. */
  readonly staleMs?: number | undefined;
  /** Heard from within the last election timeout. */
  readonly isActive: boolean;
}

export interface ShardStatus {
  /** `failed`: stopped on this node after a fault of its storage or of the program; other replicas go on. */
  readonly state: 'serving' | 'failed' | 'closed';
  /** `replica`: one of several that are all alike, and all take writes. */
  readonly role: 'leader' | 'candidate' | 'follower' | 'learner' | 'replica';
  /** Member number of the leader; 0 while unknown, and for a shard that has none. */
  readonly leader: number;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly replicas: readonly ReplicaStatus[];
  /** Why it failed, or takes no writes although it serves. */
  readonly problem?: string | undefined;
}

/** A shard as its callers see it, however it is replicated. */
export interface ShardHandle {
  readonly type: 'basic' | 'raft' | 'mst';
  /** Number of the shard. */
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  /** Mutations and linearizable reads are decided by this replica, as far as it knows. */
  readonly isPrimary: boolean;
  /** The state of this replica, as `read('local')` gives it. */
  readonly reader: ShardReader;
  /** Triggers of objects that were set off and not delivered yet, of this replica. */
  readonly outbox: Outbox;
  /** Objects, entries and bytes as this replica has applied them; entries that expired count until they are taken away. */
  readonly counters: ShardCounters;
  /** Calls of {@link mutate} and {@link read} of this replica, answered or refused. */
  readonly operations: OperationRate;
  /**
   * Resolves when the mutation is committed and durable. Rejects as `applyMutation` throws, with `ResourceExhausted`
   * over the bound of waiting mutations, with `NoLeader` (`leader` in the details when another member leads), and with
   * `Unavailable` and `outcome` in the details when leadership was lost meanwhile: `notApplied`, or `unknown`.
   */
  mutate(mutation: Mutation): Promise<MutationResult>;
  /** A reader that is good for reads in the same turn of the event loop. Not a promise where nothing must be waited for. */
  read(consistency: Consistency): ShardReader | Promise<ShardReader>;
  status(): ShardStatus;
  /**
   * Bounds of the mutations that come from now on. Where replicas agree each mutation takes those of its proposer along,
   * so that all replicas decide alike, whenever they hear of a change.
   */
  setLimits(limits: ShardLimits): void;
  /** Whether `local` reads are answered here. Not while this replica is being filled, or cannot tell what it lacks though others can. */
  readonly isReadable: boolean;
  /**
   * For how many milliseconds this replica may lack what others took meanwhile; 0 where it can lack nothing. Undefined:
   * not known since the start.
   */
  readonly staleMs: number | undefined;
  /**
   * Begins to take away the entries whose time has come, at most `limit` at once until none is left, where this replica is
   * the one to do so. Cheap when there are none, and while that is under way.
   */
  expire(limit: number): void;
  /**
   * Takes no more mutations. Those under way are answered: where consensus decides them with `Unavailable`, since the
   * other replicas may go on with them; elsewhere as they end, and this waits for it. Idempotent.
   */
  close(): Promise<void>;
}
