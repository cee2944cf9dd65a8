import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { crdFiles } from './crd-files.ts';
import { customResourceDefinitions } from './crds.ts';

const folder = new URL('../../../charts/crds/', import.meta.url);

describe('CRD manifests', () => {
  it('in charts/crds are the ones that the schemas give', async () => {
    const expected = crdFiles();
    expect((await readdir(folder)).toSorted()).toEqual([...expected.keys()].toSorted());
    for (const [name, content] of expected) {
      expect(await readFile(new URL(name, folder), 'utf8'), `${name}: run write-crds.ts`).toBe(content);
    }
  });

  it('have nothing that a structural schema may not have', () => {
    const text = JSON.stringify(customResourceDefinitions());
    for (const keyword of ['$ref', '$schema', 'propertyNames', 'anyOf', 'oneOf', '"additionalProperties":false']) {
      expect(text).not.toContain(keyword);
    }
  });

  it('say of a record that nobody looked at that it is not done', () => {
    const [record] = customResourceDefinitions();
    expect(JSON.stringify(record)).toContain('"default":{"observedGeneration":-1}');
  });
});
