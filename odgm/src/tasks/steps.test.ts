import { describe, expect, it } from 'vitest';
import type { PlacementReplica } from '../placement/index.ts';
import { defaultStepLimits, newMemory, nextStep } from './index.ts';
import type { MoveMemory, ObservedMember, ObservedProgress, ObservedShard, Step, StepInput } from './types.ts';

const voter = (member: number): PlacementReplica => ({ member, role: 'voter' });
const learner = (member: number): PlacementReplica => ({ member, role: 'learner' });

function progress(rest: Partial<ObservedProgress> = {}): ObservedProgress {
  return { lag: 0, needsSnapshot: false, received: 0, active: true, ...rest };
}

/** Three voters 1, 2, 3, led by 1. */
function shard(
  rest: Partial<ObservedShard> = {},
  of: Readonly<Record<number, Partial<ObservedProgress>>> = {},
): ObservedShard {
  const members = [1, 2, 3, 4, 5];
  return {
    type: 'raft',
    isOurs: true,
    recorded: [1, 2, 3].map(voter),
    preferredLeader: 1,
    wanted: 3,
    leader: 1,
    voters: [1, 2, 3],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    progress: new Map(members.map((member) => [member, progress(of[member])])),
    bytes: 1000,
    ...rest,
  };
}

function ask(given: ObservedShard | undefined, rest: Partial<StepInput> = {}): ReturnType<typeof nextStep> {
  const members = new Map<number, ObservedMember>([1, 2, 3, 4, 5].map((member) => [member, { state: 'up' }]));
  return nextStep({
    move: { kind: 'replica', from: 3, to: 4 },
    shard: given,
    members,
    memory: newMemory(0),
    cancelling: false,
    now: 0,
    limits: defaultStepLimits,
    ...rest,
  });
}

function membersWith(number: number, member: ObservedMember): Map<number, ObservedMember> {
  const all = [1, 2, 3, 4, 5].map((one): [number, ObservedMember] => [one, { state: 'up' }]);
  return new Map([...all, [number, member]]);
}

const caughtUp: MoveMemory = { ...newMemory(0), caughtUp: 3 };
const learning = shard({ recorded: [voter(1), voter(2), voter(3), learner(4)], learners: [4] });

