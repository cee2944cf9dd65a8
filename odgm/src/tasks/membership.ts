import type { ObservedMember, ObservedShard } from './types.ts';

export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Whether the member answers: known to the cluster as such, and heard by the shard's leader. */
export function isLive(shard: ObservedShard, members: ReadonlyMap<number, ObservedMember>, member: number): boolean {
  const state = members.get(member)?.state;
  if (state === undefined || state === 'suspect' || state === 'down') return false;
  return member === shard.leader || shard.progress.get(member)?.active === true;
}

/** Whether a majority of these voters answers. */
export function hasQuorum(
  shard: ObservedShard,
  members: ReadonlyMap<number, ObservedMember>,
  voters: readonly number[],
): boolean {
  return voters.filter((member) => isLive(shard, members, member)).length >= quorumOf(voters.length);
}

/** Whether the member can take leadership over at once: never one that needs a snapshot. */
export function canLead(
  shard: ObservedShard,
  members: ReadonlyMap<number, ObservedMember>,
  member: number,
  maxLag: number,
): boolean {
  const progress = shard.progress.get(member);
  if (progress === undefined || progress.needsSnapshot || progress.lag > maxLag) return false;
  return shard.voters.includes(member) && members.get(member)?.state === 'up' && isLive(shard, members, member);
}

/** Who takes over from a leader that goes: the wanted one if it can, else the voter that lacks least. */
export function successor(
  shard: ObservedShard,
  members: ReadonlyMap<number, ObservedMember>,
  leaving: number,
  wanted: number | undefined,
  maxLag: number,
): number | undefined {
  const able = shard.voters.filter((member) => member !== leaving && canLead(shard, members, member, maxLag));
  if (wanted !== undefined && able.includes(wanted)) return wanted;
  const lagOf = (member: number): number => shard.progress.get(member)?.lag ?? 0;
  return able.sort((a, b) => lagOf(a) - lagOf(b) || a - b)[0];
}
