import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { planPlacement } from '../placement/index.ts';
import {
  type Accepted,
  alarmOf,
  apply,
  type ApplyResult,
  canDoWithout,
  type CollectionSpec,
  type Command,
  commandVersion,
  createMetaState,
  decodeCommand,
  decodeState,
  encodeCommand,
  encodeState,
  freezeOf,
  isFounder,
  type JoiningMember,
  type MetaState,
  metaShard,
  ownersOf,
  placementSnapshot,
  type PlannedMove,
  refusalError,
  shardsOfMember,
} from './index.ts';

type Unstamped = Command extends infer C ? (C extends Command ? Omit<C, 'at'> : never) : never;

let state: MetaState;
let now = 0;

beforeEach(() => {
  state = createMetaState();
  now = 1000;
});

/** Through the codec, as it comes out of the log. */
function run(command: Unstamped): ApplyResult {
  now += 1;
  return apply(state, decodeCommand(encodeCommand({ ...command, at: now })));
}

function accept(command: Unstamped): Accepted {
  const result = run(command);
  expect(result).toMatchObject({ ok: true });
  return result as Accepted;
}

function member(id: string, rest: Partial<JoiningMember> = {}): JoiningMember {
  return { id, address: `${id}:1`, admin: '', zone: '', incarnation: `${id}-disk`, commandVersion, ...rest };
}

function spec(name: string, rest: Partial<CollectionSpec> = {}): CollectionSpec {
  return {
    name,
    classIds: [],
    partitionCount: 2,
    replicaCount: 3,
    shardType: 'raft',
    durability: 'persistent',
    options: {},
    invocations: { fnRoutes: {}, disabledFn: [] },
    ...rest,
  };
}

function bootstrap(count = 3): void {
  const members = Array.from({ length: count }, (_, i) => member(`grid-${i}`));
  accept({ type: 'bootstrap', clusterId: 'blue', members });
}

/** A collection whose shards all lie on members 1, 2 and 3. */
function placed(name = 'c', rest: Partial<CollectionSpec> = {}): readonly number[] {
  const shards = accept({ type: 'putCollection', spec: spec(name, rest) }).shards ?? [];
  accept({ type: 'assignShards', assignments: shards.map((shard) => ({ shard, replicas: [1, 2, 3], leader: 1 })) });
  return shards;
}

function replacing(shard: number, from: number, to: number): PlannedMove {
  return { shard, collection: 'c', partition: 0, kind: 'replica', from, to, bytes: 100, why: 'replica-balance' };
}

function task(
  moves: readonly PlannedMove[],
  rest: Partial<Extract<Unstamped, { type: 'createTask' }>> = {},
): Unstamped {
  return {
    type: 'createTask',
    kind: 'rebalance',
    collection: '',
    actor: 'ann',
    moves,
    topologyEpoch: state.cluster?.epoch ?? 0,
    options: {},
    start: true,
    message: '',
    ...rest,
  };
}

