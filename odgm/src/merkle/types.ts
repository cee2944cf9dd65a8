/**
 * Digest of bytes, for content addresses: must be collision-resistant, of one length (16 to 64 bytes), and the same
 * function on every member, e.g. SHA-256. The room has none of its own: the native one is many times faster.
 */
export type HashFunction = (bytes: Uint8Array) => Uint8Array;

/** Content address of a page: the digest of its encoding, in lowercase hexadecimal. A root is one. */
export type PageHash = string;

/**
 * Where pages are kept, by content address. Synchronous: the engine reads from memory maps and memtables. A page never
 * changes; `put` of one that is there does nothing.
 */
export interface PageStore {
  get(hash: PageHash): Uint8Array | undefined;
  has(hash: PageHash): boolean;
  put(hash: PageHash, page: Uint8Array): void;
  delete(hash: PageHash): void;
  /**
   * Hashes of all pages, each once, for collecting garbage. Pages may be put and deleted while it is open; one that is
   * put meanwhile may or may not come.
   */
  hashes(): Iterator<PageHash>;
}

/**
 * Key of an entry: bytes as text, one character of U+0000 to U+00FF each, 1 to {@link maxKeyLength} of them. Keys sort by
 * byte.
 */
export type Key = string;

/** `objectId`, 0x00, entry key: 321 at most. */
export const maxKeyLength = 512;

/** What the tree keeps for a key, 1 to this many bytes: a stamp, a digest and flags, not the value. */
export const maxLeafBytes = 64;

/** A key whose leaf differs between two trees. Absent: the tree does not have the key. */
export interface Difference {
  readonly key: Key;
  readonly ours: Uint8Array | undefined;
  readonly theirs: Uint8Array | undefined;
}

/** Part of the keys: from `start` (inclusive) to `end` (exclusive). Absent: no bound. */
export interface KeyRange {
  readonly start?: Key | undefined;
  readonly end?: Key | undefined;
}
