import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asOf,
  compareRegisters,
  type CrdtMap,
  decodeMap,
  decodeRegister,
  encodeMap,
  encodeRegister,
  expiredOf,
  isExpired,
  mapOf,
  mergeRegisters,
  type Register,
  type Stamp,
  writeRegister,
  zeroStamp,
} from './index.ts';

const at = (ms: number, member = 1): Stamp => ({ ms, counter: 0, member });
const stamp = fc.record({
  ms: fc.integer({ min: 1, max: 5 }),
  counter: fc.constant(0),
  member: fc.integer({ min: 1, max: 2 }),
});
const bytes = fc.uint8Array({ maxLength: 2, max: 1 });
const element = fc.record({ stamp, value: fc.option(bytes, { nil: undefined }) });
const map: fc.Arbitrary<CrdtMap> = fc.record({
  cleared: fc.oneof(fc.constant(zeroStamp), stamp),
  replace: fc.constant(false),
  elements: fc
    .dictionary(fc.constantFrom('a', 'b', 'c'), element)
    .map((entries) => new Map(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)))),
});

/** Also maps that contradict their stamp, which must count as any other bytes, and stamps that are equal. */
const expiresAt = fc.option(fc.nat({ max: 2 }), { nil: undefined });
const register: fc.Arbitrary<Register> = fc.oneof(
  fc.record({ stamp, type: fc.constant('bytes' as const), value: fc.constant(undefined) }),
  fc.record({ stamp, type: fc.constant('bytes' as const), value: bytes, expiresAt }),
  fc.record({
    stamp,
    type: fc.constant('crdt-map' as const),
    value: fc.oneof({ weight: 4, arbitrary: map.map(encodeMap) }, bytes),
    expiresAt,
  }),
);

const merged = (...registers: Register[]): string =>
  Buffer.from(encodeRegister(registers.reduce(mergeRegisters))).toString('hex');

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const mapWrite = (elements: Record<string, string | undefined>, replace = false): Register => ({
  stamp: zeroStamp,
  type: 'crdt-map',
  value: encodeMap({
    cleared: zeroStamp,
    replace,
    elements: new Map(
      Object.entries(elements).map(([key, value]) => [
        key,
        { stamp: zeroStamp, value: value === undefined ? value : text(value) },
      ]),
    ),
  }),
});
function contents(value: Register): Record<string, string | undefined> {
  const elements = mapOf(value)?.elements ?? new Map<string, { value: Uint8Array | undefined }>();
  return Object.fromEntries(
    [...elements].map(([key, held]) => [
      key,
      held.value === undefined ? undefined : Buffer.from(held.value).toString(),
    ]),
  );
}

describe('merging registers', () => {
  it('is commutative, associative and idempotent, whatever they hold', () => {
    fc.assert(
      fc.property(register, register, register, (a, b, c) => {
        expect(merged(a, b)).toBe(merged(b, a));
        expect(merged(a, mergeRegisters(b, c))).toBe(merged(a, b, c));
        expect(merged(a, a)).toBe(merged(a));
        expect(merged(a, b, b, a)).toBe(merged(a, b));
      }),
      { numRuns: 20_000 },
    );
  });

  it('lets the later write win, and of two with one stamp the higher value', () => {
    const old: Register = { stamp: at(1, 9), type: 'bytes', value: text('z') };
    const young: Register = { stamp: at(2, 1), type: 'bytes', value: text('a') };
    expect(mergeRegisters(old, young)).toBe(young);
    expect(mergeRegisters(old, { ...old, value: text('zz') }).value).toEqual(text('zz'));
    expect(mergeRegisters(old, { ...old, stamp: at(1, 10), value: undefined }).value).toBeUndefined();
    expect(mergeRegisters(old, { ...old, value: undefined }).value).toBeUndefined();
    expect(compareRegisters(old, { ...old, type: 'crdt-map' })).toBeLessThan(0);
  });

  it('keeps what two replicas put into one map at once', () => {
    const base = writeRegister(undefined, mapWrite({ a: '1', b: '1' }), at(1));
    const one = writeRegister(base, mapWrite({ a: '2' }), at(2, 1));
    const two = writeRegister(base, mapWrite({ b: undefined, c: '3' }), at(2, 2));
    expect(contents(mergeRegisters(one, two))).toEqual({ a: '2', b: undefined, c: '3' });
  });

  it('clears what a map held before other bytes replaced it, and keeps what came later', () => {
    const map1 = writeRegister(undefined, mapWrite({ a: '1' }), at(1));
    const plain: Register = { stamp: at(2), type: 'bytes', value: text('plain') };
    const map3 = writeRegister(undefined, mapWrite({ b: '3' }), at(3));
    expect(mergeRegisters(map1, plain)).toBe(plain);
    expect(contents([map1, plain, map3].reduce(mergeRegisters))).toEqual({ b: '3' });
    expect(contents([map3, map1, plain].reduce(mergeRegisters))).toEqual({ b: '3' });
  });

  it('takes maps in formats that are not ours as bytes: the later one wins', () => {
    const automerge = Uint8Array.of(0x85, 0x6f, 0x4a, 0x83, 1, 2);
    const opaque = writeRegister(undefined, { type: 'crdt-map', value: automerge }, at(5));
    const ours = writeRegister(undefined, mapWrite({ a: '1' }), at(4));
    expect(mapOf(opaque)).toBeUndefined();
    expect(mergeRegisters(opaque, ours)).toBe(opaque);
    expect(contents(mergeRegisters(opaque, writeRegister(opaque, mapWrite({ a: '1' }), at(6))))).toEqual({ a: '1' });
  });
});

