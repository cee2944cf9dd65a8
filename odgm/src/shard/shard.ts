import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type { Storage } from '../storage/index.ts';
import { applyMutation, checkMutation } from './apply.ts';
import type { ShardHandle, ShardStatus } from './handle.ts';
import type { Mutation, MutationResult, ShardCounters, ShardLimits } from './model.ts';
import { ShardReader } from './reader.ts';
import { contentOf } from './content-scan.ts';
import { decodeTotals, type ShardLocation, type ShardTotals, totalsKey } from './records.ts';
import { ShardTransaction } from './transaction.ts';

export interface ShardOptions {
  readonly collection: string;
  readonly partition: number;
  readonly location: ShardLocation;
  readonly storage: Storage;
  readonly limits: ShardLimits;
  /** Says which entries have expired. */
  readonly clock: Clock;
  /** Mutations that may wait for a commit; one more is refused with `ResourceExhausted`. Default 8,192. */
  readonly maxWaiting?: number | undefined;
}

interface Waiting {
  readonly mutation: Mutation;
  readonly resolve: (result: MutationResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Mutations of one commit. Bounds the work between two looks at the event loop, and the memory of a transaction. */
const maxGroup = 512;
const maxGroupBytes = 8 * 1024 * 1024;

/**
 * One partition of a collection with one replica: its objects and the order of their changes.
 *
 * Mutations are decided one after the other, in the order of their arrival, and committed in groups: what arrives
 * while a group is being written makes up the next one. A mutation is answered when it is on disk, and readers see
 * only what is. When a group cannot be written, all of it is refused and the state stays as it was.
 */
export class Shard implements ShardHandle {
  readonly type = 'basic';
  readonly isPrimary = true;
  readonly staleMs = 0;
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
  readonly reader: ShardReader;
  readonly #options: ShardOptions;
  readonly #maxWaiting: number;
  #waiting: Waiting[] = [];
  #totals: ShardTotals;
  #earliestExpiry: number;
  #isExpiring = false;
  #committing: Promise<void> | undefined;
  #isClosed = false;

  /** Opens what is stored, or an empty shard. Throws `StorageCorrupt`. */
  constructor(options: ShardOptions) {
    const { collection, location, storage } = options;
    this.id = location.shard;
    this.collection = collection;
    this.partition = options.partition;
    this.#options = options;
    this.#maxWaiting = options.maxWaiting ?? 8192;
    this.reader = new ShardReader(storage, location, `${collection}/${String(options.partition)}`, options.clock);
    const { counters, content } = decodeTotals(storage.get(totalsKey(location)));
    this.#totals = { counters, content: content ?? contentOf(storage, location) };
    this.#earliestExpiry = this.reader.earliestExpiry();
  }

  /** Objects, entries and bytes as committed. */
  get counters(): ShardCounters {
    return this.#totals.counters;
  }

  /** Its one replica is as good as all of them. */
  read(): ShardReader {
    return this.reader;
  }

  status(): ShardStatus {
    return soleReplica;
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
    // What could not be taken away now is found again by the next call.
    this.mutate({ type: 'expire', entries }).then(done, done);
  }

  /** Resolves when the mutation is durable. Rejects as {@link applyMutation} throws, or as storage does. */
  mutate(mutation: Mutation): Promise<MutationResult> {
    if (this.#isClosed) return Promise.reject(oaasError('Unavailable', 'the shard is closed', { retryAfterMs: 200 }));
    try {
      checkMutation(mutation, this.#options.limits);
    } catch (error) {
      return Promise.reject(toOaasError(error));
    }
    if (this.#waiting.length >= this.#maxWaiting) {
      return Promise.reject(
        oaasError('ResourceExhausted', 'too many writes wait for this shard', {
          remedy: 'Send slower; use more partitions.',
          retryAfterMs: 50,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ mutation, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  /** Takes no more mutations and waits for those that it has. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#committing;
  }

  async #commitAll(): Promise<void> {
    // Lets everything that arrives in this turn of the event loop join the first group.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) await this.#commitGroup(this.#takeGroup());
    } finally {
      this.#committing = undefined;
    }
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { mutation } of this.#waiting) {
      if (count === maxGroup || (count > 0 && bytes > maxGroupBytes)) break;
      bytes += sizeOf(mutation);
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects: each mutation of the group gets its own answer. */
  async #commitGroup(group: readonly Waiting[]): Promise<void> {
    const { storage, location, limits } = this.#options;
    const transaction = new ShardTransaction(storage, location, this.#totals);
    const decided: { readonly waiting: Waiting; readonly result: MutationResult }[] = [];
    for (const waiting of group) {
      try {
        decided.push({ waiting, result: applyMutation(transaction, waiting.mutation, limits) });
      } catch (error) {
        waiting.reject(error);
      }
    }
    try {
      const operations = transaction.operations();
      if (operations.length > 0) await storage.write(operations);
      this.#totals = transaction.totals;
      this.#earliestExpiry = Math.min(this.#earliestExpiry, transaction.earliestExpiry);
      for (const { waiting, result } of decided) waiting.resolve(result);
    } catch (thrown) {
      const error = toOaasError(thrown);
      for (const { waiting } of decided) waiting.reject(error);
    }
  }
}

const soleReplica: ShardStatus = {
  state: 'serving',
  role: 'leader',
  leader: 0,
  term: 0,
  commit: 0,
  applied: 0,
  lastIndex: 0,
  replicas: [],
};

function sizeOf(mutation: Mutation): number {
  if (mutation.type !== 'change') return 0;
  let bytes = 0;
  for (const value of mutation.put.values()) bytes += value.data.length;
  return bytes;
}
