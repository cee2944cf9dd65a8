import {
  type ApplyResult,
  type Command,
  type JoiningMember,
  namesReplaced,
  remembersDrains,
  removesVoters,
} from './commands.ts';
import { accepted, refused, unchanged } from './result.ts';
import { metaCollection, metaShard } from './state.ts';
import type { ClusterRecord, MemberRecord, MetaState } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

/** Members of one cluster, those included whose replicas still wait to be moved. */
const maxMembers = 1000;

export function bootstrap(state: MetaState, command: Of<'bootstrap'>): ApplyResult {
  if (state.cluster !== undefined) {
    return state.cluster.id === command.clusterId
      ? unchanged()
      : refused('AlreadyBootstrapped', `this is cluster ${state.cluster.id}`);
  }
  const { members } = command;
  const ids = new Set(members.map(({ id }) => id));
  if (members.length === 0 || members.length > maxMembers || ids.size !== members.length || command.clusterId === '') {
    return refused('Invalid', 'bootstrap needs a cluster id and members with different ids');
  }
  state.cluster = { id: command.clusterId, createdAt: command.at, epoch: 1, commandVersion: 1 };
  Object.assign(state.settings, { metaReplicas: members.length >= 5 ? 5 : 3 }, command.settings);
  for (const member of members) addMember(state, member, command.at);
  state.shards.set(metaShard, {
    id: metaShard,
    collection: metaCollection,
    partition: 0,
    type: 'raft',
    merges: false,
    wanted: members.length,
    replicas: [...state.members.keys()].map((number) => ({ member: number, role: 'voter', epoch: 1 })),
    epoch: 1,
  });
  refreshCluster(state, state.cluster);
  return accepted();
}

/**
 * A member says that it is there. The same data directory (incarnation) keeps its number and updates what it says of
 * itself; an empty one gets a new number, and the old number is down for good.
 */
export function joinMember(state: MetaState, cluster: ClusterRecord, command: Of<'joinMember'>): ApplyResult {
  const { member } = command;
  if (command.clusterId !== cluster.id) {
    return refused(
      'OtherCluster',
      `member ${member.id} belongs to cluster ${command.clusterId}, this is ${cluster.id}`,
    );
  }
  if (member.commandVersion < cluster.commandVersion) {
    const versions = `${member.commandVersion}, the cluster is at ${cluster.commandVersion}`;
    return refused('UnsupportedCommand', `member ${member.id} knows command version ${versions}`);
  }
  const sameId = [...state.members.values()].filter(({ id }) => id === member.id);
  const same = sameId.find(({ incarnation }) => incarnation === member.incarnation);
  if (same?.replacedBy !== undefined) {
    return refused('MemberReplaced', `member ${member.id} came back with another data directory meanwhile`);
  }
  if (same !== undefined) return updateMember(state, cluster, same, command);
  // Which disks a node had when is known to nobody: one that came after all others may be the first to be asked for.
  const present = sameId.find(({ replacedBy }) => replacedBy === undefined)?.number ?? 0;
  const { replaces = present } = command;
  if (cluster.commandVersion >= namesReplaced && replaces !== present) {
    return refused('MemberChanged', `member ${member.id} has number ${present} now, not ${replaces}`);
  }
  if (state.members.size >= maxMembers) return refused('TooMany', `a cluster has at most ${maxMembers} members`);
  const number = addMember(state, member, command.at);
  for (const old of sameId) {
    if (old.replacedBy !== undefined) continue;
    old.replacedBy = number;
    if (old.state !== 'down') old.stateSince = command.at;
    old.state = 'down';
  }
  forgetReplaced(state);
  refreshCluster(state, cluster);
  return accepted({ id: number });
}

function addMember(state: MetaState, member: JoiningMember, at: number): number {
  const number = state.next.member++;
  state.members.set(number, { ...member, number, state: 'up', joinedAt: at, stateSince: at });
  return number;
}

function updateMember(
  state: MetaState,
  cluster: ClusterRecord,
  record: MemberRecord,
  { member, at }: Of<'joinMember'>,
): ApplyResult {
  const { address, admin, zone, capacityBytes, commandVersion } = member;
  const isSame =
    record.address === address &&
    record.admin === admin &&
    record.zone === zone &&
    record.capacityBytes === capacityBytes &&
    record.commandVersion === commandVersion &&
    record.state !== 'down';
  if (isSame) return unchanged({ id: record.number });
  Object.assign(record, { address, admin, zone, capacityBytes, commandVersion });
  if (record.state === 'down') comeBack(record, at);
  refreshCluster(state, cluster);
  return accepted({ id: record.number });
}

