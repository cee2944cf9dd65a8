import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventualGrid, put } from '../../../testkit/eventual.ts';
import type { EventualShard, ShardVersions } from '../index.ts';

interface Bench {
  readonly grid: EventualGrid;
  readonly shard: EventualShard;
  readonly versions: ShardVersions;
  /** Lets virtual time pass until it is done. */
  readonly done: <T>(work: Promise<T>) => Promise<T>;
  readonly set: (id: string, entries: Readonly<Record<string, string>>) => Promise<void>;
}

async function bench(): Promise<Bench> {
  const grid = new EventualGrid({ seed: 3, replicas: 1, type: 'mst', graceMs: 1000 });
  grid.start();
  await grid.world.run(50);
  const shard = grid.member(1).shard!;
  const done = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => undefined);
    await grid.world.run(60);
    return work;
  };
  const set = async (id: string, entries: Readonly<Record<string, string>>): Promise<void> => {
    await done(shard.mutate(put(id, entries, true)));
  };
  return { grid, shard, versions: shard.versions, done, set };
}

function textsOf(object: { readonly entries: ReadonlyMap<string, { readonly data: Uint8Array }> } | undefined) {
  if (object === undefined) return undefined;
  return Object.fromEntries([...object.entries].map(([key, { data }]) => [key, Buffer.from(data).toString()]));
}

describe('versions', () => {
  it('show objects as they were, also those that were changed or deleted since, and after a restart', async () => {
    const { grid, versions, shard, done, set } = await bench();
    await set('a', { k: '1', l: 'x' });
    await set('b', { k: 'b' });
    const first = await done(versions.record('first'));
    await set('a', { k: '2' });
    await done(shard.mutate({ type: 'delete', objectId: 'b' }));
    const second = await done(versions.record());
    await set('a', { k: '3' });
    const check = (of: ShardVersions): void => {
      expect(textsOf(of.object('first', 'a'))).toEqual({ k: '1', l: 'x' });
      expect(of.object('first', 'a')?.meta).toMatchObject({ version: 1, entryCount: 2 });
      expect(textsOf(of.object(String(first.sequence), 'b'))).toEqual({ k: 'b' });
      expect(textsOf(of.object(second.root, 'a'))).toEqual({ k: '2' });
      expect(of.object(second.root, 'b')).toBeUndefined();
      expect(() => of.object('none', 'a')).toThrow('there is no version or branch');
    };
    check(versions);
    // Long enough for tombstones to be reaped and pages to be collected.
    await grid.world.run(60_000);
    check(versions);
    grid.member(1).node.crash();
    grid.member(1).node.restart();
    await grid.world.run(50);
    check(grid.member(1).shard!.versions);
  });

  it('say what differs between two of them', async () => {
    const { versions, shard, done, set } = await bench();
    await set('a', { k: '1', l: 'x' });
    await set('b', { k: 'b' });
    await done(versions.record('one'));
    await set('a', { k: '2', l: 'x' });
    await done(shard.mutate({ type: 'delete', objectId: 'b' }));
    await set('c', { n: 'new' });
    await done(versions.record('two'));
    const { differences } = versions.diff('one', 'two');
    const text = (value: { data: Uint8Array } | undefined) => value && Buffer.from(value.data).toString();
    expect(
      differences.map(({ objectId, key, before, after, versions: of }) => [
        objectId,
        key ?? of,
        text(before),
        text(after),
      ]),
    ).toEqual([
      ['a', [1, 2], undefined, undefined],
      ['a', 'k', '1', '2'],
      ['b', [1, 0], undefined, undefined],
      ['b', 'k', 'b', undefined],
      ['c', [0, 1], undefined, undefined],
      ['c', 'n', undefined, 'new'],
    ]);
    expect(versions.diff('two', 'two').differences).toEqual([]);
  });

  it('are the same root on replicas that have the same', async () => {
    const grid = new EventualGrid({ seed: 4, replicas: 2, type: 'mst' });
    grid.start();
    await grid.world.run(300);
    const written = grid.member(1).shard!.mutate(put('a', { k: '1' }));
    await grid.world.run(50);
    await written;
    expect(await grid.converge()).toBe(true);
    const recorded = grid.shards.map(({ versions }) => versions.record('same'));
    await grid.world.run(50);
    const [one, two] = await Promise.all(recorded);
    expect(one!.root).toBe(two!.root);
  });

  it('are kept by collections of type mst only', async () => {
    const grid = new EventualGrid({ seed: 5, replicas: 1 });
    grid.start();
    await grid.world.run(50);
    expect(() => grid.member(1).shard!.versions).toThrow('keeps no versions');
  });
});

