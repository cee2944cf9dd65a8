import { describe, expect, it } from 'vitest';
import { defaultShardType } from './index.ts';

describe('a collection for which no type is asked', () => {
  it.each([
    [1, 'basic'],
    [2, 'raft'],
    [3, 'raft'],
    [9, 'raft'],
  ] as const)('with %i replicas is of type %s', (replicaCount, type) => {
    expect(defaultShardType(replicaCount)).toBe(type);
  });
});
