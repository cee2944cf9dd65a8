import type { Stamp } from './stamp.ts';
import type { VersionVector } from './vector.ts';

/** What a value is, as ValData of the wire says: plain bytes, or a map that merges by itself. */
export type ValueType = 'bytes' | 'crdt-map';

/** State of one entry of one object on one replica: its last write, or that it was taken away. */
export interface Register {
  readonly stamp: Stamp;
  readonly type: ValueType;
  /** Absent: a tombstone, kept until every replica has it. */
  readonly value: Uint8Array | undefined;
  /** Wall-clock milliseconds, 0 to 2^48 - 1, from which on nobody sees the entry. Absent: never. */
  readonly expiresAt?: number | undefined;
}

/**
 * State of one object besides its entries. Each part only grows, so that merging takes the later of each part. An
 * entry counts as far as {@link survivorOf} leaves it.
 */
export interface ObjectHeader {
  /** Entries stamped before this are gone: the last write that replaced the object, or the last delete. */
  readonly cleared: Stamp;
  /** The last delete. */
  readonly deleted: Stamp;
  /** The last accepted batch that was no delete. The object exists when this is after `deleted`. */
  readonly written: Stamp;
  /** Batches accepted so far, per member: the object's version is their sum. */
  readonly vector: VersionVector;
  /** Triggers that the object's writer configured, with the stamp of that write. */
  readonly event: { readonly stamp: Stamp; readonly value: Uint8Array } | undefined;
}
