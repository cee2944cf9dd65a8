import type { Clock } from '@oaas/commons/time';
import { prefixEnd, type StorageReader } from '../storage/index.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { ExpiringEntry, ObjectMeta, StoredObject, Value } from './model.ts';
import {
  after,
  decodeMeta,
  decodeValue,
  eachEntry,
  endOfTime,
  entryKey,
  entryOf,
  expiringEntryOf,
  expiryRange,
  hasEntries,
  idOfMetaKey,
  keyOfEntryKey,
  metaKey,
  type ShardLocation,
} from './records.ts';

export interface ListQuery {
  readonly prefix: string;
  /** 0 means {@link defaultPageSize}; more than {@link maxPageSize} counts as that. */
  readonly limit: number;
  readonly cursor?: Uint8Array | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Present when there may be more, never on a page without items. */
  readonly next?: Uint8Array | undefined;
}

export const defaultPageSize = 100;
export const maxPageSize = 1024;
/**
 * A page that has an item ends early when so many bytes were read for it, also of what has expired: a list never fills the
 * memory.
 */
export const maxPageBytes = 8 * 1024 * 1024;

export interface ListedObject {
  readonly id: string;
  readonly meta: ObjectMeta;
}
export interface ListedValue {
  readonly key: string;
  readonly value: Value;
}

/** Reads of committed state. Each call sees one consistent state, without the entries whose time has come. */
export class ShardReader {
  readonly #storage: StorageReader;
  readonly #location: ShardLocation;
  /** Makes cursors of other shards foreign. */
  readonly #scope: string;
  readonly #clock: Clock;

  constructor(storage: StorageReader, location: ShardLocation, scope: string, clock: Clock) {
    this.#storage = storage;
    this.#location = location;
    this.#scope = scope;
    this.#clock = clock;
  }

  meta(id: string): ObjectMeta | undefined {
    const record = this.#storage.get(metaKey(this.#location, id));
    return record === undefined ? undefined : decodeMeta(record);
  }

  object(id: string): StoredObject | undefined {
    const record = this.#storage.get(metaKey(this.#location, id));
    if (record === undefined) return undefined;
    const meta = decodeMeta(record);
    const entries = new Map<string, Value>();
    this.#each(id, record, meta, (key, value) => {
      entries.set(key, value);
      return true;
    });
    return { meta, entries };
  }

  value(id: string, key: string): Value | undefined {
    return this.entry(id, key)?.value;
  }

  /** An entry with the meta of its object, which exists also where the entry does not. */
  entry(id: string, key: string): { readonly meta: ObjectMeta; readonly value: Value | undefined } | undefined {
    const record = this.#storage.get(metaKey(this.#location, id));
    if (record === undefined) return undefined;
    const value = hasEntries(record) ? entryOf(record, key) : this.#ownEntry(id, key);
    return { meta: decodeMeta(record), value: value !== undefined && this.#isLive(value) ? value : undefined };
  }

  /** Entries whose time has come and that are still stored, the longest overdue first. */
  expired(limit: number): ExpiringEntry[] {
    const range = expiryRange(this.#location, this.#clock.now() + 1);
    return Array.from(this.#storage.range({ ...range, limit }), ({ key }) => expiringEntryOf(key));
  }

  /** The time at which the next stored entry expires; {@link endOfTime} when none does. */
  earliestExpiry(): number {
    for (const { key } of this.#storage.range({ ...expiryRange(this.#location, endOfTime), limit: 1 })) {
      return expiringEntryOf(key).expiresAt;
    }
    return endOfTime;
  }

  listObjects(query: ListQuery): Page<ListedObject> {
    const scope = `${this.#scope}/objects/${query.prefix}`;
    const prefix = metaKey(this.#location, query.prefix);
    const start =
      query.cursor === undefined ? prefix : after(metaKey(this.#location, decodeCursor(scope, query.cursor)));
    return this.#page(start, prefixEnd(prefix), query, (key, value) => ({
      name: idOfMetaKey(key),
      item: { id: idOfMetaKey(key), meta: decodeMeta(value) },
      scope,
    }));
  }

  listValues(id: string, query: ListQuery): Page<ListedValue> {
    const scope = `${this.#scope}/values/${id}/${query.prefix}`;
    const cursor = query.cursor === undefined ? undefined : decodeCursor(scope, query.cursor);
    const record = this.#storage.get(metaKey(this.#location, id));
    if (record === undefined) return { items: [] };
    if (hasEntries(record)) return listWhole(record, query, scope, cursor, (value) => this.#isLive(value));
    const prefix = entryKey(this.#location, id, query.prefix);
    const start = cursor === undefined ? prefix : after(entryKey(this.#location, id, cursor));
    return this.#page(start, prefixEnd(prefix), query, (key, value) => {
      const decoded = decodeValue(value);
      const name = keyOfEntryKey(key, id);
      return { name, item: this.#isLive(decoded) ? { key: name, value: decoded } : undefined, scope };
    });
  }

  #ownEntry(id: string, key: string): Value | undefined {
    const stored = this.#storage.get(entryKey(this.#location, id, key));
    return stored === undefined ? undefined : decodeValue(stored);
  }

  /** Entries that can be seen, in the order of keys. */
  #each(id: string, record: Uint8Array, meta: ObjectMeta, each: (key: string, value: Value) => boolean): void {
    if (meta.entryCount === 0) return;
    if (hasEntries(record)) {
      eachEntry(record, (key, value) => !this.#isLive(value) || each(key, value));
      return;
    }
    const start = entryKey(this.#location, id, '');
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      const decoded = decodeValue(value);
      if (this.#isLive(decoded) && !each(keyOfEntryKey(key, id), decoded)) return;
    }
  }

  #isLive({ expiresAt }: Value): boolean {
    return expiresAt === undefined || expiresAt > this.#clock.now();
  }

  #page<T>(
    start: Uint8Array,
    end: Uint8Array,
    query: ListQuery,
    read: (key: Uint8Array, value: Uint8Array) => { name: string; item: T | undefined; scope: string },
  ): Page<T> {
    const limit = limitOf(query);
    const items: T[] = [];
    let bytes = 0;
    let last: { name: string; scope: string } | undefined;
    for (const { key, value } of this.#storage.range({ start, end })) {
      // Never without an item, as the last item carries the cursor to the client. What is passed over until there is one is
      // bounded by the size of an object.
      const isFull = items.length === limit || (items.length > 0 && bytes + value.length > maxPageBytes);
      if (last !== undefined && isFull) {
        return { items, next: encodeCursor(last.scope, last.name) };
      }
      const { name, item, scope } = read(key, value);
      if (item !== undefined) items.push(item);
      bytes += value.length;
      last = { name, scope };
    }
    return { items };
  }
}

/** A page of the entries of an object that is stored whole: too small for a bound of bytes. */
function listWhole(
  record: Uint8Array,
  query: ListQuery,
  scope: string,
  cursor: string | undefined,
  isLive: (value: Value) => boolean,
): Page<ListedValue> {
  const limit = limitOf(query);
  const items: ListedValue[] = [];
  let next: Uint8Array | undefined;
  eachEntry(record, (key, value) => {
    if (!key.startsWith(query.prefix) || (cursor !== undefined && key <= cursor) || !isLive(value)) return true;
    const last = items.at(-1);
    if (items.length === limit && last !== undefined) {
      next = encodeCursor(scope, last.key);
      return false;
    }
    items.push({ key, value });
    return true;
  });
  return next === undefined ? { items } : { items, next };
}

function limitOf({ limit }: ListQuery): number {
  return Math.min(limit === 0 ? defaultPageSize : limit, maxPageSize);
}
