import { eventually, simulatedTime } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { shardTypes, type ShardStore, startShardStore } from '../../testkit/shards.ts';
import { type Mutation, type ShardHandle, type Value } from './index.ts';
import { recordRange } from './records.ts';

const put = (objectId: string, entries: Record<string, number | undefined>, replace = false): Mutation => ({
  type: 'change',
  objectId,
  put: new Map(
    Object.entries(entries).map(([key, expiresAt]): [string, Value] => [
      key,
      { data: Buffer.from(key), type: 'bytes', expiresAt },
    ]),
  ),
  remove: [],
  replace,
});

let store: ShardStore | undefined;
afterEach(() => store?.stop());

const keysOf = (shard: ShardHandle, id: string) => [...(shard.reader.object(id)?.entries.keys() ?? [])];

describe.each(shardTypes)('in a %s shard,', (type) => {
  async function setup() {
    const time = simulatedTime(1000);
    const opened = (store = await startShardStore(type, { clock: time.clock }));
    /** Objects, entries, times and the counters, as they are stored. */
    const records = () => [...opened.engine.range(recordRange({ shard: 1, generation: 1 }))].length;
    return { time, records, open: () => opened.open(), shard: await opened.open() };
  }

  describe('an entry with a time to live', () => {
    it('is not seen from its time on, by any read, before it is taken away', async () => {
      const { time, shard } = await setup();
      await shard.mutate(put('o', { a: 1010, b: undefined }));
      expect(keysOf(shard, 'o')).toEqual(['a', 'b']);
      await time.advance(9);
      expect(shard.reader.value('o', 'a')).toBeDefined();
      await time.advance(1);
      expect(shard.reader.value('o', 'a')).toBeUndefined();
      expect(keysOf(shard, 'o')).toEqual(['b']);
      expect(shard.reader.listValues('o', { prefix: '', limit: 0 }).items.map(({ key }) => key)).toEqual(['b']);
      expect(shard.counters.entries).toBe(2);
    });

    it('hides nothing behind it in a list, however much has expired and is still stored', async () => {
      const { time, shard } = await setup();
      const megabyte = { data: Buffer.alloc(1024 * 1024), type: 'bytes', expiresAt: 1010 } as const;
      for (let i = 0; i < 10; i++) {
        const change = put('o', {}) as Extract<Mutation, { type: 'change' }>;
        await shard.mutate({ ...change, put: new Map([[`a${String(i)}`, megabyte]]) });
      }
      await shard.mutate(put('o', { z: undefined, zz: undefined }));
      await time.advance(10);
      const first = shard.reader.listValues('o', { prefix: '', limit: 1 });
      expect(first.items.map(({ key }) => key)).toEqual(['z']);
      const second = shard.reader.listValues('o', { prefix: '', limit: 1, cursor: first.next });
      expect(second.items.map(({ key }) => key)).toEqual(['zz']);
      expect(second.next).toBeUndefined();
      expect(shard.reader.listValues('o', { prefix: 'a', limit: 1 })).toEqual({ items: [] });
    });

    it('is taken away with its bytes, which changes the object at most once', async () => {
      const { time, shard } = await setup();
      await shard.mutate(put('o', { aa: 1010, bbb: 1010, c: undefined }));
      await time.advance(10);
      shard.expire(10);
      await eventually(() => {
        expect(shard.counters).toEqual({ objects: 1, entries: 1, bytes: 'o'.length + 'cc'.length });
      });
      // Replicas that merge take it away each by itself, all alike, which is no batch.
      expect(shard.reader.meta('o')).toMatchObject({ version: type === 'raft' ? 2 : 1, entryCount: 1 });
      expect(shard.reader.earliestExpiry()).toBe(2 ** 48 - 1);
    });

    it('lives on when it is written again, with another time or none', async () => {
      const { time, records, shard } = await setup();
      await shard.mutate(put('o', { a: 1010, b: 1010, c: 1010 }));
      const due = [
        { objectId: 'o', key: 'a', expiresAt: 1010 },
        { objectId: 'o', key: 'b', expiresAt: 1010 },
      ];
      await shard.mutate(put('o', { a: 5000, b: undefined }));
      expect(shard.reader.earliestExpiry()).toBe(1010);
      await time.advance(10);
      await shard.mutate({ type: 'expire', entries: due });
      expect(keysOf(shard, 'o')).toEqual(['a', 'b']);
      shard.expire(10);
      await eventually(() => {
        expect(shard.counters.entries).toBe(2);
      });
      expect(shard.reader.earliestExpiry()).toBe(5000);
      // The object, the counters, one time: nothing is left of what went.
      expect(records()).toBe(3);
    });

    it('leaves no time behind when its object is deleted or replaced, also within one group', async () => {
      const { records, shard } = await setup();
      await shard.mutate(put('o', { a: 1010 }));
      await Promise.all([
        shard.mutate({ type: 'delete', objectId: 'o' }),
        shard.mutate(put('o', { a: 1020 }, true)),
        shard.mutate(put('o', { b: undefined }, true)),
      ]);
      expect(shard.reader.earliestExpiry()).toBe(2 ** 48 - 1);
      expect(records()).toBe(2);
    });

    it('leaves nothing behind in an object that was large and is small, or gone', async () => {
      const { time, records, shard } = await setup();
      const large = put('o', { a: 1010, b: 1020 });
      if (large.type !== 'change') throw new Error('no change');
      const filler: Value = { data: Buffer.alloc(5000), type: 'bytes', expiresAt: 1030 };
      const put5000 = { ...large, put: new Map([...large.put, ['filler', filler]]) };
      await shard.mutate(put5000);
      expect(records()).toBe(2 + 3 + 3);
      await time.advance(10);
      shard.expire(10);
      await eventually(() => {
        expect(records()).toBe(2 + 2 + 2);
      });
      await shard.mutate(put('o', { b: 1040 }, true));
      expect(records()).toBe(2 + 1);
      expect(shard.reader.earliestExpiry()).toBe(1040);
      await Promise.all([shard.mutate(put5000), shard.mutate({ type: 'delete', objectId: 'o' })]);
      expect(records()).toBe(1);
    });

    it('expires also after a restart', async () => {
      const { time, shard, open } = await setup();
      await shard.mutate(put('o', { a: 1010 }));
      await shard.close();
      const reopened = await open();
      await time.advance(10);
      reopened.expire(10);
      await eventually(() => {
        expect(reopened.counters.entries).toBe(0);
      });
    });

    it('is taken away with all others that are due, some at a time', async () => {
      const { time, shard } = await setup();
      await shard.mutate(put('o', { a: 1001, b: 1002, c: 1003, d: 1004, e: 1005 }));
      await time.advance(100);
      shard.expire(2);
      shard.expire(2);
      await eventually(() => {
        expect(shard.counters.entries).toBe(0);
      });
      // One version more with each batch that took entries of it away.
      expect(shard.reader.meta('o')?.version).toBe(type === 'raft' ? 4 : 1);
    });
  });
});
