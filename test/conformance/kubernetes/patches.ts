/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import { configMap, deployment, type Scene } from './scene.ts';

export function patchBehaviours(scene: Scene): void {
  test('a merge patch sets, changes and removes fields', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1', two: '2' }));
    const { status, body } = await scene.api.patch(`${path}/a`, 'merge', { data: { one: null, two: '3', four: '4' } });
    expect(status).toBe(200);
    expect(body.data).toEqual({ two: '3', four: '4' });
  });

  test('a JSON patch runs its operations in order', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1' }));
    const { status, body } = await scene.api.patch(`${path}/a`, 'json', [
      { op: 'test', path: '/data/one', value: '1' },
      { op: 'add', path: '/data/two', value: '2' },
      { op: 'replace', path: '/data/one', value: 'x' },
      { op: 'copy', from: '/data/one', path: '/data/three' },
      { op: 'move', from: '/data/two', path: '/data/four' },
      { op: 'remove', path: '/data/one' },
    ]);
    expect(status).toBe(200);
    expect(body.data).toEqual({ three: 'x', four: '2' });
  });

  test('a JSON patch whose test fails changes nothing', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1' }));
    const answer = await scene.api.patch(`${path}/a`, 'json', [
      { op: 'replace', path: '/data/one', value: '2' },
      { op: 'test', path: '/data/one', value: '9' },
    ]);
    expect(answer.status).toBe(422);
    expect((await scene.api.get(`${path}/a`)).body.data.one).toBe('1');
  });

  test('a patch with an old resourceVersion is a conflict', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.post(path, configMap('a', { one: '1' }))).body;
    await scene.api.patch(`${path}/a`, 'merge', { data: { one: '2' } });
    const answer = await scene.api.patch(`${path}/a`, 'merge', {
      metadata: { resourceVersion: created.metadata.resourceVersion },
      data: { one: '3' },
    });
    expect(answer.status).toBe(409);
  });

  test('a patch of what is not there answers NotFound', async () => {
    const path = await scene.configMaps();
    expect((await scene.api.patch(`${path}/a`, 'merge', {})).status).toBe(404);
  });

  test('a strategic patch merges containers by name and keeps their other fields', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.post(path, deployment('web'));
    const { status, body } = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'main', env: [{ name: 'A', value: '1' }] },
              { name: 'side', image: 'side:1' },
            ],
          },
        },
      },
    });
    expect(status).toBe(200);
    const containers = body.spec.template.spec.containers as { name: string; image: string; env?: unknown }[];
    expect(containers.map((item) => [item.name, item.image]).sort()).toEqual([
      ['main', 'example.io/app:1'],
      ['side', 'side:1'],
    ]);
    expect(containers.find((item) => item.name === 'main')?.env).toEqual([{ name: 'A', value: '1' }]);
  });

  test('the directives of a strategic patch delete, replace and reorder', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.post(path, deployment('web'));
    await scene.api.patch(`${path}/web`, 'strategic-merge', {
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'b', image: 'b' },
              { name: 'c', image: 'c' },
            ],
          },
        },
      },
    });
    const ordered = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      spec: {
        template: {
          spec: {
            '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'main' }],
            containers: [{ name: 'b', image: 'b2' }],
          },
        },
      },
    });
    expect(ordered.body.spec.template.spec.containers.map((item: { name: string }) => item.name)).toEqual([
      'c',
      'b',
      'main',
    ]);
    const deleted = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      spec: { template: { spec: { containers: [{ name: 'b', $patch: 'delete' }] } } },
    });
    expect(deleted.body.spec.template.spec.containers.map((item: { name: string }) => item.name)).toEqual([
      'c',
      'main',
    ]);
    const recreated = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
    });
    expect(recreated.body.spec.strategy).toEqual({ type: 'Recreate' });
    const finalizers = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      metadata: { finalizers: ['example.io/a', 'example.io/b'] },
    });
    expect(finalizers.body.metadata.finalizers).toEqual(['example.io/a', 'example.io/b']);
    const fewer = await scene.api.patch(`${path}/web`, 'strategic-merge', {
      metadata: { '$deleteFromPrimitiveList/finalizers': ['example.io/a', 'example.io/b'] },
    });
    expect(fewer.body.metadata.finalizers ?? []).toEqual([]);
  });

  test('a patch cannot make an object invalid', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.post(path, deployment('web'));
    const answer = await scene.api.patch(`${path}/web`, 'merge', {
      spec: { selector: { matchLabels: { app: 'other' } } },
    });
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain('field is immutable');
  });
}
