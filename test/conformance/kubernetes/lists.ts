/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-argument -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import { configMap, type Scene } from './scene.ts';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

function names(list: Any): string[] {
  return list.items.map((item: Any) => item.metadata.name as string);
}

export function listBehaviours(scene: Scene): void {
  async function three(): Promise<string> {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('c', {}, { labels: { app: 'x', tier: 'back' } }));
    await scene.api.post(path, configMap('a', {}, { labels: { app: 'x', tier: 'front' } }));
    await scene.api.post(path, configMap('b', {}, { labels: { app: 'y' } }));
    return path;
  }

  test('a list is sorted by name and says its kind and resourceVersion', async () => {
    const path = await three();
    const { body } = await scene.api.get(path);
    expect(body).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(names(body)).toEqual(['a', 'b', 'c']);
  });

  test.each([
    ['app=x', ['a', 'c']],
    ['app==x,tier!=back', ['a']],
    ['app!=x', ['b']],
    ['tier', ['a', 'c']],
    ['!tier', ['b']],
    ['app in (x,y),tier notin (front)', ['b', 'c']],
  ])('the label selector %s selects %j', async (selector, expected) => {
    const path = await three();
    const { body } = await scene.api.get(`${path}?labelSelector=${encodeURIComponent(selector)}`);
    expect(names(body)).toEqual(expected);
  });

  test('a label selector that cannot be read is refused', async () => {
    const path = await scene.configMaps();
    expect((await scene.api.get(`${path}?labelSelector=${encodeURIComponent('a in b')}`)).status).toBe(400);
  });

  test('field selectors work on names and namespaces, and unknown fields are refused', async () => {
    const path = await three();
    expect(names((await scene.api.get(`${path}?fieldSelector=metadata.name%3Db`)).body)).toEqual(['b']);
    expect(names((await scene.api.get(`${path}?fieldSelector=metadata.name!%3Db`)).body)).toEqual(['a', 'c']);
    const unknown = await scene.api.get(`${path}?fieldSelector=data.k%3Dv`);
    expect(unknown.status).toBe(400);
    expect(unknown.body.message).toContain('"data.k" is not a known field selector');
  });

  test('field selectors find events by their object and pods by phase and node', async () => {
    const namespace = await scene.namespace();
    const base = `/api/v1/namespaces/${namespace}`;
    const event = (name: string, about: string) => ({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name },
      involvedObject: { kind: 'Pod', name: about, namespace },
      reason: 'Started',
      type: 'Normal',
      message: 'm',
    });
    await scene.api.post(`${base}/events`, event('e1', 'p1'));
    await scene.api.post(`${base}/events`, event('e2', 'p2'));
    expect(
      names(
        (await scene.api.get(`${base}/events?fieldSelector=involvedObject.name%3Dp2,involvedObject.kind%3DPod`)).body,
      ),
    ).toEqual(['e2']);
    const pod = (name: string, node: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { nodeName: node, containers: [{ name: 'c', image: 'i' }] },
    });
    await scene.api.post(`${base}/pods`, pod('p1', 'n1'));
    await scene.api.post(`${base}/pods`, pod('p2', 'n2'));
    await scene.api.patch(`${base}/pods/p2/status`, 'merge', { status: { phase: 'Running' } });
    expect(names((await scene.api.get(`${base}/pods?fieldSelector=spec.nodeName%3Dn1`)).body)).toEqual(['p1']);
    expect(names((await scene.api.get(`${base}/pods?fieldSelector=status.phase%3DRunning`)).body)).toEqual(['p2']);
  });

  test('pages follow one another by their continue token until all were given', async () => {
    const path = await three();
    const first = (await scene.api.get(`${path}?limit=2`)).body;
    expect(names(first)).toEqual(['a', 'b']);
    expect(first.metadata.remainingItemCount).toBe(1);
    const second = (await scene.api.get(`${path}?limit=2&continue=${encodeURIComponent(first.metadata.continue)}`))
      .body;
    expect(names(second)).toEqual(['c']);
    expect(second.metadata.continue ?? '').toBe('');
  });

  test('a list of all namespaces holds what is in each', async () => {
    const first = await three();
    const { body } = await scene.api.get('/api/v1/configmaps?labelSelector=tier%3Dfront');
    expect(body.items.map((item: Any) => item.metadata.namespace)).toContain(first.split('/')[4]);
  });

  test('a list that wants a version of the future is told to wait', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.get(`${path}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`);
    expect(answer.status).toBe(504);
    expect(answer.body.details.causes[0].reason).toBe('ResourceVersionTooLarge');
  });

  test('deletecollection removes what the selector selects', async () => {
    const path = await three();
    expect((await scene.api.delete(`${path}?labelSelector=app%3Dx`)).status).toBe(200);
    expect(names((await scene.api.get(path)).body)).toEqual(['b']);
  });

  test('a table has the columns and cells of its kind, and the metadata of its objects', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1', two: '2' }));
    const { body } = await scene.api.get(path, TABLE);
    expect(body).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    expect(body.columnDefinitions.map((column: Any) => [column.name, column.priority])).toEqual([
      ['Name', 0],
      ['Data', 0],
      ['Age', 0],
    ]);
    expect(body.rows[0].cells.slice(0, 2)).toEqual(['a', 2]);
    expect(body.rows[0].object).toMatchObject({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { name: 'a' },
    });
    expect(body.rows[0].object.data).toBeUndefined();
    const bare = await scene.api.get(`${path}/a?includeObject=None`, TABLE);
    expect(bare.body.rows[0].object ?? null).toBeNull();
  });

  test('partial metadata leaves out everything else', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1' }));
    const one = await scene.api.get(`${path}/a`, 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io');
    expect(one.body).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'a' } });
    expect(one.body.data).toBeUndefined();
    const list = await scene.api.get(path, 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io');
    expect(list.body.kind).toBe('PartialObjectMetadataList');
    expect(list.body.items[0].metadata.name).toBe('a');
  });

  test('an answer can be had as YAML, and nothing in a form that nobody knows', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { one: '1' }));
    const yaml = await scene.api.get(`${path}/a`, 'application/yaml');
    expect(yaml.body).toMatch(/^kind: ConfigMap$/m);
    expect((await scene.api.get(path, 'text/html')).status).toBe(406);
  });
}
