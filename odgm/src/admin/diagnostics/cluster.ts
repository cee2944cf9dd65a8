import { type Finding, metaShard, type ShardRecord } from '../../meta/index.ts';
import type { MemberView } from '../../node/index.ts';
import { lostReplicas } from './shards.ts';
import { error, info, isAnswering, nameOf, orWell, seconds, some, warning } from './types.ts';
import type { DiagnosticsInput } from './types.ts';

/** Entries of the meta group that a member may lack. */
const metaLagMax = 1000;
/** Elections of one group within ten minutes that are too many: one is a start or a failure. */
const electionsMax = 3;
const restartedMs = 10 * 60_000;
/** Clocks that differ by more are told; what is stamped {@link clockMaxMs} ahead is not merged by replicas elsewhere. */
const clockMs = 500;
const clockMaxMs = 5000;

/** Whether the meta group and the groups of shards can decide. */
export function consensusHealth(input: DiagnosticsInput): Finding[] {
  const { state, members, metaLeader } = input;
  const findings: Finding[] = [];
  const record = state.shards.get(metaShard);
  const voters = (record?.replicas ?? []).map(({ member }) => member);
  const up = voters.filter((voter) => members.some((view) => view.record.number === voter && isAnswering(view)));
  const evidence = `voters ${some(voters.map((voter) => nameOf(input, voter)))}; ${String(up.length)} of ${String(voters.length)} answer`;
  if (up.length * 2 <= voters.length) {
    const remedy =
      'Bring voters of the meta group back: until then no member, collection, placement or task can change.';
    findings.push(error('consensus.no-quorum', 'the meta group has no majority', evidence, remedy));
  } else if (metaLeader === 0) {
    const remedy = 'Wait for an election; if none succeeds, look at the links between the voters.';
    findings.push(error('consensus.no-leader', 'the meta group has no leader', evidence, remedy));
  }
  if (record !== undefined && voters.length < record.wanted && state.members.size >= record.wanted) {
    const message = `the meta group has ${String(voters.length)} voters, ${String(record.wanted)} are wanted`;
    findings.push(
      warning('consensus.few-voters', message, evidence, 'Bring members up: they become voters by themselves.'),
    );
  }
  const commit = Math.max(0, ...members.map(({ report }) => report?.meta?.commit ?? 0));
  for (const view of members.filter(isAnswering)) {
    const applied = view.report?.meta?.applied ?? 0;
    if (commit - applied <= metaLagMax) continue;
    const message = `${view.record.id} is behind with the state of the cluster`;
    const lag = `applied ${String(applied)} of ${String(commit)}`;
    findings.push(
      warning('consensus.member-behind', message, lag, 'See whether the member is overloaded or its disk slow.'),
    );
  }
  findings.push(...leaderless(input));
  const leader = metaLeader === 0 ? 'nobody' : nameOf(input, metaLeader);
  return orWell(
    findings,
    info('consensus.ok', 'all groups have a leader and a majority', `${evidence}; led by ${leader}`),
  );
}

/** Shards that no replica says has a leader. */
function leaderless(input: DiagnosticsInput): Finding[] {
  const { state, members } = input;
  const led = new Set<number>();
  for (const view of members.filter(isAnswering)) {
    for (const { shards } of view.report?.collections ?? []) {
      for (const { shardId, group } of shards) if ((group?.leader ?? 0) !== 0) led.add(shardId);
    }
  }
  const without = [...state.shards.values()].filter(
    (shard) => shard.id !== metaShard && !shard.merges && shard.replicas.length > 0 && !led.has(shard.id),
  );
  if (without.length === 0) return [];
  const message = `${String(without.length)} shards have no leader: they take no writes`;
  // Those come back by no member that does.
  const lost = without.filter((shard) => lostReplicas(input, shard).length > 0);
  const remedies = [
    ...(lost.length < without.length
      ? ['Bring members with their replicas back; a majority of the replicas of each must answer.']
      : []),
    ...(lost.length > 0 ? [`The disks of ${some(lost.map(titleOf))} are gone: replication.lost says what to do.`] : []),
  ];
  return [error('consensus.shards-without-leader', message, some(without.map(titleOf)), remedies.join(' '))];
}

function titleOf({ collection, partition }: ShardRecord): string {
  return `${collection}/${String(partition)}`;
}

