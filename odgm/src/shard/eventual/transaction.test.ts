import { isOaasError } from '@oaas/commons/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventualGrid, put } from '../../../testkit/eventual.ts';
import { encodeMap, decodeMap, zeroStamp } from '../../merge/index.ts';
import type { EventualShard, Mutation } from '../index.ts';
import { contentOf } from '../content-scan.ts';
import { decodeTotals, totalsKey } from '../records.ts';
import type { StorageReader } from '../../storage/index.ts';
import { MergingScan } from './merging-scan.ts';
import { treeKeyOf } from './records.ts';
import { leafOf } from './tree-index.ts';

interface Bench {
  readonly grid: EventualGrid;
  readonly shards: readonly EventualShard[];
  /** Mutations at once; gives what became of each. */
  readonly all: (mutations: readonly Mutation[], at?: number) => Promise<readonly unknown[]>;
}

async function bench(replicas = 1, graceMs?: number): Promise<Bench> {
  const grid = new EventualGrid({ seed: 9, replicas, graceMs });
  grid.start();
  await grid.world.run(300);
  const { shards } = grid;
  const all: Bench['all'] = async (mutations, at = 0) => {
    const outcomes = mutations.map((one) =>
      shards[at]!.mutate(one).catch((error: unknown) => {
        if (isOaasError(error, 'VersionConflict')) return 'conflict';
        throw error;
      }),
    );
    await grid.world.run(20);
    return Promise.all(outcomes);
  };
  return { grid, shards, all };
}

interface Step {
  readonly kind: 'set' | 'change' | 'delete';
  readonly id: string;
  readonly put: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  readonly expected: number | undefined;
}

const key = fc.constantFrom('a', 'b', 'c', 'a.a');
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('set', 'change', 'change', 'delete'),
  id: fc.constantFrom('o', 'p', 'o.p'),
  put: fc.dictionary(key, fc.constantFrom('', '1', '22', 'x'.repeat(3000), 'y'.repeat(3000)), { maxKeys: 4 }),
  remove: fc.array(key, { maxLength: 3 }),
  expected: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 4 }),
});

/** Plain maps, one mutation after the other. Versions go on counting over a delete. */
class Model {
  readonly objects = new Map<string, { count: number; entries: Map<string, string> | undefined }>();

  apply({ kind, id, put: entries, remove, expected }: Step): unknown {
    const { count, entries: before } = this.objects.get(id) ?? { count: 0, entries: undefined };
    const current = before === undefined ? 0 : count;
    if (expected !== undefined && expected !== current) return 'conflict';
    if (kind === 'delete') {
      if (before !== undefined) this.objects.set(id, { count: count + 1, entries: undefined });
      return { version: 0, changed: before !== undefined };
    }
    const after = new Map(kind === 'set' ? [] : before);
    if (kind === 'change') for (const name of remove) after.delete(name);
    for (const [name, text] of Object.entries(entries)) after.set(name, text);
    const isSame = before !== undefined && textOf(before) === textOf(after);
    if (isSame || (before === undefined && kind === 'change' && after.size === 0)) {
      return { version: current, changed: false };
    }
    this.objects.set(id, { count: count + 1, entries: after });
    return { version: count + 1, changed: true };
  }
}

function textOf(entries: ReadonlyMap<string, string>): string {
  return JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function mutationOf({ kind, id, put: entries, remove, expected }: Step): Mutation {
  if (kind === 'delete') return { type: 'delete', objectId: id, expectedVersion: expected };
  return { ...put(id, entries, kind === 'set'), remove: kind === 'set' ? [] : remove, expectedVersion: expected };
}

describe('one replica', () => {
  it('answers and ends as the model does, however mutations fall into groups, and counts what it has', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 6 }), async (groups) => {
        const { shards, all, grid } = await bench();
        const shard = shards[0]!;
        const model = new Model();
        for (const group of groups) {
          const expected = group.map((one) => model.apply(one));
          expect(await all(group.map(mutationOf))).toEqual(expected);
        }
        let entries = 0;
        for (const [id, object] of model.objects) {
          const found = shard.reader.object(id);
          const texts =
            found && new Map([...found.entries].map(([name, { data }]) => [name, Buffer.from(data).toString()]));
          expect(texts && textOf(texts)).toBe(object.entries && textOf(object.entries));
          if (object.entries !== undefined) expect(found?.meta.version).toBe(object.count);
          entries += object.entries?.size ?? 0;
        }
        expect(shard.counters.entries).toBe(entries);
        const { disk } = grid.member(1);
        const stored = decodeTotals(disk.get(totalsKey(shard.location)));
        expect(stored.counters).toEqual(shard.counters);
        expect(stored.content).toEqual(contentOf(disk, shard.location));
        expect(damageOf(disk, shard)).toEqual([]);
      }),
      { numRuns: 120 },
    );
  });

  it('begins a map anew with a write that comes when it has expired, although it is still stored', async () => {
    const { grid, shards, all } = await bench();
    await all([mapWrite({ a: '1' }, grid.world.startMs + grid.world.now + 500)]);
    expect(elementsOf(shards[0]!)).toEqual(['a']);
    await grid.world.run(500);
    await all([mapWrite({ b: '2' })]);
    expect(elementsOf(shards[0]!)).toEqual(['b']);
  });

  it('refuses what is over a limit, and goes on', async () => {
    const { shards, all } = await bench();
    const large = put('o', { k: 'x'.repeat(5 * 1024 * 1024) });
    await expect(shards[0]!.mutate(large)).rejects.toMatchObject({ code: 'ResourceExhausted' });
    expect(await all([put('o', { k: '1' })])).toEqual([{ version: 1, changed: true }]);
  });
});

