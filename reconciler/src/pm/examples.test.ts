import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { describe, expect, it } from 'vitest';
import { editorSchemas } from './model/schema.ts';
import { parseFile } from './parse/parse.ts';
import { resolve, type Resolution } from './resolve/resolve.ts';

const examples = join(import.meta.dirname, '../../../gitops-examples');

function resolveFolder(folder: string, clusters = ['cloud', 'edge']): Resolution {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'expected.yaml');
  const documents = files.flatMap((name) => parseFile(name, readFileSync(join(folder, name), 'utf8')));
  return resolve({ documents, foreign: new Map(), clusters });
}

describe('the examples that a user starts from', () => {
  it.each(['hello', 'counter', 'chat'])('%s is accepted without a remark', (name) => {
    const { documents } = resolveFolder(join(examples, name));
    expect(documents.flatMap((document) => document.problems)).toEqual([]);
    expect(documents.every((document) => document.verdict === 'accepted')).toBe(true);
  });

  it('counter differs at the edge as its overlay says, and nowhere else', () => {
    const { units } = resolveFolder(join(examples, 'counter'));
    const [cloud, edge] = ['cloud', 'edge'].map((name) => units.find((unit) => unit.spec.target_env === name));
    expect(cloud?.layout).toMatchObject({ nodeCount: 2, collections: [{ name: 'counter_data', partitionCount: 4 }] });
    expect(edge?.layout).toMatchObject({ nodeCount: 1, collections: [{ partitionCount: 1 }] });
    expect(cloud?.spec.functions[0]?.config).toEqual({ STEP: '1' });
    expect(edge?.spec.functions[0]?.config).toEqual({ STEP: '10' });
    expect(edge?.spec.functions[0]?.provision_config).toMatchObject({
      container_image: 'oaas/example-counter:1',
      max_scale: 1,
    });
  });

  it('every class of the examples asks for one replica, which the grid can serve', () => {
    const layouts = ['hello', 'counter', 'chat'].flatMap((name) =>
      resolveFolder(join(examples, name)).units.map((unit) => unit.layout),
    );
    expect(layouts).toHaveLength(6);
    for (const { collections } of layouts) {
      expect(collections.every(({ replicaCount, shardType }) => replicaCount === 1 && shardType === 'basic')).toBe(
        true,
      );
    }
  });
});

interface Expected {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly messageContains: string;
}

describe('the examples that must be refused', () => {
  const cases = readdirSync(join(examples, 'refused'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

  it.each(cases)('%s is refused at the place that is wrong', (name) => {
    const folder = join(examples, 'refused', name);
    const expected = parseYaml(readFileSync(join(folder, 'expected.yaml'), 'utf8')) as Expected;
    const { documents, units, packages } = resolveFolder(folder);
    const errors = documents.flatMap((document) => document.problems).filter((problem) => problem.severity === 'error');
    const { messageContains, ...place } = expected;
    expect(errors[0]).toMatchObject(place);
    expect(errors[0]?.message).toContain(messageContains);
    expect(errors[0]?.remedy).not.toBe('');
    expect({ units, packages }).toEqual({ units: [], packages: [] });
  });
});

it.each(Object.entries(editorSchemas()))(
  'the published JSON Schema of %s is that of the program',
  async (kind, schema) => {
    // `vitest -u` writes the file anew.
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(join(examples, 'schema', `${kind}.json`));
  },
);
