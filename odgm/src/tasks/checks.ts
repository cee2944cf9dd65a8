import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import {
  alarmOf,
  canDoWithout,
  type CheckRecord,
  type CheckReplica,
  type MetaGroup,
  type ShardRecord,
  type TaskRecord,
} from '../meta/index.ts';
import { checkMerging } from './check-merging.ts';
import { classifyRaft, type RaftCheckOutcome } from './check-raft.ts';
import type { CheckService, Marked } from './check-service.ts';
import { consequencesOf } from './consequences.ts';
import type { CheckControl, ShardChecker } from './coordinator.ts';
import { differencesOf } from './differences.ts';
import type { ScanReport } from './scrubber.ts';

export interface CheckerOptions {
  readonly meta: MetaGroup;
  readonly checks: CheckService;
  /** Member that leads the shard, as far as is known; 0 for nobody. */
  readonly leaderOf: (shard: number) => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** How long a check waits for a leader that takes its mark. */
const markMs = 10_000;
/** How long replicas have to apply the mark, and those that are known to be down. */
const answerMs = 5000;
const downMs = 1000;
const pollMs = 50;
const scanPollMs = 250;
/** A scan that reads nothing for so long has ended. */
const stalledMs = 60_000;
/** How long a fast check looks for what differs, once it knows that something does. */
const explainMs = 30_000;

/** What is known of one replica at a mark. */
export interface Answer {
  readonly member: number;
  /** Its root is empty when it did not answer. */
  readonly replica: CheckReplica;
  readonly algorithm: number;
  scan: ScanReport | undefined;
}

/** One mark, and what became of it. */
export interface Round {
  readonly id: string;
  readonly isScan: boolean;
  readonly marked: Marked;
  readonly answers: readonly Answer[];
}

type About = Pick<CheckRecord, 'shard' | 'collection' | 'partition' | 'task' | 'mode'>;

/**
 * Checks shards, those whose replicas merge as {@link checkMerging} says. Others follow one log: each replica says what it had at a mark in the log. A fast check compares what
 * replicas keep with every change; a deep one has them read what they have stored. When replicas differ, a fast check
 * has them read it as well, to tell what differs.
 */
export class ConsistencyChecker implements ShardChecker {
  readonly #options: CheckerOptions;
  #marks = 0;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** The outcome is recorded in the meta group, with alarms where it asks for them. Rejects when that cannot be done. */
  async check(record: ShardRecord, task: TaskRecord, control: CheckControl): Promise<{ readonly bytes: number }> {
    // The record changes when a replica is made anew meanwhile; what is found is about the ones that are there now.
    const shard = { ...record };
    const isDeep = task.options['mode'] === 'deep' || task.kind === 'repair';
    const about: About = {
      ...{ shard: shard.id, collection: shard.collection, partition: shard.partition, task: task.id },
      mode: isDeep ? 'deep' : 'fast',
    };
    if (shard.merges) return checkMerging(this.#options, shard, about, control);
    let round = await this.#round(shard, task, isDeep, control);
    if (typeof round === 'string') return this.#unknown(about, round);
    if (isDeep) await this.#awaitScans(shard, round, Infinity, control);
    else if (classify(round).verdict === 'inconsistent') {
      // Once more, and this time with what they have stored as of then; it also shows that it was no slip.
      const again = await this.#round(shard, task, true, control);
      if (typeof again !== 'string') {
        round = again;
        // First things first: what they have stored as of the mark can be read all the same.
        await this.#conclude(shard, round, this.#recordOf(about, round, []));
        await this.#awaitScans(shard, round, explainMs, control);
      }
    }
    if (control.isCancelled()) return { bytes: 0 };
    const differing = await differencesOf(this.#options, shard.id, round, control);
    const check = this.#recordOf(about, round, differing);
    await this.#conclude(shard, round, check);
    await this.#options.meta.propose({ type: 'recordCheck', check });
    this.#release(shard, round);
    return { bytes: Math.max(0, ...round.answers.map(({ scan, replica }) => scan?.readBytes ?? replica.bytes)) };
  }

  async #unknown(about: About, reason: string): Promise<{ readonly bytes: number }> {
    const at = this.#options.clock.now();
    const check: CheckRecord = {
      ...about,
      ...{ at, verdict: 'indeterminate', replicas: [], minority: [], differing: [], reason },
    };
    await this.#options.meta.propose({ type: 'recordCheck', check });
    return { bytes: 0 };
  }

  /** A mark and what all replicas had there; a text says why there is none. */
  async #round(shard: ShardRecord, task: TaskRecord, scan: boolean, control: CheckControl): Promise<Round | string> {
    const { clock } = this.#options;
    const id = `${String(task.id)}.${String(shard.id)}.${clock.now().toString(36)}.${String(++this.#marks)}`;
    const startedAt = clock.monotonic();
    control.progress('mark', 0);
    const marked = await this.#mark(shard.id, id, scan, control);
    if (typeof marked === 'string') return marked;
    control.progress('answers', 0);
    const members = [...marked.voters, ...marked.learners];
    const answers = await Promise.all(members.map((member) => this.#answer(shard, member, id, startedAt, control)));
    return { id, isScan: scan, marked, answers };
  }

  async #mark(shard: number, id: string, scan: boolean, control: CheckControl): Promise<Marked | string> {
    const { checks, leaderOf, clock, timers } = this.#options;
    const until = clock.monotonic() + markMs;
    let problem = 'the shard has no leader';
    while (clock.monotonic() < until && !control.isCancelled()) {
      const leader = leaderOf(shard);
      try {
        if (leader !== 0) return await checks.mark(leader, shard, id, scan);
      } catch (thrown) {
        problem = toOaasError(thrown).message;
      }
      await sleep(timers, pollMs);
    }
    return problem;
  }

  async #answer(
    shard: ShardRecord,
    member: number,
    id: string,
    startedAt: number,
    control: CheckControl,
  ): Promise<Answer> {
    const { checks, meta, clock, timers } = this.#options;
    const tookMs = (): number => clock.monotonic() - startedAt;
    const silent = (problem: string): Answer => ({
      member,
      replica: { ...{ member, root: '', index: 0, objects: 0, entries: 0, bytes: 0 }, ms: tookMs(), problem },
      algorithm: 0,
      scan: undefined,
    });
    // Replicas with an alarm go on following the log only where the others could not without them.
    const isSetApart = alarmOf(meta.state, shard, member) !== undefined && canDoWithout(meta.state, shard);
    const isDown = meta.state.members.get(member)?.state === 'down';
    const until = clock.monotonic() + (isSetApart ? 0 : isDown ? downMs : answerMs);
    let problem = 'it did not come to the mark in time';
    if (isDown) problem = 'its member is down';
    else if (isSetApart) problem = 'it is set apart by an alarm';
    while (!control.isCancelled()) {
      try {
        const { mark, scan } = await checks.answer(member, shard.id, id);
        if (mark !== undefined) {
          const { root, index, algorithm, counters } = mark;
          return { member, replica: { member, root, index, ...counters, ms: tookMs() }, algorithm, scan };
        }
      } catch (thrown) {
        problem = toOaasError(thrown).message;
      }
      if (clock.monotonic() >= until) break;
      await sleep(timers, pollMs);
    }
    return silent(problem);
  }

