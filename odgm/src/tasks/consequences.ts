import {
  alarmOf,
  type CheckRecord,
  freezeOf,
  type MetaState,
  type NewCommand,
  type ShardRecord,
} from '../meta/index.ts';
import type { RaftCheckOutcome } from './check-raft.ts';

/**
 * What a check of a raft shard leads to: replicas that are wrong get an alarm, which sets them apart and has them made
 * anew; a shard of which nobody knows the right content gets one that freezes its writes. Alarms that a check has shown
 * to be over go: on replicas made anew by any check that found them alike, on others by one that read all that is stored.
 */
export function consequencesOf(
  state: MetaState,
  shard: ShardRecord,
  outcome: RaftCheckOutcome,
  check: CheckRecord,
): NewCommand[] {
  const commands: NewCommand[] = [];
  const freeze = freezeOf(state, shard.id);
  if (outcome.verdict === 'inconsistent') {
    for (const member of outcome.minority) {
      const epoch = checkedEpoch(state, shard, member);
      if (epoch === undefined) continue;
      const evidence = evidenceOf(check, member);
      const alarm = { shard: shard.id, member, epoch, kind: 'corrupt-replica', since: check.at, evidence } as const;
      commands.push({ type: 'setAlarm', alarm });
    }
    if (outcome.hasNoMajority && freeze === undefined) {
      const evidence = check.replicas.map(({ member }) => evidenceOf(check, member)).join('; ');
      const alarm = { shard: shard.id, kind: 'no-majority', since: check.at, evidence } as const;
      commands.push({ type: 'setAlarm', alarm });
    }
  }
  const isKnown = outcome.verdict !== 'indeterminate' && !outcome.hasNoMajority;
  if (freeze !== undefined && isKnown) commands.push({ type: 'clearAlarm', shard: shard.id });
  if (outcome.verdict !== 'consistent') return commands;
  for (const { shard: id, member, epoch } of state.alarms) {
    if (id !== shard.id || member === undefined || isNewer(shard, member, epoch)) continue;
    if (check.mode === 'fast' && alarmOf(state, shard, member) !== undefined) continue;
    commands.push({ type: 'clearAlarm', shard: id, member });
  }
  return commands;
}

/**
 * Epoch of the replica that was checked; undefined when it was made anew, or has gone, while that was done: what was
 * found is not about the present one. `shard`: as it was when the check began.
 */
export function checkedEpoch(state: MetaState, shard: ShardRecord, member: number): number | undefined {
  const [then, now] = [shard, state.shards.get(shard.id)].map(
    (record) => record?.replicas.find((replica) => replica.member === member)?.epoch,
  );
  return then === now ? then : undefined;
}

/** The alarm is about a replica that was made after the check began. */
export function isNewer({ replicas }: ShardRecord, member: number, epoch = 0): boolean {
  return epoch > (replicas.find((replica) => replica.member === member)?.epoch ?? Infinity);
}

function evidenceOf({ replicas, task, differing }: CheckRecord, member: number): string {
  const replica = replicas.find((one) => one.member === member);
  const what =
    replica === undefined || replica.root === ''
      ? 'no answer'
      : `root ${replica.root} at index ${String(replica.index)}`;
  const problem = replica?.problem === undefined ? '' : `, ${replica.problem}`;
  const names = differing.length === 0 ? '' : `, such as ${differing.slice(0, 3).join(', ')}`;
  return `member ${String(member)}: ${what}${problem}${names} (task ${String(task)})`;
}
