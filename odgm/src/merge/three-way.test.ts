import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changeHeader,
  deleteHeader,
  encodeMap,
  mergeObject,
  type MergePolicy,
  type ObjectHeader,
  type ObjectMerge,
  type ObjectThreeWay,
  type Register,
  type Stamp,
  writeRegister,
  zeroStamp,
} from './index.ts';

const at = (ms: number): Stamp => ({ ms, counter: 0, member: 1 });
const alive = changeHeader(undefined, { stamp: at(1), member: 1, replace: true });
const gone = deleteHeader(alive, at(5), 1);
const register = (ms: number, value: number | undefined): Register => ({
  stamp: at(ms),
  type: 'bytes',
  value: value === undefined ? undefined : Uint8Array.of(value),
});

function objectOf(
  entries: Record<string, [Register | undefined, Register | undefined, Register | undefined]>,
  headers: [ObjectHeader | undefined, ObjectHeader | undefined, ObjectHeader | undefined] = [alive, alive, alive],
  untouched = 0,
): ObjectThreeWay {
  const [base, ours, theirs] = headers;
  const held = Object.values(entries).filter((entry) => entry[1]?.value !== undefined).length;
  return {
    objectId: 'o',
    header: { base, ours, theirs },
    entries: new Map(Object.entries(entries).map(([key, [b, o, t]]) => [key, { base: b, ours: o, theirs: t }])),
    ourEntryCount: held + untouched,
  };
}

const puts = (merge: ObjectMerge): Record<string, number> =>
  Object.fromEntries([...merge.put].map(([key, { value }]) => [key, value?.[0] ?? -1]));

