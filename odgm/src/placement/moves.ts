import type { GridModel, ModelShard } from './model.ts';
import type { Blocked, Move, MoveCause, NoMoveReason, PlanKind, ShardTarget } from './types.ts';

/** A replica move with positions of members (-1: none) instead of numbers. */
export interface DraftMove {
  readonly shard: ModelShard;
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  readonly why: MoveCause;
}

/** The replica moves that make of a shard's original holders the planned ones. */
export function draftsOf(model: GridModel, index: number, kind: PlanKind): DraftMove[] {
  const shard = model.shards[index];
  if (shard === undefined) return [];
  const added = shard.holders.filter((member) => !shard.original.includes(member)).sort((a, b) => a - b);
  const removed = shard.original.filter((member) => !shard.holders.includes(member));
  // Replacing keeps the number of voters: pair as many as possible, within a zone where that is possible.
  const drafts: DraftMove[] = [];
  const bytesOf = (to: number): number => (to < 0 || shard.original.length === 0 ? 0 : shard.source.bytes);
  const draft = (from: number, to: number, why: MoveCause): void => {
    drafts.push({ shard, index, from, to, bytes: bytesOf(to), why });
  };
  for (const from of removed) {
    const sameZone = added.findIndex((to) => model.zones[to] === model.zones[from]);
    const [to] = added.splice(Math.max(0, sameZone), 1);
    draft(from, to ?? -1, shard.leaveCauses.get(from) ?? 'replica-count');
  }
  for (const to of added) draft(-1, to, shard.addCause);
  if (kind === 'rebalance' || kind === 'repair') {
    for (const from of shard.leftovers) {
      if (shard.movable && !shard.holders.includes(from)) draft(from, -1, 'leftover-learner');
    }
  }
  return drafts;
}

export function toMove(model: GridModel, draft: DraftMove): Move {
  const { shard, from, to } = draft;
  return {
    ...namesOf(shard),
    kind: 'replica',
    from: model.members[from]?.number,
    to: model.members[to]?.number,
    leaderTo: from >= 0 && from === shard.originalLeader ? leaderAfter(model, draft) : undefined,
    bytes: draft.bytes,
    why: draft.why,
  };
}

/** Who can lead right after the move: the planned leader, unless a later move brings it. */
function leaderAfter(model: GridModel, { shard, to }: DraftMove): number | undefined {
  const canLead = shard.leader === to || shard.original.includes(shard.leader);
  return canLead ? model.members[shard.leader]?.number : undefined;
}

/** Leadership moves that no replica move makes anyway, in order of shards. */
export function leaderMoves(model: GridModel, drafts: readonly DraftMove[]): Move[] {
  const settled = new Set<ModelShard>();
  for (const draft of drafts) {
    const isLeaderMove = draft.from === draft.shard.originalLeader && draft.from >= 0;
    if (isLeaderMove && leaderAfter(model, draft) !== undefined) settled.add(draft.shard);
  }
  return model.shards.flatMap((shard): Move[] => {
    const { originalLeader, leader } = shard;
    if (originalLeader < 0 || leader < 0 || leader === originalLeader || settled.has(shard)) return [];
    return [
      {
        ...namesOf(shard),
        kind: 'leader',
        from: model.members[originalLeader]?.number,
        to: model.members[leader]?.number,
        bytes: 0,
        why: shard.leaderCause,
      },
    ];
  });
}

export function targetOf(model: GridModel, shard: ModelShard): ShardTarget[] {
  const isSame =
    shard.holders.length === shard.original.length && shard.original.every((m) => shard.holders.includes(m));
  const hasNewLeader = shard.originalLeader >= 0 && shard.leader !== shard.originalLeader;
  if (isSame && !hasNewLeader) return [];
  const numberOf = (member: number): number => model.members[member]?.number ?? 0;
  return [
    {
      shard: shard.source.id,
      replicas: shard.holders.map(numberOf).sort((a, b) => a - b),
      leader: shard.leader < 0 ? undefined : numberOf(shard.leader),
    },
  ];
}

/** A replica move that no order of moves makes room for. */
export function stuckMove(model: GridModel, { shard, from, why }: DraftMove): Blocked {
  return { ...namesOf(shard), from: model.members[from]?.number, why, reason: 'capacity' };
}

/** Why a plan without moves has none; `capacity` also for a rebalance that only lacks room. */
export function noMoveReason(model: GridModel, blocked: readonly Blocked[], isRebalance: boolean): NoMoveReason {
  if (blocked[0] !== undefined) return blocked[0].reason;
  if (model.shards.some(({ pending }) => pending) && !model.shards.some(({ movable }) => movable))
    return 'moves-pending';
  if (!model.shards.some(({ movable }) => movable)) return 'no-shards';
  return isRebalance && lacksRoomToBalance(model) ? 'capacity' : 'balanced';
}

/** Whether a replica would go to a member with two fewer at least, if only it had room there. */
function lacksRoomToBalance(model: GridModel): boolean {
  if (model.capacity.every((bytes) => bytes === Infinity)) return false;
  const count = (member: number): number => model.replicaCounts[member] ?? 0;
  return model.shards.some(
    (shard) =>
      shard.movable &&
      shard.holders.some(
        (from) =>
          model.isUp[from] === true &&
          model.up.some(
            (to) =>
              count(from) - count(to) > 1 &&
              !shard.holders.includes(to) &&
              model.keepsZones(shard, from, to) &&
              !model.fits(shard, to),
          ),
      ),
  );
}

function namesOf({ source }: ModelShard): { shard: number; collection: string; partition: number } {
  return { shard: source.id, collection: source.collection, partition: source.partition };
}
