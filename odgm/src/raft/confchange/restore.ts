import { emptyConfiguration } from '../tracker/index.ts';
import { type ConfChangeSingle, ConfChangeType, type ConfState } from '../types.ts';
import { type ChangeResult, enterJoint, type Membership, type NewMember, simpleChange } from './changer.ts';

/**
 * The membership that `state` describes, with fresh progress for everyone. Built by the same changes that a log would have made, one voter
 * at a time and then into the joint configuration, so that every rule is checked on the way.
 */
export function restoreMembership(state: ConfState, newMember: NewMember): ChangeResult {
  const { ConfChangeAddNode, ConfChangeRemoveNode, ConfChangeAddLearnerNode } = ConfChangeType;
  const each = (ids: readonly number[], type: ConfChangeType) =>
    ids.map((nodeId): ConfChangeSingle => ({ type, nodeId }));
  const incoming = [
    ...each(state.votersOutgoing, ConfChangeRemoveNode),
    ...each(state.voters, ConfChangeAddNode),
    ...each(state.learners, ConfChangeAddLearnerNode),
    ...each(state.learnersNext, ConfChangeAddLearnerNode),
  ];
  const joint = state.votersOutgoing.length > 0;

  let membership: Membership = { config: emptyConfiguration, members: new Map() };
  for (const change of joint ? each(state.votersOutgoing, ConfChangeAddNode) : incoming) {
    const result = simpleChange(membership, [change], newMember);
    if (!result.ok) return result;
    membership = result;
  }
  const result = joint
    ? enterJoint(membership, state.autoLeave, incoming, newMember)
    : ({ ok: true, ...membership } as const);
  if (!result.ok || same(result.config, state)) return result;
  return { ok: false, reason: 'the configuration contradicts itself' };
}

/** Whatever the order in which ids are listed. */
function same(left: ConfState, right: ConfState): boolean {
  const text = (state: ConfState) =>
    [state.voters, state.learners, state.votersOutgoing, state.learnersNext]
      .map((ids) => [...ids].sort((a, b) => a - b).join(' '))
      .join('|');
  return text(left) === text(right) && left.autoLeave === right.autoLeave;
}
