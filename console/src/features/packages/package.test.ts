import type { PackageView } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { classesOf, functionsOf, originText } from './package.ts';

const item = {
  classes: [
    {
      key: 'Counter',
      state_spec: { consistency_model: 'READ_YOUR_WRITE', persistent: true },
      function_bindings: [{ name: 'value', function_key: 'Counter.value', access_modifier: 'INTERNAL' }, 'nonsense'],
    },
    { key: 'Bare' },
  ],
  functions: [
    {
      key: 'Counter.value',
      function_type: 'CUSTOM',
      provision_config: { container_image: 'x:1', min_scale: 1, max_scale: 3 },
    },
    { key: 'Bare.fn', function_type: 'BUILTIN' },
  ],
} as unknown as PackageView;

describe('a package', () => {
  it('shows what it understands of its YAML and leaves out the rest', () => {
    expect(classesOf(item)).toEqual([
      {
        key: 'Counter',
        description: null,
        state: 'read your write, persistent',
        bindings: [{ name: 'value', functionKey: 'Counter.value', access: 'internal', stateless: false }],
      },
      { key: 'Bare', description: null, state: null, bindings: [] },
    ]);
    expect(functionsOf(item)).toEqual([
      { key: 'Counter.value', type: 'custom', image: 'x:1', scale: '1 to 3' },
      { key: 'Bare.fn', type: 'builtin', image: null, scale: null },
    ]);
  });

  it('says where it came from', () => {
    const git = { type: 'git', source: 'gitops', commit: '0123456789abcdef', path: 'a/b.yaml', actor: null } as const;
    expect(originText({ origin: git })).toBe('gitops@01234567:a/b.yaml');
    expect(originText({ origin: { ...git, type: 'api', actor: 'ci' } })).toBe('REST API, ci');
  });
});
