import { eventually, simulatedTime } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { introduce, startHost, type TestHost, type TestHostOptions } from '../../testkit/hosts.ts';
import { statePrefix } from '../replication/index.ts';
import { prefixEnd } from '../storage/index.ts';
import {
  ContentScan,
  defaultLimits,
  type Mutation,
  openRaftShard,
  type RaftShard,
  rootOf,
  type ScanSource,
  type ShardLimits,
} from './index.ts';

let running: TestHost[] = [];
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  running = [];
  scans = [];
});

const time = simulatedTime(1_000_000);

interface Options extends TestHostOptions {
  /** By member number. */
  readonly limits?: (number: number) => Partial<ShardLimits>;
}

/** What replicas were given to scan, by member number. */
let scans: { readonly member: number; readonly source: ScanSource }[] = [];

const openOn = (host: TestHost, voters: readonly number[], limits: Partial<ShardLimits> = {}): Promise<RaftShard> =>
  openRaftShard(
    host.host,
    {
      ...{ id: 7, epoch: 1, collection: 'c', partition: 0, engine: host.engine, clock: time.clock },
      limits: { ...defaultLimits, ...limits },
      onScan: (source) => scans.push({ member: host.number, source }),
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

  it('decides by the limits that a mutation was proposed with on all replicas, though they change before it is applied', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const proposed = leader.mutate(change('o', { a: '1', b: '1', c: '1' }));
    for (const shard of shards) shard.setLimits({ ...defaultLimits, maxEntriesPerObject: 2 });
    expect(await proposed).toEqual({ version: 1, changed: true });
    await untilEqual(shards);
    const late = leader.mutate(change('p', { a: '1', b: '1' }));
    const refused = leader.mutate(change('p', { c: '1' }));
    for (const shard of shards) shard.setLimits(defaultLimits);
    expect(await late).toEqual({ version: 1, changed: true });
    await expect(refused).rejects.toMatchObject({ code: 'ResourceExhausted', details: { value: 2 } });
    await untilEqual(shards);
    for (const shard of shards) expect(shard.counters.entries).toBe(5);
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

describe('a mark in the log', () => {
  it('is answered alike by all replicas, with what they had exactly there, whatever else is written', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    const writes: Promise<unknown>[] = [];
    const marks: Promise<{ readonly id: string; readonly index: number }>[] = [];
    for (let i = 0; i < 400; i++) {
      writes.push(leader.mutate(change(`o${String(i % 17)}`, { [`k${String(i % 5)}`]: 'x'.repeat((i * 37) % 5000) })));
      if (i % 60 === 30) marks.push(leader.mark(`m${String(i)}`, i % 120 === 30));
    }
    await Promise.all(writes);
    const answers = await Promise.all(marks);
    await untilEqual(shards);
    for (const { id, index } of answers) {
      const roots = new Set(shards.map((shard) => JSON.stringify(shard.markOf(id))));
      expect(roots.size).toBe(1);
      expect(shards[0]?.markOf(id)).toMatchObject({ index, algorithm: 1 });
    }
    expect(new Set(answers.map(({ id }) => shards[0]?.markOf(id)?.root)).size).toBe(answers.length);
    // A scan sees the state as of its mark and no other, although later entries came in the same batch.
    expect(scans).toHaveLength(3 * 4);
    for (const { source } of scans) {
      const scan = new ContentScan(source.snapshot, source.location);
      while (!scan.isDone) scan.read(10_000);
      expect(rootOf(scan.content)).toBe(source.mark.root);
      expect(scan.counters).toEqual(source.mark.counters);
      expect(scan.problem).toBeUndefined();
      source.snapshot.close();
    }
  });

  it('has the same answer on a replica that came by a snapshot', async () => {
    const shards = await startShard({ tuning: { keepEntries: 5 } });
    const leader = await leaderOf(shards);
    for (let i = 0; i < 50; i++) await leader.mutate(change(`o${String(i)}`, { a: String(i) }));
    const fourth = await startHost(4);
    running.push(fourth);
    introduce(...running);
    const replica = await openOn(fourth, []);
    await leader.group.changeMembers([{ type: 'learner', member: 4 }], new Uint8Array(0));
    await eventually(() => replica.counters.objects === 50);
    const { root, index } = await leader.mark('m', false);
    await leader.mutate(change('o1', { a: 'later' }));
    await eventually(() => {
      expect(replica.markOf('m')).toMatchObject({ root, index });
    });
  });

  it('of long ago is forgotten', async () => {
    const shards = await startShard();
    const leader = await leaderOf(shards);
    for (let i = 0; i < 17; i++) await leader.mark(`m${String(i)}`, false);
    expect(leader.markOf('m0')).toBeUndefined();
    expect(leader.markOf('m1')).toBeDefined();
  });
});

it('a shard that is frozen refuses mutations with the reason, and still reads', async () => {
  const shards = await startShard();
  const leader = await leaderOf(shards);
  await leader.mutate(change('o', { a: '1' }));
  for (const shard of shards) shard.freeze('nobody knows what is right');
  await expect(leader.mutate(change('o', { a: '2' }))).rejects.toMatchObject({
    code: 'FailedPrecondition',
    message: expect.stringContaining('nobody knows what is right') as string,
    details: { reason: 'frozen' },
  });
  expect((await leader.read('linearizable')).value('o', 'a')).toBeDefined();
  leader.freeze(undefined);
  expect(await leader.mutate(change('o', { a: '2' }))).toEqual({ version: 2, changed: true });
});

function leaderHost(shard: RaftShard): unknown {
  return running.find((host) => host.host.group(7) === shard.group)?.host;
}
