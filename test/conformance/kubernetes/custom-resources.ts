/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import type { Scene } from './scene.ts';

export function widgetDefinition(group: string, more: Any = {}): Any {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'], categories: ['gadgets'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } },
          additionalPrinterColumns: [
            { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
            { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            { name: 'Color', type: 'string', jsonPath: '.spec.color', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: { openAPIV3Schema: WIDGET_SCHEMA },
        },
      ],
      ...more,
    },
  };
}

const WIDGET_SCHEMA = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
        code: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        nested: { type: 'object', properties: { level: { type: 'integer', default: 3 } } },
        either: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        ports: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, port: { type: 'integer' } },
          },
        },
        extra: { type: 'object', additionalProperties: { type: 'string' } },
        maybe: { type: 'string', nullable: true },
      },
    },
    status: {
      type: 'object',
      properties: {
        size: { type: 'integer' },
        conditions: {
          type: 'array',
          items: { type: 'object', properties: { type: { type: 'string' }, status: { type: 'string' } } },
        },
      },
    },
  },
};

function widget(group: string, name: string, spec: Any): Any {
  return { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name }, spec };
}

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Creates a definition in a group of its own and waits until it is served. */
export async function establish(scene: Scene, more: Any = {}): Promise<{ group: string; path: string }> {
  const group = `${scene.unique('g')}.example.io`;
  const created = await scene.api.post(CRDS, widgetDefinition(group, more));
  expect(created.status).toBe(201);
  await scene.api.until(`${CRDS}/widgets.${group}`, ({ body }) =>
    (body.status?.conditions ?? []).some((item: Any) => item.type === 'Established' && item.status === 'True'),
  );
  const path = `/apis/${group}/v1/namespaces/${await scene.namespace()}/widgets`;
  // Just after it is established a real server may still be making its storage ready.
  await scene.api.until(path, ({ status }) => status === 200);
  return { group, path };
}

