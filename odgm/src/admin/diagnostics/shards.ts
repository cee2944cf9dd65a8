import { alarmOf, type CheckRecord, type Finding, isFinished, metaShard, type ShardRecord } from '../../meta/index.ts';
import type { peer } from '@oaas/proto';
import { checkFinding, progressOf } from '../../tasks/index.ts';
import { type DiagnosticsInput, error, info, isAnswering, nameOf, orWell, seconds, some, warning } from './types.ts';

/** Entries that a follower may lack before it is told. */
const lagMax = 1000;
/** A step that has not got on for so long is told. */
const slowStepMs = 60_000;
/** Replicas that merge are compared every 30 s at least, one pair after the other. */
const staleMax = 300_000;
const dayMs = 24 * 3600_000;

/** Whether shards lie evenly, and why they do not move where they do not. */
export function distributionBalance(input: DiagnosticsInput): Finding[] {
  const { state, rebalance, suggestions, unplaced } = input;
  const findings: Finding[] = [];
  const score = rebalance?.before ?? 1;
  const evidence = `score ${score.toFixed(2)} of 1; wanted at least ${String(state.settings.rebalanceBelow)}`;
  for (const { kind, why } of suggestions) {
    const remedy = `Look at the plan (POST /admin/rebalance?dry_run=true), then start it, or let it start by itself: PUT /admin/settings {"auto_rebalance": "on"}.`;
    findings.push(warning('balance.suggested', `a task is suggested: ${kind}, because ${why}`, evidence, remedy));
  }
  if (score < state.settings.rebalanceBelow && suggestions.length === 0) {
    const reason =
      rebalance === undefined || rebalance.moves.length > 0 ? '' : `; nothing can move: ${rebalance.reason}`;
    const remedy = 'Wait for other tasks to end, or add members.';
    findings.push(warning('balance.uneven', 'shards are spread unevenly', `${evidence}${reason}`, remedy));
  }
  for (const { collection, partition, why, reason } of [...unplaced, ...(rebalance?.blocked ?? [])]) {
    const name = `${collection}/${String(partition)}`;
    findings.push(
      warning('balance.blocked', `${name} cannot be where it should be`, `${why}: ${reason}`, remedyOf(reason)),
    );
  }
  const open = [...state.shards.values()].filter(({ id, replicas }) => id !== metaShard && replicas.length === 0);
  if (open.length > 0) {
    const names = open.map(({ collection, partition }) => `${collection}/${String(partition)}`);
    const remedy = 'Bring up as many members as a collection has replicas.';
    findings.push(error('balance.unplaced', `${String(open.length)} shards have no place yet`, some(names), remedy));
  }
  return orWell(findings, info('balance.ok', 'shards are spread evenly', evidence));
}

function remedyOf(reason: string): string {
  switch (reason) {
    case 'no-member-to-move-to':
      return 'Add members, or zones, or want fewer replicas.';
    case 'capacity':
      return 'Give members more room, or add members.';
    case 'no-quorum':
    case 'no-live-replica':
      return 'Bring members with replicas of the shard back first.';
    default:
      return 'Wait for the moves under way.';
  }
}

interface Seen {
  readonly member: number;
  readonly report: peer.ShardReport;
}

/** Whether shards have the replicas that they should have, and these follow. */
export function replicationHealth(input: DiagnosticsInput): Finding[] {
  const { state, members } = input;
  const findings: Finding[] = [];
  const seen = new Map<number, Seen[]>();
  for (const { record, report } of members.filter(isAnswering)) {
    for (const { shards } of report?.collections ?? []) {
      for (const shard of shards) {
        seen.set(shard.shardId, [...(seen.get(shard.shardId) ?? []), { member: record.number, report: shard }]);
      }
    }
  }
  let replicas = 0;
  for (const shard of state.shards.values()) {
    if (shard.id === metaShard || shard.replicas.length === 0) continue;
    const name = `${shard.collection}/${String(shard.partition)}`;
    const own = seen.get(shard.id) ?? [];
    const voters = votersOf(shard);
    const well = voters.filter((voter) =>
      own.some(({ member, report }) => member === voter && report.state !== 'unavailable'),
    );
    replicas += well.length;
    const without = voters.filter((voter) => !well.includes(voter));
    const reasons = without.map((member) => {
      const reason = own.find((one) => one.member === member)?.report.reason ?? 'does not answer';
      return `${nameOf(input, member)}: ${reason === '' ? 'not open yet' : reason}`;
    });
    const loss = lossOf(input, shard);
    if (loss !== undefined) findings.push(loss);
    else if (shard.merges ? well.length === 0 : well.length * 2 <= voters.length) {
      const message = `${name} has no ${shard.merges ? 'replica that is' : 'majority of replicas that are'} well`;
      findings.push(
        error('replication.no-majority', message, some(reasons), 'Bring the members with its replicas back.'),
      );
    } else if (without.length > 0) {
      const message = `${name} has ${String(well.length)} of ${String(shard.wanted)} replicas that are well`;
      findings.push(
        warning('replication.degraded', message, some(reasons), 'Bring the member back, or wait for the repair.'),
      );
    } else if (voters.length < shard.wanted) {
      const message = `${name} has ${String(voters.length)} replicas, ${String(shard.wanted)} are wanted`;
      const places = voters.map((member) => nameOf(input, member)).join(', ');
      findings.push(
        warning('replication.too-few', message, `on ${places}`, 'Add members; replicas are added by themselves.'),
      );
    }
    findings.push(...lagging(input, name, own), ...behind(input, name, own));
  }
  findings.push(...refusing(input, seen));
  return orWell(findings, info('replication.ok', 'all replicas are there and follow', `${String(replicas)} replicas`));
}