describe('the steps of a replacement', () => {
  it('follow from the membership that is there', () => {
    expect(ask(shard()).step).toEqual({ do: 'record', replicas: [voter(1), voter(2), voter(3), learner(4)] });
    const recorded = shard({ recorded: learning.recorded });
    expect(ask(recorded).step).toMatchObject({ do: 'change', change: { addLearners: [4], joint: false } });
    expect(ask(learning).step).toEqual({ do: 'wait', for: 'catch-up' });
    const replace = { do: 'change', change: { promote: [4], demote: [3], joint: true } };
    expect(ask(learning, { memory: caughtUp }).step).toMatchObject(replace);
    const joint = shard({ voters: [1, 2, 4], votersOutgoing: [1, 2, 3], learnersNext: [3] });
    expect(ask(joint).step).toEqual({ do: 'leaveJoint' });
    const left = shard({ recorded: learning.recorded, voters: [1, 2, 4], learners: [3] });
    expect(ask(left).step).toMatchObject({ do: 'change', change: { remove: [3], joint: false } });
    const removed = shard({ recorded: learning.recorded, voters: [1, 2, 4] });
    expect(ask(removed).step).toMatchObject({ do: 'record', replicas: [voter(1), voter(2), voter(4)] });
    const done = shard({ recorded: [voter(1), voter(2), voter(4)], voters: [1, 2, 4] });
    expect(ask(done).step).toMatchObject({ do: 'end', outcome: 'done' });
  });

  it('wait until the new replica has caught up in three observations in a row', () => {
    const behind = { ...learning, progress: new Map([[4, progress({ lag: 65 })]]) };
    const after = (first: MoveMemory, given: ObservedShard): MoveMemory => ask(given, { memory: first }).memory;
    const two = after(after(newMemory(0), learning), learning);
    expect(two.caughtUp).toBe(2);
    expect(after(two, behind).caughtUp).toBe(0);
    expect(ask(learning, { memory: two }).step.do).toBe('change');
    for (const poor of [{ needsSnapshot: true }, { active: false }]) {
      const given = { ...learning, progress: new Map([...learning.progress, [4, progress(poor)] as const]) };
      expect(ask(given, { memory: caughtUp }).step).toEqual({ do: 'wait', for: 'catch-up' });
    }
  });

  it('hand leadership of the leaving replica to an old voter before the change', () => {
    const move = { kind: 'replica', from: 1, to: 4, leaderTo: 2 } as const;
    expect(ask(learning, { move, memory: caughtUp }).step).toEqual({ do: 'transferLeader', to: 2 });
    const behind = shard({ recorded: learning.recorded, learners: [4] }, { 2: { needsSnapshot: true } });
    expect(ask(behind, { move, memory: caughtUp }).step).toEqual({ do: 'transferLeader', to: 3 });
  });

  it('hand it to the new replica within the joint configuration, when that one shall lead or nobody else can', () => {
    const move = { kind: 'replica', from: 1, to: 4, leaderTo: 4 } as const;
    const joint = shard({ voters: [2, 3, 4], votersOutgoing: [1, 2, 3], learnersNext: [1] });
    expect(ask(learning, { move, memory: caughtUp }).step.do).toBe('change');
    expect(ask(joint, { move }).step).toEqual({ do: 'transferLeader', to: 4 });
    expect(ask({ ...joint, leader: 4 }, { move }).step).toEqual({ do: 'leaveJoint' });
    const alone = shard({ wanted: 1, recorded: [voter(1), learner(4)], voters: [1], learners: [4] });
    expect(ask(alone, { move: { kind: 'replica', from: 1, to: 4 }, memory: caughtUp }).step.do).toBe('change');
  });

  it('never leave less than a majority that answers', () => {
    const oneDown = shard({ recorded: learning.recorded, learners: [4] }, { 2: { active: false } });
    expect(ask(oneDown, { memory: caughtUp }).step.do).toBe('change');
    const twoDown = shard(
      { recorded: learning.recorded, learners: [4] },
      { 2: { active: false }, 3: { active: false } },
    );
    expect(ask(twoDown, { memory: caughtUp }).step).toEqual({ do: 'wait', for: 'quorum' });
    const surplus = shard({ wanted: 2 }, { 2: { active: false } });
    const removal = { kind: 'replica', from: 3 } as const;
    expect(ask(surplus, { move: removal }).step).toEqual({ do: 'wait', for: 'quorum' });
    expect(ask(shard({ wanted: 2 }), { move: removal }).step).toMatchObject({ change: { remove: [3], joint: false } });
    expect(ask(shard(), { move: removal }).step).toMatchObject({ outcome: 'skipped', reason: 'MembershipNotMatch' });
    const two = shard({ wanted: 1, voters: [1, 2], recorded: [voter(1), voter(2)] });
    const toOne = ask(two, { move: { kind: 'replica', from: 2 } }).step;
    expect(toOne).toMatchObject({ do: 'change', change: { demote: [2], joint: true } });
  });
});

