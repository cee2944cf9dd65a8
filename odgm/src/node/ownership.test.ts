import { describe, expect, it } from 'vitest';
import { type Holding, ownersOf, servedPartitionCount } from './ownership.ts';

const holding = (member: string, partitionCount: number, ...partitions: number[]): Holding => ({
  member,
  partitionCount,
  partitions: new Set(partitions),
});

describe('ownersOf', () => {
  const placed = [['a'], ['b']];

  it('follows placement when nobody holds anything', () => {
    expect(ownersOf(placed, [])).toEqual({ owners: ['a', 'b'], displaced: [] });
  });

  it('leaves a partition with the member that has its objects', () => {
    expect(ownersOf(placed, [holding('a', 2, 0, 1)])).toEqual({ owners: ['a', 'a'], displaced: [1] });
  });

  it('follows placement when its member has objects too', () => {
    expect(ownersOf(placed, [holding('a', 2, 1), holding('b', 2, 1)]).owners).toEqual(['a', 'b']);
  });

  it('does not take partitions of another layout for its own', () => {
    expect(ownersOf(placed, [holding('a', 4, 1)]).owners).toEqual(['a', 'b']);
  });
});

describe('servedPartitionCount', () => {
  it('is what configuration asks for when nobody holds objects', () => {
    expect(servedPartitionCount(8, holding('a', 4), [holding('b', 4)])).toEqual({ partitionCount: 8 });
  });

  it('is that of the objects, here or on another member, and says why', () => {
    expect(servedPartitionCount(8, holding('a', 4, 1), []).partitionCount).toBe(4);
    const { partitionCount, reason } = servedPartitionCount(8, undefined, [holding('b', 4, 1)]);
    expect(partitionCount).toBe(4);
    expect(reason).toContain('member b holds objects in a layout of 4 partitions');
  });
});