  /** Asks until all scans are done, nothing is read any more, or time is over. */
  async #awaitScans(
    shard: ShardRecord,
    { id, answers }: Round,
    withinMs: number,
    control: CheckControl,
  ): Promise<void> {
    const { checks, clock, timers } = this.#options;
    const startedAt = clock.monotonic();
    const asked = answers.filter(({ replica }) => replica.root !== '');
    let readBytes = 0;
    let movedAt = startedAt;
    while (!control.isCancelled()) {
      await Promise.all(
        asked.map(async (answer) => {
          if (answer.scan?.isDone === true) return;
          try {
            answer.scan = (await checks.answer(answer.member, shard.id, id)).scan ?? answer.scan;
          } catch {
            // It may come back; if it does not, nothing moves any more.
          }
        }),
      );
      const read = asked.reduce((sum, { scan }) => sum + (scan?.readBytes ?? 0), 0);
      const now = clock.monotonic();
      if (read > readBytes) movedAt = now;
      readBytes = read;
      control.progress('scan', Math.round(readBytes / Math.max(1, asked.length)));
      if (asked.every(({ scan }) => scan?.isDone === true)) return;
      if (now - movedAt > stalledMs || now - startedAt > withinMs) return;
      await sleep(timers, scanPollMs);
    }
  }

  #recordOf(about: About, round: Round, differing: readonly string[]): CheckRecord {
    const { verdict, minority, reason } = classify(round);
    const bad = round.answers.flatMap(({ scan }) => scan?.bad ?? []);
    const notes = round.answers.flatMap(({ member, scan }) =>
      scan?.note === undefined ? [] : [`${scan.note} on member ${String(member)}`],
    );
    return {
      ...about,
      at: this.#options.clock.now(),
      verdict,
      replicas: round.answers.map(({ replica, scan }) => {
        const problem = replica.problem ?? scan?.refused ?? scan?.damage;
        return problem === undefined ? replica : { ...replica, problem };
      }),
      minority,
      differing: [...new Set([...bad, ...differing])],
      reason: [reason, ...notes].filter((part) => part !== '').join('; '),
    };
  }

  async #conclude(shard: ShardRecord, round: Round, check: CheckRecord): Promise<void> {
    const { meta, logger } = this.#options;
    for (const command of consequencesOf(meta.state, shard, classify(round), check)) {
      logger.warn({ command: command.type, shard: shard.id, minority: check.minority }, 'a check has a consequence');
      await meta.propose(command);
    }
  }

  /** Lets go of what replicas hold for the check; they do it by themselves after a while. */
  #release(shard: ShardRecord, { id, isScan, answers }: Round): void {
    if (!isScan) return;
    for (const { member } of answers) this.#options.checks.release(member, shard.id, id).catch(() => undefined);
  }
}

/** Never consistent while a replica that was to read what it has stored has not done so. */
function classify({ marked, answers, isScan }: Round): RaftCheckOutcome {
  const known = answers.filter(({ replica }) => replica.root !== '');
  const outcome = classifyRaft(
    known.map(({ member, replica: { root, index }, algorithm, scan }) => ({
      ...{ member, root, index, algorithm },
      isDamaged: scan?.damage !== undefined,
    })),
    marked.voters,
    marked.learners,
  );
  const open = known.filter(({ scan }) => isScan && (scan?.isDone !== true || scan.refused !== undefined));
  if (outcome.verdict !== 'consistent' || open.length === 0) return outcome;
  const members = open.map(({ member }) => String(member)).join(', ');
  return { ...outcome, verdict: 'indeterminate', reason: `members ${members} have not read all that they have stored` };
}