describe('a move that cannot go on', () => {
  const end = (step: Step): unknown => (step.do === 'end' ? [step.outcome, step.reason] : step);

  it('says why', () => {
    expect(end(ask(undefined).step)).toEqual(['skipped', 'ShardGone']);
    expect(end(ask(shard({ isOurs: false })).step)).toEqual(['failed', 'EpochNotMatch']);
    expect(end(ask(shard(), { members: membersWith(4, { state: 'down' }) }).step)).toEqual(['failed', 'NodeDown']);
    expect(end(ask(shard(), { members: membersWith(4, { state: 'up', freeBytes: 999 }) }).step)).toEqual([
      'failed',
      'Capacity',
    ]);
    const changed = shard({ voters: [1, 2, 5], recorded: [voter(1), voter(2), voter(5)] });
    expect(end(ask(changed).step)).toEqual(['failed', 'MembershipNotMatch']);
  });

  it('waits for a member that is not heard just now, and fails only when that is noted as down, or after a minute', () => {
    const lost = { members: membersWith(4, { state: 'suspect' }) } as const;
    for (const given of [shard(), shard({ type: 'mst', leader: 1 })]) {
      expect(ask(given, lost).step).toEqual({ do: 'wait', for: 'member' });
    }
    const rebuilt = { ...lost, move: { kind: 'replica', from: 4, to: 4 } } as const;
    expect(ask(shard({ voters: [1, 2, 4], recorded: [1, 2, 4].map(voter) }), rebuilt).step).toEqual({
      do: 'wait',
      for: 'member',
    });
    const { memory } = ask(shard(), lost);
    expect(end(ask(shard(), { ...lost, memory, now: 60_001 }).step)).toEqual(['failed', 'NodeDown']);
  });

  it('is taken back while the new replica only learns, and finished after that', () => {
    const cancelling = true;
    expect(ask(learning, { cancelling }).step).toMatchObject({ do: 'change', change: { remove: [4] } });
    const unhosted = shard({ recorded: learning.recorded });
    expect(ask(unhosted, { cancelling }).step).toMatchObject({
      do: 'record',
      replicas: [voter(1), voter(2), voter(3)],
    });
    expect(end(ask(shard(), { cancelling }).step)).toEqual(['cancelled', 'Cancelled']);
    const joint = shard({ voters: [1, 2, 4], votersOutgoing: [1, 2, 3], learnersNext: [3] });
    expect(ask(joint, { cancelling }).step).toEqual({ do: 'leaveJoint' });
    const left = shard({ recorded: learning.recorded, voters: [1, 2, 4], learners: [3] });
    expect(ask(left, { cancelling }).step).toMatchObject({ do: 'change', change: { remove: [3] } });
  });

  it('times out without progress, is taken back, and fails', () => {
    const stuck = { ...learning, progress: new Map([...learning.progress, [4, progress({ lag: 500 })] as const]) };
    const first = ask(stuck);
    const waiting = ask(stuck, { memory: first.memory, now: defaultStepLimits.slowStepMs });
    expect(waiting.step).toEqual({ do: 'wait', for: 'catch-up' });
    const late = ask(stuck, { memory: waiting.memory, now: defaultStepLimits.slowStepMs + 2 });
    expect(late.step).toMatchObject({ do: 'change', change: { remove: [4] } });
    expect(late.memory.stopping).toBe('Timeout');
    expect(end(ask(shard(), { memory: late.memory }).step)).toEqual(['failed', 'Timeout']);
  });

  it('waits on while there is progress, and longer for a large shard', () => {
    const at = (lag: number): ObservedShard => ({
      ...learning,
      progress: new Map([...learning.progress, [4, progress({ lag })] as const]),
    });
    const first = ask(at(900)).memory;
    const later = ask(at(800), { memory: first, now: defaultStepLimits.slowStepMs }).memory;
    expect(later.stepAt).toBe(defaultStepLimits.slowStepMs);
    const large = { ...at(800), bytes: 100 * 1024 * 1024 };
    const now = 2 * defaultStepLimits.slowStepMs + 50_000;
    expect(ask(large, { memory: later, now }).step).toEqual({ do: 'wait', for: 'catch-up' });
    expect(ask(at(800), { memory: later, now }).step.do).toBe('change');
  });

  it('keeps trying to leave a joint configuration, however long it takes', () => {
    const joint = shard({ voters: [1, 2, 4], votersOutgoing: [1, 2, 3], learnersNext: [3], leader: undefined });
    const first = ask(joint);
    expect(first.step).toEqual({ do: 'wait', for: 'leader' });
    const later = ask(joint, { memory: first.memory, now: 1e9, cancelling: true });
    expect(later.step).toEqual({ do: 'wait', for: 'leader' });
  });

  it('gives up on a shard without a leader, with nothing changed', () => {
    const headless = shard({ leader: undefined });
    const first = ask(headless);
    const late = ask(headless, { memory: first.memory, now: defaultStepLimits.fastStepMs + 1 });
    const last = ask(headless, { memory: late.memory, now: 2 * defaultStepLimits.fastStepMs + 2 });
    expect(end(last.step)).toEqual(['failed', 'NoLeader']);
  });
});

