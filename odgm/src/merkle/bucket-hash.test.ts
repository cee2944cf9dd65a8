import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketCount, BucketHash, bucketHashBytes } from './index.ts';

const hashKey = Uint8Array.from({ length: 16 }, (_, i) => i * 3);
const key = fc.constantFrom('a', 'b', 'c', 'a\u0000b', 'object-1\u0000entry');
const digest = fc.uint8Array({ maxLength: 3, max: 2 });
const changes = fc.array(fc.tuple(key, fc.option(digest, { nil: undefined })), { maxLength: 30 });
type Content = ReadonlyMap<string, Uint8Array>;

/** From scratch, in the order given. */
function hashOf(content: Iterable<readonly [string, Uint8Array]>): BucketHash {
  const hash = new BucketHash(hashKey);
  for (const [name, value] of content) hash.replace(name, undefined, value);
  return hash;
}

function follow(history: readonly (readonly [string, Uint8Array | undefined])[]): {
  hash: BucketHash;
  content: Content;
} {
  const hash = new BucketHash(hashKey);
  const content = new Map<string, Uint8Array>();
  for (const [name, value] of history) {
    hash.replace(name, content.get(name), value);
    if (value === undefined) content.delete(name);
    else content.set(name, value);
  }
  return { hash, content };
}

const serialize = (content: Content): string =>
  JSON.stringify([...content].map(([name, value]) => [name, [...value]]).sort());

describe('the hash of a set', () => {
  it('kept up to date is what it is when computed anew, in whatever order', () => {
    fc.assert(
      fc.property(changes, (history) => {
        const { hash, content } = follow(history);
        const anew = hashOf([...content].reverse());
        expect(hash.root()).toBe(anew.root());
        expect(Buffer.compare(hash.encode(), anew.encode())).toBe(0);
        expect(hash.count).toBe(content.size);
      }),
      { numRuns: 500 },
    );
  });

  it('is equal for equal sets, and names the buckets of the keys that differ for others', () => {
    fc.assert(
      fc.property(changes, changes, (one, other) => {
        const a = follow(one);
        const b = follow(other);
        expect(a.hash.root() === b.hash.root()).toBe(serialize(a.content) === serialize(b.content));
        const names = new Set([...a.content.keys(), ...b.content.keys()]);
        const differing = [...names].filter(
          (name) => Buffer.compare(a.content.get(name) ?? Buffer.of(9), b.content.get(name) ?? Buffer.of(9)) !== 0,
        );
        expect(a.hash.differingBuckets(b.hash.encode())).toEqual(
          [...new Set(differing.map((name) => a.hash.bucketOf(name)))].sort((x, y) => x - y),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('goes on from its encoding', () => {
    const { hash } = follow([
      ['a', Uint8Array.of(1)],
      ['b', Uint8Array.of(2)],
    ]);
    const again = new BucketHash(hashKey, hash.encode());
    expect(again.root()).toBe(hash.root());
    again.replace('a', Uint8Array.of(1), undefined);
    expect(again.root()).toBe(hashOf([['b', Uint8Array.of(2)]]).root());
  });

  it('depends on the key of the cluster', () => {
    const other = new BucketHash(new Uint8Array(16));
    other.replace('a', undefined, Uint8Array.of(1));
    expect(other.root()).not.toBe(hashOf([['a', Uint8Array.of(1)]]).root());
  });

  it('spreads keys evenly over its buckets', () => {
    const hash = new BucketHash(hashKey);
    const sizes = new Array<number>(bucketCount).fill(0);
    for (let i = 0; i < bucketCount * 32; i++) sizes[hash.bucketOf(`key-${i}`)]! += 1;
    expect(Math.max(...sizes)).toBeLessThan(70);
    expect(Math.min(...sizes)).toBeGreaterThan(5);
  });

  it('refuses state that is none, and digests beyond the bound', () => {
    const hash = new BucketHash(hashKey);
    expect(() => new BucketHash(hashKey, new Uint8Array(bucketHashBytes))).toThrow('unknown form');
    expect(() => hash.differingBuckets(hash.encode().subarray(1))).toThrow('unknown form');
    expect(() => hash.replace('a', undefined, new Uint8Array(65))).toThrow('at most 64 bytes');
  });
});
