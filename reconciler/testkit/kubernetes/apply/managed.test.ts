import { describe, expect, test } from 'vitest';
import { SchemaCompiler } from '../schema/schema.ts';
import type { Json, KubeObject } from '../types.ts';
import { ApplyConflict, applyConfiguration, conflictCauses, sameObject, trackUpdate, type Actor } from './managed.ts';

const NODE = new SchemaCompiler({}).compile({
  type: 'object',
  properties: {
    metadata: { type: 'object', properties: { labels: { type: 'object', additionalProperties: { type: 'string' } } } },
    spec: {
      type: 'object',
      properties: {
        size: { type: 'integer' },
        color: { type: 'string' },
        selector: { type: 'object', additionalProperties: { type: 'string' }, 'x-kubernetes-map-type': 'atomic' },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        args: { type: 'array', items: { type: 'string' } },
        nested: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } } },
        items: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', properties: { name: { type: 'string' }, value: { type: 'integer' } } },
        },
      },
    },
  },
});

function actor(manager: string, now = '2026-01-01T00:00:00Z'): Actor {
  return { manager, apiVersion: 'example.io/v1', now };
}

function object(spec: Json, managedFields?: KubeObject['metadata']['managedFields']): KubeObject {
  const metadata = managedFields === undefined ? {} : { managedFields };
  return { apiVersion: 'example.io/v1', kind: 'Thing', metadata, spec };
}

/** Applies one configuration after another, each by its manager, and gives the object that came of it. */
function applyAll(...steps: readonly (readonly [manager: string, spec: Json])[]): KubeObject {
  let live: KubeObject | undefined;
  for (const [manager, spec] of steps) {
    const applied = applyConfiguration(live, object(spec), NODE, false, actor(manager), false);
    live = { ...(applied.object as unknown as KubeObject) };
    live.metadata = { ...live.metadata, managedFields: applied.managedFields };
  }
  if (live === undefined) throw new Error('there was no step');
  return live;
}

function fieldsOf(live: KubeObject, manager: string): unknown {
  return live.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1;
}

describe('server-side apply', () => {
  test('a dropped field goes when nobody else owns it', () => {
    expect(applyAll(['a', { size: 1, color: 'red' }], ['a', { size: 1 }]).spec).toEqual({ size: 1 });
  });

  test('a dropped field stays when somebody else owns it', () => {
    const live = applyAll(['a', { size: 1 }], ['b', { size: 1 }], ['a', {}]);
    expect(live.spec).toEqual({ size: 1 });
    expect(fieldsOf(live, 'a')).toEqual({ 'f:spec': {} });
  });

  test('a dropped struct goes with the fields in it that nobody owns, and stays for those that somebody owns', () => {
    const alone = applyAll(['a', { size: 1, nested: { a: 1 } }]);
    (alone.spec as Json)['nested'] = { a: 1, b: 9 };
    const without = applyConfiguration(alone, object({ size: 1 }), NODE, false, actor('a'), false);
    expect((without.object as unknown as KubeObject).spec).toEqual({ size: 1 });
    const shared = applyAll(['a', { size: 1, nested: { a: 1 } }], ['b', { nested: { b: 2 } }], ['a', { size: 1 }]);
    expect(shared.spec).toEqual({ size: 1, nested: { b: 2 } });
  });

  test('an item of a keyed list is removed as a whole, and kept where somebody owns part of it', () => {
    const gone = applyAll(
      ['a', { items: [{ name: 'x', value: 1 }, { name: 'y' }] }],
      ['a', { items: [{ name: 'y' }] }],
    );
    expect(gone.spec).toEqual({ items: [{ name: 'y' }] });
    const kept = applyAll(
      ['a', { items: [{ name: 'x', value: 1 }] }],
      ['b', { items: [{ name: 'x' }] }],
      ['a', { items: [] }],
    );
    expect(kept.spec).toEqual({ items: [{ name: 'x' }] });
  });

  test('a keyed list takes the order of the one who applies, with the items of others where they stood', () => {
    const live = applyAll(
      ['a', { items: [{ name: 'x' }, { name: 'y' }] }],
      ['b', { items: [{ name: 'z' }] }],
      ['a', { items: [{ name: 'y' }, { name: 'x' }] }],
    );
    const names = ((live.spec as Json)['items'] as Json[]).map((item) => item['name']);
    expect(names.filter((name) => name !== 'z')).toEqual(['y', 'x']);
    expect(names).toContain('z');
  });

  test('sets are united, atomic lists and maps are replaced', () => {
    const live = applyAll(
      ['a', { tags: ['t'], args: ['1'], selector: { a: '1' } }],
      ['b', { tags: ['u'] }],
      ['a', { tags: ['t'], args: ['2'], selector: { b: '2' } }],
    );
    expect(live.spec).toEqual({ tags: ['t', 'u'], args: ['2'], selector: { b: '2' } });
    expect(fieldsOf(live, 'a')).toEqual({ 'f:spec': { 'f:args': {}, 'f:selector': {}, 'f:tags': { 'v:"t"': {} } } });
  });

  test('conflicts name every owner and field, sorted by owner', () => {
    const live = applyAll(['b', { size: 1 }], ['a', { color: 'red' }]);
    try {
      applyConfiguration(live, object({ size: 2, color: 'blue' }), NODE, false, actor('c'), false);
      expect.unreachable('the apply must be refused');
    } catch (error) {
      if (!(error instanceof ApplyConflict)) throw error;
      const { message, causes } = conflictCauses(error.conflicts);
      expect(message).toBe(
        'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.color\nconflicts with "b":\n- .spec.size',
      );
      expect(causes.map((cause) => cause['field'])).toEqual(['.spec.color', '.spec.size']);
    }
  });

  test('a forced apply takes the field away from its owner, who disappears when he owns nothing else', () => {
    const live = applyAll(['a', { size: 1 }]);
    const forced = applyConfiguration(live, object({ size: 2 }), NODE, false, actor('b'), true);
    expect(forced.managedFields.map((entry) => entry.manager)).toEqual(['b']);
  });

  test("kubectl's client-side apply gives way to its server-side apply for the fields in its annotation only", () => {
    const live = object({ size: 1 });
    live.metadata.annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(object({ size: 1 })),
    };
    live.metadata.managedFields = trackUpdate(undefined, live, NODE, false, actor('kubectl-client-side-apply'));
    expect(() => applyConfiguration(live, object({ size: 2 }), NODE, false, actor('kubectl'), false)).not.toThrow();
    expect(() => applyConfiguration(live, object({ size: 2 }), NODE, false, actor('other'), false)).toThrow(
      ApplyConflict,
    );
  });
});

