import { invalidThrottle } from './settings.ts';
import { type ApplyResult, type Command, notesGrowth, type Refusal, tellsPartitionsApart } from './commands.ts';
import { setMemberState, stopDraining } from './apply-members.ts';
import { accepted, refused, unchanged } from './result.ts';
import type { ClusterRecord, MetaState, TaskMove, TaskRecord } from './types.ts';

type Of<T extends Command['type']> = Extract<Command, { type: T }>;

const maxMoves = 100_000;
const maxUnfinished = 100;
const maxFinished = 200;
const maxFindings = 100;

export function isFinished({ state }: TaskRecord): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

/** Stores a plan as a task. Each move remembers the epoch of its shard, so that a stale one is noticed at its turn. */
export function createTask(state: MetaState, cluster: ClusterRecord, command: Of<'createTask'>): ApplyResult {
  const { kind, collection, member, actor, topologyEpoch, throttle, options, at, message } = command;
  if (topologyEpoch !== cluster.epoch) {
    return refused(
      'PlanStale',
      `the topology is at epoch ${cluster.epoch}, the plan at ${topologyEpoch}`,
      cluster.epoch,
    );
  }
  const unfinished = [...state.tasks.values()].filter((task) => !isFinished(task));
  const ofPartition = (given: TaskRecord['options']): string | undefined =>
    cluster.commandVersion >= tellsPartitionsApart ? given['partition'] : undefined;
  const twin = unfinished.find(
    (one) =>
      one.kind === kind &&
      one.collection === collection &&
      one.member === member &&
      ofPartition(one.options) === ofPartition(options),
  );
  if (twin !== undefined) return refused('TaskExists', `task ${twin.id} does the same and is ${twin.state}`);
  if (unfinished.length >= maxUnfinished || command.moves.length > maxMoves) {
    return refused('TooMany', `at most ${maxUnfinished} unfinished tasks, with ${maxMoves} moves each`);
  }
  const problem = throttle === undefined ? undefined : invalidThrottle(throttle);
  if (problem !== undefined) return refused('Invalid', problem);
  const moves: TaskMove[] = [];
  for (const move of command.moves) {
    const shard = state.shards.get(move.shard);
    if (shard === undefined) return refused('ShardUnknown', `there is no shard ${move.shard}`);
    moves.push({ ...move, epoch: shard.epoch, state: 'pending', bytesDone: 0, attempts: 0 });
  }
  const id = state.next.task++;
  state.tasks.set(id, {
    id,
    kind,
    state: command.start ? 'running' : 'planned',
    collection,
    member,
    actor,
    createdAt: at,
    updatedAt: at,
    startedAt: command.start ? at : undefined,
    topologyEpoch,
    moves,
    movesTotal: moves.length,
    bytesTotal: moves.reduce((sum, { bytes }) => sum + bytes, 0),
    movesDone: 0,
    movesFailed: 0,
    movesSkipped: 0,
    bytesDone: 0,
    throttle,
    options,
    message,
    findings: [],
  });
  if (command.start) takeFromService(state, cluster, kind, member, at);
  return accepted({ id });
}

/** A drain and the state of its member begin at once: with a moment in between, the state alone would ask for a drain. */
function takeFromService(
  state: MetaState,
  cluster: ClusterRecord,
  kind: TaskRecord['kind'],
  member: number | undefined,
  at: number,
): void {
  if (kind !== 'drain' || member === undefined || state.members.get(member)?.state !== 'up') return;
  setMemberState(state, cluster, { type: 'setMemberState', member, state: 'draining', at });
}

export function startTask(state: MetaState, cluster: ClusterRecord, command: Of<'startTask'>): ApplyResult {
  const task = state.tasks.get(command.task);
  if (task === undefined) return unknownTask(command.task);
  if (task.state === 'running') return unchanged({ id: task.id });
  if (task.state !== 'planned') return wrongState(task, 'started');
  if (task.topologyEpoch !== cluster.epoch) {
    return refused('PlanStale', `the topology changed since task ${task.id} was planned: plan again`, cluster.epoch);
  }
  Object.assign(task, { state: 'running', startedAt: command.at, updatedAt: command.at });
  takeFromService(state, cluster, task.kind, task.member, command.at);
  return accepted({ id: task.id });
}

