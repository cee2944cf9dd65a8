import { beforeEach, describe, expect, it } from 'vitest';
import {
  Absences,
  apply,
  type Command,
  createMetaState,
  type IsGone,
  lastFullCheck,
  type MetaState,
} from '../meta/index.ts';
import { decideTriggers, planTask, type TriggerMemory, type Wish } from './index.ts';

type Unstamped = Command extends infer C ? (C extends Command ? Omit<C, 'at'> : never) : never;

let state: MetaState;
let now: number;
/** By how much the clock of the leader that records something is ahead. */
let ahead: number;
let memory: TriggerMemory;
let absences: Absences;
/** When this node came to know of the last check, or of the cluster. */
let known: { readonly id: number; readonly at: number };

const isGone: IsGone = (member) => absences.isGone(member, state.settings.nodeDownMs);

function run(command: Unstamped): number {
  const result = apply(state, { known: true, version: 1, command: { ...command, at: now + ahead } as Command });
  expect(result).toMatchObject({ ok: true });
  absences.note(state.members.values());
  const { id = 0 } = lastFullCheck(state) ?? {};
  if (id !== known.id) known = { id, at: now };
  return result.ok ? (result.id ?? 0) : 0;
}

function wishes(score = 1): Wish[] {
  const decided = decideTriggers(state, score, memory, now, { isGone, uncheckedMs: now - known.at });
  ({ memory } = decided);
  return [...decided.wishes];
}

function member(id: string, incarnation = '1') {
  return { id, address: '', admin: '', zone: '', incarnation, commandVersion: 1 };
}

function spec(replicaCount: number) {
  const invocations = { fnRoutes: {}, disabledFn: [] };
  const names = { name: 'c', classIds: [], options: {}, invocations };
  return { ...names, partitionCount: 2, replicaCount, shardType: 'raft', durability: 'persistent' } as const;
}

function create(kind: 'repair' | 'drain' | 'rebalance' | 'change-replicas', about?: number, collection = ''): number {
  const plan = { collection, actor: 'grid', moves: [], options: {}, message: '', start: true } as const;
  return run({ type: 'createTask', kind, member: about, topologyEpoch: state.cluster?.epoch ?? 0, ...plan });
}

beforeEach(() => {
  state = createMetaState();
  now = 1_000_000;
  ahead = 0;
  memory = { wantsBalance: false };
  known = { id: 0, at: now };
  absences = new Absences({ monotonic: () => now });
  run({ type: 'bootstrap', clusterId: 'c', members: ['a', 'b', 'c'].map((id) => member(id)) });
  run({ type: 'putCollection', spec: spec(3) });
  run({ type: 'assignShards', assignments: [1, 2].map((shard) => ({ shard, replicas: [1, 2, 3] })) });
});

