/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-argument -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import { configMap, deployment, type Scene } from './scene.ts';

function entry(object: Any, manager: string): Any {
  return object.metadata.managedFields.find((item: Any) => item.manager === manager);
}

function config(data: Record<string, string>): Any {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data };
}

export function applyBehaviours(scene: Scene): void {
  test('applying what is not there creates it, and says who owns which fields', async () => {
    const path = await scene.configMaps();
    const { status, body } = await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    expect(status).toBe(201);
    expect(body.metadata.managedFields).toEqual([
      {
        manager: 'one',
        operation: 'Apply',
        apiVersion: 'v1',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:k': {} } },
      },
    ]);
  });

  test('an apply that changes nothing keeps the resourceVersion', async () => {
    const path = await scene.configMaps();
    const first = await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    const second = await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    expect(second.status).toBe(200);
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  test('an apply needs a field manager, a kind, and no managedFields', async () => {
    const path = await scene.configMaps();
    const nameless = await scene.api.call('PATCH', `${path}/a`, {
      body: config({}),
      contentType: 'application/apply-patch+yaml',
    });
    expect(nameless.status).toBe(422);
    expect(nameless.body.message).toContain('fieldManager: Required value: is required for apply patch');
    const managed = {
      ...config({}),
      metadata: { name: 'a', managedFields: [{ manager: 'x', operation: 'Apply', apiVersion: 'v1' }] },
    };
    expect((await scene.api.apply(`${path}/a`, 'one', managed)).status).toBe(400);
    expect((await scene.api.apply(`${path}/a`, 'one', { metadata: { name: 'a' } })).status).toBe(400);
  });

  test('another value of a field that somebody applied is a conflict that names the field and its owner', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    const { status, body } = await scene.api.apply(`${path}/a`, 'two', config({ k: 'w' }));
    expect(status).toBe(409);
    expect(body).toMatchObject({
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "one": .data.k',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.k' }] },
    });
  });

  test('several conflicts are counted and listed', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ j: 'v', k: 'v' }));
    const { body } = await scene.api.apply(`${path}/a`, 'two', config({ j: 'w', k: 'w' }));
    expect(body.message).toBe('Apply failed with 2 conflicts: conflicts with "one":\n- .data.j\n- .data.k');
    expect(body.details.causes.map((cause: Any) => cause.field)).toEqual(['.data.j', '.data.k']);
  });

  test('a conflict with a writer that does not apply says its version and time', async () => {
    const path = await scene.configMaps();
    await scene.api.call('POST', `${path}?fieldManager=editor`, { body: configMap('a', { k: 'v' }) });
    const { body } = await scene.api.apply(`${path}/a`, 'one', config({ k: 'w' }));
    expect(body.details.causes[0].message).toMatch(/^conflict with "editor" using v1( at \d{4}-.*Z)?$/);
  });

  test('the same value is owned by both, and stays until both let it go', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    const shared = await scene.api.apply(`${path}/a`, 'two', config({ k: 'v' }));
    expect(shared.status).toBe(200);
    const oneLeft = await scene.api.apply(`${path}/a`, 'one', config({}));
    expect(oneLeft.body.data).toEqual({ k: 'v' });
    const none = await scene.api.apply(`${path}/a`, 'two', config({}));
    expect(none.body.data ?? {}).toEqual({});
  });

  test('force takes the field over from its owner', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v', own: '1' }));
    const { status, body } = await scene.api.apply(`${path}/a`, 'two', config({ k: 'w' }), '&force=true');
    expect(status).toBe(200);
    expect(body.data).toEqual({ k: 'w', own: '1' });
    expect(entry(body, 'one').fieldsV1).toEqual({ 'f:data': { 'f:own': {} } });
    expect(entry(body, 'two').fieldsV1).toEqual({ 'f:data': { 'f:k': {} } });
  });

  test('a field that its only owner leaves out is removed, one of others is not', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v', gone: 'x' }));
    await scene.api.patch(`${path}/a`, 'merge', { data: { other: 'o' } });
    const { body } = await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    expect(body.data).toEqual({ k: 'v', other: 'o' });
  });

  test('an update takes the fields that it changes from their appliers', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v', l: 'v' }));
    const { body } = await scene.api.call('PATCH', `${path}/a?fieldManager=editor`, {
      body: { data: { k: 'w' } },
      contentType: 'application/merge-patch+json',
    });
    expect(entry(body, 'one').fieldsV1).toEqual({ 'f:data': { 'f:l': {} } });
    expect(entry(body, 'editor')).toMatchObject({ operation: 'Update', fieldsV1: { 'f:data': { 'f:k': {} } } });
    const conflict = await scene.api.apply(`${path}/a`, 'one', config({ k: 'v', l: 'v' }));
    expect(conflict.status).toBe(409);
  });

  test('a writer without a name is called by its program', async () => {
    const path = await scene.configMaps();
    const { body } = await scene.api.post(path, configMap('a', { k: 'v' }));
    expect(entry(body, 'conformance')).toMatchObject({
      operation: 'Update',
      fieldsV1: { 'f:data': { '.': {}, 'f:k': {} } },
    });
  });

  test('items of a list that merges by key are owned one by one', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    const base = deployment('web');
    await scene.api.apply(`${path}/web`, 'one', base);
    const side = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        template: { spec: { containers: [{ name: 'side', image: 'side:1', env: [{ name: 'A', value: '1' }] }] } },
      },
    };
    const added = await scene.api.apply(`${path}/web`, 'two', side);
    expect(added.status).toBe(200);
    expect(added.body.spec.template.spec.containers.map((item: Any) => item.name)).toEqual(['main', 'side']);
    expect(entry(added.body, 'two').fieldsV1).toEqual({
      'f:spec': {
        'f:template': {
          'f:spec': {
            'f:containers': {
              'k:{"name":"side"}': {
                '.': {},
                'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
                'f:image': {},
                'f:name': {},
              },
            },
          },
        },
      },
    });
    const again = await scene.api.apply(`${path}/web`, 'one', base);
    expect(again.body.spec.template.spec.containers).toHaveLength(2);
    const removed = await scene.api.apply(`${path}/web`, 'two', { ...side, spec: {} });
    expect(removed.body.spec.template.spec.containers.map((item: Any) => item.name)).toEqual(['main']);
    expect(entry(removed.body, 'two').fieldsV1).toEqual({ 'f:spec': {} });
  });

  test('the port of a container is known by number and protocol, whose default counts', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.apply(`${path}/web`, 'one', deployment('web'));
    const named = structuredClone(deployment('web'));
    named.spec.template.spec.containers[0].ports = [{ containerPort: 80, protocol: 'TCP', name: 'http' }];
    const { body } = await scene.api.apply(`${path}/web`, 'one', named);
    expect(body.spec.template.spec.containers[0].ports).toEqual([{ containerPort: 80, name: 'http', protocol: 'TCP' }]);
  });

  test('a defaulted item goes with the item that its owner leaves out', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    const two = deployment('web');
    two.spec.template.spec.containers.push({ name: 'side', image: 'side:1' });
    two.spec.strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2 } };
    await scene.api.apply(`${path}/web`, 'one', two);
    const { body } = await scene.api.apply(`${path}/web`, 'one', deployment('web'));
    expect(body.spec.template.spec.containers.map((item: Any) => item.name)).toEqual(['main']);
    expect(body.spec.strategy.rollingUpdate.maxSurge).toBe('25%');
  });

  test('an atomic field changes as a whole', async () => {
    const path = `/api/v1/namespaces/${await scene.namespace()}/services`;
    const service = (selector: Record<string, string>) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { selector, ports: [{ port: 80 }] },
    });
    await scene.api.apply(`${path}/s`, 'one', service({ a: '1' }));
    const conflict = await scene.api.apply(`${path}/s`, 'two', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { selector: { b: '2' } },
    });
    expect(conflict.body.details.causes[0].field).toBe('.spec.selector');
    const forced = await scene.api.apply(`${path}/s`, 'one', service({ b: '2' }));
    expect(forced.body.spec.selector).toEqual({ b: '2' });
  });

  test('finalizers are a set: each applier owns its own', async () => {
    const path = await scene.configMaps();
    const withFinalizers = (finalizers: string[]) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', finalizers },
    });
    await scene.api.apply(`${path}/a`, 'one', withFinalizers(['example.io/one']));
    const both = await scene.api.apply(`${path}/a`, 'two', withFinalizers(['example.io/two']));
    expect(both.body.metadata.finalizers).toEqual(['example.io/one', 'example.io/two']);
    expect(entry(both.body, 'two').fieldsV1).toEqual({
      'f:metadata': { 'f:finalizers': { 'v:"example.io/two"': {} } },
    });
    const left = await scene.api.apply(`${path}/a`, 'one', withFinalizers([]));
    expect(left.body.metadata.finalizers).toEqual(['example.io/two']);
    await scene.api.apply(`${path}/a`, 'two', withFinalizers([]));
  });

  test('an apply of the status owns the status only, as its own manager', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.apply(`${path}/web`, 'one', deployment('web'));
    const status = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: { replicas: 9 },
      status: {
        replicas: 3,
        conditions: [
          {
            type: 'Available',
            status: 'True',
            reason: 'r',
            message: 'm',
            lastTransitionTime: '2026-01-01T00:00:00Z',
            lastUpdateTime: '2026-01-01T00:00:00Z',
          },
        ],
      },
    };
    const { status: code, body } = await scene.api.apply(`${path}/web/status`, 'controller', status);
    expect(code).toBe(200);
    expect(body.spec.replicas).toBe(2);
    expect(body.status.replicas).toBe(3);
    expect(entry(body, 'controller')).toMatchObject({ operation: 'Apply', subresource: 'status' });
    expect(Object.keys(entry(body, 'controller').fieldsV1)).toEqual(['f:status']);
    expect(Object.keys(entry(body, 'controller').fieldsV1['f:status']['f:conditions'])).toEqual([
      'k:{"type":"Available"}',
    ]);
  });

  test('an apply with the uid of another object is invalid, one with an old resourceVersion a conflict', async () => {
    const path = await scene.configMaps();
    const first = (await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }))).body;
    const other = { ...config({ k: 'w' }), metadata: { name: 'a', uid: '00000000-0000-0000-0000-000000000000' } };
    expect((await scene.api.apply(`${path}/a`, 'one', other)).status).toBe(422);
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'x' }));
    const stale = { ...config({ k: 'w' }), metadata: { name: 'a', resourceVersion: first.metadata.resourceVersion } };
    expect((await scene.api.apply(`${path}/a`, 'one', stale)).status).toBe(409);
  });

  test('an apply as a dry run shows the merge and stores nothing', async () => {
    const path = await scene.configMaps();
    await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }));
    const dry = await scene.api.apply(`${path}/a`, 'one', config({ k: 'w' }), '&dryRun=All');
    expect(dry.body.data.k).toBe('w');
    expect((await scene.api.get(`${path}/a`)).body.data.k).toBe('v');
  });

  test('managedFields of one empty entry forget who owned what, and the next apply finds one owner of all', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.apply(`${path}/a`, 'one', config({ k: 'v' }))).body;
    await scene.api.put(`${path}/a`, { ...created, metadata: { ...created.metadata, managedFields: [{}] } });
    const taken = await scene.api.apply(`${path}/a`, 'two', config({ k: 'w' }));
    expect(taken.status).toBe(409);
    expect(taken.body.details.causes[0].message).toMatch(/^conflict with "before-first-apply" using v1/);
    const own = await scene.api.apply(`${path}/a`, 'two', config({ k: 'v' }));
    expect(own.status).toBe(200);
  });

  test('sixteen appliers at once of one object lose nothing', async () => {
    const path = await scene.configMaps();
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        scene.api.apply(`${path}/a`, `m${String(index)}`, config({ [`k${String(index)}`]: 'v' })),
      ),
    );
    expect(answers.every((answer) => answer.status === 200 || answer.status === 201)).toBe(true);
    const { body } = await scene.api.get(`${path}/a`);
    expect(Object.keys(body.data)).toHaveLength(16);
    expect(body.metadata.managedFields).toHaveLength(16);
  });
}
