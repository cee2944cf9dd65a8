import type { StopReason } from '../meta/index.ts';
import { canLead } from './membership.ts';
import { ended, type NamedStep, stopped, waitFor } from './outcomes.ts';
import { eventualStep } from './steps-eventual.ts';
import { raftStep } from './steps-raft.ts';
import { rebuildStep } from './steps-rebuild.ts';
import type { MoveMemory, ObservedShard, Step, StepInput, StepLimits } from './types.ts';

export const defaultStepLimits: StepLimits = {
  maxLag: 64,
  caughtUpObservations: 3,
  fastStepMs: 60_000,
  slowStepMs: 600_000,
  minBytesPerSecond: 1024 * 1024,
};

export function newMemory(now: number): MoveMemory {
  return { caughtUp: 0, step: '', stepAt: now, received: 0, leastLag: Infinity, stopping: undefined };
}

/**
 * What to do next for a move, from what is really the case: so it does not matter who did the steps before, or whether
 * they were done twice. The caller carries the step out, observes, and asks again with the returned memory.
 *
 * Never asks for a change that leaves less than a majority of voters that answer. A move that is cancelled or does not
 * get on is taken back while the new replica only learns, and finished after that.
 */
export function nextStep(input: StepInput): {
  readonly step: Step;
  readonly name: string;
  readonly memory: MoveMemory;
} {
  const { now, limits } = input;
  const memory = observe(input);
  const stopping = memory.stopping ?? (input.cancelling ? 'Cancelled' : undefined);
  const named = decide(input, memory, stopping);
  const isSame = named.name === memory.step;
  const stepAt = isSame ? memory.stepAt : now;
  const kept = { ...memory, step: named.name, stepAt };
  const bytes = input.shard?.bytes ?? 0;
  const isSlow = named.step.do === 'wait' && named.step.for === 'catch-up';
  const bound = isSlow ? limits.slowStepMs + (bytes / limits.minBytesPerSecond) * 1000 : limits.fastStepMs;
  if (named.giveUp === undefined || now - stepAt <= bound) return { ...named, memory: kept };
  // Taking back did not get on either: what is left is a learner, which the next plan removes.
  if (stopping !== undefined) return { ...stopped(stopping), memory: kept };
  const giving: MoveMemory = { ...kept, stopping: named.giveUp };
  const back = decide(input, giving, named.giveUp);
  return { ...back, memory: { ...giving, step: back.name, stepAt: now } };
}

/** Counts observations with the new replica caught up, and sees whether more has arrived. */
function observe({ move, shard, memory, now, limits }: StepInput): MoveMemory {
  const progress = move.to === undefined ? undefined : shard?.progress.get(move.to);
  if (progress === undefined) return memory;
  const isCaughtUp = progress.active && !progress.needsSnapshot && progress.lag <= limits.maxLag;
  const caughtUp = isCaughtUp ? memory.caughtUp + 1 : 0;
  const received = Math.max(memory.received, progress.received);
  const leastLag = progress.needsSnapshot ? memory.leastLag : Math.min(memory.leastLag, progress.lag);
  const isProgress = received > memory.received || leastLag < memory.leastLag;
  return { ...memory, caughtUp, received, leastLag, stepAt: isProgress ? now : memory.stepAt };
}

function decide(input: StepInput, memory: MoveMemory, stopping: StopReason | undefined): NamedStep {
  const { shard, move } = input;
  if (shard === undefined) return ended('skipped', 'ShardGone');
  if (!shard.isOurs) return ended('failed', 'EpochNotMatch');
  if (move.kind === 'leader') return leaderStep(input, shard, stopping);
  if (move.to !== undefined && move.from === move.to)
    return rebuildStep({ ...input, shard, memory, stopping }, move.to);
  return shard.type === 'raft'
    ? raftStep({ ...input, shard, memory, stopping })
    : eventualStep({ ...input, shard, memory, stopping });
}

function leaderStep(
  { move, members, limits }: StepInput,
  shard: ObservedShard,
  stopping: StopReason | undefined,
): NamedStep {
  const { to } = move;
  if (shard.votersOutgoing.length > 0) return { step: { do: 'leaveJoint' }, name: 'leave-joint' };
  if (to === undefined || !shard.voters.includes(to)) return ended('skipped', 'MembershipNotMatch');
  if (shard.type !== 'raft' || shard.leader === to) {
    if (shard.preferredLeader === to) return ended('done');
    const record: Step = { do: 'record', replicas: shard.recorded, preferredLeader: to };
    return { step: record, name: 'record', giveUp: 'Timeout' };
  }
  if (stopping !== undefined) return stopped(stopping);
  if (shard.leader === undefined) return waitFor('leader', 'NoLeader');
  if (members.get(to)?.state === 'down') return ended('failed', 'NodeDown');
  if (!canLead(shard, members, to, limits.maxLag)) {
    return { step: { do: 'wait', for: 'quorum' }, name: 'follower-behind', giveUp: 'QuorumAtRisk' };
  }
  return { step: { do: 'transferLeader', to }, name: 'transfer', giveUp: 'Timeout' };
}
