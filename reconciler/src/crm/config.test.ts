import { describe, expect, it } from 'vitest';
import { loadCrmConfig } from './config.ts';

const load = (env: Record<string, string> = {}, argv: string[] = []) => loadCrmConfig(env, argv).config;

describe('the configuration of the CRM', () => {
  it('is that of profile dev by default: open to this machine only, nothing enforced', () => {
    expect(load()).toMatchObject({
      profile: 'dev',
      bindHost: '127.0.0.1',
      grpcPort: 8088,
      opsPort: 9090,
      log: 'debug',
      features: { nfrEnforcement: false, leaderElection: true },
      security: { mtls: false },
    });
  });

  it('takes profiles as presets that single settings override', () => {
    const env = {
      OPRC_CRM_PROFILE: 'full',
      OPRC_CRM_SECURITY_MTLS: 'false',
      OPRC_CRM_FEATURES_HPA: 'false',
      OPRC_CRM_LIMITS_MAX_REPLICAS: '7',
    };
    expect(load(env)).toMatchObject({
      features: { nfrEnforcement: true, hpa: false },
      enforcement: { cooldownSecs: 60 },
      limits: { maxReplicas: 7 },
      security: { mtls: false },
    });
    expect(load({ OPRC_CRM_PROFILE: 'edge' }).features.nfrEnforcement).toBe(true);
  });

  it('refuses to be open to others without a token or mutual TLS', () => {
    expect(() => load({ OPRC_CRM_BIND_HOST: '0.0.0.0' })).toThrow('anybody who reaches 0.0.0.0 could deploy');
    expect(load({ OPRC_CRM_BIND_HOST: '0.0.0.0', OPRC_CRM_TOKEN: 'sixteen-characters' }).bindHost).toBe('0.0.0.0');
  });

  it('asks for the files of mutual TLS where it is on', () => {
    expect(() => load({ OPRC_CRM_PROFILE: 'full' })).toThrow('mutual TLS is on');
  });

  it('takes the platform’s kubeconfig where it has none of its own, and of a list the first', () => {
    expect(load({ KUBECONFIG: '/a:/b' }).kubeconfig).toBe('/a');
    expect(load({ KUBECONFIG: '/a', OPRC_CRM_KUBECONFIG: '/c' }).kubeconfig).toBe('/c');
    expect(load().kubeconfig).toBeUndefined();
  });

  it('refuses a variable that does not exist, and never prints the token', () => {
    expect(() => load({ OPRC_CRM_PROFIL: 'dev' })).toThrow('OPRC_CRM_PROFIL');
    expect(loadCrmConfig({ OPRC_CRM_TOKEN: 'sixteen-characters' }, []).print()).not.toContain('sixteen');
  });
});
