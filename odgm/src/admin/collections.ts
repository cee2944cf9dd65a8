import { oaasError } from '@oaas/commons/errors';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import { z } from 'zod';
import { type CollectionAsk, type CollectionSpec, defaultShardType, deletedOf, isFinished } from '../meta/index.ts';
import { checkOptions, type GridNode, type HostedCollection } from '../node/index.ts';
import { metaOf } from './meta-of.ts';
import { isAnswering, type CollectionView, collectionView } from './view.ts';

export interface CollectionsOptions {
  readonly node: GridNode;
  readonly clock: Clock;
  readonly timers: Timers;
}

const shardTypes = ['raft', 'basic', 'mst'] as const;
const durabilities = ['persistent', 'ephemeral'] as const;
const id = z.string().regex(/^[A-Za-z0-9._:-]{1,160}$/);

/** The body of `PUT /admin/collections/:name`. How many partitions and replicas there may be, the meta group says. */
const askSchema = z.strictObject({
  partition_count: z.int().min(1).optional(),
  replica_count: z.int().min(1).optional(),
  shard_type: z.enum(shardTypes).optional(),
  durability: z.enum(durabilities).optional(),
  class_ids: z.array(id).optional(),
  options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).optional(),
});

const defaults: Omit<CollectionAsk, 'name'> = {
  classIds: [],
  partitionCount: 1,
  replicaCount: 1,
  durability: 'persistent',
  options: {},
  invocations: { fnRoutes: {}, disabledFn: [] },
};

/** How long an answer waits for the members that are up to have heard of it. */
const heardMs = 5000;
const lookMs = 50;

/** Collections, as administrators make and delete them. Any node answers. */
export class Collections {
  readonly #options: CollectionsOptions;

  constructor(options: CollectionsOptions) {
    this.#options = options;
  }

  /**
   * Makes a collection. What is not asked for is as it was when one of this name was deleted, else as the configuration
   * of this node has it, else the default of configurations; {@link defaultShardType} for the type. Resolves when it is
   * decided and the members that are up know it, or have had 5 s for that: its shards are placed a moment later. Throws
   * `AlreadyExists`, `InvalidArgument`.
   */
  async create(name: string, asked: unknown): Promise<CollectionView> {
    const ask = askSchema.safeParse(asked);
    if (!ask.success) {
      const [issue] = ask.error.issues;
      const place = issue?.path.join('.') ?? '';
      const what = issue?.message ?? 'is no collection';
      throw oaasError('InvalidArgument', place === '' ? what : `${place}: ${what}`, {
        remedy: `Fields are ${Object.keys(askSchema.shape).join(', ')}.`,
      });
    }
    const { node } = this.#options;
    const meta = metaOf(node);
    await meta.catchUp();
    if (meta.state.collections.has(name)) {
      throw oaasError('AlreadyExists', `there is a collection "${name}"`, {
        remedy: 'Take another name, or delete that one first.',
      });
    }
    const base: CollectionAsk = deletedOf(meta.state, name)?.spec ?? node.configured(name) ?? { name, ...defaults };
    const { partition_count, replica_count, shard_type, durability, class_ids, options } = ask.data;
    const replicaCount = replica_count ?? base.replicaCount;
    const spec: CollectionSpec = {
      name,
      classIds: class_ids ?? base.classIds,
      partitionCount: partition_count ?? base.partitionCount,
      replicaCount,
      shardType: shard_type ?? base.shardType ?? defaultShardType(replicaCount),
      durability: durability ?? base.durability,
      options: options ?? base.options,
      invocations: base.invocations,
    };
    checkOptions(spec);
    const isAnew = deletedOf(meta.state, name) !== undefined;
    await meta.propose({ type: 'putCollection', spec, ...(isAnew ? { anew: true } : {}) });
    await this.#until(() => {
      const reports = node
        .members()
        .filter(isAnswering)
        .map(({ report }) => report?.collections ?? []);
      return reports.every((collections) => collections.some((one) => one.name === name));
    });
    return collectionView(node, this.#named(name));
  }

  /** What would go with a collection. Throws `NotFound`. */
  async lookAt(name: string): Promise<admin.DeleteCollectionResponse> {
    const { node } = this.#options;
    const { state } = metaOf(node);
    await node.reports.refresh();
    const { shards, totalObjects, sizeBytes } = collectionView(node, this.#named(name));
    const known = shards.filter(({ state: at }) => at !== 'unavailable' && at !== 'recovering');
    return {
      name,
      done: false,
      objects: totalObjects,
      bytes: sizeBytes,
      shards: shards.length,
      replicas: shards.reduce((sum, { replicas }) => sum + replicas.length, 0),
      unknownShards: shards.length - known.length,
      tasks: [...state.tasks.values()]
        .filter((task) => task.collection === name && !isFinished(task))
        .map((task) => String(task.id)),
      waitingMembers: [],
    };
  }

  /**
   * Deletes a collection with all its objects. Resolves when it is decided and the members that are up know it, or have
   * had 5 s for that; from then on a member answers `NotFound` and removes what it has. The others are named, and do the
   * same when they come back. Throws `NotFound`, `FailedPrecondition` while a member runs a version that cannot.
   */
  async delete(name: string): Promise<admin.DeleteCollectionResponse> {
    const meta = metaOf(this.#options.node);
    await meta.catchUp();
    const going = await this.lookAt(name);
    const ids = new Set(meta.state.collections.get(name)?.shards ?? []);
    const holders = new Set(
      [...ids].flatMap((shard) => (meta.state.shards.get(shard)?.replicas ?? []).map(({ member }) => member)),
    );
    await meta.propose({ type: 'deleteCollection', name });
    await meta.catchUp();
    const waiting = (isUp: boolean): string[] => this.#unaware(ids, holders, isUp);
    await this.#until(() => waiting(true).length === 0);
    return { ...going, done: true, waitingMembers: [...waiting(true), ...waiting(false)].sort() };
  }

  /** Members that can, or cannot, be asked, and have these shards as far as is known. */
  #unaware(shards: ReadonlySet<number>, holders: ReadonlySet<number>, isUp: boolean): string[] {
    const views = this.#options.node.members().filter((view) => isAnswering(view) === isUp);
    return views
      .filter(({ record, report }) =>
        isUp
          ? report?.collections.some((one) => one.shards.some(({ shardId }) => shards.has(shardId))) === true
          : holders.has(record.number),
      )
      .map(({ record }) => record.id);
  }

  /** What members said before this is called does not count: it may be about a collection that was deleted. */
  async #until(isSo: () => boolean): Promise<void> {
    const { node, clock, timers } = this.#options;
    const deadline = clock.monotonic() + heardMs;
    for (;;) {
      await node.reports.refresh(true);
      if (isSo() || clock.monotonic() >= deadline) return;
      await sleep(timers, lookMs);
    }
  }

  #named(name: string): HostedCollection {
    const collection = this.#options.node.collections().find(({ spec }) => spec.name === name);
    if (collection === undefined) throw oaasError('NotFound', `there is no collection "${name}"`);
    return collection;
  }
}