describe('repair', () => {
  it('is wished for replicas with an alarm, once for a collection and member, while the member is up', () => {
    const alarm = { member: 2, kind: 'corrupt-replica', since: now, evidence: '' } as const;
    run({ type: 'setAlarm', alarm: { ...alarm, shard: 1 } });
    run({ type: 'setAlarm', alarm: { ...alarm, shard: 2 } });
    run({ type: 'setAlarm', alarm: { shard: 2, kind: 'no-majority', since: now, evidence: '' } });
    expect(wishes()).toMatchObject([{ kind: 'repair', collection: 'c', member: 2, mode: 'start' }]);
    const id = run({
      ...{ type: 'createTask', kind: 'repair', collection: 'c', member: 2, actor: 'grid', moves: [], options: {} },
      ...{ topologyEpoch: state.cluster?.epoch ?? 0, message: '', start: true },
    });
    expect(wishes()).toEqual([]);
    run({ type: 'claimTask', task: id, member: 1, term: 1 });
    run({ type: 'finishTask', task: id, term: 1, state: 'failed', message: '', findings: [] });
    expect(wishes()).toEqual([]);
    // What was found since need not wait for what did not help before.
    now += 1;
    run({ type: 'clearAlarm', shard: 1, member: 2 });
    run({ type: 'setAlarm', alarm: { ...alarm, shard: 1, since: now } });
    expect(wishes()).toMatchObject([{ kind: 'repair', collection: 'c', member: 2 }]);
    run({ type: 'setMemberState', member: 2, state: 'down' });
    expect(wishes()).toEqual([]);
  });

  it('makes replicas with an alarm anew and checks them after that; those made anew are checked only', () => {
    const alarm = { kind: 'corrupt-replica', since: now, evidence: '' } as const;
    for (const [shard, member] of [
      [1, 2],
      [1, 3],
      [2, 2],
    ] as const)
      run({ type: 'setAlarm', alarm: { ...alarm, shard, member } });
    const plan = (member?: number) =>
      planTask(state, new Map(), { kind: 'repair', collection: 'c', member }, isGone).moves.map(
        ({ shard, kind, from, to }) => `${String(shard)} ${kind} ${String(from ?? '')}>${String(to ?? '')}`,
      );
    expect(plan()).toEqual(['1 replica 2>2', '1 replica 3>3', '1 check >', '2 replica 2>2', '2 check >']);
    expect(plan(3)).toEqual(['1 replica 3>3', '1 check >']);
    const replicas = [1, 2, 3].map((member) => ({ member, role: 'voter' as const }));
    run({ type: 'updateShardReplicas', shard: 2, expectedEpoch: 1, replicas, renew: [2] });
    expect(plan()).toEqual(['1 replica 2>2', '1 replica 3>3', '1 check >', '2 check >']);
    run({ type: 'setMemberState', member: 2, state: 'down' });
    expect(plan()).toEqual(['1 replica 3>3', '1 check >', '2 check >']);
  });

  it('makes the replica of a partition anew that somebody names, without an alarm', () => {
    const wish = { kind: 'repair', collection: 'c', member: 3, partition: 1 } as const;
    expect(planTask(state, new Map(), wish, isGone).moves).toMatchObject([
      { shard: 2, kind: 'replica', from: 3, to: 3, why: 'damaged' },
      { shard: 2, kind: 'check' },
    ]);
  });

  it('is wished for when a member has been down for longer than the bound, once', () => {
    run({ type: 'setMemberState', member: 2, state: 'down' });
    now += 59_999;
    expect(wishes()).toEqual([]);
    now += 1;
    expect(wishes()).toMatchObject([{ kind: 'repair', member: 2, mode: 'start' }]);
    const id = create('repair', 2);
    expect(wishes()).toEqual([]);
    run({ type: 'claimTask', task: id, member: 1, term: 1 });
    run({ type: 'finishTask', task: id, term: 1, state: 'failed', message: '', findings: [] });
    expect(wishes()).toEqual([]);
    now += 30_000;
    expect(wishes()).toMatchObject([{ kind: 'repair', member: 2 }]);
  });

  it.each([3_600_000, -3_600_000])(
    'is wished for after the bound when the clock of the leader that recorded it was off: by %i ms',
    (off) => {
      ahead = off;
      run({ type: 'setMemberState', member: 2, state: 'down' });
      ahead = 0;
      now += 59_999;
      expect(wishes()).toEqual([]);
      now += 1;
      expect(wishes()).toMatchObject([{ kind: 'repair', member: 2, mode: 'start' }]);
    },
  );

  it('is wished for at once when the member came back with an empty disk', () => {
    run({ type: 'joinMember', clusterId: 'c', member: member('b', 'empty') });
    expect(wishes()).toMatchObject([{ kind: 'repair', member: 2 }]);
  });

  it('does not wait for a clock to reach what a leader with one far ahead wrote, and then pauses by its own', () => {
    run({ type: 'joinMember', clusterId: 'c', member: member('b', 'empty') });
    const failOne = (): void => {
      const id = create('repair', 2);
      run({ type: 'claimTask', task: id, member: 1, term: 1 });
      run({ type: 'finishTask', task: id, term: 1, state: 'failed', message: '', findings: [] });
    };
    failOne();
    expect(wishes()).toEqual([]);
    now -= 500_000;
    expect(wishes()).toMatchObject([{ kind: 'repair', member: 2 }]);
    failOne();
    expect(wishes()).toEqual([]);
    now += 30_000;
    expect(wishes()).toMatchObject([{ kind: 'repair', member: 2 }]);
  });
});

describe('a drain', () => {
  it('is wished for while a draining member holds something', () => {
    run({ type: 'setMemberState', member: 3, state: 'draining' });
    expect(wishes()).toMatchObject([{ kind: 'drain', member: 3, mode: 'start' }]);
    create('drain', 3);
    expect(wishes()).toEqual([]);
  });

  it.each(['succeeded', 'failed'] as const)(
    'is wished for at once when something came while it was drained: %s',
    (end) => {
      const moves = [
        { shard: 1, collection: 'c', partition: 0, kind: 'replica', from: 3, bytes: 0, why: 'drain' },
      ] as const;
      const by = { task: 1, term: 1 };
      const about = { kind: 'drain', collection: '', member: 3, actor: 'grid', options: {}, message: '' } as const;
      run({ type: 'createTask', ...about, moves, topologyEpoch: state.cluster?.epoch ?? 0, start: true });
      run({ type: 'claimTask', member: 1, ...by });
      run({ type: 'beginMove', move: 0, ...by });
      run({ type: 'endMove', move: 0, outcome: 'done', bytesDone: 0, ...by });
      run({ type: 'finishTask', state: end, message: '', findings: [], ...by });
      expect(wishes()).toMatchObject([{ kind: 'drain', member: 3 }]);
    },
  );

  it('is wished for at once when its cancelled one is asked for anew', () => {
    run({ type: 'setMemberState', member: 3, state: 'draining' });
    const id = create('drain', 3);
    run({ type: 'claimTask', task: id, member: 1, term: 1 });
    run({ type: 'finishTask', task: id, term: 1, state: 'cancelled', message: '', findings: [] });
    run({ type: 'setMemberState', member: 3, state: 'up' });
    now += 1;
    run({ type: 'setMemberState', member: 3, state: 'draining' });
    expect(wishes()).toMatchObject([{ kind: 'drain', member: 3 }]);
  });
});

