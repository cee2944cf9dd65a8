import type { ConfState, Entry, HardState, Snapshot } from './types.ts';

/** `compacted`: the index is before the first one kept. `unavailable`: it is past the last one. */
export type LogMiss = 'compacted' | 'unavailable';

/**
 * The stable log and state, as the core reads it. Synchronous: what is asked for here must be at hand. Reads reflect every write whose
 * completion the core was told (`advance`, or the response to `MsgStorageAppend`); they may also reflect later ones.
 *
 * A new group starts with a snapshot at an index >= 1 that holds its first members (and an empty log after it), on every first member alike:
 * members that join later then get the configuration with that snapshot.
 */
export interface RaftStorage {
  /** Read once, at start. The commit index may trail what was applied; term and vote must be the last that were written. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Entries `lo` to `hi - 1`, as many as fit in `maxBytes` ({@link entrySize} each), but at least one. The result is not changed by either
   * side afterwards.
   */
  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] | LogMiss;
  /** Term of the entry at `index`, which is `firstIndex() - 1` (kept although that entry is gone) to `lastIndex()`. */
  term(index: number): number | LogMiss;
  /** First index that `entries` can return: one after the snapshot or the last compaction. */
  firstIndex(): number;
  /** `firstIndex() - 1` when the log is empty. */
  lastIndex(): number;
  /** The newest snapshot, for a follower that is too far behind. `temporarilyUnavailable`: the core asks again later. */
  snapshot(): Snapshot | 'temporarilyUnavailable';
}
