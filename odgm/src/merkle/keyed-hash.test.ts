import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyedHash } from './keyed-hash.ts';

const key = Uint8Array.from({ length: 16 }, (_, i) => i);
const output = (hash: KeyedHash): string =>
  Buffer.from(Int32Array.of(hash.w0, hash.w1, hash.w2, hash.w3).buffer).toString('hex');

describe('the keyed hash', () => {
  // Output of `openssl mac -macopt hexkey:000102…0f -macopt size:16 SipHash` over the bytes 0, 1, 2, … of each length.
  it.each([
    [0, 'a3817f04ba25a8e66df67214c7550293'],
    [1, 'da87c1d86b99af44347659119b22fc45'],
    [7, 'a1f1ebbed8dbc153c0b84aa61ff08239'],
    [8, '3b62a9ba6258f5610f83e264f31497b4'],
    [15, '5493e99933b0a8117e08ec0f97cfc3d9'],
    [32, '7c3956ca5eeafc3e363e9d556546eb68'],
  ])('is SipHash-2-4-128 for %i bytes', (length, expected) => {
    const hash = new KeyedHash(key);
    hash.hash(
      Uint8Array.from({ length }, (_, i) => i),
      length,
    );
    expect(output(hash)).toBe(expected);
  });

  it('hashes a key as its bytes, whatever was hashed before', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 512 }), fc.uint8Array({ maxLength: 64 }), (bytes, other) => {
        const direct = new KeyedHash(key);
        direct.hash(bytes, bytes.length);
        const used = new KeyedHash(key);
        used.hash(other, other.length);
        used.hashKey(Buffer.from(bytes).toString('latin1'));
        expect(output(used)).toBe(output(direct));
      }),
    );
  });

  it.each(['', 'x'.repeat(513), 'snowman \u2603'])('refuses %j as a key', (text) => {
    expect(() => new KeyedHash(key).hashKey(text)).toThrow('a key of a tree has 1 to 512 bytes');
  });

  it('refuses a hash key of another length', () => {
    expect(() => new KeyedHash(new Uint8Array(15))).toThrow('16 bytes');
  });
});
