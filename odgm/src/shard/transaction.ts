import { isOaasError, toOaasError } from '@oaas/commons/errors';
import { prefixEnd, type StorageReader, type WriteOperation } from '../storage/index.ts';
import { ContentHash } from './content-hash.ts';
import type { MutationResult, ObjectMeta, ShardCounters, Value } from './model.ts';
import { OutboxTransaction } from './outbox-transaction.ts';
import {
  decodeMeta,
  decodeSummed,
  eachEntry,
  encodeObject,
  encodeTotals,
  endOfTime,
  entryKey,
  expiryKey,
  expiryRecord,
  hasEntries,
  isWhole,
  keyOfEntryKey,
  metaKey,
  type ShardLocation,
  type ShardTotals,
  totalsKey,
  valueSize,
  writeValue,
} from './records.ts';

/** Most bytes of records in one buffer: while one of them is kept, all of them are. */
const sharedBytes = 64 * 1024;

/** What happens to one entry of an object. */
export interface EntryChange {
  readonly key: string;
  /** `undefined`: it goes. */
  readonly value: Value | undefined;
  /** What was there. */
  readonly old: Value | undefined;
}

type Put = Pick<EntryChange, 'key' | 'value'>;

interface PendingObject {
  readonly key: Uint8Array;
  meta: ObjectMeta | undefined;
  /** True when `entries` has all entries; false when those that it does not name are as stored. */
  isComplete: boolean;
  /** `undefined` for one that is gone; not there in a complete object. */
  entries: Map<string, Value | undefined>;
  isChanged: boolean;
}

/**
 * A group of mutations that will be committed together: each sees the ones before it, storage sees all or none.
 * Holds no lock and starts no I/O; a transaction that is dropped leaves nothing behind.
 *
 * Small objects are stored whole, in one record. Entries of larger ones have keys of their own: what happens to them is
 * written down at once, in the order in which it happens.
 */
export class ShardTransaction {
  readonly #storage: StorageReader;
  readonly #location: ShardLocation;
  readonly #objects = new Map<string, PendingObject>();
  readonly #operations: WriteOperation[] = [];
  readonly #content: ContentHash;
  #counters: ShardCounters;
  #earliestExpiry = endOfTime;
  #outbox: OutboxTransaction | undefined;

  constructor(storage: StorageReader, location: ShardLocation, { counters, content }: ShardTotals) {
    this.#storage = storage;
    this.#location = location;
    this.#counters = counters;
    this.#content = new ContentHash(content);
  }

