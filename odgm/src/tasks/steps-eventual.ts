import type { PlacementReplica } from '../placement/index.ts';
import { isLive } from './membership.ts';
import { ended, type NamedStep, stopped, waitFor } from './outcomes.ts';
import type { ReplicaInput } from './steps-raft.ts';

/**
 * Replace, add or remove one replica of a shard whose replicas merge (mst, and basic with several). The meta group's
 * record is the membership: the new replica is recorded as a learner first, until it has what the others have; the
 * leaving one becomes a learner, which takes no more writes, until the others have what it has. One that does not
 * answer goes at once.
 */
export function eventualStep(input: ReplicaInput): NamedStep {
  const { move, shard, members, memory, limits, stopping } = input;
  const { from, to } = move;
  const voters = shard.recorded.filter(({ role }) => role === 'voter').map(({ member }) => member);
  const hasFrom = from !== undefined && shard.recorded.some(({ member }) => member === from);
  if (to === undefined || voters.includes(to)) {
    if (!hasFrom) return ended('done');
    if (to === undefined && stopping !== undefined) return stopped(stopping);
    const isVoter = voters.includes(from);
    if (isVoter && voters.length - 1 < shard.wanted) return ended('skipped', 'MembershipNotMatch');
    const others = voters.filter((member) => member !== from);
    if (!others.some((member) => isLive(shard, members, member))) return waitFor('quorum', 'QuorumAtRisk');
    const rest = without(input, from);
    if (!isLive(shard, members, from)) return record(rest, move.leaderTo);
    if (isVoter) return record([...rest, { member: from, role: 'learner' }], move.leaderTo);
    if ((shard.progress.get(from)?.lag ?? 0) > limits.maxLag) return waitFor('catch-up', 'Timeout');
    return record(rest, move.leaderTo);
  }
  const isLearner = shard.recorded.some(({ member }) => member === to);
  const back = (): NamedStep | undefined => (isLearner ? record(without(input, to)) : undefined);
  if (stopping !== undefined) return back() ?? stopped(stopping);
  if (from !== undefined && !hasFrom && voters.length >= shard.wanted) {
    return back() ?? ended('failed', 'MembershipNotMatch');
  }
  const target = members.get(to);
  if (target === undefined || target.state === 'down') return back() ?? ended('failed', 'NodeDown');
  if (target.state === 'suspect') return waitFor('member', 'NodeDown');
  if (!isLearner) {
    if ((target.freeBytes ?? Infinity) < shard.bytes) return ended('failed', 'Capacity');
    return record([...shard.recorded, { member: to, role: 'learner' }]);
  }
  if (memory.caughtUp < limits.caughtUpObservations) return waitFor('catch-up', 'Timeout');
  // Nobody could be asked just now: that says nothing about the one that is to leave.
  if (shard.leader === undefined && shard.progress.size === 0) return waitFor('leader', 'NoLeader');
  const others = without(input, to).filter(({ member }) => member !== from);
  const leaving: PlacementReplica[] =
    from !== undefined && hasFrom && isLive(shard, members, from) ? [{ member: from, role: 'learner' }] : [];
  return record([...others, { member: to, role: 'voter' }, ...leaving], move.leaderTo);
}

function without({ shard }: ReplicaInput, member: number): PlacementReplica[] {
  return shard.recorded.filter((replica) => replica.member !== member);
}

function record(replicas: readonly PlacementReplica[], preferredLeader?: number): NamedStep {
  const leader = replicas.some(({ member }) => member === preferredLeader) ? preferredLeader : undefined;
  return { step: { do: 'record', replicas, preferredLeader: leader }, name: 'record', giveUp: 'Timeout' };
}
