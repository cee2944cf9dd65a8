import { eventually } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestCluster, type TestCluster } from '../testkit/cluster.ts';
import { sandboxKinds } from './caches.ts';
import type { Deployment, Pod, StatefulSet } from './objects.ts';

const fieldManager = 'test';
const scripts = {
  'test/web': `
import { createServer } from 'node:http';
createServer((request, response) => response.end(process.env.ANSWER)).listen(Number(process.env.PORT), '127.0.0.1');`,
};

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster(scripts);
});
afterAll(() => cluster.stop());

const template = (app: string, answer: string) => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: 'test/web:1',
        env: [{ name: 'ANSWER', value: answer }],
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
      },
    ],
  },
});

function service(name: string, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  };
}

function codeOf(error: unknown): string {
  return (error as { cause?: { code?: string } }).cause?.code ?? String(error);
}

async function podsOf(app: string): Promise<Pod[]> {
  const { items } = await cluster.api.list(sandboxKinds.pod, { namespace: 'default', labelSelector: `app=${app}` });
  return items as readonly unknown[] as Pod[];
}

describe('a Deployment behind a Service', () => {
  it('answers on its node port, and goes on answering while it is rolled over to another template', async () => {
    const port = await cluster.freePort();
    const ports = [{ name: 'http', port: 80, targetPort: 'http', nodePort: port }];
    await cluster.api.create(sandboxKinds.service, service('web', { type: 'NodePort', ports }), { fieldManager });
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: template('web', 'old') },
    };
    const ask = async () =>
      (await fetch(`http://127.0.0.1:${String(port)}/`, { headers: { connection: 'close' } })).text();
    await expect(ask()).rejects.toThrow();
    await cluster.api.create(sandboxKinds.deployment, deployment, { fieldManager });
    await eventually(async () => expect(await ask()).toBe('old'));

    const key = { namespace: 'default', name: 'web' };
    await eventually(async () => {
      const { status } = (await cluster.api.get(sandboxKinds.deployment, key)) as Deployment;
      expect(status).toMatchObject({ availableReplicas: 2, updatedReplicas: 2 });
    });
    await cluster.api.patch(
      sandboxKinds.deployment,
      key,
      'merge',
      { spec: { template: template('web', 'new') } },
      { fieldManager },
    );
    const answers: string[] = [];
    await eventually(async () => {
      // A pod that ends may cut a call short, but somebody always takes the connection.
      answers.push(await ask().catch((error: unknown) => codeOf(error)));
      const { status, metadata } = (await cluster.api.get(sandboxKinds.deployment, key)) as Deployment;
      expect(status).toMatchObject({
        observedGeneration: metadata.generation,
        availableReplicas: 2,
        updatedReplicas: 2,
        replicas: 2,
      });
    });
    expect(answers).not.toContain('ECONNREFUSED');
    expect(await ask()).toBe('new');

    await cluster.api.patch(sandboxKinds.deployment, key, 'merge', { spec: { replicas: 0 } }, { fieldManager });
    await eventually(async () => expect(await podsOf('web')).toEqual([]));
    await eventually(async () => expect(await ask().catch(() => 'refused')).toBe('refused'));
  });

  it('gets a new pod in the place of one that was deleted', async () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'again', namespace: 'default' },
      spec: { replicas: 1, selector: { matchLabels: { app: 'again' } }, template: template('again', 'x') },
    };
    await cluster.api.create(sandboxKinds.deployment, deployment, { fieldManager });
    const first = await eventually(async () => (await podsOf('again'))[0] ?? false);
    await cluster.api.delete(sandboxKinds.pod, { namespace: 'default', name: first.metadata.name });
    await eventually(async () => {
      const names = (await podsOf('again')).map((pod) => pod.metadata.name);
      expect(names).toHaveLength(1);
      expect(names).not.toContain(first.metadata.name);
    });
    await cluster.api.delete(sandboxKinds.deployment, { namespace: 'default', name: 'again' });
    await eventually(async () => expect(await podsOf('again')).toEqual([]));
  });
});

describe('a StatefulSet', () => {
  it('has pods with ordinals, keeps the claims of those it loses, and says when it is ready', async () => {
    const key = { namespace: 'default', name: 'grid' };
    const set = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: key,
      spec: {
        replicas: 2,
        serviceName: 'grid',
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { app: 'grid' } },
        template: template('grid', 'x'),
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    };
    await cluster.api.create(sandboxKinds.statefulSet, set, { fieldManager });
    await eventually(async () => {
      const { status } = (await cluster.api.get(sandboxKinds.statefulSet, key)) as StatefulSet;
      expect(status).toMatchObject({ readyReplicas: 2, updatedReplicas: 2 });
    });
    await cluster.api.patch(sandboxKinds.statefulSet, key, 'merge', { spec: { replicas: 1 } }, { fieldManager });
    await eventually(async () => {
      expect((await podsOf('grid')).map((pod) => pod.metadata.name)).toEqual(['grid-0']);
    });
    const claims = await cluster.api.list(sandboxKinds.volumeClaim, { namespace: 'default' });
    expect(claims.items.map((claim) => [claim.metadata.name, (claim['status'] as { phase: string }).phase])).toEqual([
      ['data-grid-0', 'Bound'],
      ['data-grid-1', 'Bound'],
    ]);
  });
});
