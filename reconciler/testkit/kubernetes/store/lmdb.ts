import { open } from 'lmdb';
import { commitFailure } from '../../../src/store/index.ts';
import type { Storage, StoredRecord } from './storage.ts';

const REVISION_KEY = '\u0001revision';

/**
 * Storage in one LMDB file under `path`. A write that resolved is in the operating system's hands: it survives
 * `kill -9` of the process. Against loss of power it is as safe as LMDB's overlapping sync (the last commits may go,
 * the file stays consistent). Writes reject with `StorageFull` when there is no room.
 */
export function lmdbStorage(path: string): Storage {
  const database = open<Buffer, string>({
    ...{ path, encoding: 'binary', noSubdir: true, compression: false },
    // Writes are explicit batches. The implicit ones would reject a promise that nobody can see.
    eventTurnBatching: false,
  });
  return {
    load: () => {
      const bytes = database.get(REVISION_KEY);
      return { revision: bytes === undefined ? 0 : Number(bytes.toString('utf8')), records: readAll(database) };
    },
    write: async (revision, writes) => {
      try {
        await database.batch(() => {
          for (const { key, bytes } of writes) {
            if (bytes === undefined) void database.remove(key);
            else void database.put(key, bytes);
          }
          void database.put(REVISION_KEY, Buffer.from(String(revision)));
        });
      } catch (error) {
        throw await commitFailure(error, path);
      }
    },
    close: () => database.close(),
  };
}

function* readAll(database: ReturnType<typeof open<Buffer, string>>): Generator<StoredRecord> {
  for (const { key, value } of database.getRange()) {
    if (key !== REVISION_KEY) yield { key, bytes: Buffer.from(value) };
  }
}
