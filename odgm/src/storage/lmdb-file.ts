import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { oaasError } from '@oaas/commons/errors';

/** Layout of the two meta pages of LMDB's data file (lmdb 3.5, liblmdb/mdb.c: MDB_page_header and MDB_meta). */
const magicOffset = 24;
const magic = 0xbeefc0de;
const pageSizeOffset = 48;
const lastPageOffset = 144;
const metaLength = 152;

/**
 * Looks at LMDB's data file before the engine maps it, because the engine ends the whole process (SIGSEGV, SIGBUS) on
 * a file that is not its own or that was cut off. Rejects with `StorageCorrupt`; a file that is not there yet is fine.
 */
export async function checkDataFile(directory: string): Promise<void> {
  const path = join(directory, 'data.mdb');
  const file = await open(path, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw corrupt(path, 'it cannot be opened', error);
  });
  if (file === undefined) return;
  try {
    const { size } = await file.stat();
    if (size === 0) return;
    const head = Buffer.alloc(metaLength);
    const { bytesRead } = await file.read(head, 0, metaLength, 0);
    if (bytesRead < metaLength) throw corrupt(path, 'it is cut off within its first page');
    if (head.readUInt32LE(magicOffset) !== magic) throw corrupt(path, 'it is no data file of this engine');
    const pageSize = head.readUInt32LE(pageSizeOffset);
    if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) {
      throw corrupt(path, 'its first page is damaged');
    }
    const second = Buffer.alloc(metaLength);
    const read = await file.read(second, 0, metaLength, pageSize);
    if (read.bytesRead < metaLength || second.readUInt32LE(magicOffset) !== magic) {
      throw corrupt(path, 'its second page is damaged or missing');
    }
    // The newer of the two metas may name a last page that was freed before it was ever written; one that both name is there.
    const lastPage = Math.min(
      Number(head.readBigUInt64LE(lastPageOffset)),
      Number(second.readBigUInt64LE(lastPageOffset)),
    );
    const expected = (lastPage + 1) * pageSize;
    if (size < expected) throw corrupt(path, `it is cut off: ${String(size)} of ${String(expected)} bytes are there`);
  } finally {
    await file.close();
  }
}

export function corrupt(path: string, why: string, cause?: unknown): Error {
  return oaasError('StorageCorrupt', `the storage file ${path} cannot be used: ${why}`, {
    remedy: 'Restore the directory from a backup or a replica; to begin with an empty grid, move the directory away.',
    details: { path },
    cause,
  });
}
