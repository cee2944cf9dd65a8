import { oaasError } from '@oaas/commons/errors';
import {
  alarmOf,
  type IsGone,
  type MetaState,
  metaShard,
  type PlannedMove,
  placementSnapshot,
  type ShardLoad,
  type TaskKind,
} from '../meta/index.ts';
import { type Balance, type Plan, type PlanKind, planPlacement } from '../placement/index.ts';

export interface TaskWish {
  readonly kind: TaskKind;
  /** Empty: all collections. */
  readonly collection: string;
  /** Member that is drained or repaired. */
  readonly member?: number | undefined;
  /** Repair only: the member's replica of this partition is made anew, whatever is known of it. */
  readonly partition?: number | undefined;
}

/** What a task would do, and what it was planned for. */
export interface PlannedTask {
  readonly wish: TaskWish;
  readonly moves: readonly PlannedMove[];
  readonly bytesTotal: number;
  /** 0 to 1. */
  readonly before: number;
  readonly after: number;
  readonly topologyEpoch: number;
  /** Why nothing moves, where nothing does. */
  readonly reason: string;
  /** Shards that ought to move and cannot. */
  readonly blocked: Plan['blocked'];
}

const planKinds: Readonly<Record<Exclude<TaskKind, 'consistency-check'>, PlanKind>> = {
  rebalance: 'rebalance',
  drain: 'drain',
  repair: 'repair',
  'change-replicas': 'replica-count',
};

/**
 * Plans a task from the meta state and the load of the shards. Nothing is changed. Throws `NotFound` for a collection
 * or member that is not there, `FailedPrecondition` before the cluster is formed.
 */
export function planTask(
  state: MetaState,
  loads: ReadonlyMap<number, ShardLoad>,
  wish: TaskWish,
  isGone: IsGone,
): PlannedTask {
  const { cluster } = state;
  if (cluster === undefined) throw oaasError('FailedPrecondition', 'the cluster is not formed yet');
  const { kind, collection, member } = wish;
  if (collection !== '' && !state.collections.has(collection)) {
    throw oaasError('NotFound', `there is no collection "${collection}"`);
  }
  if (member !== undefined && !state.members.has(member)) {
    throw oaasError('NotFound', `there is no member ${String(member)}`);
  }
  if (kind === 'consistency-check') return checkPlan(state, loads, wish, cluster.epoch);
  const rebuilding = kind === 'repair' ? rebuilds(state, loads, wish) : [];
  const snapshot = placementSnapshot(
    kind === 'drain' ? draining(state, member) : state,
    loads,
    {
      kind: planKinds[kind],
      collections: collection === '' ? undefined : [collection],
      members: member === undefined ? undefined : [member],
    },
    isGone,
  );
  // A shard that was never placed has nobody to move it from: it gets all its first replicas at once, by no task.
  const plan = planPlacement({ ...snapshot, shards: snapshot.shards.filter(({ replicas }) => replicas.length > 0) });
  // What goes to another member need not be made anew where it is.
  const moved = new Set(plan.moves.map(({ shard }) => shard));
  const rebuilt = rebuilding.filter(({ shard }) => !moved.has(shard));
  return {
    wish,
    moves: [...plan.moves, ...rebuilt],
    bytesTotal: plan.bytesTotal + rebuilt.reduce((sum, { bytes }) => sum + bytes, 0),
    before: score(plan.before),
    after: score(plan.after),
    topologyEpoch: cluster.epoch,
    reason: rebuilt.length > 0 ? '' : (plan.reason ?? ''),
    blocked: plan.blocked,
  };
}

/**
 * Replicas with an alarm are made anew where they are, one after the other for a shard, and checked after that. Those that
 * have been made anew, and were not found good since, are checked again.
 */
function rebuilds(state: MetaState, loads: ReadonlyMap<number, ShardLoad>, wish: TaskWish): PlannedMove[] {
  const moves: PlannedMove[] = [];
  for (const shard of state.shards.values()) {
    const { id, collection, partition, replicas } = shard;
    if (id === metaShard || (wish.collection !== '' && collection !== wish.collection)) continue;
    const about = { shard: id, collection, partition, bytes: loads.get(id)?.bytes ?? 0 };
    let hasAlarm = false;
    for (const { member } of replicas) {
      if (wish.member !== undefined && member !== wish.member) continue;
      const isAsked = wish.partition === partition && wish.collection !== '' && wish.member !== undefined;
      const isUp = state.members.get(member)?.state === 'up';
      const isBad = alarmOf(state, shard, member) !== undefined;
      hasAlarm ||= isAsked || state.alarms.some((alarm) => alarm.shard === id && alarm.member === member);
      if (!(isBad || isAsked) || !isUp || replicas.length === 1) continue;
      moves.push({ ...about, kind: 'replica', from: member, to: member, why: 'damaged' });
    }
    if (hasAlarm) moves.push({ ...about, kind: 'check', why: 'check' });
  }
  return moves;
}

function score({ score: value }: Balance): number {
  return value;
}

/** A drain is planned as if the member were draining already: the plan is looked at before it is. */
function draining(state: MetaState, member: number | undefined): MetaState {
  const record = member === undefined ? undefined : state.members.get(member);
  if (record === undefined || record.state !== 'up') return state;
  return { ...state, members: new Map([...state.members, [record.number, { ...record, state: 'draining' }]]) };
}

function checkPlan(
  state: MetaState,
  loads: ReadonlyMap<number, ShardLoad>,
  wish: TaskWish,
  topologyEpoch: number,
): PlannedTask {
  const moves = [...state.shards.values()]
    .filter(({ id, collection }) => id !== metaShard && (wish.collection === '' || collection === wish.collection))
    .map(({ id, collection, partition }): PlannedMove => ({
      shard: id,
      collection,
      partition,
      kind: 'check',
      bytes: loads.get(id)?.bytes ?? 0,
      why: 'check',
    }));
  const bytesTotal = moves.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    ...{ wish, moves, bytesTotal, topologyEpoch },
    before: 1,
    after: 1,
    reason: moves.length === 0 ? 'no-shards' : '',
    blocked: [],
  };
}
