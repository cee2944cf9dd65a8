/** Channels of the grid, in one place so that no two users take the same. A number keeps its meaning for ever. */
export const channels = {
  /** Who leads which shard. */
  leaders: 1,
  /** Messages of consensus groups. */
  raft: 2,
  /** Request: whether and from where on a snapshot of a group is wanted. */
  snapshotOffer: 3,
  /** Stream: the state of a group. */
  snapshot: 4,
  /** Commands for the leader of the meta group. */
  meta: 5,
  /** As raft, snapshotOffer and snapshot, for groups whose storage is empty after a restart. */
  ephemeralRaft: 6,
  ephemeralSnapshotOffer: 7,
  ephemeralSnapshot: 8,
  /** Questions to and changes of a replica of a shard, by the coordinator of tasks. */
  shards: 9,
  /** Consistency checks of replicas. */
  checks: 10,
  /** Shards whose replicas merge: messages with states of objects, requests of comparisons and exchanges. */
  eventual: 11,
  /** Request: events and dead letters of a former replica of a shard whose replicas merge. */
  events: 12,
} as const;
