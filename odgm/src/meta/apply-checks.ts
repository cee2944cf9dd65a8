import type { ApplyResult, Command } from './commands.ts';
import { refreshCluster } from './apply-members.ts';
import { accepted, refused, unchanged } from './result.ts';
import type { MetaState, Settings, Throttle } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

const maxChecks = 1000;
const maxDiffering = 100;
const maxDifferingText = 8192;

/** Why the bounds make no sense; undefined when they do. */
export function invalidThrottle(throttle: Throttle): string | undefined {
  const counts = [throttle.movesPerNode, throttle.movesPerCluster, throttle.leaderMoves, throttle.checks];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0 && count <= 10_000)) {
    return 'numbers of moves and checks are 0 to 10000';
  }
  const rates = [throttle.bytesPerSecond, throttle.checkBytesPerSecond];
  return rates.every((rate) => Number.isFinite(rate) && rate >= 65_536) ? undefined : 'rates are at least 64 KiB/s';
}

export function applySettings(state: MetaState, command: Of<'setSettings'>): ApplyResult {
  const settings: Settings = { ...state.settings, ...command.settings };
  const problem = invalidThrottle(settings.throttle) ?? invalidThrottle(settings.repairThrottle) ?? invalid(settings);
  if (problem !== undefined) return refused('Invalid', problem);
  Object.assign(state.settings, settings);
  if (state.cluster !== undefined && command.settings.metaReplicas !== undefined) refreshCluster(state, state.cluster);
  return accepted();
}

function invalid(settings: Settings): string | undefined {
  const { nodeDownMs, rebalanceBelow, rebalanceUntil, metaReplicas } = settings;
  if (!(nodeDownMs >= 1000)) return 'nodeDownMs is at least 1000';
  if (!(rebalanceBelow >= 0 && rebalanceBelow < rebalanceUntil && rebalanceUntil <= 1)) {
    return '0 <= rebalanceBelow < rebalanceUntil <= 1';
  }
  return [1, 3, 5, 7].includes(metaReplicas) ? undefined : 'metaReplicas is 1, 3, 5 or 7';
}

/** Keeps the outcome of a check; what differs it keeps of the newest one of a shard only. */
export function applyCheck(state: MetaState, { check }: Of<'recordCheck'>): ApplyResult {
  if (!state.shards.has(check.shard)) return refused('ShardUnknown', `there is no shard ${check.shard}`);
  for (const [i, older] of state.checks.entries()) {
    if (older.shard === check.shard && older.differing.length > 0) state.checks[i] = { ...older, differing: [] };
  }
  state.checks.push({ ...check, differing: bounded(check.differing) });
  if (state.checks.length > maxChecks) state.checks.splice(0, state.checks.length - maxChecks);
  return accepted();
}

function bounded(names: readonly string[]): string[] {
  let left = maxDifferingText;
  return names.slice(0, maxDiffering).filter(({ length }) => (left -= length) >= 0);
}

export function applyAlarm(state: MetaState, { alarm }: Of<'setAlarm'>): ApplyResult {
  const shard = state.shards.get(alarm.shard);
  if (shard === undefined) return refused('ShardUnknown', `there is no shard ${alarm.shard}`);
  const replica = shard.replicas.find(({ member }) => member === alarm.member);
  if (alarm.member !== undefined && replica === undefined) {
    return refused('Invalid', `member ${alarm.member} holds no replica of shard ${alarm.shard}`);
  }
  const epoch = replica === undefined ? undefined : (alarm.epoch ?? replica.epoch);
  // It has been made anew since.
  if (epoch !== undefined && replica !== undefined && epoch < replica.epoch) return unchanged();
  const at = state.alarms.findIndex(({ shard: id, member }) => id === alarm.shard && member === alarm.member);
  const known = state.alarms[at];
  if (known !== undefined && (known.epoch ?? 0) >= (epoch ?? 0)) return unchanged();
  if (at >= 0) state.alarms.splice(at, 1);
  state.alarms.push({ ...alarm, epoch });
  return accepted();
}

export function clearAlarm(state: MetaState, command: Of<'clearAlarm'>): ApplyResult {
  const index = state.alarms.findIndex(({ shard, member }) => shard === command.shard && member === command.member);
  if (index < 0) return unchanged();
  state.alarms.splice(index, 1);
  return accepted();
}
