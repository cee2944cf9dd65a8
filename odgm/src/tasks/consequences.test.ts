import { beforeEach, describe, expect, it } from 'vitest';
import {
  apply,
  type CheckRecord,
  type Command,
  createMetaState,
  type MetaState,
  type NewCommand,
} from '../meta/index.ts';
import type { RaftCheckOutcome } from './check-raft.ts';
import { consequencesOf } from './consequences.ts';

let state: MetaState;

function run(command: NewCommand): void {
  const result = apply(state, { known: true, version: 1, command: { ...command, at: 5 } as Command });
  expect(result).toMatchObject({ ok: true });
}

beforeEach(() => {
  state = createMetaState();
  const member = (id: string) => ({ id, address: '', admin: '', zone: '', incarnation: '1', commandVersion: 1 });
  run({ type: 'bootstrap', clusterId: 'c', members: ['a', 'b', 'c'].map(member) });
  const invocations = { fnRoutes: {}, disabledFn: [] };
  const names = { name: 'c', classIds: [], options: {}, invocations };
  const spec = { ...names, partitionCount: 1, replicaCount: 3, shardType: 'raft', durability: 'persistent' } as const;
  run({ type: 'putCollection', spec });
  run({ type: 'assignShards', assignments: [{ shard: 1, replicas: [1, 2, 3] }] });
});

const check: CheckRecord = {
  ...{ shard: 1, collection: 'c', partition: 0, at: 77, task: 4, mode: 'fast', verdict: 'inconsistent' },
  replicas: [1, 2, 3].map((member) => ({
    ...{ member, root: `r${String(member)}`, index: 9, objects: 1, entries: 1, bytes: 1, ms: 1 },
  })),
  ...{ minority: [], differing: ['o1'], reason: '' },
};
const outcome = (rest: Partial<RaftCheckOutcome>): RaftCheckOutcome => ({
  ...{ verdict: 'inconsistent', minority: [], hasNoMajority: false, reason: '' },
  ...rest,
});
const conclude = (found: Partial<RaftCheckOutcome>, about: Partial<CheckRecord> = {}): NewCommand[] => {
  const shard = state.shards.get(1);
  return shard === undefined ? [] : consequencesOf(state, shard, outcome(found), { ...check, ...about });
};
const alarm = (member: number, epoch?: number): NewCommand => ({
  type: 'setAlarm',
  alarm: { shard: 1, member, epoch, kind: 'corrupt-replica', since: 1, evidence: '' },
});
const freeze: NewCommand = { type: 'setAlarm', alarm: { shard: 1, kind: 'no-majority', since: 1, evidence: '' } };

describe('a check that found replicas that differ', () => {
  it('raises an alarm on each that is not with the majority, with the epoch and the evidence', () => {
    expect(conclude({ minority: [2] })).toEqual([
      {
        type: 'setAlarm',
        alarm: {
          ...{ shard: 1, member: 2, epoch: 1, kind: 'corrupt-replica', since: 77 },
          evidence: 'member 2: root r2 at index 9, such as o1 (task 4)',
        },
      },
    ]);
  });

  it('freezes the shard when there is no majority, once, and lifts that when there is one again', () => {
    expect(conclude({ hasNoMajority: true })).toMatchObject([
      { type: 'setAlarm', alarm: { shard: 1, kind: 'no-majority' } },
    ]);
    run(freeze);
    expect(conclude({ hasNoMajority: true })).toEqual([]);
    expect(conclude({ minority: [3] })).toMatchObject([
      { type: 'setAlarm', alarm: { member: 3 } },
      { type: 'clearAlarm', shard: 1 },
    ]);
  });
});

it('what a check found is not about a replica that was made anew while it looked', () => {
  const shard = { ...state.shards.get(1)! };
  const replicas = [1, 2, 3].map((member) => ({ member, role: 'voter' as const }));
  run({ type: 'updateShardReplicas', shard: 1, expectedEpoch: 1, replicas, renew: [2] });
  const found = outcome({ minority: [2, 3] });
  expect(consequencesOf(state, shard, found, check)).toMatchObject([{ alarm: { member: 3, epoch: 1 } }]);
  run(alarm(2, 2));
  expect(consequencesOf(state, shard, outcome({ verdict: 'consistent' }), { ...check, mode: 'deep' })).toEqual([]);
});

describe('a check that found all replicas alike', () => {
  const alike = { verdict: 'consistent' } as const;

  it('lifts what froze the shard', () => {
    run(freeze);
    expect(conclude(alike)).toEqual([{ type: 'clearAlarm', shard: 1 }]);
  });

  it('lifts alarms of replicas that were made anew; those of others only when it read what they have stored', () => {
    run(alarm(2));
    run(alarm(3));
    const replicas = [1, 2, 3].map((member) => ({ member, role: 'voter' as const }));
    run({ type: 'updateShardReplicas', shard: 1, expectedEpoch: 1, replicas, renew: [2] });
    expect(conclude(alike)).toEqual([{ type: 'clearAlarm', shard: 1, member: 2 }]);
    expect(conclude(alike, { mode: 'deep' })).toEqual([
      { type: 'clearAlarm', shard: 1, member: 2 },
      { type: 'clearAlarm', shard: 1, member: 3 },
    ]);
  });
});

it('a check that knows nothing changes nothing', () => {
  run(alarm(2));
  run(freeze);
  expect(conclude({ verdict: 'indeterminate' }, { mode: 'deep' })).toEqual([]);
});
