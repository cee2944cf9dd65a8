import { describe, expect, it } from 'vitest';
import type { Source } from '@oaas/commons/client/pm';
import { emptyForm, sourceFormSchema, toSourceInput } from './form.ts';

const filled = { ...emptyForm(null), name: 'gitops', url: 'http://127.0.0.1:7410/gitops.git' };

describe('the form of a source', () => {
  it('with a name and an address is enough: the rest has defaults', () => {
    expect(toSourceInput(sourceFormSchema(null).parse(filled))).toEqual({
      name: 'gitops',
      url: 'http://127.0.0.1:7410/gitops.git',
      ref: { branch: 'main' },
      path: '',
      interval_seconds: 15,
      timeout_seconds: 30,
      prune: 'keep',
      auth: { type: 'none' },
    });
  });

  it('sends exactly one of branch, tag and commit', () => {
    const input = toSourceInput(sourceFormSchema(null).parse({ ...filled, refKind: 'tag', refName: 'v1' }));
    expect(input.ref).toEqual({ tag: 'v1' });
  });

  it.each([
    ['a name in capitals', { name: 'GitOps' }, 'name'],
    ['an address without a scheme', { url: 'git.example/x' }, 'url'],
    ['an ssh address', { url: 'ssh://git.example/x' }, 'url'],
    ['no branch', { refName: ' ' }, 'refName'],
    ['basic authentication without a password', { auth: 'basic' as const, username: 'me' }, 'secret'],
    ['a short webhook secret', { webhookSecret: 'short' }, 'webhookSecret'],
    ['an interval of nothing', { interval: '0' }, 'interval'],
  ])('%s is refused at its field', (_what, change, field) => {
    const result = sourceFormSchema(null).safeParse({ ...filled, ...change });
    expect(result.success).toBe(false);
    expect(result.error?.issues.map((issue) => issue.path[0])).toContain(field);
  });
});

describe('the secret of a source that is there', () => {
  const source = {
    name: 'gitops',
    url: 'https://git.example/gitops.git',
    ref: { branch: 'main' },
    path: '',
    interval_seconds: 15,
    timeout_seconds: 30,
    prune: 'keep',
    auth_type: 'basic',
    auth_username: 'ada',
  } as Source;
  const form = emptyForm(source);

  it('need not be entered again, and is not sent', () => {
    expect(form.username).toBe('ada');
    expect(toSourceInput(sourceFormSchema(source).parse({ ...form, path: 'prod' })).auth).toEqual({
      type: 'basic',
      username: 'ada',
    });
  });

  it.each([
    ['another server', { url: 'https://other.example/gitops.git' }],
    ['another user', { username: 'bob' }],
    ['another kind of credentials', { auth: 'bearer' as const }],
  ])('must be entered for %s', (_what, change) => {
    const result = sourceFormSchema(source).safeParse({ ...form, ...change });
    expect(result.error?.issues.map((issue) => issue.path[0])).toEqual(['secret']);
  });
});
