import { describe, expect, it } from 'vitest';
import { parseFile } from './parse.ts';

const head = 'apiVersion: oaas.io/v1alpha1\nkind: Package\n';
const one = (text: string) => {
  const documents = parseFile('p.yaml', text);
  expect(documents).toHaveLength(1);
  const [document] = documents;
  if (document === undefined) throw new Error('no document');
  return document;
};
const spec = (text: string) => {
  const document = one(text);
  expect(document.problems).toEqual([]);
  return document.status === 'parsed' ? document.spec : undefined;
};

describe('what a file holds', () => {
  it.each([
    ['another tool’s manifest', 'apiVersion: apps/v1\nkind: Deployment\n'],
    ['a resource that belongs into a cluster', 'apiVersion: oaas.io/v1alpha1\nkind: EnvironmentConfig\n'],
    ['a list', '- a\n- b\n'],
    ['plain text', 'hello\n'],
    ['a chart', 'name: chart\nversion: 1\n'],
    ['a template that is no YAML', 'a: {{ .Values.x }}\n  b: [\n'],
  ])('%s is ignored', (_name, text) => {
    expect(one(text).status).toBe('ignored');
  });

  it('empty documents are no documents', () => {
    expect(parseFile('p.yaml', '---\n---\n# nothing\n')).toEqual([]);
  });

  it('documents of one file are told apart, each with its first line', () => {
    const documents = parseFile('p.yaml', `${head}name: a\n---\nname: b\nclasses: []\n---\nx: 1\n`);
    expect(documents.map(({ kind, status, line, name }) => [kind, status, line, name])).toEqual([
      ['Package', 'parsed', 1, 'a'],
      ['Package', 'parsed', 5, 'b'],
      ['Unknown', 'ignored', 8, ''],
    ]);
  });

  it('a document without a head is known by its fields', () => {
    expect(one('key: d\npackage_name: p\nclass_key: C\n')).toMatchObject({ kind: 'ClassDeployment', status: 'parsed' });
    expect(
      one('{"name": "p", "version": null, "classes": [], "metadata": {"author": null, "tags": []}}'),
    ).toMatchObject({ kind: 'Package', status: 'parsed' });
  });
});

describe('values', () => {
  it('that are text keep what stands in the file, also where YAML sees a number', () => {
    const text =
      'name: p\nversion: 1.10\nfunctions:\n- key: f\n  function_type: BUILTIN\n  config: { PORT: 080, ON: yes, HEX: 0x10, T: true }\nclasses: []\n';
    expect(spec(text)).toMatchObject({
      version: '1.10',
      functions: [{ config: { PORT: '080', ON: 'yes', HEX: '0x10', T: 'true' } }],
    });
  });

  it('may be written once and used again by aliases and merges; a map’s own fields win', () => {
    const text = `${head}name: p
functions:
  - &f { key: f, function_type: BUILTIN, config: { A: 1, B: 1 } }
  - { <<: *f, key: g, config: { A: 2 } }
`;
    expect(spec(text)).toMatchObject({
      functions: [
        { key: 'f', config: { A: '1', B: '1' } },
        { key: 'g', function_type: 'BUILTIN', config: { A: '2' } },
      ],
    });
  });

  it('that are absent take their defaults', () => {
    expect(
      spec('name: p\nclasses:\n- key: C\n  description:\n  function_bindings:\n  - { name: f, function_key: f }\n'),
    ).toMatchObject({
      dependencies: [],
      classes: [{ key: 'C', function_bindings: [{ access_modifier: 'PUBLIC', stateless: false }] }],
    });
  });
});

describe('mistakes', () => {
  it.each([
    ['an unknown field', `${head}name: p\nclases: []\n`, 4, 1, 'unknown field "clases"', 'Did you mean "classes"?'],
    ['a missing name', `${head}version: 1\n`, 1, 1, '"name" is missing', 'Add it'],
    [
      'a number for a list',
      `${head}name: p\nclasses: 3\n`,
      4,
      10,
      '"classes" must be a list, not the number 3',
      'Write a list',
    ],
    [
      'a wrong word',
      `${head}name: p\nfunctions:\n- key: f\n  function_type: CUSTON\n`,
      6,
      18,
      'must be one of BUILTIN, CUSTOM',
      'Did you mean "CUSTOM"?',
    ],
    [
      'a value out of its bounds',
      'name: p\nclasses: []\ndeployments:\n- key: d\n  class_key: C\n  odgm: { partition_count: 5000 }\n',
      6,
      28,
      'must be at most 1024',
      'at most 1024',
    ],
    [
      'a fraction over 1',
      'name: p\nclasses: []\ndeployments:\n- key: d\n  class_key: C\n  nfr_requirements: { availability: 99.9 }\n',
      6,
      37,
      'must be at most 1',
      '',
    ],
    [
      'a bad quantity',
      'name: p\nfunctions:\n- key: f\n  provision_config: { cpu_request: lots }\n',
      4,
      36,
      'must be a quantity',
      '',
    ],
    [
      'a bad variable name',
      'name: p\nfunctions:\n- key: f\n  config: { "A B": 1 }\n',
      4,
      13,
      'must be a variable name',
      'Rename',
    ],
    [
      'an unknown version',
      'apiVersion: oaas.io/v2\nkind: Package\n',
      1,
      13,
      '"oaas.io/v2" is not a known version',
      'oaas.io/v1alpha1',
    ],
    ['tabs', `${head}name: p\nclasses:\n\t- key: C\n`, 5, 1, '', 'spaces'],
    ['an alias without an anchor', `${head}name: *nobody\n`, 3, 7, '', ''],
    ['an alias inside itself', `${head}name: p\nclasses: &c [*c]\n`, 4, 14, 'contains itself', ''],
    ['a field of dangerous name', `${head}name: p\n__proto__: {}\n`, 4, 1, '__proto__', ''],
  ])('%s is shown at its place with its remedy', (_name, text, line, column, message, remedy) => {
    const document = one(text);
    expect(document.status).toBe('refused');
    const [first] = document.problems;
    expect(first).toMatchObject({ severity: 'error', path: 'p.yaml', line, column });
    expect(first?.message).toContain(message);
    expect(first?.remedy).toContain(remedy);
  });

  it('in fields that nobody knows are only warnings without a head, for older clients send more than is known', () => {
    const document = one(
      'name: p\nclasses: []\nextra: 1\ndeployments:\n- { key: d, class_key: C, condition: PENDING, created_at: null }\n',
    );
    expect(document.status).toBe('parsed');
    expect(document.problems.map(({ severity, field }) => [severity, field])).toEqual([
      ['warning', 'deployments[0].condition'],
      ['warning', 'extra'],
    ]);
  });
});
