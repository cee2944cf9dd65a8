import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';

/** Error numbers: EFBIG, ENOSPC, EDQUOT (Linux, macOS). */
const noSpaceNumbers = new Set([27, 28, 122, 69]);
const ioErrorNumber = 5;
const leastFreeBytes = 1024 * 1024;

/**
 * Why LMDB did not commit to `file`: `StorageFull` when there is no room, else the error as it is. LMDB gives the reason as
 * a second promise, which nobody else waits for, and tells a page that is half written on a full disk as EIO.
 */
export async function commitFailure(error: unknown, file: string): Promise<OaasError> {
  const reason = await reasonOf(error);
  const { code } = reason as { code?: unknown };
  const isFull =
    (typeof code === 'number' && noSpaceNumbers.has(code)) ||
    (code === ioErrorNumber && (await freeBytes(file)) < leastFreeBytes) ||
    (reason instanceof Error && /MDB_MAP_FULL|no space left/i.test(reason.message));
  if (!isFull) return toOaasError(reason);
  return oaasError('StorageFull', `there is no space left for ${file}`, {
    remedy: 'Make room on the disk.',
    cause: reason,
  });
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

async function freeBytes(file: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dirname(file));
    return bavail * bsize;
  } catch {
    return 0;
  }
}