export function customResourceBehaviours(scene: Scene): void {
  test('an established definition says so, and its kind is discovered', async () => {
    const { group } = await establish(scene);
    const { body } = await scene.api.get(`${CRDS}/widgets.${group}`);
    expect(body.status.acceptedNames).toMatchObject({ plural: 'widgets', kind: 'Widget', listKind: 'WidgetList' });
    expect(body.status.storedVersions).toEqual(['v1']);
    expect(body.status.conditions.map((item: Any) => [item.type, item.status])).toEqual([
      ['NamesAccepted', 'True'],
      ['Established', 'True'],
    ]);
    const list = (await scene.api.get(`/apis/${group}/v1`)).body;
    expect(list.resources.map((item: Any) => item.name).sort()).toEqual(['widgets', 'widgets/scale', 'widgets/status']);
    expect(list.resources.find((item: Any) => item.name === 'widgets')).toMatchObject({
      kind: 'Widget',
      namespaced: true,
      shortNames: ['wd'],
      categories: ['gadgets'],
      singularName: 'widget',
    });
  });

  test('a definition without a structural schema, or with the wrong name, is invalid', async () => {
    const group = `${scene.unique('g')}.example.io`;
    const wrongName = { ...widgetDefinition(group), metadata: { name: 'things.example.io' } };
    const named = await scene.api.post(CRDS, wrongName);
    expect(named.status).toBe(422);
    expect(named.body.message).toContain('must be spec.names.plural+"."+spec.group');
    const untyped = widgetDefinition(group);
    untyped.spec.versions[0].schema.openAPIV3Schema = {
      type: 'object',
      properties: { spec: { properties: { a: { type: 'string' } } } },
    };
    const structural = await scene.api.post(CRDS, untyped);
    expect(structural.status).toBe(422);
    expect(structural.body.message).toContain('type: Required value: must not be empty for specified object fields');
  });

  test('unknown fields are pruned, defaults are filled in, free parts are kept', async () => {
    const { group, path } = await shared(scene);
    const { status, body } = await scene.api.post(
      path,
      widget(group, 'a', {
        size: 1,
        bogus: true,
        nested: { junk: 1 },
        free: { any: { thing: [1] } },
        extra: { k: 'v' },
        either: '5%',
        maybe: null,
      }),
    );
    expect(status).toBe(201);
    expect(body.spec).toEqual({
      size: 1,
      color: 'red',
      nested: { level: 3 },
      free: { any: { thing: [1] } },
      extra: { k: 'v' },
      either: '5%',
      maybe: null,
    });
    expect(body.metadata.generation).toBe(1);
  });

  test.each([
    ['a missing field', {}, 'FieldValueRequired', 'spec.size', 'Required value'],
    [
      'a value above the maximum',
      { size: 11 },
      'FieldValueInvalid',
      'spec.size',
      'Invalid value: 11: spec.size in body should be less than or equal to 10',
    ],
    [
      'a value below the minimum',
      { size: 0 },
      'FieldValueInvalid',
      'spec.size',
      'Invalid value: 0: spec.size in body should be greater than or equal to 1',
    ],
    [
      'a value outside the enum',
      { size: 1, color: 'green' },
      'FieldValueNotSupported',
      'spec.color',
      'Unsupported value: "green": supported values: "red", "blue"',
    ],
    [
      'text that does not match',
      { size: 1, code: 'AB' },
      'FieldValueInvalid',
      'spec.code',
      'Invalid value: "AB": spec.code in body should match \'^[a-z]+$\'',
    ],
    [
      'text that is too long',
      { size: 1, code: 'abcdef' },
      'FieldValueTooLong',
      'spec.code',
      'Too long: may not be more than 5 bytes',
    ],
    [
      'a wrong type',
      { size: 'big' },
      'FieldValueTypeInvalid',
      'spec.size',
      'Invalid value: "string": spec.size in body must be of type integer: "string"',
    ],
    [
      'a duplicate key of a list',
      { size: 1, ports: [{ name: 'a' }, { name: 'a' }] },
      'FieldValueDuplicate',
      'spec.ports[1]',
      'Duplicate value: {"name":"a"}',
    ],
    [
      'a duplicate item of a set',
      { size: 1, tags: ['a', 'a'] },
      'FieldValueDuplicate',
      'spec.tags[1]',
      'Duplicate value: "a"',
    ],
  ])('%s is refused with its field and reason', async (_what, spec, reason, field, message) => {
    const { group, path } = await shared(scene);
    const { status, body } = await scene.api.post(path, widget(group, scene.unique('w'), spec));
    expect(status).toBe(422);
    expect(body.reason).toBe('Invalid');
    expect(body.details.causes).toContainEqual({ reason, message, field });
  });

  test('strict validation names unknown fields of custom resources', async () => {
    const { group, path } = await shared(scene);
    const { status, body } = await scene.api.post(
      `${path}?fieldValidation=Strict`,
      widget(group, scene.unique('w'), { size: 1, bogus: 1 }),
    );
    expect(status).toBe(400);
    expect(body.message).toContain('strict decoding error: unknown field "spec.bogus"');
  });

  test('the status is written by its own resource only, and does not count as a generation', async () => {
    const { group, path } = await shared(scene);
    const created = await scene.api.post(path, { ...widget(group, 'a', { size: 1 }), status: { size: 7 } });
    expect(created.body.status).toBeUndefined();
    const status = await scene.api.patch(`${path}/a/status`, 'merge', {
      spec: { size: 9 },
      metadata: { labels: { a: 'b' } },
      status: { size: 2 },
    });
    expect(status.body.status).toEqual({ size: 2 });
    expect(status.body.spec.size).toBe(1);
    expect(status.body.metadata.labels).toBeUndefined();
    expect(status.body.metadata.generation).toBe(1);
    const main = await scene.api.patch(`${path}/a`, 'merge', { spec: { size: 3 }, status: { size: 8 } });
    expect(main.body.status).toEqual({ size: 2 });
    expect(main.body.metadata.generation).toBe(2);
  });

  test('the scale of a custom resource follows the paths of its definition', async () => {
    const { group, path } = await shared(scene);
    await scene.api.post(path, widget(group, 'a', { size: 4 }));
    expect((await scene.api.get(`${path}/a/scale`)).body.spec.replicas).toBe(4);
    await scene.api.patch(`${path}/a/scale`, 'merge', { spec: { replicas: 6 } });
    expect((await scene.api.get(`${path}/a`)).body.spec.size).toBe(6);
  });

  test('server-side apply merges lists of custom resources by their keys, and owns fields one by one', async () => {
    const { group, path } = await shared(scene);
    const first = await scene.api.apply(
      `${path}/a`,
      'one',
      widget(group, 'a', { size: 1, ports: [{ name: 'x', port: 1 }], tags: ['t'] }),
    );
    expect(first.status).toBe(201);
    expect(first.body.metadata.managedFields[0].fieldsV1).toEqual({
      'f:spec': {
        'f:ports': { 'k:{"name":"x"}': { '.': {}, 'f:name': {}, 'f:port': {} } },
        'f:size': {},
        'f:tags': { 'v:"t"': {} },
      },
    });
    const second = await scene.api.apply(
      `${path}/a`,
      'two',
      widget(group, 'a', { ports: [{ name: 'y', port: 2 }], tags: ['u'], free: { a: { b: 1 } } }),
    );
    expect(second.body.spec.ports).toEqual([
      { name: 'x', port: 1 },
      { name: 'y', port: 2 },
    ]);
    expect(second.body.spec.tags).toEqual(['t', 'u']);
    const conflict = await scene.api.apply(`${path}/a`, 'two', widget(group, 'a', { ports: [{ name: 'x', port: 3 }] }));
    expect(conflict.body.details.causes[0].field).toBe('.spec.ports[name="x"].port');
    const gone = await scene.api.apply(`${path}/a`, 'one', widget(group, 'a', { size: 1 }));
    expect(gone.body.spec.ports).toEqual([{ name: 'y', port: 2 }]);
    expect(gone.body.spec.tags).toEqual(['u']);
  });

  test('applying a field that the schema does not know is refused', async () => {
    const { group, path } = await shared(scene);
    const name = scene.unique('w');
    const { status, body } = await scene.api.apply(
      `${path}/${name}`,
      'one',
      widget(group, name, { size: 1, bogus: 1 }),
    );
    expect(status).toBe(500);
    expect(body.message).toContain('.spec.bogus: field not declared in schema');
  });

  test('an update owns the fields of a custom resource with its defaults', async () => {
    const { group, path } = await shared(scene);
    const { body } = await scene.api.post(path, widget(group, 'a', { size: 1, nested: {} }));
    expect(body.metadata.managedFields[0].fieldsV1).toEqual({
      'f:spec': { '.': {}, 'f:color': {}, 'f:nested': { '.': {}, 'f:level': {} }, 'f:size': {} },
    });
  });

  test('a table of custom resources has the columns of the definition', async () => {
    const { group, path } = await shared(scene);
    await scene.api.post(path, widget(group, 'a', { size: 4 }));
    await scene.api.patch(`${path}/a/status`, 'merge', { status: { conditions: [{ type: 'Ready', status: 'True' }] } });
    const { body } = await scene.api.get(path, 'application/json;as=Table;v=v1;g=meta.k8s.io');
    expect(body.columnDefinitions.map((column: Any) => [column.name, column.type, column.priority])).toEqual([
      ['Name', 'string', 0],
      ['Size', 'integer', 0],
      ['Ready', 'string', 0],
      ['Color', 'string', 1],
      ['Age', 'date', 0],
    ]);
    expect(body.rows[0].cells.slice(0, 4)).toEqual(['a', 4, 'True', 'red']);
  });

  test('an update of a custom resource must name its resourceVersion', async () => {
    const { group, path } = await shared(scene);
    await scene.api.post(path, widget(group, 'a', { size: 1 }));
    const answer = await scene.api.put(`${path}/a`, widget(group, 'a', { size: 2 }));
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain(
      'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    );
  });

  test('every served version shows the same objects', async () => {
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = [
      { name: 'v1', served: true, storage: true, schema },
      { name: 'v1beta1', served: true, storage: false, schema },
      { name: 'v1alpha1', served: false, storage: false, schema },
    ];
    const { group, path } = await establish(scene, { versions });
    await scene.api.post(path, widget(group, 'a', { size: 1 }));
    const older = path.replace('/v1/', '/v1beta1/');
    const read = await scene.api.until(`${older}/a`, ({ status }) => status === 200);
    expect(read.body.apiVersion).toBe(`${group}/v1beta1`);
    expect((await scene.api.get(path.replace('/v1/', '/v1alpha1/'))).status).toBe(404);
  });

  test('a deleted definition takes its objects along and is served no more', async () => {
    const { group, path } = await establish(scene);
    await scene.api.post(path, widget(group, 'a', { size: 1 }));
    await scene.api.delete(`${CRDS}/widgets.${group}`);
    await scene.api.until(`${CRDS}/widgets.${group}`, ({ status }) => status === 404);
    await scene.api.until(path, ({ status }) => status === 404);
  });
}

const sharedDefinitions = new WeakMap<Scene, Promise<{ group: string; path: string }>>();

/** One definition for all tests that do not change it, and a namespace for each. */
export async function shared(scene: Scene): Promise<{ group: string; path: string }> {
  let found = sharedDefinitions.get(scene);
  if (found === undefined) {
    found = establish(scene);
    sharedDefinitions.set(scene, found);
  }
  const { group } = await found;
  return { group, path: `/apis/${group}/v1/namespaces/${await scene.namespace()}/widgets` };
}