describe('a move of leadership', () => {
  const move = { kind: 'leader', from: 1, to: 2 } as const;

  it('goes to a voter that has everything, and is recorded as preferred', () => {
    expect(ask(shard(), { move }).step).toEqual({ do: 'transferLeader', to: 2 });
    const behind = shard({}, { 2: { lag: 1000 } });
    expect(ask(behind, { move }).step).toEqual({ do: 'wait', for: 'quorum' });
    expect(ask(shard({ leader: 2 }), { move }).step).toMatchObject({ do: 'record', preferredLeader: 2 });
    expect(ask(shard({ leader: 2, preferredLeader: 2 }), { move }).step).toMatchObject({ outcome: 'done' });
    expect(ask(shard(), { move: { ...move, to: 4 } }).step).toMatchObject({ outcome: 'skipped' });
    expect(ask(shard(), { move, cancelling: true }).step).toMatchObject({ outcome: 'cancelled' });
  });
});

describe('a replacement in an eventual shard', () => {
  const eventual = (recorded: readonly PlacementReplica[]): ObservedShard =>
    shard({
      type: 'mst',
      recorded,
      leader: undefined,
      voters: recorded.filter(({ role }) => role === 'voter').map(({ member }) => member),
      learners: recorded.filter(({ role }) => role === 'learner').map(({ member }) => member),
    });

  it('adds a learner, waits until it has everything, and lets the other one go when that has given everything', () => {
    const before = eventual([1, 2, 3].map(voter));
    expect(ask(before).step).toMatchObject({ do: 'record', replicas: [voter(1), voter(2), voter(3), learner(4)] });
    const added = eventual([voter(1), voter(2), voter(3), learner(4)]);
    expect(ask(added).step).toEqual({ do: 'wait', for: 'catch-up' });
    // The leaving one takes no more writes, and goes when the others have all of it.
    const swapped = { replicas: [voter(1), voter(2), voter(4), learner(3)] };
    expect(ask(added, { memory: caughtUp }).step).toMatchObject(swapped);
    const leaving = eventual([voter(1), voter(2), voter(4), learner(3)]);
    const behind = { ...leaving, progress: new Map([...leaving.progress, [3, progress({ lag: 1e9 })]]) };
    expect(ask(behind).step).toEqual({ do: 'wait', for: 'catch-up' });
    expect(ask(leaving).step).toMatchObject({ replicas: [voter(1), voter(2), voter(4)] });
    const silent = { ...behind, progress: new Map([...leaving.progress, [3, progress({ lag: 1e9, active: false })]]) };
    expect(ask(silent).step).toMatchObject({ replicas: [voter(1), voter(2), voter(4)] });
    expect(ask(eventual([voter(1), voter(2), voter(4)])).step).toMatchObject({ outcome: 'done' });
    expect(ask(added, { cancelling: true }).step).toMatchObject({ do: 'record', replicas: [1, 2, 3].map(voter) });
    expect(ask(before, { cancelling: true }).step).toMatchObject({ outcome: 'cancelled' });
  });

  it('never removes the last replica that answers', () => {
    const two = { ...eventual([voter(1), voter(2)]), wanted: 1 };
    const alone = { ...two, progress: new Map([[2, progress()]]) };
    expect(ask(alone, { move: { kind: 'replica', from: 2 } }).step).toEqual({ do: 'wait', for: 'quorum' });
    expect(ask(two, { move: { kind: 'replica', from: 2 } }).step).toMatchObject({ replicas: [voter(1), learner(2)] });
    const left = { ...eventual([voter(1), learner(2)]), wanted: 1 };
    expect(ask(left, { move: { kind: 'replica', from: 2 } }).step).toMatchObject({ replicas: [voter(1)] });
  });
});

