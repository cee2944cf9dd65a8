import { oaasError } from '@oaas/commons/errors';
import { simulatedTime } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { shardTypes, type ShardStore, type ShardStoreOptions, startShardStore } from '../../testkit/shards.ts';
import type { Engine } from '../storage/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import {
  defaultLimits,
  type Mutation,
  type MutationResult,
  type ShardHandle,
  type ShardLimits,
  type StoredObject,
  type Value,
} from './index.ts';

/** What every shard promises to its callers, by whatever its replicas agree. Here each has one. */

const value = (text: string): Value => ({ data: Buffer.from(text), type: 'bytes' });
const textOf = (found: Value | undefined): string | undefined =>
  found === undefined ? undefined : Buffer.from(found.data).toString();

const stores: ShardStore[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()));
});

async function openStore(type: (typeof shardTypes)[number], options: ShardStoreOptions = {}): Promise<ShardStore> {
  const store = await startShardStore(type, options);
  stores.push(store);
  return store;
}

function change(
  objectId: string,
  put: Record<string, string>,
  more: Partial<Extract<Mutation, { type: 'change' }>> = {},
): Mutation {
  const entries = Object.entries(put).map(([key, text]) => [key, value(text)] as const);
  return { type: 'change', objectId, put: new Map(entries), remove: [], replace: false, ...more };
}
const set = (objectId: string, put: Record<string, string>): Mutation => change(objectId, put, { replace: true });
const remove = (objectId: string): Mutation => ({ type: 'delete', objectId });

function contentOf(shard: ShardHandle, id: string): Record<string, string> | undefined {
  const object = shard.reader.object(id);
  if (object === undefined) return undefined;
  return Object.fromEntries([...object.entries].map(([key, found]) => [key, textOf(found) ?? '']));
}

