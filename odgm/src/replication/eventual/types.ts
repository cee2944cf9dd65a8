import type { Stamp } from '../../merge/index.ts';
import type { Difference, Key, PageHash, Pages } from '../../merkle/index.ts';

/** What a replica says of itself: its root stands for all that it held when its clock gave the stamp. */
export interface Announcement {
  readonly root: PageHash;
  readonly stamp: Stamp;
  /** Tombstones up to here are everywhere, as far as it knows. */
  readonly cut: Stamp;
  /** Epoch of the shard's record that it follows: grows with every change of the replicas. */
  readonly membership: number;
  /** False while it is new and has not yet taken over all that another replica has. */
  readonly isComplete: boolean;
}

/** One replica of a member. One that is made anew there has a later epoch, and nothing of what the one before it had. */
export interface ReplicaId {
  readonly member: number;
  readonly epoch: number;
}

/** How an exchange ended for both sides: what each held is merged by the other, and on its disk. */
export interface Completion {
  readonly mine: Announcement;
  readonly theirs: Announcement;
}

/** What two replicas had when they were compared. */
export interface Comparison {
  readonly mine: Announcement;
  readonly theirs: Announcement;
  /** In the order of keys. */
  readonly differences: readonly Difference[];
  /** There are more. */
  readonly hasMore: boolean;
}

/** A replica of a shard whose replicas merge, as the host and exchanges see it. */
export interface EventualReplica {
  readonly shard: number;
  /** Of this replica. */
  readonly epoch: number;
  readonly pages: Pages;
  readonly isComplete: boolean;
  /** Members with the other replicas. */
  readonly members: readonly number[];
  /** Epoch of the replica that a member has; undefined for one that has none, as far as is known. */
  epochOf(member: number): number | undefined;
  /** Of the state after all that was accepted before the call. Resolves when it is durable. */
  announce(): Promise<Announcement>;
  /** Nothing is noted of a replica that is not, or not any more, the one that its member has as far as is known. */
  heard(from: ReplicaId, announcement: Announcement): void;
  /** Keeps the pages of a root until the returned function is called. */
  pin(root: PageHash): () => void;
  /** States of the first `count` of these keys, in the form that `merge` takes: as many as `maxBytes` allows, at least one. */
  take(keys: readonly Key[], maxBytes: number): { readonly states: Uint8Array; readonly count: number };
  /**
   * Resolves when it is durable: with false when some of it came from too far in the future and was left out. Rejects
   * with `ResourceExhausted` when too much waits. `isFormer`: from a replica that is no part of the shard any more. What
   * has so old a stamp that the others may be about to take it for known everywhere is left out then.
   */
  merge(states: Uint8Array, isFormer?: boolean): Promise<boolean>;
  /** `found`: keys in which the two differed. As {@link heard}: what a former replica had, the one after it may lack. */
  completed(from: ReplicaId, completion: Completion, found: number): void;
  /** Messages can be sent to the member again. */
  linkUp(member: number): void;
}
