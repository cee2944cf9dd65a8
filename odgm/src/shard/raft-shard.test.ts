import { eventually, simulatedTime } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { introduce, startHost, type TestHost, type TestHostOptions } from '../../testkit/hosts.ts';
import { statePrefix } from '../replication/index.ts';
import { prefixEnd } from '../storage/index.ts';
import { defaultLimits, type Mutation, openRaftShard, type RaftShard, type ShardLimits } from './index.ts';

let running: TestHost[] = [];
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  running = [];
});

const time = simulatedTime(1_000_000);

interface Options extends TestHostOptions {
  /** By member number. */
  readonly limits?: (number: number) => Partial<ShardLimits>;
}

const openOn = (host: TestHost, voters: readonly number[], limits: Partial<ShardLimits> = {}): Promise<RaftShard> =>
  openRaftShard(
    host.host,
    {
      ...{ id: 7, epoch: 1, collection: 'c', partition: 0, engine: host.engine, clock: time.clock },
      limits: { ...defaultLimits, ...limits },
    },
    { voters },
  );

async function startShard(options: Options = {}): Promise<RaftShard[]> {
  running = await Promise.all([1, 2, 3].map((number) => startHost(number, options)));
  introduce(...running);
  return Promise.all(running.map((host) => openOn(host, [1, 2, 3], options.limits?.(host.number))));
}

const leaderOf = (shards: readonly RaftShard[]): Promise<RaftShard> =>
  eventually(() => shards.find((shard) => shard.group.isLeader) ?? false);

const change = (objectId: string, put: Record<string, string>, more: object = {}): Mutation => ({
  type: 'change',
  objectId,
  put: new Map(Object.entries(put).map(([key, text]) => [key, { data: Buffer.from(text), type: 'bytes' as const }])),
  remove: [],
  replace: false,
  ...more,
});

const textOf = (shard: RaftShard, id: string, key: string): string | undefined => {
  const value = shard.reader.value(id, key);
  return value && Buffer.from(value.data).toString();
};

/** Everything stored of the shard, without the generation. */
function stateOf(host: TestHost, shard: RaftShard): string[] {
  const prefix = statePrefix(7, shard.group.generation);
  return Array.from(host.engine.range({ start: prefix, end: prefixEnd(prefix) }), ({ key, value }) =>
    Buffer.concat([key.subarray(prefix.length), Buffer.from('='), value]).toString('latin1'),
  );
}

async function untilEqual(shards: readonly RaftShard[]): Promise<void> {
  await eventually(() => {
    const applied = new Set(shards.map((shard) => shard.group.applied));
    expect(applied.size).toBe(1);
  });
  const states = running.map((host, i) => stateOf(host, shards[i] as RaftShard));
  for (const state of states) expect(state).toEqual(states[0]);
}

