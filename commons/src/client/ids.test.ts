import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isValidId, normalizeId, partitionOf } from './index.ts';

describe('ids', () => {
  it('are folded to lower case, and digits stay a text', () => {
    expect(normalizeId('User-1.A:b_C')).toBe('user-1.a:b_c');
    expect(normalizeId('42')).toBe('42');
  });

  it.each(['', 'a b', 'a/b', 'ä', 'İ', '\u212a', 'x'.repeat(161), 'a\n'])(
    '%j is refused, by both functions',
    (text) => {
      expect(isValidId(text)).toBe(false);
      expect(() => normalizeId(text, 'key')).toThrow('the key');
    },
  );

  it('may be 160 bytes long', () => {
    expect(isValidId('x'.repeat(160))).toBe(true);
  });

  it('are valid once normalised, whatever they were', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 10 }), (text) => {
        let id: string | undefined;
        try {
          id = normalizeId(text);
        } catch {
          return !isValidId(text);
        }
        return isValidId(id) && normalizeId(id) === id;
      }),
    );
  });
});

describe('the partition of an object', () => {
  // The hashes of "a", "b" and "foobar" are among the published vectors of FNV-1a (32 bit).
  it.each([
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
  ])('is the FNV-1a hash of %s modulo the count', (id, hash) => {
    for (const count of [1, 2, 3, 16, 1000, 2 ** 31]) expect(partitionOf(id, count)).toBe(hash % count);
  });

  // Computed apart from this code, in Python.
  it.each([
    ['user-1', 16, 4],
    ['00000000-0000-4000-8000-000000000000', 16, 5],
    ['counter:main', 7, 5],
  ])('of %s among %d never changes', (id, count, partition) => {
    expect(partitionOf(id, count)).toBe(partition);
  });

  it('is the same for every spelling of an id', () => {
    expect(partitionOf('FooBar', 1000)).toBe(partitionOf('foobar', 1000));
  });

  it('spreads numbered ids evenly', () => {
    const counts = new Array<number>(12).fill(0);
    for (let i = 0; i < 12_000; i += 1) {
      const partition = partitionOf(`user-${String(i)}`, 12);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31 + 1])('needs a count of partitions, not %d', (count) => {
    expect(() => partitionOf('a', count)).toThrow('no number of partitions');
  });
});
