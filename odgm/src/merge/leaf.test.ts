import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeLeaf,
  directionOf,
  encodeLeaf,
  encodeMap,
  type LeafKind,
  leafKindOf,
  type Stamp,
  zeroStamp,
} from './index.ts';

const at = (ms: number): Stamp => ({ ms, counter: 0, member: 1 });
const leaf = (ms: number, kind: LeafKind, digest = 1): Uint8Array =>
  encodeLeaf({ stamp: at(ms), kind, digest: new Uint8Array(16).fill(digest) });

describe('a leaf', () => {
  it('comes back from its bytes, and from no others', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom<LeafKind>('lww', 'tombstone', 'join'),
        fc.uint8Array({ maxLength: 47 }),
        (ms, kind, digest) => {
          const bytes = encodeLeaf({ stamp: at(ms), kind, digest });
          expect(decodeLeaf(bytes)).toEqual({ stamp: at(ms), kind, digest });
          expect(bytes.length).toBeLessThanOrEqual(64);
        },
      ),
    );
    expect(() => decodeLeaf(new Uint8Array(16))).toThrow('unknown form');
    expect(() => decodeLeaf(new Uint8Array(20).fill(3))).toThrow('unknown form');
  });

  it('is joined for maps that merge, and taken or left for all else', () => {
    const value = encodeMap({ cleared: zeroStamp, replace: false, elements: new Map() });
    expect(leafKindOf({ stamp: at(1), type: 'crdt-map', value })).toBe('join');
    expect(leafKindOf({ stamp: at(1), type: 'crdt-map', value: value.slice(1) })).toBe('lww');
    expect(leafKindOf({ stamp: at(1), type: 'bytes', value })).toBe('lww');
    expect(leafKindOf({ stamp: at(1), type: 'bytes', value: undefined })).toBe('tombstone');
  });

  it('tells who needs the state of the other', () => {
    expect(directionOf(undefined, leaf(1, 'lww'))).toBe('take');
    expect(directionOf(leaf(1, 'lww'), undefined)).toBe('give');
    expect(directionOf(leaf(1, 'lww'), leaf(2, 'tombstone'))).toBe('take');
    expect(directionOf(leaf(3, 'tombstone'), leaf(2, 'lww'))).toBe('give');
    expect(directionOf(leaf(2, 'lww', 1), leaf(2, 'lww', 2))).toBe('both');
    expect(directionOf(leaf(1, 'join'), leaf(2, 'lww'))).toBe('both');
    expect(directionOf(leaf(3, 'lww'), leaf(2, 'join'))).toBe('both');
  });
});
