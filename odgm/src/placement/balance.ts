import { zoneChange } from './hard.ts';
import type { GridModel, ModelShard } from './model.ts';
import type { Balance } from './types.ts';

/** How even the grid is as the model has it now. */
export function balanceOf(model: GridModel): Balance {
  const replicas = evenness(model.up, model.replicaCounts, true);
  const leaders = evenness(model.up, model.leaderCounts, true);
  const bytes = evenness(model.up, model.bytes, false);
  const ops = evenness(model.up, model.ops, false);
  const violations = model.shards.filter((shard) => isViolated(model, shard)).length;
  const whole = 1 - violations / Math.max(1, model.shards.length);
  const score = (0.4 * replicas + 0.3 * leaders + 0.2 * bytes + 0.1 * ops) * whole;
  return { replicas, leaders, bytes, ops, violations, score };
}

/** 1 - the sum of distances from the mean, between the least that whole units allow and all on one member. */
export function evenness(members: readonly number[], loads: Int32Array | Float64Array, isWhole: boolean): number {
  const total = members.reduce((sum, member) => sum + (loads[member] ?? 0), 0);
  const count = members.length;
  if (count < 2 || total === 0) return 1;
  const mean = total / count;
  const distance = members.reduce((sum, member) => sum + Math.abs((loads[member] ?? 0) - mean), 0);
  const over = total % count;
  const least = isWhole ? (2 * over * (count - over)) / count : 0;
  const most = 2 * (total - mean);
  return most <= least ? 1 : Math.min(1, Math.max(0, 1 - (distance - least) / (most - least)));
}

function isViolated(model: GridModel, shard: ModelShard): boolean {
  if (shard.holders.length !== shard.source.wantedReplicas) return true;
  const isMisplaced = shard.holders.some((member) => {
    const state = model.members[member]?.state;
    return state === 'draining' || state === 'down';
  });
  return isMisplaced || zoneChange(model, shard, false) !== undefined;
}
