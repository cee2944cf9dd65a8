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
  /**
   * Digest of its labels and branches: equal ones name the same, and all that they name is there. Undefined where none
   * are kept, and from a member that runs a former build.
   */
  readonly refs?: string | undefined;
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

/** A key of a tree, and the leaf that a version of it has there. */
export interface LeafName {
  readonly key: Key;
  readonly leaf: Uint8Array;
}

/** Labels and branches of a replica, as the host and exchanges see them. */
export interface ReplicaRefs {
  /** Encoded, for another replica. What they name stays readable until `unpin`. */
  give(): Promise<{ readonly refs: Uint8Array; readonly unpin: () => void }>;
  /** Encoded states of these leaves, as many of the first as `maxBytes` allows, at least one; undefined for what is not kept. */
  statesOf(leaves: readonly LeafName[], maxBytes: number): (Uint8Array | undefined)[];
  /** Begins to take over what another replica gave. `DataLoss` when it is nothing that could be. */
  take(refs: Uint8Array): Promise<RefTakeover>;
}

/**
 * Labels and branches of another replica on their way: all that they name comes first, then they are this replica's. What
 * came so far is of no harm when it ends before; another takeover finds it here.
 */
export interface RefTakeover {
  /** What is stored here, as far as it lasts until `end`. */
  readonly pages: Pages;
  /** Roots that are to be read here, each to be compared with one of which all is here by then: in this order. */
  readonly roots: readonly { readonly root: PageHash; readonly like: PageHash }[];
  put(hash: PageHash, page: Uint8Array): void;
  /** Stores what was put, and those of these states that are here but would not stay. Resolves with those that are not here. */
  save(leaves: readonly LeafName[]): Promise<LeafName[]>;
  /** Stores states that the other replica gave. `DataLoss` when they are not what the leaves say. */
  keep(leaves: readonly LeafName[], states: readonly Uint8Array[]): Promise<void>;
  /** All is here. Resolves when it is on the disk; rejects with `Unavailable` for a stamp from too far in the future. */
  finish(): Promise<void>;
  /** To be called in any case. */
  end(): void;
}

/** A replica of a shard whose replicas merge, as the host and exchanges see it. */
export interface EventualReplica {
  readonly shard: number;
  /** Of this replica. */
  readonly epoch: number;
  readonly pages: Pages;
  readonly isComplete: boolean;
  /** Undefined where none are kept. */
  readonly refs: ReplicaRefs | undefined;
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
  /** Each has what the other one announced. As {@link heard}: what a former replica had, the one after it may lack. */
  completed(from: ReplicaId, completion: Completion): void;
  /** Messages can be sent to the member again. */
  linkUp(member: number): void;
}