/**
 * A durable shard so many of whose disks are gone that what it held, if anything, is nowhere for certain. That nothing was
 * ever acknowledged cannot be proven: a replica takes writes as soon as it is open, and who has lost it cannot tell.
 */
function lossOf(input: DiagnosticsInput, shard: ShardRecord): Finding | undefined {
  const { collection } = shard;
  const lost = lostReplicas(input, shard);
  if (lost.length === 0) return undefined;
  const left = votersOf(shard).length - lost.length;
  const read = left > 0 ? 'Read what the others have (with x-oaas-consistency: local), then delete' : 'Delete';
  return error(
    'replication.lost',
    `${collection}/${String(shard.partition)} cannot come back: the disks of ${left > 0 ? 'most of its' : 'all its'} replicas are gone`,
    `${some(lost)}; whether anything was ever written to it is not on record`,
    `${read} the collection with all its partitions, and make it anew: DELETE /admin/collections/${collection} (?dry_run=true says what goes), then PUT.`,
  );
}

function votersOf({ replicas }: ShardRecord): number[] {
  return replicas.filter(({ role }) => role === 'voter').map(({ member }) => member);
}

/** Replicas whose disks are gone, of a durable shard that cannot come back for it; none of any other. */
export function lostReplicas(input: DiagnosticsInput, shard: ShardRecord): string[] {
  const { state } = input;
  if (state.collections.get(shard.collection)?.spec.durability === 'ephemeral') return [];
  const voters = votersOf(shard);
  const lost = voters.flatMap((member) => {
    if (alarmOf(state, shard, member)?.kind === 'lost-replica') return `${nameOf(input, member)} has lost its replica`;
    const isReplaced = state.members.get(member)?.replacedBy !== undefined;
    return isReplaced ? `${nameOf(input, member)} came back with an empty disk` : [];
  });
  const left = voters.length - lost.length;
  return (shard.merges ? left > 0 : left * 2 > voters.length) ? [] : lost;
}

/** Members whose replicas serve, but take no writes: the others do instead. */
function refusing(input: DiagnosticsInput, seen: ReadonlyMap<number, readonly Seen[]>): Finding[] {
  const reasons = new Map<number, string[]>();
  for (const { member, report } of [...seen.values()].flat()) {
    if (report.state !== 'degraded') continue;
    reasons.set(member, [...(reasons.get(member) ?? []), report.reason]);
  }
  return [...reasons].map(([member, all]) =>
    warning(
      'replication.refuses-writes',
      `${nameOf(input, member)} takes no writes for ${String(all.length)} of its replicas; others do`,
      all[0] ?? '',
      'Wait until its clock has come there: what it alone has of that time reaches the others by then. Keep its disk until that is so.',
    ),
  );
}

/** Followers that lack much of the leader's log, or need a snapshot. */
function lagging(input: DiagnosticsInput, name: string, own: readonly Seen[]): Finding[] {
  const leader = own.find(({ report }) => report.group?.role === 'leader')?.report.group;
  if (leader === undefined) return [];
  const last = Math.max(0, ...leader.progress.map(({ match }) => match));
  return leader.progress.flatMap(({ member, match, state, active }) => {
    const evidence = `${state}, ${String(last - match)} entries behind${active ? '' : ', does not answer'}`;
    const id = nameOf(input, member);
    if (state === 'snapshot') {
      return [info('replication.snapshot', `${id} is being sent a snapshot of ${name}`, evidence, 'Wait for it.')];
    }
    if (last - match <= lagMax) return [];
    return [
      warning(
        'replication.lag',
        `${id} is behind with ${name}`,
        evidence,
        'See whether the member is overloaded or its disk slow.',
      ),
    ];
  });
}

