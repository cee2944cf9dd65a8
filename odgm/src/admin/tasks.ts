import { oaasError, toOaasError } from '@oaas/commons/errors';
import { type CancelSignal, type Clock, sleep, type Timers, toRfc3339 } from '@oaas/commons/time';
import type { admin } from '@oaas/proto';
import { type CheckRecord, isFinished, type TaskKind, type TaskRecord, type Throttle } from '../meta/index.ts';
import type { GridNode } from '../node/index.ts';
import { stableHash } from '../placement/index.ts';
import { camelName } from './json.ts';
import { metaOf } from './meta-of.ts';
import { type PlannedTask, planTask, progressOf, throttleOf, type TaskWish } from '../tasks/index.ts';

/** What a caller asks for; all that the wire has. */
export type TaskAsk = Pick<admin.TaskRequest, 'kind' | 'collection' | 'member' | 'options' | 'planId'>;

export interface TasksOptions {
  readonly node: GridNode;
  readonly clock: Clock;
  readonly timers: Timers;
}

const kinds: readonly TaskKind[] = ['rebalance', 'drain', 'repair', 'change-replicas', 'consistency-check'];
const throttleNames = [
  'movesPerNode',
  'movesPerCluster',
  'leaderMoves',
  'bytesPerSecond',
  'checks',
  'checkBytesPerSecond',
] as const;
const pageMax = 200;
const watchMs = 250;
/** Moves of one task that are listed. */
const movesShown = 1000;
/** Plans that are made for one start, while the topology changes under them. */
const triesMax = 5;
/** Options of a kind of task besides its throttle, with the values that they take; none: any text. */
const ownOptions: Readonly<Record<TaskKind, Readonly<Record<string, readonly string[] | undefined>>>> = {
  rebalance: {},
  drain: {},
  repair: { partition: undefined },
  'change-replicas': {},
  'consistency-check': { mode: ['fast', 'deep'] },
};
const idForm = /^[1-9]\d{0,15}$/;

/** Long actions, as administrators plan, start, watch and stop them. Any node answers. */
export class Tasks {
  readonly #options: TasksOptions;

  constructor(options: TasksOptions) {
    this.#options = options;
  }

  /** What a task would do. Changes nothing. Throws `InvalidArgument`, `NotFound`. */
  async plan(ask: TaskAsk): Promise<admin.TaskPlan> {
    const planned = await this.#planned(this.#wishOf({ ...ask, options: readOptions(ask.options) }));
    return this.#view(planned);
  }

