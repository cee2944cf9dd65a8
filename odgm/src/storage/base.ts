import type { RangeQuery, StoredEntry } from './port.ts';

/**
 * The base under the journal: an ordered map on disk that changes by whole commits. Its values carry checksums that
 * the engine adds and verifies. `meta` is a small map of its own, read once when the engine opens.
 */
export interface BaseReader {
  /** The caller's own copy. */
  get(key: Uint8Array): Buffer | undefined;
  /** Ascending. Entries are the caller's own copies. */
  range(query: RangeQuery): Iterable<StoredEntry>;
}

export interface BaseSnapshot extends BaseReader {
  close(): void;
}

export interface BaseChange {
  readonly key: Buffer;
  /** `undefined` removes the key. */
  readonly value: Buffer | undefined;
}

export interface Base extends BaseReader {
  /** Everything in `meta`. */
  meta(): Iterable<StoredEntry>;
  snapshot(): BaseSnapshot;
  /**
   * All changes or none. Resolves when they are on disk; readers see them from then on at the latest. Bytes must not
   * change meanwhile. Rejects with `StorageFull` (the base is as it was), or `StorageCorrupt`.
   */
  commit(data: readonly BaseChange[], meta: readonly BaseChange[]): Promise<void>;
  usage(): { readonly entries: number; readonly bytes: number };
  close(): Promise<void>;
}
