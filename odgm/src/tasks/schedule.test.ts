import { describe, expect, it } from 'vitest';
import {
  type CheckRecord,
  type CheckVerdict,
  defaultSettings,
  type Settings,
  type TaskMove,
  type TaskRecord,
  type Throttle,
} from '../meta/index.ts';
import { addSample, beginning, moveOutcome, progressOf, takeTokens, takeTurns, type TaskTurn } from './index.ts';

function move(shard: number, rest: Partial<TaskMove> = {}): TaskMove {
  return {
    shard,
    collection: 'c',
    partition: shard,
    kind: 'replica',
    from: 1,
    to: 2,
    bytes: 100,
    why: 'replica-balance',
    epoch: 1,
    state: 'pending',
    bytesDone: 0,
    attempts: 0,
    ...rest,
  };
}

function task(id: number, moves: TaskMove[], rest: Partial<TaskRecord> = {}): TaskRecord {
  return {
    id,
    kind: 'rebalance',
    state: 'running',
    collection: '',
    actor: 'ann',
    createdAt: 0,
    updatedAt: 0,
    startedAt: 0,
    topologyEpoch: 1,
    moves,
    movesTotal: moves.length,
    bytesTotal: moves.reduce((sum, { bytes }) => sum + bytes, 0),
    movesDone: 0,
    movesFailed: 0,
    movesSkipped: 0,
    bytesDone: 0,
    options: {},
    message: '',
    findings: [],
    ...rest,
  };
}

function settings(throttle: Partial<Throttle>): Settings {
  return { ...defaultSettings, throttle: { ...defaultSettings.throttle, ...throttle } };
}

function turns(tasks: TaskRecord[], given: Settings = defaultSettings, now = 0): (TaskTurn | undefined)[] {
  const all = takeTurns(tasks, given, now);
  return tasks.map(({ id }) => all.get(id));
}

describe('moves at once', () => {
  it('are bounded per node and per cluster, leader moves apart', () => {
    const moves = [
      move(1),
      move(2),
      move(3, { from: 3, to: 4 }),
      move(4, { from: 3, to: 5 }),
      move(5, { kind: 'leader' }),
    ];
    expect(turns([task(1, moves)], settings({ movesPerNode: 1 }))[0]?.begin).toEqual([0, 2, 4]);
    expect(turns([task(1, moves)], settings({ movesPerCluster: 3 }))[0]?.begin).toEqual([0, 1, 2, 4]);
    expect(turns([task(1, moves)], settings({ movesPerNode: 0, leaderMoves: 0 }))[0]?.begin).toEqual([]);
  });

  it('count those that are under way, and those of other tasks', () => {
    const running = task(1, [move(1, { state: 'running' })]);
    const other = task(2, [move(2), move(3, { from: 3, to: 4 })]);
    expect(turns([running, other], settings({ movesPerNode: 1 })).map((turn) => turn?.begin)).toEqual([[], [1]]);
  });

  it('leave repair its own quota', () => {
    const busy = task(1, [move(1, { state: 'running' }), move(2, { state: 'running' })]);
    const repair = task(2, [move(3)], { kind: 'repair' });
    expect(turns([busy, repair]).map((turn) => turn?.begin)).toEqual([[], [0]]);
  });

  it('follow the throttle of the task', () => {
    const own = task(1, [move(1), move(2)], { throttle: { ...defaultSettings.throttle, movesPerCluster: 1 } });
    expect(turns([own])[0]?.begin).toEqual([0]);
    const paused = task(1, [move(1)], { throttle: { ...defaultSettings.throttle, movesPerCluster: 0 } });
    expect(turns([paused])[0]?.begin).toEqual([]);
  });

  it('are one per shard, in the order of the plan, whatever task asks', () => {
    const moves = [move(1), move(1, { kind: 'leader' }), move(2)];
    const other = task(2, [move(1, { from: 3, to: 4 })]);
    expect(turns([task(1, moves), other]).map((turn) => turn?.begin)).toEqual([[0, 2], []]);
    const failed = [move(1, { state: 'failed' }), move(1, { kind: 'leader' })];
    expect(turns([task(1, failed)])[0]).toMatchObject({ begin: [], drop: [{ move: 1, reason: 'Superseded' }] });
  });

  it('wait a while before they are tried again', () => {
    const retried = task(1, [move(1, { attempts: 2, stepAt: 1000 })]);
    expect(turns([retried], defaultSettings, 10_999)[0]?.begin).toEqual([]);
    expect(turns([retried], defaultSettings, 11_000)[0]?.begin).toEqual([0]);
    // Whoever noted it had a clock that was ahead: that hour may never come.
    expect(turns([retried], defaultSettings, 999)[0]?.begin).toEqual([0]);
  });
});

