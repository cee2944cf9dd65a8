import type { Alarm, MetaState, ShardRecord, ShardReplicaRecord } from './types.ts';

/** The alarm on a member's present replica: it must not serve. One that was made anew since is not meant. */
export function alarmOf({ alarms }: MetaState, { id, replicas }: ShardRecord, member: number): Alarm | undefined {
  const replica = replicas.find((one) => one.member === member);
  if (replica === undefined) return undefined;
  return alarms.find((alarm) => alarm.shard === id && alarm.member === member && (alarm.epoch ?? 0) >= replica.epoch);
}

/**
 * Whether the voters of a shard that have no alarm are a majority. If they are, those with one need not vote any more;
 * else they must, or nothing could be changed any more, the repair included. Of replicas that merge one is enough.
 */
export function canDoWithout(state: MetaState, shard: ShardRecord): boolean {
  const voters = shard.replicas.filter(({ role }) => role === 'voter');
  const well = voters.filter(({ member }) => alarmOf(state, shard, member) === undefined);
  return shard.merges ? well.length > 0 : well.length * 2 > voters.length;
}

/**
 * So many voters have lost what they had that the others are no majority: the shard can never decide again. Where
 * replicas merge: all have.
 */
export function hasLostMajority(state: MetaState, shard: ShardRecord): boolean {
  const voters = shard.replicas.filter(({ role }) => role === 'voter');
  const lost = voters.filter(({ member }) => alarmOf(state, shard, member)?.kind === 'lost-replica');
  if (shard.merges) return lost.length > 0 && lost.length === voters.length;
  return lost.length > 0 && (voters.length - lost.length) * 2 <= voters.length;
}

/** Replicas that began together, as the first ones of the shard: they found its group. */
export function isFounder({ epoch, replicas }: ShardRecord): boolean {
  return replicas.every((replica) => replica.epoch === epoch && replica.role === 'voter');
}

/**
 * Whether a replica is one of the shard's first, whatever has changed since: the others are newer than it is. Where replicas
 * merge it begins on its own, empty, however late it opens; if it waited for what others have, first ones that all open
 * late, such as after a change of the shard's replicas, would wait for each other for ever.
 */
export function isFirst(
  { replicas }: { readonly replicas: readonly Pick<ShardReplicaRecord, 'epoch'>[] },
  { role, epoch }: Pick<ShardReplicaRecord, 'role' | 'epoch'>,
): boolean {
  return role === 'voter' && replicas.every((other) => epoch <= other.epoch);
}

/** The alarm that freezes the shard's writes. */
export function freezeOf({ alarms }: MetaState, shard: number): Alarm | undefined {
  return alarms.find((alarm) => alarm.shard === shard && alarm.member === undefined);
}
