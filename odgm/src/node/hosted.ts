import type { CollectionRecord, CollectionSpec } from '../meta/index.ts';
import type { ShardHandle } from '../shard/index.ts';
import { OperationWindow } from './performance.ts';
import type { Clock } from '@oaas/commons/time';

/** A collection as this node has it: where its shards are, by partition, and the replicas that are here. */
export class HostedCollection {
  readonly reads: OperationWindow;
  readonly writes: OperationWindow;
  #record: CollectionRecord;
  /** Replicas of this node, by partition. */
  readonly #handles: (ShardHandle | undefined)[];

  constructor(record: CollectionRecord, clock: Clock) {
    this.#record = record;
    this.reads = new OperationWindow(clock);
    this.writes = new OperationWindow(clock);
    this.#handles = Array.from({ length: record.shards.length });
  }

  get spec(): CollectionSpec {
    return this.#record.spec;
  }

  /** `placing` until every shard has replicas. */
  get status(): CollectionRecord['status'] {
    return this.#record.status;
  }

  get partitionCount(): number {
    return this.#record.shards.length;
  }

  /** Number of the partition's shard; undefined out of range. */
  shardId(partition: number): number | undefined {
    return this.#record.shards[partition];
  }

  /** This node's replica of the partition. */
  handle(partition: number): ShardHandle | undefined {
    return this.#handles[partition];
  }

  handles(): ShardHandle[] {
    return this.#handles.filter((handle) => handle !== undefined);
  }

  /** False: a collection of this name was deleted, and made anew. */
  isSame(record: CollectionRecord): boolean {
    return this.#record.shards.length === record.shards.length && this.shardId(0) === record.shards[0];
  }

  /** The meta state says something new about the collection. */
  update(record: CollectionRecord): void {
    this.#record = record;
  }

  setHandle(partition: number, handle: ShardHandle | undefined): void {
    this.#handles[partition] = handle;
  }
}
