import { beforeEach, describe, expect, it } from 'vitest';
import { alarmOf, canDoWithout, freezeOf, isFirst, isFounder } from './index.ts';
import { MetaUnderTest } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('alarms and checks', () => {
  it('name a replica that must not serve until it is removed or the alarm is cleared', () => {
    meta.bootstrap();
    const [first, second] = meta.placed() as [number, number];
    const alarm = { shard: first, member: 2, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    meta.accept({ type: 'setAlarm', alarm });
    expect(meta.run({ type: 'setAlarm', alarm })).toMatchObject({ ok: true, changed: false });
    expect(meta.run({ type: 'setAlarm', alarm: { ...alarm, member: 9 } })).toMatchObject({ code: 'Invalid' });
    meta.accept({ type: 'setAlarm', alarm: { ...alarm, shard: second } });
    const rest = [1, 3].map((number) => ({ member: number, role: 'voter' as const }));
    meta.accept({ type: 'updateShardReplicas', shard: first, expectedEpoch: 1, replicas: rest });
    expect(meta.state.alarms).toMatchObject([{ shard: second, member: 2 }]);
    meta.accept({ type: 'clearAlarm', shard: second, member: 2 });
    expect(meta.state.alarms).toEqual([]);
  });

  it('stay with a replica that is made anew, but mean the old one only', () => {
    meta.bootstrap();
    const [id] = meta.placed() as [number];
    const shard = meta.state.shards.get(id)!;
    const alarm = { shard: id, member: 2, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    meta.accept({ type: 'setAlarm', alarm });
    expect(alarmOf(meta.state, shard, 2)).toMatchObject({ epoch: 1 });
    expect(alarmOf(meta.state, shard, 3)).toBeUndefined();
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    meta.accept({ type: 'updateShardReplicas', shard: id, expectedEpoch: 1, replicas, renew: [2] });
    expect(shard.replicas.map(({ epoch }) => epoch)).toEqual([1, 2, 1]);
    expect(meta.state.alarms).toHaveLength(1);
    expect(alarmOf(meta.state, shard, 2)).toBeUndefined();
    // Late word of the replica that is gone does not hit the new one.
    expect(meta.run({ type: 'setAlarm', alarm: { ...alarm, epoch: 1 } })).toMatchObject({ changed: false });
    meta.accept({ type: 'setAlarm', alarm });
    expect(meta.state.alarms).toMatchObject([{ member: 2, epoch: 2 }]);
    expect(alarmOf(meta.state, shard, 2)).toBeDefined();
  });

  it('let the shard do without those that have one as long as the others are a majority', () => {
    meta.bootstrap();
    const [id] = meta.placed() as [number];
    const shard = meta.state.shards.get(id)!;
    const alarm = { shard: id, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    expect(canDoWithout(meta.state, shard)).toBe(true);
    meta.accept({ type: 'setAlarm', alarm: { ...alarm, member: 2 } });
    expect(canDoWithout(meta.state, shard)).toBe(true);
    meta.accept({ type: 'setAlarm', alarm: { ...alarm, member: 3 } });
    expect(canDoWithout(meta.state, shard)).toBe(false);
    meta.accept({ type: 'setAlarm', alarm: { ...alarm, kind: 'no-majority' } });
    expect(freezeOf(meta.state, id)).toMatchObject({ kind: 'no-majority' });
  });

  it('let a shard begin anew once a majority has lost its content, and not before', () => {
    meta.bootstrap();
    const [id] = meta.placed('c', { durability: 'ephemeral' }) as [number];
    const shard = meta.state.shards.get(id)!;
    const lost = { shard: id, kind: 'lost-replica', since: 1, evidence: '' } as const;
    expect(isFounder(shard)).toBe(true);
    meta.accept({ type: 'setAlarm', alarm: { ...lost, member: 2 } });
    meta.accept({ type: 'setAlarm', alarm: { ...lost, member: 3, kind: 'corrupt-replica' } });
    expect(meta.run({ type: 'foundShard', shard: id, expectedEpoch: 1 })).toMatchObject({ code: 'Invalid' });
    meta.accept({ type: 'setAlarm', alarm: { ...lost, member: 1 } });
    expect(meta.run({ type: 'foundShard', shard: id, expectedEpoch: 9 })).toMatchObject({ code: 'EpochConflict' });
    meta.accept({ type: 'foundShard', shard: id, expectedEpoch: 1 });
    expect(shard).toMatchObject({ epoch: 2, replicas: [{ epoch: 2 }, { epoch: 2 }, { epoch: 2 }] });
    expect(isFounder(shard)).toBe(true);
    expect(meta.state.alarms).toEqual([]);
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    meta.accept({ type: 'updateShardReplicas', shard: id, expectedEpoch: 2, replicas, renew: [2] });
    expect(isFounder(shard)).toBe(false);
    expect(shard.replicas.map((replica) => isFirst(shard, replica))).toEqual([true, false, true]);
  });

  it('let no durable shard begin anew: what it holds may still be on a disk', () => {
    meta.bootstrap();
    const [id] = meta.placed() as [number];
    for (const member of [1, 2, 3]) {
      meta.accept({ type: 'setAlarm', alarm: { shard: id, kind: 'lost-replica', since: 1, evidence: '', member } });
    }
    expect(meta.run({ type: 'foundShard', shard: id, expectedEpoch: 1 })).toMatchObject({ code: 'Invalid' });
  });

  it('cannot have all replicas made anew: there would be nothing to make them from', () => {
    meta.bootstrap();
    const [id] = meta.placed() as [number];
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    const all = { type: 'updateShardReplicas', shard: id, expectedEpoch: 1, replicas, renew: [1, 2, 3] } as const;
    expect(meta.run(all)).toMatchObject({ ok: false, code: 'Invalid' });
  });

  const checkOf = (shard: number) =>
    ({
      shard,
      collection: 'c',
      partition: 0,
      task: 1,
      mode: 'fast',
      verdict: 'consistent',
      replicas: [],
      minority: [],
      differing: Array.from({ length: 150 }, (_, i) => `o${i}`),
      reason: '',
    }) as const;

  it('keep a thousand outcomes beside the newest, and what differs of the newest one of a shard', () => {
    meta.bootstrap();
    const [shard] = meta.placed() as [number];
    const check = checkOf(shard);
    for (let at = 0; at < 1200; at++) meta.accept({ type: 'recordCheck', check: { ...check, at } });
    const { length } = meta.state.checks;
    expect(length).toBeGreaterThan(900);
    expect(length).toBeLessThanOrEqual(1002);
    expect(meta.state.checks[0]).toMatchObject({ at: 1200 - length });
    expect(meta.state.checks.at(-1)?.differing).toHaveLength(100);
    expect(meta.state.checks.at(-2)?.differing).toEqual([]);
    meta.accept({
      type: 'recordCheck',
      check: { ...check, at: 0, differing: ['x'.repeat(8000), 'y'.repeat(300), 'z'] },
    });
    expect(meta.state.checks.at(-1)?.differing).toEqual(['x'.repeat(8000)]);
  });

  it.each([
    ['keep the newest outcome of each of many shards', 6, 1200],
    ['keep the last thousand as long as a member of a former build does', 5, 1000],
  ])('%s', (_, agreed, expected) => {
    meta.bootstrap();
    meta.state.cluster!.commandVersion = agreed;
    const shards = meta.placed('wide', { partitionCount: 1200 });
    for (let round = 0; round < 2; round++) {
      for (const shard of shards) meta.accept({ type: 'recordCheck', check: { ...checkOf(shard), at: round } });
    }
    const newest = new Map(meta.state.checks.map(({ shard, at }) => [shard, at]));
    expect([newest.size, ...new Set(newest.values())]).toEqual([expected, 1]);
    expect(meta.state.checks.length).toBeLessThanOrEqual(expected === 1000 ? 1000 : 2202);
  });
});