/** A planned task ends at once. A running one first ends the moves that are under way. */
export function cancelTask(state: MetaState, cluster: ClusterRecord, command: Of<'cancelTask'>): ApplyResult {
  const task = state.tasks.get(command.task);
  if (task === undefined) return unknownTask(command.task);
  if (task.state === 'cancelling') return unchanged({ id: task.id });
  if (isFinished(task)) return wrongState(task, 'cancelled');
  task.message = `cancelled by ${command.actor}`;
  task.updatedAt = command.at;
  if (task.state === 'planned') end(state, task, 'cancelled', command.at);
  else task.state = 'cancelling';
  const { member } = task;
  if (task.kind === 'drain' && member !== undefined) stopDraining(state, cluster, member, command.at);
  return accepted({ id: task.id });
}

export function setTaskThrottle(state: MetaState, command: Of<'setTaskThrottle'>): ApplyResult {
  const task = state.tasks.get(command.task);
  if (task === undefined) return unknownTask(command.task);
  if (isFinished(task)) return wrongState(task, 'throttled');
  const problem = command.throttle === undefined ? undefined : invalidThrottle(command.throttle);
  if (problem !== undefined) return refused('Invalid', problem);
  task.throttle = command.throttle;
  task.updatedAt = command.at;
  return accepted({ id: task.id });
}

export function claimTask(state: MetaState, command: Of<'claimTask'>): ApplyResult {
  const task = state.tasks.get(command.task);
  if (task === undefined) return unknownTask(command.task);
  if (isFinished(task)) return wrongState(task, 'claimed');
  const { claim } = task;
  if (claim !== undefined && claim.term > command.term) return stale(task, command.term);
  if (claim?.term === command.term && claim.member === command.member) return unchanged({ id: task.id });
  task.claim = { member: command.member, term: command.term };
  task.updatedAt = command.at;
  return accepted({ id: task.id });
}

/** Takes the shard for the move. Beginning it again is no change, so that a new coordinator can. */
export function beginMove(state: MetaState, command: Of<'beginMove'>): ApplyResult {
  const found = findMove(state, command);
  if ('ok' in found) return found;
  const { task, move } = found;
  if (move.state === 'running') return unchanged();
  if (task.state !== 'running' || move.state !== 'pending') return wrongState(task, `moved on (move is ${move.state})`);
  const shard = state.shards.get(move.shard);
  if (shard === undefined) return refused('ShardUnknown', `there is no shard ${move.shard}`);
  if (move.kind !== 'check') {
    if (shard.change !== undefined) {
      return refused('ShardBusy', `task ${shard.change.task} is changing shard ${shard.id}`);
    }
    if (shard.epoch !== move.epoch) {
      return refused('EpochConflict', `shard ${shard.id} changed since it was planned`, shard.epoch);
    }
    shard.change = { task: task.id, move: command.move };
  }
  Object.assign(move, { state: 'running', startedAt: move.startedAt ?? command.at, stepAt: command.at });
  move.reason = undefined;
  move.attempts++;
  task.updatedAt = command.at;
  return accepted();
}

/** How far running moves are. Bytes only grow, so that progress does not jump back after a restart. */
export function reportProgress(state: MetaState, cluster: ClusterRecord, command: Of<'progress'>): ApplyResult {
  const task = claimed(state, command);
  if ('ok' in task) return task;
  for (const { move: index, bytesDone, step } of command.moves) {
    const move = task.moves[index];
    if (move?.state !== 'running') continue;
    const before = move.bytesDone;
    move.bytesDone = Math.max(before, Math.min(bytesDone, move.bytes));
    const grows = cluster.commandVersion >= notesGrowth && move.bytesDone > before;
    if (grows || move.step !== step) Object.assign(move, { step, stepAt: command.at });
  }
  task.bytesDone = bytesDone(task);
  task.updatedAt = command.at;
  return accepted();
}

/** Ends a move and gives the shard back. `retry` lets it wait for another turn. */
export function endMove(state: MetaState, command: Of<'endMove'>): ApplyResult {
  const found = findMove(state, command);
  if ('ok' in found) return found;
  const { task, move } = found;
  if (move.state !== 'running' && move.state !== 'pending') return unchanged();
  const shard = state.shards.get(move.shard);
  if (shard?.change?.task === task.id && shard.change.move === command.move) {
    shard.change = undefined;
    // While it was taken, only this move changed the shard: what was planned on top of it still fits.
    for (const later of task.moves)
      if (later.shard === shard.id && later.state === 'pending') later.epoch = shard.epoch;
    move.epoch = shard.epoch;
  }
  move.reason = command.reason;
  task.updatedAt = command.at;
  if (command.outcome === 'retry') {
    move.state = 'pending';
    move.step = undefined;
    return accepted();
  }
  move.state = command.outcome;
  move.finishedAt = command.at;
  move.bytesDone = command.outcome === 'done' ? move.bytes : Math.min(command.bytesDone, move.bytes);
  if (command.outcome === 'done') task.movesDone++;
  else if (command.outcome === 'failed') task.movesFailed++;
  else task.movesSkipped++;
  task.bytesDone = bytesDone(task);
  return accepted();
}