describe.each(shardTypes)('a %s shard:', (type) => {
  const openShard = async (options: ShardStoreOptions = {}): Promise<ShardHandle> =>
    (await openStore(type, options)).open();

  it('keeps nothing of the bytes that it was given: they lie in what was read from a connection', async () => {
    const shard = await openShard();
    const data = Buffer.from('as it was written');
    await shard.mutate(change('o', {}, { put: new Map([['a', { data, type: 'bytes' } as const]]) }));
    data.fill(0);
    expect(contentOf(shard, 'o')).toEqual({ a: 'as it was written' });
  });

  describe('versions', () => {
    it('grow by one for a batch of any size', async () => {
      const shard = await openShard();
      expect(await shard.mutate(change('o', { a: '1', b: '1', c: '1' }))).toEqual({ version: 1, changed: true });
      expect(await shard.mutate(change('o', { a: '2' }, { remove: ['b', 'c'] }))).toEqual({
        version: 2,
        changed: true,
      });
      expect(contentOf(shard, 'o')).toEqual({ a: '2' });
    });

    it.each<[string, Mutation]>([
      ['writes what is there', change('o', { a: '1' })],
      ['replaces the object by itself', set('o', { a: '1' })],
      ['removes a key that is not there', change('o', {}, { remove: ['z'] })],
      ['is empty', change('o', {})],
    ])('stay when a batch %s', async (_, mutation) => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '1' }));
      const before = shard.counters;
      expect(await shard.mutate(mutation)).toEqual({ version: 1, changed: false });
      expect(shard.counters).toEqual(before);
    });

    it('grow when only the type of a value changes', async () => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '1' }));
      const retyped = change('o', {}, { put: new Map([['a', { data: Buffer.from('1'), type: 'crdt-map' } as const]]) });
      expect(await shard.mutate(retyped)).toEqual({ version: 2, changed: true });
      expect(shard.reader.value('o', 'a')?.type).toBe('crdt-map');
    });

    it('begin at 1 again when an object is set after its deletion, or go on where replicas merge', async () => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '1' }));
      await shard.mutate(change('o', { a: '2' }));
      expect(await shard.mutate(remove('o'))).toEqual({ version: 0, changed: true });
      expect(contentOf(shard, 'o')).toBeUndefined();
      // Where replicas merge a delete counts as a batch: another replica may have taken more meanwhile.
      const version = type === 'raft' ? 1 : 4;
      expect(await shard.mutate(set('o', { b: '3' }))).toEqual({ version, changed: true });
      expect(contentOf(shard, 'o')).toEqual({ b: '3' });
    });

    it('do not come to be by a batch that only removes', async () => {
      const shard = await openShard();
      expect(await shard.mutate(change('o', {}, { remove: ['a'] }))).toEqual({ version: 0, changed: false });
      expect(contentOf(shard, 'o')).toBeUndefined();
    });

    it('are 1 for an object that is set without entries', async () => {
      const shard = await openShard();
      expect(await shard.mutate(set('o', {}))).toEqual({ version: 1, changed: true });
      expect(contentOf(shard, 'o')).toEqual({});
      expect(shard.counters.objects).toBe(1);
    });
  });

  describe('compare-and-set', () => {
    it('refuses another version and says which one it is', async () => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '1' }));
      await expect(shard.mutate(change('o', { a: '2' }, { expectedVersion: 3 }))).rejects.toMatchObject({
        code: 'VersionConflict',
        details: { expectedVersion: 3, currentVersion: 1 },
      });
      expect(contentOf(shard, 'o')).toEqual({ a: '1' });
    });

    it('takes 0 as: it must not exist', async () => {
      const shard = await openShard();
      expect(await shard.mutate(change('o', { a: '1' }, { expectedVersion: 0 }))).toEqual({
        version: 1,
        changed: true,
      });
      await expect(shard.mutate(change('o', { a: '2' }, { expectedVersion: 0 }))).rejects.toMatchObject({
        code: 'VersionConflict',
      });
    });

    it('lets exactly one of many writers with the same expectation win, in one group', async () => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '0' }));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 50 }, (_, i) => shard.mutate(change('o', { a: `w${String(i)}` }, { expectedVersion: 1 }))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(shard.reader.meta('o')?.version).toBe(2);
    });
  });

  describe('groups', () => {
    it('commit many writers with few writes of the disk, in the order of their calls', async () => {
      const memory = createMemoryEngine();
      let writes = 0;
      const counting: Engine = {
        ...memory,
        write: (operations) => {
          writes += 1;
          return memory.write(operations);
        },
        append: (entries, operations) => {
          writes += 1;
          return memory.append(entries, operations);
        },
      };
      const shard = await openShard({ engine: counting });
      writes = 0;
      const results = await Promise.all(
        Array.from({ length: 200 }, (_, i) => shard.mutate(change('o', { a: String(i) }))),
      );
      expect(results.map(({ version }) => version)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
      expect(contentOf(shard, 'o')).toEqual({ a: '199' });
      expect(writes).toBeLessThan(5);
    });

    it('keep the waiting line bounded', async () => {
      const bound = type === 'raft' ? 2 : 8192;
      const shard = await openShard({ maxProposals: 2 });
      const outcomes = await Promise.allSettled(
        Array.from({ length: bound + 1 }, (_, i) => shard.mutate(change('o', { a: String(i) }))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(bound);
      expect(outcomes[bound]).toMatchObject({ reason: { code: 'ResourceExhausted', retryAfterMs: 50 } });
      expect(await shard.mutate(change('o', { a: 'later' }))).toMatchObject({ version: bound + 1 });
    });

    it('are all answered when the shard closes, which takes no more', async () => {
      const shard = await openShard();
      const writing = shard.mutate(set('o', { a: '1' })).catch((error: unknown) => error);
      await shard.close();
      const answer = type === 'raft' ? { code: 'Unavailable' } : { version: 1, changed: true };
      expect(await writing).toMatchObject(answer);
      await expect(shard.mutate(set('p', {}))).rejects.toMatchObject({ code: 'Unavailable' });
    });
  });

  describe('a change that returns the object', () => {
    const asking = { returnsObject: true } as const;
    const objectOf = ({ object }: MutationResult) => {
      if (object === undefined || object instanceof Error) return object;
      return Object.fromEntries([...object.entries].map(([key, found]) => [key, textOf(found) ?? '']));
    };

    it('gives what it left, whatever the changes before and after it are that are decided with it', async () => {
      const shard = await openShard();
      const results = await Promise.all([
        shard.mutate(change('o', { b: '1' }, asking)),
        shard.mutate(change('o', { a: '2' }, asking)),
        shard.mutate(change('o', { a: '2' }, asking)),
        shard.mutate(remove('o')),
        shard.mutate(change('o', { c: '3' }, asking)),
        shard.mutate(change('o', { c: '4' })),
        shard.mutate(change('o', {}, { remove: ['c'], ...asking })),
      ]);
      expect(results.map(objectOf)).toEqual([
        { b: '1' },
        { a: '2', b: '1' },
        { a: '2', b: '1' },
        undefined,
        { c: '3' },
        undefined,
        {},
      ]);
      for (const { object, version } of results) {
        if (object !== undefined && !(object instanceof Error)) expect(object.meta.version).toBe(version);
      }
    });

    const plain = (object: MutationResult['object']) => {
      const { meta, entries } = object as StoredObject;
      return { meta, entries: [...entries].map(([key, found]) => [key, textOf(found), found.type, found.expiresAt]) };
    };

    it('gives what a read gives then: without what has expired, in the order of keys, of objects of any size', async () => {
      const shard = await openShard({ clock: simulatedTime(1000).clock });
      const names = Array.from({ length: 40 }, (_, i) => `k${String(i).padStart(2, '0')}`);
      await shard.mutate(set('large', Object.fromEntries(names.map((name) => [name, name]))));
      for (const id of ['large', 'small']) {
        const put = new Map([
          ['z', value('z')],
          ['late', { ...value('1'), expiresAt: 1001 }],
          ['gone', { ...value('1'), expiresAt: 1000 }],
          ['a', value('a')],
        ]);
        const { object } = await shard.mutate(change(id, {}, { put, ...asking }));
        expect(plain(object)).toEqual(plain(shard.reader.object(id)));
        expect([...(object as StoredObject).entries.keys()]).toEqual([
          ...['a', ...(id === 'large' ? names : []), 'late', 'z'],
        ]);
      }
    });

    it('holds when the object cannot be read, and so do those that are decided with it', async () => {
      const memory = createMemoryEngine();
      let isDamaged = false;
      const damaged: Engine = {
        ...memory,
        range: (query) => {
          if (!isDamaged || !Buffer.from(query.start).includes('large')) return memory.range(query);
          throw oaasError('StorageCorrupt', 'a value is damaged');
        },
      };
      const shard = await openShard({ engine: damaged });
      await shard.mutate(set('large', Object.fromEntries(Array.from({ length: 40 }, (_, i) => [String(i), 'x']))));
      isDamaged = true;
      const [asked, other] = await Promise.all([
        shard.mutate(change('large', { a: '1' }, asking)),
        shard.mutate(change('p', { a: '1' })),
      ]);
      expect(asked).toMatchObject({ version: 2, changed: true, object: { code: 'StorageCorrupt' } });
      expect(other).toEqual({ version: 1, changed: true });
      expect(textOf(shard.reader.value('large', 'a'))).toBe('1');
      expect(shard.status().state).toBe('serving');
    });
  });

  describe('limits', () => {
    it.each<[keyof ShardLimits, number, Record<string, string>]>([
      ['maxValueBytes', 3, { a: '1234' }],
      ['maxEntriesPerObject', 2, { a: '1', b: '1', c: '1' }],
      ['maxObjectBytes', 8, { a: '1234', b: '1234' }],
    ])('%s refuses what goes over it and names the limit', async (limit, bound, entries) => {
      const shard = await openShard({ limits: { [limit]: bound } });
      await expect(shard.mutate(set('o', entries))).rejects.toMatchObject({
        code: 'ResourceExhausted',
        details: { limit, value: bound },
      });
      expect(contentOf(shard, 'o')).toBeUndefined();
    });

    it('that change while the shard is open count for what comes from then on, and what is there stays', async () => {
      const shard = await openShard();
      await shard.mutate(set('o', { a: '1234' }));
      shard.setLimits({ ...defaultLimits, maxValueBytes: 3 });
      await expect(shard.mutate(set('o', { a: '5678' }))).rejects.toMatchObject({ code: 'ResourceExhausted' });
      expect(contentOf(shard, 'o')).toEqual({ a: '1234' });
      shard.setLimits({ ...defaultLimits, maxValueBytes: 4 });
      await shard.mutate(set('o', { a: '5678' }));
      expect(contentOf(shard, 'o')).toEqual({ a: '5678' });
    });
  });

  describe('lists', () => {
    async function filled(count: number, opened?: ShardHandle): Promise<ShardHandle> {
      const shard = opened ?? (await openShard());
      const ids = Array.from({ length: count }, (_, i) => `id-${String(i).padStart(5, '0')}`);
      await Promise.all(ids.map((id) => shard.mutate(set(id, { k: id }))));
      return shard;
    }

    it('give 100 objects by default and never more than 1,024', async () => {
      const shard = await filled(1100);
      expect(shard.reader.listObjects({ prefix: '', limit: 0 }).items).toHaveLength(100);
      expect(shard.reader.listObjects({ prefix: '', limit: 5000 }).items).toHaveLength(1024);
    });

    it('go on where the cursor says until every object was seen once', async () => {
      const shard = await filled(25);
      const seen: string[] = [];
      let cursor: Uint8Array | undefined;
      do {
        const page = shard.reader.listObjects({ prefix: '', limit: 10, cursor });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen).toEqual([...seen].sort());
      expect(new Set(seen).size).toBe(25);
    });

    it('give no cursor when the page ends exactly with the last object', async () => {
      const shard = await filled(10);
      expect(shard.reader.listObjects({ prefix: '', limit: 10 }).next).toBeUndefined();
    });

    it('keep to the prefix', async () => {
      const shard = await openShard();
      for (const id of ['a', 'ab', 'abc', 'b']) await shard.mutate(set(id, { x: '1', xy: '2', y: '3' }));
      expect(shard.reader.listObjects({ prefix: 'ab', limit: 0 }).items.map(({ id }) => id)).toEqual(['ab', 'abc']);
      expect(shard.reader.listValues('ab', { prefix: 'x', limit: 0 }).items.map(({ key }) => key)).toEqual(['x', 'xy']);
    });

    it('do not mix the entries of objects whose ids begin alike', async () => {
      const shard = await openShard();
      await shard.mutate(set('a', { k: 'of a' }));
      await shard.mutate(set('a.b', { k: 'of a.b' }));
      await shard.mutate(set('ab', { k: 'of ab' }));
      expect(contentOf(shard, 'a')).toEqual({ k: 'of a' });
      await shard.mutate(remove('a'));
      expect(contentOf(shard, 'a.b')).toEqual({ k: 'of a.b' });
      expect(contentOf(shard, 'ab')).toEqual({ k: 'of ab' });
    });

    it('refuse the cursor of another list', async () => {
      const store = await openStore(type);
      const shard = await filled(3, await store.open(0));
      const other = await store.open(1);
      const { next } = shard.reader.listObjects({ prefix: '', limit: 1 });
      for (const read of [
        () => shard.reader.listObjects({ prefix: 'id', limit: 1, cursor: next }),
        () => shard.reader.listValues('id-00000', { prefix: '', limit: 1, cursor: next }),
        () => shard.reader.listObjects({ prefix: '', limit: 1, cursor: Buffer.from('anything') }),
        () => other.reader.listObjects({ prefix: '', limit: 1, cursor: next }),
      ]) {
        expect(read).toThrow(expect.objectContaining({ code: 'InvalidArgument' }) as Error);
      }
    });

    it('end a page early rather than give more than 8 MiB', async () => {
      const shard = await openShard();
      const large = { data: Buffer.alloc(3 * 1024 * 1024), type: 'bytes' } as const;
      await shard.mutate(change('o', {}, { put: new Map(['a', 'b', 'c'].map((key) => [key, large])) }));
      const first = shard.reader.listValues('o', { prefix: '', limit: 0 });
      expect(first.items.map(({ key }) => key)).toEqual(['a', 'b']);
      const second = shard.reader.listValues('o', { prefix: '', limit: 0, cursor: first.next });
      expect(second.items.map(({ key }) => key)).toEqual(['c']);
    });
  });

  describe('reopening', () => {
    it('finds objects, versions and counters as they were', async () => {
      const store = await openStore(type);
      const first = await store.open();
      await first.mutate(set('o', { a: '1', b: '22' }));
      await first.mutate(change('o', { a: '3' }));
      await first.close();
      const second = await store.open();
      expect(second.counters).toEqual({ objects: 1, entries: 2, bytes: 'o'.length + 'a3'.length + 'b22'.length });
      expect(second.reader.meta('o')?.version).toBe(2);
      expect(await second.mutate(change('o', { a: '4' }))).toEqual({ version: 3, changed: true });
    });

    it('keeps shards of one storage apart', async () => {
      const store = await openStore(type);
      const [one, other] = [await store.open(0), await store.open(1)];
      await one.mutate(set('o', { a: '1' }));
      expect(other.reader.object('o')).toBeUndefined();
      expect(other.counters.objects).toBe(0);
    });

    it('keeps the triggers of an object until a Set without any', async () => {
      const shard = await openShard();
      const event = Buffer.from('triggers');
      await shard.mutate(change('o', { a: '1' }, { replace: true, event }));
      await shard.mutate(change('o', { a: '2' }));
      expect(Buffer.from(shard.reader.meta('o')?.event ?? []).toString()).toBe('triggers');
      expect(await shard.mutate(set('o', { a: '2' }))).toEqual({ version: 3, changed: true });
      expect(shard.reader.meta('o')?.event).toBeUndefined();
    });
  });
});

it.each(['basic', 'mst'] as const)(
  'a %s shard leaves everything as it was when storage refuses a group, and goes on afterwards',
  async (type) => {
    const memory = createMemoryEngine();
    let isFull = false;
    const failing: Engine = {
      ...memory,
      write: (operations) => (isFull ? Promise.reject(oaasError('StorageFull', 'full')) : memory.write(operations)),
    };
    const shard = await (await openStore(type, { engine: failing })).open();
    await shard.mutate(set('o', { a: '1' }));
    const before = shard.counters;
    isFull = true;
    const refused = await Promise.allSettled([
      shard.mutate(change('o', { a: '2' })),
      shard.mutate(set('p', { x: '1' })),
    ]);
    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(shard.counters).toEqual(before);
    expect(contentOf(shard, 'o')).toEqual({ a: '1' });
    isFull = false;
    expect(await shard.mutate(change('o', { a: '3' }))).toEqual({ version: 2, changed: true });
  },
);