/** Who sees whom, as the members that answer say of their links. One that nobody hears is told of with the members. */
export function networkPartitions(input: DiagnosticsInput): Finding[] {
  const views = input.members.filter(isAnswering);
  const sees = (a: MemberView, b: MemberView): boolean => a.report?.links.includes(b.record.number) === true;
  const parts = partsOf(views, (a, b) => sees(a, b) || sees(b, a));
  const findings: Finding[] = [];
  if (parts.length > 1) {
    const evidence = parts.map((part) => `[${part.map(({ record }) => record.id).join(', ')}]`).join(' and ');
    const remedy = 'Look at the network between the parts. Shards go on where a majority of their replicas is.';
    findings.push(
      error(
        'network.split',
        `the members fall into ${String(parts.length)} parts that do not reach each other`,
        evidence,
        remedy,
      ),
    );
  }
  for (const part of parts) {
    for (const [i, a] of part.entries()) {
      for (const b of part.slice(i + 1)) {
        const [there, back] = [sees(a, b), sees(b, a)];
        if (there && back) continue;
        const [one, other] = [a.record.id, b.record.id];
        const remedy = 'Look at addresses, firewalls and policies between the two.';
        if (!there && !back) {
          findings.push(
            warning(
              'network.no-link',
              `${one} and ${other} do not reach each other, others reach both`,
              `neither has a link to the other`,
              remedy,
            ),
          );
        } else {
          const evidence = there
            ? `${one} has a link to ${other}, which does not know`
            : `${other} has a link to ${one}, which does not know`;
          findings.push(
            warning(
              'network.one-sided',
              `${one} and ${other} do not agree on their link`,
              evidence,
              'Look again: a link that has just changed is seen like this for a moment.',
            ),
          );
        }
      }
    }
  }
  for (const silent of input.members) {
    const links = heardBy(silent, views);
    if (isAnswering(silent) || !isCutOff(silent, links)) continue;
    const remedy = 'Look at addresses, firewalls and policies between it and those that have no link to it.';
    const evidence = `${links.evidence}; ${seenHere(silent, input.now)}`;
    const message = `${silent.record.id} does not answer here, though others hear it`;
    findings.push(warning('network.cut-off', message, evidence, remedy));
  }
  const names = views.map(({ record }) => record.id);
  return orWell(findings, info('network.ok', 'all members that answer have links to each other', some(names, 10)));
}

/** Sets of members that reach each other, if only through others. */
function partsOf(views: readonly MemberView[], isLinked: (a: MemberView, b: MemberView) => boolean): MemberView[][] {
  const parts: MemberView[][] = [];
  const left = new Set(views);
  for (const view of views) {
    if (!left.delete(view)) continue;
    const part = [view];
    for (const member of part) {
      for (const other of [...left]) {
        if (!isLinked(member, other)) continue;
        left.delete(other);
        part.push(other);
      }
    }
    parts.push(part);
  }
  return parts;
}

/** How often leaders changed within the last ten minutes. */
export function leaderStability({ members, state }: DiagnosticsInput): Finding[] {
  const findings: Finding[] = [];
  const remedy =
    'Look at the load, the pauses and the links of the members that led; raise the election timeout if they are only slow.';
  const views = members.filter(isAnswering);
  const meta = Math.max(0, ...views.map(({ report }) => report?.meta?.recentElections ?? 0));
  if (meta > electionsMax) {
    findings.push(
      warning(
        'leadership.meta-unstable',
        'the meta group changes its leader often',
        `${String(meta)} elections in the last 10 minutes`,
        remedy,
      ),
    );
  }
  const recent = new Map<number, number>();
  for (const { report } of views) {
    for (const { shards } of report?.collections ?? []) {
      for (const { shardId, group } of shards) {
        recent.set(shardId, Math.max(recent.get(shardId) ?? 0, group?.recentElections ?? 0));
      }
    }
  }
  const unstable = [...recent].filter(([, count]) => count > electionsMax).sort(([, a], [, b]) => b - a);
  if (unstable.length > 0) {
    const names = unstable.map(([id, count]) => {
      const shard = state.shards.get(id);
      return `${shard?.collection ?? '?'}/${String(shard?.partition ?? id)}: ${String(count)}`;
    });
    const message = `${String(unstable.length)} shards change their leader often`;
    findings.push(
      warning('leadership.shards-unstable', message, `elections in the last 10 minutes: ${some(names)}`, remedy),
    );
  }
  const most = Math.max(0, ...recent.values());
  const evidence = `in the last 10 minutes ${String(meta)} elections of the meta group, at most ${String(most)} of a shard`;
  return orWell(findings, info('leadership.ok', 'leaders stay', evidence));
}

/** Members whose wall clocks are not what those of most are, beyond what the way of the answer explains. */
function clocks(members: readonly MemberView[]): Finding[] {
  const known = members
    .filter(isAnswering)
    .flatMap(({ record, clock }) => (clock ? [{ id: record.id, ...clock }] : []));
  const sorted = known.map(({ aheadMs }) => aheadMs).sort((a, b) => a - b);
  const common = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return known.flatMap(({ id, aheadMs, withinMs }) => {
    const ms = aheadMs - common;
    const least = Math.abs(ms) - withinMs;
    if (least <= clockMs) return [];
    const message = `the clock of ${id} is ${ms > 0 ? 'ahead' : 'behind'}`;
    const evidence = `${(Math.abs(ms) / 1000).toFixed(1)} s from that of most members, within ${withinMs.toFixed(0)} ms`;
    const remedy =
      'Set its clock right, as by NTP: entries expire by it, and replicas that merge take nothing that is stamped over 5 s ahead.';
    return [(least > clockMaxMs ? error : warning)('member.clock', message, evidence, remedy)];
  });
}

