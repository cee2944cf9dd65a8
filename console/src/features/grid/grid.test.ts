import type { GridShard, GridView } from '@oaas/commons/client/pm';
import { describe, expect, it } from 'vitest';
import { firstCell, moveFocus, shardMaps, shardStates, stateTone } from './grid.ts';

const shard = (partition: number, nodes: readonly string[], state = 'ready'): GridShard => ({
  collection: 'c',
  partition,
  shard_id: partition,
  type: 'basic',
  leader: nodes[0] ?? '',
  term: 1,
  state,
  replicas: nodes.map((node, index) => ({
    node,
    role: index === 0 ? 'leader' : 'follower',
    state: 'ready',
    match: 1,
    lag: 0,
  })),
  objects: 0,
  bytes: 0,
});

const grid = (members: readonly string[], shards: readonly GridShard[]) =>
  ({
    members: members.map((id) => ({ id })),
    collections: [{ name: 'c' }],
    shards: [...shards],
  }) as unknown as GridView;

describe('the shard map', () => {
  it('has a column per member with every shard at the same place in each', () => {
    const [map] = shardMaps(grid(['n10', 'n2'], [shard(1, ['n2']), shard(0, ['n10', 'n2'])]));
    expect(map?.columns.map((column) => column.member)).toEqual(['n2', 'n10']);
    expect(map?.shards.map((each) => each.partition)).toEqual([0, 1]);
    expect(map?.columns[1]?.cells.map((cell) => cell?.role ?? null)).toEqual(['leader', null]);
    expect(map?.columns[0]?.cells.map((cell) => cell?.leading ?? null)).toEqual([false, true]);
  });

  it('shows a member that only a replica names, and says which shards have no home', () => {
    const [map] = shardMaps(grid(['a'], [shard(0, ['gone']), shard(1, [])]));
    expect(map?.columns.map((column) => column.member)).toEqual(['a', 'gone']);
    expect(map?.homeless.map((each) => each.partition)).toEqual([1]);
  });

  it('a state of a newer grid is neither good nor bad', () => {
    expect(stateTone('warming')).toBe('idle');
    expect(stateTone('unavailable')).toBe('bad');
  });
});

describe('the focus in the map', () => {
  const [map] = shardMaps(grid(['a', 'b', 'c'], [shard(0, ['a', 'c']), shard(1, ['b']), shard(2, ['a', 'b'])]));

  it('begins at the first replica', () => {
    expect(firstCell(map!)).toEqual({ column: 0, row: 0 });
    expect(firstCell(shardMaps(grid(['a'], []))[0]!)).toBeNull();
  });

  it('goes along the shards that the member holds and across to the members that hold the shard', () => {
    expect(moveFocus(map!, { column: 0, row: 0 }, 'ArrowRight')).toEqual({ column: 0, row: 2 });
    expect(moveFocus(map!, { column: 0, row: 0 }, 'ArrowDown')).toEqual({ column: 2, row: 0 });
    expect(moveFocus(map!, { column: 1, row: 2 }, 'ArrowUp')).toEqual({ column: 0, row: 2 });
    expect(moveFocus(map!, { column: 1, row: 2 }, 'Home')).toEqual({ column: 1, row: 1 });
    expect(moveFocus(map!, { column: 0, row: 0 }, 'End')).toEqual({ column: 0, row: 2 });
  });

  it('stays where there is nothing further', () => {
    expect(moveFocus(map!, { column: 0, row: 2 }, 'ArrowRight')).toEqual({ column: 0, row: 2 });
    expect(moveFocus(map!, { column: 2, row: 0 }, 'ArrowDown')).toEqual({ column: 2, row: 0 });
  });
});

it('shards are counted by state, the worst first', () => {
  expect(shardStates([shard(0, []), shard(1, [], 'unavailable'), shard(2, [])])).toEqual([
    { state: 'unavailable', tone: 'bad', count: 1 },
    { state: 'ready', tone: 'ok', count: 2 },
  ]);
});