  /** As of the last mutation. */
  get totals(): ShardTotals {
    return { counters: this.#counters, content: this.#content.sum };
  }

  /** Events that the changes set off, and what becomes of others. */
  get outbox(): OutboxTransaction {
    return (this.#outbox ??= new OutboxTransaction(this.#storage, this.#location));
  }

  /** Undefined where nobody asked for it: it is as stored. */
  get openedOutbox(): OutboxTransaction | undefined {
    return this.#outbox;
  }

  /** The earliest time at which an entry that was written here expires; {@link endOfTime} when none does. */
  get earliestExpiry(): number {
    return this.#earliestExpiry;
  }

  meta(id: string): ObjectMeta | undefined {
    return this.#object(id).meta;
  }

  value(id: string, key: string): Value | undefined {
    const { entries, isComplete } = this.#object(id);
    const value = entries.size === 0 ? undefined : entries.get(key);
    if (value !== undefined || isComplete || (entries.size > 0 && entries.has(key))) return value;
    const stored = this.#storage.get(entryKey(this.#location, id, key));
    return stored === undefined ? undefined : decodeSummed(stored);
  }

  /** All entries of the object. */
  entries(id: string): Map<string, Value> {
    const object = this.#object(id);
    const entries = object.isComplete ? new Map<string, Value>() : this.#storedEntries(id);
    for (const [key, value] of object.entries) {
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
    return entries;
  }

  /**
   * The object as readers would see it at a wall-clock time if the transaction ended here; the error where storage cannot
   * read it, which is no reason to give up the transaction.
   */
  objectAt(id: string, now: number): MutationResult['object'] {
    const meta = this.meta(id);
    if (meta === undefined) return undefined;
    try {
      const live = [...this.entries(id)].filter(([, { expiresAt }]) => expiresAt === undefined || expiresAt > now);
      return { meta, entries: new Map(live.sort(byKey)) };
    } catch (error) {
      if (isOaasError(error, 'StorageCorrupt')) return toOaasError(error);
      throw error;
    }
  }

  /**
   * Writes the meta of an object and those of its entries that changed. `all`: every entry that it has from now on, if
   * that is known.
   */
  change(
    id: string,
    meta: ObjectMeta,
    changes: readonly EntryChange[],
    all: ReadonlyMap<string, Value> | undefined,
  ): void {
    const object = this.#object(id);
    this.#content.object(id);
    this.#count(object.meta, meta);
    object.meta = meta;
    object.isChanged = true;
    for (const change of changes) this.#changeEntry(id, object, change);
    if (!object.isComplete) this.#putEntries(id, changes);
    if (object.isComplete || all === undefined || !isWhole(meta)) return;
    // It has become small: from here on it is stored whole.
    for (const key of all.keys()) this.#operations.push({ type: 'delete', key: entryKey(this.#location, id, key) });
    object.isComplete = true;
    object.entries = new Map(all);
  }

  delete(id: string): void {
    const object = this.#object(id);
    this.#content.object(id);
    for (const [key, value] of this.entries(id)) {
      this.#content.removeEntry(key, value);
      if (value.expiresAt !== undefined) this.#deleteExpiry(id, key, value.expiresAt);
      if (!object.isComplete) this.#operations.push({ type: 'delete', key: entryKey(this.#location, id, key) });
    }
    this.#count(object.meta, undefined);
    object.meta = undefined;
    object.isChanged = true;
    object.isComplete = true;
    object.entries = new Map();
  }

  /** What to write so that storage holds the outcome, the counters included. To be called once, at the end. */
  operations(): WriteOperation[] {
    const operations = this.#operations;
    for (const [id, { key, meta, entries, isComplete, isChanged }] of this.#objects) {
      if (!isChanged) continue;
      if (meta === undefined) {
        operations.push({ type: 'delete', key });
        continue;
      }
      const all = isComplete ? ([...entries] as [string, Value][]) : undefined;
      if (all === undefined || isWhole(meta)) {
        if (all !== undefined && all.length > 1) all.sort(byKey);
        operations.push({ type: 'put', key, value: encodeObject(meta, all) });
        continue;
      }
      operations.push({ type: 'put', key, value: encodeObject(meta, undefined) });
      this.#putEntries(
        id,
        all.map(([key, value]) => ({ key, value })),
      );
    }
    if (operations.length > 0) {
      operations.push({ type: 'put', key: totalsKey(this.#location), value: encodeTotals(this.totals) });
    }
    for (const operation of this.#outbox?.operations() ?? []) operations.push(operation);
    return operations;
  }

  #changeEntry(id: string, object: PendingObject, { key, value, old }: EntryChange): void {
    if (old !== undefined) this.#content.removeEntry(key, old);
    if (value !== undefined) this.#content.addEntry(key, value);
    const expiresAt = value?.expiresAt;
    const oldExpiresAt = old?.expiresAt;
    if (oldExpiresAt !== undefined && oldExpiresAt !== expiresAt) this.#deleteExpiry(id, key, oldExpiresAt);
    if (expiresAt !== undefined) {
      this.#operations.push({
        type: 'put',
        key: expiryKey(this.#location, expiresAt, id, key),
        value: expiryRecord,
      });
      if (expiresAt < this.#earliestExpiry) this.#earliestExpiry = expiresAt;
    }
    if (object.isComplete) {
      if (value === undefined) object.entries.delete(key);
      else object.entries.set(key, value);
      return;
    }
    object.entries.set(key, value);
    if (value === undefined) this.#operations.push({ type: 'delete', key: entryKey(this.#location, id, key) });
  }

  /** Several records share a buffer: they are written together, and mostly go together. */
  #putEntries(id: string, entries: readonly Put[]): void {
    for (let from = 0; from < entries.length;) {
      let to = from;
      let bytes = 0;
      do bytes += sizeOf(entries[to++]);
      while (to < entries.length && bytes + sizeOf(entries[to]) <= sharedBytes);
      const records = Buffer.allocUnsafe(bytes);
      let at = 0;
      for (; from < to; from++) {
        const { key, value } = entries[from] as Put;
        if (value === undefined) continue;
        const end = writeValue(records, value, at);
        const place = entryKey(this.#location, id, key);
        this.#operations.push({ type: 'put', key: place, value: records.subarray(at, end) });
        at = end;
      }
    }
  }

  #deleteExpiry(id: string, key: string, expiresAt: number): void {
    this.#operations.push({ type: 'delete', key: expiryKey(this.#location, expiresAt, id, key) });
  }

  #object(id: string): PendingObject {
    const known = this.#objects.get(id);
    if (known !== undefined) return known;
    const key = metaKey(this.#location, id);
    const record = this.#storage.get(key);
    const entries = new Map<string, Value | undefined>();
    const object: PendingObject = {
      key,
      meta: record === undefined ? undefined : decodeMeta(record),
      isComplete: record === undefined || hasEntries(record),
      entries,
      isChanged: false,
    };
    if (record !== undefined && object.isComplete) {
      eachEntry(
        record,
        (name, value) => {
          entries.set(name, value);
          return true;
        },
        decodeSummed,
      );
    }
    this.#objects.set(id, object);
    return object;
  }

  #count(before: ObjectMeta | undefined, after: ObjectMeta | undefined): void {
    if (before !== undefined) this.#content.removeMeta(before);
    if (after !== undefined) this.#content.addMeta(after);
    this.#counters = {
      objects: this.#counters.objects + (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1),
      entries: this.#counters.entries + (after?.entryCount ?? 0) - (before?.entryCount ?? 0),
      bytes: this.#counters.bytes + (after?.bytes ?? 0) - (before?.bytes ?? 0),
    };
  }

  #storedEntries(id: string): Map<string, Value> {
    const start = entryKey(this.#location, id, '');
    const entries = new Map<string, Value>();
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      entries.set(keyOfEntryKey(key, id), decodeSummed(value));
    }
    return entries;
  }
}

function byKey([a]: readonly [string, Value], [b]: readonly [string, Value]): number {
  return a < b ? -1 : 1;
}

function sizeOf(put: Put | undefined): number {
  return put?.value === undefined ? 0 : valueSize(put.value);
}
