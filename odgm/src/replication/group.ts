import { oaasError, toOaasError } from '@oaas/commons/errors';
import {
  ConfChangeTransition,
  type ConfState,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  makeMessage,
  type NodeView,
  type RawNode,
  type Ready,
} from '../raft/index.ts';
import type { GroupLog, HardState } from '../storage/index.ts';
import type { AppendBatch, AppendOwner } from './append-queue.ts';
import { AppliedState, type Install } from './applied-state.ts';
import { Applier } from './applier.ts';
import { entriesToKeep, isWorthWaiting, slowestMatch } from './compaction.ts';
import { makeCore } from './core.ts';
import { campaignDelay, ElectionTrace } from './elections.ts';
import type { GroupHost } from './group-host.ts';
import type { GroupRecord } from './group-record.ts';
import { groupStatus } from './group-status.ts';
import { Freshness } from './freshness.ts';
import { type Lease, leaseOf } from './lease.ts';
import { LogStorage } from './log-storage.ts';
import { LogWrites } from './log-writes.ts';
import { isVote, type Membership } from './membership.ts';
import { OutgoingMessages } from './outgoing.ts';
import { notLeading } from './pending-proposals.ts';
import { type ProposedChange, Proposer } from './proposer.ts';
import { agreesWithLeader, Quiescence, quorumThatHasAll, restNotice } from './quiescence.ts';
import { ReadRounds } from './reads.ts';
import { Soundings } from './soundings.ts';
import { endWith } from './tracing.ts';
import { bestSuccessor, LeadershipTransfers, whyNoSuccessor } from './transfers.ts';
import type { GroupStatus, MemberChange, StateMachine } from './types.ts';

const autoTransition = ConfChangeTransition.ConfChangeTransitionAuto;
const explicitJoint = ConfChangeTransition.ConfChangeTransitionJointExplicit;
const noContext = new Uint8Array(0);

/** Rounds of the core's work in one pass, so that one busy group does not hold up the others. */
const maxRounds = 4;
const noMessages: readonly Message[] = [];

/** One replica of one group on this node: the core, and everything that it needs from the node. Made by {@link RaftHost}. */
export class RaftGroup implements AppendOwner {
  readonly group: number;
  readonly #host: GroupHost<RaftGroup>;
  readonly #machine: StateMachine;
  readonly #log: GroupLog;
  readonly #node: RawNode;
  readonly #applied: AppliedState;
  readonly #membership: Membership;
  readonly #proposer: Proposer;
  readonly #applier: Applier;
  readonly #reads: ReadRounds;
  readonly #lease: Lease | undefined;
  readonly #outgoing: OutgoingMessages<RaftGroup>;
  readonly #writes: LogWrites<RaftGroup>;
  readonly #quiescence: Quiescence<RaftGroup>;
  readonly #transfers = new LeadershipTransfers();
  readonly #freshness = new Freshness();
  readonly #soundings = new Soundings();
  #ticks = 0;
  #lead = 0;
  #wasLeader = false;
  #term: number;
  /** Where elections are recorded. */
  readonly #election: ElectionTrace | undefined;
  /** In the host's queue. */
  isQueued = false;
  #state: 'running' | 'failed' | 'closed' = 'running';
  #problem: Error | undefined;

