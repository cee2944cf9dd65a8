import { type ApplyResult, type Command, keepsNewestChecks } from './commands.ts';
import { refreshCluster } from './apply-members.ts';
import { accepted, refused, unchanged } from './result.ts';
import { invalidSettings } from './settings.ts';
import type { ClusterRecord, MetaState, Settings } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

/** Beside the newest one of each shard. */
const maxOlderChecks = 1000;
/** So many older ones go at once: it takes a look at all. */
const droppedAtOnce = 100;
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

/**
 * Keeps the outcome of a check: the newest one of each shard, with what differs, and up to {@link maxOlderChecks} others
 * without.
 */
export function applyCheck(state: MetaState, cluster: ClusterRecord, { check }: Of<'recordCheck'>): ApplyResult {
  if (!state.shards.has(check.shard)) return refused('ShardUnknown', `there is no shard ${check.shard}`);
  for (const [i, older] of state.checks.entries()) {
    if (older.shard === check.shard && older.differing.length > 0) state.checks[i] = { ...older, differing: [] };
  }
  state.checks.push({ ...check, differing: bounded(check.differing) });
  if (cluster.commandVersion >= keepsNewestChecks) dropOlder(state);
  else if (state.checks.length > maxOlderChecks) state.checks.splice(0, state.checks.length - maxOlderChecks);
  return accepted();
}

function dropOlder({ checks, shards }: MetaState): void {
  // Checks of shards that are gone went with these.
  if (checks.length <= shards.size + maxOlderChecks) return;
  const newest = new Map(checks.map(({ shard }, i) => [shard, i]));
  let left = droppedAtOnce;
  const kept = checks.filter(({ shard }, i) => newest.get(shard) === i || left-- <= 0);
  checks.splice(0, checks.length, ...kept);
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
