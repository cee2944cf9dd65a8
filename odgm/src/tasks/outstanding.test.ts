import { beforeEach, describe, expect, it } from 'vitest';
import { apply, type Command, createMetaState, type MetaState, type ShardLoad, type TaskKind } from '../meta/index.ts';
import { planTask, takeTurns, withOutstanding } from './index.ts';

type Unstamped = Command extends infer C ? (C extends Command ? Omit<C, 'at'> : never) : never;

let state: MetaState;
const now = 1_000_000;
const isGone = () => false;

function run(command: Unstamped): number {
  const result = apply(state, { known: true, version: 1, command: { ...command, at: now } as Command });
  expect(result).toMatchObject({ ok: true });
  return result.ok ? (result.id ?? 0) : 0;
}

const leaders = new Map<number, ShardLoad>([1, 2].map((shard) => [shard, { leader: shard, bytes: 1000, ops: 1 }]));

/** Starts what a plan says, and gives how it ends when no move of it is done. */
function endOf(kind: TaskKind, member?: number) {
  const { moves, topologyEpoch } = planTask(state, leaders, { kind, collection: '', member }, isGone);
  const task = { kind, collection: '', member, actor: 'ann', options: {}, start: true, message: '' };
  const id = run({ type: 'createTask', ...task, moves: moves.slice(0, 0), topologyEpoch });
  const record = state.tasks.get(id);
  const finish = takeTurns([...state.tasks.values()], state.settings, now).get(id)?.finish;
  if (record === undefined || finish === undefined) throw new Error('it has not ended');
  const concluded = withOutstanding(finish, record, state, leaders, isGone);
  run({ type: 'claimTask', task: id, member: 1, term: 1 });
  run({ type: 'finishTask', task: id, term: 1, ...concluded });
  return concluded;
}

function place(replicaCount: number): void {
  const invocations = { fnRoutes: {}, disabledFn: [] };
  const spec = { name: 'c', classIds: [], partitionCount: 2, options: {}, invocations } as const;
  run({ type: 'putCollection', spec: { ...spec, replicaCount, shardType: 'raft', durability: 'persistent' } });
  const replicas = [1, 2, 3].slice(0, replicaCount);
  run({ type: 'assignShards', assignments: [1, 2].map((shard) => ({ shard, replicas })) });
}

beforeEach(() => {
  state = createMetaState();
  const members = ['a', 'b', 'c'].map((id) => ({ id, address: '', admin: '', zone: '', incarnation: '1' }));
  run({ type: 'bootstrap', clusterId: 'c', members: members.map((one) => ({ ...one, commandVersion: 1 })) });
});

describe('a task that ends', () => {
  it('has failed when it is a drain that nothing could be moved by, with the reason for each shard', () => {
    place(3);
    const { state: end, message, findings } = endOf('drain', 3);
    expect([end, message]).toEqual([
      'failed',
      'nothing to do: no-member-to-move-to, 2 replicas are left on c, 2 cannot move',
    ]);
    expect(findings).toMatchObject([
      { severity: 'error', code: 'no-member-to-move-to', message: 'c/0 stays on c: no-member-to-move-to' },
      { severity: 'error', code: 'no-member-to-move-to', message: 'c/1 stays on c: no-member-to-move-to' },
    ]);
  });

  it('has failed when the drained member still holds what could move', () => {
    place(2);
    const { state: end, findings } = endOf('drain', 2);
    expect(end).toBe('failed');
    expect(findings).toMatchObject([
      { code: 'MemberHoldsReplicas', message: 'b still holds 2 replicas', remedy: 'Start it again.' },
    ]);
  });

  it('has succeeded when the drained member holds nothing, whatever other members lack', () => {
    place(2);
    run({ type: 'setMemberState', member: 1, state: 'draining' });
    expect(endOf('drain', 3)).toMatchObject({ state: 'succeeded', findings: [] });
  });

  it('says why a rebalance had nothing to do, and what it could not do', () => {
    place(3);
    expect(endOf('rebalance')).toMatchObject({ message: 'nothing to do: balanced', findings: [] });
    run({ type: 'setMemberState', member: 3, state: 'draining' });
    expect(endOf('rebalance')).toMatchObject({
      state: 'succeeded',
      message: 'nothing to do: no-member-to-move-to, 2 cannot move',
      findings: [
        { severity: 'warning', code: 'no-member-to-move-to' },
        { severity: 'warning', code: 'no-member-to-move-to' },
      ],
    });
  });
});
