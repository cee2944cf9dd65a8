import { mkdir, statfs } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { open, type RootDatabase, type Transaction } from 'lmdb';
import { oaasError } from '@oaas/commons/errors';
import { lockDirectory } from './directory-lock.ts';
import { checkDataFile, corrupt } from './lmdb-file.ts';
import type { RangeQuery, Storage, StorageReader, StoredEntry } from './port.ts';

export interface LmdbOptions {
  /** Made if it is not there. */
  readonly directory: string;
  /** Names this process to another one that wants the same directory. */
  readonly owner: string;
}

/**
 * Durable storage: one LMDB environment in a directory of its own. `write` resolves after the commit's fdatasync; all
 * writes that arrive while a commit is under way share the next one. Reads are memory-mapped and synchronous.
 * Rejects with `StorageLocked` when another process has the directory, `StorageCorrupt` when it cannot be read.
 */
export async function openLmdbStorage(options: LmdbOptions): Promise<Storage> {
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw corrupt(directory, 'the directory cannot be made', error);
  });
  const lock = await lockDirectory(directory, options.owner);
  try {
    await checkDataFile(directory);
    const database = openDatabase(directory);
    return storageOf(database, directory, () => lock.release());
  } catch (error) {
    await lock.release();
    throw error;
  }
}

type Bytes = RootDatabase<Uint8Array, Buffer>;

function openDatabase(directory: string): Bytes {
  try {
    return open<Uint8Array, Buffer>({
      path: directory,
      noSubdir: false,
      keyEncoding: 'binary',
      encoding: 'binary',
      // A commit counts when it is on disk: no overlap of the flush with later commits.
      overlappingSync: false,
      // Every write here is an explicit batch. The implicit ones would reject a promise that nobody can see.
      eventTurnBatching: false,
      maxDbs: 1,
    });
  } catch (error) {
    throw corrupt(directory, error instanceof Error ? error.message : String(error), error);
  }
}

function storageOf(database: Bytes, directory: string, release: () => Promise<void>): Storage {
  const reader = readerOf(database, undefined);
  let closing: Promise<void> | undefined;
  const assertOpen = (): void => {
    if (closing !== undefined) throw oaasError('Unavailable', 'the storage is closed');
  };

  return {
    isDurable: true,
    get: (key) => {
      assertOpen();
      return reader.get(key);
    },
    range: (query) => {
      assertOpen();
      return reader.range(query);
    },
    snapshot: () => {
      assertOpen();
      const transaction = database.useReadTransaction();
      return {
        ...readerOf(database, transaction),
        close: () => {
          transaction.done();
        },
      };
    },
    usage: () => {
      assertOpen();
      const { entryCount } = database.getStats() as { entryCount: number };
      return { entries: entryCount, bytes: statSync(join(directory, 'data.mdb')).size };
    },
    write: async (operations) => {
      assertOpen();
      if (operations.length === 0) return;
      try {
        await database.batch(() => {
          for (const operation of operations) {
            const key = bufferOf(operation.key);
            const written = operation.type === 'put' ? database.put(key, operation.value) : database.remove(key);
            // The batch reports the failure; each operation in it would report it a second time.
            written.catch(() => undefined);
          }
        });
      } catch (error) {
        throw await writeFailure(error, directory);
      }
    },
    close: () => (closing ??= closeAll(database, release)),
  };
}

async function closeAll(database: Bytes, release: () => Promise<void>): Promise<void> {
  await database.close();
  await release();
}

function readerOf(database: Bytes, transaction: Transaction | undefined): StorageReader {
  const within = transaction === undefined ? {} : { transaction };
  return {
    get: (key) => database.get(bufferOf(key), within),
    range: (query) => entriesOf(database, query, within),
  };
}

function* entriesOf(
  database: Bytes,
  query: RangeQuery,
  within: { readonly transaction?: Transaction },
): Generator<StoredEntry> {
  const { start, end, limit } = query;
  if (limit !== undefined && limit <= 0) return;
  yield* database.getRange({
    start: bufferOf(start),
    end: bufferOf(end),
    ...(limit === undefined ? {} : { limit }),
    ...within,
  });
}

/** LMDB's binding takes keys as Buffers only. No copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Error numbers: EFBIG, ENOSPC, EDQUOT (Linux, macOS). */
const noSpaceNumbers = new Set([27, 28, 122, 69]);
const ioErrorNumber = 5;
const leastFreeBytes = 1024 * 1024;

/** The engine reports a failed commit with its reason in a second promise, and a half-written page on a full disk as EIO. */
async function writeFailure(error: unknown, directory: string): Promise<Error> {
  const reason = await reasonOf(error);
  const number = (reason as { code?: unknown }).code;
  const isFull =
    (typeof number === 'number' && noSpaceNumbers.has(number)) ||
    (number === ioErrorNumber && (await freeBytes(directory)) < leastFreeBytes);
  const message = reason instanceof Error ? reason.message : String(reason);
  if (isFull) {
    return oaasError('StorageFull', `there is no space left in ${directory}; nothing of the write was applied`, {
      remedy: 'Free or add disk space, or delete objects.',
      details: { directory },
      cause: reason,
    });
  }
  return corrupt(directory, `a write failed: ${message}`, reason);
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
