import { join } from 'node:path';
import { tempDir } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { commitFailure } from './commit-failure.ts';

/** As LMDB throws it: the reason comes in a second promise. */
function failedCommit(code: number, message: string): Error {
  const commitError = Promise.reject(Object.assign(new Error(message), { code }));
  commitError.catch(() => undefined);
  return Object.assign(new Error('Commit failed (see commitError for details)'), { commitError });
}

describe('a commit that failed', () => {
  it('for want of room says so, with a remedy', async () => {
    const found = await commitFailure(failedCommit(28, 'No space left on device'), '/nowhere/pm.db');
    expect(found).toMatchObject({ code: 'StorageFull', message: 'there is no space left for /nowhere/pm.db' });
    expect(found.remedy).toContain('Make room');
  });

  it('for another reason tells that one', async () => {
    const dir = await tempDir();
    const found = await commitFailure(failedCommit(5, 'Input/output error'), join(dir.path, 'pm.db'));
    expect(found).toMatchObject({ code: 'Internal', message: 'Input/output error' });
    await dir.remove();
  });
});