describe('the steps of making a replica anew where it is', () => {
  const move = { kind: 'replica', from: 3, to: 3, epoch: 4 } as const;
  const at = (member: number, epoch: number, role: 'voter' | 'learner' = 'voter') => ({ member, role, epoch });
  const old = [at(1, 1), at(2, 1), at(3, 2)];
  const anew = [at(1, 1), at(2, 1), at(3, 5, 'learner')];
  const ask3 = (given: ObservedShard, rest: Partial<StepInput> = {}) => ask(given, { move, ...rest }).step;

  it('take it out of the group, then record the next epoch, then bring it in as a replica that is new', () => {
    const before = shard({ recorded: old });
    expect(ask3(before)).toMatchObject({ do: 'change', change: { remove: [3], addLearners: [], joint: false } });
    const out = shard({ recorded: old, voters: [1, 2] });
    expect(ask3(out)).toEqual({ do: 'record', replicas: [voter(1), voter(2), learner(3)], renew: 3 });
    const renewed = shard({ recorded: anew, voters: [1, 2] });
    expect(ask3(renewed)).toMatchObject({ do: 'change', change: { addLearners: [3] } });
    const joined = shard({ recorded: anew, voters: [1, 2], learners: [3] });
    expect(ask3(joined)).toEqual({ do: 'wait', for: 'catch-up' });
    expect(ask3(joined, { memory: caughtUp })).toMatchObject({ do: 'change', change: { promote: [3], demote: [] } });
    expect(ask3(shard({ recorded: anew }))).toEqual({ do: 'record', replicas: [1, 2, 3].map(voter) });
    const done = shard({ recorded: [at(1, 1), at(2, 1), at(3, 5)] });
    expect(ask3(done)).toMatchObject({ do: 'end', outcome: 'done' });
  });

  it('wait for a majority of the others before anything is taken away', () => {
    const silent = shard({ recorded: old }, { 2: { active: false } });
    expect(ask3(silent)).toEqual({ do: 'wait', for: 'quorum' });
    expect(ask3(shard({ recorded: old }), { cancelling: true })).toMatchObject({ do: 'end', outcome: 'cancelled' });
    expect(ask3(shard({ recorded: [at(3, 2)], voters: [3], leader: 3 }))).toMatchObject({
      do: 'end',
      outcome: 'failed',
    });
  });

  it('hand leadership to a replica without an alarm first, whichever has it', () => {
    const own = shard({ recorded: old, leader: 3, suspects: new Set([3]) });
    expect(ask3(own)).toEqual({ do: 'transferLeader', to: 1 });
    const other = shard({ recorded: old, leader: 1, suspects: new Set([1, 3]) });
    expect(ask3(other)).toEqual({ do: 'transferLeader', to: 2 });
    const nobody = shard({ recorded: old, suspects: new Set([1, 2, 3]) });
    expect(ask3(nobody)).toEqual({ do: 'wait', for: 'quorum' });
  });

  it('go from two voters to one jointly', () => {
    const two = shard({ recorded: [at(1, 1), at(3, 2)], voters: [1, 3], wanted: 2 });
    expect(ask3(two)).toMatchObject({ do: 'change', change: { demote: [3], joint: true } });
  });

  it('are one record for a shard without a log, and a wait', () => {
    const eventual = { type: 'mst', leader: undefined } as const;
    expect(ask3(shard({ ...eventual, recorded: old }))).toMatchObject({ do: 'record', renew: 3 });
    const oneIsGood = shard({ ...eventual, recorded: old, suspects: new Set([2, 3]) });
    expect(ask3(oneIsGood)).toMatchObject({ do: 'record', renew: 3 });
    // Each may be all that there is of what the others lost.
    const allAreDamaged = shard({ ...eventual, recorded: old, suspects: new Set([1, 2, 3]) });
    expect(ask3(allAreDamaged)).toMatchObject({ do: 'wait', for: 'quorum' });
    expect(ask3(shard({ ...eventual, recorded: anew }))).toEqual({ do: 'wait', for: 'catch-up' });
    expect(ask3(shard({ ...eventual, recorded: anew }), { memory: caughtUp })).toMatchObject({
      do: 'record',
      replicas: expect.arrayContaining([voter(3)]) as unknown,
    });
  });
});
