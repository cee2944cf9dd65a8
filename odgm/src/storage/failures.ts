import { oaasError } from '@oaas/commons/errors';

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'StorageFull']);

/** True when an error says that there is no space: waiting or deleting helps. */
export function isFull(error: unknown): boolean {
  return fullCodes.has(String((error as { code?: unknown } | undefined)?.code));
}

export function full(path: string, cause: unknown): Error {
  return oaasError('StorageFull', `there is no space left in ${path}; nothing of the write was applied`, {
    remedy: 'Free or add disk space, or delete objects.',
    details: { path },
    cause,
  });
}

/** After this the engine takes no more writes: what the disk holds is no longer known. */
export function failed(path: string, cause: unknown): Error {
  return oaasError('Unavailable', `the storage in ${path} failed and takes no more writes`, {
    remedy: 'Look at the disk and the system log, then restart the node: it goes on from what is on disk.',
    details: { path, reason: cause instanceof Error ? cause.message : String(cause) },
    cause,
  });
}

/** A file that cannot be used from an offset on. `group`: whose log it is of. */
export function corruptAt(file: string, offset: number, why: string, group?: number): Error {
  return oaasError('StorageCorrupt', `${file} cannot be used at byte ${String(offset)}: ${why}`, {
    remedy: 'Restore the directory from a backup, or move it away and let the node be filled from its replicas.',
    details: group === undefined ? { file, offset } : { file, offset, group },
  });
}
