import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { loadOdgmConfig } from './config.ts';

describe('configuration', () => {
  it('has defaults for everything', () => {
    const { config } = loadOdgmConfig({}, []);
    expect(config).toMatchObject({
      bindHost: '0.0.0.0',
      httpPort: 8080,
      adminPort: 8081,
      dataDir: '/data',
      members: [],
      collections: [],
      maxSessions: 4,
      reflectionEnabled: false,
      leaseReads: false,
      triggerTimeoutMs: 30_000,
    });
    expect(loadOdgmConfig({ ODGM_LEASE_READS: 'true' }, []).config.leaseReads).toBe(true);
  });

  it('reads what a CRM hands to a node', () => {
    const { config } = loadOdgmConfig(
      {
        ODGM_HTTP_PORT: '8080',
        ODGM_NODE_ID: 'odgm-counter-0',
        ODGM_NODE_ADDR: 'http://0.0.0.0:8080',
        ODGM_CLUSTER_ID: 'cluster',
        ODGM_MEMBERS: 'odgm-0=odgm-0.odgm:8080;zone=a,odgm-1=odgm-1.odgm:8080',
        ODGM_EVENTS_ENABLED: 'true',
        ODGM_MAX_TRIGGER_DEPTH: '10',
        ODGM_TRIGGER_TIMEOUT_MS: '5000',
        ODGM_MAX_SESSIONS: '4',
        ODGM_REFLECTION_ENABLED: 'false',
        ODGM_LOG: 'INFO,openraft=info,zenoh=info,h2=warn',
        ODGM_COLLECTION: JSON.stringify([
          {
            name: 'Counter_data',
            classIds: ['counter.Counter'],
            partitionCount: 4,
            replicaCount: 1,
            shardType: 'basic',
            durability: 'persistent',
            options: { maxValueBytes: 1024, note: 'x' },
            invocations: {
              fnRoutes: { increment: { url: 'http://fn:8080', stateless: false, functionKey: 'counter' } },
            },
          },
        ]),
        // Set by Kubernetes beside a Service that is called odgm.
        ODGM_PORT: 'tcp://10.0.0.7:80',
        ODGM_SERVICE_HOST: '10.0.0.7',
        OPRC_ZENOH_PORT: '0',
      },
      [],
    );
    expect(config.members).toEqual(['odgm-0=odgm-0.odgm:8080;zone=a', 'odgm-1=odgm-1.odgm:8080']);
    expect(config.collections[0]).toEqual({
      name: 'Counter_data',
      classIds: ['counter.Counter'],
      partitionCount: 4,
      replicaCount: 1,
      shardType: 'basic',
      durability: 'persistent',
      options: { maxValueBytes: '1024', note: 'x' },
      invocations: {
        fnRoutes: { increment: { url: 'http://fn:8080', stateless: false, functionKey: 'counter' } },
        disabledFn: [],
      },
    });
  });

  it('lets the environment win over the file', async () => {
    const directory = await tempDir();
    const file = join(directory.path, 'odgm-config.yaml');
    await writeFile(file, 'clusterId: from-file\nmembers: [a:1]\ncollections:\n  - name: c\n    partitionCount: 2\n');
    const { config } = loadOdgmConfig({ ODGM_CONFIG: file, ODGM_CLUSTER_ID: 'from-environment' }, []);
    await directory.remove();
    expect(config.clusterId).toBe('from-environment');
    expect(config.members).toEqual(['a:1']);
    expect(config.collections).toMatchObject([{ name: 'c', partitionCount: 2 }]);
    // What it is without a type, the grid says: it may be there already.
    expect(config.collections[0]?.shardType).toBeUndefined();
  });

  it.each<[string, Record<string, string>, string]>([
    ['a name that does not exist, with the nearest', { ODGM_HTP_PORT: '1' }, 'ODGM_HTTP_PORT'],
    ['a port that is none', { ODGM_HTTP_PORT: '70000' }, 'ODGM_HTTP_PORT'],
    ['collections that are no JSON', { ODGM_COLLECTION: '[{' }, 'ODGM_COLLECTION'],
    ['a kind of shard that does not exist', { ODGM_COLLECTION: '[{"name":"c","shardType":"rafts"}]' }, 'shardType'],
    [
      'a function without an address',
      { ODGM_COLLECTION: '[{"name":"c","invocations":{"fnRoutes":{"f":{"url":"nowhere"}}}}]' },
      'url',
    ],
    ['a token that no header can carry', { ODGM_ADMIN_TOKEN: 'with spaces in the middle' }, 'ODGM_ADMIN_TOKEN'],
  ])('refuses %s', (_, env, hint) => {
    expect(() => loadOdgmConfig(env, [])).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }) as Error);
    expect(() => loadOdgmConfig(env, [])).toThrow(hint);
  });

  it('does not print the admin token', () => {
    const printed = loadOdgmConfig({ ODGM_ADMIN_TOKEN: 'aaaaaaaaaaaaaaaaaaaa' }, []).print();
    expect(printed).not.toContain('aaaaaaaaaaaaaaaaaaaa');
  });
});
