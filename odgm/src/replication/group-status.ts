import type { ProgressView, RawNode } from '../raft/index.ts';
import type { GroupLog } from '../storage/index.ts';
import type { AppliedState } from './applied-state.ts';
import type { GroupStatus, PeerProgress } from './types.ts';

/** What operators see of a replica. `own`: what only the group itself knows. */
export function groupStatus(
  node: RawNode,
  log: GroupLog,
  { epoch, index, membership }: AppliedState,
  own: Pick<GroupStatus, 'group' | 'state' | 'quiet' | 'problem'>,
): GroupStatus {
  const isLeader = own.state === 'running' && node.role === 'leader';
  return {
    ...own,
    epoch,
    role: membership.isLearner(node.id) ? 'learner' : node.role,
    term: node.term,
    leader: node.lead,
    commit: node.commit,
    applied: index,
    firstIndex: log.firstIndex,
    lastIndex: node.lastIndex,
    logBytes: log.bytes,
    confState: membership.confState,
    progress: isLeader ? progressOf(node, membership.confState) : [],
  };
}

function progressOf(node: RawNode, { voters, votersOutgoing }: GroupStatus['confState']): PeerProgress[] {
  const last = node.lastIndex;
  const roleOf = ({ id, learner }: ProgressView): PeerProgress['role'] => {
    if (learner) return 'learner';
    return voters.includes(id) || !votersOutgoing.includes(id) ? 'voter' : 'outgoing';
  };
  return node.status().progress.map((view) => ({
    member: view.id,
    role: roleOf(view),
    match: view.match,
    next: view.next,
    state: view.id === node.id ? 'leader' : view.state,
    lag: Math.max(0, last - view.match),
    recentActive: view.id === node.id || view.recentActive,
    pendingSnapshot: view.pendingSnapshot,
  }));
}
