import { data } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { type ShardStore, type ShardStoreOptions, shardTypes, startShardStore } from '../../testkit/shards.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { ContentScan, type DeadLetter, eventId, MergingScan, type Mutation, type ShardHandle } from './index.ts';
import type { OutboxEvent } from './outbox-records.ts';

const { EventType } = data;
const target = (fnId: string): data.TriggerTarget => data.TriggerTarget.fromPartial({ clsId: 'p.Class', fnId });
const told = { onCreate: [target('created')], onUpdate: [target('updated')], onDelete: [target('deleted')] };
const event = data.ObjectEvent.encode(
  data.ObjectEvent.fromPartial({ dataTrigger: { a: told, b: told, 7: told } }),
).finish();
/** Of the wall clock when the changes came. */
const at = 5000;

const change = (put: Record<string, string>, more: object = {}): Mutation => ({
  ...{ type: 'change', objectId: 'o', remove: [], replace: false, at },
  put: new Map(Object.entries(put).map(([key, text]) => [key, { data: Buffer.from(text), type: 'bytes' as const }])),
  ...more,
});

let store: ShardStore | undefined;
afterEach(() => store?.stop());

async function opened(type: (typeof shardTypes)[number], options: ShardStoreOptions = {}): Promise<ShardHandle> {
  store = await startShardStore(type, { fires: true, ...options });
  return store.open();
}

const names = new Map<data.EventType, string>([
  [EventType.EVENT_TYPE_DATA_CREATE, 'create'],
  [EventType.EVENT_TYPE_DATA_UPDATE, 'update'],
  [EventType.EVENT_TYPE_DATA_DELETE, 'delete'],
]);
const said = ({ event: { type, key, versions } }: { readonly event: OutboxEvent }) =>
  `${key} ${names.get(type) ?? ''} ${versions.join('>')}`;
const waiting = ({ outbox }: ShardHandle): string[] => outbox.events(undefined, 100).map(said);
const letters = ({ outbox }: ShardHandle): DeadLetter[] => [...outbox.letters()];