describe('a branch', () => {
  it('is changed apart, and merged with what the main line did meanwhile', async () => {
    const { versions, shard, done, set } = await bench();
    await set('a', { k: '1', l: '1' });
    await set('b', { k: 'b' });
    await done(versions.createBranch('try', 'now'));
    await done(versions.writeBranch('try', put('a', { k: 'branch' })));
    await done(versions.writeBranch('try', { type: 'delete', objectId: 'b' }));
    await done(versions.writeBranch('try', put('c', { n: 'new' })));
    expect(textsOf(shard.reader.object('a'))).toEqual({ k: '1', l: '1' });
    expect(textsOf(versions.object('try', 'a'))).toEqual({ k: 'branch', l: '1' });
    await done(shard.mutate(put('a', { l: 'main' })));
    const plan = await done(versions.mergeBranch('try', 'list', true));
    expect(plan).toMatchObject({ objects: ['a', 'b', 'c'], conflicts: [], isDone: false });
    expect(textsOf(shard.reader.object('b'))).toEqual({ k: 'b' });
    const merged = await done(versions.mergeBranch('try', 'list'));
    expect(merged).toMatchObject({ objects: ['a', 'b', 'c'], isDone: true });
    expect(textsOf(shard.reader.object('a'))).toEqual({ k: 'branch', l: 'main' });
    expect(shard.reader.object('b')).toBeUndefined();
    expect(textsOf(shard.reader.object('c'))).toEqual({ n: 'new' });
    expect(await done(versions.mergeBranch('try', 'list'))).toMatchObject({ objects: [], conflicts: [] });
  });

  it('names what both sides changed, and leaves or takes it as it is told', async () => {
    const { versions, shard, done, set } = await bench();
    await set('a', { k: '1' });
    await done(versions.createBranch('try', 'now'));
    await done(versions.writeBranch('try', put('a', { k: 'branch' })));
    await set('a', { k: 'main' });
    const listed = await done(versions.mergeBranch('try', 'list'));
    expect(listed.conflicts).toMatchObject([{ objectId: 'a', key: 'k' }]);
    expect(
      [listed.conflicts[0]?.base, listed.conflicts[0]?.ours, listed.conflicts[0]?.theirs].map((value) =>
        Buffer.from(value!.value).toString(),
      ),
    ).toEqual(['1', 'main', 'branch']);
    expect(textsOf(shard.reader.object('a'))).toEqual({ k: 'main' });
    // It was not resolved: it comes again.
    expect((await done(versions.mergeBranch('try', 'theirs'))).conflicts).toHaveLength(1);
    expect(textsOf(shard.reader.object('a'))).toEqual({ k: 'branch' });
    expect((await done(versions.mergeBranch('try', 'list'))).conflicts).toHaveLength(0);
    expect(await done(versions.deleteBranch('try'))).toBe(true);
    await expect(done(versions.mergeBranch('try', 'list'))).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('has a version more with a write that changes something, and none with one that finds all as it should be', async () => {
    const { versions, done, set } = await bench();
    await set('a', { k: '1' });
    await done(versions.createBranch('try', 'now'));
    const first = await done(versions.writeBranch('try', put('a', { k: '2' })));
    expect(first.version).toBe(2);
    expect(await done(versions.writeBranch('try', put('a', { k: '2' })))).toEqual(first);
    expect(await done(versions.writeBranch('try', put('a', { k: '2' }, true)))).toEqual(first);
    expect(await done(versions.writeBranch('try', { ...put('a', {}), remove: ['none'] }))).toEqual(first);
    expect((await done(versions.writeBranch('try', put('a', { k: '3' }, true)))).version).toBe(3);
    expect(textsOf(versions.object('try', 'a'))).toEqual({ k: '3' });
  });

  it('refuses what is over a limit of the collection, as the main line does', async () => {
    const { versions, shard, done } = await bench();
    shard.setLimits({ maxValueBytes: 1000, maxEntriesPerObject: 2, maxObjectBytes: 1500 });
    await done(versions.createBranch('try', 'now'));
    const write = (entries: Record<string, string>) => done(versions.writeBranch('try', put('a', entries)));
    const tooLarge = (limit: string) => ({ code: 'ResourceExhausted', details: { limit } });
    await expect(write({ k: 'x'.repeat(1001) })).rejects.toMatchObject(tooLarge('maxValueBytes'));
    await write({ k: 'x'.repeat(900) });
    await expect(write({ l: 'x'.repeat(900) })).rejects.toMatchObject(tooLarge('maxObjectBytes'));
    await write({ l: '1' });
    await expect(write({ m: '1' })).rejects.toMatchObject(tooLarge('maxEntriesPerObject'));
    expect(Object.keys(textsOf(versions.object('try', 'a')) ?? {})).toEqual(['k', 'l']);
  });

  it('that cannot be merged as a whole says so, by name, before anything of it is', async () => {
    const { versions, shard, done } = await bench();
    await done(versions.createBranch('try', 'now'));
    await done(versions.writeBranch('try', put('a', { k: '1' })));
    await done(versions.writeBranch('try', put('z', { k: 'x'.repeat(5000) })));
    // What was taken then is too large now.
    shard.setLimits({ maxValueBytes: 1000, maxEntriesPerObject: 10, maxObjectBytes: 2000 });
    for (const isDryRun of [true, false]) {
      await expect(done(versions.mergeBranch('try', 'theirs', isDryRun))).rejects.toMatchObject({
        code: 'ResourceExhausted',
        message: expect.stringContaining('branch try cannot be merged: object z') as string,
        details: { objectId: 'z', limit: 'maxValueBytes' },
      });
    }
    expect(shard.reader.object('a')).toBeUndefined();
    await done(versions.writeBranch('try', put('z', { k: 'small' })));
    expect((await done(versions.mergeBranch('try', 'theirs'))).objects).toEqual(['a', 'z']);
  });

  it('brings nothing back that has expired meanwhile', async () => {
    const { grid, versions, shard, done, set } = await bench();
    await set('a', { k: '1' });
    await done(versions.createBranch('try', 'now'));
    const expiresAt = grid.world.startMs + grid.world.now + 1000;
    const value = { data: Buffer.from('soon gone'), type: 'bytes', expiresAt } as const;
    await done(versions.writeBranch('try', { ...put('a', {}), put: new Map([['k', value]]) }));
    await done(versions.writeBranch('try', { ...put('a', {}), put: new Map([['l', value]]) }));
    await grid.world.run(1000);
    expect(await done(versions.mergeBranch('try', 'list'))).toMatchObject({ objects: ['a'], conflicts: [] });
    expect(textsOf(shard.reader.object('a'))).toEqual({});
    expect(shard.counters.entries).toBe(0);
  });

  it('refuses a write that expects another version, and names that are taken', async () => {
    const { versions, done, set } = await bench();
    await set('a', { k: '1' });
    await done(versions.createBranch('try', 'now'));
    await expect(done(versions.createBranch('try', 'now'))).rejects.toMatchObject({ code: 'AlreadyExists' });
    const write = { ...put('a', { k: '2' }), expectedVersion: 7 };
    await expect(done(versions.writeBranch('try', write))).rejects.toMatchObject({
      code: 'VersionConflict',
      details: { currentVersion: 1 },
    });
  });
});

describe('any number of versions', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b'),
    entries: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('1', '2', 'x'.repeat(5000))),
    what: fc.constantFrom('set', 'set', 'merge', 'delete', 'record'),
  });

  it('show what a copy made at their time has', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const { versions, shard, done } = await bench();
        const now = (): unknown => ['a', 'b'].map((id) => textsOf(shard.reader.object(id)));
        const copies: [string, unknown][] = [];
        for (const { id, entries, what } of steps) {
          if (what === 'record') copies.push([(await done(versions.record())).root, now()]);
          else if (what === 'delete') await done(shard.mutate({ type: 'delete', objectId: id }));
          else await done(shard.mutate(put(id, entries, what === 'set')));
        }
        for (const [root, copy] of copies)
          expect(['a', 'b'].map((id) => textsOf(versions.object(root, id)))).toEqual(copy);
      }),
      { numRuns: 40 },
    );
  });
});