describe('a three-way merge of an object', () => {
  it('takes what theirs changed and ours did not, and leaves the rest', () => {
    const merge = mergeObject(
      objectOf({
        changed: [register(1, 1), register(1, 1), register(3, 2)],
        added: [undefined, undefined, register(3, 2)],
        removed: [register(1, 1), register(1, 1), register(3, undefined)],
        dropped: [register(1, 1), register(1, 1), undefined],
        both: [register(1, 1), register(2, 2), register(3, 2)],
        unchanged: [register(1, 1), register(2, 2), register(3, 1)],
        bothGone: [register(1, 1), undefined, register(3, undefined)],
      }),
      'list',
    );
    expect(puts(merge)).toEqual({ changed: 2, added: 2 });
    expect(merge.remove).toEqual(['removed', 'dropped']);
    expect(merge.conflicts).toEqual([]);
    expect(merge.outcome).toBe('change');
  });

  it.each<[MergePolicy, Record<string, number>, string[]]>([
    ['ours', {}, []],
    ['theirs', { edited: 3, revived: 3 }, ['removed']],
    ['latest', { edited: 3 }, ['removed']],
    ['list', {}, []],
  ])('names what both sides changed, and decides by the policy %s', (policy, put, remove) => {
    const merge = mergeObject(
      objectOf({
        edited: [register(1, 1), register(2, 2), register(3, 3)],
        removed: [register(1, 1), register(2, 2), register(3, undefined)],
        revived: [register(1, 1), register(4, undefined), register(3, 3)],
      }),
      policy,
    );
    expect(puts(merge)).toEqual(put);
    expect(merge.remove).toEqual(remove);
    expect(
      merge.conflicts.map(({ key, base, ours, theirs }) => [key, base?.value[0], ours?.value[0], theirs?.value[0]]),
    ).toEqual([
      ['edited', 1, 2, 3],
      ['removed', 1, 2, undefined],
      ['revived', 1, undefined, 3],
    ]);
  });

  it('takes the delete that took an entry away for its time, where the entry itself is gone', () => {
    const entries = { a: [register(1, 1), undefined, register(3, 3)] } as const;
    const late = mergeObject(objectOf({ a: [...entries.a] }, [alive, gone, alive]), 'latest');
    expect(late.outcome).toBe('none');
    const early = mergeObject(
      objectOf({ a: [register(1, 1), undefined, register(9, 3)] }, [alive, gone, alive]),
      'latest',
    );
    expect(puts(early)).toEqual({ a: 3 });
  });

  it('joins maps in our format instead of choosing', () => {
    const write = (held: Register | undefined, key: string, ms: number): Register => {
      const elements = new Map([[key, { stamp: zeroStamp, value: Uint8Array.of(ms) }]]);
      return writeRegister(
        held,
        { type: 'crdt-map', value: encodeMap({ cleared: zeroStamp, replace: false, elements }) },
        at(ms),
      );
    };
    const base = write(undefined, 'x', 1);
    const merge = mergeObject(objectOf({ m: [base, write(base, 'y', 2), write(base, 'z', 3)] }), 'list');
    expect(merge.conflicts).toEqual([]);
    expect(merge.put.get('m')).toEqual({ type: 'crdt-map', value: write(write(base, 'y', 2), 'z', 3).value });
  });

  it('carries the time at which a value expires, and takes another time for a change', () => {
    const until = (expiresAt: number | undefined): Register => ({ ...register(1, 1), expiresAt });
    const merge = mergeObject(objectOf({ a: [until(100), until(100), until(200)] }), 'list');
    expect(merge.put.get('a')?.expiresAt).toBe(200);
    const conflict = mergeObject(objectOf({ a: [until(100), until(undefined), until(200)] }), 'list').conflicts[0];
    expect([conflict?.base?.expiresAt, conflict?.ours?.expiresAt, conflict?.theirs?.expiresAt]).toEqual([
      100,
      undefined,
      200,
    ]);
  });

  it('deletes the object that theirs deleted only when nothing of ours is left in it', () => {
    const headers: [ObjectHeader, ObjectHeader, ObjectHeader] = [alive, alive, gone];
    const same = { a: [register(1, 1), register(1, 1), undefined] } as Parameters<typeof objectOf>[0];
    expect(mergeObject(objectOf(same, headers), 'list').outcome).toBe('delete');
    const kept = mergeObject(objectOf(same, headers, 1), 'list');
    expect([kept.outcome, kept.remove]).toEqual(['change', ['a']]);
    const edited = objectOf({ a: [register(1, 1), register(2, 2), undefined] }, headers);
    expect(mergeObject(edited, 'list')).toMatchObject({ outcome: 'none', conflicts: [{ key: 'a' }] });
    expect(mergeObject(edited, 'theirs').outcome).toBe('delete');
  });

  it('makes the object that theirs made, also an empty one', () => {
    expect(mergeObject(objectOf({}, [undefined, undefined, alive]), 'list').outcome).toBe('change');
    expect(mergeObject(objectOf({}, [undefined, alive, alive]), 'list').outcome).toBe('none');
    expect(mergeObject(objectOf({}, [alive, gone, alive]), 'theirs').outcome).toBe('none');
  });

  it('merges triggers as it does entries', () => {
    const withEvent = (ms: number, value: number): ObjectHeader =>
      changeHeader(alive, { stamp: at(ms), member: 1, replace: false, event: Uint8Array.of(value) });
    const taken = mergeObject(objectOf({}, [alive, alive, withEvent(3, 1)]), 'list');
    expect([taken.outcome, taken.event]).toEqual(['change', Uint8Array.of(1)]);
    const both = objectOf({}, [alive, withEvent(2, 2), withEvent(3, 1)]);
    expect(mergeObject(both, 'list')).toMatchObject({ outcome: 'none', conflicts: [{ key: undefined }] });
    expect(mergeObject(both, 'latest').event).toEqual(Uint8Array.of(1));
    const edited = objectOf({}, [alive, withEvent(2, 2), gone]);
    expect(mergeObject(edited, 'list').outcome).toBe('delete');
    expect(mergeObject(objectOf({}, [withEvent(2, 1), withEvent(3, 2), gone]), 'list').outcome).toBe('none');
  });

  it('under a policy that decides ends where that side alone would, for entries that both changed', () => {
    const value = fc.option(fc.nat({ max: 2 }), { nil: undefined });
    fc.assert(
      fc.property(value, value, value, (base, ours, theirs) => {
        const entry = objectOf({ a: [register(1, base), register(2, ours), register(3, theirs)] });
        const after = (policy: MergePolicy): number | undefined => {
          const merge = mergeObject(entry, policy);
          return merge.remove.length > 0 ? undefined : (merge.put.get('a')?.value?.[0] ?? ours);
        };
        const isOnlyTheirs = base === ours;
        const isOnlyOurs = base === theirs;
        expect(after('ours')).toBe(isOnlyTheirs ? theirs : ours);
        expect(after('theirs')).toBe(isOnlyOurs ? ours : theirs);
        expect(after('latest')).toBe(isOnlyOurs ? ours : theirs);
        const isConflict = !isOnlyOurs && !isOnlyTheirs && ours !== theirs;
        expect(mergeObject(entry, 'list').conflicts).toHaveLength(isConflict ? 1 : 0);
      }),
      { numRuns: 500 },
    );
  });
});