/** What links others have, or had last, to a member that does not answer here. */
interface Heard {
  readonly by: readonly string[];
  readonly evidence: string;
}

function heardBy({ record: { number } }: MemberView, views: readonly MemberView[]): Heard {
  const ids = (of: readonly MemberView[]): string[] => of.map(({ record }) => record.id);
  const hearing = views.filter(({ report }) => report?.links.includes(number) === true);
  if (hearing.length > 0) {
    const others = ids(views.filter((view) => !hearing.includes(view)));
    const not = others.length === 0 ? '' : `, not by ${some(others)}`;
    return { by: ids(hearing), evidence: `heard by ${some(ids(hearing))}${not}` };
  }
  const last = views
    .flatMap(({ record: by, report }) =>
      (report?.lostLinks ?? []).flatMap(({ member, agoMs }) => (member === number ? [{ by: by.id, agoMs }] : [])),
    )
    .sort((a, b) => a.agoMs - b.agoMs)[0];
  const when = last === undefined ? '' : `, last by ${last.by} ${seconds(last.agoMs)} ago`;
  return { by: [], evidence: `heard by nobody who answers${when}` };
}

/** Then the network between the members is to be looked at, not the member. */
function isCutOff({ state }: MemberView, { by }: Heard): boolean {
  return state !== 'down' && by.length > 0;
}

function seenHere({ lastSeen, problem }: MemberView, now: number): string {
  const seen = lastSeen === undefined ? 'never heard from' : `last heard from ${seconds(now - lastSeen)} ago`;
  return problem === undefined ? seen : `${seen}; ${problem}`;
}

/** Of a member that does not answer: what is seen from here, and what the others say of it. */
function missed(view: MemberView, now: number, { by, evidence: heard }: Heard, holdsReplicas: boolean): Finding {
  const { id, drains } = view.record;
  const evidence = `${seenHere(view, now)}; ${heard}`;
  if (drains === true && !holdsReplicas) {
    const remedy = `Bring it back, or take it off the list once it is down: DELETE /admin/members/${id}.`;
    const what = view.state === 'down' ? 'is down' : 'does not answer';
    return info('member.drained', `${id} was drained and ${what}`, evidence, remedy);
  }
  if (view.state !== 'down') {
    const remedy =
      'Wait a moment; then see whether it runs. If it does, look at the network between it and the others.';
    return warning('member.suspect', `${id} does not answer: down or cut off, which cannot be told`, evidence, remedy);
  }
  if (!holdsReplicas) {
    const remedy = `Bring it back, or take it off the list: DELETE /admin/members/${id}.`;
    return warning('member.down', `${id} is down and holds no replicas`, evidence, remedy);
  }
  const remedy = 'Bring it back, or wait: its replicas are made anew on other members when it is down for too long.';
  const link = by.length > 0 ? 'Look at the network between it and those that do not hear it. ' : '';
  return error('member.down', `${id} is down`, evidence, `${link}${remedy}`);
}

/** What members are, and what is wrong with them. */
export function memberHealth({ members, now, state: grid }: DiagnosticsInput): Finding[] {
  const findings: Finding[] = [];
  const holders = new Set(
    [...grid.shards.values()].flatMap(({ id, replicas }) =>
      id === metaShard ? [] : replicas.map(({ member }) => member),
    ),
  );
  const views = members.filter(isAnswering);
  for (const view of members) {
    const { record, state, report } = view;
    if (!isAnswering(view)) {
      const links = heardBy(view, views);
      if (!isCutOff(view, links)) findings.push(missed(view, now, links, holders.has(record.number)));
    } else if (state === 'draining') {
      findings.push(
        info(
          'member.draining',
          `${record.id} is being drained`,
          seenHere(view, now),
          `When it holds no replicas any more, stop it and take it off the list: DELETE /admin/members/${record.id}.`,
        ),
      );
    } else if (report?.ready === false) {
      findings.push(
        warning(
          'member.not-ready',
          `${record.id} does not take calls yet`,
          seenHere(view, now),
          'See /ready and the log of the member.',
        ),
      );
    }
    for (const { message } of report?.storageProblems ?? []) {
      const remedy = 'Stop the member, move its data directory away, and start it again: it is filled from the others.';
      findings.push(error('member.storage-damaged', `${record.id} has damaged data of its own`, message, remedy));
    }
    if (isAnswering(view) && (report?.uptimeSeconds ?? 0) * 1000 < restartedMs) {
      const evidence = `up for ${String(report?.uptimeSeconds ?? 0)} s`;
      findings.push(info('member.restarted', `${record.id} was started a short while ago`, evidence));
    }
  }
  findings.push(...clocks(members));
  const versions = [...new Set(members.flatMap(({ report }) => (report === undefined ? [] : [report.version])))];
  if (versions.length > 1) {
    const message = 'members run different versions';
    findings.push(info('member.versions-differ', message, versions.join(', '), 'Finish the update.'));
  }
  return orWell(
    findings,
    info(
      'member.ok',
      'all members are up',
      some(
        members.map(({ record }) => record.id),
        10,
      ),
    ),
  );
}