describe('members', () => {
  it('get numbers in the order of the bootstrap, and all of them vote in the meta group', () => {
    bootstrap();
    expect([...state.members.values()].map(({ number, id }) => [number, id])).toEqual([
      [1, 'grid-0'],
      [2, 'grid-1'],
      [3, 'grid-2'],
    ]);
    expect(state.shards.get(metaShard)?.replicas.map(({ member: number }) => number)).toEqual([1, 2, 3]);
    expect(run({ type: 'bootstrap', clusterId: 'blue', members: [member('x')] })).toMatchObject({ changed: false });
    expect(run({ type: 'bootstrap', clusterId: 'red', members: [member('x')] })).toMatchObject({
      code: 'AlreadyBootstrapped',
    });
  });

  it('keep their number when they come back with their disk, and are up again', () => {
    bootstrap();
    accept({ type: 'setMemberState', member: 2, state: 'down' });
    const back = accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { address: 'new:1' }) });
    expect(back.id).toBe(2);
    expect(state.members.get(2)).toMatchObject({ address: 'new:1', state: 'up' });
    const again = run({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { address: 'new:1' }) });
    expect(again).toMatchObject({ ok: true, changed: false, id: 2 });
  });

  it('get a new number with an empty disk; the old one is down for good and goes with its last replica', () => {
    bootstrap();
    const [first, second] = placed() as [number, number];
    const joined = accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-1', { incarnation: 'new' }) });
    expect(joined.id).toBe(4);
    expect(state.members.get(2)).toMatchObject({ state: 'down', replacedBy: 4 });
    expect(run({ type: 'setMemberState', member: 2, state: 'up' })).toMatchObject({ code: 'MemberReplaced' });
    expect(run({ type: 'joinMember', clusterId: 'blue', member: member('grid-1') })).toMatchObject({
      code: 'MemberReplaced',
    });
    const plan = planPlacement(placementSnapshot(state, new Map(), { kind: 'repair' }, now));
    expect(plan.moves.map(({ shard, from, to }) => [shard, from, to])).toEqual([
      [first, 2, 4],
      [second, 2, 4],
    ]);
    for (const { shard, replicas } of [...plan.targets, { shard: metaShard, replicas: [1, 3, 4] }]) {
      const voters = replicas.map((number) => ({ member: number, role: 'voter' as const }));
      accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters });
    }
    expect([...state.members.keys()]).toEqual([1, 3, 4]);
  });

  it('of another cluster are refused, and so is a build that knows fewer commands than the cluster uses', () => {
    bootstrap();
    const foreign = run({ type: 'joinMember', clusterId: 'red', member: member('x') });
    expect(foreign).toMatchObject({ ok: false, code: 'OtherCluster' });
    expect(refusalError(foreign as never).message).toContain('red');
    const old = run({ type: 'joinMember', clusterId: 'blue', member: member('x', { commandVersion: 0 }) });
    expect(old).toMatchObject({ code: 'UnsupportedCommand' });
  });

  it('leave the list only when they hold nothing', () => {
    bootstrap();
    accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-3') });
    expect(run({ type: 'removeMember', member: 1 })).toMatchObject({ code: 'MemberHoldsReplicas' });
    accept({ type: 'removeMember', member: 4 });
    expect(accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-3') }).id).toBe(5);
  });

  it('that are down only shortly are away for the planner', () => {
    bootstrap();
    accept({ type: 'setMemberState', member: 2, state: 'down' });
    const stateAt = (at: number): string | undefined =>
      placementSnapshot(state, new Map(), { kind: 'repair' }, at).members.find(({ number }) => number === 2)?.state;
    expect([stateAt(now), stateAt(now + 59_999), stateAt(now + 60_000)]).toEqual(['away', 'away', 'down']);
  });
});