/** What a look at all that is stored finds. */
function damageOf(disk: StorageReader, { location }: EventualShard): readonly string[] {
  const scan = new MergingScan(disk, location);
  while (!scan.isDone) scan.read(Infinity);
  return scan.damage;
}

function mapWrite(elements: Readonly<Record<string, string>>, expiresAt?: number): Mutation {
  const stamped = Object.entries(elements).map(
    ([element, text]) => [element, { stamp: zeroStamp, value: Buffer.from(text) }] as const,
  );
  const data = encodeMap({ cleared: zeroStamp, replace: false, elements: new Map(stamped) });
  return { ...put('o', {}), put: new Map([['m', { data, type: 'crdt-map', expiresAt }]]) };
}

function elementsOf({ reader }: EventualShard): string[] {
  const value = reader.value('o', 'm');
  return value === undefined ? [] : [...(decodeMap(value.data)?.elements.keys() ?? [])];
}

describe('replicas', () => {
  it('let an entry expire by themselves, all alike, without a new version', async () => {
    const { grid, shards, all } = await bench(2);
    const expiresAt = grid.world.startMs + 5000;
    const value = { data: Buffer.from('soon gone'), type: 'bytes', expiresAt } as const;
    await all([{ ...put('o', { stays: '1' }), put: new Map([['k', value]]) }, put('o', { stays: '1' })]);
    expect(await grid.converge()).toBe(true);
    expect(shards[1]!.reader.value('o', 'k')).toBeDefined();
    await grid.world.run(5000);
    for (const shard of shards) expect(shard.reader.value('o', 'k')).toBeUndefined();
    for (const shard of shards) shard.expire(10);
    expect(await grid.converge()).toBe(true);
    for (const shard of shards) {
      expect(shard.counters.entries).toBe(1);
      expect(shard.reader.meta('o')?.version).toBe(2);
    }
    for (const [i, shard] of shards.entries()) expect(damageOf(grid.member(i + 1).disk, shard)).toEqual([]);
  });

  /** Two replicas that have a map `{a}`, which the first takes away, and forgets, at `sweptMs` after it expired. */
  async function sweptAtOne(sweptMs: number) {
    const { grid, shards, all } = await bench(2, 400);
    const now = (): number => grid.world.startMs + grid.world.now;
    const expiresAt = now() + 6000;
    await all([mapWrite({ a: '1' }, expiresAt)]);
    // Others come and go, so that what is as old as the map is known to be everywhere.
    for (let i = 0; now() < expiresAt - 1000; i++) await all([put('x', { k: String(i) })], i % 2);
    expect(await grid.converge()).toBe(true);
    await grid.world.run(expiresAt + sweptMs - now());
    const swept = shards[0]!.mutate({ type: 'expire', entries: [{ objectId: 'o', key: 'm', expiresAt }] });
    await grid.world.run(2);
    await swept;
    await grid.converge(250);
    expect(leafOf(grid.member(1).disk, shards[0]!.location, treeKeyOf('o', 'm'))).toBeUndefined();
    return { grid, all, elements: () => shards.map((shard) => elementsOf(shard)) };
  }

  it('end alike when one has forgotten a map that expired, and the other, which has not yet, is written to', async () => {
    const { grid, all, elements } = await sweptAtOne(100);
    await all([mapWrite({ b: '2' })], 1);
    expect(await grid.converge()).toBe(true);
    expect(elements()).toEqual([['b'], ['b']]);
  });

  it('end alike when one has forgotten a map that expired, and is written to before the other has', async () => {
    const { grid, all, elements } = await sweptAtOne(100);
    await all([mapWrite({ c: '3' })], 0);
    expect(await grid.converge()).toBe(true);
    expect(elements()).toEqual([['c'], ['c']]);
  });

  it('end alike when a write comes just before the other one holds the map for expired, and none of both is lost', async () => {
    const { grid, all, elements } = await sweptAtOne(-800);
    await Promise.all([all([mapWrite({ b: '2' })], 1), all([mapWrite({ c: '3' })], 0)]);
    expect(await grid.converge()).toBe(true);
    expect(elements()).toEqual([
      ['b', 'c'],
      ['b', 'c'],
    ]);
  });

  it('merge maps key by key, and take the later of two values that are no maps', async () => {
    const { grid, shards, all } = await bench(2);
    grid.network.partition([['n1'], ['n2']]);
    await all([mapWrite({ x: '1' }), put('p', { k: 'first' })], 0);
    await all([mapWrite({ y: '2' }), put('p', { k: 'later' })], 1);
    grid.network.heal();
    expect(await grid.converge()).toBe(true);
    for (const { reader } of shards) {
      const merged = decodeMap(reader.value('o', 'm')!.data);
      expect([...merged!.elements].map(([name, { value }]) => [name, Buffer.from(value!).toString()])).toEqual([
        ['x', '1'],
        ['y', '2'],
      ]);
      expect(Buffer.from(reader.value('p', 'k')!.data).toString()).toBe('later');
      expect(reader.meta('p')?.version).toBe(2);
    }
    for (const [i, shard] of shards.entries()) expect(damageOf(grid.member(i + 1).disk, shard)).toEqual([]);
  });

  it('hand over what was written while a peer could not be reached as soon as it can, without a comparison', async () => {
    const { grid, shards, all } = await bench(2);
    grid.network.partition([['n1'], ['n2']]);
    await grid.world.run(2000);
    await all(Array.from({ length: 50 }, (_, i) => put(`o${String(i)}`, { k: String(i) })));
    expect(shards[0]!.status().replicas[0]).toMatchObject({ member: 2, lag: 100, isActive: false });
    grid.network.heal();
    const has = (): boolean => shards[1]!.counters.objects === 50;
    expect(await grid.world.until(has, 5000)).toBe(true);
    const found = grid.members.map(({ host }) => host!.counters.differences);
    expect(found).toEqual([0, 0]);
    expect(shards[0]!.status().replicas[0]).toMatchObject({ lag: 0, state: 'synced' });
  });

  it('hand over no more than a bound; what is dropped is found by a comparison, and hand-over goes on after it', async () => {
    const { grid, shards, all } = await bench(2);
    expect(await grid.converge()).toBe(true);
    grid.network.partition([['n1'], ['n2']]);
    await grid.world.run(2000);
    const names = Array.from({ length: 1000 }, (_, i) => `k${String(i)}`);
    const object = (id: string) => put(id, Object.fromEntries(names.map((name) => [name, id])));
    await all(Array.from({ length: 16 }, (_, i) => object(`o${String(i)}`)));
    expect(shards[0]!.status().replicas[0]).toMatchObject({ lag: 16 * 1001 });
    await all([object('p'), object('q')]);
    // Nothing is remembered any more: the whole bound counts.
    expect(shards[0]!.status().replicas[0]).toMatchObject({ lag: 16_384 });
    await all([put('late', { k: '1' })]);
    expect(shards[0]!.status().replicas[0]).toMatchObject({ lag: 16_384 });
    const before = grid.members.map(({ host }) => host!.counters.differences);
    expect(before).toEqual([0, 0]);
    grid.network.heal();
    expect(await grid.converge()).toBe(true);
    expect(shards[1]!.counters).toEqual(shards[0]!.counters);
    expect(shards[1]!.counters).toMatchObject({ objects: 19, entries: 18_001 });
    expect(Math.max(...grid.members.map(({ host }) => host!.counters.differences))).toBeGreaterThanOrEqual(18_001);
    for (const [i, shard] of shards.entries()) expect(damageOf(grid.member(i + 1).disk, shard)).toEqual([]);

    grid.network.partition([['n1'], ['n2']]);
    await grid.world.run(2000);
    await all([put('again', { k: '1' })]);
    expect(shards[0]!.status().replicas[0]).toMatchObject({ lag: 2 });
    const found = grid.members.map(({ host }) => host!.counters.differences);
    grid.network.heal();
    expect(await grid.world.until(() => shards[1]!.reader.value('again', 'k') !== undefined, 5000)).toBe(true);
    expect(grid.members.map(({ host }) => host!.counters.differences)).toEqual(found);
  });
});
