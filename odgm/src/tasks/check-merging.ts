import { isOaasError, toOaasError } from '@oaas/commons/errors';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import { decodeLeaf } from '../merge/index.ts';
import {
  alarmOf,
  type CheckRecord,
  type CheckReplica,
  type CheckVerdict,
  type MetaGroup,
  type ShardRecord,
} from '../meta/index.ts';
import { classifyEventual, type EntryState, type EventualOutcome, type EventualSample } from './check-eventual.ts';
import type { CheckService, MergingComparison, MergingRoot } from './check-service.ts';
import { checkedEpoch, isNewer } from './consequences.ts';
import type { CheckControl } from './coordinator.ts';

export interface MergingCheckOptions {
  readonly meta: MetaGroup;
  readonly checks: CheckService;
  readonly clock: Clock;
  readonly timers: Timers;
}

type About = Pick<CheckRecord, 'shard' | 'collection' | 'partition' | 'task' | 'mode'>;

/** Between the two samples, which is longer than replicas that differ wait until they compare themselves. */
const intervalMs = 2500;
/** Differences younger than this are replication at work. */
const lagMs = 30_000;
const pollMs = 250;
const stalledMs = 60_000;
/** Form of leaves. Replicas with another one cannot be compared. */
const algorithm = 1;

/** What a replica said. */
interface Answer {
  readonly member: number;
  /** What it said last, if anything. */
  root: MergingRoot | undefined;
  problem: string | undefined;
  /** The member has no such replica any more: it will not read on. */
  isGone: boolean;
}

/**
 * Checks a shard whose replicas merge: their roots are the same, or two samples tell what differs and whether it will go
 * away by itself. A deep check also has each replica read what it has stored; one whose data is damaged gets an alarm,
 * and is made anew from the others.
 */
export async function checkMerging(
  options: MergingCheckOptions,
  shard: ShardRecord,
  about: About,
  control: CheckControl,
): Promise<{ readonly bytes: number }> {
  const { meta, clock } = options;
  const startedAt = clock.monotonic();
  const id = `${String(about.task)}.${String(shard.id)}.${clock.now().toString(36)}`;
  const isDeep = about.mode === 'deep';
  const answers = shard.replicas.map(({ member }): Answer => ({
    member,
    root: undefined,
    problem: undefined,
    isGone: false,
  }));
  control.progress('roots', 0);
  await Promise.all(answers.map((answer) => ask(options, shard.id, answer, id, isDeep)));
  if (isDeep) await awaitReading(options, shard.id, answers, id, control);
  const outcome = await classify(options, shard, answers, control);
  if (isDeep) for (const { member } of answers) options.checks.release(member, shard.id, id).catch(() => undefined);
  if (control.isCancelled()) return { bytes: 0 };
  const damaged = answers.filter(isDamaged).map(({ member }) => member);
  const ms = clock.monotonic() - startedAt;
  const check: CheckRecord = {
    ...about,
    at: clock.now(),
    verdict: isDeep ? verdictOf(outcome, answers) : outcome.verdict,
    replicas: answers.map((answer) => replicaOf(answer, ms)),
    // Where all are damaged, each may be the only one that has what the others lost.
    minority: damaged.length < answers.length ? damaged : [],
    differing: [
      ...new Set([
        ...answers.flatMap(({ root }) => root?.verification?.bad ?? []),
        ...outcome.differences.map(({ key }) => key.replace('\u0000', '/')),
      ]),
    ],
    oldestDifferenceMs: outcome.oldestDifferenceMs,
    reason: reasonOf(outcome, answers, isDeep),
  };
  await setAlarms(meta, shard, answers, check);
  await meta.propose({ type: 'recordCheck', check });
  return {
    bytes: Math.max(0, ...answers.map(({ root }) => root?.verification?.readBytes ?? root?.counters.bytes ?? 0)),
  };
}

