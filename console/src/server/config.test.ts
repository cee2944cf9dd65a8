import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

const env = {
  OAAS_PM_URL: 'http://127.0.0.1:7400/',
  OAAS_PM_TOKEN: 'token',
  OAAS_CONSOLE_PASSWORD: 'correct horse',
  OAAS_CONSOLE_SECRET: 'a'.repeat(64),
};

describe('the configuration', () => {
  it('takes a trailing slash off the address and makes 32 bytes of any secret', () => {
    const config = parseConfig(env);
    expect(config.pmUrl).toBe('http://127.0.0.1:7400');
    expect(config.cookieKey).toHaveLength(32);
  });

  it.each(Object.keys(env))('a missing %s is refused by its name', (name) => {
    expect(() => parseConfig({ ...env, [name]: undefined })).toThrow(name);
  });

  it('a secret that is too short is refused without being repeated', () => {
    const refused = () => parseConfig({ ...env, OAAS_CONSOLE_SECRET: 'hunter2' });
    expect(refused).toThrow('OAAS_CONSOLE_SECRET');
    expect(refused).not.toThrow('hunter2');
  });

  it('an address that is not http is refused', () => {
    expect(() => parseConfig({ ...env, OAAS_PM_URL: 'file:///etc/passwd' })).toThrow('OAAS_PM_URL');
  });
});
