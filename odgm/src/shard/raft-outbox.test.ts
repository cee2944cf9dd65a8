import { data } from '@oaas/proto';
import { eventually, simulatedTime } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { introduce, startHost, type TestHost, type TestHostOptions } from '../../testkit/hosts.ts';
import { statePrefix } from '../replication/index.ts';
import { prefixEnd } from '../storage/index.ts';
import { defaultLimits, type Mutation, openRaftShard, type RaftShard } from './index.ts';

let running: TestHost[] = [];
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  running = [];
});

const time = simulatedTime(1_000_000);
const target = data.TriggerTarget.fromPartial({ clsId: 'p.Class', fnId: 'told' });
const trigger = { onCreate: [target], onUpdate: [target], onDelete: [target] };
const event = data.ObjectEvent.encode(
  data.ObjectEvent.fromPartial({ dataTrigger: { a: trigger, b: trigger } }),
).finish();

const openOn = (host: TestHost, voters: readonly number[], fires = true): Promise<RaftShard> =>
  openRaftShard(
    host.host,
    {
      ...{ id: 7, epoch: 1, collection: 'c', partition: 0, engine: host.engine, clock: time.clock },
      limits: defaultLimits,
      fires: () => fires,
    },
    { voters },
  );

async function startShard(
  options: TestHostOptions & { readonly fires?: (number: number) => boolean } = {},
): Promise<RaftShard[]> {
  running = await Promise.all([1, 2, 3].map((number) => startHost(number, options)));
  introduce(...running);
  return Promise.all(running.map((host) => openOn(host, [1, 2, 3], options.fires?.(host.number))));
}

const leaderOf = (shards: readonly RaftShard[]): Promise<RaftShard> =>
  eventually(() => shards.find((shard) => shard.group.isLeader) ?? false);

const change = (put: Record<string, string>, more: object = {}): Mutation => ({
  ...{ type: 'change', objectId: 'o', remove: [], replace: false, at: time.clock.now() },
  put: new Map(Object.entries(put).map(([key, text]) => [key, { data: Buffer.from(text), type: 'bytes' as const }])),
  ...more,
});

const keysOf = ({ outbox }: RaftShard): string[] => outbox.events(undefined, 1000).map((one) => one.event.key);

/** Everything stored of the shard, without the generation. */
function stateOf(host: TestHost, shard: RaftShard): string[] {
  const prefix = statePrefix(7, shard.group.generation);
  return Array.from(host.engine.range({ start: prefix, end: prefixEnd(prefix) }), ({ key, value }) =>
    Buffer.concat([key.subarray(prefix.length), Buffer.from('='), value]).toString('hex'),
  );
}

async function untilEqual(shards: readonly RaftShard[]): Promise<void> {
  await eventually(() => {
    expect(new Set(shards.map((shard) => shard.group.applied)).size).toBe(1);
  });
  const states = running.map((host, i) => stateOf(host, shards[i] as RaftShard));
  for (const state of states) expect(state).toEqual(states[0]);
  for (const shard of shards) expect(shard.outbox.counts).toEqual(shards[0]?.outbox.counts);
}

describe('events of a shard that is replicated by consensus', () => {
  it('are the same on all replicas, whoever delivers them and whatever is taken away meanwhile', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      const objectId = `o${String(i % 7)}`;
      writes.push(
        leader.mutate(
          i % 19 === 18
            ? { type: 'delete', objectId, at: time.clock.now() }
            : change(
                { [i % 2 === 0 ? 'a' : 'b']: String(i), x: 'x'.repeat(i * 20) },
                { objectId, event, replace: i % 5 === 0 },
              ),
        ),
      );
      if (i % 50 !== 49) continue;
      await Promise.all(writes.splice(0));
      const [one, two, three] = leader.outbox.events(undefined, 3).map(({ ref }) => ref);
      if (one === undefined || two === undefined || three === undefined) throw new Error('no events');
      const dead = [{ ref: three, reason: 'failed' as const, attempts: 3, error: 'no' }];
      writes.push(leader.outbox.change({ type: 'outbox', at: i, done: [one, two], dead }));
    }
    await Promise.all(writes);
    await untilEqual(shards);
    expect(leader.outbox.counts).toMatchObject({ letters: 6, dropped: 0 });
    expect(leader.outbox.counts.events).toBeGreaterThan(250);
  });

  it('are decided by whoever proposed the change, not by what the replica that applies it is told', async () => {
    const shards = await startShard({ fires: (number) => number === 1 });
    const [first, second] = shards;
    if (first === undefined || second === undefined) throw new Error();
    const leader = await leaderOf(shards);
    if (leader !== first) await leader.group.transferLeadership(1);
    await eventually(() => first.isPrimary);
    await first.mutate(change({ a: '1' }, { event }));
    await first.group.transferLeadership(2);
    await eventually(() => second.isPrimary);
    await second.mutate(change({ a: '2' }));
    await untilEqual(shards);
    expect(shards.map(keysOf)).toEqual([['a'], ['a'], ['a']]);
  });

  it('come up on a new replica with the snapshot, dead letters as well', async () => {
    const shards = await startShard({ tuning: { keepEntries: 5 } });
    const leader = await leaderOf(shards);
    for (let i = 0; i < 50; i++) await leader.mutate(change({ a: String(i) }, { event }));
    const [one] = leader.outbox.events(undefined, 1);
    if (one === undefined) throw new Error();
    const death = { ref: one.ref, reason: 'unknown-target' as const, attempts: 1, error: 'who?' };
    await leader.outbox.change({ type: 'outbox', at: 5, dead: [death] });
    for (let i = 0; i < 10; i++) await leader.mutate(change({ x: String(i) }));
    const fourth = await startHost(4);
    running.push(fourth);
    introduce(...running);
    const replica = await openOn(fourth, []);
    await leader.group.changeMembers([{ type: 'learner', member: 4 }], new Uint8Array(0));
    await eventually(() => {
      expect(replica.outbox.counts).toEqual(leader.outbox.counts);
    });
    expect(replica.outbox.counts).toMatchObject({ events: 49, letters: 1 });
    expect([...replica.outbox.letters()].map(({ death: { reason, error } }) => [reason, error])).toEqual([
      ['unknown-target', 'who?'],
    ]);
    await untilEqual([...shards, replica]);
  });

  it('tell of an entry whose time has come as of one that is deleted, at that time', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const expiresAt = time.clock.now() + 50;
    const expiring = { data: Buffer.from('x'), type: 'bytes', expiresAt } as const;
    await leader.mutate(change({}, { put: new Map([['a', expiring]]), event }));
    await time.advance(60);
    leader.expire(10);
    await eventually(() => {
      expect(leader.outbox.counts.events).toBe(2);
    });
    const [, gone] = leader.outbox.events(undefined, 2);
    expect(gone?.event).toMatchObject({ type: data.EventType.EVENT_TYPE_DATA_DELETE, key: 'a', at: expiresAt });
    await untilEqual(shards);
  });
});
