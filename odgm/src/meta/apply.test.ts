import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  apply,
  createMetaState,
  decodeCommand,
  decodeState,
  encodeCommand,
  encodeState,
  type MetaState,
  metaShard,
} from './index.ts';
import { member, MetaUnderTest, replacing, spec, type Unstamped } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('settings', () => {
  it('are refused when they make no sense, and change one at a time', () => {
    meta.bootstrap();
    expect(meta.run({ type: 'setSettings', settings: { nodeDownMs: 1 } })).toMatchObject({ code: 'Invalid' });
    expect(meta.run({ type: 'setSettings', settings: { rebalanceBelow: 1 } })).toMatchObject({ code: 'Invalid' });
    expect(meta.run({ type: 'setSettings', settings: { metaReplicas: 2 } })).toMatchObject({ code: 'Invalid' });
    meta.accept({ type: 'setSettings', settings: { nodeDownMs: 5000, metaReplicas: 1 } });
    expect(meta.state.settings).toMatchObject({ nodeDownMs: 5000, autoRebalance: 'suggest' });
    expect(meta.state.shards.get(metaShard)?.wanted).toBe(1);
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
  // Only one that is down, and has nothing, goes: rare enough.
  { arbitrary: fc.record({ type: fc.constant('removeMember' as const), member: number }), weight: 4 },
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
    return { ...command, topologyEpoch: meta.state.cluster?.epoch ?? 0 };
  }
  if (command.type === 'updateShardReplicas' && command.expectedEpoch === 0) {
    const shard = meta.state.shards.get(command.shard);
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
  const numbers = [...meta.state.members.keys()];
  expect(Math.max(0, ...numbers)).toBeLessThan(meta.state.next.member);
  for (const one of meta.state.shards.values()) {
    const held = one.replicas.map(({ member: at }) => at);
    expect(new Set(held).size).toBe(held.length);
    expect(held.every((at) => meta.state.members.has(at))).toBe(true);
    if (one.change === undefined) continue;
    expect(meta.state.tasks.get(one.change.task)?.moves[one.change.move]).toMatchObject({
      state: 'running',
      shard: one.id,
    });
  }
  for (const one of meta.state.tasks.values()) {
    const isOver = one.state === 'succeeded' || one.state === 'failed' || one.state === 'cancelled';
    for (const [index, move] of one.moves.entries()) {
      if (move.state === 'running')
        expect(meta.state.shards.get(move.shard)?.change).toEqual({ task: one.id, move: index });
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
        meta.state = createMetaState();
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
          const before = text(meta.state);
          const result = apply(meta.state, decodeCommand(data));
          expect(apply(other, decodeCommand(data))).toEqual(result);
          if (result.ok && result.changed) accepted.add(command.type);
          if (!result.ok || !result.changed) expect(text(meta.state)).toBe(before);
          expectInvariants();
        });
        expect(text(other)).toBe(text(meta.state));
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
