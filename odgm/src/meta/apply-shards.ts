import { hasLostMajority } from './alarms.ts';
import { forgetReplaced } from './apply-members.ts';
import type { ApplyResult, Command, Refusal } from './commands.ts';
import { accepted, refused } from './result.ts';
import type { ClusterRecord, MetaState, ShardRecord, ShardReplicaRecord } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

/** Gives shards their first places: all of them, or none. */
export function assignShards(state: MetaState, cluster: ClusterRecord, command: Of<'assignShards'>): ApplyResult {
  const assigned: { shard: ShardRecord; replicas: ShardReplicaRecord[]; leader: number | undefined }[] = [];
  const seen = new Set<number>();
  for (const { shard: id, replicas: members, leader } of command.assignments) {
    const shard = state.shards.get(id);
    if (shard === undefined) return refused('ShardUnknown', `there is no shard ${id}`);
    if (shard.replicas.length > 0 || seen.has(id)) return refused('AlreadyPlaced', `shard ${id} has a place`);
    seen.add(id);
    const replicas = members.map((member): ShardReplicaRecord => ({ member, role: 'voter', epoch: shard.epoch + 1 }));
    const problem = invalidReplicas(state, replicas, leader);
    if (problem !== undefined) return problem;
    assigned.push({ shard, replicas, leader });
  }
  const collections = new Set<string>();
  for (const { shard, replicas, leader } of assigned) {
    shard.replicas = replicas;
    shard.preferredLeader = leader;
    shard.epoch++;
    collections.add(shard.collection);
  }
  for (const name of collections) {
    const collection = state.collections.get(name);
    const isPlaced = collection?.shards.every((id) => (state.shards.get(id)?.replicas.length ?? 0) > 0) === true;
    if (collection !== undefined && isPlaced) collection.status = 'ready';
  }
  if (assigned.length > 0) cluster.epoch++;
  return accepted({ shards: [...seen] });
}

/** Records who holds a shard. The epoch must be the one that the change was decided on. */
export function updateShardReplicas(
  state: MetaState,
  cluster: ClusterRecord,
  command: Of<'updateShardReplicas'>,
): ApplyResult {
  const { shard: id, change, replicas, renew = [] } = command;
  const shard = state.shards.get(id);
  if (shard === undefined) return refused('ShardUnknown', `there is no shard ${id}`);
  const conflict = changeConflict(state, shard, change);
  if (conflict !== undefined) return conflict;
  if (shard.epoch !== command.expectedEpoch) {
    const epochs = `${shard.epoch}, not ${command.expectedEpoch}`;
    return refused('EpochConflict', `shard ${id} is at epoch ${epochs}`, shard.epoch);
  }
  const problem = invalidReplicas(state, replicas, command.preferredLeader);
  if (problem !== undefined) return problem;
  const staying = new Set(replicas.map(({ member }) => member));
  const leader = command.preferredLeader ?? shard.preferredLeader;
  const kept = shard.replicas.filter(({ member }) => !renew.includes(member));
  if (renew.length > 0 && kept.length === 0)
    return refused('Invalid', `shard ${id} has no other replica to make these from`);
  const before = new Map(kept.map((replica) => [replica.member, replica.epoch]));
  shard.replicas = replicas.map(({ member, role }) => ({ member, role, epoch: before.get(member) ?? shard.epoch + 1 }));
  shard.preferredLeader = leader !== undefined && staying.has(leader) ? leader : undefined;
  shard.epoch++;
  cluster.epoch++;
  // A replica that goes takes its alarm along. One that is made anew keeps it until a check found it good.
  const remaining = state.alarms.filter(
    ({ shard: other, member }) => other !== id || member === undefined || staying.has(member),
  );
  state.alarms.splice(0, Infinity, ...remaining);
  forgetReplaced(state);
  return accepted();
}

/** Refused for a shard that can still decide: what the others have would be lost for nothing. */
export function foundShard(state: MetaState, cluster: ClusterRecord, command: Of<'foundShard'>): ApplyResult {
  const { shard: id, expectedEpoch } = command;
  const shard = state.shards.get(id);
  if (shard === undefined) return refused('ShardUnknown', `there is no shard ${id}`);
  const conflict = changeConflict(state, shard, undefined);
  if (conflict !== undefined) return conflict;
  if (shard.epoch !== expectedEpoch) {
    return refused('EpochConflict', `shard ${id} is at epoch ${shard.epoch}, not ${expectedEpoch}`, shard.epoch);
  }
  if (state.collections.get(shard.collection)?.spec.durability !== 'ephemeral') {
    return refused('Invalid', `shard ${id} is durable: what it holds may still be on a disk`);
  }
  if (!hasLostMajority(state, shard)) return refused('Invalid', `shard ${id} has a majority that knows its content`);
  shard.epoch++;
  const { epoch } = shard;
  shard.replicas = shard.replicas
    .filter(({ role }) => role === 'voter')
    .map(({ member, role }): ShardReplicaRecord => ({ member, role, epoch }));
  cluster.epoch++;
  state.alarms.splice(0, Infinity, ...state.alarms.filter((alarm) => alarm.shard !== id));
  return accepted();
}

/** One change per shard at a time: only who began it may go on with it. */
function changeConflict(
  state: MetaState,
  shard: ShardRecord,
  change: Of<'updateShardReplicas'>['change'],
): Refusal | undefined {
  if (change === undefined) {
    if (shard.change === undefined) return undefined;
    return refused('ShardBusy', `task ${shard.change.task} is changing shard ${shard.id}`);
  }
  if (shard.change?.task !== change.task || shard.change.move !== change.move) {
    return refused('ShardBusy', `task ${change.task} has no change under way on shard ${shard.id}`);
  }
  if (state.tasks.get(change.task)?.claim?.term === change.term) return undefined;
  return refused('StaleCoordinator', `task ${change.task} is not claimed in term ${change.term}`);
}

function invalidReplicas(
  state: MetaState,
  replicas: readonly Omit<ShardReplicaRecord, 'epoch'>[],
  leader: number | undefined,
): Refusal | undefined {
  const members = new Set(replicas.map(({ member }) => member));
  const unknown = [...members].find((member) => !state.members.has(member));
  if (unknown !== undefined) return refused('MemberUnknown', `there is no member ${unknown}`);
  const hasVoter = replicas.some(({ role }) => role === 'voter');
  if (members.size === replicas.length && hasVoter && (leader === undefined || members.has(leader))) return undefined;
  return refused('Invalid', 'replicas are on different members, at least one votes, and the leader is one of them');
}