  /**
   * Starts a task. Throws as {@link plan}, `FailedPrecondition` when the plan that was looked at is not what would be
   * done now, `AlreadyExists` for one that is under way.
   */
  async start(ask: TaskAsk, actor: string): Promise<admin.Task> {
    const meta = metaOf(this.#options.node);
    const options = readOptions(ask.options);
    const wish = this.#wishOf({ ...ask, options });
    const throttle = this.#throttleOf(options, wish);
    for (let tries = 1; ; tries++) {
      const planned = await this.#planned(wish);
      if (ask.planId !== '' && planIdOf(planned) !== ask.planId) {
        throw oaasError('FailedPrecondition', 'the plan is not what would be done now: the grid has changed', {
          remedy: 'Plan again, look at it, and start that.',
        });
      }
      try {
        const { id = 0 } = await meta.propose({
          type: 'createTask',
          kind: wish.kind,
          collection: wish.collection,
          member: wish.member,
          actor,
          moves: planned.moves,
          topologyEpoch: planned.topologyEpoch,
          throttle,
          options,
          start: true,
          message: planned.moves.length === 0 ? `nothing to do: ${planned.reason}` : 'running',
        });
        return await this.#untilSeen(id);
      } catch (thrown) {
        // Something else changed between plan and start. Nobody has looked at this plan yet: another will do.
        const isStale = toOaasError(thrown).details?.['code'] === 'PlanStale';
        if (!isStale || ask.planId !== '' || tries === triesMax) throw thrown;
      }
    }
  }

  /** Changes the throttle of a task under way. */
  async update(taskId: string, given: Readonly<Record<string, string>>): Promise<admin.Task> {
    const options = readOptions(given);
    const meta = metaOf(this.#options.node);
    const task = this.#record(taskId);
    if (Object.keys(options).length === 0) {
      throw oaasError('InvalidArgument', 'options: nothing to change is named', {
        remedy: `Name one of ${throttleNames.join(', ')}.`,
      });
    }
    checkOptions(options, throttleNames);
    const throttle = this.#throttleOf(options, task);
    await meta.propose({ type: 'setTaskThrottle', task: task.id, throttle });
    return this.#untilSeen(task.id);
  }

  async cancel(taskId: string, actor: string): Promise<admin.Task> {
    const meta = metaOf(this.#options.node);
    const task = this.#record(taskId);
    await meta.propose({ type: 'cancelTask', task: task.id, actor });
    return this.#untilSeen(task.id);
  }

  get(taskId: string): admin.Task {
    return this.#task(this.#record(taskId));
  }

  /** Newest first, at most 200 at a time; `limit` 0 stands for 50. Throws `InvalidArgument`. */
  list(limit: number, cursor: string): admin.ListTasksResponse {
    if (!Number.isSafeInteger(limit) || limit < 0) {
      throw oaasError('InvalidArgument', 'limit is no whole number', {
        remedy: `Give a number from 0 to ${String(pageMax)}.`,
      });
    }
    if (cursor !== '' && !idForm.test(cursor)) {
      throw oaasError('InvalidArgument', 'cursor is none that a list of tasks has given', {
        remedy: 'Give the next_cursor of the page before, or none for the first page.',
      });
    }
    const all = [...metaOf(this.#options.node).state.tasks.values()].sort((a, b) => b.id - a.id);
    const from = cursor === '' ? 0 : all.findIndex(({ id }) => id < Number(cursor));
    const size = Math.min(limit === 0 ? 50 : limit, pageMax);
    const page = from < 0 ? [] : all.slice(from, from + size);
    const last = page.at(-1);
    const hasMore = last !== undefined && all.at(-1) !== last;
    return { tasks: page.map((task) => this.#task(task)), nextCursor: hasMore ? String(last.id) : '' };
  }

  /** The task whenever something of it has changed, until it is over. */
  async *watch(taskId: string, signal: CancelSignal): AsyncGenerator<admin.Task> {
    let last = '';
    for (;;) {
      const task = this.get(taskId);
      const text = JSON.stringify(task);
      if (text !== last) yield task;
      last = text;
      if (isFinished(this.#record(taskId))) return;
      await sleep(this.#options.timers, watchMs, signal);
    }
  }

  /** What the last checks found, the newest of each shard, by collection and partition. */
  checks(): admin.ShardCheck[] {
    const newest = new Map(metaOf(this.#options.node).state.checks.map((check) => [check.shard, check]));
    const inOrder = [...newest.values()].sort(
      (a, b) => a.collection.localeCompare(b.collection) || a.partition - b.partition,
    );
    return inOrder.map((check) => this.#check(check));
  }

  #wishOf({ kind, collection, member, options }: TaskAsk): TaskWish {
    const known = kinds.find((one) => one === kind);
    if (known === undefined) {
      throw oaasError('InvalidArgument', `kind: "${kind}" is no kind of task`, {
        remedy: `Use one of ${kinds.join(', ')}.`,
      });
    }
    checkOptions(options, [...throttleNames, ...Object.keys(ownOptions[known])]);
    for (const [name, values] of Object.entries(ownOptions[known])) {
      const value = options[name];
      if (value === undefined || values === undefined || values.includes(value)) continue;
      throw oaasError('InvalidArgument', `option ${name} is "${value}"`, { remedy: `Use ${values.join(' or ')}.` });
    }
    const partition = this.#partitionOf(options['partition'], collection, member);
    if (member === '') {
      if (known !== 'drain') return { kind: known, collection };
      throw oaasError('InvalidArgument', 'member: a drain needs one', { remedy: 'Name the member that is drained.' });
    }
    if (known === 'consistency-check') {
      throw oaasError('InvalidArgument', 'member: a consistency check compares the replicas of all members', {
        remedy: 'Leave the member out.',
      });
    }
    const record = [...metaOf(this.#options.node).state.members.values()].find(
      ({ id, replacedBy }) => id === member && replacedBy === undefined,
    );
    if (record === undefined) throw oaasError('NotFound', `there is no member "${member}"`);
    return { kind: known, collection, member: record.number, partition };
  }

  /** Of the replica that is to be made anew. */
  #partitionOf(text: string | undefined, collection: string, member: string): number | undefined {
    if (text === undefined) return undefined;
    if (collection === '' || member === '') {
      throw oaasError('InvalidArgument', 'option partition needs a collection and a member', {
        remedy: 'Name the collection, and the member whose replica is made anew.',
      });
    }
    const count = metaOf(this.#options.node).state.collections.get(collection)?.spec.partitionCount;
    if (count === undefined) throw oaasError('NotFound', `there is no collection "${collection}"`);
    const partition = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    if (partition < 0 || partition >= count) {
      throw oaasError('InvalidArgument', `option partition is "${text}"`, {
        remedy: `Collection ${collection} has partitions 0 to ${String(count - 1)}.`,
      });
    }
    return partition;
  }

  async #planned(wish: TaskWish): Promise<PlannedTask> {
    const { node } = this.#options;
    const meta = metaOf(node);
    await meta.catchUp();
    await node.reports.refresh();
    return planTask(meta.state, node.reports.loads(), wish, meta.isGone);
  }

  /** What is not named stays as it is for the task, or for tasks of its kind. */
  #throttleOf(
    options: Readonly<Record<string, string>>,
    of: Pick<TaskRecord, 'kind' | 'throttle'>,
  ): Throttle | undefined {
    const { settings } = metaOf(this.#options.node).state;
    const base = throttleOf(of, settings);
    const changed: Partial<Record<(typeof throttleNames)[number], number>> = {};
    for (const name of throttleNames) {
      const text = options[name];
      if (text === undefined) continue;
      const value = text === '' ? NaN : Number(text);
      // No moves at a time are a pause; no bytes a second would be a move that never ends.
      const least = name.endsWith('ytesPerSecond') ? 1 : 0;
      if (!Number.isSafeInteger(value) || value < least) {
        throw oaasError('InvalidArgument', `option ${name} is "${text}"`, {
          remedy: `Give a whole number of at least ${String(least)}.`,
        });
      }
      changed[name] = value;
    }
    return Object.keys(changed).length === 0 ? of.throttle : { ...base, ...changed };
  }

  /** This member applies what the leader has committed a moment later. */
  async #untilSeen(id: number): Promise<admin.Task> {
    await metaOf(this.#options.node).catchUp();
    return this.get(String(id));
  }

  #record(taskId: string): TaskRecord {
    if (taskId === '') throw oaasError('InvalidArgument', 'task_id is empty', { remedy: 'Give the id of a task.' });
    const task = idForm.test(taskId) ? metaOf(this.#options.node).state.tasks.get(Number(taskId)) : undefined;
    if (task === undefined) throw oaasError('NotFound', `there is no task "${taskId}"`);
    return task;
  }

  #view(planned: PlannedTask): admin.TaskPlan {
    return {
      kind: planned.wish.kind,
      moves: planned.moves.map((move) => this.#move(move)),
      bytesTotal: planned.bytesTotal,
      balanceBefore: planned.before,
      balanceAfter: planned.after,
      reason: planned.moves.length === 0 ? planned.reason : '',
      planId: planIdOf(planned),
      epoch: planned.topologyEpoch,
      notes: planned.blocked.map(({ collection, partition, why, reason }) => ({
        collection,
        partition,
        reason: `${why}: ${reason}`,
      })),
    };
  }

  #move(move: PlannedTask['moves'][number]): admin.ShardMove {
    return {
      collection: move.collection,
      partition: move.partition,
      from: this.#memberId(move.from),
      to: this.#memberId(move.to),
      bytes: move.bytes,
      what: move.kind,
      shardId: move.shard,
      why: move.why,
    };
  }

  #memberId(number: number | undefined): string {
    return number === undefined ? '' : (metaOf(this.#options.node).state.members.get(number)?.id ?? String(number));
  }

  #task(task: TaskRecord): admin.Task {
    const { node, clock } = this.#options;
    const { state } = metaOf(node);
    const progress = node.tasks?.progressOf(task) ?? progressOf(task, [], clock.now());
    const throttle = throttleOf(task, state.settings);
    return {
      id: String(task.id),
      kind: task.kind,
      state: task.state,
      collection: task.collection,
      shardsDone: progress.shardsDone,
      shardsTotal: progress.shardsTotal,
      bytesDone: progress.bytesDone,
      bytesTotal: progress.bytesTotal,
      createdAt: toRfc3339(task.createdAt),
      updatedAt: toRfc3339(task.updatedAt),
      message: task.message,
      actor: task.actor,
      etaSeconds: progress.etaSeconds === undefined ? undefined : Math.ceil(progress.etaSeconds),
      findings: task.findings.map((finding) => ({ ...finding, area: '' })),
      moves: task.moves.slice(0, movesShown).map((move) => ({
        move: this.#move(move),
        state: move.state === 'pending' ? 'waiting' : move.state,
        step: move.step ?? '',
        bytesDone: move.bytesDone,
        reason: move.reason ?? '',
      })),
      checks: state.checks.filter((check) => check.task === task.id).map((check) => this.#check(check)),
      options: {
        ...task.options,
        ...Object.fromEntries(throttleNames.map((name) => [name, String(throttle[name])])),
      },
      coordinator: this.#memberId(task.claim?.member),
      bytesPerSecond: Math.round(progress.bytesPerSecond),
    };
  }

  #check(check: CheckRecord): admin.ShardCheck {
    return {
      collection: check.collection,
      partition: check.partition,
      shardId: check.shard,
      status: check.verdict,
      replicas: check.replicas.map((replica) => ({
        node: this.#memberId(replica.member),
        index: replica.index,
        hash: replica.root,
        objects: replica.objects,
        entries: replica.entries,
        bytes: replica.bytes,
        tookMs: Math.round(replica.ms),
        minority: check.minority.includes(replica.member),
        problem: replica.problem ?? '',
      })),
      differing: [...check.differing],
      checkedAt: toRfc3339(check.at),
      reason: check.reason,
      oldestDifferenceMs: check.oldestDifferenceMs ?? 0,
    };
  }
}

/** Names of options are taken in snake_case as well, since that is how the admin API shows them. Throws `InvalidArgument`. */
function readOptions(given: Readonly<Record<string, string>>): Record<string, string> {
  const options: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const known = throttleNames.find((one) => one === camelName(name)) ?? name;
    if (options[known] !== undefined) {
      throw oaasError('InvalidArgument', `option ${known} is given twice`, { remedy: 'Give it once.' });
    }
    options[known] = value;
  }
  return options;
}

/** Refuses an option that nobody would heed: a misspelt throttle is none. */
function checkOptions(options: Readonly<Record<string, string>>, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw oaasError('InvalidArgument', `there is no option "${unknown}"`, { remedy: `Use one of ${known.join(', ')}.` });
}

/** Two plans for the same topology that do the same have the same id. */
function planIdOf({ wish: { kind, collection, member }, moves, topologyEpoch }: PlannedTask): string {
  const what = moves.map((move) => [move.shard, move.from ?? 0, move.to ?? 0, move.kind, move.leaderTo ?? 0].join('/'));
  const hash = stableHash([collection, member ?? 0, ...what].join(' '));
  return `${kind}-${String(topologyEpoch)}-${hash.toString(16)}`;
}
