import type { Clock } from '@oaas/commons/time';
import type { MetaState, ShardRecord } from '../meta/index.ts';
import type { ShardHandle } from '../shard/index.ts';
import { indexByClassId } from './collection.ts';
import { HostedCollection } from './hosted.ts';

/** All collections of the cluster as this node has them, by what calls name them. */
export class HostedCollections {
  readonly #clock: Clock;
  readonly #byName = new Map<string, HostedCollection>();
  #classIndex: ReadonlyMap<string, string> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** All that {@link find} knows. */
  get classIds(): string[] {
    return [...this.#classIndex.keys()];
  }

  all(): HostedCollection[] {
    return [...this.#byName.values()];
  }

  named(name: string): HostedCollection | undefined {
    return this.#byName.get(name);
  }

  /** That a class id or collection name leads to. */
  find(classId: string): HostedCollection | undefined {
    return this.#byName.get(this.#classIndex.get(classId) ?? '');
  }

  /** The meta state says something new. */
  update(state: MetaState): void {
    for (const [name, record] of state.collections) {
      const known = this.#byName.get(name);
      if (known?.isSame(record) === true) known.update(record);
      else this.#byName.set(name, new HostedCollection(record, this.#clock));
    }
    for (const name of [...this.#byName.keys()]) if (!state.collections.has(name)) this.#byName.delete(name);
    this.#classIndex = indexByClassId([...state.collections.values()].map(({ spec }) => spec));
  }

  opened(shard: ShardRecord, handle: ShardHandle): void {
    const collection = this.#byName.get(shard.collection);
    // Another one where the collection was deleted, and made anew, while this was being opened.
    if (collection?.shardId(shard.partition) === shard.id) collection.setHandle(shard.partition, handle);
  }

  closed(shard: number): void {
    for (const collection of this.#byName.values()) {
      for (const handle of collection.handles()) {
        if (handle.id === shard) collection.setHandle(handle.partition, undefined);
      }
    }
  }
}
