/** One stored value. */
export interface StoredRecord {
  readonly key: string;
  readonly bytes: Buffer;
}

/** What is written at once; a record without bytes is removed. */
export interface StorageWrite {
  readonly key: string;
  readonly bytes: Buffer | undefined;
}

/** Where the server's state lies. The state itself is kept in memory: storage is read once, at start. */
export interface Storage {
  /** Everything stored, and the last revision that was written. */
  load(): { revision: number; records: Iterable<StoredRecord> };
  /**
   * Writes all or nothing; when the promise resolves, the writes survive the end of the process.
   * Calls do not overlap.
   */
  write(revision: number, writes: readonly StorageWrite[]): Promise<void>;
  close(): Promise<void>;
}

/** Storage that forgets. */
export function memoryStorage(): Storage {
  return {
    load: () => ({ revision: 0, records: [] }),
    write: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