describe('collections', () => {
  beforeEach(() => {
    bootstrap();
  });

  it('get shards with numbers that are never used again', () => {
    expect(accept({ type: 'putCollection', spec: spec('c') }).shards).toEqual([1, 2]);
    expect(state.collections.get('c')?.status).toBe('placing');
    accept({ type: 'deleteCollection', name: 'c' });
    expect(accept({ type: 'putCollection', spec: spec('c'), anew: true }).shards).toEqual([3, 4]);
    expect([...state.shards.keys()]).toEqual([metaShard, 3, 4]);
  });

  it('that were deleted come back only where that is said, also in a state that was restored', () => {
    accept({ type: 'putCollection', spec: spec('c', { classIds: ['k'] }) });
    accept({ type: 'deleteCollection', name: 'c' });
    expect(run({ type: 'deleteCollection', name: 'c' })).toMatchObject({ code: 'CollectionUnknown' });
    state = decodeState(encodeState(state));
    const refusal = run({ type: 'putCollection', spec: spec('c') });
    expect(refusal).toMatchObject({ code: 'CollectionDeleted' });
    expect(refusalError(refusal as never)).toMatchObject({
      code: 'FailedPrecondition',
      remedy: expect.stringContaining('PUT /admin/collections') as string,
    });
    expect(state.deleted).toMatchObject([{ spec: { name: 'c', classIds: ['k'] } }]);
    accept({ type: 'putCollection', spec: spec('other', { classIds: ['k'] }) });
    expect(run({ type: 'putCollection', spec: spec('c', { classIds: ['k'] }), anew: true })).toMatchObject({
      code: 'NameTaken',
    });
    accept({ type: 'putCollection', spec: spec('c'), anew: true });
    expect(state.deleted).toEqual([]);
    // An unneeded word changes nothing.
    expect(run({ type: 'putCollection', spec: spec('c'), anew: true })).toMatchObject({ ok: true, changed: false });
  });

  it('cannot be deleted while a member runs a build that would let them come back', () => {
    state = createMetaState();
    accept({ type: 'bootstrap', clusterId: 'blue', members: [member('grid-0', { commandVersion: 1 })] });
    accept({ type: 'putCollection', spec: spec('c') });
    expect(run({ type: 'deleteCollection', name: 'c' })).toMatchObject({ code: 'UnsupportedCommand' });
    accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-0') });
    accept({ type: 'deleteCollection', name: 'c' });
  });

  it('that were deleted are remembered up to a bound', () => {
    for (let i = 0; i <= 1000; i++) {
      accept({ type: 'putCollection', spec: spec(`c${i}`, { partitionCount: 1 }) });
      accept({ type: 'deleteCollection', name: `c${i}` });
    }
    expect(state.deleted).toHaveLength(1000);
    expect(state.deleted[0]?.spec.name).toBe('c1');
  });

  it('keep partitions, type and durability, and take another number of replicas', () => {
    const shards = placed();
    expect(state.collections.get('c')?.status).toBe('ready');
    for (const change of [{ partitionCount: 4 }, { shardType: 'mst' }, { durability: 'ephemeral' }] as const) {
      expect(run({ type: 'putCollection', spec: spec('c', change) })).toMatchObject({ code: 'Immutable' });
    }
    expect(run({ type: 'putCollection', spec: spec('c') })).toMatchObject({ ok: true, changed: false });
    expect(accept({ type: 'putCollection', spec: spec('c', { replicaCount: 1 }) }).shards).toEqual(shards);
    const plan = planPlacement(placementSnapshot(state, new Map(), { kind: 'replica-count' }, now));
    expect(plan.moves.filter(({ to }) => to === undefined)).toHaveLength(4);
  });

  it('of type basic keep how their shards are stored when the number of replicas changes', () => {
    const merges = (): (boolean | undefined)[] => [1, 2, 3, 4].map((id) => state.shards.get(id)?.merges);
    accept({ type: 'putCollection', spec: spec('one', { shardType: 'basic', replicaCount: 1 }) });
    accept({ type: 'putCollection', spec: spec('many', { shardType: 'basic', replicaCount: 3 }) });
    expect(merges()).toEqual([false, false, true, true]);
    accept({ type: 'putCollection', spec: spec('one', { shardType: 'basic', replicaCount: 3 }) });
    accept({ type: 'putCollection', spec: spec('many', { shardType: 'basic', replicaCount: 1 }) });
    expect(merges()).toEqual([false, false, true, true]);
  });

  it('claim names and class ids for themselves', () => {
    accept({ type: 'putCollection', spec: spec('c', { classIds: ['p.C'] }) });
    expect(run({ type: 'putCollection', spec: spec('p.C') })).toMatchObject({ code: 'NameTaken' });
    expect(run({ type: 'putCollection', spec: spec('d', { classIds: ['c'] }) })).toMatchObject({ code: 'NameTaken' });
    expect(run({ type: 'putCollection', spec: spec('') })).toMatchObject({ code: 'Invalid' });
    expect(run({ type: 'putCollection', spec: spec('e', { partitionCount: 0 }) })).toMatchObject({ code: 'Invalid' });
  });

  it('are placed once, all shards of a command or none', () => {
    const shards = accept({ type: 'putCollection', spec: spec('c') }).shards ?? [];
    const [first, second] = shards as [number, number];
    const bad = run({
      type: 'assignShards',
      assignments: [
        { shard: first, replicas: [1, 2] },
        { shard: second, replicas: [1, 9] },
      ],
    });
    expect(bad).toMatchObject({ code: 'MemberUnknown' });
    expect(state.shards.get(first)?.replicas).toEqual([]);
    const double = { shard: first, replicas: [1, 1] };
    expect(run({ type: 'assignShards', assignments: [double] })).toMatchObject({ code: 'Invalid' });
    accept({ type: 'assignShards', assignments: [{ shard: first, replicas: [3, 2], leader: 2 }] });
    expect(run({ type: 'assignShards', assignments: [{ shard: first, replicas: [1] }] })).toMatchObject({
      code: 'AlreadyPlaced',
    });
    expect(ownersOf(state, 'c')?.map((owners) => owners.map(({ id }) => id))).toEqual([['grid-1', 'grid-2'], []]);
    expect(shardsOfMember(state, 3).map(({ id }) => id)).toEqual([metaShard, first]);
  });
});

describe('replicas of a shard', () => {
  it('change only from the epoch that the change was decided on', () => {
    bootstrap();
    const [shard] = placed() as [number];
    const replicas = [{ member: 1, role: 'voter' as const }];
    expect(run({ type: 'updateShardReplicas', shard, expectedEpoch: 0, replicas })).toMatchObject({
      code: 'EpochConflict',
      epoch: 1,
    });
    accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas });
    expect(state.shards.get(shard)).toMatchObject({ epoch: 2, replicas, preferredLeader: 1 });
    accept({
      type: 'updateShardReplicas',
      shard,
      expectedEpoch: 2,
      replicas: [...replicas, { member: 2, role: 'learner' }],
    });
    expect(state.shards.get(shard)?.replicas).toEqual([
      { member: 1, role: 'voter', epoch: 1 },
      { member: 2, role: 'learner', epoch: 3 },
    ]);
    const learners = [{ member: 1, role: 'learner' as const }];
    expect(run({ type: 'updateShardReplicas', shard, expectedEpoch: 3, replicas: learners })).toMatchObject({
      code: 'Invalid',
    });
  });
});

