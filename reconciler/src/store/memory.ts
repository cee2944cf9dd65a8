import type { JsonValue } from '@oaas/commons/errors';
import {
  changesOf,
  checkKey,
  closed,
  decodeCursor,
  encodeCursor,
  type Entry,
  pageLimit,
  prepare,
  revisionConflict,
  type Store,
  Watchers,
} from './types.ts';

interface Stored {
  readonly json: string;
  readonly revision: number;
}

/** A store that forgets everything when the process ends. */
export function createMemoryStore(): Store {
  const entries = new Map<string, Stored>();
  const watchers = new Watchers();
  let order: readonly string[] | undefined;
  let revision = 0;
  let isClosed = false;
  const guard = () => {
    if (isClosed) throw closed();
  };
  const read = (key: string, stored: Stored): Entry => ({
    key,
    value: JSON.parse(stored.json) as JsonValue,
    revision: stored.revision,
  });

  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- rejects where it throws
    async get(key) {
      guard();
      checkKey(key);
      const stored = entries.get(key);
      return stored === undefined ? undefined : read(key, stored);
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    async list({ prefix, limit, cursor }) {
      guard();
      const max = pageLimit(limit);
      const after = cursor === undefined ? undefined : decodeCursor(cursor, prefix);
      order ??= [...entries.keys()].sort(byBytes);
      const keys = order.filter((key) => key.startsWith(prefix) && (after === undefined || byBytes(key, after) > 0));
      const page = keys.slice(0, max).flatMap((key) => {
        const stored = entries.get(key);
        return stored === undefined ? [] : [read(key, stored)];
      });
      const last = page.at(-1);
      return {
        entries: page,
        nextCursor: keys.length > max && last !== undefined ? encodeCursor(last.key) : undefined,
      };
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    async transaction(changes) {
      guard();
      const { puts, deletes } = prepare(changes);
      for (const [key, expected] of Object.entries(changes.compare ?? {})) {
        const actual = entries.get(key)?.revision ?? 0;
        if (actual !== expected) throw revisionConflict(key, expected, actual);
      }
      revision += 1;
      if (deletes.length > 0 || puts.some(([key]) => !entries.has(key))) order = undefined;
      for (const [key, json] of puts) entries.set(key, { json, revision });
      for (const key of deletes) entries.delete(key);
      watchers.notify(changesOf(changes, revision));
      return revision;
    },
    watch: (prefix, listener) => watchers.add(prefix, listener),
    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      isClosed = true;
    },
  };
}

/** The order of UTF-8 bytes, which is that of code points, not of UTF-16 units. */
function byBytes(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
