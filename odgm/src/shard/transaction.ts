import { prefixEnd, type StorageReader, type WriteOperation } from '../storage/index.ts';
import type { ObjectMeta, ShardCounters, Value } from './model.ts';
import {
  countersKey,
  decodeMeta,
  decodeValue,
  encodeCounters,
  encodeMeta,
  encodeValue,
  entryKey,
  keyOfEntryKey,
  metaKey,
  type ShardLocation,
} from './records.ts';

interface PendingObject {
  meta: ObjectMeta | undefined;
  /** True when nothing of the stored entries is left but what `entries` names. */
  isReplaced: boolean;
  /** Changed entries; `undefined` for one that goes. */
  readonly entries: Map<string, Value | undefined>;
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

  constructor(storage: StorageReader, location: ShardLocation, counters: ShardCounters) {
    this.#storage = storage;
    this.#location = location;
    this.#counters = counters;
  }

  get counters(): ShardCounters {
    return this.#counters;
  }

  meta(id: string): ObjectMeta | undefined {
    const pending = this.#objects.get(id);
    return pending === undefined ? this.#storedMeta(id) : pending.meta;
  }

  value(id: string, key: string): Value | undefined {
    const pending = this.#objects.get(id);
    if (pending?.entries.has(key) === true) return pending.entries.get(key);
    if (pending?.isReplaced === true) return undefined;
    const stored = this.#storage.get(entryKey(this.#location, id, key));
    return stored === undefined ? undefined : decodeValue(stored);
  }

  /** All entries of the object: key -> bytes of its value. */
  entrySizes(id: string): Map<string, number> {
    const pending = this.#objects.get(id);
    const sizes = pending?.isReplaced === true ? new Map<string, number>() : this.#storedSizes(id);
    for (const [key, value] of pending?.entries ?? []) {
      if (value === undefined) sizes.delete(key);
      else sizes.set(key, value.data.length);
    }
    return sizes;
  }

  /** Writes the meta of an object and those of its entries that changed. */
  change(id: string, meta: ObjectMeta, entries: Iterable<readonly [string, Value | undefined]>): void {
    const pending = this.#pending(id);
    this.#count(pending.meta, meta);
    pending.meta = meta;
    for (const [key, value] of entries) pending.entries.set(key, value);
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
      if (pending.isReplaced) {
        for (const old of this.#storedSizes(id).keys()) {
          if (pending.entries.get(old) === undefined) {
            operations.push({ type: 'delete', key: entryKey(this.#location, id, old) });
          }
        }
      }
      for (const [name, value] of pending.entries) {
        const at = entryKey(this.#location, id, name);
        if (value !== undefined) operations.push({ type: 'put', key: at, value: encodeValue(value) });
        else if (!pending.isReplaced) operations.push({ type: 'delete', key: at });
      }
    }
    if (operations.length > 0) {
      operations.push({ type: 'put', key: countersKey(this.#location), value: encodeCounters(this.#counters) });
    }
    return operations;
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

  #storedSizes(id: string): Map<string, number> {
    const start = entryKey(this.#location, id, '');
    const sizes = new Map<string, number>();
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      sizes.set(keyOfEntryKey(key, id), value.length - 1);
    }
    return sizes;
  }
}
