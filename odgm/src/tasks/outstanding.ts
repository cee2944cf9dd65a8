import {
  type Finding,
  type IsGone,
  type MetaState,
  metaShard,
  type ShardLoad,
  type TaskRecord,
} from '../meta/index.ts';
import type { Blocked } from '../placement/index.ts';
import type { NameOf } from './check-findings.ts';
import { planTask } from './planner.ts';
import type { TaskTurn } from './schedule.ts';

type Finish = NonNullable<TaskTurn['finish']>;

const maxFindings = 50;

/**
 * The end of a task with what of its goal is not met, and why: planned once more, for what the grid is by now. A task that
 * has a goal of its own (a drain, a repair, another number of replicas) fails when shards are left that cannot move, and a
 * drain when its member still holds replicas; a rebalance only says which ones could not.
 */
export function withOutstanding(
  finish: Finish,
  task: TaskRecord,
  state: MetaState,
  loads: ReadonlyMap<number, ShardLoad>,
  isGone: IsGone,
): Finish {
  const { kind, collection, member } = task;
  if (kind === 'consistency-check' || finish.state === 'cancelled') return finish;
  const isThere =
    (collection === '' || state.collections.has(collection)) && (member === undefined || state.members.has(member));
  if (!isThere) return finish;
  const nameOf: NameOf = (number) => state.members.get(number)?.id ?? String(number);
  const { blocked: all, moves, reason } = planTask(state, loads, { kind, collection, member }, isGone);
  const blocked = member === undefined ? all : all.filter(({ from }) => from === member);
  const left = kind === 'drain' && member !== undefined ? heldBy(state, member, collection) : 0;
  const isFailed = (kind !== 'rebalance' && blocked.length > 0) || left > 0;
  const findings: Finding[] = blocked
    .slice(0, maxFindings)
    .map((one) => blockedFinding(one, kind === 'rebalance' ? 'warning' : 'error', nameOf));
  if (left > 0 && blocked.length === 0) findings.push(leftFinding(nameOf(member ?? 0), left, moves.length));
  const nothing = task.movesTotal === 0 && reason !== '' ? `nothing to do: ${reason}` : finish.message;
  const rest = left > 0 ? `, ${left} replicas are left on ${nameOf(member ?? 0)}` : '';
  const cannot = blocked.length > 0 ? `, ${blocked.length} cannot move` : '';
  return {
    state: isFailed ? 'failed' : finish.state,
    message: `${nothing}${rest}${cannot}`,
    findings: [...finish.findings, ...findings],
  };
}

function heldBy(state: MetaState, member: number, collection: string): number {
  return [...state.shards.values()].filter(
    (shard) =>
      // The meta group itself is moved by its leader.
      shard.id !== metaShard &&
      (collection === '' || shard.collection === collection) &&
      shard.replicas.some((replica) => replica.member === member),
  ).length;
}

const remedies: Readonly<Record<Blocked['reason'], string>> = {
  'no-member-to-move-to': 'Add a member, or take one back that is draining or down.',
  capacity: 'Give members more room, or add a member.',
  'no-quorum': 'Bring back replicas of the shard first: a majority must answer for a change.',
  'no-live-replica': 'Bring back a member that has a replica of the shard: there is nothing to copy from.',
  'moves-pending': 'Start it again when the other task has ended.',
};

function blockedFinding(
  { shard, collection, partition, from, why, reason }: Blocked,
  severity: Finding['severity'],
  nameOf: NameOf,
): Finding {
  const what = from === undefined ? 'gets no further replica' : `stays on ${nameOf(from)}`;
  return {
    severity,
    code: reason,
    message: `${collection}/${String(partition)} ${what}: ${reason}`,
    evidence: `shard ${String(shard)}, wished for ${why}`,
    remedy: remedies[reason],
  };
}

function leftFinding(member: string, left: number, moves: number): Finding {
  return {
    severity: 'error',
    code: 'MemberHoldsReplicas',
    message: `${member} still holds ${String(left)} replicas`,
    evidence: `a plan made now has ${String(moves)} moves`,
    remedy: moves > 0 ? 'Start it again.' : 'See which shards it holds, and why they do not move.',
  };
}
