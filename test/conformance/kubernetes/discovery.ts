/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-argument -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import type { Scene } from './scene.ts';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

export function discoveryBehaviours(scene: Scene): void {
  test('the server says its version and that it is well', async () => {
    const { body } = await scene.api.get('/version');
    expect(body).toMatchObject({ major: '1', minor: '34' });
    expect(body.gitVersion).toMatch(/^v1\.34\./);
    await scene.api.until('/readyz', ({ status }) => status === 200);
    for (const path of ['/healthz', '/livez']) expect((await scene.api.get(path)).body).toBe('ok');
  });

  test('groups and their resources can be listed one by one', async () => {
    expect((await scene.api.get('/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    const groups = (await scene.api.get('/apis')).body;
    expect(groups.kind).toBe('APIGroupList');
    for (const name of [
      'apps',
      'batch',
      'autoscaling',
      'policy',
      'networking.k8s.io',
      'coordination.k8s.io',
      'apiextensions.k8s.io',
      'rbac.authorization.k8s.io',
    ]) {
      expect(groups.groups.map((group: Any) => group.name)).toContain(name);
    }
    expect((await scene.api.get('/apis/apps')).body).toMatchObject({
      kind: 'APIGroup',
      name: 'apps',
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    });
    const apps = (await scene.api.get('/apis/apps/v1')).body;
    expect(apps).toMatchObject({ kind: 'APIResourceList', groupVersion: 'apps/v1' });
    expect(apps.resources.find((item: Any) => item.name === 'deployments')).toMatchObject({
      singularName: 'deployment',
      namespaced: true,
      kind: 'Deployment',
      shortNames: ['deploy'],
      categories: ['all'],
    });
    expect(apps.resources.find((item: Any) => item.name === 'deployments/scale')).toMatchObject({
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
    });
  });

  test('aggregated discovery holds the same in one answer', async () => {
    const core = await scene.api.get('/api', AGGREGATED);
    expect(core.headers['content-type']).toContain('as=APIGroupDiscoveryList');
    const pods = core.body.items[0].versions[0].resources.find((item: Any) => item.resource === 'pods');
    expect(pods).toMatchObject({
      scope: 'Namespaced',
      singularResource: 'pod',
      responseKind: { kind: 'Pod' },
      shortNames: ['po'],
      categories: ['all'],
    });
    expect(pods.subresources.map((item: Any) => item.subresource)).toEqual(expect.arrayContaining(['status', 'log']));
    const groups = await scene.api.get('/apis', AGGREGATED);
    expect(groups.body.items.map((item: Any) => item.metadata.name)).toContain('apps');
  });

  test('OpenAPI v3 describes each group with schemas and what a patch may say', async () => {
    const index = (await scene.api.get('/openapi/v3')).body;
    const entry = index.paths['apis/apps/v1'];
    expect(entry.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=/);
    const document = (await scene.api.get(entry.serverRelativeURL)).body;
    expect(document.openapi).toMatch(/^3\.0/);
    const kind = { group: 'apps', version: 'v1', kind: 'Deployment' };
    const patch = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch;
    expect(patch['x-kubernetes-group-version-kind']).toEqual(kind);
    expect(JSON.stringify(patch)).toContain('fieldValidation');
    expect(Object.keys(patch.requestBody.content)).toContain('application/strategic-merge-patch+json');
    const schema = document.components.schemas['io.k8s.api.apps.v1.Deployment'];
    expect(schema['x-kubernetes-group-version-kind']).toContainEqual(kind);
    const containers = document.components.schemas['io.k8s.api.core.v1.PodSpec'].properties.containers;
    expect(containers).toMatchObject({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
    });
  });

  test('OpenAPI v2 has the same definitions', async () => {
    const { body } = await scene.api.get('/openapi/v2');
    expect(body.swagger).toBe('2.0');
    expect(body.definitions['io.k8s.api.apps.v1.Deployment'].properties.spec).toBeDefined();
  });

  test('whoever asks may do everything, and is told who he is', async () => {
    const review = await scene.api.post('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'delete', resource: 'pods', namespace: 'default' } },
    });
    expect(review.status).toBe(201);
    expect(review.body.status.allowed).toBe(true);
    const self = await scene.api.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    expect(self.body.status.userInfo.groups).toContain('system:masters');
  });
}
