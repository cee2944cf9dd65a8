/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-return -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import { configMap, type Scene } from './scene.ts';

function owned(name: string, owners: readonly Any[], more: Any = {}): Any {
  return configMap(
    name,
    {},
    {
      ownerReferences: owners.map((owner) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: owner.metadata.name,
        uid: owner.metadata.uid,
        ...more,
      })),
    },
  );
}

export function deletionBehaviours(scene: Scene): void {
  test('a deleted object is gone, and the answer says which one it was', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.post(path, configMap('a'))).body;
    const { status, body } = await scene.api.delete(`${path}/a`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: created.metadata.uid },
    });
    expect((await scene.api.get(`${path}/a`)).status).toBe(404);
    expect((await scene.api.delete(`${path}/a`)).status).toBe(404);
  });

  test('preconditions keep a delete from hitting another object', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.post(path, configMap('a'))).body;
    const wrong = await scene.api.delete(`${path}/a`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: '00000000-0000-0000-0000-000000000000' },
    });
    expect(wrong.status).toBe(409);
    const right = await scene.api.delete(`${path}/a`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: created.metadata.uid, resourceVersion: created.metadata.resourceVersion },
    });
    expect(right.status).toBe(200);
  });

  test('a finalizer holds a deleted object until it is taken away', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', {}, { finalizers: ['example.io/hold'] }));
    const deleted = await scene.api.delete(`${path}/a`);
    expect(deleted.status).toBe(200);
    const held = (await scene.api.get(`${path}/a`)).body;
    expect(held.metadata.deletionTimestamp).toMatch(/Z$/);
    const added = await scene.api.patch(`${path}/a`, 'merge', {
      metadata: { finalizers: ['example.io/hold', 'example.io/more'] },
    });
    expect(added.status).toBe(422);
    expect(added.body.message).toContain('no new finalizers can be added if the object is being deleted');
    const changed = await scene.api.patch(`${path}/a`, 'merge', { data: { still: 'writable' } });
    expect(changed.status).toBe(200);
    const released = await scene.api.patch(`${path}/a`, 'merge', { metadata: { finalizers: [] } });
    expect(released.status).toBe(200);
    expect((await scene.api.get(`${path}/a`)).status).toBe(404);
  });

  test('a watcher sees the deletion begin and end', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', {}, { finalizers: ['example.io/hold'] }));
    const watch = await scene.api.watch(path);
    await scene.api.delete(`${path}/a`);
    await watch.until((event) => event.type === 'MODIFIED' && event.object.metadata.deletionTimestamp !== undefined);
    await scene.api.patch(`${path}/a`, 'merge', { metadata: { finalizers: [] } });
    await watch.until((event) => event.type === 'DELETED');
    watch.close();
    expect(watch.events.map((event) => event.type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  });

  test('a running pod waits for its grace period, and goes at once when nobody runs it', async () => {
    const path = `/api/v1/namespaces/${await scene.namespace()}/pods`;
    const pod = (name: string, spec: Any) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { ...spec, containers: [{ name: 'c', image: 'i:1' }] },
    });
    await scene.api.post(path, pod('waiting', {}));
    await scene.api.delete(`${path}/waiting`);
    expect((await scene.api.get(`${path}/waiting`)).status).toBe(404);
    await scene.api.post(path, pod('running', { nodeName: 'n', terminationGracePeriodSeconds: 17 }));
    const deleted = await scene.api.delete(`${path}/running`);
    expect(deleted.body.metadata).toMatchObject({
      deletionGracePeriodSeconds: 17,
      deletionTimestamp: expect.any(String),
    });
    await scene.api.delete(`${path}/running?gracePeriodSeconds=0`);
    expect((await scene.api.get(`${path}/running`)).status).toBe(404);
  });

  test('dependents go after their owner in the background', async () => {
    const path = await scene.configMaps();
    const owner = (await scene.api.post(path, configMap('owner'))).body;
    const middle = (await scene.api.post(path, owned('middle', [owner]))).body;
    await scene.api.post(path, owned('leaf', [middle]));
    await scene.api.delete(`${path}/owner`);
    await scene.api.until(`${path}/leaf`, ({ status }) => status === 404);
    expect((await scene.api.get(`${path}/middle`)).status).toBe(404);
  });

  test('dependents go before their owner in the foreground', async () => {
    const path = await scene.configMaps();
    const owner = (await scene.api.post(path, configMap('owner'))).body;
    const held = owned('held', [owner], { blockOwnerDeletion: true });
    held.metadata.finalizers = ['example.io/hold'];
    await scene.api.post(path, held);
    await scene.api.until(`${path}/held`, ({ status }) => status === 200);
    const deleted = await scene.api.delete(`${path}/owner`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy: 'Foreground',
    });
    expect(deleted.body.metadata.finalizers).toContain('foregroundDeletion');
    await scene.api.until(`${path}/held`, ({ body }) => body.metadata?.deletionTimestamp !== undefined);
    expect((await scene.api.get(`${path}/owner`)).status).toBe(200);
    await scene.api.patch(`${path}/held`, 'merge', { metadata: { finalizers: [] } });
    await scene.api.until(`${path}/owner`, ({ status }) => status === 404);
  });

  test('orphans lose their reference and stay', async () => {
    const path = await scene.configMaps();
    const owner = (await scene.api.post(path, configMap('owner'))).body;
    await scene.api.post(path, owned('child', [owner]));
    await scene.api.delete(`${path}/owner`, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' });
    await scene.api.until(`${path}/owner`, ({ status }) => status === 404);
    const child = await scene.api.get(`${path}/child`);
    expect(child.status).toBe(200);
    expect(child.body.metadata.ownerReferences ?? []).toEqual([]);
  });

  test('one owner of two that goes takes its reference only', async () => {
    const path = await scene.configMaps();
    const first = (await scene.api.post(path, configMap('first'))).body;
    const second = (await scene.api.post(path, configMap('second'))).body;
    await scene.api.post(path, owned('child', [first, second]));
    await scene.api.delete(`${path}/first`);
    const child = await scene.api.until(
      `${path}/child`,
      ({ body }) => (body.metadata?.ownerReferences ?? []).length === 1,
    );
    expect(child.body.metadata.ownerReferences[0].name).toBe('second');
  });

  test('an object whose owner never was is collected', async () => {
    const path = await scene.configMaps();
    const ghost = { metadata: { name: 'ghost', uid: '11111111-2222-3333-4444-555555555555' } };
    await scene.api.post(path, owned('child', [ghost]));
    await scene.api.until(`${path}/child`, ({ status }) => status === 404);
  });

  test('a namespace is emptied before it goes, and takes nothing new meanwhile', async () => {
    const namespace = await scene.namespace();
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await scene.api.post(path, configMap('held', {}, { finalizers: ['example.io/hold'] }));
    await scene.api.post(path, configMap('free'));
    const deleted = await scene.api.delete(`/api/v1/namespaces/${namespace}`);
    expect(deleted.body.status.phase).toBe('Terminating');
    const refused = await scene.api.post(path, configMap('late'));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('because it is being terminated');
    expect(refused.body.details.causes).toContainEqual(expect.objectContaining({ reason: 'NamespaceTerminating' }));
    await scene.api.until(`${path}/free`, ({ status }) => status === 404);
    await scene.api.patch(`${path}/held`, 'merge', { metadata: { finalizers: [] } });
    await scene.api.until(`/api/v1/namespaces/${namespace}`, ({ status }) => status === 404);
  });

  test('the namespaces of the system cannot be deleted', async () => {
    const answer = await scene.api.delete('/api/v1/namespaces/default');
    expect(answer.status).toBe(403);
    expect(answer.body.message).toContain('this namespace may not be deleted');
  });
}
