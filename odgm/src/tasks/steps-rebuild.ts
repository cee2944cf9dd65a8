import type { PlacementReplica } from '../placement/index.ts';
import { hasQuorum, successor } from './membership.ts';
import { ended, type NamedStep, stopped, waitFor } from './outcomes.ts';
import { eventualStep } from './steps-eventual.ts';
import { addStep, change, closeJoint, recordEnd, type ReplicaInput, takeBack, transfer } from './steps-raft.ts';

/**
 * Makes the replica of one member anew where it is, because what it has is damaged or lost: out of the group, recorded
 * with the next epoch (so that the member removes what it has), and back in as a learner that gets everything from the
 * others. Nothing is taken away before a majority of the others answers.
 */
export function rebuildStep(input: ReplicaInput, member: number): NamedStep {
  const { shard, move } = input;
  const recorded = shard.recorded.find((replica) => replica.member === member);
  // Replicas that this move has made are newer than the move.
  const isNew = (recorded?.epoch ?? 0) > (move.epoch ?? 0);
  if (shard.type !== 'raft') return isNew ? eventualStep(joining(input)) : renewEventual(input, member);
  if (shard.votersOutgoing.length > 0) return closeJoint(input);
  if (shard.leader === undefined) return waitFor('leader', 'NoLeader');
  const handOver = fromSuspect(input, shard.leader);
  if (handOver !== undefined) return handOver;
  if (!isNew) return takeOut(input, member);
  if (shard.voters.includes(member)) return recordEnd(shard, ended('done'));
  if (input.stopping !== undefined) return takeBack(input, member, input.stopping);
  return addStep(joining(input), member);
}

/** The leader is where the new replica comes from: it must not be one with an alarm itself. */
function fromSuspect({ shard, members, limits, move }: ReplicaInput, leader: number): NamedStep | undefined {
  const { suspects } = shard;
  if (suspects?.has(leader) !== true) return undefined;
  const good = { ...shard, voters: shard.voters.filter((voter) => !suspects.has(voter)) };
  const next = successor(good, members, leader, move.leaderTo, limits.maxLag);
  return next === undefined ? waitFor('quorum', 'QuorumAtRisk') : transfer(next);
}

function takeOut(input: ReplicaInput, member: number): NamedStep {
  const { shard, members, limits, move, stopping } = input;
  const others = shard.voters.filter((voter) => voter !== member);
  if (others.length === 0) return ended('failed', 'QuorumAtRisk');
  if (shard.voters.includes(member)) {
    if (stopping !== undefined) return stopped(stopping);
    const state = members.get(member)?.state;
    if (state === 'suspect') return waitFor('member', 'NodeDown');
    if (state !== 'up') return ended('failed', 'NodeDown');
    if (!hasQuorum(shard, members, others)) return waitFor('quorum', 'QuorumAtRisk');
    if (shard.leader === member) {
      const next = successor(shard, members, member, move.leaderTo, limits.maxLag);
      return next === undefined ? waitFor('quorum', 'QuorumAtRisk') : transfer(next);
    }
    // From two voters to one only jointly: else the one that goes may be needed to commit its going (tikv/pd#4411).
    return shard.voters.length === 2
      ? change('demote', { demote: [member], joint: true })
      : change('take-out', { remove: [member] });
  }
  if (shard.learners.includes(member)) return change('take-out', { remove: [member] });
  if (stopping !== undefined) return recordEnd(shard, stopped(stopping));
  return renew(input, member);
}

function renewEventual(input: ReplicaInput, member: number): NamedStep {
  const { shard, members, stopping } = input;
  if (stopping !== undefined) return stopped(stopping);
  // What is damaged here may be all that there is of what is damaged there.
  const sources = shard.recorded.filter(
    (replica) => replica.member !== member && replica.role === 'voter' && shard.suspects?.has(replica.member) !== true,
  );
  if (!sources.some((source) => members.get(source.member)?.state === 'up')) return waitFor('quorum', 'QuorumAtRisk');
  return renew(input, member);
}

function renew({ shard }: ReplicaInput, member: number): NamedStep {
  const others = shard.recorded.filter((replica) => replica.member !== member);
  const replicas: PlacementReplica[] = [
    ...others.map(({ member: other, role }) => ({ member: other, role })),
    { member, role: 'learner' },
  ];
  return { step: { do: 'record', replicas, renew: member }, name: 'renew', giveUp: 'Timeout' };
}

/** As if the replica came from nowhere. */
function joining(input: ReplicaInput): ReplicaInput {
  return { ...input, move: { ...input.move, from: undefined } };
}
