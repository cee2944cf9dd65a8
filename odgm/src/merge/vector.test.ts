import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from './bytes.ts';
import {
  compareVectors,
  emptyVector,
  incrementVector,
  maxVectorMembers,
  mergeVectors,
  vectorTotal,
  type VersionVector,
} from './index.ts';
import { readVector, vectorBytes, writeVector } from './vector.ts';

const vector: fc.Arbitrary<VersionVector> = fc
  .array(fc.integer({ min: 1, max: 4 }), { maxLength: 8 })
  .map((members) => members.reduce(incrementVector, emptyVector));

function bytesOf(value: VersionVector): Uint8Array {
  const out = new Writer(vectorBytes(value));
  writeVector(out, value);
  return out.bytes;
}

describe('a version vector', () => {
  it('merges in any order, any grouping and any number of times to the same', () => {
    fc.assert(
      fc.property(vector, vector, vector, (a, b, c) => {
        expect(mergeVectors(a, b)).toEqual(mergeVectors(b, a));
        expect(mergeVectors(mergeVectors(a, b), c)).toEqual(mergeVectors(a, mergeVectors(b, c)));
        expect(mergeVectors(a, a)).toEqual(a);
        expect(vectorTotal(mergeVectors(a, b))).toBeGreaterThanOrEqual(Math.max(vectorTotal(a), vectorTotal(b)));
      }),
    );
  });

  it('adds exactly 1 for a batch, and is then after what it was', () => {
    fc.assert(
      fc.property(vector, fc.integer({ min: 1, max: 6 }), (before, member) => {
        const after = incrementVector(before, member);
        expect(vectorTotal(after)).toBe(vectorTotal(before) + 1);
        expect(compareVectors(before, after)).toBe('before');
        expect(compareVectors(after, before)).toBe('after');
        expect(compareVectors(after, after)).toBe('equal');
      }),
    );
  });

  it('tells batches that did not know of each other', () => {
    const base = incrementVector(emptyVector, 1);
    expect(compareVectors(incrementVector(base, 1), incrementVector(base, 2))).toBe('concurrent');
  });

  it('stays bounded: further members share a place, and versions still grow by 1', () => {
    let bounded = emptyVector;
    for (let member = 1; member <= 200; member++) {
      bounded = incrementVector(bounded, member);
      expect(vectorTotal(bounded)).toBe(member);
    }
    expect(bounded).toHaveLength(maxVectorMembers + 1);
    expect(bounded[0]).toEqual({ member: 0, count: 200 - maxVectorMembers });
    expect(incrementVector(bounded, 3).find(({ member }) => member === 3)?.count).toBe(2);
  });

  it('comes back from its bytes, and from no others', () => {
    fc.assert(
      fc.property(vector, (value) => {
        const from = new Reader(bytesOf(value));
        expect(readVector(from)).toEqual(value);
        expect(from.isComplete).toBe(true);
      }),
    );
    const broken: VersionVector[] = [
      [
        { member: 2, count: 1 },
        { member: 1, count: 1 },
      ],
      [
        { member: 1, count: 1 },
        { member: 1, count: 1 },
      ],
      [{ member: 1, count: 0 }],
    ];
    for (const bytes of [
      ...broken.map(bytesOf),
      bytesOf([{ member: 1, count: 1 }]).subarray(0, 17),
      Uint8Array.of(255, 255),
    ]) {
      const from = new Reader(bytes);
      readVector(from);
      expect(from.failed).toBe(true);
    }
  });
});
