import { sourceInputSchema } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { gitAuth, settledInput } from './source-input.ts';

const input = (change: object = {}) =>
  sourceInputSchema.parse({ name: 'gitops', url: 'https://git.example/team/gitops.git', ...change });
const basic = (username: string, password?: string) => ({ auth: { type: 'basic', username, password } });
const before = settledInput(input({ ...basic('ada', 'secret'), webhook_secret: 'x'.repeat(16) }), undefined);

describe('secrets that are left out', () => {
  it('stay as they were while server and user do, whatever else changes', () => {
    const after = settledInput(
      input({ url: 'https://git.example/team/other.git', path: 'prod', ...basic('ada') }),
      before,
    );
    expect(after).toMatchObject({ path: 'prod', auth: { password: 'secret' }, webhook_secret: 'x'.repeat(16) });
    expect(gitAuth(after)).toEqual({ type: 'basic', username: 'ada', password: 'secret' });
  });

  it.each([
    ['another server', { url: 'https://evil.example/team/gitops.git', ...basic('ada') }],
    ['the same server without encryption', { url: 'http://git.example/team/gitops.git', ...basic('ada') }],
    ['another user', basic('bob')],
    ['another kind of credentials', { auth: { type: 'bearer' } }],
  ])('do not go to %s', (_what, change) => {
    expect(() => settledInput(input(change), before)).toThrow(/auth\.(password|token) is missing/);
  });

  it('cannot be left out of a new source', () => {
    expect(() => settledInput(input(basic('ada')), undefined)).toThrow('auth.password is missing');
  });

  it('give way to new ones, and to none', () => {
    expect(settledInput(input(basic('ada', 'new')), before).auth).toMatchObject({ password: 'new' });
    expect(settledInput(input(), before).auth).toEqual({ type: 'none' });
  });
});

it('takes one reference, and a commit only in full', () => {
  expect(() => settledInput(input({ ref: { branch: 'a', tag: 'b' } }), undefined)).toThrow('one of');
  expect(() => settledInput(input({ ref: { commit: 'abc' } }), undefined)).toThrow('40 hexadecimal');
});
