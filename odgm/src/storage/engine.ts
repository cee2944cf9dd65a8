import type { Storage, WriteOperation } from './port.ts';

/**
 * The storage of a node that hosts consensus groups: ordered keys and values ({@link Storage}), and one log per group.
 * The types of the log have the shape of etcd/raft's, without importing them. Numbers are safe integers, from 0.
 */

/** 0 normal, 1 configuration change, 2 configuration change of several members at once. */
export type LogEntryType = 0 | 1 | 2;

export interface LogEntry {
  readonly term: number;
  /** From 1, without gaps. */
  readonly index: number;
  readonly type: LogEntryType;
  /** Kept by reference: neither the writer nor a reader may change it. */
  readonly data: Uint8Array;
}

/** What a member of a group must not forget: Raft's current term, vote (0: none) and commit index. */
export interface HardState {
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
}

export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

/** A change of one group's log. Takes effect as a whole, in the order `reset`, `hardState`, `entries`. */
export interface LogWrite {
  readonly group: number;
  readonly hardState?: HardState | undefined;
  /** The log is emptied and goes on after this position: a snapshot up to it was installed. */
  readonly reset?: LogPosition | undefined;
  /**
   * Consecutive. The first index is at most one above the last of the log and above {@link GroupLog.truncated};
   * what the log has from there on is replaced.
   */
  readonly entries?: readonly LogEntry[] | undefined;
}

/** The log of one group as far as it is durable. All reads are synchronous. */
export interface GroupLog {
  readonly group: number;
  /** Index of the first entry that is there, or would be: `truncated.index + 1`. */
  readonly firstIndex: number;
  /** Index of the last entry; `firstIndex - 1` when there is none. */
  readonly lastIndex: number;
  /** The last position that is no longer there, {0, 0} at first. Its term is still known. */
  readonly truncated: LogPosition;
  /** All zero at first. */
  readonly hardState: HardState;
  /** Bytes of entries that are there, their data only. */
  readonly bytes: number;
  /** Term of an entry, or of `truncated`; `undefined` for an index that is not known. */
  term(index: number): number | undefined;
  /**
   * Entries `lo <= index < hi`, as many as have up to `maxBytes` of data together, but at least one when `lo < hi`.
   * Throws `RangeError` unless `firstIndex <= lo <= hi <= lastIndex + 1`, `StorageCorrupt` for damaged ones.
   */
  entries(lo: number, hi: number, maxBytes: number): LogEntry[];
}

/** What a look at stored values found. */
export interface ScrubResult {
  /** Values looked at, and their bytes with keys. */
  readonly entries: number;
  readonly bytes: number;
  /** Keys whose value is damaged. */
  readonly bad: readonly Uint8Array[];
  /** Where to go on; absent at the end of the range. */
  readonly next?: Uint8Array | undefined;
}

export interface ScrubQuery {
  /** First key, inclusive. */
  readonly start: Uint8Array;
  /** Last key, exclusive. */
  readonly end: Uint8Array;
  /** The look ends after the value that reaches this many bytes. Default 1 MiB. */
  readonly maxBytes?: number | undefined;
}

/** Where a look at the journal goes on. */
export interface JournalPlace {
  readonly segment: number;
  readonly position: number;
}

/** What a look at the journal found. */
export interface JournalScrub {
  readonly bytes: number;
  readonly bad: readonly {
    readonly file: string;
    readonly offset: number;
    /** Groups that have log entries there. */
    readonly groups: readonly number[];
  }[];
  /** Where to go on; absent at the end. */
  readonly next?: JournalPlace | undefined;
}

/** Figures of the engine, for metrics. Bytes and counts. */
export interface EngineStatus {
  readonly groups: number;
  /** Changes that are not in the base yet. */
  readonly memtableBytes: number;
  /** Log entries kept in memory. */
  readonly cachedLogBytes: number;
  readonly journalBytes: number;
  readonly journalSegments: number;
  /** Journal frames written, each with one flush of the disk. */
  readonly frames: number;
  readonly checkpoints: number;
}

export interface Engine extends Storage {
  /**
   * Makes operations visible at once, all or none, without writing them to disk: they become durable with a later
   * checkpoint, together with everything that was applied or written before. For changes that their owner can make
   * again from its log: store the applied index among them. Values are kept by reference: do not change them.
   * Never refused for lack of space: `append` is. Throws `Unavailable` once closed or failed.
   */
  apply(operations: readonly WriteOperation[]): void;
  /** The log of a group, empty if there is nothing of it. Stays valid until the group is dropped. */
  log(group: number): GroupLog;
  /** Groups with anything stored, ascending. */
  groups(): number[];
  /**
   * Resolves when all the writes, and the operations, are durable, atomically; readers see them from then on. With
   * operations a snapshot is installed: the state as of its index, together with the `reset` of the log. Calls that overlap
   * share a flush of the disk and resolve in order. Rejects with `InvalidArgument` for entries that do not fit the
   * log, `StorageFull` (nothing of it is there; all calls after it are rejected, too, until its caller can have heard of
   * it: try again in the same order), `ResourceExhausted` when too much waits, `Unavailable` once closed or failed.
   */
  append(writes: readonly LogWrite[], operations?: readonly WriteOperation[]): Promise<void>;
  /**
   * Forgets entries up to and with `index`, at once for readers, on disk with the next checkpoint. What they did must
   * have been given to `apply` or `write` before. An index that is not in the log does nothing.
   */
  compact(group: number, index: number): void;
  /** Forgets a group's log, hard state and all. Resolves when that is durable. */
  dropGroup(group: number): Promise<void>;
  /** Brings everything that was applied or written so far into the base. Resolves when it is durable there. */
  checkpoint(): Promise<void>;
  /** Reads stored values of a range and verifies them, past everything kept in memory. Bounded by `maxBytes`. */
  scrub(query: ScrubQuery): ScrubResult;
  /**
   * Reads the journal and verifies it, from the beginning or from where the last look ended, until it has seen this many
   * bytes. A file with a damaged frame is no longer written to, and cleared away as soon as nothing in it is needed: a
   * later start would refuse it.
   */
  scrubJournal(from: JournalPlace | undefined, maxBytes: number): JournalScrub;
  status(): EngineStatus;
}

export const noHardState: HardState = { term: 0, vote: 0, commit: 0 };
export const noPosition: LogPosition = { index: 0, term: 0 };