describe('a task', () => {
  it('ends when no move is left, and names what failed', () => {
    const done = task(1, [move(1, { state: 'done' })], { movesDone: 1 });
    expect(turns([done])[0]?.finish).toEqual({ state: 'succeeded', message: '1 of 1 done', findings: [] });
    const failed = task(1, [move(1, { state: 'failed', reason: 'NodeDown' }), move(2, { state: 'done' })]);
    expect(turns([failed])[0]?.finish).toMatchObject({ state: 'failed', findings: [{ code: 'NodeDown' }] });
    expect(turns([task(1, [move(1, { state: 'running' })])])[0]?.finish).toBeUndefined();
  });

  it('is no success when a move was skipped, and says which and why', () => {
    const moves = [
      move(1, { state: 'skipped', reason: 'EpochNotMatch' }),
      move(2, { state: 'skipped', reason: 'ShardBusy' }),
      move(3, { state: 'done' }),
    ];
    expect(turns([task(1, moves, { movesDone: 1, movesSkipped: 2 })])[0]?.finish).toMatchObject({
      state: 'failed',
      message: '1 of 3 done, 2 skipped',
      findings: [
        { severity: 'warning', code: 'EpochNotMatch', message: 'c/1: replica from member 1 to member 2 skipped' },
        { severity: 'warning', code: 'ShardBusy' },
      ],
    });
    const gone = task(1, [move(1, { state: 'skipped', reason: 'ShardGone' })], { movesSkipped: 1 });
    expect(turns([gone])[0]?.finish).toMatchObject({ state: 'succeeded', findings: [{ code: 'ShardGone' }] });
  });

  it('skips a move that is refused for good, and does not take other refusals for an answer', () => {
    const by = { task: 1, term: 2 };
    const stale = beginning(by, 0);
    expect(stale.next().value).toEqual({ type: 'beginMove', move: 0, ...by });
    const skip = { type: 'endMove', move: 0, outcome: 'skipped', reason: 'EpochNotMatch', bytesDone: 0, ...by };
    expect(stale.next('EpochConflict').value).toEqual(skip);
    expect(stale.next()).toEqual({ done: true, value: undefined });
    const fenced = beginning(by, 0);
    fenced.next();
    expect(fenced.next('StaleCoordinator')).toEqual({ done: true, value: 'StaleCoordinator' });
    const begun = beginning(by, 0);
    begun.next();
    expect(begun.next()).toEqual({ done: true, value: undefined });
  });

  it('that is cancelled begins nothing, and ends when nothing is under way', () => {
    const running = task(1, [move(1, { state: 'running' }), move(2)], { state: 'cancelling' });
    expect(turns([running])[0]).toEqual({ begin: [], drop: [], finish: undefined });
    const rest = task(1, [move(1, { state: 'cancelled' }), move(2)], { state: 'cancelling' });
    expect(turns([rest])[0]?.finish?.state).toBe('cancelled');
    expect(turns([task(1, [move(1)], { state: 'planned' })])).toEqual([undefined]);
  });

  it('tries a move again for reasons that may pass, three times', () => {
    const late = { outcome: 'failed', reason: 'Timeout' } as const;
    expect([1, 2, 3].map((attempts) => moveOutcome(late, attempts, false))).toEqual(['retry', 'retry', 'failed']);
    expect(moveOutcome(late, 1, true)).toBe('cancelled');
    expect(moveOutcome({ outcome: 'failed', reason: 'Capacity' }, 1, false)).toBe('failed');
    expect(moveOutcome({ outcome: 'done' }, 1, true)).toBe('done');
  });
});

describe('progress', () => {
  it('is told in shards and bytes, with the speed of the last minute and what is left', () => {
    const running = task(1, [move(1, { state: 'done', bytesDone: 100 }), move(2, { bytesDone: 20 }), move(3)], {
      movesDone: 1,
      bytesDone: 120,
    });
    let samples = addSample([], { at: 0, bytes: 0 });
    for (let at = 1; at <= 12; at++) samples = addSample(samples, { at: at * 1000, bytes: at * 10 });
    expect(progressOf(running, samples, 12_000)).toEqual({
      shardsDone: 1,
      shardsTotal: 3,
      bytesDone: 120,
      bytesTotal: 300,
      fraction: 0.4,
      bytesPerSecond: 10,
      etaSeconds: 18,
    });
  });

  it('does not wait for bytes of moves that failed, and is all only when nothing is left', () => {
    const failed = task(
      1,
      [move(1, { state: 'failed', bytesDone: 40 }), move(2, { bytesDone: 100, state: 'running' })],
      {
        movesFailed: 1,
        bytesDone: 140,
      },
    );
    expect(progressOf(failed, [], 1000)).toMatchObject({ bytesTotal: 140, fraction: 0.99 });
    const over = task(1, [], {
      movesTotal: 2,
      movesDone: 1,
      movesFailed: 1,
      bytesTotal: 200,
      bytesDone: 140,
      finishedAt: 5,
    });
    expect(progressOf(over, [], 1000)).toMatchObject({ fraction: 1, bytesTotal: 140, etaSeconds: 0 });
  });

  it('guesses from shards when there are no bytes', () => {
    const leaders = task(1, [move(1, { bytes: 0, state: 'done' }), move(2, { bytes: 0 })], { movesDone: 1 });
    expect(progressOf(leaders, [], 4000)).toMatchObject({ fraction: 0.5, etaSeconds: 4 });
    expect(progressOf(task(1, [move(1)]), [], 4000).etaSeconds).toBeUndefined();
  });

  it('keeps a bounded number of samples', () => {
    let samples = addSample([], { at: 0, bytes: 0 });
    for (let at = 0; at < 1000; at++) samples = addSample(samples, { at: at * 100, bytes: at });
    expect(samples.length).toBeLessThanOrEqual(64);
    expect(samples.at(-1)?.at).toBe(99_900);
  });
});

