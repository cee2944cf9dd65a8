import type {
  CheckRecord,
  Finding,
  NewCommand,
  RefusalCode,
  Settings,
  StopReason,
  TaskMove,
  TaskRecord,
  Throttle,
} from '../meta/index.ts';
import { checkFinding, isGood, type NameOf, verdictCounts } from './check-findings.ts';

/** Tries of one move, for reasons that may pass. */
const maxAttempts = 3;
/** Wait before another try of a move, times the tries so far. */
const retryMs = 5000;
const maxFailureFindings = 50;

/** What the coordinator does for one task now; all of it as commands to the meta group. */
export interface TaskTurn {
  /** Moves to begin, by index. */
  readonly begin: readonly number[];
  /** Moves that end without having begun. */
  readonly drop: readonly {
    readonly move: number;
    readonly outcome: 'skipped' | 'failed';
    readonly reason: StopReason;
  }[];
  /** The task is over. */
  readonly finish?:
    | {
        readonly state: 'cancelled' | 'succeeded' | 'failed';
        readonly message: string;
        readonly findings: readonly Finding[];
      }
    | undefined;
}

export interface Found {
  readonly checks: readonly CheckRecord[];
  readonly nameOf: NameOf;
}

const nothingFound: Found = { checks: [], nameOf: (member) => `member ${String(member)}` };

/** The bounds of a task: its own, else those of its kind. */
export function throttleOf(task: Pick<TaskRecord, 'kind' | 'throttle'>, settings: Settings): Throttle {
  return task.throttle ?? (task.kind === 'repair' ? settings.repairThrottle : settings.throttle);
}

/** Moves under way. Repair is counted apart, so that neither waits for the other. */
class Usage {
  readonly #byNode = new Map<number, number>();
  replica = 0;
  leader = 0;
  check = 0;

  add(move: TaskMove): void {
    this[move.kind]++;
    if (move.kind !== 'replica') return;
    for (const member of new Set([move.from, move.to])) {
      if (member !== undefined) this.#byNode.set(member, (this.#byNode.get(member) ?? 0) + 1);
    }
  }

