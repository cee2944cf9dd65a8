import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byNaturalOrder, placePartitions } from './index.ts';

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `odgm-${String(i)}`);

function loads(placement: readonly (readonly string[])[], members: readonly string[]): number[] {
  return members.map((member) => placement.filter((replicas) => replicas.includes(member)).length);
}

describe('placePartitions', () => {
  it('gives each partition distinct members and keeps loads within one of each other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 5 }),
        fc.string({ maxLength: 8 }),
        (memberCount, partitionCount, replicaCount, collection) => {
          const members = names(memberCount);
          const placement = placePartitions({ collection, partitionCount, replicaCount, members });
          expect(placement).toHaveLength(partitionCount);
          for (const replicas of placement) {
            expect(new Set(replicas).size).toBe(Math.min(replicaCount, memberCount));
          }
          const counts = loads(placement, members);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('does not depend on the order in which members are listed', () => {
    const input = { collection: 'c', partitionCount: 32, replicaCount: 2, members: names(7) };
    expect(placePartitions({ ...input, members: names(7).reverse() })).toEqual(placePartitions(input));
  });

  it('moves no more than the share of a member that joins at the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 96 }), (memberCount, partitionCount) => {
        const base = { collection: 'c', partitionCount, replicaCount: 1 };
        const before = placePartitions({ ...base, members: names(memberCount) });
        const after = placePartitions({ ...base, members: names(memberCount + 1) });
        const moved = after.filter((replicas, partition) => replicas[0] !== before[partition]?.[0]);
        expect(moved.length).toBeLessThanOrEqual(Math.ceil(partitionCount / (memberCount + 1)));
        expect(moved.every((replicas) => replicas[0] === `odgm-${String(memberCount)}`)).toBe(true);
      }),
    );
  });

  it('spreads collections of one partition over the members', () => {
    const owners = Array.from({ length: 60 }, (_, i) =>
      placePartitions({ collection: `c${String(i)}`, partitionCount: 1, replicaCount: 1, members: names(3) }),
    ).map((placement) => placement[0]?.[0] ?? '');
    for (const member of names(3)) {
      expect(owners.filter((owner) => owner === member).length).toBeGreaterThan(8);
    }
  });

  it('has no holders when there are no members', () => {
    expect(placePartitions({ collection: 'c', partitionCount: 2, replicaCount: 1, members: [] })).toEqual([[], []]);
  });
});

describe('byNaturalOrder', () => {
  it('orders numbers within names by value', () => {
    expect(['n10', 'n9', 'n1', 'm2'].sort(byNaturalOrder)).toEqual(['m2', 'n1', 'n9', 'n10']);
  });
});