async function ask(
  { checks }: MergingCheckOptions,
  shard: number,
  answer: Answer,
  id: string,
  isDeep: boolean,
): Promise<void> {
  try {
    answer.root = await checks.root(answer.member, shard, id, isDeep);
    answer.problem = undefined;
  } catch (thrown) {
    answer.problem = toOaasError(thrown).message;
    answer.isGone = isOaasError(thrown, 'NotFound');
  }
}

async function awaitReading(
  options: MergingCheckOptions,
  shard: number,
  answers: readonly Answer[],
  id: string,
  control: CheckControl,
): Promise<void> {
  const { clock, timers } = options;
  let read = 0;
  let movedAt = clock.monotonic();
  for (;;) {
    const open = answers.filter(({ root, isGone }) => root?.verification?.isDone === false && !isGone);
    if (open.length === 0 || control.isCancelled() || clock.monotonic() - movedAt > stalledMs) return;
    await sleep(timers, pollMs);
    await Promise.all(open.map((answer) => ask(options, shard, answer, id, true)));
    const now = answers.reduce((sum, { root }) => sum + (root?.verification?.readBytes ?? 0), 0);
    if (now > read) movedAt = clock.monotonic();
    read = now;
    control.progress('scan', Math.round(read / Math.max(1, answers.length)));
  }
}

async function classify(
  options: MergingCheckOptions,
  { id, replicas }: ShardRecord,
  answers: readonly Answer[],
  control: CheckControl,
): Promise<EventualOutcome> {
  const { checks, clock, timers } = options;
  const members = replicas.map(({ member }) => member);
  const heard = answers.flatMap(({ member, root }) =>
    root === undefined ? [] : [sampleOf(member, root.root, new Map())],
  );
  const [source] = heard;
  const isAlike = new Set(heard.map(({ root }) => root)).size <= 1;
  const times = { syncIntervalMs: intervalMs, lagMs };
  if (source === undefined || heard.length < members.length || isAlike) {
    return classifyEventual(heard, heard, members, { firstAt: clock.now(), secondAt: clock.now(), ...times });
  }
  const sample = async (): Promise<readonly EventualSample[]> => {
    const others = members.filter((member) => member !== source.member);
    try {
      return samplesOf(source.member, await checks.compare(source.member, id, others));
    } catch {
      return [];
    }
  };
  control.progress('compare', 0);
  const firstAt = clock.now();
  const first = await sample();
  await sleep(timers, intervalMs);
  control.progress('compare again', 0);
  const second = await sample();
  return classifyEventual(first, second, members, {
    firstAt,
    secondAt: Math.max(clock.now(), firstAt + intervalMs),
    ...times,
  });
}

/** What each had, as far as it is not the same on all, from how one differs from each of the others. */
function samplesOf(source: number, comparisons: readonly MergingComparison[]): EventualSample[] {
  const good = comparisons.filter(({ problem }) => problem === undefined);
  const own = new Map<string, EntryState>();
  for (const { differences } of good) {
    for (const { key, ours } of differences) {
      const state = stateOf(ours);
      if (state !== undefined) own.set(key, state);
    }
  }
  const samples = good.map(({ member, theirRoot, differences }) => {
    const entries = new Map(own);
    for (const { key, theirs } of differences) {
      const state = stateOf(theirs);
      if (state === undefined) entries.delete(key);
      else entries.set(key, state);
    }
    return sampleOf(member, theirRoot, entries);
  });
  return [sampleOf(source, good[0]?.ourRoot ?? '', own), ...samples];
}

function sampleOf(member: number, root: string, entries: ReadonlyMap<string, EntryState>): EventualSample {
  return { member, algorithm, root, entries };
}

function stateOf(leaf: string | undefined): EntryState | undefined {
  if (leaf === undefined) return undefined;
  const { stamp, kind, digest } = decodeLeaf(Buffer.from(leaf, 'hex'));
  const parts = [stamp.ms, stamp.counter, stamp.member].map((part) => String(part).padStart(16, '0'));
  return {
    stamp: parts.join('.'),
    at: stamp.ms,
    hash: Buffer.from(digest).toString('hex'),
    deleted: kind === 'tombstone',
  };
}