  /** `hardState` is at least as far as the record's applied index, and the log reaches it. */
  constructor(
    host: GroupHost<RaftGroup>,
    group: number,
    machine: StateMachine,
    log: GroupLog,
    record: GroupRecord,
    hardState: HardState,
  ) {
    const { tuning } = host;
    this.#host = host;
    this.group = group;
    this.#machine = machine;
    this.#log = log;
    this.#applied = new AppliedState(record);
    this.#membership = this.#applied.membership;
    this.#term = hardState.term;
    this.#outgoing = new OutgoingMessages(host, this, this.#membership);
    this.#writes = new LogWrites<RaftGroup>(host, this, this.#applied, hardState);
    this.#quiescence = new Quiescence(host, this);
    this.#reads = new ReadRounds(
      {
        ask: (context) => {
          this.#node.readIndex(context);
        },
        now: () => host.now(),
        timeoutMs: tuning.readTimeoutMs,
        askAgainMs: 3 * tuning.tickMs,
      },
      Math.floor(host.random() * 2 ** 40),
    );
    this.#election = host.tracer === undefined ? undefined : new ElectionTrace(host.tracer, group);
    this.#lease = tuning.leaseReads ? leaseOf(tuning) : undefined;
    this.#node = makeCore(host, new LogStorage(log, hardState, () => this.#applied.position()), record.applied);
    this.#proposer = new Proposer(host, group, this.#node);
    this.#applier = new Applier({
      ...{ group, machine, node: this.#node, proposer: this.#proposer, state: this.#applied },
      engine: host.engine,
      onMembers: (context) => {
        host.onMembers(this, context);
      },
    });
    machine.open(record.generation);
    // One that is to be filled by a snapshot has nothing to do until it comes.
    this.#quiescence.start(this.#membership.isEmpty);
  }

  get epoch(): number {
    return this.#applied.epoch;
  }

  get generation(): number {
    return this.#applied.generation;
  }

  get applied(): number {
    return this.#applied.index;
  }

  /** Member number of the leader; 0 while unknown. */
  get leader(): number {
    return this.#node.lead;
  }

  get term(): number {
    return this.#node.term;
  }

  get isLeader(): boolean {
    return this.#state === 'running' && this.#node.role === 'leader';
  }

  /**
   * Milliseconds for which this replica may lack what was committed meanwhile; undefined: not known since it runs. 0 in
   * a group that is quiet: all have all, and the links between them are up, of which a loss is noticed within seconds.
   */
  get staleMs(): number | undefined {
    if (this.#state !== 'running') return undefined;
    if (this.isQuiet && this.#node.lead !== 0) return 0;
    const now = this.#host.now();
    return this.isLeader
      ? this.#freshness.ofLeader(now, this.#node.term, this.#host.self, this.#membership.confState)
      : this.#freshness.ofFollower(now, this.#shown);
  }

  /**
   * Whether reads that need not be linearizable are answered from what is here. Not by a replica without a vote, which
   * may be empty yet, nor where a snapshot is on its way to take the place of what is here, nor by one that does not know
   * since its start how stale it is, as long as there is a leader to ask instead.
   */
  get isReadable(): boolean {
    if (this.#state !== 'running') return false;
    if (this.#membership.isLearner(this.#host.self)) return false;
    if (this.#host.isReceiving(this) || this.#writes.isInstalling) return false;
    return this.staleMs !== undefined || this.#node.lead === 0;
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** Why this replica serves nothing; undefined while it does. */
  problem(): Error | undefined {
    return this.#state === 'running' ? undefined : this.#stopped();
  }

  /** Takes part in no ticks until something happens. */
  get isQuiet(): boolean {
    return this.#quiescence.isQuiet;
  }

  /** On a leader: {@link confState} may be another one in a moment, by a change that is in the log. */
  get hasOpenChange(): boolean {
    return this.#node.hasPendingChange;
  }

  get confState(): ConfState {
    return this.#membership.confState;
  }

  /** Epochs of members' replicas that are not 1, as the applied changes of the members say. */
  get replicaEpochs(): ReadonlyMap<number, number> {
    return this.#membership.replicaEpochs;
  }

  /** The protocol's own view of this replica, for those who check what it promises. Changes as the group runs. */
  get view(): NodeView {
    return this.#node;
  }

  isMember(member: number): boolean {
    return this.#membership.has(member);
  }

  /**
   * Proposes an entry; resolves with what the state machine pushed for it once it is applied here. Rejects with that if
   * it is an Error; with `NoLeader` (`leader` in the details) when this member does not lead, `ResourceExhausted` over a
   * bound, `StorageFull` while the log cannot be written: the entry did not and will not happen. With `Unavailable`
   * when leadership was lost meanwhile: `outcome` in the details says whether it is known.
   */
  propose(data: Uint8Array, own: unknown): Promise<unknown> {
    const refusal = this.problem() ?? this.#proposer.refusal(data.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const answer = this.#proposer.add(data, own);
    this.#quiescence.touch();
    this.#host.wake(this);
    return answer;
  }

  /**
   * Resolves when what is applied here contains everything that was answered, by any member, before the call. Gives
   * nothing to wait for where that holds already. Rejects with `NoLeader`, or `Unavailable` when the leader cannot tell in time.
   */
  linearize(): Promise<void> | undefined {
    if (this.#state !== 'running') return Promise.reject(this.#stopped());
    const isCurrent = this.#node.role === 'leader' && this.#applied.term === this.#node.term;
    if (isCurrent && this.#membership.isSingle) return this.#committed();
    if (isCurrent && this.#lease?.isValid(this.#node.term, this.#host.now()) === true) {
      if (this.#lease.isAging(this.#host.now()) && this.#reads.isEmpty) this.#askAll();
      return this.#committed();
    }
    if (this.#node.lead === 0 && this.#node.role !== 'leader') return Promise.reject(notLeading(0));
    const answer = this.#reads.wait();
    const { tracer } = this.#host;
    if (tracer !== undefined) endWith(tracer.begin('read_index', this.group, this.#node.term), answer);
    this.#quiescence.touch();
    this.#host.wake(this);
    return answer;
  }

  /** Another member may have shown already what is committed, and not applied here yet. */
  #committed(): Promise<void> | undefined {
    const { commit } = this.#node;
    return this.#applied.index >= commit ? undefined : this.#reads.until(commit);
  }

  /**
   * Changes the members, several at once by joint consensus. Resolves with the configuration once it is applied here
   * and no longer joint; with `stayJoint` as soon as it is joint, and {@link leaveJoint} must follow. Rejects as
   * {@link propose} does, and with `FailedPrecondition` when another change is under way.
   * `context` reaches `HostEvents.members` on every member. `objection` is asked when the change goes into the log: no
   * other change comes between what it sees and this one. What it gives is what the call rejects with.
   */
  changeMembers(
    changes: readonly MemberChange[],
    context: Uint8Array,
    stayJoint = false,
    objection?: () => Error | undefined,
  ): Promise<ConfState> {
    return this.#change({ changes, transition: stayJoint ? explicitJoint : autoTransition, objection }, context);
  }

  /** Ends a joint configuration that was entered to stay in. Resolves and rejects as {@link changeMembers} does. */
  leaveJoint(objection?: () => Error | undefined): Promise<ConfState> {
    return this.#change({ changes: [], transition: autoTransition, objection }, noContext);
  }

  #change(change: ProposedChange, context: Uint8Array): Promise<ConfState> {
    const refusal = this.problem() ?? this.#proposer.changeRefusal(context.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const answer = this.#proposer.addChange(change, context);
    this.#quiescence.touch();
    this.#host.wake(this);
    return answer;
  }

  /**
   * Asks all members for a sign of life. Resolves with those that have given one since, this leader included: once they
   * are enough, or after the time of an election, or when this replica stops.
   */
  sound(isEnough: (heard: ReadonlySet<number>) => boolean): Promise<ReadonlySet<number>> {
    if (this.#state !== 'running') return Promise.resolve(new Set());
    const heard = this.#soundings.begin(this.#host.self, isEnough, this.#ticks + this.#host.tuning.electionTicks);
    this.#quiescence.touch();
    this.#askAll();
    return heard;
  }

  /** Moves leadership. Resolves when the other member leads; rejects with `Unavailable` when it does not in time. */
  transferLeadership(to: number): Promise<void> {
    if (!this.isLeader) return Promise.reject(this.#state === 'running' ? notLeading(this.leader) : this.#stopped());
    if (to === this.#host.self) return Promise.resolve();
    const refusal = whyNoSuccessor(to, this.#node.progress(to));
    if (refusal !== undefined) return Promise.reject(refusal);
    const transferred = new Promise<void>((resolve, reject) => {
      this.#transfers.add({ to, deadline: this.#ticks + 2 * this.#host.tuning.electionTicks, resolve, reject });
      this.#lease?.revoke(this.#node.term);
      this.#quiescence.touch();
      this.#node.transferLeader(to);
      this.#host.wake(this);
    });
    const span = this.#host.tracer?.begin('transfer_leadership', this.group, this.#node.term);
    span?.note('member', to);
    endWith(span, transferred);
    return transferred;
  }

  /** The voter to hand leadership to: reachable, and with the most of the log. Undefined: there is none. */
  bestSuccessor(): number | undefined {
    return bestSuccessor(this.#node.status().progress, this.#host);
  }

  /** A message for this replica. */
  receive(from: number, fromEpoch: number, toEpoch: number, quiet: boolean, message: Message): void {
    if (this.#state !== 'running') return;
    if (!this.#membership.admits(from, fromEpoch, this.epoch, toEpoch, this.#node.term, message)) return;
    // A leader's lease counts on a promise that this process may have given before it was started anew.
    if (this.#lease !== undefined && isVote(message.type) && this.#host.mayHavePromised()) return;
    if (message.type === MessageType.MsgHeartbeatResp) {
      // An answer that was on its way when this leader went quiet says nothing new; one that disagrees does.
      if (this.isQuiet && !quiet) return;
    } else if (quiet) {
      if (agreesWithLeader(this.#node, from, message) && this.#isSettled()) {
        this.#quiescence.rest();
        return;
      }
      // This replica does not see what the leader sees.
      const disagreement = makeMessage(MessageType.MsgHeartbeatResp, from, this.#host.self, this.#node.term);
      this.#host.send(this, from, this.epochOf(from), true, disagreement);
    }
    if (this.isQuiet && from === this.#node.lead) this.#freshness.rested(this.#host.now());
    if (message.type === MessageType.MsgHeartbeat || message.type === MessageType.MsgHeartbeatResp)
      this.#quiescence.wake();
    else this.#quiescence.touch();
    this.#guarded(() => {
      this.#node.step(message);
    });
    this.#noteFresh(from, message);
    this.#host.wake(this);
  }

  tick(): void {
    this.#ticks += 1;
    if (this.#quiescence.tick() && this.isLeader && this.#goQuiet()) return;
    this.#guarded(() => {
      this.#node.tick();
    });
    if (!this.#reads.isEmpty) this.#reads.tick(this.#node.lead);
    this.#proposer.tick(this.#ticks);
    if (!this.#transfers.isEmpty) this.#transfers.tick(this.#ticks);
    if (!this.#soundings.isEmpty) this.#soundings.tick(this.#ticks);
    if (this.#node.hasReady() || this.#proposer.hasWaiting) this.#host.wake(this);
  }

  /** The link to a member was lost. Gives how long to wait before {@link campaign}; undefined when nothing follows from it. */
  onLinkDown(member: number): number | undefined {
    if (this.#state !== 'running' || !this.isMember(member)) return undefined;
    if (this.#node.role === 'leader') {
      this.#guarded(() => {
        this.#node.reportUnreachable(member);
      });
      return undefined;
    }
    if (this.#node.lead !== member) return undefined;
    this.#quiescence.wake();
    // Under a lease the leader may answer reads until followers have waited for a whole election timeout.
    if (this.#lease !== undefined) return undefined;
    this.#guarded(() => {
      this.#node.forgetLeader();
    });
    this.#host.wake(this);
    return campaignDelay(this.#host, this.group, this.#membership.confState.voters, member);
  }

  onLinkUp(member: number): void {
    if (this.#state === 'running' && this.isQuiet && this.isMember(member)) this.#quiescence.wake();
  }

  /** Stands for election, unless somebody leads by now. */
  campaign(): void {
    if (this.#state !== 'running' || this.#node.lead !== 0 || this.#node.role === 'leader') return;
    this.#quiescence.wake();
    this.#guarded(() => {
      this.#node.campaign();
    });
    this.#host.wake(this);
  }

  /** Forgets entries of the log up to this index, as far as they are applied: their space is needed. */
  compactUntil(index: number): void {
    const until = Math.min(index, this.#applied.index);
    if (this.#state === 'running' && until >= this.#log.firstIndex) this.#host.engine.compact(this.group, until);
  }

  reportUnreachable(member: number): void {
    if (this.isLeader) {
      this.#guarded(() => {
        this.#node.reportUnreachable(member);
      });
    }
  }

  reportSnapshot(member: number, succeeded: boolean): void {
    if (this.#state !== 'running') return;
    this.#guarded(() => {
      this.#node.reportSnapshot(member, succeeded);
    });
    this.#quiescence.touch();
    this.#host.wake(this);
  }

  /** Does what the core asks for; what is to be written is added to the batch. */
  drive(batch: AppendBatch): void {
    if (this.#state !== 'running') return;
    this.#guarded(() => {
      this.#proposer.submit();
      if (this.#reads.hasWaiting) this.#reads.begin();
      for (let round = 0; this.#node.hasReady(); round++) {
        if (round === maxRounds) {
          this.#host.wake(this);
          break;
        }
        this.#handle(this.#node.ready(), batch);
        if (this.#reads.hasWaiting) this.#reads.begin();
      }
    });
  }

  onDurable(batch: AppendBatch, responses: readonly Message[]): void {
    const installed = this.#writes.durable(batch);
    if (this.#state !== 'running') return;
    if (installed !== undefined) this.#installed(installed);
    this.#guarded(() => {
      this.#deliver(responses);
    });
    this.#host.wake(this);
  }

  status(): GroupStatus {
    return groupStatus(this.#node, this.#log, this.#applied, {
      group: this.group,
      state: this.#state,
      quiet: this.isQuiet,
      problem: this.#problem?.message,
    });
  }

  /** Stops this replica for good: it neither votes nor answers, and says why. Others of the group go on. */
  fail(thrown: unknown): void {
    if (this.#state !== 'running') return;
    const error = toOaasError(thrown);
    this.#state = 'failed';
    this.#problem = error;
    this.#stop(this.#stopped());
    this.#host.onFailed(this, error);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stop(this.#stopped());
  }

  // ---- the core's work

  #handle(ready: Ready, batch: AppendBatch): void {
    if (ready.softState !== undefined || this.#node.term !== this.#term) this.#onSoftState();
    for (const state of ready.readStates) {
      const askedAt = this.#reads.answer(state, this.#shown);
      if (askedAt !== undefined && this.#node.role === 'leader') this.#lease?.extend(this.#node.term, askedAt);
    }
    let requests: readonly Message[] = noMessages;
    for (const message of ready.messages) {
      if (message.to === localAppendThread) {
        if (requests.length > 0) message.responses = [...requests, ...(message.responses ?? noMessages)];
        requests = noMessages;
        if (this.#writes.append(message, batch)) this.#deliver(message.responses ?? noMessages);
      } else if (message.to === localApplyThread) this.#apply(message);
      // Votes are asked for once the term is on disk, with which they always come: whoever won them, lost what it had of
      // that term and won it again would put other entries in the place of those that it has sent. etcd/raft sends at once.
      else if (message.type === MessageType.MsgVote) requests = [...requests, message];
      else {
        if (message.type === MessageType.MsgHeartbeat) message.index = this.#committedUntil();
        this.#outgoing.send(message);
      }
    }
    if (requests.length > 0) throw oaasError('Internal', 'votes are asked for in a term that is not stored');
  }

  #onSoftState(): void {
    const { lead, role, term } = this.#node;
    const isLeader = role === 'leader';
    if (isLeader) this.#proposer.leads();
    else if (this.#wasLeader) this.#proposer.leadershipLost(this.#ticks + 2 * this.#host.tuning.electionTicks);
    this.#wasLeader = isLeader;
    const changed = lead !== this.#lead || term !== this.#term;
    this.#lead = lead;
    this.#term = term;
    if (lead !== 0 && lead !== this.#host.self) this.#transfers.settle(lead);
    this.#election?.observe(lead, term);
    if (changed) this.#host.onLeader(this);
  }

  #deliver(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#host.self) this.#node.step(message);
      else this.#outgoing.send(message);
    }
  }

  /** Sends what was held back. */
  release(): void {
    if (this.#state === 'running') this.#outgoing.release();
  }

  #apply(message: Message): void {
    this.#applier.apply(message.entries);
    this.#deliver(message.responses ?? noMessages);
    this.#reads.applied(this.#applied.index);
    this.#compact();
  }

  #compact(): void {
    const { engine, tuning } = this.#host;
    const { index } = this.#applied;
    const log = this.#log;
    const keep = entriesToKeep(log, index, tuning);
    if (keep === undefined) return;
    let until = Math.min(index - keep, this.#host.neededBySnapshots(this));
    if (this.isLeader && isWorthWaiting(log, index, tuning))
      until = Math.min(until, slowestMatch(this.#node, this.#membership.everyone));
    if (until >= log.firstIndex) engine.compact(this.group, until);
  }

  // ---- snapshots

  #installed(install: Install): void {
    this.#guarded(() => {
      this.#machine.open(this.#applied.generation);
    });
    // What was proposed here and is now part of the snapshot: nobody knows.
    this.#proposer.giveUp();
    this.#reads.applied(this.#applied.index);
    install.done();
    if (this.#state === 'running') this.#host.onMembers(this, noContext);
  }

  /** Offers a received snapshot to the core. If it wants it, it is installed in the next pass. */
  takeSnapshot(message: Message): void {
    this.#quiescence.touch();
    this.#guarded(() => {
      this.#node.step(message);
    });
    this.#host.wake(this);
  }

  /** Last entry that the state machine shows; -1 while another state takes its place. */
  get #shown(): number {
    return this.#writes.isInstalling ? -1 : this.#applied.index;
  }

  /**
   * Nothing after it is committed: what a heartbeat tells beside its commit index, which is no more than what its
   * receiver has. A leader knows what those before it committed once it has committed something itself.
   */
  #committedUntil(): number {
    const node = this.#node;
    return this.#applied.term === node.term ? node.commit : node.lastIndex;
  }

  #noteFresh(from: number, { type, term, index }: Message): void {
    const node = this.#node;
    if (this.isLeader) {
      this.#freshness.answered(this.#host.now(), node.term, from);
      if (!this.#soundings.isEmpty) this.#soundings.heard(from);
    } else if (type === MessageType.MsgHeartbeat && from === node.lead && term === node.term && index > 0) {
      // 0: a leader of a former version, which does not tell.
      this.#freshness.heard(this.#host.now(), term, index, this.#shown);
    }
  }

  // ---- quiet

  /** Nothing is open here, and everything in the log is committed and applied. */
  #isSettled(): boolean {
    const node = this.#node;
    return (
      node.lastIndex === node.commit &&
      node.commit === this.#applied.index &&
      this.#proposer.isEmpty &&
      this.#transfers.isEmpty &&
      this.#soundings.isEmpty &&
      this.#reads.isEmpty
    );
  }

  #goQuiet(): boolean {
    if (!this.#isSettled() || !this.#writes.isIdle || this.#node.hasReady()) return false;
    const reachable = quorumThatHasAll(this.#node, this.#membership, this.#host);
    if (reachable === undefined) return false;
    for (const member of reachable) {
      this.#host.send(this, member, this.epochOf(member), true, restNotice(this.#node, member));
    }
    this.#quiescence.rest();
    return true;
  }

  /** A round of heartbeats, at once. */
  #askAll(): void {
    this.#reads.wait().catch(() => undefined);
    this.#host.wake(this);
  }

  /** Epoch of the member's replica as far as is known here. */
  epochOf(member: number): number {
    return this.#membership.epochOf(member);
  }

  #stopped(): Error {
    if (this.#problem === undefined) return oaasError('Unavailable', 'the replica is closed', { retryAfterMs: 200 });
    return oaasError('Unavailable', 'the replica on this node has failed', {
      cause: this.#problem,
      details: { group: this.group, problem: this.#problem.message },
      remedy: 'Ask another replica; see the diagnostics of this node.',
      retryAfterMs: 200,
    });
  }

  #stop(error: Error): void {
    this.#quiescence.stop();
    this.#proposer.refuseWaiting(error);
    this.#proposer.giveUp();
    this.#reads.rejectAll(error);
    this.#election?.end(error);
    this.#transfers.rejectAll(error);
    this.#soundings.endAll();
  }

  /** A fault in one group stops that group only. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
  }
}