describe('another number of replicas', () => {
  it('is brought about, as far as there are members', () => {
    run({ type: 'putCollection', spec: spec(5) });
    expect(wishes()).toEqual([]);
    run({ type: 'joinMember', clusterId: 'c', member: member('d') });
    expect(wishes()).toMatchObject([{ kind: 'change-replicas', collection: 'c', mode: 'start' }]);
    run({ type: 'putCollection', spec: spec(1) });
    expect(wishes()).toMatchObject([{ kind: 'change-replicas' }]);
  });

  it('is brought about at once when it changes again soon after', () => {
    run({ type: 'putCollection', spec: spec(1) });
    const id = create('change-replicas', undefined, 'c');
    run({ type: 'claimTask', task: id, member: 1, term: 1 });
    run({ type: 'finishTask', task: id, term: 1, state: 'failed', message: '', findings: [] });
    expect(wishes()).toEqual([]);
    now += 1;
    run({ type: 'putCollection', spec: spec(2) });
    expect(wishes()).toMatchObject([{ kind: 'change-replicas' }]);
  });

  it('is brought about at once when it changed while the task for the number before it was at its end', () => {
    run({ type: 'putCollection', spec: spec(1) });
    const id = create('change-replicas', undefined, 'c');
    run({ type: 'claimTask', task: id, member: 1, term: 1 });
    now += 1;
    run({ type: 'putCollection', spec: spec(2) });
    expect(wishes()).toEqual([]);
    now += 1;
    run({ type: 'finishTask', task: id, term: 1, state: 'succeeded', message: '', findings: [] });
    expect(wishes()).toMatchObject([{ kind: 'change-replicas' }]);
  });
});

describe('a rebalance', () => {
  it('is suggested under the threshold, until the score is well above it', () => {
    expect(wishes(0.9)).toEqual([]);
    expect(wishes(0.84)).toMatchObject([{ kind: 'rebalance', mode: 'suggest' }]);
    expect(wishes(0.94)).toMatchObject([{ kind: 'rebalance' }]);
    expect(wishes(0.95)).toEqual([]);
    expect(wishes(0.9)).toEqual([]);
  });

  it('is suggested when a member joins that holds nothing, and started where settings say so', () => {
    run({ type: 'joinMember', clusterId: 'c', member: member('d') });
    expect(wishes()).toMatchObject([{ kind: 'rebalance', mode: 'suggest' }]);
    run({ type: 'setSettings', settings: { autoRebalance: 'on' } });
    expect(wishes()).toMatchObject([{ kind: 'rebalance', mode: 'start' }]);
    run({ type: 'setSettings', settings: { autoRebalance: 'off' } });
    expect(wishes(0.1)).toEqual([]);
  });

  it('waits while members are down or another task moves shards', () => {
    run({ type: 'setMemberState', member: 2, state: 'down' });
    expect(wishes(0.1)).toEqual([]);
    run({ type: 'setMemberState', member: 2, state: 'up' });
    const empty = run({ type: 'joinMember', clusterId: 'c', member: member('d') });
    run({ type: 'setMemberState', member: empty, state: 'down' });
    expect(wishes(0.1)).toMatchObject([{ kind: 'rebalance' }]);
    create('drain', 3);
    expect(wishes(0.1)).toEqual([]);
  });
});