describe('a shard that is replicated by consensus', () => {
  it('answers with the version, and all replicas end with the same bytes', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    expect(await leader.mutate(change('o', { a: '1' }))).toEqual({ version: 1, changed: true });
    expect(await leader.mutate(change('o', { a: '1' }))).toEqual({ version: 1, changed: false });
    expect(await leader.mutate(change('o', { b: 'x'.repeat(6000) }))).toEqual({ version: 2, changed: true });
    expect(await leader.mutate(change('p', { c: '3' }, { replace: true }))).toEqual({ version: 1, changed: true });
    expect(await leader.mutate({ type: 'delete', objectId: 'p' })).toEqual({ version: 0, changed: true });
    await untilEqual(shards);
    for (const shard of shards) {
      expect(textOf(shard, 'o', 'a')).toBe('1');
      expect(shard.counters).toEqual({ objects: 1, entries: 2, bytes: 1 + 2 + 6001 });
    }
  });

  it('lets one of many writers with the same expectation win, and tells the others the version', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    await leader.mutate(change('o', { a: '0' }));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) => leader.mutate(change('o', { a: `w${String(i)}` }, { expectedVersion: 1 }))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refused = outcomes.find(({ status }) => status === 'rejected');
    expect(refused).toMatchObject({ reason: { code: 'VersionConflict', details: { currentVersion: 2 } } });
    await untilEqual(shards);
  });

  it('reads what was answered before, on the leader and on followers; local reads ask nobody', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    for (let i = 0; i < 20; i++) {
      await leader.mutate(change('o', { a: String(i) }));
      for (const shard of shards) {
        const reader = await shard.read('linearizable');
        const value = reader.value('o', 'a');
        expect(value && Buffer.from(value.data).toString()).toBe(String(i));
      }
    }
    for (const shard of shards) expect(shard.read('local')).toBe(shard.reader);
  });

  it('refuses what is over a limit before it is proposed, or alike on all replicas, whatever their own limits are', async () => {
    const shards = await startShard({ limits: (number) => ({ maxValueBytes: 100, maxEntriesPerObject: number + 1 }) });
    const leader = await leaderOf(shards);
    const before = leader.group.status().lastIndex;
    await expect(leader.mutate(change('o', { a: 'x'.repeat(101) }))).rejects.toMatchObject({
      code: 'ResourceExhausted',
    });
    expect(leader.group.status().lastIndex).toBe(before);
    const most = running.find((host) => host.host === leaderHost(leader))?.number ?? 0;
    for (let i = 0; i <= most; i++) await leader.mutate(change('o', { [`k${String(i)}`]: 'v' }));
    await expect(leader.mutate(change('o', { more: 'v' }))).rejects.toMatchObject({ code: 'ResourceExhausted' });
    await untilEqual(shards);
    for (const shard of shards) expect(shard.counters.entries).toBe(most + 1);
  });

  it('takes expired entries away on all replicas by a change of the leader', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const expiring = { data: Buffer.from('x'), type: 'bytes', expiresAt: time.clock.now() + 50 } as const;
    await leader.mutate(change('o', { b: '1' }, { put: new Map([['a', expiring]]) }));
    await leader.mutate(change('o', { b: '1' }));
    await untilEqual(shards);
    await time.advance(50);
    for (const shard of shards) expect(shard.reader.value('o', 'a')).toBeUndefined();
    for (const shard of shards) expect(shard.counters.entries).toBe(2);
    for (const shard of shards) shard.expire(10);
    await eventually(() => {
      for (const shard of shards) expect(shard.counters.entries).toBe(1);
    });
    await untilEqual(shards);
    expect(leader.reader.meta('o')?.version).toBe(3);
  });

  it('comes up on a new replica with its counters and times', async () => {
    const shards = await startShard({ tuning: { keepEntries: 5 } });
    const leader = await leaderOf(shards);
    const expiresAt = time.clock.now() + 1_000_000;
    const put = new Map([['a', { data: Buffer.from('x'), type: 'bytes' as const, expiresAt }]]);
    for (let i = 0; i < 50; i++) await leader.mutate(change(`o${String(i)}`, {}, { put }));
    const fourth = await startHost(4);
    running.push(fourth);
    introduce(...running);
    const replica = await openOn(fourth, []);
    await leader.group.changeMembers([{ type: 'learner', member: 4 }], new Uint8Array(0));
    await eventually(() => {
      expect(replica.counters).toEqual(leader.counters);
    });
    expect(replica.reader.earliestExpiry()).toBe(expiresAt);
    expect(replica.status()).toMatchObject({ state: 'serving', role: 'learner' });
    expect(leader.status().replicas.map(({ member, role }) => [member, role])).toEqual([
      [1, 'voter'],
      [2, 'voter'],
      [3, 'voter'],
      [4, 'learner'],
    ]);
    await untilEqual([...shards, replica]);
  });

  it('that failed on a node serves nothing there', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const follower = shards.find((shard) => shard !== leader) as RaftShard;
    follower.group.fail(new Error('a disk lies'));
    await expect(Promise.resolve(follower.read('local'))).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(Promise.resolve(follower.read('linearizable'))).rejects.toMatchObject({ code: 'Unavailable' });
    expect(follower.status()).toMatchObject({ state: 'failed', problem: 'a disk lies' });
    await leader.mutate(change('o', { a: '1' }));
  });
});

function leaderHost(shard: RaftShard): unknown {
  return running.find((host) => host.host.group(7) === shard.group)?.host;
}
