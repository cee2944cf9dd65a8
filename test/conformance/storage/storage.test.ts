import { type Engine, prefixEnd, type Storage, type WriteOperation } from '@oaas/odgm/storage';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { candidates } from './candidates.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const put = (key: string, value: string): WriteOperation => ({ type: 'put', key: bytes(key), value: bytes(value) });
const del = (key: string): WriteOperation => ({ type: 'delete', key: bytes(key) });
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1');

function list(storage: Pick<Storage, 'range'>, start: string, end: string, limit?: number): string[] {
  const query = { start: bytes(start), end: bytes(end), limit };
  return [...storage.range(query)].map(({ key, value }) => `${text(key) ?? ''}=${text(value) ?? ''}`);
}

describe.each(candidates)('storage: $name', (candidate) => {
  let release = (): Promise<void> => Promise.resolve();
  const open = async (): Promise<Engine> => {
    const opened = await candidate.open();
    release = opened.release;
    return opened.engine;
  };
  afterEach(() => release());

  it('gives back what was written, and nothing for a key that was not', async () => {
    const storage = await open();
    await storage.write([put('a', '1'), put('b', '')]);
    expect(text(storage.get(bytes('a')))).toBe('1');
    expect(storage.get(bytes('b'))).toHaveLength(0);
    expect(storage.get(bytes('c'))).toBeUndefined();
  });

  it('lets the last operation on a key win within one batch', async () => {
    const storage = await open();
    await storage.write([put('a', '1'), del('a'), put('a', '2'), put('b', '1'), del('b')]);
    expect(list(storage, 'a', 'z')).toEqual(['a=2']);
  });

  it('takes the deletion of a missing key as done', async () => {
    const storage = await open();
    await storage.write([del('nothing')]);
    await storage.checkpoint();
    expect(storage.usage().entries).toBe(0);
  });

  it('orders keys by unsigned bytes, shorter before longer', async () => {
    const storage = await open();
    const keys = ['b', 'a', 'a\u0000', 'aa', '\u00ff', '\u0080', '\u007f', '\u0000'];
    await storage.write(keys.map((key) => put(key, '')));
    const found = [...storage.range({ start: bytes('\u0000'), end: bytes('\u00ff\u00ff') })].map(({ key }) =>
      text(key),
    );
    expect(found).toEqual(['\u0000', 'a', 'a\u0000', 'aa', 'b', '\u007f', '\u0080', '\u00ff']);
  });

  it('includes the start of a range, leaves out its end, and stops at the limit', async () => {
    const storage = await open();
    await storage.write(['a', 'b', 'c', 'd'].map((key) => put(key, key)));
    expect(list(storage, 'b', 'd')).toEqual(['b=b', 'c=c']);
    expect(list(storage, 'a', 'z', 2)).toEqual(['a=a', 'b=b']);
    expect(list(storage, 'a', 'z', 0)).toEqual([]);
    expect(list(storage, 'c', 'c')).toEqual([]);
  });

  it('keeps its own copy: bytes that a caller changes after it wrote them change nothing', async () => {
    const storage = await open();
    const value = bytes('before');
    await storage.write([{ type: 'put', key: bytes('k'), value }]);
    value.fill(0);
    expect(text(storage.get(bytes('k')))).toBe('before');
    expect(list(storage, 'a', 'z')).toEqual(['k=before']);
  });

  it('keeps a value from changing under its reader, whatever is read and written meanwhile', async () => {
    const storage = await open();
    await storage.write([put('a', 'first'), put('b', 'other')]);
    const a = storage.get(bytes('a'));
    const [listed] = storage.range({ start: bytes('a'), end: bytes('b') });
    storage.get(bytes('b'));
    await storage.write([put('a', 'later'), put('b', 'later')]);
    await storage.write([del('a')]);
    expect([text(a), text(listed?.value)]).toEqual(['first', 'first']);
  });

  it('shows a snapshot as it was, whatever is written later', async () => {
    const storage = await open();
    await storage.write([put('a', '1'), put('b', '1')]);
    const snapshot = storage.snapshot();
    await storage.write([put('a', '2'), del('b'), put('c', '2')]);
    expect(list(snapshot, 'a', 'z')).toEqual(['a=1', 'b=1']);
    expect(text(snapshot.get(bytes('a')))).toBe('1');
    expect(list(storage, 'a', 'z')).toEqual(['a=2', 'c=2']);
    snapshot.close();
  });

  it('applies batches that overlap whole and in the order of their calls', async () => {
    const storage = await open();
    const batches = Array.from({ length: 50 }, (_, i) => storage.write([put('x', String(i)), put('y', String(i))]));
    await Promise.all(batches);
    expect(list(storage, 'x', 'z')).toEqual(['x=49', 'y=49']);
  });

  it('holds values of several megabytes', async () => {
    const storage = await open();
    const value = Buffer.alloc(5 * 1024 * 1024, 7);
    await storage.write([{ type: 'put', key: bytes('big'), value }]);
    expect(Buffer.compare(storage.get(bytes('big')) ?? new Uint8Array(), value)).toBe(0);
  });

  it('counts entries', async () => {
    const storage = await open();
    await storage.write([put('a', '1'), put('b', '2')]);
    await storage.write([put('a', '3'), del('b'), put('c', '4')]);
    await storage.checkpoint();
    expect(storage.usage().entries).toBe(2);
    expect(storage.usage().bytes).toBeGreaterThan(0);
  });

  it('refuses writes once it is closed, and closes twice without harm', async () => {
    const storage = await open();
    await storage.close();
    await expect(storage.write([put('a', '1')])).rejects.toMatchObject({ code: 'Unavailable' });
    await storage.close();
  });

  it('agrees with a sorted map after any batches', async () => {
    const storage = await open();
    const operation = fc.record({
      key: fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom('a', 'b', '\u0000', '\u00ff') }),
      value: fc.option(fc.string({ maxLength: 3, unit: fc.constantFrom('x', 'y') })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(operation, { maxLength: 8 }), { maxLength: 6 }), async (batches) => {
        const everything = { start: bytes('\u0000'), end: bytes('\u00ff\u00ff\u00ff\u00ff') };
        await storage.write([...storage.range(everything)].map(({ key }) => ({ type: 'delete', key })));
        const model = new Map<string, string>();
        for (const batch of batches) {
          await storage.write(batch.map(({ key, value }) => (value === null ? del(key) : put(key, value))));
          for (const { key, value } of batch) {
            if (value === null) model.delete(key);
            else model.set(key, value);
          }
        }
        const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
        const found = [...storage.range(everything)].map(({ key, value }) => `${text(key) ?? ''}=${text(value) ?? ''}`);
        expect(found).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe('prefixEnd', () => {
  it('is the first key after all keys with the prefix', () => {
    const prefix = Buffer.from([1, 2, 0xff]);
    expect([...prefixEnd(prefix)]).toEqual([1, 3]);
    expect([...prefix]).toEqual([1, 2, 0xff]);
  });
});