describe('a check', () => {
  const day = 24 * 60 * 60_000;
  const due = {
    kind: 'consistency-check',
    collection: '',
    actor: 'schedule',
    mode: 'start',
    options: { mode: 'fast' },
  };

  function checked(verdict: 'consistent' | 'indeterminate', wish: Wish, silent?: number): void {
    const { kind, collection, actor, options } = wish;
    const plan = { member: undefined, moves: [], topologyEpoch: state.cluster?.epoch ?? 0, message: '', start: true };
    const task = run({ type: 'createTask', kind, collection, actor, options, ...plan });
    run({ type: 'claimTask', task, member: 1, term: 1 });
    expect(wishes()).toEqual([]);
    const root = (member: number): string => (member === silent ? '' : 'ab');
    const none = { index: 1, objects: 0, entries: 0, bytes: 0, ms: 0 };
    for (const shard of [1, 2]) {
      const replicas = [1, 2, 3].map((member) => ({ member, root: root(member), ...none }));
      const about = {
        shard,
        collection: 'c',
        partition: shard - 1,
        at: now + ahead,
        task,
        mode: 'fast',
        verdict,
      } as const;
      run({ type: 'recordCheck', check: { ...about, replicas, minority: [], differing: [], reason: '' } });
    }
    run({ type: 'finishTask', task, term: 1, state: 'succeeded', message: '', findings: [] });
  }

  function wished(): Wish {
    const [wish, ...more] = wishes();
    if (wish === undefined || more.length > 0) throw new Error('not one wish');
    return wish;
  }

  it('of all shards is wished for when there was none for a day, and nothing else runs', () => {
    now += day - 1;
    expect(wishes()).toEqual([]);
    now += 1;
    expect(wishes()).toMatchObject([due]);
    const other = create('rebalance');
    expect(wishes()).toEqual([]);
    run({ type: 'claimTask', task: other, member: 1, term: 1 });
    run({ type: 'finishTask', task: other, term: 1, state: 'succeeded', message: '', findings: [] });
    checked('consistent', wished());
    now += day - 1;
    expect(wishes()).toEqual([]);
    now += 1;
    expect(wishes()).toMatchObject([due]);
  });

  it.each([3_600_000, 1000 * day])(
    'is wished for a day after the last one by the own clock, when that of the leader that recorded it was ahead by %i ms',
    (off) => {
      now += day;
      ahead = off;
      checked('consistent', wished());
      ahead = 0;
      now += day - 1;
      expect(wishes()).toEqual([]);
      now += 1;
      expect(wishes()).toMatchObject([due]);
      checked('consistent', wished());
      now += day;
      expect(wishes()).toMatchObject([due]);
    },
  );

  it('is wished for a day after what is recorded when this node was started since', () => {
    now += day;
    checked('consistent', wished());
    now += day - 1;
    known = { ...known, at: now };
    expect(wishes()).toEqual([]);
    now += 1;
    expect(wishes()).toMatchObject([due]);
  });

  it('that knew too little is done again, once, also when what is recorded was of a clock far ahead', () => {
    now += day;
    ahead = 3_600_000;
    run({ type: 'setMemberState', member: 2, state: 'down' });
    run({ type: 'setMemberState', member: 2, state: 'up' });
    checked('indeterminate', wished(), 2);
    ahead = 0;
    const again = wished();
    expect(again).toMatchObject({ ...due, collection: 'c', options: { again: 'true' } });
    checked('indeterminate', again, 2);
    now += 60_000;
    expect(wishes()).toEqual([]);
  });

  it('is wished for as often as the settings say, and never with 0', () => {
    run({ type: 'setSettings', settings: { checkEveryMs: 60_000 } });
    now += 60_000;
    expect(wishes()).toMatchObject([due]);
    run({ type: 'setSettings', settings: { checkEveryMs: 0 } });
    now += 10 * day;
    expect(wishes()).toEqual([]);
  });

  it('is not wished for where nothing is to be checked', () => {
    run({ type: 'deleteCollection', name: 'c' });
    now += day;
    expect(wishes()).toEqual([]);
  });

  it('that knew too little is done again, once, when the silent member is back', () => {
    now += day;
    run({ type: 'setMemberState', member: 3, state: 'down' });
    run({ type: 'setSettings', settings: { nodeDownMs: 10 * day } });
    checked('indeterminate', wished(), 3);
    now += 60_000;
    expect(wishes()).toEqual([]);
    run({ type: 'setMemberState', member: 3, state: 'up' });
    const again = wished();
    expect(again).toMatchObject({ ...due, collection: 'c', options: { again: 'true' } });
    now += 1000;
    checked('indeterminate', again, 3);
    now += 60_000;
    expect(wishes()).toEqual([]);
    run({ type: 'setMemberState', member: 3, state: 'down' });
    now += 60_000;
    run({ type: 'setMemberState', member: 3, state: 'up' });
    checked('consistent', wished());
    now += 60_000;
    expect(wishes()).toEqual([]);
  });

  it('that nobody answered is done again once when the members were there all the time, and not at once', () => {
    now += day;
    checked('indeterminate', wished(), 2);
    now += 29_999;
    expect(wishes()).toEqual([]);
    now += 1;
    checked('indeterminate', wished(), 2);
    now += 60_000;
    expect(wishes()).toEqual([]);
  });
});
