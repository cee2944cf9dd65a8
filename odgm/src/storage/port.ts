/** Ordered key-value storage of one node. Keys and values are bytes; keys sort by unsigned byte value. */

/** A key has 1 to this many bytes: the smallest bound of the engines (LMDB with pages of 4 KiB). */
export const maxKeyBytes = 1978;

export interface StoredEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface RangeQuery {
  /** First key, inclusive. */
  readonly start: Uint8Array;
  /** Last key, exclusive. */
  readonly end: Uint8Array;
  /** Most entries to give. Default: no bound. */
  readonly limit?: number | undefined;
}

export interface StorageReader {
  /** The value: not to be changed, and good for as long as it is wanted. */
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * Entries in ascending order, their values as those of `get`, read as the caller goes along. One consistent state,
   * provided that the loop ends within the same turn of the event loop; use a snapshot for anything longer.
   */
  range(query: RangeQuery): Iterable<StoredEntry>;
}

export type WriteOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array };

/** A state that does not change. It holds space until it is closed: close it soon, whatever happens. */
export interface StorageSnapshot extends StorageReader {
  close(): void;
}

export interface StorageUsage {
  /** Keys. A durable engine counts them as of its last checkpoint. */
  readonly entries: number;
  /** Bytes on disk, or of keys and values in memory. */
  readonly bytes: number;
}

export interface Storage extends StorageReader {
  /** False for storage that is empty after a restart. */
  readonly isDurable: boolean;
  /**
   * Applies all operations or none, in order. Resolves when they are on disk (at once for storage in memory); readers
   * see them from then on. Calls that overlap share one disk flush. Rejects with `StorageFull` (retry when there is
   * space), `StorageCorrupt`, or `Unavailable` once closed.
   */
  write(operations: readonly WriteOperation[]): Promise<void>;
  snapshot(): StorageSnapshot;
  usage(): StorageUsage;
  /** Waits for writes under way and releases everything. Idempotent. */
  close(): Promise<void>;
}