function isDamaged({ root }: Answer): boolean {
  const { bad = [], damage } = root?.verification ?? {};
  return bad.length > 0 || damage !== undefined;
}

/** It has read all that it has stored. */
function isRead({ root }: Answer): boolean {
  const { isDone = false, refused, problem } = root?.verification ?? {};
  return isDone && refused === undefined && problem === undefined;
}

/** Of a deep check: damage comes before all else, and who has not read everything is not known to be well. */
function verdictOf({ verdict }: EventualOutcome, answers: readonly Answer[]): CheckVerdict {
  if (answers.some(isDamaged)) return 'inconsistent';
  const mayBeWell = verdict === 'converged' || verdict === 'lagging';
  return mayBeWell && !answers.every(isRead) ? 'indeterminate' : verdict;
}

function replicaOf({ member, root, problem }: Answer, ms: number): CheckReplica {
  const { objects, entries, bytes } = root?.counters ?? { objects: 0, entries: 0, bytes: 0 };
  const { bad = [], damage, refused, problem: ended } = root?.verification ?? {};
  const unreadable = bad.length > 0 ? `${String(bad.length)} damaged entries` : undefined;
  const what = damage ?? unreadable ?? problem ?? refused ?? ended;
  return {
    ...{ member, root: (root?.root ?? '').slice(0, 16), index: 0, objects, entries, bytes, ms },
    ...(what === undefined ? {} : { problem: what }),
  };
}

function reasonOf({ reason }: EventualOutcome, answers: readonly Answer[], isDeep: boolean): string {
  const parts = [reason];
  const damaged = answers.filter(isDamaged);
  if (damaged.length > 0) parts.push(`damaged on ${named(damaged)}`);
  const unread = isDeep ? answers.filter((answer) => answer.root !== undefined && !isRead(answer)) : [];
  if (unread.length > 0) parts.push(`${named(unread)} did not read all that is stored`);
  for (const { member, root } of answers) {
    const note = root?.verification?.note;
    if (note !== undefined) parts.push(`${note} on member ${String(member)}`);
  }
  return parts.filter((part) => part !== '').join('; ');
}

function named(answers: readonly Answer[]): string {
  return `${answers.length === 1 ? 'member' : 'members'} ${answers.map(({ member }) => String(member)).join(', ')}`;
}

/**
 * Damaged replicas get an alarm; alarms on replicas that were made anew, and are like the others now, go. So do others,
 * where the replica has read all that it has stored and found it good.
 */
async function setAlarms(
  meta: MetaGroup,
  shard: ShardRecord,
  answers: readonly Answer[],
  check: CheckRecord,
): Promise<void> {
  for (const member of check.minority) {
    const epoch = checkedEpoch(meta.state, shard, member);
    if (epoch === undefined) continue;
    const alarm = { shard: shard.id, member, epoch, kind: 'corrupt-replica', since: check.at } as const;
    await meta.propose({ type: 'setAlarm', alarm: { ...alarm, evidence: evidenceOf(answers, check, member) } });
  }
  if (check.verdict !== 'converged') return;
  const good = new Set(answers.filter(isRead).map(({ member }) => member));
  for (const { shard: id, member, epoch } of [...meta.state.alarms]) {
    if (id !== shard.id || member === undefined || isNewer(shard, member, epoch)) continue;
    if (alarmOf(meta.state, shard, member) !== undefined && !good.has(member)) continue;
    await meta.propose({ type: 'clearAlarm', shard: id, member });
  }
}

function evidenceOf(answers: readonly Answer[], { replicas, task }: CheckRecord, member: number): string {
  const problem = replicas.find((replica) => replica.member === member)?.problem ?? '';
  const bad = answers.find((answer) => answer.member === member)?.root?.verification?.bad ?? [];
  const names = bad.length === 0 ? '' : `, such as ${bad.slice(0, 3).join(', ')}`;
  return `member ${String(member)}: ${problem}${names} (task ${String(task)})`;
}
