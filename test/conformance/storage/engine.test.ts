import type { Engine, GroupLog, LogEntry, WriteOperation } from '@oaas/odgm/storage';
import { afterEach, describe, expect, it } from 'vitest';
import { candidates } from './candidates.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const put = (key: string, value: string): WriteOperation => ({ type: 'put', key: bytes(key), value: bytes(value) });
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();

/** Entries first..first+count-1 of a term; what they say names both. */
const entries = (first: number, count: number, term: number, size = 0): LogEntry[] =>
  Array.from({ length: count }, (_, i) => ({
    index: first + i,
    term,
    type: 0,
    data: bytes(`${String(term)}/${String(first + i)}${'.'.repeat(size)}`),
  }));

const said = (log: GroupLog, lo = log.firstIndex, hi = log.lastIndex + 1): string[] =>
  log.entries(lo, hi, Infinity).map(({ data }) => Buffer.from(data).toString().replace(/\.+$/, ''));

describe.each(candidates)('engine: $name', (candidate) => {
  let release = (): Promise<void> => Promise.resolve();
  const open = async (): Promise<Engine> => {
    const opened = await candidate.open();
    release = opened.release;
    return opened.engine;
  };
  afterEach(() => release());

  describe('the log of a group', () => {
    it('is empty at first, and asking for it stores nothing', async () => {
      const engine = await open();
      const log = engine.log(3);
      expect([log.firstIndex, log.lastIndex, log.bytes]).toEqual([1, 0, 0]);
      expect(log.truncated).toEqual({ index: 0, term: 0 });
      expect(log.hardState).toEqual({ term: 0, vote: 0, commit: 0 });
      expect(log.term(0)).toBe(0);
      expect(log.term(1)).toBeUndefined();
      expect(log.entries(1, 1, 100)).toEqual([]);
      expect(engine.groups()).toEqual([]);
    });

    it('gives entries back with term, index, type and data', async () => {
      const engine = await open();
      const given: LogEntry[] = [
        { index: 1, term: 1, type: 0, data: bytes('') },
        { index: 2, term: 1, type: 1, data: bytes('b') },
        { index: 3, term: 4, type: 2, data: Buffer.alloc(100_000, 3) },
      ];
      await engine.append([{ group: 1, entries: given, hardState: { term: 4, vote: 2, commit: 1 } }]);
      const log = engine.log(1);
      const found = log.entries(1, 4, Infinity);
      expect(found.map(({ index, term, type }) => [index, term, type])).toEqual([
        [1, 1, 0],
        [2, 1, 1],
        [3, 4, 2],
      ]);
      expect(found.map(({ data }, i) => Buffer.compare(data, given[i]?.data ?? bytes('?')))).toEqual([0, 0, 0]);
      expect([1, 2, 3, 4].map((index) => log.term(index))).toEqual([1, 1, 4, undefined]);
      expect(log.hardState).toEqual({ term: 4, vote: 2, commit: 1 });
      expect(log.bytes).toBe(100_001);
    });

    it('ends an answer at its bytes, but never before the first entry', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: entries(1, 10, 1, 97) }]);
      const log = engine.log(1);
      expect(log.entries(1, 11, 300).map(({ index }) => index)).toEqual([1, 2, 3]);
      expect(log.entries(4, 11, 0).map(({ index }) => index)).toEqual([4]);
      expect(log.entries(4, 6, Infinity).map(({ index }) => index)).toEqual([4, 5]);
    });

    it('refuses to answer for entries that it does not have', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: entries(1, 5, 1) }]);
      engine.compact(1, 2);
      const log = engine.log(1);
      expect(() => log.entries(2, 4, 100)).toThrow(RangeError);
      expect(() => log.entries(3, 7, 100)).toThrow(RangeError);
      expect(() => log.entries(5, 4, 100)).toThrow(RangeError);
      expect(log.entries(6, 6, 100)).toEqual([]);
    });

    it('takes new entries in place of the ones from their first index on', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: entries(1, 6, 1) }]);
      await engine.append([{ group: 1, entries: entries(4, 1, 2) }]);
      const log = engine.log(1);
      expect(said(log)).toEqual(['1/1', '1/2', '1/3', '2/4']);
      expect(log.term(5)).toBeUndefined();
      await engine.append([{ group: 1, entries: entries(1, 2, 3) }]);
      expect(said(log)).toEqual(['3/1', '3/2']);
      expect(log.bytes).toBe(6);
    });

    it('keeps the calls that overlap in their order', async () => {
      const engine = await open();
      const calls = Array.from({ length: 200 }, (_, i) => engine.append([{ group: 1, entries: entries(i + 1, 1, 1) }]));
      const done: number[] = [];
      calls.forEach((call, i) => void call.then(() => done.push(i)));
      await Promise.all(calls);
      expect(done).toEqual(Array.from({ length: 200 }, (_, i) => i));
      expect(said(engine.log(1))).toEqual(entries(1, 200, 1).map(({ data }) => Buffer.from(data).toString()));
    });

    it('refuses entries that leave a gap, and takes the ones that fit afterwards', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: entries(1, 2, 1) }]);
      const refused = { code: 'InvalidArgument' };
      await expect(engine.append([{ group: 1, entries: entries(4, 1, 1) }])).rejects.toMatchObject(refused);
      const [first, , third] = entries(3, 3, 1) as [LogEntry, LogEntry, LogEntry];
      await expect(engine.append([{ group: 1, entries: [first, third] }])).rejects.toMatchObject(refused);
      await expect(engine.append([{ group: -1, entries: [] }])).rejects.toMatchObject(refused);
      await expect(engine.append([{ group: 1.5, entries: [] }])).rejects.toMatchObject(refused);
      await engine.append([{ group: 1, entries: entries(3, 1, 1) }]);
      expect(engine.log(1).lastIndex).toBe(3);
    });

    it('refuses a call as a whole', async () => {
      const engine = await open();
      const call = engine.append([
        { group: 1, entries: entries(1, 1, 1) },
        { group: 2, entries: entries(9, 1, 1) },
      ]);
      await expect(call).rejects.toMatchObject({ code: 'InvalidArgument' });
      expect(engine.groups()).toEqual([]);
      expect(engine.log(1).lastIndex).toBe(0);
    });

    it('takes several writes of one group in one call, each on top of the one before', async () => {
      const engine = await open();
      await engine.append([
        { group: 1, entries: entries(1, 3, 1) },
        { group: 1, entries: entries(2, 1, 2) },
        { group: 1, entries: entries(3, 1, 2) },
      ]);
      expect(said(engine.log(1))).toEqual(['1/1', '2/2', '2/3']);
    });

    it('forgets entries on request, and still knows the term of the last one', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: [...entries(1, 4, 1), ...entries(5, 4, 2)] }]);
      engine.compact(1, 6);
      const log = engine.log(1);
      expect([log.firstIndex, log.lastIndex]).toEqual([7, 8]);
      expect(log.truncated).toEqual({ index: 6, term: 2 });
      expect(log.term(6)).toBe(2);
      expect(log.term(5)).toBeUndefined();
      expect(said(log)).toEqual(['2/7', '2/8']);
      // What is behind or ahead does nothing.
      engine.compact(1, 3);
      engine.compact(1, 99);
      engine.compact(5, 1);
      expect(log.firstIndex).toBe(7);
      engine.compact(1, 8);
      expect([log.firstIndex, log.lastIndex, log.bytes]).toEqual([9, 8, 0]);
      await engine.append([{ group: 1, entries: entries(9, 1, 3) }]);
      expect(said(log)).toEqual(['3/9']);
    });

    it('begins anew behind a snapshot, together with its state', async () => {
      const engine = await open();
      await engine.append([{ group: 1, entries: entries(1, 5, 1) }]);
      const reset = { index: 100, term: 7 };
      await engine.append([{ group: 1, reset, entries: entries(101, 2, 7) }], [put('applied', '100')]);
      const log = engine.log(1);
      expect(log.truncated).toEqual(reset);
      expect(said(log)).toEqual(['7/101', '7/102']);
      expect(log.term(100)).toBe(7);
      expect(text(engine.get(bytes('applied')))).toBe('100');
    });

    it('is gone with its group, which may begin anew', async () => {
      const engine = await open();
      await engine.append([
        { group: 1, entries: entries(1, 5, 1), hardState: { term: 1, vote: 1, commit: 0 } },
        { group: 2, entries: entries(1, 1, 1) },
      ]);
      const dropped = engine.dropGroup(1);
      const anew = engine.append([{ group: 1, entries: entries(1, 1, 9) }]);
      await dropped;
      await anew;
      expect(said(engine.log(1))).toEqual(['9/1']);
      expect(engine.log(1).hardState.term).toBe(0);
      await engine.dropGroup(1);
      await engine.dropGroup(77);
      expect(engine.groups()).toEqual([2]);
      expect(engine.log(1).lastIndex).toBe(0);
    });

    it('is read whole however long it is, and in whatever runs it was written', async () => {
      const engine = await open();
      const expected: string[] = [];
      for (let next = 1; next < 600;) {
        const count = 1 + (next % 7);
        const added = entries(next, count, 1 + Math.floor(next / 50), 200);
        expected.push(...added.map(({ data }) => Buffer.from(data).toString().replace(/\.+$/, '')));
        await engine.append([{ group: 1, entries: added }]);
        next += count;
      }
      const log = engine.log(1);
      expect(said(log)).toEqual(expected);
      expect(said(log, 123, 130)).toEqual(expected.slice(122, 129));
      engine.compact(1, 321);
      expect(said(log)).toEqual(expected.slice(321));
    });

    it('keeps thousands of groups apart', async () => {
      const engine = await open();
      const groups = Array.from({ length: 2000 }, (_, i) => i * 3);
      await engine.append(groups.map((group) => ({ group, entries: entries(1, 2, group) })));
      expect(engine.groups()).toEqual(groups);
      expect(said(engine.log(2997))).toEqual(['2997/1', '2997/2']);
      expect(engine.status().groups).toBe(2000);
    });
  });

  describe('apply', () => {
    it('shows its changes at once, over what was written before', async () => {
      const engine = await open();
      await engine.write([put('a', 'written'), put('b', 'written'), put('c', 'written')]);
      await engine.checkpoint();
      engine.apply([put('a', 'applied'), { type: 'delete', key: bytes('b') }, put('d', 'applied')]);
      expect(['a', 'b', 'c', 'd'].map((key) => text(engine.get(bytes(key))))).toEqual([
        'applied',
        undefined,
        'written',
        'applied',
      ]);
      const found = [...engine.range({ start: bytes('a'), end: bytes('z') })];
      expect(found.map(({ key, value }) => `${text(key) ?? ''}=${text(value) ?? ''}`)).toEqual([
        'a=applied',
        'c=written',
        'd=applied',
      ]);
      expect([...engine.range({ start: bytes('a'), end: bytes('z'), limit: 2 })].map(({ key }) => text(key))).toEqual([
        'a',
        'c',
      ]);
    });

    it('does not change a snapshot, not even when its changes move to the base meanwhile', async () => {
      const engine = await open();
      const keys = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, '0')}`);
      await engine.write(keys.map((key) => put(key, 'old')));
      engine.apply([put('k000', 'newer')]);
      const snapshot = engine.snapshot();
      for (const key of keys) engine.apply([put(key, 'new'), put(`${key}+`, 'new')]);
      await engine.checkpoint();
      engine.apply(keys.map((key) => ({ type: 'delete', key: bytes(key) })));
      await engine.checkpoint();
      const found = [...snapshot.range({ start: bytes('k'), end: bytes('l') })];
      expect(found.map(({ key }) => text(key))).toEqual(keys);
      expect(found.map(({ value }) => text(value))).toEqual(keys.map((key) => (key === 'k000' ? 'newer' : 'old')));
      expect(text(snapshot.get(bytes('k001')))).toBe('old');
      snapshot.close();
      snapshot.close();
      expect([...engine.range({ start: bytes('k'), end: bytes('l') })]).toHaveLength(300);
    });

    it('may be called while a range is read', async () => {
      const engine = await open();
      engine.apply(Array.from({ length: 600 }, (_, i) => put(`k${String(i).padStart(3, '0')}`, 'v')));
      let seen = 0;
      for (const { key } of engine.range({ start: bytes('k'), end: bytes('l') })) {
        engine.apply([{ type: 'delete', key }]);
        seen += 1;
      }
      expect(seen).toBe(600);
      expect([...engine.range({ start: bytes('k'), end: bytes('l') })]).toEqual([]);
    });
  });

  it('refuses keys that no engine can hold, and does nothing of the call', async () => {
    const engine = await open();
    for (const key of [Buffer.alloc(0), Buffer.alloc(1979, 1)]) {
      const operations: WriteOperation[] = [put('a', '1'), { type: 'put', key, value: bytes('x') }];
      await expect(engine.write(operations)).rejects.toMatchObject({ code: 'InvalidArgument' });
      expect(() => {
        engine.apply(operations);
      }).toThrow('cannot be stored');
    }
    expect(engine.get(bytes('a'))).toBeUndefined();
    const longest = Buffer.alloc(1978, 1);
    await engine.write([{ type: 'put', key: longest, value: bytes('x') }]);
    await engine.checkpoint();
    expect(text(engine.get(longest))).toBe('x');
  });

  it('looks through stored values piece by piece and finds nothing wrong with them', async () => {
    const engine = await open();
    await engine.write(Array.from({ length: 100 }, (_, i) => put(`k${String(i)}`, 'x'.repeat(1000))));
    await engine.checkpoint();
    let entryCount = 0;
    let start: Uint8Array | undefined = bytes('k');
    while (start !== undefined) {
      const slice = engine.scrub({ start, end: bytes('l'), maxBytes: 10_000 });
      expect(slice.bad).toEqual([]);
      expect(slice.bytes).toBeLessThan(12_000);
      entryCount += slice.entries;
      start = slice.next;
    }
    // An engine in memory stores nothing that could be damaged.
    expect(entryCount).toBe(engine.isDurable ? 100 : 0);
  });

  it('takes nothing once it is closed', async () => {
    const engine = await open();
    await engine.close();
    const refused = { code: 'Unavailable' };
    await expect(engine.append([{ group: 1, entries: entries(1, 1, 1) }])).rejects.toMatchObject(refused);
    expect(() => {
      engine.apply([put('a', '1')]);
    }).toThrow('closed');
  });
});
