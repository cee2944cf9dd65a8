import { beforeEach, describe, expect, it } from 'vitest';
import { MetaUnderTest, replacing } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('a task', () => {
  let shard: number;
  beforeEach(() => {
    meta.bootstrap(4);
    shard = meta.placed()[0] ?? 0;
  });

  const voters = (...members: number[]) => members.map((number) => ({ member: number, role: 'voter' as const }));

  it('takes the shard while its move is under way, so that no other change comes between', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4)])).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 7 });
    meta.accept({ type: 'beginMove', task: id, term: 7, move: 0 });
    expect(meta.run({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(1) })).toMatchObject({
      code: 'ShardBusy',
    });
    const other = meta.accept(meta.task([replacing(shard, 2, 4)], { kind: 'drain', member: 2 })).id ?? 0;
    meta.accept({ type: 'claimTask', task: other, member: 1, term: 7 });
    expect(meta.run({ type: 'beginMove', task: other, term: 7, move: 0 })).toMatchObject({ code: 'ShardBusy' });

    const change = { task: id, move: 0, term: 7 };
    meta.accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(2, 3, 4), change });
    meta.accept({ type: 'endMove', task: id, term: 7, move: 0, outcome: 'done', bytesDone: 0 });
    expect(meta.state.shards.get(shard)?.change).toBeUndefined();
    expect(meta.run({ type: 'beginMove', task: other, term: 7, move: 0 })).toMatchObject({
      code: 'EpochConflict',
      epoch: 2,
    });
    meta.accept({ type: 'finishTask', task: id, term: 7, state: 'succeeded', message: 'moved', findings: [] });
    expect(meta.state.tasks.get(id)).toMatchObject({ state: 'succeeded', movesDone: 1, bytesDone: 100, moves: [] });
  });

  it('lets a second move of its own follow on the same shard', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4), { ...replacing(shard, 2, 2), kind: 'leader' }])).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    const change = { task: id, move: 0, term: 1 };
    meta.accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(2, 3, 4), change });
    meta.accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'done', bytesDone: 0 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 1 });
  });

  it('is worked on by the coordinator of the newest term only', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4)])).id ?? 0;
    expect(meta.run({ type: 'beginMove', task: id, term: 3, move: 0 })).toMatchObject({ code: 'StaleCoordinator' });
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 3 });
    meta.accept({ type: 'beginMove', task: id, term: 3, move: 0 });
    meta.accept({ type: 'claimTask', task: id, member: 2, term: 5 });
    for (const command of [
      { type: 'endMove', task: id, term: 3, move: 0, outcome: 'done', bytesDone: 0 },
      { type: 'progress', task: id, term: 3, moves: [] },
      { type: 'finishTask', task: id, term: 3, state: 'failed', message: '', findings: [] },
      { type: 'claimTask', task: id, member: 1, term: 3 },
    ] as const) {
      expect(meta.run(command)).toMatchObject({ code: 'StaleCoordinator' });
    }
    const change = { task: id, move: 0, term: 3 };
    expect(
      meta.run({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(1), change }),
    ).toMatchObject({
      code: 'StaleCoordinator',
    });
    expect(meta.run({ type: 'beginMove', task: id, term: 5, move: 0 })).toMatchObject({ ok: true, changed: false });
  });

  it('waits for its start when planned, and is refused once the topology changed', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4)], { start: false })).id ?? 0;
    expect(meta.state.tasks.get(id)?.state).toBe('planned');
    expect(meta.run(meta.task([replacing(shard, 1, 4)]))).toMatchObject({ code: 'TaskExists' });
    meta.accept({ type: 'setMemberState', member: 4, state: 'draining' });
    expect(meta.run({ type: 'startTask', task: id })).toMatchObject({ code: 'PlanStale' });
    meta.accept({ type: 'cancelTask', task: id, actor: 'ann' });
    expect(meta.state.tasks.get(id)).toMatchObject({ state: 'cancelled', movesSkipped: 1 });
    expect(meta.run(meta.task([], { topologyEpoch: 1 }))).toMatchObject({ code: 'PlanStale' });
  });

  it('is another one than that for another partition', () => {
    const repair = (partition: string) =>
      meta.task([replacing(shard, 1, 4)], { kind: 'repair', collection: 'c', member: 1, options: { partition } });
    meta.accept(repair('0'));
    expect(meta.run(repair('0'))).toMatchObject({ code: 'TaskExists' });
    expect(meta.run(repair('1'))).toMatchObject({ ok: true });
    meta.state.cluster!.commandVersion = 5;
    expect(meta.run(repair('2'))).toMatchObject({ code: 'TaskExists' });
  });

  it('notes when a step last brought bytes, so that a long copy is no slow one', () => {
    const id = meta.accept(meta.task([{ ...replacing(shard, 1, 4), bytes: 1000 }])).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    const at = (bytesDone: number) => {
      meta.accept({ type: 'progress', task: id, term: 1, moves: [{ move: 0, bytesDone, step: 'catch-up' }] });
      return meta.now - (meta.state.tasks.get(id)?.moves[0]?.stepAt ?? 0);
    };
    expect([at(10), at(10), at(20), at(20)]).toEqual([0, 1, 0, 1]);
  });

  it('does not end while a move is under way, also when it is cancelled', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4), replacing(shard + 1, 1, 4)])).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    meta.accept({ type: 'cancelTask', task: id, actor: 'ann' });
    expect(meta.state.tasks.get(id)?.state).toBe('cancelling');
    expect(meta.run({ type: 'beginMove', task: id, term: 1, move: 1 })).toMatchObject({ code: 'TaskState' });
    const finish = { type: 'finishTask', task: id, term: 1, state: 'cancelled', message: '', findings: [] } as const;
    expect(meta.run(finish)).toMatchObject({ code: 'TaskState' });
    meta.accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'cancelled', bytesDone: 30 });
    meta.accept(finish);
    expect(meta.state.tasks.get(id)).toMatchObject({ state: 'cancelled', movesSkipped: 2, bytesDone: 30 });
  });

  it('that drains takes its member from service in the same step, and gives it back when it is cancelled', () => {
    const { id } = meta.accept(meta.task([replacing(shard, 1, 4)], { kind: 'drain', member: 1, start: true }));
    expect(meta.state.members.get(1)?.state).toBe('draining');
    meta.accept({ type: 'cancelTask', task: id ?? 0, actor: 'ada' });
    expect(meta.state.members.get(1)?.state).toBe('up');
  });

  it('lets a move wait for another turn, keeps what was copied, and changes its throttle meanwhile', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4)])).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    meta.accept({ type: 'progress', task: id, term: 1, moves: [{ move: 0, bytesDone: 60, step: 'catch-up' }] });
    meta.accept({ type: 'progress', task: id, term: 1, moves: [{ move: 0, bytesDone: 20, step: 'catch-up' }] });
    expect(meta.state.tasks.get(id)).toMatchObject({ bytesDone: 60, moves: [{ step: 'catch-up', bytesDone: 60 }] });
    meta.accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'retry', reason: 'NodeDown', bytesDone: 0 });
    expect(meta.state.tasks.get(id)?.moves[0]).toMatchObject({ state: 'pending', reason: 'NodeDown', attempts: 1 });
    expect(meta.state.shards.get(shard)?.change).toBeUndefined();
    const throttle = { ...meta.state.settings.throttle, movesPerNode: 1 };
    meta.accept({ type: 'setTaskThrottle', task: id, throttle });
    expect(meta.state.tasks.get(id)?.throttle).toEqual(throttle);
    const invalid = { ...throttle, bytesPerSecond: 0 };
    expect(meta.run({ type: 'setTaskThrottle', task: id, throttle: invalid })).toMatchObject({ code: 'Invalid' });
  });

  it('that is about one collection ends with that, whatever it was doing', () => {
    const running = meta.accept(meta.task([replacing(shard, 1, 4)], { collection: 'c' })).id ?? 0;
    const planned = meta.accept(meta.task([], { collection: 'c', kind: 'change-replicas', start: false })).id ?? 0;
    meta.accept({ type: 'claimTask', task: running, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: running, term: 1, move: 0 });
    meta.accept({ type: 'deleteCollection', name: 'c' });
    for (const id of [running, planned]) {
      expect(meta.state.tasks.get(id)).toMatchObject({
        ...{ state: 'cancelled', message: expect.stringContaining('was deleted') as string, moves: [] },
        findings: [{ severity: 'info', code: 'ShardGone' }],
      });
    }
    expect(meta.state.tasks.get(running)).toMatchObject({ movesSkipped: 1, movesTotal: 1 });
    const late = { type: 'endMove', task: running, term: 1, move: 0, outcome: 'done', bytesDone: 0 } as const;
    expect(meta.run(late)).toMatchObject({ code: 'TaskState' });
  });

  it('skips the moves of a collection that is deleted, and keeps at most 200 finished tasks', () => {
    const id = meta.accept(meta.task([replacing(shard, 1, 4)], { collection: '' })).id ?? 0;
    meta.accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    meta.accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    meta.accept({ type: 'deleteCollection', name: 'c' });
    expect(meta.state.tasks.get(id)?.moves[0]).toMatchObject({ state: 'skipped', reason: 'ShardGone' });
    meta.accept({ type: 'finishTask', task: id, term: 1, state: 'succeeded', message: '', findings: [] });
    for (let i = 0; i < 210; i++) {
      const next = meta.accept(meta.task([], { start: false })).id ?? 0;
      meta.accept({ type: 'cancelTask', task: next, actor: 'ann' });
    }
    expect(meta.state.tasks.size).toBe(200);
    expect(meta.state.tasks.has(id)).toBe(false);
  });
});
