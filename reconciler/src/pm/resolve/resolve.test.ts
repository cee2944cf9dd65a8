import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFile } from '../parse/parse.ts';
import { dependencyCycles, type DependencyNode, dependencyOrder } from './dependencies.ts';
import { strategicMerge } from './merge.ts';
import { type ForeignPackage, resolve } from './resolve.ts';

const base = `name: p
classes: [{ key: C, function_bindings: [{ name: f, function_key: f }] }]
functions: [{ key: f, provision_config: { container_image: a/b, max_scale: 2 }, config: { A: 1, B: 1 } }]
`;
const overlay = (text: string) =>
  `---\napiVersion: oaas.io/v1alpha1\nkind: Overlay\npackage_name: p\nenvironments: [edge]\n${text}`;

function run(text: string, options: { clusters?: string[]; foreign?: [string, ForeignPackage][] } = {}) {
  return resolve({
    documents: parseFile('p.yaml', text),
    foreign: new Map(options.foreign ?? []),
    clusters: options.clusters ?? ['cloud', 'edge'],
  });
}
const problems = (resolution: ReturnType<typeof run>) =>
  resolution.documents.flatMap((document) =>
    document.problems.map(({ severity, code, message }) => `${severity} ${code}: ${message}`),
  );

describe('environments', () => {
  it.each([
    ['target_envs', 'target_envs: [edge], available_envs: [cloud]', ['edge']],
    ['available_envs where nothing is targeted', 'available_envs: [cloud]', ['cloud']],
    ['all clusters where nothing is said', '', ['cloud', 'edge']],
  ])('are %s', (_name, fields, expected) => {
    const { units } = run(`${base}deployments: [{ key: d, class_key: C, ${fields} }]\n`);
    expect(units.map((unit) => unit.spec.target_env).sort()).toEqual(expected);
  });

  it('that no cluster has are a warning, and their unit waits', () => {
    const resolution = run(`${base}deployments: [{ key: d, class_key: C, target_envs: [edg] }]\n`);
    expect(resolution.units).toHaveLength(1);
    expect(resolution.documents[0]).toMatchObject({
      verdict: 'accepted',
      problems: [{ severity: 'warning', remedy: 'Did you mean "edge"?' }],
    });
  });
});

describe('options of a grid', () => {
  const found = (options: string): string[] =>
    problems(run(`${base}deployments: [{ key: d, class_key: C, odgm: { options: ${options} } }]\n`));

  it('that the layout and the collections have are taken', () => {
    expect(found('{ node_count: 2, durability: ephemeral, maxValueBytes: 1024 }')).toEqual([]);
  });

  it('that nobody knows are told with the nearest name, and those with a bad value are refused', () => {
    expect(found('{ node_cont: 2, maxValueByte: 5 }')).toEqual([
      expect.stringContaining(
        'warning PackageInvalid: there is no option "node_cont" (given as "2"); did you mean "node_count"?',
      ),
      expect.stringContaining('did you mean "maxValueBytes"?'),
    ]);
    expect(found('{ maxValueBytes: lots }')).toEqual(['error PackageInvalid: option maxValueBytes cannot be "lots"']);
  });
});

describe('overlays', () => {
  const deployments =
    'deployments: [{ key: d, class_key: C, odgm: { partition_count: 4, options: { node_count: 2 } } }]\n';

  it('change their environment only, field by field, in the order of their names', () => {
    const text = `${base}${deployments}${overlay('name: b\nfunctions: [{ key: f, config: { A: 3 } }]\n')}${overlay('name: a\nfunctions: [{ key: f, config: { A: 2, C: 2 } }]\ndeployments: [{ key: d, odgm: { partition_count: 1 }, environment: { X: 1 } }]\n')}`;
    const resolution = run(text);
    expect(problems(resolution)).toEqual([]);
    const of = (name: string) => resolution.units.find((unit) => unit.spec.target_env === name)?.spec;
    expect(of('cloud')).toMatchObject({ functions: [{ config: { A: '1', B: '1' } }], odgm: { partition_count: 4 } });
    expect(of('edge')).toMatchObject({
      functions: [{ config: { A: '3', B: '1', C: '2' } }],
      odgm: { partition_count: 1, options: { node_count: '2' } },
      environment: { X: '1' },
    });
  });

  it('whose sum with the package is not valid are refused, though each is', () => {
    const resolution = run(
      `${base}${deployments}${overlay('name: a\nfunctions: [{ key: f, provision_config: { min_scale: 5 } }]\n')}`,
    );
    expect(problems(resolution)).toEqual([
      'error PackageInvalid: with this overlay, in "edge": min_scale 5 is more than max_scale 2',
    ]);
  });

  it('are checked with the deployment, whose own word about a function may be what is too much', () => {
    const override = (scale: number) =>
      `deployments: [{ key: d, class_key: C, target_envs: [edge], functions: [{ function_key: f, provision_config: { min_scale: ${String(scale)} } }] }]\n`;
    expect(problems(run(`${base}${override(2)}`))).toEqual([]);
    const resolution = run(`${base}${override(3)}`);
    expect(resolution.documents[0]?.problems).toMatchObject([
      {
        message: 'with this deployment, in "edge": min_scale 3 is more than max_scale 2',
        field: 'deployments[0].functions[0].provision_config.min_scale',
        line: 4,
      },
    ]);
  });

  it('do not bear what is wrong with the package alone', () => {
    const text = base.replace('max_scale: 2', 'max_scale: 2, min_scale: 9');
    const word = 'deployments: [{ key: d, class_key: C, functions: [{ function_key: f, config: { A: 7 } }] }]\n';
    expect(problems(run(`${text}${word}`))).toEqual(['error PackageInvalid: min_scale 9 is more than max_scale 2']);
  });

  it('merge maps, find list items by key, and replace plain lists', () => {
    const merged = strategicMerge(
      { a: { x: 1, y: 1 }, l: [{ key: 'a', v: 1 }, { key: 'b' }], p: [1, 2] },
      { a: { y: 2 }, l: [{ key: 'a', w: 2 }, { key: 'c' }], p: [3] },
    );
    expect(merged).toEqual({ a: { x: 1, y: 2 }, l: [{ key: 'a', v: 1, w: 2 }, { key: 'b' }, { key: 'c' }], p: [3] });
  });
});