/** Replicas that merge, and have not had the same as another one for long although the two see each other. */
function behind(input: DiagnosticsInput, name: string, own: readonly Seen[]): Finding[] {
  return own.flatMap(({ member, report }) => {
    if (report.group?.role !== 'replica') return [];
    const late = report.group.progress.filter(({ active, staleMs }) => active && staleMs > staleMax);
    return late.map((other) => {
      const evidence = `${other.state}, the same ${seconds(other.staleMs)} ago, ${String(other.lag)} entries to send`;
      return warning(
        'replication.behind',
        `${nameOf(input, other.member)} and ${nameOf(input, member)} do not come to have the same of ${name}`,
        evidence,
        'Set the clocks of the members right (what is stamped over 5 s ahead is not merged), and see whether one is overloaded.',
      );
    });
  });
}

/** What tasks do, and what became of the last ones. */
export function migrationStatus({ state, now }: DiagnosticsInput): Finding[] {
  const findings: Finding[] = [];
  for (const task of state.tasks.values()) {
    const name = `task ${String(task.id)} (${task.kind})`;
    if (!isFinished(task)) {
      const { shardsDone, shardsTotal, bytesDone, bytesTotal } = progressOf(task, [], now);
      const evidence = `${String(shardsDone)} of ${String(shardsTotal)} moves, ${String(bytesDone)} of ${String(bytesTotal)} bytes`;
      findings.push(
        info(
          'migration.running',
          `${name} is ${task.state}: ${task.message}`,
          evidence,
          'Watch it, or change its throttle.',
        ),
      );
      for (const move of task.moves) {
        const since = move.stepAt ?? now;
        if (move.state !== 'running' || now - since < slowStepMs) continue;
        const message = `${move.collection}/${String(move.partition)} does not get on in ${name}`;
        const step = `step ${move.step ?? 'none'} for ${seconds(now - since)}, ${String(move.attempts)} tries`;
        const remedy = 'See whether the members that it goes between answer, and its throttle.';
        findings.push(warning('migration.slow', message, step, remedy));
      }
    } else if (task.state === 'failed' && task.kind !== 'consistency-check' && now - (task.finishedAt ?? 0) < dayMs) {
      const evidence = task.findings
        .map(({ message }) => message)
        .slice(0, 3)
        .join('; ');
      findings.push(
        warning(
          'migration.failed',
          `${name} failed: ${task.message}`,
          evidence,
          'See its findings, then plan it again.',
        ),
      );
    }
  }
  const done = [...state.tasks.values()].filter(({ state: at }) => at === 'succeeded').length;
  return orWell(findings, info('migration.none', 'nothing moves', `${String(done)} tasks ended well`));
}

/** Alarms, and what the last check of each shard said. */
export function consistencyIssues(input: DiagnosticsInput): Finding[] {
  const { state, now } = input;
  const findings: Finding[] = [];
  for (const { shard: id, member, kind, evidence, since } of state.alarms) {
    const shard = state.shards.get(id);
    if (shard === undefined) continue;
    const name = `${shard.collection}/${String(shard.partition)}`;
    const when = `${evidence}; since ${seconds(now - since)}`;
    if (member === undefined) {
      const remedy = `Decide which replicas are wrong, and have each made anew from the others: POST /admin/members/<id>/repair?collection=${shard.collection}&partition=${String(shard.partition)}.`;
      findings.push(
        error('consistency.frozen', `writes to ${name} are frozen: nobody knows the right content`, when, remedy),
      );
    } else if (alarmOf(state, shard, member) === undefined) {
      const message = `the replica of ${name} on ${nameOf(input, member)} was made anew and waits for a check`;
      findings.push(info('consistency.unverified', message, when, 'Wait for the check, or start one.'));
    } else {
      const message = `the replica of ${name} on ${nameOf(input, member)} is set apart (${kind})`;
      const remedy = 'Wait for its repair. If it comes again, look at the disk of the member.';
      findings.push(error('consistency.set-apart', message, when, remedy));
    }
  }
  const newest = new Map<number, CheckRecord>();
  for (const check of state.checks) newest.set(check.shard, check);
  for (const check of newest.values()) {
    const finding = checkFinding(check, (member) => nameOf(input, member));
    if (finding !== undefined)
      findings.push({ ...finding, evidence: `${finding.evidence}; ${seconds(now - check.at)} ago` });
  }
  const shards = [...state.shards.keys()].filter((id) => id !== metaShard);
  const unchecked = shards.filter((id) => !newest.has(id)).length;
  const oldest = Math.max(0, ...[...newest.values()].map(({ at }) => now - at));
  if (unchecked > 0 || oldest > dayMs) {
    const message =
      unchecked > 0
        ? `${String(unchecked)} of ${String(shards.length)} shards have no check on record`
        : 'the last check was long ago';
    const remedy = 'Start a check: POST /admin/collections/<name>/consistency-check.';
    findings.push(info('consistency.unchecked', message, `oldest check ${seconds(oldest)} ago`, remedy));
  }
  const evidence = `${String(newest.size)} shards checked, the oldest ${seconds(oldest)} ago`;
  return orWell(findings, info('consistency.ok', 'all shards were found consistent', evidence));
}
