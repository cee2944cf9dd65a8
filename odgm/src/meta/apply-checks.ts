import type { ApplyResult, Command } from './commands.ts';
import { refreshCluster } from './apply-members.ts';
import { accepted, refused, unchanged } from './result.ts';
import { invalidSettings } from './settings.ts';
import type { MetaState, Settings } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

const maxChecks = 1000;
const maxDiffering = 100;
const maxDifferingText = 8192;

export function applySettings(state: MetaState, command: Of<'setSettings'>): ApplyResult {
  const settings: Settings = { ...state.settings, ...command.settings };
  const problem = invalidSettings(settings);
  if (problem !== undefined) return refused('Invalid', problem);
  Object.assign(state.settings, settings);
  if (state.cluster !== undefined && command.settings.metaReplicas !== undefined) refreshCluster(state, state.cluster);
  return accepted();
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