describe('an entry that expires', () => {
  const write = (expiry: number | undefined, ms = 1): Register =>
    writeRegister(undefined, { type: 'bytes', value: text('x'), expiresAt: expiry }, at(ms));

  it('is gone from its time on, and never without one', () => {
    expect([99, 100, 101].map((now) => isExpired(write(100), now))).toEqual([false, true, true]);
    expect(isExpired(write(undefined), Infinity)).toBe(false);
    expect(isExpired(expiredOf(write(100)), 200)).toBe(false);
  });

  it('stays gone where another replica has not noticed yet, and gives way to a later write', () => {
    const register1 = write(100);
    const gone = expiredOf(register1);
    expect(mergeRegisters(register1, gone)).toBe(gone);
    expect(mergeRegisters(gone, register1)).toBe(gone);
    expect(mergeRegisters(gone, write(undefined, 2)).value).toEqual(text('x'));
    const map1 = writeRegister(undefined, { ...mapWrite({ a: '1' }), expiresAt: 100 }, at(1));
    expect(mergeRegisters(map1, expiredOf(map1)).value).toBeUndefined();
    const map2 = writeRegister(map1, mapWrite({ b: '2' }), at(2));
    expect(contents(mergeRegisters(expiredOf(map1), map2))).toEqual({ b: '2' });
  });

  it('is its tombstone from its time on, for a write and for a merge, which only adds to what is known', () => {
    fc.assert(
      fc.property(register, register, fc.nat({ max: 3 }), (a, b, now) => {
        expect(merged(a, asOf(a, now))).toBe(merged(asOf(a, now)));
        expect(merged(asOf(a, now), a, asOf(b, now), b)).toBe(merged(b, asOf(a, now), asOf(b, now)));
      }),
      { numRuns: 5000 },
    );
    const map1 = writeRegister(undefined, { ...mapWrite({ a: '1' }), expiresAt: 100 }, at(1));
    expect([99, 100].map((now) => contents(writeRegister(asOf(map1, now), mapWrite({ b: '2' }), at(now))))).toEqual([
      { a: '1', b: '2' },
      { b: '2' },
    ]);
  });

  it('expires as its last write says, a map too', () => {
    const map1 = writeRegister(undefined, { ...mapWrite({ a: '1' }), expiresAt: 100 }, at(1));
    expect(map1.expiresAt).toBe(100);
    expect(writeRegister(map1, { ...mapWrite({ b: '2' }), expiresAt: 50 }, at(2)).expiresAt).toBe(50);
    expect(writeRegister(map1, mapWrite({ b: '2' }), at(2)).expiresAt).toBeUndefined();
    const other = writeRegister(undefined, { ...mapWrite({ c: '3' }), expiresAt: 70 }, at(1));
    expect(mergeRegisters(map1, other).expiresAt).toBe(100);
    expect(mergeRegisters(map1, { ...other, expiresAt: undefined }).expiresAt).toBeUndefined();
  });
});

