import { open } from 'lmdb';
import type { Storage, StoredRecord } from './storage.ts';

const REVISION_KEY = '\u0001revision';

/**
 * Storage in one LMDB file under `path`. A write that resolved is in the operating system's hands: it survives
 * `kill -9` of the process. Against loss of power it is as safe as LMDB's overlapping sync (the last commits may go,
 * the file stays consistent).
 */
export function lmdbStorage(path: string): Storage {
  const database = open<Buffer, string>({ path, encoding: 'binary', noSubdir: true, compression: false });
  return {
    load: () => {
      const bytes = database.get(REVISION_KEY);
      return { revision: bytes === undefined ? 0 : Number(bytes.toString('utf8')), records: readAll(database) };
    },
    write: async (revision, writes) => {
      await database.batch(() => {
        for (const write of writes) {
          if (write.bytes === undefined) void database.remove(write.key);
          else void database.put(write.key, write.bytes);
        }
        void database.put(REVISION_KEY, Buffer.from(String(revision)));
      });
    },
    close: () => database.close(),
  };
}

function* readAll(database: ReturnType<typeof open<Buffer, string>>): Generator<StoredRecord> {
  for (const { key, value } of database.getRange()) {
    if (key !== REVISION_KEY) yield { key, bytes: Buffer.from(value) };
  }
}
