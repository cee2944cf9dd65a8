import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryEngine } from '../storage/memory.ts';
import type { WriteOperation } from '../storage/index.ts';
import { applyMutation } from './apply.ts';
import { ContentHash, rootOf } from './content-hash.ts';
import { contentOf, ContentScan } from './content-scan.ts';
import { defaultLimits, type Mutation, type Value } from './model.ts';
import { decodeTotals, encodeTotals, entryKey, expiryKey, metaKey, type ShardTotals, totalsKey } from './records.ts';
import { ShardTransaction } from './transaction.ts';

const location = { shard: 7, generation: 3 };
const none: ShardTotals = {
  counters: { objects: 0, entries: 0, bytes: 0 },
  content: { high: 0, low: 0 },
};

const id = fc.constantFrom('o', 'p', 'o.p');
const key = fc.constantFrom('a', 'b', 'c', 'a.a');
const value: fc.Arbitrary<Value> = fc.record({
  data: fc.constantFrom('', '1', '22', 'x'.repeat(3000), 'y'.repeat(3000)).map((text) => Buffer.from(text)),
  type: fc.constantFrom('bytes', 'crdt-map'),
  expiresAt: fc.option(fc.constantFrom(5, 6), { nil: undefined, freq: 3 }),
});
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('change' as const),
      objectId: id,
      put: fc.array(fc.tuple(key, value), { maxLength: 4 }).map((entries) => new Map(entries)),
      remove: fc.array(key, { maxLength: 3 }),
      replace: fc.boolean(),
      event: fc.option(fc.constantFrom(Buffer.from('t'), Buffer.from('u')), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), objectId: id }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('expire' as const),
      entries: fc.array(fc.record({ objectId: id, key, expiresAt: fc.constantFrom(5, 6) }), { maxLength: 3 }),
    }),
  },
);

type MemoryEngine = ReturnType<typeof createMemoryEngine>;

function applyAll(engine: MemoryEngine, totals: ShardTotals, mutations: readonly Mutation[]): ShardTotals {
  const transaction = new ShardTransaction(engine, location, totals);
  for (const one of mutations) applyMutation(transaction, one, defaultLimits);
  engine.apply(transaction.operations());
  return transaction.totals;
}

const change = (objectId: string, put: Record<string, string>): Mutation => ({
  type: 'change',
  objectId,
  put: new Map(Object.entries(put).map(([name, text]) => [name, { data: Buffer.from(text), type: 'bytes' }])),
  remove: [],
  replace: false,
});

function scanned(engine: MemoryEngine, maxBytes = Infinity): ContentScan {
  const scan = new ContentScan(engine, location);
  while (!scan.isDone) scan.read(maxBytes);
  return scan;
}