/** Ends a task that has no move under way: nothing is left half done. */
export function finishTask(state: MetaState, command: Of<'finishTask'>): ApplyResult {
  const task = claimed(state, command);
  if ('ok' in task) return task;
  if (task.state === 'planned') return wrongState(task, 'finished');
  if (task.moves.some((move) => move.state === 'running')) return wrongState(task, 'finished: moves are under way');
  if (command.state === 'succeeded' && task.moves.some((move) => move.state === 'pending')) {
    return wrongState(task, 'finished: moves are left');
  }
  task.message = command.message;
  task.findings = command.findings.slice(0, maxFindings);
  end(state, task, command.state, command.at);
  return accepted({ id: task.id });
}

/** The collection and its shards are gone: moves of them end, and so do tasks that were about that collection alone. */
export function dropShards(
  state: MetaState,
  gone: ReadonlySet<number>,
  { name, at }: { readonly name: string; readonly at: number },
): void {
  for (const task of [...state.tasks.values()]) {
    if (isFinished(task)) continue;
    const under = task.moves.filter(
      ({ shard, state: move }) => gone.has(shard) && (move === 'pending' || move === 'running'),
    );
    for (const move of under) Object.assign(move, { state: 'skipped', reason: 'ShardGone', finishedAt: at });
    task.movesSkipped += under.length;
    if (task.collection !== name) continue;
    task.message = `ended: collection ${name} was deleted`;
    task.findings = [
      {
        severity: 'info',
        code: 'ShardGone',
        message: `collection ${name} was deleted`,
        evidence: `${task.movesDone} of ${task.movesTotal} were done by then`,
        remedy: 'Nothing.',
      },
    ];
    if (task.moves.some((move) => move.state === 'running')) task.state = 'cancelling';
    else end(state, task, 'cancelled', at);
  }
}

function end(state: MetaState, task: TaskRecord, outcome: 'cancelled' | 'succeeded' | 'failed', at: number): void {
  task.movesSkipped += task.moves.filter((move) => move.state === 'pending').length;
  Object.assign(task, { state: outcome, finishedAt: at, updatedAt: at, moves: [] });
  const finished = [...state.tasks.values()].filter(isFinished);
  finished.sort((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0) || a.id - b.id);
  for (const old of finished.slice(0, Math.max(0, finished.length - maxFinished))) state.tasks.delete(old.id);
}

function bytesDone(task: TaskRecord): number {
  return task.moves.reduce((sum, move) => sum + move.bytesDone, 0);
}

function findMove(
  state: MetaState,
  command: { readonly task: number; readonly term: number; readonly move: number },
): { readonly task: TaskRecord; readonly move: TaskMove } | Refusal {
  const task = claimed(state, command);
  if ('ok' in task) return task;
  const move = task.moves[command.move];
  return move === undefined ? refused('Invalid', `task ${task.id} has no move ${command.move}`) : { task, move };
}

/** The task, if the sender coordinates it. */
function claimed(
  state: MetaState,
  { task: id, term }: { readonly task: number; readonly term: number },
): TaskRecord | Refusal {
  const task = state.tasks.get(id);
  if (task === undefined) return unknownTask(id);
  if (isFinished(task)) return wrongState(task, 'worked on');
  return task.claim?.term === term ? task : stale(task, term);
}

function stale(task: TaskRecord, term: number): Refusal {
  const claim = task.claim === undefined ? 'by nobody' : `in term ${task.claim.term}`;
  return refused('StaleCoordinator', `task ${task.id} is claimed ${claim}, not in term ${term}`);
}

function unknownTask(id: number): Refusal {
  return refused('TaskUnknown', `there is no task ${id}`);
}

function wrongState(task: TaskRecord, action: string): Refusal {
  return refused('TaskState', `task ${task.id} is ${task.state} and cannot be ${action}`);
}
