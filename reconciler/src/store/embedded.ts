import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { type JsonValue, oaasError, toOaasError } from '@oaas/commons/errors';
import { commitFailure } from './commit-failure.ts';
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

export interface EmbeddedStoreOptions {
  /** The file. Beside it stand `<file>-lock` and `<file>.pid`. Its folder is created. */
  readonly file: string;
}

interface Stored {
  readonly v: JsonValue;
  readonly r: number;
}

const revisionKey = 'revision';

/**
 * A store in one file (LMDB), as large as what its user keeps. What a transaction wrote is on disk when it resolves;
 * without room for it, it rejects with `StorageFull` and nothing has changed. One process at a time: a second one is refused
 * with `StorageLocked`.
 */
export function openEmbeddedStore(options: EmbeddedStoreOptions): Store {
  const release = lock(options.file);
  let root: RootDatabase<JsonValue, string>;
  let data: Database<Stored, string>;
  let meta: Database<number, string>;
  try {
    root = open({
      path: options.file,
      noSubdir: true,
      maxDbs: 4,
      // Writes are explicit transactions. The implicit ones would reject a promise that nobody can see.
      eventTurnBatching: false,
      encoding: 'json',
      // Mapped at the start; LMDB maps more when the file grows.
      mapSize: 2 ** 30,
    });
    // It may hold the secrets of sources.
    chmodSync(options.file, 0o600);
    data = root.openDB<Stored, string>({ name: 'data', encoding: 'json' });
    meta = root.openDB<number, string>({ name: 'meta', encoding: 'json' });
  } catch (cause) {
    release();
    throw oaasError('StorageCorrupt', `the store ${options.file} cannot be opened`, {
      remedy: 'Restore the file from a backup, or move it away to begin anew; desired state comes back from Git.',
      cause,
    });
  }
  const watchers = new Watchers();
  let isClosed = false;
  const guard = () => {
    if (isClosed) throw closed();
  };

  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- rejects where it throws
    async get(key) {
      guard();
      checkKey(key);
      const stored = data.get(key);
      return stored === undefined ? undefined : { key, value: stored.v, revision: stored.r };
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    async list({ prefix, limit, cursor }) {
      guard();
      const max = pageLimit(limit);
      const after = cursor === undefined ? undefined : decodeCursor(cursor, prefix);
      const entries: Entry[] = [];
      let isMore = false;
      for (const { key, value } of data.getRange({ start: after ?? prefix })) {
        if (key === after) continue;
        if (!key.startsWith(prefix)) break;
        if (entries.length === max) {
          isMore = true;
          break;
        }
        entries.push({ key, value: value.v, revision: value.r });
      }
      const last = entries.at(-1);
      return { entries, nextCursor: isMore && last !== undefined ? encodeCursor(last.key) : undefined };
    },
    async transaction(changes) {
      guard();
      const { puts, deletes } = prepare(changes);
      // Parsed again, so that nobody can change a value between now and the commit.
      const values = puts.map(([key, json]) => [key, JSON.parse(json) as JsonValue] as const);
      let revision: number;
      try {
        revision = await root.transaction(() => {
          for (const [key, expected] of Object.entries(changes.compare ?? {})) {
            const actual = data.get(key)?.r ?? 0;
            if (actual !== expected) throw revisionConflict(key, expected, actual);
          }
          const next = (meta.get(revisionKey) ?? 0) + 1;
          void meta.put(revisionKey, next);
          for (const [key, v] of values) void data.put(key, { v, r: next });
          for (const key of deletes) void data.remove(key);
          return next;
        });
        await root.flushed;
      } catch (thrown) {
        throw await commitFailure(thrown, options.file);
      }
      watchers.notify(changesOf(changes, revision));
      return revision;
    },
    watch: (prefix, listener) => watchers.add(prefix, listener),
    async close() {
      if (isClosed) return;
      isClosed = true;
      await root.close();
      release();
    },
  };
}

/** LMDB lets several processes in; PM keeps state in memory and must be alone. */
function lock(file: string): () => void {
  const path = `${file}.pid`;
  const holder = `${String(process.pid)} ${String(performance.timeOrigin)}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    for (let attempt = 0; ; attempt += 1) {
      try {
        const handle = openSync(path, 'wx', 0o600);
        writeSync(handle, holder);
        closeSync(handle);
        return () => {
          rmSync(path, { force: true });
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 0) throw error;
        const found = readFileSync(path, 'utf8');
        const pid = Number(found.split(' ')[0]);
        // In a container every program has the same pid: ours in the file of another start is that of a dead one.
        if (pid === process.pid ? found === holder : isAlive(pid)) {
          throw oaasError('StorageLocked', `the store ${file} is in use by process ${String(pid)}`, {
            remedy: 'Stop that process, or use another data directory.',
            details: { pid },
          });
        }
        rmSync(path, { force: true });
      }
    }
  } catch (thrown) {
    const known = toOaasError(thrown);
    if (known.code !== 'Internal') throw known;
    throw oaasError('StorageCorrupt', `the folder of the store ${file} cannot be used: ${known.message}`, {
      remedy: 'Check the path and its permissions.',
      cause: thrown,
    });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
