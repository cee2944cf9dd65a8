import { oaasError, toOaasError } from '@oaas/commons/errors';
import { SimWorld } from '@oaas/odgm/testkit/sim';
import { describe, expect, it } from 'vitest';
import { brokenBy } from './guarantees.ts';
import { PlayFailure } from './run.ts';

const world = new SimWorld({ seed: 1 });
const failed = (cause: unknown): PlayFailure => new PlayFailure(world, cause);

describe('what a failed run has found', () => {
  it('is the guarantee that its failure names, also as the cause of another one', () => {
    const broken = oaasError('Internal', 'raft guarantee broken: election safety: node 2: it leads a term twice');
    expect(brokenBy(failed(broken))).toBe('election safety');
    expect(brokenBy(failed(new Error('the world ended', { cause: broken })))).toBe('election safety');
    expect(brokenBy(failed(new Error('group 1 of n1 failed: raft: an entry is missing')))).toBe(
      'an assertion of the core',
    );
    expect(brokenBy(failed(new Error('u17 is back')))).toBe('what is deleted stays away');
  });

  it('is nothing when the program broke by a mistake, however that was wrapped', () => {
    const mistake = toOaasError(new TypeError('x is not a function'));
    expect(brokenBy(failed(mistake))).toBeUndefined();
    expect(brokenBy(failed(new Error(`raft: ${mistake.message}`, { cause: mistake })))).toBeUndefined();
  });

  it('is nothing when the run itself broke, or names nothing that was promised', () => {
    expect(brokenBy(new Error('not linearizable: k1'))).toBeUndefined();
    expect(brokenBy(failed(new Error('a node without a disk')))).toBeUndefined();
  });
});
