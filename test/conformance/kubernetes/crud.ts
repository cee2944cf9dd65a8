/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import { configMap, deployment, type Scene } from './scene.ts';

export function crudBehaviours(scene: Scene): void {
  test('a created object gets a uid, a creation time and a resourceVersion, and can be read back', async () => {
    const path = await scene.configMaps();
    const created = await scene.api.post(path, configMap('a', { k: 'v' }));
    expect(created.status).toBe(201);
    expect(created.body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(created.body.metadata.resourceVersion)).toBeGreaterThan(0);
    const read = await scene.api.get(`${path}/a`);
    expect(read.status).toBe(200);
    expect(read.body).toEqual(created.body);
  });

  test('creating a name that is taken answers AlreadyExists', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a'));
    const again = await scene.api.post(path, configMap('a'));
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      reason: 'AlreadyExists',
      message: 'configmaps "a" already exists',
      details: { name: 'a', kind: 'configmaps' },
      code: 409,
    });
  });

  test('reading what is not there answers NotFound', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.get(`${path}/none`);
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({
      kind: 'Status',
      reason: 'NotFound',
      message: 'configmaps "none" not found',
      details: { name: 'none', kind: 'configmaps' },
    });
  });

  test('creating in a namespace that is not there answers NotFound', async () => {
    const answer = await scene.api.post('/api/v1/namespaces/nowhere/configmaps', configMap('a'));
    expect(answer.status).toBe(404);
    expect(answer.body.message).toBe('namespaces "nowhere" not found');
  });

  test('a body of another namespace than the path is refused', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.post(path, configMap('a', {}, { namespace: 'other' }));
    expect(answer.status).toBe(400);
    expect(answer.body.reason).toBe('BadRequest');
  });

  test('generateName makes different names with the prefix', async () => {
    const path = await scene.configMaps();
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'job-' } };
    const first = await scene.api.post(path, body);
    const second = await scene.api.post(path, body);
    expect(first.body.metadata.name).toMatch(/^job-[a-z0-9]{5}$/);
    expect(second.body.metadata.name).not.toBe(first.body.metadata.name);
    expect(first.body.metadata.generateName).toBe('job-');
  });

  test('an object without a name, or with a bad one, is invalid', async () => {
    const path = await scene.configMaps();
    const nameless = await scene.api.post(path, { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} });
    expect(nameless.status).toBe(422);
    expect(nameless.body.details.causes[0]).toMatchObject({ reason: 'FieldValueRequired', field: 'metadata.name' });
    const bad = await scene.api.post(path, configMap('Bad_Name'));
    expect(bad.status).toBe(422);
    expect(bad.body.reason).toBe('Invalid');
    expect(bad.body.message).toMatch(
      /^ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of/,
    );
  });

  test('an update with an old resourceVersion is refused, one without it is not', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.post(path, configMap('a', { n: '1' }))).body;
    const updated = await scene.api.put(`${path}/a`, { ...created, data: { n: '2' } });
    expect(updated.status).toBe(200);
    expect(updated.body.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion);
    const stale = await scene.api.put(`${path}/a`, { ...created, data: { n: '3' } });
    expect(stale.status).toBe(409);
    expect(stale.body).toMatchObject({
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    });
    const blind = await scene.api.put(`${path}/a`, configMap('a', { n: '4' }));
    expect(blind.status).toBe(200);
    expect(blind.body.metadata.uid).toBe(created.metadata.uid);
  });

  test('an update with the uid of another object is refused', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a'));
    const answer = await scene.api.put(
      `${path}/a`,
      configMap('a', {}, { uid: '00000000-0000-0000-0000-000000000000' }),
    );
    expect(answer.status).toBe(409);
    expect(answer.body.message).toContain(
      'Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000',
    );
  });

  test('an update that changes nothing keeps the resourceVersion', async () => {
    const path = await scene.configMaps();
    const created = (await scene.api.post(path, configMap('a', { n: '1' }))).body;
    const same = await scene.api.put(`${path}/a`, created);
    expect(same.status).toBe(200);
    expect(same.body.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
  });

  test('updating what is not there answers NotFound', async () => {
    const path = await scene.configMaps();
    expect((await scene.api.put(`${path}/a`, configMap('a'))).status).toBe(404);
  });

  test('creation with a resourceVersion is refused', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.post(path, configMap('a', {}, { resourceVersion: '5' }));
    expect(answer.body.message).toBe('resourceVersion should not be set on objects to be created');
  });

  test('a dry run answers the object and stores nothing', async () => {
    const path = await scene.configMaps();
    const dry = await scene.api.post(`${path}?dryRun=All`, configMap('a'));
    expect(dry.status).toBe(201);
    expect(dry.body.metadata.uid).toBeDefined();
    expect((await scene.api.get(`${path}/a`)).status).toBe(404);
    await scene.api.post(path, configMap('a', { n: '1' }));
    const patched = await scene.api.call('PATCH', `${path}/a?dryRun=All`, {
      body: { data: { n: '2' } },
      contentType: 'application/merge-patch+json',
    });
    expect(patched.body.data.n).toBe('2');
    await scene.api.delete(`${path}/a?dryRun=All`);
    expect((await scene.api.get(`${path}/a`)).body.data.n).toBe('1');
  });

  test('strict field validation refuses unknown fields, warning names them, ignoring is silent', async () => {
    const path = await scene.configMaps();
    const body = { ...configMap('a'), nonsense: 1 };
    const strict = await scene.api.post(`${path}?fieldValidation=Strict`, body);
    expect(strict.status).toBe(400);
    expect(strict.body.message).toContain('strict decoding error: unknown field "nonsense"');
    const warned = await scene.api.post(`${path}?fieldValidation=Warn`, body);
    expect(warned.status).toBe(201);
    expect(warned.headers['warning']).toContain('unknown field \\"nonsense\\"');
    expect(warned.body.nonsense).toBeUndefined();
    const silent = await scene.api.post(`${path}?fieldValidation=Ignore`, { ...body, metadata: { name: 'b' } });
    expect(silent.status).toBe(201);
    expect(silent.headers['warning']).toBeUndefined();
  });

  test('a value of the wrong type cannot be decoded', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.post(path, { ...configMap('a'), data: { n: 1 } });
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain('json: cannot unmarshal number into Go struct field');
  });

  test('the generation grows with the spec and with nothing else', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    const created = (await scene.api.post(path, deployment('web'))).body;
    expect(created.metadata.generation).toBe(1);
    const labelled = await scene.api.patch(`${path}/web`, 'merge', { metadata: { labels: { a: 'b' } } });
    expect(labelled.body.metadata.generation).toBe(1);
    const scaled = await scene.api.patch(`${path}/web`, 'merge', { spec: { replicas: 5 } });
    expect(scaled.body.metadata.generation).toBe(2);
    const status = await scene.api.patch(`${path}/web/status`, 'merge', { status: { replicas: 5 } });
    expect(status.body.metadata.generation).toBe(2);
  });

  test('the main resource does not write the status, and the status resource does not write the spec', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    const created = await scene.api.post(path, { ...deployment('web'), status: { replicas: 9 } });
    expect(created.body.status.replicas).toBeUndefined();
    const status = await scene.api.patch(`${path}/web/status`, 'merge', {
      spec: { replicas: 7 },
      status: { replicas: 3 },
    });
    expect(status.body.status.replicas).toBe(3);
    expect(status.body.spec.replicas).toBe(2);
    const main = await scene.api.patch(`${path}/web`, 'merge', { status: { replicas: 8 } });
    expect(main.body.status.replicas).toBe(3);
  });

  test('the scale of a Deployment can be read, written and patched', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    await scene.api.post(path, deployment('web'));
    const scale = (await scene.api.get(`${path}/web/scale`)).body;
    expect(scale).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name: 'web' },
      spec: { replicas: 2 },
      status: { replicas: 0, selector: 'app=web' },
    });
    const written = await scene.api.put(`${path}/web/scale`, { ...scale, spec: { replicas: 4 } });
    expect(written.body.spec.replicas).toBe(4);
    const stale = await scene.api.put(`${path}/web/scale`, { ...scale, spec: { replicas: 6 } });
    expect(stale.status).toBe(409);
    const patched = await scene.api.patch(`${path}/web/scale`, 'merge', { spec: { replicas: 0 } });
    expect(patched.body.spec.replicas ?? 0).toBe(0);
    const live = (await scene.api.get(`${path}/web`)).body;
    expect(live.spec.replicas).toBe(0);
    expect(live.metadata.generation).toBe(3);
  });

  test('a request without a good token is unauthorized', async () => {
    expect((await scene.api.call('GET', '/api/v1/namespaces', { token: 'wrong' })).status).toBe(401);
  });

  test('a path that is not served answers NotFound, a method that is not MethodNotAllowed', async () => {
    expect((await scene.api.get('/apis/none.example.io/v1/things')).status).toBe(404);
    expect((await scene.api.call('PUT', '/api/v1/namespaces')).status).toBe(405);
  });

  test('a body of an unknown patch type is an unsupported media type', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a'));
    const answer = await scene.api.call('PATCH', `${path}/a`, { body: {}, contentType: 'application/json' });
    expect(answer.status).toBe(415);
  });
}
