import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changeHeader,
  compareStamps,
  decodeHeader,
  deleteHeader,
  emptyHeader,
  encodeHeader,
  encodeMap,
  headerStamp,
  HybridClock,
  isAlive,
  mapOf,
  mergeHeaders,
  type ObjectHeader,
  type Register,
  type Stamp,
  survivorOf,
  versionOf,
} from './index.ts';

const at = (ms: number): Stamp => ({ ms, counter: 0, member: 1 });
const stamp = fc.record({
  ms: fc.integer({ min: 0, max: 4 }),
  counter: fc.constant(0),
  member: fc.integer({ min: 1, max: 2 }),
});

/** Headers as histories make them; two of them may share stamps, as no correct grid lets them. */
const header: fc.Arbitrary<ObjectHeader> = fc
  .uniqueArray(
    fc.record({
      stamp,
      replace: fc.boolean(),
      isDelete: fc.boolean(),
      event: fc.option(fc.uint8Array({ maxLength: 1, max: 1 }), { nil: undefined }),
    }),
    { maxLength: 5, selector: (step) => step.stamp.ms * 10 + step.stamp.member },
  )
  .map((steps) => {
    let built = emptyHeader;
    for (const step of steps.sort((a, b) => compareStamps(a.stamp, b.stamp))) {
      const { member } = step.stamp;
      built = step.isDelete ? deleteHeader(built, step.stamp, member) : changeHeader(built, { ...step, member });
    }
    return built;
  });

const survives = (object: ObjectHeader | undefined, when: Stamp): boolean =>
  survivorOf(object, { stamp: when, type: 'bytes', value: undefined }) !== undefined;
const merged = (...headers: ObjectHeader[]): string =>
  Buffer.from(encodeHeader(headers.reduce(mergeHeaders))).toString('hex');

describe('merging headers', () => {
  it('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(header, header, header, (a, b, c) => {
        expect(merged(a, b)).toBe(merged(b, a));
        expect(merged(a, mergeHeaders(b, c))).toBe(merged(a, b, c));
        expect(merged(a, a)).toBe(merged(a));
        expect(merged(a, emptyHeader)).toBe(merged(a));
      }),
      { numRuns: 5000 },
    );
  });

  it('never takes a version back', () => {
    fc.assert(
      fc.property(header, header, (a, b) => {
        const both = mergeHeaders(a, b);
        if (isAlive(both)) expect(versionOf(both)).toBeGreaterThanOrEqual(Math.max(versionOf(a), versionOf(b)));
        else expect(versionOf(both)).toBe(0);
      }),
    );
  });
});

describe('an object', () => {
  it('exists from its first batch to its delete, and again from the next batch, one version on each time', () => {
    const clock = new HybridClock({ member: 1 });
    const change = (before: ObjectHeader | undefined, replace = false): ObjectHeader =>
      changeHeader(before, { stamp: clock.tick(0), member: 1, replace });
    const first = change(undefined);
    const second = change(first, true);
    const gone = deleteHeader(second, clock.tick(0), 1);
    const again = change(gone);
    expect([undefined, emptyHeader, first, second, gone, again].map(isAlive)).toEqual([
      false,
      false,
      true,
      true,
      false,
      true,
    ]);
    expect([undefined, first, second, gone, again].map(versionOf)).toEqual([0, 1, 2, 0, 4]);
    expect(headerStamp(gone)).toEqual(gone.deleted);
    expect(headerStamp(again)).toEqual(again.written);
  });

  it('loses to a delete what is older, and keeps what is later, wherever that was written', () => {
    const base = changeHeader(undefined, { stamp: at(1), member: 1, replace: true });
    const gone = deleteHeader(base, at(5), 1);
    expect([1, 4, 5, 6].map((ms) => survives(gone, at(ms)))).toEqual([false, false, false, true]);
    expect(isAlive(mergeHeaders(gone, changeHeader(base, { stamp: at(4), member: 2, replace: false })))).toBe(false);
    expect(isAlive(mergeHeaders(gone, changeHeader(base, { stamp: at(6), member: 2, replace: false })))).toBe(true);
  });

  it('keeps the entries that come with a Set, and none that are older', () => {
    const set = changeHeader(undefined, { stamp: at(5), member: 1, replace: true });
    expect([4, 5, 6].map((ms) => survives(set, at(ms)))).toEqual([false, true, true]);
    expect(survives(undefined, at(1))).toBe(true);
  });

  it('keeps of a map only what came after its last delete, or with or after its last Set', () => {
    const elements = new Map([4, 5, 6].map((ms) => [String(ms), { stamp: at(ms), value: undefined }]));
    const value = encodeMap({ cleared: at(3), replace: false, elements });
    const map: Register = { stamp: at(7), type: 'crdt-map', value };
    const left = (object: ObjectHeader): string[] => {
      const register = survivorOf(object, map);
      return register === undefined ? [] : [...(mapOf(register)?.elements.keys() ?? [])];
    };
    const base = changeHeader(undefined, { stamp: at(1), member: 1, replace: true });
    expect(survivorOf(base, map)).toBe(map);
    expect(left(changeHeader(base, { stamp: at(5), member: 1, replace: true }))).toEqual(['5', '6']);
    expect(left(deleteHeader(base, at(5), 1))).toEqual(['6']);
    expect(left(deleteHeader(base, at(7), 1))).toEqual([]);
  });

  it('keeps its triggers until a Set or a delete, and takes the later ones', () => {
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
    const base = changeHeader(undefined, { stamp: at(1), member: 1, replace: true, event: one });
    expect(changeHeader(base, { stamp: at(2), member: 1, replace: false }).event?.value).toEqual(one);
    expect(changeHeader(base, { stamp: at(2), member: 1, replace: true }).event).toBeUndefined();
    expect(deleteHeader(base, at(2), 1).event).toBeUndefined();
    const later = changeHeader(base, { stamp: at(2), member: 1, replace: false, event: two });
    expect(mergeHeaders(base, later).event?.value).toEqual(two);
    expect(mergeHeaders(later, changeHeader(base, { stamp: at(3), member: 2, replace: true })).event).toBeUndefined();
  });
});

describe('the bytes of a header', () => {
  it('come back as they were, and no others are read', () => {
    fc.assert(
      fc.property(header, fc.nat(), (value, where) => {
        const encoded = encodeHeader(value);
        expect(decodeHeader(encoded)).toEqual(value);
        expect(() => decodeHeader(encoded.slice(0, where % encoded.length))).toThrow('unknown form');
        expect(() => decodeHeader(Uint8Array.of(...encoded, 0))).toThrow('unknown form');
      }),
    );
    const encoded = encodeHeader(emptyHeader);
    expect(() => decodeHeader(Uint8Array.of(2, ...encoded.slice(1)))).toThrow('unknown form');
    expect(() => decodeHeader(Uint8Array.of(...encoded.slice(0, -1), 2))).toThrow('unknown form');
  });
});
