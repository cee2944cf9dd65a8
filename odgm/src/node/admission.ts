import { type OaasError, oaasError } from '@oaas/commons/errors';
import type { peer } from '@oaas/proto';
import type { ClusterRecord, JoiningMember, MemberRecord, MetaGroup, MetaState } from '../meta/index.ts';
import { peerMembers } from './own-report.ts';

/**
 * Takes a node into the cluster, or notes where a member is now; says who the members are. That a member which is down is
 * there again, its link with the leader says: what asks again and again from where the leader hears nothing of it would be
 * noted as up and as down in turn.
 *
 * Throws `FailedPrecondition` for a member that was removed, `Unavailable` when this node does not hear of the cluster.
 */
export async function admit(
  meta: MetaGroup,
  cluster: ClusterRecord,
  request: peer.JoinRequest,
): Promise<peer.JoinResponse> {
  const { nodeId: id, address, admin, zone, incarnation, replaces } = request;
  const member: JoiningMember = {
    ...{ id, address, admin, zone, incarnation },
    commandVersion: Math.max(1, request.commandVersion),
    capacityBytes: request.capacityBytes === 0 ? undefined : request.capacityBytes,
  };
  const wasMember = request.clusterUid === cluster.id;
  let record = recordOf(meta.state, member);
  if (wasMember && (record === undefined || saysNothingNew(record, member, cluster))) {
    // What this one has applied may be from before.
    await meta.catchUp();
    record = recordOf(meta.state, member);
    if (record === undefined) {
      throw oaasError('FailedPrecondition', `member ${id} was removed from the cluster`, {
        remedy: 'Start it with an empty data directory: it joins as a new member.',
        details: { member: id, removed: true },
      });
    }
    if (saysNothingNew(record, member, cluster)) {
      return { clusterUid: cluster.id, member: record.number, members: peerMembers(meta.state) };
    }
  }
  const clusterId = request.clusterUid === '' ? cluster.id : request.clusterUid;
  const { id: number = 0 } = await meta.propose({ type: 'joinMember', clusterId, replaces, member });
  return { clusterUid: cluster.id, member: number, members: peerMembers(meta.state) };
}

/** What {@link admit} says of a member that was removed: nothing that it has counts any more. */
export function isRemoval(error: OaasError): boolean {
  return error.code === 'FailedPrecondition' && error.details?.['removed'] === true;
}

/** Whether the record says of the member what it says of itself, but for its state. */
export function isRecordedAs(record: MemberRecord, member: JoiningMember): boolean {
  return (
    record.address === member.address &&
    record.admin === member.admin &&
    record.zone === member.zone &&
    record.capacityBytes === member.capacityBytes &&
    record.commandVersion === member.commandVersion
  );
}

/** Of a member that is down, and may be told so: one of an older version than the cluster's now is to be refused. */
function saysNothingNew(record: MemberRecord, member: JoiningMember, cluster: ClusterRecord): boolean {
  return (
    record.state === 'down' &&
    record.replacedBy === undefined &&
    member.commandVersion >= cluster.commandVersion &&
    isRecordedAs(record, member)
  );
}

function recordOf({ members }: MetaState, { id, incarnation }: JoiningMember): MemberRecord | undefined {
  return [...members.values()].find((one) => one.id === id && one.incarnation === incarnation);
}