describe('units', () => {
  it('have the functions that their class binds, and no others', () => {
    const text = `name: p
classes: [{ key: C, function_bindings: [{ name: x, function_key: f }] }, { key: D, function_bindings: [] }]
functions: [{ key: g, provision_config: { container_image: a/g } }, { key: f, provision_config: { container_image: a/f } }]
deployments: [{ key: c, class_key: C, target_envs: [edge], functions: [{ function_key: f, config: { A: 1 } }] }, { key: d, class_key: D, target_envs: [edge] }]
`;
    const { units } = run(text);
    expect(units.map((unit) => unit.spec.functions.map((each) => [each.key, each.config]))).toEqual([
      [['f', { A: '1' }]],
      [],
    ]);
  });

  it('keep their id and digest whatever the commit, and change the digest with any of their fields', () => {
    const [first] = run(`${base}deployments: [{ key: d, class_key: C, target_envs: [edge] }]\n`).units;
    const [moved] = run(`# a comment\n${base}deployments:\n- target_envs: [edge]\n  class_key: C\n  key: d\n`).units;
    const [changed] = run(
      `${base.replace('A: 1', 'A: 2')}deployments: [{ key: d, class_key: C, target_envs: [edge] }]\n`,
    ).units;
    expect(moved).toMatchObject({ digest: first?.digest, spec: { id: first?.spec.id } });
    expect(changed?.spec.id).toBe(first?.spec.id);
    expect(changed?.digest).not.toBe(first?.digest);
  });
});

describe('packages of others', () => {
  const foreign: [string, ForeignPackage][] = [['q', { name: 'q', dependencies: ['p'], owner: 'the API' }]];

  it('may be depended upon, but not in a circle, and never defined again', () => {
    expect(problems(run('name: x\nclasses: []\ndependencies: [q]\n', { foreign }))).toEqual([]);
    expect(problems(run('name: p\nclasses: []\ndependencies: [q]\n', { foreign }))).toEqual([
      'error DependencyCycle: packages depend on each other: p → q → p',
    ]);
    expect(problems(run('name: q\nclasses: []\n', { foreign }))).toEqual([
      'error OwnershipConflict: the package "q" belongs to the API',
    ]);
    expect(problems(run('key: d\nclass_key: C\npackage_name: q\n', { foreign }))).toEqual([
      'error OwnershipConflict: the package "q" belongs to the API',
    ]);
  });
});

describe('dependencies', () => {
  const graph = fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 3 }),
  );

  it('that form no circle come before what needs them; circles are found exactly where they are', () => {
    fc.assert(
      fc.property(graph, (edges) => {
        const nodes = new Map<string, DependencyNode>(
          Object.entries(edges).map(([name, to]) => [name, { name, dependencies: to.filter((each) => each !== name) }]),
        );
        const cycles = dependencyCycles(nodes);
        for (const cycle of cycles) {
          expect(cycle[0]).toBe(cycle.at(-1));
          for (const [index, name] of cycle.slice(0, -1).entries())
            expect(nodes.get(name)?.dependencies).toContain(cycle[index + 1]);
        }
        const order = dependencyOrder(nodes);
        expect([...order].sort()).toEqual([...nodes.keys()].sort());
        if (cycles.length > 0) return;
        for (const { name, dependencies } of nodes.values()) {
          for (const needed of dependencies.filter((each) => nodes.has(each)))
            expect(order.indexOf(needed)).toBeLessThan(order.indexOf(name));
        }
      }),
    );
  });

  it('of 20,000 packages in one chain need no deep stack', () => {
    const nodes = new Map(
      Array.from({ length: 20_000 }, (_, index) => [
        `p${String(index)}`,
        { name: `p${String(index)}`, dependencies: [`p${String(index + 1)}`] },
      ]),
    );
    expect(dependencyOrder(nodes)[0]).toBe('p19999');
  });
});

const samples = process.env['OAAS_PACKAGES'];
it.skipIf(samples === undefined)('packages that real users wrote load unchanged', () => {
  for (const name of ['echo.yml', 'record.yml']) {
    const documents = parseFile(name, readFileSync(`${samples ?? ''}/${name}`, 'utf8'));
    const { documents: verdicts, packages, units } = resolve({ documents, foreign: new Map(), clusters: [] });
    expect(verdicts.map((each) => each.verdict)).toEqual(['accepted']);
    expect(packages[0]?.spec.version).toBe('1.0');
    expect(units[0]?.spec.functions[0]?.config).toEqual({ HTTP_PORT: '80', RUST_LOG: 'info' });
  }
});
