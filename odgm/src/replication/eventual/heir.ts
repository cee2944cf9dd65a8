import { isOaasError, oaasError } from '@oaas/commons/errors';

/** What cannot be read, now or later: its disk gives something else than was written, or nothing. */
export function isUnreadable(error: unknown): boolean {
  return isOaasError(error, 'StorageCorrupt') || isOaasError(error, 'DataLoss');
}

/**
 * What a former replica hears of its heir. Rejects as that does, but with `Unavailable` where the heir's storage is damaged:
 * that says nothing of what the former replica has, which is still to be handed over, then or to another one.
 */
export async function answerOfHeir<T>(member: number, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw oaasError('Unavailable', `member ${String(member)} cannot read its replica`, {
      cause: error,
      remedy: 'Repair that replica: what is to be handed over stays here until one can take it.',
      details: { member },
    });
  }
}
