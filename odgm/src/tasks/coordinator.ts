import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import type { Mesh } from '../mesh/index.ts';
import {
  alarmOf,
  freeBytesOf,
  isFinished,
  type MetaGroup,
  type RefusalCode,
  refusalCodeOf,
  type ShardLoad,
  type ShardRecord,
  type TaskMove,
  type TaskRecord,
} from '../meta/index.ts';
import { planTask, type TaskWish } from './planner.ts';
import { addSample, type Progress, progressOf, type ProgressSample } from './progress.ts';
import { withOutstanding } from './outstanding.ts';
import { beginning, moveOutcome, takeTurns } from './schedule.ts';
import type { ShardObservation, ShardService } from './shard-service.ts';
import { defaultStepLimits, newMemory, nextStep } from './steps.ts';
import { decideTriggers, type TriggerMemory, type Wish } from './triggers.ts';
import type { MoveMemory, ObservedMember, ObservedProgress, ObservedShard, Step } from './types.ts';

/** What goes between a check and the task that it is part of. */
export interface CheckControl {
  /** True: nobody wants the outcome any more, and the check should end soon. */
  isCancelled(): boolean;
  /** Bytes read so far of each replica. */
  progress(step: string, bytesDone: number): void;
}

/** Checks one shard; the outcome is recorded in the meta group by it, unless the check was cancelled. */
export interface ShardChecker {
  check(shard: ShardRecord, task: TaskRecord, control: CheckControl): Promise<{ readonly bytes: number }>;
}

export interface CoordinatorOptions {
  readonly meta: MetaGroup;
  readonly mesh: Mesh;
  readonly shards: ShardService;
  readonly checker: ShardChecker;
  /** Member that leads the shard, as far as is known; 0 for nobody. */
  readonly leaderOf: (shard: number) => number;
  /** What the members said of their shards, asked anew. */
  readonly loads: () => Promise<ReadonlyMap<number, ShardLoad>>;
  /** Told of each move of a replica that ended as planned. */
  readonly onMoved: (seconds: number) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

const pollMs = 100;
const progressMs = 500;
const rebalanceOfAll: TaskWish = { kind: 'rebalance', collection: '' };
const triggerMs = 1000;
/** How often what the members hold is asked, while it counts. */
const loadsMs = 1000;
/** The balance is looked at again after every change of the topology, and this often for what the shards have to carry. */
const balanceMs = 15_000;

/** A move that this coordinator works on. */
interface Running {
  /** In which it is worked on: what was asked for in an earlier term of this member is fenced off like another's. */
  readonly term: number;
  memory: MoveMemory;
  isBusy: boolean;
  /** What was observed last: moves go on with it while nobody leads. */
  seen: ShardObservation | undefined;
}

/** A shard as it was recorded when it was looked at. */
interface Observed {
  readonly record: Readonly<ShardRecord>;
  readonly shard: ObservedShard;
}

/**
 * Drives the tasks, on the member that leads the meta group. It keeps nothing that it cannot find out again: another
 * member goes on from what is recorded and from the real members of the shards.
 */
export class TaskCoordinator {
  readonly #options: CoordinatorOptions;
  readonly #timer: Timer;
  readonly #running = new Map<string, Running>();
  readonly #samples = new Map<number, ProgressSample[]>();
  #term = 0;
  #isTurning = false;
  #progressAt = 0;
  #triggerAt = 0;
  #balance: { readonly at: number; readonly epoch: number; readonly score: number } | undefined;
  #triggers: TriggerMemory = { wantsBalance: false };
  #suggestions: readonly Wish[] = [];
  /** As of a moment ago, while tasks move shards and members have bounds. */
  #loads: { readonly at: number; readonly of: ReadonlyMap<number, ShardLoad> } | undefined;
  #problem = '';
  #isClosed = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#timer = options.timers.every(pollMs, () => void this.#turn());
  }