describe('a task', () => {
  let shard: number;
  beforeEach(() => {
    bootstrap(4);
    shard = placed()[0] ?? 0;
  });

  const voters = (...members: number[]) => members.map((number) => ({ member: number, role: 'voter' as const }));

  it('takes the shard while its move is under way, so that no other change comes between', () => {
    const id = accept(task([replacing(shard, 1, 4)])).id ?? 0;
    accept({ type: 'claimTask', task: id, member: 1, term: 7 });
    accept({ type: 'beginMove', task: id, term: 7, move: 0 });
    expect(run({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(1) })).toMatchObject({
      code: 'ShardBusy',
    });
    const other = accept(task([replacing(shard, 2, 4)], { kind: 'drain', member: 2 })).id ?? 0;
    accept({ type: 'claimTask', task: other, member: 1, term: 7 });
    expect(run({ type: 'beginMove', task: other, term: 7, move: 0 })).toMatchObject({ code: 'ShardBusy' });

    const change = { task: id, move: 0, term: 7 };
    accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(2, 3, 4), change });
    accept({ type: 'endMove', task: id, term: 7, move: 0, outcome: 'done', bytesDone: 0 });
    expect(state.shards.get(shard)?.change).toBeUndefined();
    expect(run({ type: 'beginMove', task: other, term: 7, move: 0 })).toMatchObject({
      code: 'EpochConflict',
      epoch: 2,
    });
    accept({ type: 'finishTask', task: id, term: 7, state: 'succeeded', message: 'moved', findings: [] });
    expect(state.tasks.get(id)).toMatchObject({ state: 'succeeded', movesDone: 1, bytesDone: 100, moves: [] });
  });

  it('lets a second move of its own follow on the same shard', () => {
    const id = accept(task([replacing(shard, 1, 4), { ...replacing(shard, 2, 2), kind: 'leader' }])).id ?? 0;
    accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    const change = { task: id, move: 0, term: 1 };
    accept({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(2, 3, 4), change });
    accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'done', bytesDone: 0 });
    accept({ type: 'beginMove', task: id, term: 1, move: 1 });
  });

  it('is worked on by the coordinator of the newest term only', () => {
    const id = accept(task([replacing(shard, 1, 4)])).id ?? 0;
    expect(run({ type: 'beginMove', task: id, term: 3, move: 0 })).toMatchObject({ code: 'StaleCoordinator' });
    accept({ type: 'claimTask', task: id, member: 1, term: 3 });
    accept({ type: 'beginMove', task: id, term: 3, move: 0 });
    accept({ type: 'claimTask', task: id, member: 2, term: 5 });
    for (const command of [
      { type: 'endMove', task: id, term: 3, move: 0, outcome: 'done', bytesDone: 0 },
      { type: 'progress', task: id, term: 3, moves: [] },
      { type: 'finishTask', task: id, term: 3, state: 'failed', message: '', findings: [] },
      { type: 'claimTask', task: id, member: 1, term: 3 },
    ] as const) {
      expect(run(command)).toMatchObject({ code: 'StaleCoordinator' });
    }
    const change = { task: id, move: 0, term: 3 };
    expect(run({ type: 'updateShardReplicas', shard, expectedEpoch: 1, replicas: voters(1), change })).toMatchObject({
      code: 'StaleCoordinator',
    });
    expect(run({ type: 'beginMove', task: id, term: 5, move: 0 })).toMatchObject({ ok: true, changed: false });
  });

  it('waits for its start when planned, and is refused once the topology changed', () => {
    const id = accept(task([replacing(shard, 1, 4)], { start: false })).id ?? 0;
    expect(state.tasks.get(id)?.state).toBe('planned');
    expect(run(task([replacing(shard, 1, 4)]))).toMatchObject({ code: 'TaskExists' });
    accept({ type: 'setMemberState', member: 4, state: 'draining' });
    expect(run({ type: 'startTask', task: id })).toMatchObject({ code: 'PlanStale' });
    accept({ type: 'cancelTask', task: id, actor: 'ann' });
    expect(state.tasks.get(id)).toMatchObject({ state: 'cancelled', movesSkipped: 1 });
    expect(run(task([], { topologyEpoch: 1 }))).toMatchObject({ code: 'PlanStale' });
  });

  it('does not end while a move is under way, also when it is cancelled', () => {
    const id = accept(task([replacing(shard, 1, 4), replacing(shard + 1, 1, 4)])).id ?? 0;
    accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    accept({ type: 'cancelTask', task: id, actor: 'ann' });
    expect(state.tasks.get(id)?.state).toBe('cancelling');
    expect(run({ type: 'beginMove', task: id, term: 1, move: 1 })).toMatchObject({ code: 'TaskState' });
    const finish = { type: 'finishTask', task: id, term: 1, state: 'cancelled', message: '', findings: [] } as const;
    expect(run(finish)).toMatchObject({ code: 'TaskState' });
    accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'cancelled', bytesDone: 30 });
    accept(finish);
    expect(state.tasks.get(id)).toMatchObject({ state: 'cancelled', movesSkipped: 2, bytesDone: 30 });
  });

  it('that drains takes its member from service in the same step, and gives it back when it is cancelled', () => {
    const { id } = accept(task([replacing(shard, 1, 4)], { kind: 'drain', member: 1, start: true }));
    expect(state.members.get(1)?.state).toBe('draining');
    accept({ type: 'cancelTask', task: id ?? 0, actor: 'ada' });
    expect(state.members.get(1)?.state).toBe('up');
  });

  it('lets a move wait for another turn, keeps what was copied, and changes its throttle meanwhile', () => {
    const id = accept(task([replacing(shard, 1, 4)])).id ?? 0;
    accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    accept({ type: 'progress', task: id, term: 1, moves: [{ move: 0, bytesDone: 60, step: 'catch-up' }] });
    accept({ type: 'progress', task: id, term: 1, moves: [{ move: 0, bytesDone: 20, step: 'catch-up' }] });
    expect(state.tasks.get(id)).toMatchObject({ bytesDone: 60, moves: [{ step: 'catch-up', bytesDone: 60 }] });
    accept({ type: 'endMove', task: id, term: 1, move: 0, outcome: 'retry', reason: 'NodeDown', bytesDone: 0 });
    expect(state.tasks.get(id)?.moves[0]).toMatchObject({ state: 'pending', reason: 'NodeDown', attempts: 1 });
    expect(state.shards.get(shard)?.change).toBeUndefined();
    const throttle = { ...state.settings.throttle, movesPerNode: 1 };
    accept({ type: 'setTaskThrottle', task: id, throttle });
    expect(state.tasks.get(id)?.throttle).toEqual(throttle);
    const invalid = { ...throttle, bytesPerSecond: 0 };
    expect(run({ type: 'setTaskThrottle', task: id, throttle: invalid })).toMatchObject({ code: 'Invalid' });
  });

  it('that is about one collection ends with that, whatever it was doing', () => {
    const running = accept(task([replacing(shard, 1, 4)], { collection: 'c' })).id ?? 0;
    const planned = accept(task([], { collection: 'c', kind: 'change-replicas', start: false })).id ?? 0;
    accept({ type: 'claimTask', task: running, member: 1, term: 1 });
    accept({ type: 'beginMove', task: running, term: 1, move: 0 });
    accept({ type: 'deleteCollection', name: 'c' });
    for (const id of [running, planned]) {
      expect(state.tasks.get(id)).toMatchObject({
        ...{ state: 'cancelled', message: expect.stringContaining('was deleted') as string, moves: [] },
        findings: [{ severity: 'info', code: 'ShardGone' }],
      });
    }
    expect(state.tasks.get(running)).toMatchObject({ movesSkipped: 1, movesTotal: 1 });
    const late = { type: 'endMove', task: running, term: 1, move: 0, outcome: 'done', bytesDone: 0 } as const;
    expect(run(late)).toMatchObject({ code: 'TaskState' });
  });

  it('skips the moves of a collection that is deleted, and keeps at most 200 finished tasks', () => {
    const id = accept(task([replacing(shard, 1, 4)], { collection: '' })).id ?? 0;
    accept({ type: 'claimTask', task: id, member: 1, term: 1 });
    accept({ type: 'beginMove', task: id, term: 1, move: 0 });
    accept({ type: 'deleteCollection', name: 'c' });
    expect(state.tasks.get(id)?.moves[0]).toMatchObject({ state: 'skipped', reason: 'ShardGone' });
    accept({ type: 'finishTask', task: id, term: 1, state: 'succeeded', message: '', findings: [] });
    for (let i = 0; i < 210; i++) {
      const next = accept(task([], { start: false })).id ?? 0;
      accept({ type: 'cancelTask', task: next, actor: 'ann' });
    }
    expect(state.tasks.size).toBe(200);
    expect(state.tasks.has(id)).toBe(false);
  });
});

