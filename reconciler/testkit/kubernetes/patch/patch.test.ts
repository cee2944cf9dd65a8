import { describe, expect, test } from 'vitest';
import { builtinResources } from '../kinds/builtin.ts';
import { applyJsonPatch, PatchError } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicPatch } from './strategic.ts';

describe('JSON patch (RFC 6902, appendix A)', () => {
  test.each([
    ['adds a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [
      'adds an element',
      { foo: ['bar', 'baz'] },
      [{ op: 'add', path: '/foo/1', value: 'qux' }],
      { foo: ['bar', 'qux', 'baz'] },
    ],
    ['adds at the end', { foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['x'] }], { foo: ['bar', ['x']] }],
    ['removes a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    ['removes an element', { foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    ['replaces', { baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [
      'moves an element',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    ['tests', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    ['replaces the whole', { a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ])('%s', (_what, document, patch, expected) => {
    expect(applyJsonPatch(document, patch)).toEqual(expected);
  });

  test.each([
    ['a test that fails', [{ op: 'test', path: '/a', value: 2 }]],
    ['an absent target', [{ op: 'remove', path: '/none' }]],
    ['an absent parent', [{ op: 'add', path: '/none/x', value: 1 }]],
    ['an index beyond the end', [{ op: 'add', path: '/l/5', value: 1 }]],
    ['an unknown operation', [{ op: 'frob', path: '/a' }]],
    ['something that is no list', { op: 'remove', path: '/a' }],
  ])('%s is refused and changes nothing', (_what, patch) => {
    const document = { a: 1, l: [] };
    expect(() => applyJsonPatch(document, patch)).toThrow(PatchError);
    expect(document).toEqual({ a: 1, l: [] });
  });
});

describe('merge patch (RFC 7386, appendix A)', () => {
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  ])('%j with %j gives %j', (document, patch, expected) => {
    expect(applyMergePatch(document, patch)).toEqual(expected);
  });
});

describe('strategic merge patch', () => {
  const { compiler } = builtinResources({});
  const spec = compiler.definition('io.k8s.api.core.v1.PodSpec');
  const pod = {
    containers: [
      { name: 'a', image: '1', ports: [{ containerPort: 80 }] },
      { name: 'b', image: '1' },
    ],
    nodeSelector: { x: 'y' },
  };

  test('items are merged by their key, new ones come last', () => {
    const patched = applyStrategicPatch(
      pod,
      {
        containers: [
          { name: 'c', image: '3' },
          { name: 'a', image: '2' },
        ],
      },
      spec,
    );
    expect(patched).toMatchObject({
      containers: [{ name: 'a', image: '2', ports: [{ containerPort: 80 }] }, { name: 'b' }, { name: 'c', image: '3' }],
    });
  });

  test('$patch: delete removes an item, $patch: replace the whole list', () => {
    expect(applyStrategicPatch(pod, { containers: [{ name: 'a', $patch: 'delete' }] }, spec)).toMatchObject({
      containers: [{ name: 'b' }],
    });
    expect(
      applyStrategicPatch(pod, { containers: [{ $patch: 'replace' }, { name: 'z', image: '9' }] }, spec),
    ).toMatchObject({
      containers: [{ name: 'z', image: '9' }],
    });
  });

  test('an object is replaced by $patch: replace, and keeps only what $retainKeys names', () => {
    expect(applyStrategicPatch(pod, { nodeSelector: { $patch: 'replace', z: '1' } }, spec)).toMatchObject({
      nodeSelector: { z: '1' },
    });
    const volume = { volumes: [{ name: 'v', emptyDir: {} }] };
    const patched = applyStrategicPatch(
      volume,
      { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'c' } }] },
      spec,
    );
    expect(patched).toEqual({ volumes: [{ name: 'v', configMap: { name: 'c' } }] });
  });

  test('an item without its key is refused', () => {
    expect(() => applyStrategicPatch(pod, { containers: [{ image: '9' }] }, spec)).toThrow(PatchError);
  });
});