  /** Tasks that would do good and that nobody has started. Known on the leader of the meta group only. */
  get suggestions(): readonly Wish[] {
    return this.#suggestions;
  }

  /** How far a task is. Speed and estimate come from what this member has seen of it. */
  progressOf(task: TaskRecord): Progress {
    return progressOf(task, this.#samples.get(task.id) ?? [], this.#options.clock.now());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
  }

  async #turn(): Promise<void> {
    const { meta, logger } = this.#options;
    if (this.#isTurning || this.#isClosed) return;
    this.#sample();
    if (!meta.isLeader || meta.state.cluster === undefined) {
      this.#running.clear();
      this.#loads = undefined;
      this.#suggestions = [];
      this.#balance = undefined;
      return;
    }
    this.#isTurning = true;
    try {
      if (this.#term !== meta.term) this.#running.clear();
      this.#term = meta.term;
      await this.#claim();
      await this.#takeTurns();
      await this.#measure();
      this.#work();
      await this.#reportProgress();
      await this.#wish();
      this.#problem = '';
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (error.message !== this.#problem) logger.warn({ err: error }, 'tasks have to wait');
      this.#problem = error.message;
    } finally {
      this.#isTurning = false;
    }
  }

  #active(): TaskRecord[] {
    return [...this.#options.meta.state.tasks.values()].filter(
      ({ state }) => state === 'running' || state === 'cancelling',
    );
  }

  /** What is recorded of running tasks all members know, so that each can tell how fast they are. */
  #sample(): void {
    const active = new Map(this.#active().map((task) => [task.id, task]));
    for (const id of this.#samples.keys()) if (!active.has(id)) this.#samples.delete(id);
    for (const [id, { bytesDone }] of active) {
      const samples = this.#samples.get(id) ?? [];
      this.#samples.set(id, addSample(samples, { at: this.#options.clock.now(), bytes: bytesDone }));
    }
  }

  async #claim(): Promise<void> {
    const { meta, mesh } = this.#options;
    for (const task of this.#active()) {
      if (task.claim?.term === this.#term) continue;
      await meta.propose({ type: 'claimTask', task: task.id, member: mesh.self.number, term: this.#term });
    }
  }

  async #takeTurns(): Promise<void> {
    const { meta, clock, loads } = this.#options;
    const active = this.#active().filter(({ claim }) => claim?.term === this.#term);
    const { settings, checks, members } = meta.state;
    const nameOf = (member: number): string => members.get(member)?.id ?? String(member);
    const turns = takeTurns(active, settings, clock.now(), { checks, nameOf });
    for (const [task, turn] of turns) {
      const by = { task, term: this.#term };
      for (const { move, outcome, reason } of turn.drop) {
        await meta.propose({ type: 'endMove', move, outcome, reason, bytesDone: 0, ...by });
      }
      await Promise.all(turn.begin.map((move) => this.#begin(by, move)));
      const record = meta.state.tasks.get(task);
      if (turn.finish !== undefined && record !== undefined) {
        const finish = withOutstanding(turn.finish, record, meta.state, await loads(), meta.isGone);
        await meta.propose({ type: 'finishTask', ...finish, ...by });
      }
    }
  }

  async #begin(by: { readonly task: number; readonly term: number }, move: number): Promise<void> {
    const { meta } = this.#options;
    const commands = beginning(by, move);
    let problem: unknown;
    for (let step = commands.next(); step.done !== true;) {
      let code: RefusalCode | undefined;
      try {
        await meta.propose(step.value);
      } catch (thrown) {
        problem = thrown;
        code = refusalCodeOf(thrown);
        if (code === undefined) throw thrown;
      }
      step = commands.next(code);
      if (step.done === true && step.value !== undefined) throw problem;
    }
  }

  /** Goes on with every running move that is not waiting for something asked of a member. */
  #work(): void {
    const { clock, logger } = this.#options;
    const present = new Set<string>();
    for (const task of this.#active()) {
      for (const [index, move] of task.moves.entries()) {
        if (move.state !== 'running') continue;
        const key = `${String(task.id)}/${String(index)}`;
        present.add(key);
        let running = this.#running.get(key);
        if (running === undefined) {
          running = { term: this.#term, memory: newMemory(clock.monotonic()), isBusy: false, seen: undefined };
          this.#running.set(key, running);
        }
        if (running.isBusy) continue;
        running.isBusy = true;
        const work =
          move.kind === 'check' ? this.#check(task, index, move, running) : this.#step(task, index, move, running);
        const done = (): void => {
          running.isBusy = false;
        };
        work.then(done, (error: unknown) => {
          logger.debug({ err: error, task: task.id, shard: move.shard }, 'a step has to be tried again');
          done();
        });
      }
    }
    for (const key of this.#running.keys()) if (!present.has(key)) this.#running.delete(key);
  }

  async #check(task: TaskRecord, index: number, move: TaskMove, running: Running): Promise<void> {
    const { meta, checker } = this.#options;
    const shard = meta.state.shards.get(move.shard);
    const { term } = running;
    const end = { type: 'endMove', task: task.id, term, move: index } as const;
    if (shard === undefined) {
      await meta.propose({ ...end, outcome: 'skipped', reason: 'ShardGone', bytesDone: 0 });
      return;
    }
    const isCancelled = (): boolean => meta.state.tasks.get(task.id)?.state === 'cancelling';
    // Its collection may be deleted meanwhile, and the task end with it.
    const isOver = (): boolean => {
      const now = meta.state.tasks.get(task.id);
      return now === undefined || isFinished(now) || !meta.state.shards.has(move.shard);
    };
    const control: CheckControl = {
      isCancelled: () => isCancelled() || isOver() || this.#isClosed || this.#term !== term || !meta.isLeader,
      progress: (step, received) => {
        running.memory = { ...running.memory, step, received };
      },
    };
    const bytes = isCancelled() ? 0 : (await checker.check(shard, task, control)).bytes;
    if (isOver()) return;
    if (isCancelled()) await meta.propose({ ...end, outcome: 'cancelled', reason: 'Cancelled', bytesDone: bytes });
    else await meta.propose({ ...end, outcome: 'done', bytesDone: Math.min(bytes, move.bytes) });
  }

  async #step(task: TaskRecord, index: number, move: TaskMove, running: Running): Promise<void> {
    const { meta, clock } = this.#options;
    const { term } = running;
    const observed = await this.#observe(task, index, move, running);
    const { step, memory } = nextStep({
      move,
      shard: observed?.shard,
      members: this.#members(move.shard),
      memory: running.memory,
      cancelling: task.state === 'cancelling',
      now: clock.monotonic(),
      limits: defaultStepLimits,
    });
    running.memory = memory;
    if (step.do === 'end') {
      const outcome = moveOutcome(step, move.attempts, task.state === 'cancelling');
      const bytesDone = outcome === 'done' ? move.bytes : memory.received;
      const { reason } = step;
      await meta.propose({ type: 'endMove', task: task.id, term, move: index, outcome, reason, bytesDone });
      const seconds = (this.#options.clock.now() - (move.startedAt ?? this.#options.clock.now())) / 1000;
      if (outcome === 'done' && move.kind === 'replica') this.#options.onMoved(Math.max(0, seconds));
      return;
    }
    if (observed !== undefined && step.do !== 'wait') await this.#carryOut(task, index, step, observed, running);
  }

  async #observe(task: TaskRecord, index: number, move: TaskMove, running: Running): Promise<Observed | undefined> {
    const { meta, shards, leaderOf } = this.#options;
    const live = meta.state.shards.get(move.shard);
    if (live === undefined) return undefined;
    // What is applied meanwhile changes the state's own.
    const record = { ...live };
    const merges = record.merges;
    let leader: number | undefined = merges ? this.#sourceOf(record, move) : leaderOf(move.shard);
    try {
      if (leader === 0) throw new Error('nobody leads');
      running.seen = await shards.ask(leader, { do: 'observe', shard: move.shard, term: running.term });
      // What it knows is about other replicas than those that are recorded now.
      if (merges && running.seen?.epoch !== record.epoch) throw new Error('it follows another record');
    } catch {
      leader = undefined;
      if (merges) running.seen = undefined;
    }
    const { seen } = running;
    const progress = new Map((seen?.progress ?? []).map(({ member, ...rest }) => [member, rest]));
    if (merges && move.to !== undefined) await this.#observeCopy(move.shard, move.to, progress, running.term);
    const recordedVoters = record.replicas.filter(({ role }) => role === 'voter').map(({ member }) => member);
    const shard: ObservedShard = {
      // A basic shard of one replica is a consensus group of one.
      type: merges ? record.type : 'raft',
      isOurs: record.change?.task === task.id && record.change.move === index,
      recorded: record.replicas,
      preferredLeader: record.preferredLeader,
      suspects: new Set(record.replicas.flatMap(({ member }) => (alarmOf(meta.state, record, member) ? [member] : []))),
      wanted: record.wanted,
      leader,
      voters: seen?.voters ?? recordedVoters,
      votersOutgoing: seen?.votersOutgoing ?? [],
      learners: seen?.learners ?? [],
      learnersNext: seen?.learnersNext ?? [],
      progress,
      bytes: seen?.bytes ?? move.bytes,
    };
    return { record, shard };
  }

  /** What has arrived at a new replica that merges with several others only that one knows. */
  async #observeCopy(shard: number, to: number, progress: Map<number, ObservedProgress>, term: number): Promise<void> {
    const known = progress.get(to);
    if (known?.active !== true || known.lag === 0) return;
    try {
      const copy = await this.#options.shards.ask(to, { do: 'observe', shard, term });
      if (copy !== undefined) progress.set(to, { ...known, received: copy.bytes });
    } catch {
      // It has not opened its replica yet, or does not answer: nothing is known to have arrived.
    }
  }

  /** Who is asked about replicas that merge: one that stays, if one can be reached; 0 for none. */
  #sourceOf({ replicas }: ShardRecord, { from, to }: TaskMove): number {
    const { mesh } = this.#options;
    const up = replicas.filter(({ member }) => member === mesh.self.number || mesh.isUp(member));
    const voters = up.filter(({ role }) => role === 'voter').map(({ member }) => member);
    const staying = voters.filter((member) => member !== from);
    return staying.find((member) => member !== to) ?? staying[0] ?? voters[0] ?? 0;
  }

  /** What members hold is asked while it counts: where one has a bound, and shards move. */
  async #measure(): Promise<void> {
    const { meta, clock, loads } = this.#options;
    const isBounded = [...meta.state.members.values()].some(({ capacityBytes }) => capacityBytes !== undefined);
    const known = this.#loads;
    const at = clock.monotonic();
    if (!isBounded || this.#active().length === 0) this.#loads = undefined;
    else if (known === undefined) this.#loads = { at, of: await loads() };
    else if (at - known.at >= loadsMs) {
      this.#loads = { ...known, at };
      // Moves do not wait for a member that is slow to answer.
      void loads().then((of) => {
        if (this.#loads !== undefined) this.#loads = { ...this.#loads, of };
      });
    }
  }

  /** Members, as a step of a move of the shard sees them. */
  #members(shard: number): Map<number, ObservedMember> {
    const { meta, mesh } = this.#options;
    return new Map(
      [...meta.state.members.values()].map((member) => {
        const isUp = member.number === mesh.self.number || mesh.isUp(member.number);
        const freeBytes = freeBytesOf(meta.state, member, this.#loads?.of ?? new Map(), shard);
        return [member.number, { state: isUp || member.state === 'down' ? member.state : 'suspect', freeBytes }];
      }),
    );
  }

  /** Everything that is asked for says what it was decided on, and is refused when that is not the case any more. */
  async #carryOut(
    task: TaskRecord,
    index: number,
    step: Exclude<Step, { do: 'end' | 'wait' }>,
    { record, shard: { leader } }: Observed,
    { term, seen }: Running,
  ): Promise<void> {
    const { meta, shards } = this.#options;
    if (step.do === 'record') {
      await meta.propose({
        type: 'updateShardReplicas',
        shard: record.id,
        expectedEpoch: record.epoch,
        replicas: step.replicas,
        preferredLeader: step.preferredLeader,
        renew: step.renew === undefined ? undefined : [step.renew],
        change: { task: task.id, move: index, term },
      });
      return;
    }
    if (leader === undefined || seen === undefined) return;
    const { voters, votersOutgoing, learners, learnersNext, epochs: seenEpochs, term: seenIn } = seen;
    const expected = { voters, votersOutgoing, learners, learnersNext, epochs: seenEpochs, term: seenIn };
    const decided = { shard: record.id, term, expected };
    if (step.do === 'change') {
      const epochs = Object.fromEntries(record.replicas.map(({ member, epoch }) => [String(member), epoch]));
      await shards.ask(leader, { do: 'change', change: step.change, epochs, ...decided });
    } else if (step.do === 'leaveJoint') {
      await shards.ask(leader, { do: 'leaveJoint', ...decided });
    } else {
      await shards.ask(leader, { do: 'transferLeader', to: step.to, ...decided });
    }
  }

  async #reportProgress(): Promise<void> {
    const { meta, clock } = this.#options;
    const now = clock.monotonic();
    if (now - this.#progressAt < progressMs) return;
    this.#progressAt = now;
    for (const task of this.#active()) {
      const moves = task.moves.flatMap((move, index) => {
        const running = this.#running.get(`${String(task.id)}/${String(index)}`);
        if (move.state !== 'running' || running === undefined) return [];
        const { received, step } = running.memory;
        return received > move.bytesDone || step !== (move.step ?? '')
          ? [{ move: index, bytesDone: received, step }]
          : [];
      });
      if (moves.length > 0) await meta.propose({ type: 'progress', task: task.id, term: this.#term, moves });
    }
  }

  /** Starts what the state of the cluster asks for. */
  async #wish(): Promise<void> {
    const { meta, clock, loads, logger } = this.#options;
    const now = clock.monotonic();
    if (now - this.#triggerAt < triggerMs) return;
    this.#triggerAt = now;
    const { state } = meta;
    if (this.#balance?.epoch !== state.cluster?.epoch || now - (this.#balance?.at ?? 0) >= balanceMs) {
      const { before, topologyEpoch } = planTask(state, await loads(), rebalanceOfAll, meta.isGone);
      this.#balance = { at: now, epoch: topologyEpoch, score: before };
    }
    const { wishes, memory } = decideTriggers(state, this.#balance?.score ?? 1, this.#triggers, clock.now(), meta);
    this.#triggers = memory;
    this.#suggestions = wishes.filter(({ mode }) => mode === 'suggest');
    for (const wish of wishes) {
      if (wish.mode !== 'start') continue;
      const plan = planTask(state, await loads(), wish, meta.isGone);
      if (plan.moves.length === 0) continue;
      logger.info({ kind: wish.kind, moves: plan.moves.length, why: wish.why }, 'starting a task');
      await meta.propose({
        type: 'createTask',
        kind: wish.kind,
        collection: wish.collection,
        member: wish.member,
        actor: wish.actor,
        moves: plan.moves,
        topologyEpoch: plan.topologyEpoch,
        options: wish.options,
        start: true,
        message: wish.why,
      });
      // The next plan is made for what the state is then.
      return;
    }
  }
}
