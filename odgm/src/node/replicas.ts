import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { CollectionRecord, MetaState, ShardRecord, ShardReplicaRecord } from '../meta/index.ts';
import type { ShardHandle } from '../shard/index.ts';

/** Makes, opens and removes replicas of shards. */
export interface ReplicaFactory {
  open(shard: ShardRecord, collection: CollectionRecord, replica: ShardReplicaRecord): Promise<ShardHandle>;
  /** Removes a replica for good, with its data. */
  remove(shard: number): Promise<void>;
  /** Shards of which there is something stored here. */
  stored(): readonly number[];
}

export interface ReplicasOptions {
  /** Own member number. */
  readonly self: number;
  readonly factory: ReplicaFactory;
  readonly logger: Logger;
  readonly onOpen: (shard: ShardRecord, handle: ShardHandle) => void;
  readonly onClose: (shard: number) => void;
}

/** Replicas that are opened at once: a start with thousands of them stays responsive. */
const openAtOnce = 64;

/**
 * The replicas of this node, kept as the meta state wants them: what is recorded for this member is open, what is
 * recorded no longer goes, data and all. A replica that cannot be opened is tried again with the next change.
 */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #open = new Map<number, ShardHandle>();
  readonly #problems = new Map<number, string>();
  #running: Promise<void> | undefined;
  #wanted: (() => MetaState) | undefined;
  #isClosed = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  get(shard: number): ShardHandle | undefined {
    return this.#open.get(shard);
  }

  all(): ShardHandle[] {
    return [...this.#open.values()];
  }

  /** Why a replica that should be here is not. */
  problemOf(shard: number): string | undefined {
    return this.#problems.get(shard);
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
    await this.#running;
    await Promise.all([...this.#open.values()].map((handle) => handle.close()));
    this.#open.clear();
  }

  async #run(): Promise<void> {
    try {
      while (this.#wanted !== undefined && !this.#isClosed) {
        const state = this.#wanted();
        this.#wanted = undefined;
        await this.#round(state);
      }
    } finally {
      this.#running = undefined;
    }
  }

  async #round(state: MetaState): Promise<void> {
    const { self, factory } = this.#options;
    const missing: { shard: ShardRecord; collection: CollectionRecord; replica: ShardReplicaRecord }[] = [];
    const wanted = new Set<number>();
    for (const collection of state.collections.values()) {
      for (const id of collection.shards) {
        const shard = state.shards.get(id);
        const replica = shard?.replicas.find(({ member }) => member === self);
        if (shard === undefined || replica === undefined) continue;
        wanted.add(id);
        if (!this.#open.has(id)) missing.push({ shard, collection, replica });
      }
    }
    for (const id of [...this.#open.keys()]) if (!wanted.has(id)) await this.#close(id);
    for (const id of factory.stored()) if (!wanted.has(id) && this.#isKnown(state, id)) await this.#remove(id);
    for (let from = 0; from < missing.length && !this.#isClosed; from += openAtOnce) {
      const part = missing.slice(from, from + openAtOnce);
      await Promise.all(part.map(({ shard, collection, replica }) => this.#openOne(shard, collection, replica)));
    }
  }

  /** Ids are never reused: one that was given out and is not in the state any more is gone for good. */
  #isKnown(state: MetaState, shard: number): boolean {
    return shard < state.next.shard;
  }

  async #openOne(shard: ShardRecord, collection: CollectionRecord, replica: ShardReplicaRecord): Promise<void> {
    const { factory, logger, onOpen } = this.#options;
    try {
      const handle = await factory.open(shard, collection, replica);
      this.#problems.delete(shard.id);
      this.#open.set(shard.id, handle);
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
    }
  }

  async #close(id: number): Promise<void> {
    const handle = this.#open.get(id);
    this.#open.delete(id);
    this.#options.onClose(id);
    await handle?.close();
  }

  async #remove(id: number): Promise<void> {
    try {
      await this.#options.factory.remove(id);
      this.#problems.delete(id);
    } catch (error) {
      this.#options.logger.warn({ err: error, shard: id }, 'the data of a replica could not be removed yet');
    }
  }
}
