import { statSync } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import { oaasError } from '@oaas/commons/errors';
import type { Base, BaseChange, BaseReader } from './base.ts';
import { bufferOf } from './bytes.ts';
import { checkDataFile, corrupt } from './lmdb-file.ts';
import type { RangeQuery, StoredEntry } from './port.ts';

/**
 * A base in an LMDB environment. A commit counts when it is on disk (LMDB's default: data, then the meta page, each
 * flushed), so that no loss of power can leave a damaged file. Reads are memory-mapped and synchronous.
 * Rejects with `StorageCorrupt` when the file cannot be used.
 */
export async function openLmdbBase(directory: string): Promise<Base> {
  await mkdir(directory, { recursive: true });
  await checkDataFile(directory);
  try {
    const environment = openEnvironment(directory);
    return baseOf(environment, environment.openDB('data', bytes), environment.openDB('meta', bytes), directory);
  } catch (error) {
    throw corrupt(directory, error instanceof Error ? error.message : String(error), error);
  }
}

type Bytes = Database<Buffer, Buffer>;
const bytes = { keyEncoding: 'binary', encoding: 'binary' } as const;

function openEnvironment(directory: string): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    // A commit counts when it is on disk: no overlap of the flush with later commits.
    overlappingSync: false,
    // Every write here is an explicit batch. The implicit ones would reject a promise that nobody can see.
    eventTurnBatching: false,
    maxDbs: 2,
    // One for each snapshot that is open.
    maxReaders: 1024,
  });
}

function baseOf(environment: RootDatabase<Buffer, Buffer>, data: Bytes, meta: Bytes, directory: string): Base {
  return {
    ...readerOf(data, undefined, directory),
    meta: () => entriesOf(meta, { start: Buffer.alloc(1), end: Buffer.alloc(64, 0xff) }, {}, directory),
    snapshot: () => {
      const transaction = data.useReadTransaction();
      return {
        ...readerOf(data, transaction, directory),
        close: () => {
          transaction.done();
        },
      };
    },
    commit: async (changes, metaChanges) => {
      try {
        await environment.batch(() => {
          putAll(data, changes);
          putAll(meta, metaChanges);
        });
      } catch (error) {
        throw await commitFailure(error, directory);
      }
    },
    usage: () => {
      const { entryCount } = data.getStats() as { entryCount: number };
      return { entries: entryCount, bytes: statSync(join(directory, 'data.mdb')).size };
    },
    close: () => environment.close(),
  };
}

function putAll(database: Bytes, changes: readonly BaseChange[]): void {
  for (const { key, value } of changes) {
    // Within a batch these promises say nothing: the batch reports how it went.
    if (value === undefined) void database.remove(key);
    else void database.put(key, value);
  }
}

function readerOf(database: Bytes, transaction: Transaction | undefined, directory: string): BaseReader {
  const within = transaction === undefined ? {} : { transaction };
  return {
    get: (key) => {
      const found = rawValue(database, bufferOf(key), within, directory);
      if (found === undefined) return undefined;
      // The engine's buffer is larger than what it says of itself, and the next read reuses it.
      const copy = Buffer.allocUnsafe(found.length);
      copy.set(new Uint8Array(found.buffer, found.byteOffset, found.length));
      return copy;
    },
    range: (query) => entriesOf(database, query, within, directory),
  };
}

interface Within {
  readonly transaction?: Transaction;
}

function rawValue(database: Bytes, key: Buffer, within: Within, directory: string): Buffer | undefined {
  try {
    // The types of the package leave the second argument out.
    return (database as { getBinaryFast(key: Buffer, options: Within): Buffer | undefined }).getBinaryFast(key, within);
  } catch (error) {
    throw readFailure(error, database, directory);
  }
}

function* entriesOf(database: Bytes, query: RangeQuery, within: Within, directory: string): Generator<StoredEntry> {
  const { start, end, limit } = query;
  if (limit !== undefined && limit <= 0) return;
  try {
    const options = { start: bufferOf(start), end: bufferOf(end), ...within };
    yield* database.getRange(limit === undefined ? options : { ...options, limit });
  } catch (error) {
    throw readFailure(error, database, directory);
  }
}

function readFailure(error: unknown, database: Bytes, directory: string): Error {
  // The transaction of a failed read fails for good, and later reads would share it.
  database.resetReadTxn();
  return corrupt(join(directory, 'data.mdb'), error instanceof Error ? error.message : String(error), error);
}

/** Error numbers: EFBIG, ENOSPC, EDQUOT (Linux, macOS). */
const noSpaceNumbers = new Set([27, 28, 122, 69]);
const ioErrorNumber = 5;
const leastFreeBytes = 1024 * 1024;

/** A failed commit comes with its reason in a second promise, and a half-written page on a full disk as EIO. */
async function commitFailure(error: unknown, directory: string): Promise<Error> {
  const reason = await reasonOf(error);
  const number = (reason as { code?: unknown }).code;
  const isFull =
    (typeof number === 'number' && noSpaceNumbers.has(number)) ||
    (number === ioErrorNumber && (await freeBytes(directory)) < leastFreeBytes);
  if (isFull) {
    return oaasError('StorageFull', `there is no space left in ${directory}`, {
      remedy: 'Free or add disk space, or delete objects.',
      details: { directory },
      cause: reason,
    });
  }
  return corrupt(directory, `a commit failed: ${reason instanceof Error ? reason.message : String(reason)}`, reason);
}

async function reasonOf(error: unknown): Promise<unknown> {
  const nested = (error as { commitError?: Promise<unknown> }).commitError;
  if (nested === undefined) return error;
  try {
    await nested;
    return error;
  } catch (reason) {
    return reason;
  }
}

async function freeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
