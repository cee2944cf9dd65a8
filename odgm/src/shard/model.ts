import { type CollectionOptionValues, collectionOptionValues } from '@oaas/commons/config';
import type { OaasError } from '@oaas/commons/errors';

/** What a value is, as ValData of the wire says: plain bytes, or a map that merges by itself. */
export type ValueType = 'bytes' | 'crdt-map';

export interface Value {
  readonly data: Uint8Array;
  readonly type: ValueType;
  /**
   * Wall-clock time in milliseconds from which on readers do not see the entry, 0..2^48-1; absent: never. The writer
   * computes it once, so that all replicas agree. The entry is taken away soon after, which changes the object.
   */
  readonly expiresAt?: number | undefined;
  /** CRC-32 of `data`, once somebody has computed it. No part of what the value is. */
  checksum?: number | undefined;
}

export interface ObjectMeta {
  /** 1 after the first accepted batch, then one more for each. An object that was deleted begins at 1 again. */
  readonly version: number;
  readonly entryCount: number;
  /** Bytes of the id and of all keys and values. */
  readonly bytes: number;
  /** Triggers that the object's writer configured, as the wire's ObjectEvent. */
  readonly event?: Uint8Array | undefined;
}

export interface StoredObject {
  readonly meta: ObjectMeta;
  readonly entries: ReadonlyMap<string, Value>;
}

/** What a change of an object says about the triggers of the object. */
export interface Firing {
  /** Wall-clock milliseconds at which it came; absent: it sets off no triggers, whatever the object has. */
  readonly at?: number | undefined;
  /** Calls of triggers that led to it, one of the other: 0, or absent, for a change that a client asked for by itself. */
  readonly depth?: number | undefined;
}

/** One atomic change: of one object, or of what has expired. It is decided when it is applied, never before. */
export type Mutation =
  | ({
      readonly type: 'change';
      readonly objectId: string;
      /** Entries to write. */
      readonly put: ReadonlyMap<string, Value>;
      /** Entries to take away; a key that is also in `put` is written. */
      readonly remove: readonly string[];
      /** True: entries that are not in `put` go as well. */
      readonly replace: boolean;
      /** Absent: left as it is, or cleared when `replace` is set. */
      readonly event?: Uint8Array | undefined;
      /** Compare-and-set: the version that the object must have; 0 means that it must not exist. */
      readonly expectedVersion?: number | undefined;
      /**
       * The result has the object as this change left it. Decided where the change is applied, for whoever asked for it
       * there: no part of what is logged or sent to other replicas. Default: it has not.
       */
      readonly returnsObject?: boolean | undefined;
    } & Firing)
  | ({ readonly type: 'delete'; readonly objectId: string; readonly expectedVersion?: number | undefined } & Firing)
  | {
      /**
       * Takes away entries whose time has come; one that was written again meanwhile, with another time, stays. Where
       * triggers fire, an entry counts as deleted at its time.
       */
      readonly type: 'expire';
      readonly entries: readonly ExpiringEntry[];
    };

/**
 * A place in the log at which all replicas say what they have. It changes nothing; older versions of the program, which
 * do not know it, stop.
 */
export interface CheckMark {
  readonly type: 'mark';
  /** Names the check; what comes before the first dot names the round: what nodes look at once for all shards. */
  readonly id: string;
  /** Version of the content's hash that the proposer has. */
  readonly algorithm: number;
  /** True: each replica also reads all that it has stored. */
  readonly scan: boolean;
}

/** An entry that expires at a time, in wall-clock milliseconds. */
export interface ExpiringEntry {
  readonly objectId: string;
  readonly key: string;
  readonly expiresAt: number;
}

export interface MutationResult {
  /** Version after the mutation; 0 when the object does not exist now, and for `expire`. */
  readonly version: number;
  /** False when the mutation found everything as it should be: no version was used up. */
  readonly changed: boolean;
  /**
   * Of a change that `returnsObject`: the object right after it, without the entries whose time had come by then, in the
   * order of keys. Undefined when the object does not exist then; an error where it cannot be read here: the change holds
   * nevertheless.
   */
  readonly object?: StoredObject | OaasError | undefined;
}

export interface ShardCounters {
  readonly objects: number;
  readonly entries: number;
  readonly bytes: number;
}

/** Bounds of what a shard takes: the options of its collection. */
export type ShardLimits = CollectionOptionValues;

export const defaultLimits: ShardLimits = collectionOptionValues();
