import type { Clock } from '@oaas/commons/time';
import { prefixEnd, type StorageReader } from '../storage/index.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { ExpiringEntry, ObjectMeta, StoredObject, Value } from './model.ts';
import {
  decodeMeta,
  decodeValue,
  endOfTime,
  entryKey,
  expiringEntryOf,
  expiryRange,
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
  /** Present when there is more. */
  readonly next?: Uint8Array | undefined;
}

export const defaultPageSize = 100;
export const maxPageSize = 1024;
/** A page ends early when its values have this many bytes together: a list never fills the memory. */
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
    const stored = this.#storage.get(metaKey(this.#location, id));
    return stored === undefined ? undefined : decodeMeta(stored);
  }

  object(id: string): StoredObject | undefined {
    const meta = this.meta(id);
    if (meta === undefined) return undefined;
    const entries = new Map<string, Value>();
    if (meta.entryCount === 0) return { meta, entries };
    const start = entryKey(this.#location, id, '');
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      const decoded = decodeValue(value);
      if (this.#isLive(decoded)) entries.set(keyOfEntryKey(key, id), decoded);
    }
    return { meta, entries };
  }

  value(id: string, key: string): Value | undefined {
    const stored = this.#storage.get(entryKey(this.#location, id, key));
    if (stored === undefined) return undefined;
    const value = decodeValue(stored);
    return this.#isLive(value) ? value : undefined;
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
    const prefix = entryKey(this.#location, id, query.prefix);
    const start =
      query.cursor === undefined ? prefix : after(entryKey(this.#location, id, decodeCursor(scope, query.cursor)));
    return this.#page(start, prefixEnd(prefix), query, (key, value) => {
      const decoded = decodeValue(value);
      const name = keyOfEntryKey(key, id);
      return { name, item: this.#isLive(decoded) ? { key: name, value: decoded } : undefined, scope };
    });
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
    const limit = Math.min(query.limit === 0 ? defaultPageSize : query.limit, maxPageSize);
    const items: T[] = [];
    let bytes = 0;
    let last: { name: string; scope: string } | undefined;
    for (const { key, value } of this.#storage.range({ start, end })) {
      if (last !== undefined && (items.length === limit || bytes + value.length > maxPageBytes)) {
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

/** The smallest key above `key`. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
