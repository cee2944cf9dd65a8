import { balanceOf } from './balance.ts';
import { balanceBytes } from './bytes.ts';
import { meetHardGoals } from './hard.ts';
import { balanceLeaders, balanceOps } from './leaders.ts';
import { GridModel } from './model.ts';
import { draftsOf, leaderMoves, noMoveReason, stuckMove, targetOf, toMove } from './moves.ts';
import { inStartOrder } from './order.ts';
import { balanceReplicas } from './replicas.ts';
import type { PlacementSnapshot, Plan } from './types.ts';

/** Rounds of replica and byte balancing: exchanges for bytes may open a way for replicas. */
const maxRounds = 4;

/**
 * What to move so that the grid is as the goals want it. Hard goals: distinct members, zones as even as members allow,
 * capacity, wanted replicas, nothing on draining or down members. Soft ones, in this order: replicas of members within
 * one, leaders of members within one, bytes, operations; among equals what moves the fewest bytes.
 *
 * Deterministic, and the same for any order of the input. Planning again after the moves gives no moves.
 */
export function planPlacement(snapshot: PlacementSnapshot): Plan {
  const { kind, bytesTolerance = 0.1, opsTolerance = 0.2 } = snapshot.options;
  const model = new GridModel(snapshot);
  const before = balanceOf(model);
  const blocked = meetHardGoals(model, snapshot.options);
  const isRebalance = kind === 'rebalance';
  // First what moves anyway: it may go elsewhere at no cost.
  balanceReplicas(model, true);
  for (let round = 0; isRebalance && round < maxRounds; round++) {
    balanceReplicas(model, false);
    if (!balanceBytes(model, bytesTolerance)) break;
  }
  const { drafts, stuck } = inStartOrder(
    model,
    model.shards.flatMap((_, index) => draftsOf(model, index, kind)),
  );
  for (const draft of stuck) {
    model.replace(draft.index, draft.to, draft.from, draft.why);
    blocked.push(stuckMove(model, draft));
  }
  balanceLeaders(model, { onlyNew: !isRebalance, drains: isRebalance || kind === 'drain' });
  if (isRebalance) balanceOps(model, opsTolerance);
  const moves = [...drafts.map((draft) => toMove(model, draft)), ...leaderMoves(model, drafts)];
  return {
    moves,
    targets: model.shards.flatMap((shard) => targetOf(model, shard)),
    blocked,
    bytesTotal: moves.reduce((sum, { bytes }) => sum + bytes, 0),
    before,
    after: balanceOf(model),
    reason: moves.length === 0 ? noMoveReason(model, blocked, isRebalance) : undefined,
  };
}
