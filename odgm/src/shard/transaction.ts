import { prefixEnd, type StorageReader, type WriteOperation } from '../storage/index.ts';
import type { ObjectMeta, ShardCounters, Value } from './model.ts';
import {
  countersKey,
  decodeMeta,
  decodeValue,
  encodeCounters,
  encodeMeta,
  encodeValue,
  endOfTime,
  entryKey,
  expiryKey,
  expiryRecord,
  keyOfEntryKey,
  metaKey,
  type ShardLocation,
} from './records.ts';

/** What happens to one entry of an object. */
export interface EntryChange {
  readonly key: string;
  /** `undefined`: it goes. */
  readonly value: Value | undefined;
  /** Of the value that was there. */
  readonly oldExpiresAt: number | undefined;
}

/** What is there, without its bytes. */
export interface EntryExtent {
  /** Length of the value. */
  readonly bytes: number;
  readonly expiresAt: number | undefined;
}

interface PendingEntry {
  value: Value | undefined;
  readonly storedExpiresAt: number | undefined;
}

interface PendingObject {
  meta: ObjectMeta | undefined;
  /** True when nothing of the stored entries is left but what `entries` names. */
  isReplaced: boolean;
  /** Changed entries. */
  readonly entries: Map<string, PendingEntry>;
}

/**
 * A group of mutations that will be committed together: each sees the ones before it, storage sees all or none.
 * Holds no lock and starts no I/O; a transaction that is dropped leaves nothing behind.
 */
export class ShardTransaction {
  readonly #storage: StorageReader;
  readonly #location: ShardLocation;
  readonly #objects = new Map<string, PendingObject>();
  #counters: ShardCounters;
  #earliestExpiry = endOfTime;

  constructor(storage: StorageReader, location: ShardLocation, counters: ShardCounters) {
    this.#storage = storage;
    this.#location = location;
    this.#counters = counters;
  }

  get counters(): ShardCounters {
    return this.#counters;
  }

  /** The earliest time at which an entry that was written here expires; {@link endOfTime} when none does. */
  get earliestExpiry(): number {
    return this.#earliestExpiry;
  }

  meta(id: string): ObjectMeta | undefined {
    const pending = this.#objects.get(id);
    return pending === undefined ? this.#storedMeta(id) : pending.meta;
  }

  value(id: string, key: string): Value | undefined {
    const pending = this.#objects.get(id);
    if (pending !== undefined) {
      const entry = pending.entries.get(key);
      if (entry !== undefined) return entry.value;
      if (pending.isReplaced) return undefined;
    }
    const stored = this.#storage.get(entryKey(this.#location, id, key));
    return stored === undefined ? undefined : decodeValue(stored);
  }

  /** All entries of the object. */
  extents(id: string): Map<string, EntryExtent> {
    const pending = this.#objects.get(id);
    const extents = pending?.isReplaced === true ? new Map<string, EntryExtent>() : this.#storedExtents(id);
    if (pending === undefined) return extents;
    for (const [key, { value }] of pending.entries) {
      if (value === undefined) extents.delete(key);
      else extents.set(key, { bytes: value.data.length, expiresAt: value.expiresAt });
    }
    return extents;
  }

  /** Writes the meta of an object and those of its entries that changed. */
  change(id: string, meta: ObjectMeta, changes: readonly EntryChange[]): void {
    const pending = this.#pending(id);
    this.#count(pending.meta, meta);
    pending.meta = meta;
    for (const { key, value, oldExpiresAt } of changes) {
      const entry = pending.entries.get(key);
      if (entry !== undefined) entry.value = value;
      else pending.entries.set(key, { value, storedExpiresAt: pending.isReplaced ? undefined : oldExpiresAt });
      if (value?.expiresAt !== undefined && value.expiresAt < this.#earliestExpiry) {
        this.#earliestExpiry = value.expiresAt;
      }
    }
  }

  delete(id: string): void {
    const pending = this.#pending(id);
    this.#count(pending.meta, undefined);
    pending.meta = undefined;
    pending.isReplaced = true;
    pending.entries.clear();
  }

  /** What to write so that storage holds the outcome, the counters included. */
  operations(): WriteOperation[] {
    const operations: WriteOperation[] = [];
    for (const [id, pending] of this.#objects) {
      const key = metaKey(this.#location, id);
      operations.push(
        pending.meta === undefined ? { type: 'delete', key } : { type: 'put', key, value: encodeMeta(pending.meta) },
      );
      if (pending.isReplaced) this.#deleteStored(id, pending, operations);
      for (const [name, entry] of pending.entries) this.#writeEntry(id, name, entry, pending.isReplaced, operations);
    }
    if (operations.length > 0) {
      operations.push({ type: 'put', key: countersKey(this.#location), value: encodeCounters(this.#counters) });
    }
    return operations;
  }

  #deleteStored(id: string, { entries }: PendingObject, operations: WriteOperation[]): void {
    for (const [name, { expiresAt }] of this.#storedExtents(id)) {
      if (expiresAt !== undefined) this.#deleteExpiry(id, name, expiresAt, operations);
      if (entries.get(name)?.value === undefined) {
        operations.push({ type: 'delete', key: entryKey(this.#location, id, name) });
      }
    }
  }

  #writeEntry(
    id: string,
    name: string,
    { value, storedExpiresAt }: PendingEntry,
    isReplaced: boolean,
    operations: WriteOperation[],
  ): void {
    if (storedExpiresAt !== undefined && storedExpiresAt !== value?.expiresAt) {
      this.#deleteExpiry(id, name, storedExpiresAt, operations);
    }
    if (value === undefined) {
      if (!isReplaced) operations.push({ type: 'delete', key: entryKey(this.#location, id, name) });
      return;
    }
    operations.push({ type: 'put', key: entryKey(this.#location, id, name), value: encodeValue(value) });
    if (value.expiresAt !== undefined) {
      const key = expiryKey(this.#location, value.expiresAt, id, name);
      operations.push({ type: 'put', key, value: expiryRecord });
    }
  }

  #deleteExpiry(id: string, name: string, expiresAt: number, operations: WriteOperation[]): void {
    operations.push({ type: 'delete', key: expiryKey(this.#location, expiresAt, id, name) });
  }

  #pending(id: string): PendingObject {
    let pending = this.#objects.get(id);
    if (pending === undefined) {
      pending = { meta: this.#storedMeta(id), isReplaced: false, entries: new Map() };
      this.#objects.set(id, pending);
    }
    return pending;
  }

  #count(before: ObjectMeta | undefined, after: ObjectMeta | undefined): void {
    this.#counters = {
      objects: this.#counters.objects + (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1),
      entries: this.#counters.entries + (after?.entryCount ?? 0) - (before?.entryCount ?? 0),
      bytes: this.#counters.bytes + (after?.bytes ?? 0) - (before?.bytes ?? 0),
    };
  }

  #storedMeta(id: string): ObjectMeta | undefined {
    const stored = this.#storage.get(metaKey(this.#location, id));
    return stored === undefined ? undefined : decodeMeta(stored);
  }

  #storedExtents(id: string): Map<string, EntryExtent> {
    const start = entryKey(this.#location, id, '');
    const extents = new Map<string, EntryExtent>();
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      const { data, expiresAt } = decodeValue(value);
      extents.set(keyOfEntryKey(key, id), { bytes: data.length, expiresAt });
    }
    return extents;
  }
}
