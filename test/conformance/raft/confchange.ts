// Cases of kind confchange: changes of a group's members, one after the other.
import {
  type ConfChangeSingle,
  ConfChangeType,
  describeConfiguration,
  describeMembers,
  emptyConfiguration,
  enterJoint,
  leaveJoint,
  type Membership,
  simpleChange,
} from '@oaas/odgm/raft';
import { CaseError, type Directive, truth } from './reader.ts';
import type { Replay } from './replay.ts';

export function replayConfChange(): Replay {
  let membership: Membership = { config: emptyConfiguration, members: new Map() };
  let lastIndex = 0;

  return (directive) => {
    const newMember = { lastIndex: lastIndex++, maxInflightMsgs: 10, maxInflightBytes: Infinity };
    const changes = parseChanges(directive.input);
    if (typeof changes === 'string') return changes;
    switch (directive.command) {
      case 'simple':
        return show(simpleChange(membership, changes, newMember));
      case 'enter-joint':
        return show(enterJoint(membership, autoLeaveOf(directive), changes, newMember));
      case 'leave-joint':
        return changes.length > 0 ? 'this command takes no input' : show(leaveJoint(membership, newMember));
      default:
        throw new CaseError(`unknown command: ${directive.command}`);
    }
  };

  function show(result: ReturnType<typeof leaveJoint>): string {
    if (!result.ok) return result.reason;
    membership = result;
    const members = [...result.members.values()].sort((a, b) => a.id - b.id).map((progress) => progress.view());
    return `${describeConfiguration(result.config)}\n${describeMembers(members)}`;
  }
}

function autoLeaveOf({ args }: Directive): boolean {
  const [first] = args;
  if (first === undefined) return false;
  if (first.key !== 'autoleave') throw new CaseError(`unknown argument: ${first.key}`);
  return truth(first.values[0] ?? '');
}

const letters: Readonly<Record<string, ConfChangeType>> = {
  v: ConfChangeType.ConfChangeAddNode,
  l: ConfChangeType.ConfChangeAddLearnerNode,
  r: ConfChangeType.ConfChangeRemoveNode,
  u: ConfChangeType.ConfChangeUpdateNode,
};

/** `v1 l2 r3 u4`: make 1 a voter, 2 a learner, remove 3, update 4. A string says what is wrong. */
export function parseChanges(input: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = [];
  for (const token of input.trim().split(' ')) {
    if (token === '' && changes.length === 0) continue;
    if (token.length < 2) return `unknown token ${token}`;
    const type = letters[token[0] ?? ''];
    if (type === undefined) return `unknown input: ${token}`;
    const id = token.slice(1);
    if (!/^\d+$/.test(id)) return `strconv.ParseUint: parsing ${JSON.stringify(id)}: invalid syntax`;
    changes.push({ type, nodeId: Number(id) });
  }
  return changes;
}