describe.each(shardTypes)('the outbox of a shard of type %s', (type) => {
  it('gets one event for each changed entry that has triggers, and a batch makes one version of the object', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1', x: '1', 7: '1' }, { event }));
    await shard.mutate(change({ a: '2', b: '1' }, { remove: ['7', 'x', 'never-there'] }));
    expect(waiting(shard)).toEqual(['7 create 0>1', 'a create 0>1', '7 delete 1>2', 'a update 1>2', 'b create 1>2']);
    const [first] = shard.outbox.events(undefined, 1);
    expect(first?.event).toMatchObject({ objectId: 'o', at, depth: 1, payload: undefined });
    expect(data.TriggerTarget.decode(first?.event.target ?? Buffer.alloc(0)).fnId).toBe('created');
    expect(shard.outbox.counts).toMatchObject({ events: 5, letters: 0 });
  });

  it('gets nothing of a batch that changes nothing, is empty, or is refused', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1' }, { event }));
    const before = waiting(shard);
    expect(await shard.mutate(change({ a: '1' }))).toEqual({ version: 1, changed: false });
    expect(await shard.mutate(change({}))).toEqual({ version: 1, changed: false });
    expect(await shard.mutate(change({}, { remove: ['b'] }))).toEqual({ version: 1, changed: false });
    await expect(shard.mutate(change({ a: '2' }, { expectedVersion: 9 }))).rejects.toMatchObject({
      code: 'VersionConflict',
    });
    await expect(shard.mutate(change({ a: 'x'.repeat(5_000_000) }))).rejects.toMatchObject({
      code: 'ResourceExhausted',
    });
    await shard.mutate({ type: 'delete', objectId: 'never-there', at });
    expect(waiting(shard)).toEqual(before);
  });

  it('tells of the entries of an object that is deleted, and of those that a replacement takes away', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1', b: '1', x: '1' }, { event }));
    await shard.mutate(change({ b: '2' }, { replace: true, event }));
    await shard.mutate({ type: 'delete', objectId: 'o', at });
    expect(waiting(shard).slice(2)).toEqual(['a delete 1>2', 'b update 1>2', 'b delete 2>0']);
  });

  it('tells of the change that takes the triggers away, and of none after it', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1' }, { event }));
    await shard.mutate(change({ a: '2' }, { replace: true }));
    await shard.mutate(change({ a: '3' }));
    expect(waiting(shard)).toEqual(['a create 0>1', 'a update 1>2']);
  });

  it('is not there for objects without triggers, for changes of the grid itself, and while triggers are off', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1' }));
    await shard.mutate(change({ a: '2' }, { objectId: 'p', event, at: undefined }));
    expect(shard.outbox.counts).toEqual({ events: 0, eventBytes: 0, letters: 0, letterBytes: 0, dropped: 0 });
    await store?.stop();
    const off = await opened(type, { fires: false });
    await off.mutate(change({ a: '1' }, { event }));
    expect(off.outbox.counts.events).toBe(0);
  });

  it('counts how deep a change is that came of a trigger', async () => {
    const shard = await opened(type);
    await shard.mutate(change({ a: '1' }, { event, depth: 3 }));
    expect(shard.outbox.events(undefined, 1)[0]?.event.depth).toBe(4);
  });

  it('loses what is done, keeps what is dead, and gives it back or lets it go; what is not there is skipped', async () => {
    const shard = await opened(type);
    for (const text of ['1', '2', '3', '4']) await shard.mutate(change({ a: text }, { event }));
    const [one, two, three, four] = shard.outbox.events(undefined, 10).map(({ ref }) => ref);
    if (one === undefined || two === undefined || three === undefined || four === undefined) throw new Error();
    const failed = { reason: 'failed', attempts: 10, error: 'gone – weg' } as const;
    const dead = [two, three, { major: 1, minor: 99 }].map((ref) => ({ ref, ...failed }));
    expect(await shard.outbox.change({ type: 'outbox', at: 9000, done: [one, one], dead })).toMatchObject({
      settled: 3,
    });
    expect(waiting(shard)).toEqual(['a update 3>4']);
    expect(letters(shard).map((letter) => [said(letter), letter.ref.diedAt, letter.death])).toEqual([
      ['a update 1>2', 9000, failed],
      ['a update 2>3', 9000, failed],
    ]);

    const [first, second] = letters(shard);
    if (first === undefined || second === undefined) throw new Error();
    const result = await shard.outbox.change({
      ...{ type: 'outbox', at: 9100, replay: [first.ref, first.ref], purge: [second.ref, first.ref] },
    });
    expect(result).toMatchObject({ replayed: 1, purged: 1 });
    expect(letters(shard)).toEqual([]);
    const again = shard.outbox.events(undefined, 10);
    expect(again.map(said)).toEqual(['a update 3>4', 'a update 1>2']);
    // Behind the others, and still the same event to whoever gets it.
    expect(eventId(1, again[1]?.event.origin ?? { major: 0, minor: 0, by: 0 })).toBe(eventId(1, first.event.origin));
    expect(again[1]?.ref).not.toEqual(two);
  });

  it('is as it was when the replica is opened anew', async () => {
    const engine = createMemoryEngine();
    const shard = await opened(type, { engine });
    for (const text of ['1', '2']) await shard.mutate(change({ a: text }, { event }));
    const [one] = shard.outbox.events(undefined, 1);
    if (one === undefined) throw new Error();
    await shard.outbox.change({
      ...{ type: 'outbox', at: 1, dead: [{ ref: one.ref, reason: 'rejected', attempts: 1, error: '' }] },
    });
    const { counts } = shard.outbox;
    await shard.close();
    const again = await store?.open();
    expect(again?.outbox.counts).toEqual(counts);
    expect(counts).toMatchObject({ events: 1, letters: 1 });
  });

  it('is no damage to a scan of what is stored', async () => {
    const shard = await opened(type);
    for (const text of ['1', '2']) await shard.mutate(change({ a: text }, { event }));
    const engine = store?.engine;
    if (engine === undefined) throw new Error();
    const location = { shard: 1, generation: 1 };
    const content = new ContentScan(engine, location);
    content.read(Infinity);
    expect([content.problem, content.badCount, content.counters]).toEqual([undefined, 0, shard.counters]);
    if (type === 'raft') return;
    const merging = new MergingScan(engine, location);
    while (!merging.isDone) merging.read(1_000_000);
    expect(merging.damage).toEqual([]);
  });
});