  /** A bound of 0 pauses. */
  allows(move: TaskMove, throttle: Throttle): boolean {
    if (move.kind === 'leader') return this.leader < throttle.leaderMoves;
    if (move.kind === 'check') return this.check < throttle.checks;
    if (this.replica >= throttle.movesPerCluster) return false;
    return [move.from, move.to].every(
      (member) => member === undefined || (this.#byNode.get(member) ?? 0) < throttle.movesPerNode,
    );
  }
}

/**
 * Which moves of the tasks to begin now, in order of the plans; older tasks first, repair with a quota of its own. At
 * most one move of a shard is under way, and moves of one shard go in the order of the plan. `found`: the outcomes of
 * checks, for the findings of tasks that end.
 */
export function takeTurns(
  tasks: readonly TaskRecord[],
  settings: Settings,
  now: number,
  found: Found = nothingFound,
): Map<number, TaskTurn> {
  const active = tasks.filter(({ state }) => state === 'running' || state === 'cancelling').sort((a, b) => a.id - b.id);
  const usage = { repair: new Usage(), other: new Usage() };
  const busy = new Set<number>();
  for (const task of active) {
    for (const move of task.moves) {
      if (move.state !== 'running') continue;
      usage[poolOf(task)].add(move);
      if (move.kind !== 'check') busy.add(move.shard);
    }
  }
  return new Map(
    active.map((task) => {
      const throttle = throttleOf(task, settings);
      return [task.id, turnOf(task, throttle, usage[poolOf(task)], busy, now, found)];
    }),
  );
}

const refusals: Readonly<Partial<Record<RefusalCode, StopReason>>> = {
  EpochConflict: 'EpochNotMatch',
  ShardBusy: 'ShardBusy',
  ShardUnknown: 'ShardGone',
};

/**
 * The commands that carry a move to its begin, one after the other; to each, the code is given back with which it was
 * refused, if it was. A move that cannot begin any more is skipped, with the reason. Returns the code of a refusal
 * that is no answer to whether the move may begin.
 */
export function* beginning(
  by: { readonly task: number; readonly term: number },
  move: number,
): Generator<NewCommand, RefusalCode | undefined, RefusalCode | undefined> {
  const code = yield { type: 'beginMove', move, ...by };
  if (code === undefined) return undefined;
  const reason = refusals[code];
  if (reason === undefined) return code;
  return yield { type: 'endMove', move, outcome: 'skipped', reason, bytesDone: 0, ...by };
}

function poolOf(task: TaskRecord): 'repair' | 'other' {
  return task.kind === 'repair' ? 'repair' : 'other';
}

function turnOf(
  task: TaskRecord,
  throttle: Throttle,
  usage: Usage,
  busy: Set<number>,
  now: number,
  found: Found,
): TaskTurn {
  const begin: number[] = [];
  const drop: { move: number; outcome: 'skipped'; reason: StopReason }[] = [];
  /** Shards of which an earlier move did not end as planned. */
  const broken = new Set<number>();
  const waiting = new Set<number>();
  let isUnderWay = false;
  for (const [index, move] of task.moves.entries()) {
    if (move.state === 'running') {
      isUnderWay = true;
      waiting.add(move.shard);
    }
    if (move.state === 'failed' || move.state === 'cancelled') broken.add(move.shard);
    if (move.state !== 'pending' || task.state === 'cancelling') continue;
    if (broken.has(move.shard)) {
      drop.push({ move: index, outcome: 'skipped', reason: 'Superseded' });
      continue;
    }
    isUnderWay = true;
    // A check waits for what its own task does to the shard before, not for others.
    const isFree = !waiting.has(move.shard) && (move.kind === 'check' || !busy.has(move.shard));
    waiting.add(move.shard);
    const waited = now - (move.stepAt ?? 0);
    // Noted by a clock that was ahead, or before this one was set back: to wait for that hour could take for ever.
    const isOfLater = waited < 0;
    const isDue = move.attempts === 0 || isOfLater || waited >= retryMs * move.attempts;
    if (!isFree || !isDue || !usage.allows(move, throttle)) continue;
    usage.add({ ...move });
    if (move.kind !== 'check') busy.add(move.shard);
    begin.push(index);
  }
  return { begin, drop, finish: isUnderWay || drop.length > 0 ? undefined : finishOf(task, found) };
}

function finishOf(task: TaskRecord, { checks, nameOf }: Found): NonNullable<TaskTurn['finish']> {
  const failures = task.moves.filter(({ state }) => state === 'failed');
  const skipped = task.moves.filter(({ state }) => state === 'skipped');
  const gone = skipped.filter(({ reason }) => reason === 'ShardGone');
  const left = skipped.filter(({ reason }) => reason !== 'ShardGone');
  const own = checks.filter((check) => check.task === task.id);
  const verdicts = own.length === 0 ? '' : `: ${verdictCounts(own)}`;
  const done = `${task.movesDone} of ${task.movesTotal} done${verdicts}`;
  const findings = [
    ...failures.slice(0, maxFailureFindings).map((move) => moveFinding(move, 'failed', nameOf)),
    ...left.slice(0, maxFailureFindings).map((move) => moveFinding(move, 'skipped', nameOf)),
    ...own.flatMap((check) => checkFinding(check, nameOf) ?? []).slice(0, maxFailureFindings),
    ...(gone.length === 0 ? [] : [goneFinding(gone)]),
  ];
  if (task.state === 'cancelling') return { state: 'cancelled', message: `${task.message}, ${done}`, findings };
  // A check that does not know, or found something, is no success.
  if (failures.length === 0 && left.length === 0)
    return { state: own.every(isGood) ? 'succeeded' : 'failed', message: done, findings };
  const counts = [
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(left.length > 0 ? [`${left.length} skipped`] : []),
  ];
  return { state: 'failed', message: [done, ...counts].join(', '), findings };
}

const remedies: Readonly<Record<StopReason, string>> = {
  EpochNotMatch: 'Plan again: the shard changed meanwhile.',
  MembershipNotMatch: 'Plan again: the shard has other replicas than planned.',
  ShardGone: 'Nothing: the collection was deleted.',
  ShardBusy: 'Start it again when the other task has ended.',
  NodeDown: 'Bring the member back, or let it be repaired.',
  NoLeader: 'See why the shard has no leader: a majority of its replicas must answer.',
  Timeout: 'See whether the receiver keeps up: raise its bytes per second, or lower the load.',
  Cancelled: 'Nothing.',
  QuorumAtRisk: 'Bring back replicas of the shard first: the move would have left it without a majority.',
  Capacity: 'Give the member more room, or add a member.',
  StorageFailed: 'See the log of the member for what its disk did.',
  Superseded: 'Plan again.',
};

function moveFinding(move: TaskMove, what: 'failed' | 'skipped', nameOf: NameOf): Finding {
  const reason = move.reason ?? 'Timeout';
  const from = move.from === undefined ? '' : ` from ${nameOf(move.from)}`;
  const to = move.to === undefined ? '' : ` to ${nameOf(move.to)}`;
  return {
    severity: what === 'failed' ? 'error' : 'warning',
    code: reason,
    message: `${move.collection}/${move.partition}: ${move.kind}${from}${to} ${what}`,
    evidence: `step ${move.step ?? 'none'}, ${move.attempts} tries, ${move.bytesDone} of ${move.bytes} bytes`,
    remedy: remedies[reason],
  };
}

function goneFinding(moves: readonly TaskMove[]): Finding {
  const names = [...new Set(moves.map(({ collection }) => collection))].join(', ');
  return {
    severity: 'info',
    code: 'ShardGone',
    message: `${moves.length} were left out: their collection was deleted`,
    evidence: names.slice(0, 1000),
    remedy: remedies.ShardGone,
  };
}

/** How a move ends in the task after its steps ended: reasons that may pass get another try. */
export function moveOutcome(
  end: { readonly outcome: 'done' | 'skipped' | 'cancelled' | 'failed'; readonly reason?: StopReason | undefined },
  attempts: number,
  cancelling: boolean,
): 'done' | 'skipped' | 'cancelled' | 'failed' | 'retry' {
  if (end.outcome !== 'failed') return end.outcome;
  const mayPass = end.reason === 'NoLeader' || end.reason === 'Timeout' || end.reason === 'QuorumAtRisk';
  if (!mayPass || attempts >= maxAttempts) return 'failed';
  return cancelling ? 'cancelled' : 'retry';
}
