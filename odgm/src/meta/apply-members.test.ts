import { beforeEach, describe, expect, it } from 'vitest';
import { planPlacement } from '../placement/index.ts';
import { decodeState, encodeState, metaShard, placementSnapshot, refusalError } from './index.ts';
import { member, MetaUnderTest } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('members', () => {
  it('get numbers in the order of the bootstrap, and all of them vote in the meta group', () => {
    meta.bootstrap();
    expect([...meta.state.members.values()].map(({ number, id }) => [number, id])).toEqual([
      [1, 'grid-0'],
      [2, 'grid-1'],
      [3, 'grid-2'],
    ]);
    expect(meta.state.shards.get(metaShard)?.replicas.map(({ member: number }) => number)).toEqual([1, 2, 3]);
    expect(meta.run({ type: 'bootstrap', clusterId: 'blue', members: [member('x')] })).toMatchObject({
      changed: false,
    });
    expect(meta.run({ type: 'bootstrap', clusterId: 'red', members: [member('x')] })).toMatchObject({
      code: 'AlreadyBootstrapped',
    });
  });

  it('keep their number when they come back with their disk, and are up again', () => {
    meta.bootstrap();
    meta.accept({ type: 'setMemberState', member: 2, state: 'down' });
    const back = meta.accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { address: 'new:1' }) });
    expect(back.id).toBe(2);
    expect(meta.state.members.get(2)).toMatchObject({ address: 'new:1', state: 'up' });
    const again = meta.run({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { address: 'new:1' }) });
    expect(again).toMatchObject({ ok: true, changed: false, id: 2 });
  });

  it('get a new number with an empty disk; the old one is down for good and goes with its last replica', () => {
    meta.bootstrap();
    const [first, second] = meta.placed() as [number, number];
    const joined = meta.accept({
      type: 'joinMember',
      clusterId: 'blue',
      member: member('grid-1', { incarnation: 'new' }),
    });
    expect(joined.id).toBe(4);
    expect(meta.state.members.get(2)).toMatchObject({ state: 'down', replacedBy: 4 });
    expect(meta.run({ type: 'setMemberState', member: 2, state: 'up' })).toMatchObject({ code: 'MemberReplaced' });
    expect(meta.run({ type: 'joinMember', clusterId: 'blue', member: member('grid-1') })).toMatchObject({
      code: 'MemberReplaced',
    });
    const plan = planPlacement(placementSnapshot(meta.state, new Map(), { kind: 'repair' }, meta.isGone));
    expect(plan.moves.map(({ shard, from, to }) => [shard, from, to])).toEqual([
      [first, 2, 4],
      [second, 2, 4],
    ]);
    for (const { shard, replicas } of [...plan.targets, { shard: metaShard, replicas: [1, 3, 4] }]) {
      const voters = replicas.map((number) => ({ member: number, role: 'voter' as const }));
      meta.accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters });
    }
    expect([...meta.state.members.keys()]).toEqual([1, 3, 4]);
  });

  it('are not replaced by a request of a process that is gone: a new one names the member that it found in its place', () => {
    meta.bootstrap();
    const join = (incarnation: string, replaces: number) =>
      meta.run({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { incarnation }), replaces });
    const held = meta.placed();
    expect(join('second', 2)).toMatchObject({ ok: true, id: 4 });
    // It held nothing, so that the next one leaves no trace of it.
    expect(join('third', 4)).toMatchObject({ ok: true, id: 5 });
    expect(meta.state.members.has(4)).toBe(false);
    expect(join('second', 2)).toMatchObject({ ok: false, code: 'MemberChanged' });
    expect(join('fourth', 0)).toMatchObject({ ok: false, code: 'MemberChanged' });
    expect(join('third', 4)).toMatchObject({ ok: true, changed: false, id: 5 });
    expect(meta.state.members.get(5)).toMatchObject({ incarnation: 'third', state: 'up' });
    expect(held.length).toBeGreaterThan(0);
  });

  it('that are drained are drained on after they were down, until that is taken back', () => {
    meta.bootstrap();
    const stateOf = (number: number): string | undefined => meta.state.members.get(number)?.state;
    for (const back of [
      { type: 'setMemberState', member: 2, state: 'up' } as const,
      { type: 'joinMember', clusterId: 'blue', member: member('grid-1') } as const,
    ]) {
      meta.accept({ type: 'setMemberState', member: 2, state: 'draining' });
      meta.accept({ type: 'setMemberState', member: 2, state: 'down' });
      meta.state = decodeState(encodeState(meta.state));
      meta.accept(back);
      expect(stateOf(2)).toBe('draining');
      meta.accept({ type: 'setMemberState', member: 2, state: 'up' });
      expect(stateOf(2)).toBe('up');
      meta.accept({ type: 'setMemberState', member: 2, state: 'down' });
      meta.accept(back);
      expect(stateOf(2)).toBe('up');
    }
  });

  it('whose drain is cancelled while they are down come back to serve', () => {
    meta.bootstrap();
    const { id = 0 } = meta.accept(meta.task([], { kind: 'drain', member: 2 }));
    meta.accept({ type: 'setMemberState', member: 2, state: 'down' });
    meta.accept({ type: 'cancelTask', task: id, actor: 'ann' });
    meta.accept({ type: 'setMemberState', member: 2, state: 'up' });
    expect(meta.state.members.get(2)?.state).toBe('up');
  });

  it('of which one runs an older build do as that one does: a drain is forgotten', () => {
    const members = [member('grid-0'), member('grid-1', { commandVersion: 2 })];
    meta.accept({ type: 'bootstrap', clusterId: 'blue', members });
    for (const state of ['draining', 'down', 'up'] as const) meta.accept({ type: 'setMemberState', member: 1, state });
    expect(meta.state.members.get(1)?.state).toBe('up');
  });

  it('of another cluster are refused, and so is a build that knows fewer commands than the cluster uses', () => {
    meta.bootstrap();
    const foreign = meta.run({ type: 'joinMember', clusterId: 'red', member: member('x') });
    expect(foreign).toMatchObject({ ok: false, code: 'OtherCluster' });
    expect(refusalError(foreign as never).message).toContain('red');
    const old = meta.run({ type: 'joinMember', clusterId: 'blue', member: member('x', { commandVersion: 0 }) });
    expect(old).toMatchObject({ code: 'UnsupportedCommand' });
  });

  it('leave the list only when they hold nothing', () => {
    meta.bootstrap();
    meta.accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-3') });
    meta.placed();
    expect(meta.run({ type: 'removeMember', member: 4 })).toMatchObject({ code: 'MemberUp' });
    for (const number of [1, 4]) meta.accept({ type: 'setMemberState', member: number, state: 'down' });
    expect(meta.run({ type: 'removeMember', member: 1 })).toMatchObject({ code: 'MemberHoldsReplicas' });
    meta.accept({ type: 'removeMember', member: 4 });
    expect(meta.accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-3') }).id).toBe(5);
  });

  it('leave the list with their vote in the meta group, which counts on fewer then', () => {
    meta.bootstrap();
    meta.accept({ type: 'setMemberState', member: 3, state: 'down' });
    meta.accept({ type: 'removeMember', member: 3 });
    expect([...meta.state.members.keys()]).toEqual([1, 2]);
    expect(meta.state.shards.get(metaShard)).toMatchObject({ wanted: 1, replicas: [{ member: 1 }, { member: 2 }] });
  });

  it('of which one runs an older build are removed by its rules: without a vote, up or down', () => {
    const members = [member('grid-0'), member('grid-1', { commandVersion: 2 })];
    meta.accept({ type: 'bootstrap', clusterId: 'blue', members });
    meta.accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-2') });
    meta.accept({ type: 'setMemberState', member: 1, state: 'down' });
    expect(meta.run({ type: 'removeMember', member: 1 })).toMatchObject({ code: 'MemberHoldsReplicas' });
    meta.accept({ type: 'removeMember', member: 3 });
  });

  it('that are down only shortly are away for the planner', () => {
    meta.bootstrap();
    meta.accept({ type: 'setMemberState', member: 2, state: 'down' });
    const stateAfter = (ms: number): string | undefined => {
      meta.now += ms;
      const { members } = placementSnapshot(meta.state, new Map(), { kind: 'repair' }, meta.isGone);
      return members.find(({ number }) => number === 2)?.state;
    };
    expect([stateAfter(0), stateAfter(59_999), stateAfter(1)]).toEqual(['away', 'away', 'down']);
  });
});