describe('alarms and checks', () => {
  it('name a replica that must not serve until it is removed or the alarm is cleared', () => {
    bootstrap();
    const [first, second] = placed() as [number, number];
    const alarm = { shard: first, member: 2, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    accept({ type: 'setAlarm', alarm });
    expect(run({ type: 'setAlarm', alarm })).toMatchObject({ ok: true, changed: false });
    expect(run({ type: 'setAlarm', alarm: { ...alarm, member: 9 } })).toMatchObject({ code: 'Invalid' });
    accept({ type: 'setAlarm', alarm: { ...alarm, shard: second } });
    const rest = [1, 3].map((number) => ({ member: number, role: 'voter' as const }));
    accept({ type: 'updateShardReplicas', shard: first, expectedEpoch: 1, replicas: rest });
    expect(state.alarms).toMatchObject([{ shard: second, member: 2 }]);
    accept({ type: 'clearAlarm', shard: second, member: 2 });
    expect(state.alarms).toEqual([]);
  });

  it('stay with a replica that is made anew, but mean the old one only', () => {
    bootstrap();
    const [id] = placed() as [number];
    const shard = state.shards.get(id)!;
    const alarm = { shard: id, member: 2, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    accept({ type: 'setAlarm', alarm });
    expect(alarmOf(state, shard, 2)).toMatchObject({ epoch: 1 });
    expect(alarmOf(state, shard, 3)).toBeUndefined();
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    accept({ type: 'updateShardReplicas', shard: id, expectedEpoch: 1, replicas, renew: [2] });
    expect(shard.replicas.map(({ epoch }) => epoch)).toEqual([1, 2, 1]);
    expect(state.alarms).toHaveLength(1);
    expect(alarmOf(state, shard, 2)).toBeUndefined();
    // Late word of the replica that is gone does not hit the new one.
    expect(run({ type: 'setAlarm', alarm: { ...alarm, epoch: 1 } })).toMatchObject({ changed: false });
    accept({ type: 'setAlarm', alarm });
    expect(state.alarms).toMatchObject([{ member: 2, epoch: 2 }]);
    expect(alarmOf(state, shard, 2)).toBeDefined();
  });

  it('let the shard do without those that have one as long as the others are a majority', () => {
    bootstrap();
    const [id] = placed() as [number];
    const shard = state.shards.get(id)!;
    const alarm = { shard: id, kind: 'corrupt-replica', since: 1, evidence: 'root differs' } as const;
    expect(canDoWithout(state, shard)).toBe(true);
    accept({ type: 'setAlarm', alarm: { ...alarm, member: 2 } });
    expect(canDoWithout(state, shard)).toBe(true);
    accept({ type: 'setAlarm', alarm: { ...alarm, member: 3 } });
    expect(canDoWithout(state, shard)).toBe(false);
    accept({ type: 'setAlarm', alarm: { ...alarm, kind: 'no-majority' } });
    expect(freezeOf(state, id)).toMatchObject({ kind: 'no-majority' });
  });

  it('let a shard begin anew once a majority has lost its content, and not before', () => {
    bootstrap();
    const [id] = placed('c', { durability: 'ephemeral' }) as [number];
    const shard = state.shards.get(id)!;
    const lost = { shard: id, kind: 'lost-replica', since: 1, evidence: '' } as const;
    expect(isFounder(shard)).toBe(true);
    accept({ type: 'setAlarm', alarm: { ...lost, member: 2 } });
    accept({ type: 'setAlarm', alarm: { ...lost, member: 3, kind: 'corrupt-replica' } });
    expect(run({ type: 'foundShard', shard: id, expectedEpoch: 1 })).toMatchObject({ code: 'Invalid' });
    accept({ type: 'setAlarm', alarm: { ...lost, member: 1 } });
    expect(run({ type: 'foundShard', shard: id, expectedEpoch: 9 })).toMatchObject({ code: 'EpochConflict' });
    accept({ type: 'foundShard', shard: id, expectedEpoch: 1 });
    expect(shard).toMatchObject({ epoch: 2, replicas: [{ epoch: 2 }, { epoch: 2 }, { epoch: 2 }] });
    expect(isFounder(shard)).toBe(true);
    expect(state.alarms).toEqual([]);
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    accept({ type: 'updateShardReplicas', shard: id, expectedEpoch: 2, replicas, renew: [2] });
    expect(isFounder(shard)).toBe(false);
  });

  it('let no durable shard begin anew: what it holds may still be on a disk', () => {
    bootstrap();
    const [id] = placed() as [number];
    for (const member of [1, 2, 3]) {
      accept({ type: 'setAlarm', alarm: { shard: id, kind: 'lost-replica', since: 1, evidence: '', member } });
    }
    expect(run({ type: 'foundShard', shard: id, expectedEpoch: 1 })).toMatchObject({ code: 'Invalid' });
  });

  it('cannot have all replicas made anew: there would be nothing to make them from', () => {
    bootstrap();
    const [id] = placed() as [number];
    const replicas = [1, 2, 3].map((number) => ({ member: number, role: 'voter' as const }));
    const all = { type: 'updateShardReplicas', shard: id, expectedEpoch: 1, replicas, renew: [1, 2, 3] } as const;
    expect(run(all)).toMatchObject({ ok: false, code: 'Invalid' });
  });

  it('keep the last thousand outcomes, and what differs of the newest one of a shard', () => {
    bootstrap();
    const [shard] = placed() as [number];
    const check = {
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
    } as const;
    for (let at = 0; at < 1010; at++) accept({ type: 'recordCheck', check: { ...check, at } });
    expect(state.checks).toHaveLength(1000);
    expect(state.checks[0]).toMatchObject({ at: 10 });
    expect(state.checks.at(-1)?.differing).toHaveLength(100);
    expect(state.checks.at(-2)?.differing).toEqual([]);
    accept({ type: 'recordCheck', check: { ...check, at: 0, differing: ['x'.repeat(8000), 'y'.repeat(300), 'z'] } });
    expect(state.checks.at(-1)?.differing).toEqual(['x'.repeat(8000)]);
  });
});

describe('settings', () => {
  it('are refused when they make no sense, and change one at a time', () => {
    bootstrap();
    expect(run({ type: 'setSettings', settings: { nodeDownMs: 1 } })).toMatchObject({ code: 'Invalid' });
    expect(run({ type: 'setSettings', settings: { rebalanceBelow: 1 } })).toMatchObject({ code: 'Invalid' });
    expect(run({ type: 'setSettings', settings: { metaReplicas: 2 } })).toMatchObject({ code: 'Invalid' });
    accept({ type: 'setSettings', settings: { nodeDownMs: 5000, metaReplicas: 1 } });
    expect(state.settings).toMatchObject({ nodeDownMs: 5000, autoRebalance: 'suggest' });
    expect(state.shards.get(metaShard)?.wanted).toBe(1);
  });
});

describe('a command of a newer version', () => {
  const encode = (version: number, type: string): Uint8Array =>
    new TextEncoder().encode(JSON.stringify({ version, command: { type, at: 1 } }));

  it('is refused by every member alike while not all know it, and changes nothing', () => {
    bootstrap();
    accept({ type: 'joinMember', clusterId: 'blue', member: member('new', { commandVersion: commandVersion + 1 }) });
    const before = encodeState(state);
    expect(apply(state, decodeCommand(encode(commandVersion + 1, 'splitShard')))).toMatchObject({
      code: 'UnsupportedCommand',
    });
    expect(encodeState(state)).toEqual(before);
  });

  it('stops a build that cannot follow once all others know it', () => {
    bootstrap(1);
    accept({ type: 'joinMember', clusterId: 'blue', member: member('grid-0', { commandVersion: commandVersion + 1 }) });
    expect(() => apply(state, decodeCommand(encode(commandVersion + 1, 'splitShard')))).toThrow(/newer version/);
  });

  it('differs from bytes that are no command', () => {
    expect(() => decodeCommand(new Uint8Array([1, 2, 3]))).toThrow(/unreadable/);
    expect(() => decodeState(new TextEncoder().encode('{}'))).toThrow(/unreadable/);
    expect(() => decodeState(new TextEncoder().encode('{"version":2,"members":[]}'))).toThrow(/newer version/);
  });
});

/** Commands with small numbers, so that they meet. */
const number = fc.constantFrom(1, 1, 1, 2, 2, 3, 4, 5);
const voters = fc.uniqueArray(number, { minLength: 1, maxLength: 3 });
const topologyCommands: fc.Arbitrary<Unstamped> = fc.oneof(
  fc.record({
    type: fc.constant('joinMember' as const),
    clusterId: fc.constant('blue'),
    member: fc
      .tuple(number, number, number)
      .map(([id, disk, zone]) => member(`grid-${id}`, { incarnation: `disk-${disk % 2}`, zone: `z${zone}` })),
  }),
  fc.record({
    type: fc.constant('setMemberState' as const),
    member: number,
    state: fc.constantFrom('up' as const, 'draining' as const, 'down' as const),
  }),
  fc.record({ type: fc.constant('removeMember' as const), member: number }),
  fc.record({
    type: fc.constant('putCollection' as const),
    spec: fc.tuple(number, number).map(([name, replicas]) => spec(`c${name % 3}`, { replicaCount: replicas })),
    anew: fc.boolean(),
  }),
  fc.record({ type: fc.constant('deleteCollection' as const), name: fc.constantFrom('c0', 'c1', 'c2') }),
  fc.record({
    type: fc.constant('assignShards' as const),
    assignments: fc.array(fc.record({ shard: number, replicas: voters }), { maxLength: 2 }),
  }),
  fc
    .record({ shard: number, epoch: fc.nat(3), replicas: voters, task: fc.option(number), move: fc.nat(1) })
    .map(({ shard, epoch, replicas, task: id, move }) => ({
      type: 'updateShardReplicas' as const,
      shard,
      expectedEpoch: epoch,
      replicas: replicas.map((one) => ({ member: one, role: 'voter' as const })),
      change: id === null ? undefined : { task: id, move, term: 1 },
    })),
);

const taskCommands: fc.Arbitrary<Unstamped> = fc.oneof(
  fc.record({ shard: number, to: number, epoch: fc.constantFrom(0, 0, 0, 5), start: fc.boolean() }).map((given) => ({
    type: 'createTask' as const,
    kind: 'rebalance' as const,
    collection: `c${given.to}`,
    actor: 'ann',
    moves: [replacing(given.shard, 1, given.to), replacing(given.to, 1, given.shard)],
    topologyEpoch: given.epoch,
    options: {},
    start: given.start,
    message: '',
  })),
  fc.record({ type: fc.constant('startTask' as const), task: number }),
  fc.record({ type: fc.constant('cancelTask' as const), task: number, actor: fc.constant('ann') }),
  fc.record({
    type: fc.constant('claimTask' as const),
    task: number,
    term: fc.constantFrom(0, 1, 1, 1),
    member: number,
  }),
  fc.record({
    type: fc.constant('beginMove' as const),
    task: number,
    term: fc.constantFrom(0, 1, 1, 1),
    move: fc.nat(1),
  }),
  fc.record({
    type: fc.constant('endMove' as const),
    task: number,
    term: fc.constantFrom(0, 1, 1, 1),
    move: fc.nat(1),
    outcome: fc.constantFrom('done' as const, 'failed' as const, 'retry' as const),
    bytesDone: fc.nat(200),
  }),
  fc.record({
    type: fc.constant('finishTask' as const),
    task: number,
    term: fc.constantFrom(0, 1, 1, 1),
    state: fc.constantFrom('succeeded' as const, 'failed' as const),
    message: fc.constant(''),
    findings: fc.constant([]),
  }),
);

const commands = fc.oneof({ arbitrary: topologyCommands, weight: 1 }, { arbitrary: taskCommands, weight: 4 });

/** Epoch 0 stands for the present one, so that many commands are accepted. */
function current(command: Unstamped): Unstamped {
  if (command.type === 'createTask' && command.topologyEpoch === 0) {
    return { ...command, topologyEpoch: state.cluster?.epoch ?? 0 };
  }
  if (command.type === 'updateShardReplicas' && command.expectedEpoch === 0) {
    const shard = state.shards.get(command.shard);
    const change = shard?.change === undefined ? undefined : { ...shard.change, term: 1 };
    return { ...command, expectedEpoch: shard?.epoch ?? 0, change };
  }
  return command;
}

/** Bytes compare slowly in assertions. */
function text(given: MetaState): string {
  return new TextDecoder().decode(encodeState(given));
}

function expectInvariants(): void {
  const numbers = [...state.members.keys()];
  expect(Math.max(0, ...numbers)).toBeLessThan(state.next.member);
  for (const one of state.shards.values()) {
    const held = one.replicas.map(({ member: at }) => at);
    expect(new Set(held).size).toBe(held.length);
    expect(held.every((at) => state.members.has(at))).toBe(true);
    if (one.change === undefined) continue;
    expect(state.tasks.get(one.change.task)?.moves[one.change.move]).toMatchObject({ state: 'running', shard: one.id });
  }
  for (const one of state.tasks.values()) {
    const isOver = one.state === 'succeeded' || one.state === 'failed' || one.state === 'cancelled';
    for (const [index, move] of one.moves.entries()) {
      if (move.state === 'running') expect(state.shards.get(move.shard)?.change).toEqual({ task: one.id, move: index });
    }
    if (!isOver) expect(one.moves.length).toBe(one.movesTotal);
    const left = one.moves.filter((move) => move.state === 'pending' || move.state === 'running').length;
    expect(one.movesDone + one.movesFailed + one.movesSkipped + left).toBe(one.movesTotal);
  }
}

describe('any sequence of commands', () => {
  it('keeps the state whole, and gives the same state to a member that was restored on the way', () => {
    const accepted = new Set<string>();
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 80, size: 'max' }), fc.nat(80), (list, restoredAt) => {
        state = createMetaState();
        let other = createMetaState();
        const all: Unstamped[] = [
          { type: 'bootstrap', clusterId: 'blue', members: [member('grid-1'), member('grid-2'), member('grid-3')] },
          { type: 'putCollection', spec: spec('c1') },
          { type: 'assignShards', assignments: [1, 2].map((shard) => ({ shard, replicas: [1, 2, 3] })) },
          ...list,
        ];
        all.forEach((given, at) => {
          const command = current(given);
          if (at === restoredAt) other = decodeState(encodeState(other));
          const data = encodeCommand({ ...command, at });
          const before = text(state);
          const result = apply(state, decodeCommand(data));
          expect(apply(other, decodeCommand(data))).toEqual(result);
          if (result.ok && result.changed) accepted.add(command.type);
          if (!result.ok || !result.changed) expect(text(state)).toBe(before);
          expectInvariants();
        });
        expect(text(other)).toBe(text(state));
      }),
      { numRuns: 200 },
    );
    expect([...accepted]).toEqual(
      expect.arrayContaining([
        'deleteCollection',
        'updateShardReplicas',
        'beginMove',
        'endMove',
        'finishTask',
        'removeMember',
      ]),
    );
  });
});