describe('updates', () => {
  test('an update owns what it changed, and takes it from others', () => {
    const live = applyAll(['a', { size: 1, color: 'red' }]);
    const next = object({ size: 2, color: 'red' });
    const managed = trackUpdate(live, next, NODE, false, actor('editor'));
    expect(managed.map((entry) => [entry.manager, entry.operation, entry.fieldsV1])).toEqual([
      ['a', 'Apply', { 'f:spec': { 'f:color': {} } }],
      ['editor', 'Update', { 'f:spec': { 'f:size': {} } }],
    ]);
  });

  test('a field that an update removes belongs to nobody', () => {
    const live = applyAll(['a', { size: 1, color: 'red' }]);
    const managed = trackUpdate(live, object({ size: 1 }), NODE, false, actor('editor'));
    expect(managed.map((entry) => entry.fieldsV1)).toEqual([{ 'f:spec': { 'f:size': {} } }]);
  });

  test('only who changes something gets a new time', () => {
    const live = object({ size: 1 });
    live.metadata.managedFields = trackUpdate(undefined, live, NODE, false, actor('one', '2026-01-01T00:00:00Z'));
    const managed = trackUpdate(
      live,
      object({ size: 1, color: 'red' }),
      NODE,
      false,
      actor('two', '2026-02-02T00:00:00Z'),
    );
    expect(managed.map((entry) => [entry.manager, entry.time])).toEqual([
      ['one', '2026-01-01T00:00:00Z'],
      ['two', '2026-02-02T00:00:00Z'],
    ]);
  });

  test('more than ten writers are merged into ancient changes', () => {
    let live: KubeObject | undefined;
    for (let index = 0; index < 14; index += 1) {
      const labels = Object.fromEntries(Array.from({ length: index + 1 }, (_, key) => [`k${String(key)}`, 'v']));
      const next: KubeObject = { ...object({}), metadata: { labels } };
      const now = `2026-01-01T00:00:${String(index).padStart(2, '0')}Z`;
      next.metadata.managedFields = trackUpdate(live, next, NODE, false, actor(`m${String(index)}`, now));
      live = next;
    }
    const managers = live?.metadata.managedFields?.map((entry) => entry.manager) ?? [];
    expect(managers).toHaveLength(10);
    expect(managers[0]).toBe('ancient-changes');
  });

  test('times in managedFields and the resourceVersion do not make objects different', () => {
    const one = applyAll(['a', { size: 1 }]);
    const other = structuredClone(one);
    other.metadata.resourceVersion = '9';
    for (const entry of other.metadata.managedFields ?? []) entry.time = '2027-01-01T00:00:00Z';
    expect(sameObject(one, other)).toBe(true);
    other.spec = { size: 2 };
    expect(sameObject(one, other)).toBe(false);
  });
});
