import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePage, encodePage, hexOf, type Page } from './page.ts';

const digest = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(hexOf);
const child = fc.option(digest, { nil: undefined });
const key = fc
  .uint8Array({ minLength: 1, maxLength: 20, max: 3 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));

/** Any page: distinct keys in order, and one child more than keys. */
const page: fc.Arbitrary<Page> = fc
  .uniqueArray(fc.record({ key, leaf: fc.uint8Array({ minLength: 1, maxLength: 64 }), child }), {
    minLength: 1,
    maxLength: 8,
    selector: (entry) => entry.key,
  })
  .chain((entries) =>
    fc.record({ level: fc.integer({ min: 0, max: 16 }), first: child }).map(({ level, first }) => {
      const sorted = entries.sort((a, b) => (a.key < b.key ? -1 : 1));
      return {
        level,
        keys: sorted.map((entry) => entry.key),
        leaves: sorted.map((entry) => entry.leaf),
        children: [first, ...sorted.map((entry) => entry.child)],
        hash: undefined,
      };
    }),
  );

const simple = (keys: string[]): Page => ({
  level: 0,
  keys,
  leaves: keys.map(() => Uint8Array.of(7)),
  children: [undefined, ...keys.map(() => undefined)],
  hash: undefined,
});

describe('a page', () => {
  it('comes back from its bytes as it was', () => {
    fc.assert(
      fc.property(page, (written) => {
        expect(decodePage(encodePage(written, 16), 'h', 16)).toEqual({ ...written, hash: 'h' });
      }),
    );
  });

  it('has one encoding: bytes that decode are the bytes that its content encodes to', () => {
    fc.assert(
      fc.property(page, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, flip) => {
        const bytes = encodePage(written, 16);
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip;
        const read = decodePage(bytes, 'h', 16);
        if (read !== undefined) expect(encodePage(read, 16)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('is refused when its bytes end early or go on', () => {
    fc.assert(
      fc.property(page, fc.nat(), (written, cut) => {
        const bytes = encodePage(written, 16);
        expect(decodePage(bytes.subarray(0, cut % bytes.length), 'h', 16)).toBeUndefined();
        expect(decodePage(Uint8Array.of(...bytes, 0), 'h', 16)).toBeUndefined();
      }),
    );
  });

  it.each([
    ['keys out of order', simple(['b', 'a'])],
    ['a key twice', simple(['a', 'a'])],
    ['an empty key', simple([''])],
    ['a key beyond the bound', simple(['x'.repeat(513)])],
    ['no keys', simple([])],
    ['a level beyond the highest', { ...simple(['a']), level: 17 }],
    ['a leaf beyond the bound', { ...simple(['a']), leaves: [new Uint8Array(65)] }],
    ['an empty leaf', { ...simple(['a']), leaves: [new Uint8Array(0)] }],
    ['more keys than the bound', simple(Array.from({ length: 4097 }, (_, i) => String(i).padStart(5, '0')))],
  ])('is refused with %s', (_, broken) => {
    expect(decodePage(encodePage(broken, 16), 'h', 16)).toBeUndefined();
  });

  it('is refused when it spells out what its key shares with the one before', () => {
    const entry = (shared: number, rest: string): number[] => [0, shared, 0, rest.length, 1, ...Buffer.from(rest), 7];
    const bytes = (second: number[]): Uint8Array => Uint8Array.of(1, 0, 0, 2, ...entry(0, 'aa'), ...second);
    expect(decodePage(bytes(entry(1, 'b')), 'h', 16)?.keys).toEqual(['aa', 'ab']);
    expect(decodePage(bytes(entry(0, 'ab')), 'h', 16)).toBeUndefined();
  });

  it('is refused in another format', () => {
    const bytes = encodePage(simple(['a']), 16);
    bytes[0] = 2;
    expect(decodePage(bytes, 'h', 16)).toBeUndefined();
  });
});
