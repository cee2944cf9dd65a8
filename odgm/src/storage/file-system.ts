/**
 * The files of one directory, as far as the journal needs them. A port, so that a simulation can supply a disk that
 * tears what was not flushed, flips bits, is full or slow. Failures are those of Node.js (`code`: ENOSPC, EIO, ...).
 */
export interface FileSystem {
  /** Where the directory is, for messages. */
  readonly path: string;
  list(): Promise<{ readonly name: string; readonly size: number }[]>;
  /** Opens a file that is there, or makes an empty one. */
  open(name: string, how: 'existing' | 'new'): Promise<StorageFile>;
  /** Replaces `to` if it is there. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Resolves when the names of the files are on disk: what was made, renamed and removed. */
  syncNames(): Promise<void>;
}

export interface StorageFile {
  /**
   * Writes all bytes, one buffer after the other, and resolves when they are on disk. After an error any part of them may be
   * there; they may be written over.
   */
  writeDurably(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** Bytes read; fewer than asked for at the end of the file only. */
  read(target: Uint8Array, position: number): Promise<number>;
  readSync(target: Uint8Array, position: number): number;
  size(): Promise<number>;
  close(): Promise<void>;
}
