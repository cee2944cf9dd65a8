import { describe, expect, it } from 'vitest';
import {
  admitRegister,
  admitsHeader,
  adoptCut,
  advanceReaping,
  changeHeader,
  deleteHeader,
  encodeMap,
  initialReaping,
  isHeaderReapable,
  isReapable,
  mapOf,
  reapedOf,
  reapMap,
  type Register,
  type ReplicaProgress,
  type Stamp,
  zeroStamp,
} from './index.ts';

const at = (ms: number, member = 1): Stamp => ({ ms, counter: 0, member });
const progress = (pulled: number, pushed: number, member = 2): ReplicaProgress => ({
  member,
  pulled: at(pulled, member),
  pushed: at(pushed),
});
const mapRegister = (elements: Record<string, [number, number | undefined]>): Register => ({
  stamp: at(9),
  type: 'crdt-map',
  value: encodeMap({
    cleared: zeroStamp,
    replace: false,
    elements: new Map(
      Object.entries(elements).map(([key, [ms, value]]) => [
        key,
        { stamp: at(ms), value: value === undefined ? undefined : Uint8Array.of(value) },
      ]),
    ),
  }),
});
const keysOf = (register: Register | undefined): string[] => [
  ...((register && mapOf(register)?.elements.keys()) ?? []),
];

describe('the cut up to which tombstones may go', () => {
  it('is reached when all is here, and then everywhere', () => {
    const asked = advanceReaping(initialReaping, [progress(500, 400), progress(300, 450, 3)], at(600), 0);
    expect(asked).toEqual({ cut: zeroStamp, candidate: { cut: at(300, 0), at: at(600) } });
    expect(advanceReaping(asked, [progress(700, 650), progress(700, 599, 3)], at(800), 0)).toEqual(asked);
    const reached = advanceReaping(asked, [progress(700, 650), progress(700, 600, 3)], at(800), 0);
    expect(reached).toEqual({ cut: at(300, 0), candidate: undefined });
    expect(advanceReaping(reached, [progress(300, 900), progress(300, 900, 3)], at(900), 0)).toEqual({
      cut: at(300, 0),
      candidate: undefined,
    });
  });

  it('waits for a replica that is away, however long', () => {
    const away: ReplicaProgress = { member: 3, pulled: zeroStamp, pushed: zeroStamp };
    expect(advanceReaping(initialReaping, [progress(500, 500), away], at(10 ** 12), 0)).toEqual(initialReaping);
    const asked = advanceReaping(initialReaping, [progress(500, 400)], at(600), 0);
    expect(advanceReaping(asked, [progress(900, 900), away], at(1000), 0)).toEqual(asked);
  });

  it('stays behind by the time of grace', () => {
    const { candidate } = advanceReaping(initialReaping, [progress(5000, 5000)], at(5000), 4000);
    expect(candidate?.cut.ms).toBe(1000);
    // By that of the earliest state, not only by its own clock: a replica lets in what is younger than that at any time.
    expect(advanceReaping(initialReaping, [progress(3000, 3000)], at(9000), 1000).candidate?.cut.ms).toBe(2000);
    expect(advanceReaping(initialReaping, [progress(5000, 5000)], at(3000), 4000)).toEqual(initialReaping);
    expect(advanceReaping(initialReaping, [progress(5000, 5000)], at(600_000))).toEqual(initialReaping);
  });

  it('follows the clock alone where there is one replica', () => {
    const asked = advanceReaping(initialReaping, [], at(5000), 1000);
    expect(advanceReaping(asked, [], at(5001), 1000).cut.ms).toBe(4000);
  });

  it('is taken over from another replica, never back', () => {
    expect(adoptCut(initialReaping, at(5)).cut).toEqual(at(5));
    expect(adoptCut({ cut: at(7), candidate: undefined }, at(5)).cut).toEqual(at(7));
  });
});

describe('at the cut', () => {
  const value: Register = { stamp: at(5), type: 'bytes', value: Uint8Array.of(1) };
  const tombstone: Register = { ...value, value: undefined };

  it('tombstones go, values stay, younger tombstones too', () => {
    expect(isReapable(tombstone, at(5))).toBe(true);
    expect(isReapable(tombstone, at(4))).toBe(false);
    expect(isReapable(value, at(5))).toBe(false);
    expect(keysOf(reapMap(mapRegister({ a: [3, undefined], b: [3, 1], c: [8, undefined] }), at(5)))).toEqual([
      'b',
      'c',
    ]);
    expect(reapMap(value, at(9))).toBe(value);
  });

  it('headers of deleted objects go, of others not', () => {
    const alive = changeHeader(undefined, { stamp: at(1), member: 1, replace: true });
    const gone = deleteHeader(alive, at(5), 1);
    expect([alive, gone].map((header) => isHeaderReapable(header, at(5)))).toEqual([false, true]);
    expect(isHeaderReapable(gone, at(4))).toBe(false);
  });

  it('what is kept out of a map was taken away as a whole, where all that stays is later', () => {
    const incoming = mapRegister({ a: [3, 1], b: [4, 1], c: [8, 1] });
    expect(reapedOf(incoming, undefined, at(5))).toEqual({ ...tombstone, stamp: at(4), expiresAt: undefined });
    expect(reapedOf(incoming, mapRegister({ d: [7, 1] }), at(5))?.stamp).toEqual(at(4));
    expect(reapedOf(incoming, mapRegister({ b: [4, 1] }), at(5))?.stamp).toEqual(at(3));
    expect(reapedOf(incoming, mapRegister({ d: [2, 1] }), at(5))).toBeUndefined();
    expect(reapedOf(incoming, undefined, at(2))).toBeUndefined();
    expect(reapedOf(mapRegister({ a: [3, undefined], c: [8, 1] }), undefined, at(5))).toBeUndefined();
    expect(reapedOf(incoming, value, at(5))).toBeUndefined();
    expect(reapedOf(incoming, { ...mapRegister({}), stamp: at(2) }, at(5))).toBeUndefined();
  });

  it('what is older and not here is not let in again', () => {
    expect(admitRegister(value, undefined, at(5))).toBeUndefined();
    expect(admitRegister(value, undefined, at(4))).toBe(value);
    expect(admitRegister(value, tombstone, at(5))).toBe(value);
    const incoming = mapRegister({ a: [3, 1], b: [3, 1], c: [8, 1] });
    expect(keysOf(admitRegister(incoming, mapRegister({ b: [2, 1] }), at(5)))).toEqual(['b', 'c']);
    expect(keysOf(admitRegister(incoming, undefined, at(5)))).toEqual(['c']);
    expect(admitRegister(incoming, undefined, at(2))).toBe(incoming);
    const header = changeHeader(undefined, { stamp: at(5), member: 1, replace: true });
    expect(admitsHeader(header, undefined, at(5))).toBe(false);
    expect(admitsHeader(header, undefined, at(4))).toBe(true);
    expect(admitsHeader(header, header, at(5))).toBe(true);
  });
});
