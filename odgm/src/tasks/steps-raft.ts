import type { StopReason } from '../meta/index.ts';
import type { PlacementReplica } from '../placement/index.ts';
import { hasQuorum, successor } from './membership.ts';
import { ended, type NamedStep, stopped, waitFor } from './outcomes.ts';
import type { MoveMemory, ObservedShard, RaftChange, Step, StepInput } from './types.ts';

export interface ReplicaInput extends StepInput {
  readonly shard: ObservedShard;
  readonly memory: MoveMemory;
  readonly stopping: StopReason | undefined;
}

/**
 * Replace, add or remove one replica of a raft shard: record the learner, add it, let it catch up, make it a voter and
 * the leaving one a learner in one joint change, remove that one, record the end.
 *
 * Leadership of the leaving replica goes to an old voter before the change if one can take it, else to the new voter
 * within the joint configuration.
 */
export function raftStep(input: ReplicaInput): NamedStep {
  const { move, shard, stopping } = input;
  const { from, to } = move;
  if (shard.votersOutgoing.length > 0) return closeJoint(input);
  if (shard.leader === undefined) return waitFor('leader', 'NoLeader');
  const hasArrived = to === undefined || shard.voters.includes(to);
  if (hasArrived) {
    if (to === undefined && stopping !== undefined && from !== undefined && shard.voters.includes(from)) {
      return stopped(stopping);
    }
    return removeStep(input);
  }
  if (stopping !== undefined) return takeBack(input, to, stopping);
  const isLeavingThere = from === undefined || shard.voters.includes(from);
  // Somebody else removed what was to be replaced: go on only where a replica is missing.
  if (!isLeavingThere && shard.voters.length >= shard.wanted) return takeBack(input, to, 'MembershipNotMatch');
  return addStep(input, to);
}

/** Every joint configuration is left again, whatever became of the move. */
export function closeJoint(input: ReplicaInput): NamedStep {
  const { shard, move, members, limits } = input;
  const { leader } = shard;
  if (leader === undefined) return { step: { do: 'wait', for: 'leader' }, name: 'joint-leader' };
  if (!shard.voters.includes(leader)) {
    const next = successor(shard, members, leader, move.leaderTo ?? move.to, limits.maxLag);
    if (next !== undefined) return { step: { do: 'transferLeader', to: next }, name: 'joint-transfer' };
    return { step: { do: 'wait', for: 'quorum' }, name: 'joint-quorum' };
  }
  return { step: { do: 'leaveJoint' }, name: 'leave-joint' };
}

export function addStep(input: ReplicaInput, to: number): NamedStep {
  const { shard, members, memory, limits } = input;
  const target = members.get(to);
  if (target === undefined || target.state === 'down') return takeBack(input, to, 'NodeDown');
  if (target.state === 'suspect') return waitFor('member', 'NodeDown');
  if (!hasQuorum(shard, members, shard.voters)) return waitFor('quorum', 'QuorumAtRisk');
  if (!isRecorded(shard, to)) {
    if ((target.freeBytes ?? Infinity) < shard.bytes) return ended('failed', 'Capacity');
    return record([...shard.recorded, { member: to, role: 'learner' }]);
  }
  if (!shard.learners.includes(to)) return change('add-learner', { addLearners: [to] });
  if (memory.caughtUp < limits.caughtUpObservations) return waitFor('catch-up', 'Timeout');
  return promoteStep(input, to);
}

function promoteStep(input: ReplicaInput, to: number): NamedStep {
  const { shard, move, members, limits } = input;
  const { from } = move;
  const leaving = from !== undefined && shard.voters.includes(from) ? from : undefined;
  // The new voter answers, and a majority of the old ones does: so does a majority of the new ones.
  if (leaving === undefined) return change('promote', { promote: [to] });
  if (shard.leader === leaving && move.leaderTo !== to) {
    const next = successor(shard, members, leaving, move.leaderTo, limits.maxLag);
    if (next !== undefined) return transfer(next);
  }
  return change('replace', { promote: [to], demote: [leaving], joint: true });
}

/** The new voter is in, or there is none: what leaves, leaves. */
function removeStep(input: ReplicaInput): NamedStep {
  const { shard, move, members, limits } = input;
  const { from } = move;
  if (from !== undefined && shard.voters.includes(from)) {
    const voters = shard.voters.filter((member) => member !== from);
    if (voters.length < shard.wanted) return recordEnd(shard, ended('skipped', 'MembershipNotMatch'));
    if (!hasQuorum(shard, members, voters)) return waitFor('quorum', 'QuorumAtRisk');
    if (shard.leader === from) {
      const next = successor(shard, members, from, move.leaderTo, limits.maxLag);
      return next === undefined ? waitFor('quorum', 'QuorumAtRisk') : transfer(next);
    }
    // From two voters to one only jointly: else the one that goes may be needed to commit its going (tikv/pd#4411).
    return shard.voters.length === 2
      ? change('demote', { demote: [from], joint: true })
      : change('remove', { remove: [from] });
  }
  if (from !== undefined && shard.learners.includes(from)) return change('remove', { remove: [from] });
  const leader = shard.voters.find((member) => member === move.leaderTo);
  return recordEnd(shard, ended('done'), leader);
}

/** While the new replica only learns, the move can still be undone. */
export function takeBack(input: ReplicaInput, to: number, reason: StopReason): NamedStep {
  const { shard } = input;
  if (shard.learners.includes(to)) return change('take-back', { remove: [to] });
  return recordEnd(shard, stopped(reason));
}

/** Makes the record say what is the case, then ends. */
export function recordEnd(shard: ObservedShard, end: NamedStep, preferredLeader?: number): NamedStep {
  const real: PlacementReplica[] = [
    ...shard.voters.map((member): PlacementReplica => ({ member, role: 'voter' })),
    ...shard.learners.map((member): PlacementReplica => ({ member, role: 'learner' })),
  ];
  const roles = new Map(shard.recorded.map(({ member, role }) => [member, role]));
  const isSame = real.length === roles.size && real.every(({ member, role }) => roles.get(member) === role);
  return isSame ? end : record(real, preferredLeader);
}

function isRecorded(shard: ObservedShard, member: number): boolean {
  return shard.recorded.some((replica) => replica.member === member);
}

function record(replicas: readonly PlacementReplica[], preferredLeader?: number): NamedStep {
  const step: Step = { do: 'record', replicas, preferredLeader };
  return { step, name: 'record', giveUp: 'Timeout' };
}

export function transfer(to: number): NamedStep {
  return { step: { do: 'transferLeader', to }, name: 'transfer', giveUp: 'Timeout' };
}

export function change(name: string, rest: Partial<RaftChange>): NamedStep {
  const whole: RaftChange = { addLearners: [], promote: [], demote: [], remove: [], joint: false, ...rest };
  return { step: { do: 'change', change: whole }, name, giveUp: 'Timeout' };
}
