import { describe, expect, it } from 'vitest';
import { divergence } from './drift.ts';
import { layoutChanges, parseLayout } from './layout-guard.ts';
import { gridLayout } from '../record/index.ts';

describe('divergence', () => {
  it('looks only at what was rendered', () => {
    expect(
      divergence({ a: 1, list: [{ name: 'x' }] }, { a: 1, list: [{ name: 'x', protocol: 'TCP' }], status: {} }),
    ).toEqual([]);
  });

  it.each([
    [{ spec: { replicas: 1 } }, { spec: { replicas: 2 } }, ['.spec.replicas']],
    [{ spec: { a: 1 } }, {}, ['.spec']],
    [{ env: [{ name: 'A' }] }, { env: [{ name: 'A' }, { name: 'B' }] }, ['.env']],
    [{ env: [{ name: 'A', value: '1' }] }, { env: [{ name: 'A', value: '2' }] }, ['.env[0].value']],
    [{ emptyDir: {} }, {}, []],
  ])('finds what differs between %j and %j', (rendered, live, paths) => {
    expect(divergence(rendered, live)).toEqual(paths);
  });

  it.each([
    ['0.5', '500m', true],
    ['1000m', '1', true],
    ['1Gi', '1024Mi', true],
    ['1G', '1Gi', false],
    ['100m', '200m', false],
  ])('knows whether %s and %s are the same amount', (wanted, live, isSame) => {
    const amount = (cpu: string) => ({ spec: { resources: { requests: { cpu } } } });
    expect(divergence(amount(wanted), amount(live))).toEqual(isSame ? [] : ['.spec.resources.requests.cpu']);
    expect(divergence({ name: wanted }, { name: live })).toEqual(['.name']);
  });
});

describe('layoutChanges', () => {
  const layout = (odgm: Parameters<typeof gridLayout>[0]['odgm']) =>
    gridLayout({ packageName: 'p', classKey: 'C', odgm });

  it('names everything that would move data', () => {
    const from = layout({ collections: ['a', 'b'], partitionCount: 2 });
    const to = layout({
      collections: ['a', 'new'],
      partitionCount: 4,
      shardType: 'mst',
      options: { node_count: '3', durability: 'ephemeral' },
    });
    expect(layoutChanges(from, to)).toEqual([
      'nodes 1 -> 3',
      'a.partitionCount 2 -> 4',
      'a.shardType basic -> mst',
      'a.durability persistent -> ephemeral',
      'collection b is gone',
    ]);
  });

  it('lets a collection be added, and finds nothing in a layout that was written and read back', () => {
    const from = layout({ collections: ['a'] });
    expect(layoutChanges(from, layout({ collections: ['a', 'b'] }))).toEqual([]);
    const back = parseLayout(JSON.stringify(from));
    expect(back).toBeDefined();
    expect(layoutChanges(from, back ?? layout({ partitionCount: 9 }))).toEqual([]);
  });

  it.each([undefined, '', 'nonsense', '{}', 'null', '[]'])('takes %j for an unknown layout', (text) => {
    expect(parseLayout(text)).toBeUndefined();
  });
});
