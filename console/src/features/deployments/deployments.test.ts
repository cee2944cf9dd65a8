import type { Axes, DeploymentRecordDetail, ResourceView } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { axesView, axisWords } from './axes.ts';
import { conditionTone } from './condition.ts';
import { grpcurlLines, isGrid } from './grpcurl.ts';
import { recordPath } from './record.ts';
import { resourceTree, shortName } from './tree.ts';

const axes: Axes = {
  sync: { status: 'Synced', message: '' },
  health: { status: 'Healthy', message: '' },
  data: {
    status: 'Unavailable',
    message: 'no leader',
    objects: null,
    bytes: null,
    shards_ready: 0,
    shards_total: 4,
    members_ready: 0,
    members_total: 3,
    observed_at: null,
  },
  nfr: { status: 'NotRequired', message: '', min_throughput_rps: null, max_latency_ms: null, availability: null },
};

describe('the four axes', () => {
  it('always stand in the same order, and a bad one leaves the others as they are', () => {
    const view = axesView(axes);
    expect(view.map((axis) => axis.name)).toEqual(['sync', 'health', 'data', 'nfr']);
    expect(view.map((axis) => axis.tone)).toEqual(['ok', 'ok', 'bad', 'idle']);
  });

  it('a state that a newer PM may send is shown by its own word', () => {
    const newer = { ...axes, sync: { status: 'Drifted' as 'Synced', message: '' } };
    expect(axesView(newer)[0]).toMatchObject({ word: 'Drifted', tone: 'idle' });
    expect(Object.keys(axisWords.data)).toContain('Unavailable');
  });
});

describe('conditions', () => {
  it('Ready is good when true, Stalled is good when not', () => {
    expect(conditionTone({ type: 'Ready', status: 'True' })).toBe('ok');
    expect(conditionTone({ type: 'Ready', status: 'False' })).toBe('bad');
    expect(conditionTone({ type: 'Stalled', status: 'True' })).toBe('bad');
    expect(conditionTone({ type: 'Stalled', status: 'False' })).toBe('ok');
    expect(conditionTone({ type: 'Reconciling', status: 'True' })).toBe('busy');
    expect(conditionTone({ type: 'Ready', status: 'Unknown' })).toBe('idle');
    expect(conditionTone({ type: 'NfrObserved', status: 'False' })).toBe('idle');
    expect(conditionTone({ type: 'NfrCompliant', status: 'False' })).toBe('warn');
  });
});

const resource = (uid: string, parent: string, kind: string, name: string): ResourceView => ({
  uid,
  parent_uid: parent,
  kind,
  name,
  namespace: 'default',
  health: 'Healthy',
  message: '',
  created_at: '2026-01-01T00:00:00.000Z',
  restarts: 0,
});

describe('the resource tree', () => {
  const record = (resources: ResourceView[]): Pick<DeploymentRecordDetail, 'id' | 'resources' | 'axes'> => ({
    id: 'r',
    resources,
    axes,
  });

  it('puts children after their parent, by kind and by number in the name', () => {
    const nodes = resourceTree(
      record([
        resource('p10', 's', 'Pod', 'grid-10'),
        resource('p2', 's', 'Pod', 'grid-2'),
        resource('s', 'r-uid', 'StatefulSet', 'grid'),
        resource('c', 'r-uid', 'ConfigMap', 'config'),
      ]),
    );
    expect(nodes.map((node) => [node.name, node.depth])).toEqual([
      ['r', 0],
      ['config', 1],
      ['grid', 1],
      ['grid-2', 2],
      ['grid-10', 2],
    ]);
  });

  it('hangs an orphan on the record and does not loop where parents point at each other', () => {
    expect(resourceTree(record([resource('a', 'gone', 'Pod', 'a')])).at(-1)).toMatchObject({
      parent: 'record',
      depth: 1,
    });
    expect(resourceTree(record([resource('a', 'b', 'Pod', 'a'), resource('b', 'a', 'Pod', 'b')]))).toHaveLength(1);
    expect(resourceTree(record([resource('a', 'a', 'Pod', 'a')]))).toHaveLength(2);
  });
});

describe('commands for an endpoint', () => {
  const detail = {
    package_name: 'counter',
    class_key: 'Counter',
    desired: { function_bindings: [{ name: 'increment' }, { name: 'echo', stateless: true }] },
  };
  const grid = { name: 'grid', protocol: 'gRPC', address: 'http://127.0.0.1:7500' };

  it('call each binding by its name: on an object, or without one where it is stateless', () => {
    const lines = grpcurlLines(detail, grid).map((each) => each.line);
    expect(lines).toContain(
      `grpcurl -plaintext -import-path proto -proto oprc/invoke.proto -H 'x-oaas-partition: auto' -d '{"cls_id":"counter.Counter","object_id":"one","fn_id":"increment"}' 127.0.0.1:7500 oprc.OprcFunction/InvokeObj`,
    );
    expect(lines).toContain(
      `grpcurl -plaintext -import-path proto -proto oprc/invoke.proto -d '{"cls_id":"counter.Counter","fn_id":"echo"}' 127.0.0.1:7500 oprc.OprcFunction/InvokeFn`,
    );
  });

  it('still show the objects of a class that Git no longer wants', () => {
    expect(grpcurlLines({ ...detail, desired: null }, grid)).toHaveLength(2);
  });

  it('are offered for the grid only: functions answer inside of the cluster', () => {
    expect(isGrid(grid)).toBe(true);
    expect(isGrid({ ...grid, name: 'increment' })).toBe(false);
    expect(isGrid({ ...grid, protocol: 'http' })).toBe(false);
  });
});

it('an id with reserved characters still makes one path segment', () => {
  expect(recordPath({ id: 'a/b:c' })).toBe('/deployments/a%2Fb%3Ac');
});

describe('the name of a resource in the picture', () => {
  it.each([
    ['shop-1-odgm', 1, '…-odgm'],
    ['data-shop-1-odgm-0', 2, 'data-…-odgm-0'],
    ['other', 1, 'other'],
    ['shop-1', 0, 'shop-1'],
  ])('of %s at depth %i is %s, since all carry the record', (name, depth, shown) => {
    expect(shortName({ name, depth }, 'shop-1')).toBe(shown);
  });
});