describe('a client that writes a map', () => {
  it('changes the keys that it names and leaves the others', () => {
    const base = writeRegister(undefined, mapWrite({ a: '1', b: '1' }), at(1));
    expect(contents(writeRegister(base, mapWrite({ b: '2' }), at(2)))).toEqual({ a: '1', b: '2' });
  });

  it('may write back all that it read: what it did not change keeps its stamp', () => {
    const base = writeRegister(undefined, mapWrite({ a: '1', b: '1' }), at(1));
    const read = decodeMap(base.value!)!;
    const elements = new Map(read.elements).set('b', { stamp: at(1), value: text('2') });
    const after = writeRegister(base, { type: 'crdt-map', value: encodeMap({ ...read, elements }) }, at(9));
    expect(mapOf(after)?.elements.get('a')?.stamp).toEqual(at(1));
    expect(mapOf(after)?.elements.get('b')).toEqual({ stamp: at(9), value: text('2') });
  });

  it('cannot write into the future or past', () => {
    const elements = new Map([['a', { stamp: at(999), value: text('forged') }]]);
    const value = encodeMap({ cleared: at(998), replace: false, elements });
    const held = writeRegister(undefined, mapWrite({ b: '1' }), at(1));
    const after = writeRegister(held, { type: 'crdt-map', value }, at(2));
    expect(mapOf(after)?.elements.get('a')?.stamp).toEqual(at(2));
    expect(contents(after)).toEqual({ a: 'forged', b: '1' });
  });

  it('can replace the map: what was there goes, what others add at once stays', () => {
    const base = writeRegister(undefined, mapWrite({ a: '1', b: '1' }), at(1));
    const replaced = writeRegister(base, mapWrite({ c: '2' }, true), at(2));
    expect(contents(replaced)).toEqual({ c: '2' });
    const other = writeRegister(base, mapWrite({ d: '3' }), at(2, 2));
    expect(contents(mergeRegisters(replaced, other))).toEqual({ c: '2', d: '3' });
    expect(contents(writeRegister(base, mapWrite({ a: '1' }, true), at(3)))).toEqual({ a: '1' });
  });

  it('can replace a map with part of what it read', () => {
    const base = writeRegister(undefined, mapWrite({ a: '1', b: '1' }), at(1));
    const elements = new Map([...decodeMap(base.value!)!.elements].slice(0, 1));
    const value = encodeMap({ cleared: zeroStamp, replace: true, elements });
    expect(contents(writeRegister(base, { type: 'crdt-map', value }, at(2)))).toEqual({ a: '1' });
  });

  it('replaces what is no map, and a map by what is none', () => {
    const plain = writeRegister(undefined, { type: 'bytes', value: text('x') }, at(1));
    const map2 = writeRegister(plain, mapWrite({ a: '1' }), at(2));
    expect(contents(map2)).toEqual({ a: '1' });
    expect(writeRegister(map2, { type: 'bytes', value: text('y') }, at(3)).value).toEqual(text('y'));
    expect(writeRegister(map2, { type: 'crdt-map', value: undefined }, at(3))).toEqual({
      stamp: at(3),
      type: 'bytes',
      value: undefined,
    });
  });
});

describe('the bytes', () => {
  it('of a map are one for one map, and no others are read', () => {
    fc.assert(
      fc.property(map, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (value, where, byte, isCut) => {
        const encoded = encodeMap(value);
        expect(decodeMap(encoded)).toEqual(value);
        const spoilt = isCut ? encoded.slice(0, where % encoded.length) : Uint8Array.of(...encoded, byte);
        expect(decodeMap(spoilt)).toBeUndefined();
        const flipped = encoded.slice();
        flipped[where % flipped.length] = byte;
        const read = decodeMap(flipped);
        if (read !== undefined) expect(encodeMap(read)).toEqual(flipped);
      }),
      { numRuns: 1000 },
    );
  });

  it('of a map are what the documentation says', () => {
    const value = encodeMap({
      cleared: at(1, 2),
      replace: true,
      elements: new Map([
        ['b', { stamp: zeroStamp, value: undefined }],
        ['a', { stamp: { ms: 258, counter: 3, member: 4 }, value: Uint8Array.of(5, 6) }],
      ]),
    });
    expect(Buffer.from(value).toString('hex')).toBe(
      '4f4d415001' +
        '01' +
        '00000000000100000000000000000002' +
        '00000002' +
        '000161' +
        '00000000010200030000000000000004' +
        '01' +
        '00000002' +
        '0506' +
        '000162' +
        '00000000000000000000000000000000' +
        '00',
    );
  });

  it('of a map with elements out of order or twice are not read', () => {
    const two = encodeMap({
      cleared: zeroStamp,
      replace: false,
      elements: new Map([
        ['a', { stamp: at(1), value: undefined }],
        ['b', { stamp: at(1), value: undefined }],
      ]),
    });
    for (const first of ['b', 'c']) {
      const bad = two.slice();
      bad[28] = first.charCodeAt(0);
      expect(decodeMap(bad)).toBeUndefined();
    }
  });

  it('of a register come back as they were, and no others are read', () => {
    fc.assert(
      fc.property(register, (value) => {
        const read = decodeRegister(encodeRegister(value));
        expect(read).toEqual(value);
      }),
    );
    const tombstone = encodeRegister({ stamp: at(1), type: 'bytes', value: undefined });
    for (const bad of [
      tombstone.slice(1),
      tombstone.slice(0, 17),
      Uint8Array.of(...tombstone, 1),
      Uint8Array.of(1, 3, ...tombstone.slice(2)),
      Uint8Array.of(1, 0x82, ...tombstone.slice(2), 0, 0, 0, 0, 0, 1),
      Uint8Array.of(2, ...tombstone.slice(1)),
    ]) {
      expect(() => decodeRegister(bad)).toThrow('the record of an entry has an unknown form');
    }
  });
});
