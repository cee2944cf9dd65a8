import { hasLostMajority, isFinished, type MetaState, type TaskKind, type TaskRecord } from '../meta/index.ts';
import { metaShard } from '../meta/index.ts';

/** A task that the state of the cluster asks for. Its moves come from a plan. */
export interface Wish {
  readonly kind: Exclude<TaskKind, 'consistency-check'>;
  /** Empty: all collections. */
  readonly collection: string;
  readonly member?: number | undefined;
  /** `suggest`: tell people, and wait for one to start it. */
  readonly mode: 'start' | 'suggest';
  /** One sentence. */
  readonly why: string;
}

/** Kept between decisions, so that a score around the threshold does not start one rebalance after the other. */
export interface TriggerMemory {
  readonly wantsBalance: boolean;
}

/** A task that ended is not wished for again before this has passed: what blocked it is likely still there. */
const pauseMs = 30_000;

/**
 * Which tasks should exist now and do not: repair of members that are down for longer than the bound (at once when
 * they came back with an empty disk) and of replicas that have an alarm, drains, shards with another number of replicas than wanted, and a rebalance when
 * the score fell below the threshold or a member that holds nothing joined.
 */
export function decideTriggers(
  state: MetaState,
  score: number,
  memory: TriggerMemory,
  now: number,
): { readonly wishes: readonly Wish[]; readonly memory: TriggerMemory } {
  const wishes: Wish[] = [];
  const wish = (given: Wish, since = 0): void => {
    if (!existsOrPauses(state, given, now, since)) wishes.push(given);
  };
  const held = replicasByMember(state);
  let isWhole = true;
  for (const { number, id, state: memberState, stateSince, replacedBy } of state.members.values()) {
    const holds = (held.get(number) ?? 0) > 0;
    if (memberState === 'down') {
      // One that holds nothing is missed by nobody.
      if (holds) isWhole = false;
      const isOverdue = replacedBy !== undefined || now - stateSince >= state.settings.nodeDownMs;
      const why = replacedBy === undefined ? 'is down for too long' : 'came back with an empty disk';
      if (holds && isOverdue)
        wish({ kind: 'repair', collection: '', member: number, mode: 'start', why: `${id} ${why}` }, stateSince);
    }
    if (memberState === 'draining' && holds) {
      isWhole = false;
      wish({ kind: 'drain', collection: '', member: number, mode: 'start', why: `${id} is draining` }, stateSince);
    }
  }
  for (const { member, shard, since } of state.alarms) {
    const record = member === undefined ? undefined : state.members.get(member);
    const held = state.shards.get(shard);
    if (record?.state !== 'up' || held === undefined) continue;
    const { collection, replicas } = held;
    // Without another replica there is nothing to make it from.
    if (replicas.length < 2 || hasLostMajority(state, held)) continue;
    isWhole = false;
    const why = `a replica of ${collection} on ${record.id} has an alarm`;
    if (wishes.some((one) => one.kind === 'repair' && one.collection === collection && one.member === member)) continue;
    wish({ kind: 'repair', collection, member, mode: 'start', why }, since);
  }
  for (const { spec, status, shards, updatedAt } of state.collections.values()) {
    const isOff = shards.some((id) => hasOtherCount(state, id));
    if (status !== 'ready' || !isOff) continue;
    const why = `shards of ${spec.name} have other than ${spec.replicaCount} replicas`;
    wish({ kind: 'change-replicas', collection: spec.name, mode: 'start', why }, updatedAt);
  }
  const wantsBalance = wantsRebalance(state, held, score, memory);
  const { autoRebalance } = state.settings;
  const isCalm = isWhole && wishes.length === 0 && ![...state.tasks.values()].some(isMoving);
  if (wantsBalance && isCalm && autoRebalance !== 'off') {
    const mode = autoRebalance === 'on' ? 'start' : 'suggest';
    wish({ kind: 'rebalance', collection: '', mode, why: `the balance is ${score.toFixed(2)}` });
  }
  return { wishes, memory: { wantsBalance } };
}

function wantsRebalance(
  state: MetaState,
  held: ReadonlyMap<number, number>,
  score: number,
  memory: TriggerMemory,
): boolean {
  const { rebalanceBelow, rebalanceUntil } = state.settings;
  if (score < rebalanceBelow) return true;
  const replicas = [...held.values()].reduce((sum, count) => sum + count, 0);
  const hasEmpty = [...state.members.values()].some(({ number, state: at }) => at === 'up' && !held.has(number));
  // With as many replicas as members each should have one; with fewer, some stay empty.
  if (hasEmpty && replicas >= state.members.size) return true;
  return memory.wantsBalance && score < rebalanceUntil;
}

function replicasByMember(state: MetaState): Map<number, number> {
  const held = new Map<number, number>();
  for (const { id, replicas } of state.shards.values()) {
    if (id === metaShard) continue;
    for (const { member } of replicas) held.set(member, (held.get(member) ?? 0) + 1);
  }
  return held;
}

function hasOtherCount(state: MetaState, id: number): boolean {
  const shard = state.shards.get(id);
  if (shard === undefined || shard.change !== undefined) return false;
  const voters = shard.replicas.filter(({ role }) => role === 'voter').length;
  const room = [...state.members.values()].filter(({ state: at }) => at === 'up').length;
  // Fewer than wanted because there are not more members is nothing that a task could change.
  return voters > shard.wanted || voters < Math.min(shard.wanted, room);
}

function isMoving(task: TaskRecord): boolean {
  return !isFinished(task) && task.kind !== 'consistency-check';
}

/** `since`: when what is wished for became necessary. A task that was planned before that is no reason to pause. */
function existsOrPauses(state: MetaState, wish: Wish, now: number, since: number): boolean {
  for (const task of state.tasks.values()) {
    if (task.kind !== wish.kind || task.collection !== wish.collection || task.member !== wish.member) continue;
    if (!isFinished(task)) return true;
    // What came while it was drained, as by a move that was under way, is moved next, though the task failed over it.
    const isDrained = task.kind === 'drain' && task.state !== 'cancelled' && task.movesDone === task.movesTotal;
    if (isDrained && task.movesTotal > 0) continue;
    // What lies ahead of now was stamped by another leader, whose clock is ahead: it says nothing about before and after.
    const ago = now - (task.finishedAt ?? 0);
    const isNews = since > task.createdAt && since <= now;
    if (ago >= 0 && ago < pauseMs && !isNews) return true;
  }
  return false;
}