describe('the hash of the content', () => {
  it('equals the one computed from the stored records, after any mutations in any groups, and so do the counters', () => {
    fc.assert(
      fc.property(fc.array(fc.array(mutation, { maxLength: 5 }), { maxLength: 8 }), fc.nat(2000), (groups, slice) => {
        const engine = createMemoryEngine();
        let totals = none;
        for (const group of groups) {
          totals = applyAll(engine, totals, group);
          const scan = scanned(engine, slice + 1);
          expect(scan.content).toEqual(totals.content);
          expect(scan.counters).toEqual(totals.counters);
          expect(scan.problem).toBeUndefined();
          expect(scan.bad).toEqual([]);
          const stored = decodeTotals(engine.get(totalsKey(location)));
          expect(stored).toEqual(totals);
        }
        let [high, low] = [0, 0];
        const { buckets } = scanned(engine);
        for (let i = 0; i < buckets.length; i += 2) {
          high = (high + (buckets[i] ?? 0)) | 0;
          low = (low + (buckets[i + 1] ?? 0)) | 0;
        }
        expect({ high, low }).toEqual(totals.content);
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on how a state came to be, apart from the versions', () => {
    const [one, other] = [createMemoryEngine(), createMemoryEngine()];
    const first = applyAll(one, none, [change('o', { a: '1' }), change('p', { b: '2' })]);
    const second = applyAll(other, none, [
      change('p', { b: '2' }),
      change('q', { c: '3' }),
      change('o', { a: '1' }),
      { type: 'delete', objectId: 'q' },
    ]);
    expect(first.content).toEqual(second.content);
  });

  it.each<[string, readonly Mutation[]]>([
    ['a value', [change('o', { a: '2', b: 'x' })]],
    ['a key', [change('o', { c: '1', b: 'x' })]],
    ['the object that has it', [change('oa', { '.': '1', b: 'x' })]],
    ['values that changed places', [change('o', { a: 'x', b: '1' })]],
    ['a version', [change('o', { a: '0', b: 'x' }), change('o', { a: '1' })]],
    ['one entry more', [change('o', { a: '1', b: 'x', c: '' })]],
  ])('is another one where %s differs', (_what, mutations) => {
    const base = applyAll(createMemoryEngine(), none, [change('o', { a: '1', b: 'x' })]);
    expect(rootOf(applyAll(createMemoryEngine(), none, mutations).content)).not.toBe(rootOf(base.content));
  });

  it('is another one where the type, the expiry or the triggers differ', () => {
    const roots = [
      { type: 'bytes' as const, expiresAt: undefined, event: undefined },
      { type: 'crdt-map' as const, expiresAt: undefined, event: undefined },
      { type: 'bytes' as const, expiresAt: 5, event: undefined },
      { type: 'bytes' as const, expiresAt: undefined, event: Buffer.from('t') },
    ].map(({ type, expiresAt, event }) => {
      const put = new Map([['a', { data: Buffer.from('1'), type, expiresAt }]]);
      return rootOf(applyAll(createMemoryEngine(), none, [{ ...change('o', {}), put, event } as Mutation]).content);
    });
    expect(new Set(roots).size).toBe(4);
  });

  it('has no two equal ones among many small contents that are alike', () => {
    const roots = new Set<string>();
    const buckets = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const hash = new ContentHash();
      hash.object(`o${String(i % 200)}`);
      hash.addEntry(`k${String(i % 10)}`, { data: Buffer.from(String(Math.floor(i / 200))), type: 'bytes' });
      hash.addMeta({ version: (i % 7) + 1, entryCount: 1, bytes: i });
      roots.add(rootOf(hash.sum));
      buckets.add(hash.bucket);
    }
    expect(roots.size).toBe(20_000);
    expect(buckets.size).toBeGreaterThan(150);
  });

  it('is computed anew when the stored one is of another version', () => {
    const engine = createMemoryEngine();
    const totals = applyAll(engine, none, [change('o', { a: '1' })]);
    const record = encodeTotals(totals);
    record[25] = 99;
    expect(decodeTotals(record)).toEqual({ counters: totals.counters, content: undefined });
    expect(contentOf(engine, location)).toEqual(totals.content);
  });
});

describe('a scan of the stored records', () => {
  const big = 'x'.repeat(5000);
  const build = (): { engine: MemoryEngine; totals: ShardTotals } => {
    const engine = createMemoryEngine();
    const put = new Map([['t', { data: Buffer.from('1'), type: 'bytes' as const, expiresAt: 9 }]]);
    const totals = applyAll(engine, none, [
      change('small', { a: '1' }),
      change('big', { a: big, b: big }),
      { ...change('late', {}), put } as Mutation,
    ]);
    return { engine, totals };
  };
  const tamper = (engine: MemoryEngine, operation: WriteOperation): ContentScan => {
    engine.apply([operation]);
    return scanned(engine);
  };

  it('names a record that cannot be read by object and key, and goes on behind it', () => {
    const { engine } = build();
    const broken = Buffer.from([0xff]);
    engine.apply([
      { type: 'put', key: entryKey(location, 'big', 'a'), value: broken },
      { type: 'put', key: metaKey(location, 'small'), value: broken },
    ]);
    const scan = scanned(engine, 1);
    expect(scan.bad).toEqual([
      { objectId: 'small', key: '' },
      { objectId: 'big', key: 'a' },
    ]);
    expect(scan.counters).toEqual({ objects: 2, entries: 2, bytes: 3 + 1 + 5000 + 4 + 2 });
  });

  it('sees an entry that is gone, counters that are off, and a list of times that does not fit', () => {
    const first = build();
    const lost = tamper(first.engine, { type: 'delete', key: entryKey(location, 'big', 'b') });
    expect(lost.content).not.toEqual(first.totals.content);
    expect(lost.problem).toContain('counters');
    const second = build();
    const timeless = tamper(second.engine, { type: 'delete', key: expiryKey(location, 9, 'late', 't') });
    expect(timeless.content).toEqual(second.totals.content);
    expect(timeless.problem).toContain('list of times');
  });

  it('lists the hashes of the objects in the buckets that differ', () => {
    const [first, second] = [build(), build()];
    applyAll(second.engine, second.totals, [change('big', { b: 'y' })]);
    const [one, other] = [scanned(first.engine), scanned(second.engine)];
    const differing = [...one.buckets.keys()].filter((at) => one.buckets[at] !== other.buckets[at]);
    const wanted = new Set(differing.map((at) => at >> 1));
    expect(wanted.size).toBe(1);
    const lists = [first, second].map(({ engine }) => {
      const scan = new ContentScan(engine, location, wanted);
      scan.read(Infinity);
      return scan.listed;
    });
    expect(lists[0]?.has('big')).toBe(true);
    expect(lists[0]?.get('big')).not.toEqual(lists[1]?.get('big'));
  });
});
