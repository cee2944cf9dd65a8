import {
  type CheckRecord,
  hasLostMajority,
  isFinished,
  type IsGone,
  lastFullCheck,
  type MetaState,
  type ShardRecord,
  type TaskKind,
  type TaskRecord,
} from '../meta/index.ts';
import { metaShard } from '../meta/index.ts';

/** A task that the state of the cluster asks for. Its moves come from a plan. */
export interface Wish {
  readonly kind: TaskKind;
  /** Empty: all collections. */
  readonly collection: string;
  readonly member?: number | undefined;
  /** Who is named as the one that asked for it. */
  readonly actor: 'system' | 'schedule';
  readonly options: Readonly<Record<string, string>>;
  /** `suggest`: tell people, and wait for one to start it. */
  readonly mode: 'start' | 'suggest';
  /** One sentence. */
  readonly why: string;
}

/** Kept between decisions, so that a score around the threshold does not start one rebalance after the other. */
export interface TriggerMemory {
  readonly wantsBalance: boolean;
}

/** What each node sees for itself, by its monotonic clock: the meta group as it has it. */
export interface Watch {
  readonly isGone: IsGone;
  /** For how long it has known that no check of all shards began after the last one, in milliseconds. */
  readonly uncheckedMs: number;
}

/** A task that ended is not wished for again before this has passed: what blocked it is likely still there. */
const pauseMs = 30_000;

/**
 * Which tasks should exist now and do not: repair of members that are down for longer than the bound (at once when they
 * came back with an empty disk) and of replicas that have an alarm, drains, shards with another number of replicas than
 * wanted, and a rebalance when the score fell below the threshold or a member that holds nothing joined. And, while
 * nothing else runs, a check of all shards when there was none for long, or of those of which too little was known.
 */
export function decideTriggers(
  state: MetaState,
  score: number,
  memory: TriggerMemory,
  now: number,
  watch: Watch,
): { readonly wishes: readonly Wish[]; readonly memory: TriggerMemory } {
  const wishes: Wish[] = [];
  const wish = (given: Omit<Wish, 'actor' | 'options'>, since = 0): void => {
    if (!existsOrPauses(state, given, now, since)) wishes.push({ ...given, actor: 'system', options: {} });
  };
  const held = replicasByMember(state);
  let isWhole = true;
  for (const member of state.members.values()) {
    const { number, id, state: memberState, stateSince, replacedBy } = member;
    const holds = (held.get(number) ?? 0) > 0;
    if (memberState === 'down') {
      // One that holds nothing is missed by nobody.
      if (holds) isWhole = false;
      const why = replacedBy === undefined ? 'is down for too long' : 'came back with an empty disk';
      if (holds && watch.isGone(member))
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
  const room = [...state.members.values()].filter(({ state: at }) => at === 'up').length;
  for (const { spec, status, shards, updatedAt } of state.collections.values()) {
    const isOff = shards.some((id) => hasOtherCount(state.shards.get(id), room));
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
  const isBusy = [...state.tasks.values()].some(({ state: at }) => at === 'running' || at === 'cancelling');
  const check = isBusy ? undefined : dueCheck(state, now, watch.uncheckedMs);
  if (check !== undefined) wishes.push(check);
  return { wishes, memory: { wantsBalance } };
}

/** Of a task that checks again what an earlier one could not tell: that is done once. */
const again = 'again';

function dueCheck(state: MetaState, now: number, uncheckedMs: number): Wish | undefined {
  const { checkEveryMs } = state.settings;
  if (checkEveryMs === 0) return undefined;
  if (!holdsShards(state)) return undefined;
  const about = { kind: 'consistency-check', mode: 'start', actor: 'schedule' } as const;
  // Nodes are started anew more often than checks are due: what is recorded counts, too. A leader whose clock was far ahead
  // of this one's may have recorded it: then what this node has seen itself ends the wait.
  const last = (lastFullCheck(state) ?? state.cluster)?.createdAt ?? now;
  const sinceMs = Math.max(now - last, uncheckedMs);
  if (sinceMs >= checkEveryMs) {
    const why = `no check of all shards began for ${String(Math.floor(sinceMs / 60_000))} minutes`;
    const wish: Wish = { ...about, collection: '', options: { mode: 'fast' }, why };
    if (!existsOrPauses(state, wish, now, 0)) return wish;
  }
  const latest = new Map(state.checks.map((check) => [check.shard, check]));
  for (const check of latest.values()) {
    const shard = state.shards.get(check.shard);
    if (shard === undefined || !isHeld(shard) || check.verdict !== 'indeterminate') continue;
    if (now >= check.at && now - check.at < pauseMs) continue;
    const { collection, partition } = shard;
    const wish: Wish = {
      ...{ ...about, collection, options: { mode: 'fast', [again]: 'true' } },
      why: `too little was known of ${collection}/${String(partition)} when it was checked`,
    };
    if (mayBeKnownNow(state, check, shard, now) && !existsOrPauses(state, wish, now, check.at)) return wish;
  }
  return undefined;
}

function holdsShards(state: MetaState): boolean {
  for (const shard of state.shards.values()) if (isHeld(shard)) return true;
  return false;
}

function isHeld({ id, replicas }: ShardRecord): boolean {
  return id !== metaShard && replicas.length > 0;
}

/** Those that were silent are up, and were not asked again yet, or not since they came back. */
function mayBeKnownNow(
  state: MetaState,
  check: CheckRecord,
  { collection, replicas }: ShardRecord,
  now: number,
): boolean {
  const answered = new Set(check.replicas.flatMap(({ member, root }) => (root === '' ? [] : [member])));
  const silent = replicas.flatMap(({ member }) => (answered.has(member) ? [] : (state.members.get(member) ?? [])));
  if (silent.some(({ state: at }) => at === 'down')) return false;
  // What lies ahead of now was stamped by a leader whose clock is ahead: it would be newer than any check from now on.
  const backAt = Math.max(0, ...silent.map(({ stateSince }) => stateSince).filter((since) => since <= now));
  return ![...state.tasks.values()].some(
    (task) =>
      task.options[again] !== undefined &&
      task.collection === collection &&
      task.id >= check.task &&
      task.createdAt >= backAt,
  );
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

/** `room`: members that are up. */
function hasOtherCount(shard: ShardRecord | undefined, room: number): boolean {
  if (shard === undefined || shard.change !== undefined) return false;
  let voters = 0;
  for (const { role } of shard.replicas) if (role === 'voter') voters += 1;
  // Fewer than wanted because there are not more members is nothing that a task could change.
  return voters > shard.wanted || voters < Math.min(shard.wanted, room);
}

function isMoving(task: TaskRecord): boolean {
  return !isFinished(task) && task.kind !== 'consistency-check';
}

/** `since`: when what is wished for became necessary. A task that was planned before that is no reason to pause. */
function existsOrPauses(
  state: MetaState,
  wish: Pick<Wish, 'kind' | 'collection' | 'member'>,
  now: number,
  since: number,
): boolean {
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
