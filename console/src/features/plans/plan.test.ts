import type { Plan, UnitChange } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { byEnvironment, changeKind, dataCost, layoutText, unitsToShow, valueText } from './plan.ts';

const unit = (name: string, environment: string, action: UnitChange['action']): UnitChange => ({
  unit_id: `${name}-${environment}`,
  package_name: name,
  class_key: 'C',
  environment,
  deployment_key: name,
  path: `${name}.yaml`,
  action,
  reason: '',
  changes: [],
  data: {
    before: null,
    after: null,
    shards_added: 0,
    shards_removed: 0,
    replicas_added: 0,
    replicas_removed: 0,
    objects: null,
    effect: '',
  },
  confirm: null,
});

const plan = {
  units: [
    unit('b', 'cloud', 'update'),
    unit('a', 'edge', 'unchanged'),
    unit('c', 'edge', 'hold'),
    unit('a', 'cloud', 'update'),
  ],
} as unknown as Plan;

describe('the units of a plan', () => {
  it('come with what waits for a word first, then by name, without what stays', () => {
    expect(unitsToShow(plan, { environment: '', action: '', unchanged: false }).map((each) => each.unit_id)).toEqual([
      'c-edge',
      'a-cloud',
      'b-cloud',
    ]);
  });

  it('are narrowed to a cluster and to an action, also to unchanged', () => {
    expect(unitsToShow(plan, { environment: 'edge', action: '', unchanged: true })).toHaveLength(2);
    expect(
      unitsToShow(plan, { environment: '', action: 'unchanged', unchanged: false }).map((each) => each.unit_id),
    ).toEqual(['a-edge']);
  });

  it('are counted per cluster', () => {
    expect(byEnvironment(plan)).toMatchObject([
      { environment: 'cloud', total: 2, counts: { update: 2 } },
      { environment: 'edge', total: 2, counts: { hold: 1, unchanged: 1 } },
    ]);
  });
});

describe('a field change', () => {
  it('is added, removed or changed by which side is missing', () => {
    expect(changeKind({ path: 'a', after: 1 })).toBe('added');
    expect(changeKind({ path: 'a', before: 1 })).toBe('removed');
    expect(changeKind({ path: 'a', before: 1, after: null })).toBe('changed');
  });

  it('shows text as it is and the rest as JSON', () => {
    expect(valueText('x')).toBe('x');
    expect(valueText({ a: [1] })).toBe('{"a":[1]}');
    expect(valueText(undefined)).toBeNull();
  });
});

it('a layout is told in shards, replicas and nodes', () => {
  const layout = {
    node_count: 3,
    collections: [{ name: 'a', shard_type: 'basic', partition_count: 4, replica_count: 2 }],
  };
  expect(layoutText(layout)).toBe('4 shards, 8 replicas, 3 nodes');
  expect(layoutText(null)).toBe('no grid');
});

it('the cost of a change names only what is not zero', () => {
  expect(dataCost({ ...unit('a', 'b', 'prune').data, objects: 1, shards_removed: 4 })).toEqual([
    '1 object is held now',
    '4 shards removed',
  ]);
});