/** A member that was drained before is drained on. */
function comeBack(record: MemberRecord, at: number): void {
  Object.assign(record, { state: record.drains === true ? 'draining' : 'up', stateSince: at });
}

/**
 * `up` for a member that is down says that it is there again: one that was drained is draining then. For one that drains
 * it says that it is not to be drained any more.
 */
export function setMemberState(state: MetaState, cluster: ClusterRecord, command: Of<'setMemberState'>): ApplyResult {
  const record = state.members.get(command.member);
  if (record === undefined) return refused('MemberUnknown', `there is no member ${command.member}`);
  if (record.state === command.state) return unchanged({ id: record.number });
  if (record.replacedBy !== undefined) return refused('MemberReplaced', `member ${command.member} never comes back`);
  if (record.state === 'down' && command.state === 'up') {
    comeBack(record, command.at);
  } else {
    record.state = command.state;
    record.stateSince = command.at;
    if (command.state === 'up') delete record.drains;
    if (command.state === 'draining' && cluster.commandVersion >= remembersDrains) record.drains = true;
  }
  cluster.epoch++;
  return accepted({ id: record.number });
}

/** Takes a drain back, also while the member is down. */
export function stopDraining(state: MetaState, cluster: ClusterRecord, member: number, at: number): void {
  const record = state.members.get(member);
  if (record?.state === 'draining') setMemberState(state, cluster, { type: 'setMemberState', member, state: 'up', at });
  else delete record?.drains;
}

export function removeMember(state: MetaState, cluster: ClusterRecord, command: Of<'removeMember'>): ApplyResult {
  const record = state.members.get(command.member);
  if (record === undefined) return refused('MemberUnknown', `there is no member ${command.member}`);
  const losesVote = cluster.commandVersion >= removesVoters;
  if (losesVote && record.state !== 'down') {
    return refused('MemberUp', `member ${record.id} is ${record.state}: only one that is down can be removed`);
  }
  if (holdsReplicas(state, command.member, losesVote)) {
    return refused('MemberHoldsReplicas', `member ${command.member} still holds replicas: drain it first`);
  }
  const meta = state.shards.get(metaShard);
  const voters = meta?.replicas.filter((replica) => replica.member !== command.member) ?? [];
  if (voters.length === 0)
    return refused('MemberHoldsReplicas', `member ${record.id} is the last one of the meta group`);
  if (meta !== undefined && voters.length < meta.replicas.length)
    Object.assign(meta, { replicas: voters, epoch: meta.epoch + 1 });
  state.members.delete(command.member);
  refreshCluster(state, cluster);
  return accepted();
}

/** Members that an empty disk replaced go from the list with their last replica. */
export function forgetReplaced(state: MetaState): void {
  for (const { number, replacedBy } of state.members.values()) {
    if (replacedBy !== undefined && !holdsReplicas(state, number)) state.members.delete(number);
  }
}

/** `exceptVote`: that in the meta group is none that it has to be relieved of first: the group does without it. */
function holdsReplicas(state: MetaState, member: number, exceptVote = false): boolean {
  for (const { id, replicas } of state.shards.values()) {
    if (exceptVote && id === metaShard) continue;
    if (replicas.some((replica) => replica.member === member)) return true;
  }
  return false;
}

/** What follows from the list of members: the agreed command version and the size of the meta group. */
export function refreshCluster(state: MetaState, cluster: ClusterRecord): void {
  const living = [...state.members.values()].filter(({ replacedBy }) => replacedBy === undefined);
  cluster.commandVersion = Math.max(cluster.commandVersion, Math.min(...living.map((one) => one.commandVersion)));
  const meta = state.shards.get(metaShard);
  // An even number of voters survives no more than the odd one below it.
  const most = Math.min(state.settings.metaReplicas, living.length);
  if (meta !== undefined) meta.wanted = Math.max(1, most - (most % 2 === 0 ? 1 : 0));
  cluster.epoch++;
}
