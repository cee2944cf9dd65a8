import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../testkit/index.ts';
import { type Action, decide, isRole, loadTls, parseBearer, type Role, roles, secretsEqual } from './index.ts';

describe('the policy', () => {
  const allowed = (role: Role, action: Action, kind = 'deployment') =>
    decide({ name: 'ann', grants: [{ role }] }, action, { kind }).allowed;

  it.each([
    ['viewer', 'read', true],
    ['viewer', 'write', false],
    ['viewer', 'delete', false],
    ['operator', 'read', true],
    ['operator', 'write', true],
    ['operator', 'delete', true],
    ['operator', 'administer', false],
    ['admin', 'administer', true],
  ] as const)('lets a %s %s: %s', (role, action, expected) => {
    expect(allowed(role, action)).toBe(expected);
  });

  it('lets only an administrator see what gives access', () => {
    for (const kind of ['token', 'user', 'grant', 'audit']) {
      expect(allowed('operator', 'read', kind)).toBe(false);
      expect(allowed('admin', 'read', kind)).toBe(true);
    }
  });

  it('keeps a grant within its packages and environments', () => {
    const subject = {
      name: 'ann',
      grants: [
        { role: 'viewer', packages: ['chat'] },
        { role: 'operator', packages: ['chat'], environments: ['edge'] },
      ] as const,
    };
    const may = (action: Action, scope: { package?: string; environment?: string }) =>
      decide(subject, action, { kind: 'deployment', ...scope }).allowed;
    expect(may('write', { package: 'chat', environment: 'edge' })).toBe(true);
    expect(may('write', { package: 'chat', environment: 'cloud' })).toBe(false);
    expect(may('write', { package: 'chat' })).toBe(false);
    expect(may('read', { package: 'chat', environment: 'cloud' })).toBe(true);
    expect(may('read', { package: 'hello' })).toBe(false);
    expect(may('read', {})).toBe(false);
  });

  it('says which role is missing, for what', () => {
    expect(decide({ name: 'ann', grants: [] }, 'delete', { kind: 'source', name: 'main' })).toEqual({
      allowed: false,
      needed: 'operator',
      reason: 'ann may not delete source main: it needs the role operator',
    });
  });

  it('knows its roles', () => {
    expect(roles.every(isRole)).toBe(true);
    expect(isRole('root')).toBe(false);
  });
});

describe('tokens', () => {
  it('are equal only when every byte is', () => {
    expect(secretsEqual('abc', Buffer.from('abc'))).toBe(true);
    expect(secretsEqual('abc', 'abd')).toBe(false);
    expect(secretsEqual('abc', 'abcd')).toBe(false);
    expect(secretsEqual('', '')).toBe(true);
  });

  it('are read from a bearer header of RFC 6750 and from nothing else', () => {
    expect(parseBearer('Bearer a.b-c_d~e+f/g==')).toBe('a.b-c_d~e+f/g==');
    expect(parseBearer('bearer  x')).toBe('x');
    for (const bad of [undefined, '', 'Basic x', 'Bearer', 'Bearer a b', 'Bearer a,b', `Bearer ${'x'.repeat(9000)}`]) {
      expect(parseBearer(bad)).toBeUndefined();
    }
  });
});

describe('TLS files', () => {
  it('are read, and the one that cannot be used is named', async () => {
    const dir = await tempDir();
    const certFile = join(dir.path, 'cert.pem');
    const keyFile = join(dir.path, 'key.pem');
    await writeFile(certFile, '-----BEGIN CERTIFICATE-----\n');
    await writeFile(keyFile, '-----BEGIN PRIVATE KEY-----\n');
    expect(Object.keys(await loadTls({ certFile, keyFile }))).toEqual(['cert', 'key']);
    await writeFile(keyFile, 'something else');
    await expect(loadTls({ certFile, keyFile })).rejects.toThrow(`${keyFile} is not a PEM file`);
    const missing = join(dir.path, 'missing.pem');
    const failed = expect(loadTls({ certFile, keyFile: certFile, caFile: missing })).rejects;
    await failed.toMatchObject({ code: 'ConfigInvalid', message: expect.stringContaining(missing) as string });
    await dir.remove();
  });
});