describe('a token bucket', () => {
  it('lets no more through than its rate, whatever the sizes', () => {
    let bucket = { tokens: 0, at: 0 };
    let [now, taken] = [0, 0];
    for (const size of Array.from({ length: 400 }, (_, i) => 1 + ((i * 7919) % 5000))) {
      for (;;) {
        const next = takeTokens(bucket, size, 10_000, now);
        bucket = next.bucket;
        if (next.waitMs === 0) break;
        now += next.waitMs;
      }
      taken += size;
    }
    expect(taken / (now / 1000)).toBeGreaterThan(9_500);
    expect(taken / (now / 1000)).toBeLessThan(10_500);
  });

  it('takes another rate at once, and does not save up for a burst', () => {
    const paused = takeTokens({ tokens: 0, at: 0 }, 1, 1000, 60_000);
    expect(paused.bucket.tokens).toBe(249);
    const debt = takeTokens({ tokens: -1000, at: 0 }, 1, 1000, 0);
    expect(debt.waitMs).toBe(1000);
    expect(takeTokens(debt.bucket, 1, 10_000, 0).waitMs).toBe(100);
  });
});

describe('checks of a task', () => {
  const check = (shard: number, verdict: CheckVerdict, rest: Partial<CheckRecord> = {}): CheckRecord => ({
    ...{ shard, collection: 'c', partition: shard, at: 0, task: 1, mode: 'fast', verdict, minority: [], differing: [] },
    replicas: [{ member: 2, root: 'ab', index: 7, objects: 1, entries: 1, bytes: 1, ms: 1 }],
    reason: 'why',
    ...rest,
  });
  const finished = (...checks: CheckRecord[]) => {
    const moves = checks.map(({ shard }) => move(shard, { kind: 'check', state: 'done' }));
    const done = task(1, moves, { kind: 'consistency-check', movesDone: checks.length });
    const found = { checks, nameOf: (member: number) => `n${String(member)}` };
    return takeTurns([done], defaultSettings, 0, found).get(1)?.finish;
  };

  it('wait for what the task does to the shard before, and for nothing else', () => {
    const moves = [move(1), move(1, { kind: 'check' }), move(2, { kind: 'check' })];
    const other = task(2, [move(2, { state: 'running' })]);
    expect(turns([task(1, moves), other])[0]?.begin).toEqual([0, 2]);
    const running = [move(1, { state: 'running' }), move(1, { kind: 'check' })];
    expect(turns([task(1, running)])[0]?.begin).toEqual([]);
    const done = [move(1, { state: 'done' }), move(1, { kind: 'check' })];
    expect(turns([task(1, done)])[0]?.begin).toEqual([1]);
    const failed = [move(1, { state: 'failed' }), move(1, { kind: 'check' })];
    expect(turns([task(1, failed)])[0]?.drop).toEqual([{ move: 1, outcome: 'skipped', reason: 'Superseded' }]);
  });

  it('make it a success only when all of them are good', () => {
    expect(finished(check(1, 'consistent'), check(2, 'converged'))).toMatchObject({
      state: 'succeeded',
      message: '2 of 2 done: 1 consistent, 1 converged',
      findings: [],
    });
    expect(finished(check(1, 'consistent'), check(2, 'indeterminate'))).toMatchObject({
      state: 'failed',
      findings: [{ severity: 'warning', code: 'check.indeterminate' }],
    });
  });

  it('leave findings with what each replica had, and what differs', () => {
    const differing = ['a', 'b/k', 'c', 'd', 'e', 'f'];
    expect(finished(check(1, 'inconsistent', { minority: [2], differing }))?.findings).toEqual([
      {
        severity: 'error',
        code: 'check.inconsistent',
        message: 'c/1 is inconsistent: why',
        evidence: 'n2: ab at 7; set apart: n2; objects: a, b/k, c, d, e and 1 more',
        remedy: expect.stringContaining('made anew') as string,
      },
    ]);
    expect(finished(check(1, 'inconsistent'))?.findings[0]?.remedy).toContain('frozen');
  });

  it('count a replica that is made anew where it is once for its member', () => {
    const moves = [move(1, { to: 1 }), move(2, { to: 1 }), move(3, { to: 1 })];
    expect(turns([task(1, moves)], settings({ movesPerNode: 2 }))[0]?.begin).toEqual([0, 1]);
  });
});
