import { oaasError, toOaasError } from '@oaas/commons/errors';
import {
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  confChangeOf,
  type Entry,
  isConfChangeV2,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  makeMessage,
  type NodeView,
  RawNode,
  type RaftLogger,
  type Ready,
  type SnapshotMetadata,
} from '../raft/index.ts';
import type { Engine, GroupLog, HardState, LogPosition } from '../storage/index.ts';
import type { AppendBatch, AppendOwner } from './append-queue.ts';
import { decodeContext, encodeContext } from './conf-context.ts';
import { encodeMembers, encodeRecord, type GroupRecord, type MembersRecord } from './group-record.ts';
import { recordKey } from './keys.ts';
import { LogStorage } from './log-storage.ts';
import { lostLeadership, notLeading, type Outcome, PendingProposals, Proposal } from './proposals.ts';
import { ReadRounds } from './reads.ts';
import { type Lease, leaseOf } from './lease.ts';
import { endWith, type RaftSpan, type RaftTracer } from './tracing.ts';
import type { CommittedEntry, GroupStatus, MemberChange, PeerProgress, StateMachine, Tuning } from './types.ts';

/** What a group needs of its host. */
export interface GroupHost {
  readonly self: number;
  readonly engine: Engine;
  readonly tuning: Tuning;
  readonly coreLogger: RaftLogger;
  readonly tracer: RaftTracer | undefined;
  random(): number;
  now(): number;
  /** The group has work: it is driven in the next pass. */
  wake(group: RaftGroup): void;
  /** The group takes part in ticks, or no longer does. */
  setTicking(group: RaftGroup, isTicking: boolean): void;
  /** Calls the group's `release` after a short while. */
  hold(group: RaftGroup): void;
  send(group: RaftGroup, to: number, toEpoch: number, quiet: boolean, message: Message): void;
  /** The follower needs a snapshot. The host answers with `reportSnapshot`. */
  sendSnapshot(group: RaftGroup, message: Message): void;
  /** Oldest index that a snapshot on its way needs; Infinity for none. */
  neededBySnapshots(group: RaftGroup): number;
  isUp(member: number): boolean;
  /** The process before this one may have told a leader less than an election timeout ago that it follows it. */
  mayHavePromised(): boolean;
  /** Error when proposals of so many bytes cannot be taken now; else they are counted. */
  takeBytes(bytes: number): Error | undefined;
  releaseBytes(bytes: number): void;
  /** What is to be written with the snapshot that was received; undefined when there is none for this position. */
  installOf(group: RaftGroup, position: LogPosition): Install | undefined;
  onLeader(group: RaftGroup): void;
  onMembers(group: RaftGroup, context: Uint8Array): void;
  onFailed(group: RaftGroup, error: Error): void;
}

/** A received state that waits to take the place of the present one. */
export interface Install {
  readonly generation: number;
  readonly members: MembersRecord;
  /** Switches generations; to be given to the batch before the log's reset. */
  addTo(batch: AppendBatch, record: Uint8Array): void;
  /** It is in place, durably. */
  done(): void;
}

interface Transfer {
  readonly to: number;
  /** Group tick at which it has failed. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface ProposedChange {
  readonly changes: readonly MemberChange[];
  readonly transition: ConfChangeTransition;
}

const autoTransition = ConfChangeTransition.ConfChangeTransitionAuto;
const explicitJoint = ConfChangeTransition.ConfChangeTransitionJointExplicit;
const noContext = new Uint8Array(0);

/** Rounds of the core's work in one pass, so that one busy group does not hold up the others. */
const maxRounds = 4;
const noMessages: readonly Message[] = [];

/** One replica of one group on this node: the core, and everything that it needs from the node. Made by {@link RaftHost}. */
export class RaftGroup implements AppendOwner {
  readonly group: number;
  readonly epoch: number;
  readonly #host: GroupHost;
  readonly #machine: StateMachine;
  readonly #log: GroupLog;
  readonly #node: RawNode;
  readonly #recordKey: Buffer;
  readonly #pending = new PendingProposals();
  readonly #reads: ReadRounds;
  readonly #lease: Lease | undefined;
  #waiting: Proposal[] = [];
  #waitingChange: Proposal | undefined;
  /** A change whose joint configuration is still to be left. */
  #leaving: Proposal | undefined;
  #transfers: Transfer[] = [];
  #generation: number;
  #applied: number;
  #appliedTerm: number;
  #members: MembersRecord;
  #membersBytes: Buffer;
  /** All member numbers, in any role. */
  #everyone: readonly number[];
  /** Highest epoch heard of or told of each member's replica. */
  #epochs: Map<number, number> | undefined;
  /** Given to the disk last. */
  #storedTerm: number;
  #storedVote: number;
  /** A commit index that is not written yet: it travels with the next write. */
  #heldState: HardState | undefined;
  /** The last batch that this group has part in, until it is durable. */
  #inFlight: AppendBatch | undefined;
  /** Messages without entries, by member, until there are entries or {@link release}. */
  #held: Map<number, Message> | undefined;
  #ticks = 0;
  #idleTicks = 0;
  /** Tick at which proposals of a former leadership are given up. */
  #giveUpAt = Infinity;
  #lead = 0;
  #wasLeader = false;
  #term: number;
  /** While nobody is known to lead, where that is recorded. */
  #election: RaftSpan | undefined;
  #install: Install | undefined;
  #installBatch: AppendBatch | undefined;
  isQuiet = false;
  /** In the host's queue. */
  isQueued = false;
  #state: 'running' | 'failed' | 'closed' = 'running';
  #problem: Error | undefined;

  /** `hardState` is at least as far as the record's applied index, and the log reaches it. */
  constructor(
    host: GroupHost,
    group: number,
    machine: StateMachine,
    log: GroupLog,
    record: GroupRecord,
    hardState: HardState,
  ) {
    const { tuning } = host;
    this.#host = host;
    this.group = group;
    this.epoch = record.epoch;
    this.#machine = machine;
    this.#log = log;
    this.#recordKey = recordKey(group);
    this.#generation = record.generation;
    this.#applied = record.applied;
    this.#appliedTerm = record.appliedTerm;
    this.#members = record.members;
    this.#membersBytes = encodeMembers(record.members);
    this.#everyone = everyoneOf(record.members.confState);
    if (record.members.epochs.size > 0) this.#epochs = new Map(record.members.epochs);
    this.#storedTerm = hardState.term;
    this.#storedVote = hardState.vote;
    this.#term = hardState.term;
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
    this.#lease = tuning.leaseReads ? leaseOf(tuning) : undefined;
    this.#node = new RawNode({
      id: host.self,
      electionTick: tuning.electionTicks,
      heartbeatTick: tuning.heartbeatTicks,
      storage: new LogStorage(log, hardState, () => this.position()),
      random: { next: () => host.random() },
      logger: host.coreLogger,
      applied: record.applied,
      asyncStorageWrites: true,
      maxSizePerMsg: tuning.maxMessageBytes,
      maxCommittedSizePerReady: 4 * 1024 * 1024,
      maxUncommittedEntriesSize: tuning.maxProposalBytes,
      maxInflightMsgs: tuning.maxInflightMessages,
      maxInflightBytes: Math.max(tuning.maxInflightBytes, tuning.maxMessageBytes),
      checkQuorum: true,
      preVote: true,
      disableProposalForwarding: true,
      stepDownOnRemoval: true,
    });
    machine.open(record.generation);
    // One that is to be filled by a snapshot has nothing to do until it comes.
    if (this.#everyone.length === 0) this.isQuiet = true;
    else host.setTicking(this, true);
  }

  get generation(): number {
    return this.#generation;
  }

  get applied(): number {
    return this.#applied;
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

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** Why this replica serves nothing; undefined while it does. */
  problem(): Error | undefined {
    return this.#state === 'running' ? undefined : this.#stopped();
  }

  get confState(): ConfState {
    return this.#members.confState;
  }

  /** The protocol's own view of this replica, for those who check what it promises. Changes as the group runs. */
  get view(): NodeView {
    return this.#node;
  }

  /** Where the applied state stands. */
  position(): SnapshotMetadata {
    return { index: this.#applied, term: this.#appliedTerm, confState: this.#members.confState };
  }

  isMember(member: number): boolean {
    return this.#everyone.includes(member);
  }

  /**
   * Proposes an entry; resolves with what the state machine pushed for it once it is applied here. Rejects with that if
   * it is an Error; with `NoLeader` (`leader` in the details) when this member does not lead, `ResourceExhausted` over a
   * bound, `StorageFull` while the log cannot be written: the entry did not and will not happen. With `Unavailable`
   * when leadership was lost meanwhile: `outcome` in the details says whether it is known.
   */
  propose(data: Uint8Array, own: unknown): Promise<unknown> {
    const refusal = this.#refusal(data.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const proposal = new Proposal(data, own, resolve, reject);
      const { tracer } = this.#host;
      if (tracer !== undefined) proposal.span = tracer.begin('propose', this.group, this.#node.term);
      this.#waiting.push(proposal);
      this.#touch();
      this.#host.wake(this);
    });
  }

  /**
   * Resolves when what is applied here contains everything that was answered, by any member, before the call. Gives
   * nothing to wait for where that holds already. Rejects with `NoLeader`, or `Unavailable` when the leader cannot tell in time.
   */
  linearize(): Promise<void> | undefined {
    if (this.#state !== 'running') return Promise.reject(this.#stopped());
    const isCurrent = this.#node.role === 'leader' && this.#appliedTerm === this.#node.term;
    if (isCurrent && this.#isAlone()) return undefined;
    if (isCurrent && this.#lease?.isValid(this.#node.term, this.#host.now()) === true) {
      if (this.#lease.isAging(this.#host.now()) && this.#reads.isEmpty) this.#askForLease();
      return undefined;
    }
    if (this.#node.lead === 0 && this.#node.role !== 'leader') return Promise.reject(notLeading(0));
    const answer = this.#reads.wait();
    const { tracer } = this.#host;
    if (tracer !== undefined) endWith(tracer.begin('read_index', this.group, this.#node.term), answer);
    this.#touch();
    this.#host.wake(this);
    return answer;
  }

  /**
   * Changes the members, several at once by joint consensus. Resolves with the configuration once it is applied here
   * and no longer joint; with `stayJoint` as soon as it is joint, and {@link leaveJoint} must follow. Rejects as
   * {@link propose} does, and with `FailedPrecondition` when another change is under way.
   * `context` reaches `HostEvents.members` on every member.
   */
  changeMembers(changes: readonly MemberChange[], context: Uint8Array, stayJoint = false): Promise<ConfState> {
    return this.#change({ changes, transition: stayJoint ? explicitJoint : autoTransition }, context);
  }

  /** Ends a joint configuration that was entered to stay in. Resolves and rejects as {@link changeMembers} does. */
  leaveJoint(): Promise<ConfState> {
    return this.#change({ changes: [], transition: autoTransition }, noContext);
  }

  #change(change: ProposedChange, context: Uint8Array): Promise<ConfState> {
    const refusal = this.#refusal(context.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#waitingChange !== undefined || this.#leaving !== undefined) {
      this.#host.releaseBytes(context.length);
      return Promise.reject(changeRefused());
    }
    return new Promise((resolve, reject) => {
      const proposal = new Proposal(context, change, resolve as (result: unknown) => void, reject);
      proposal.span = this.#host.tracer?.begin('membership_change', this.group, this.#node.term);
      this.#waitingChange = proposal;
      this.#touch();
      this.#host.wake(this);
    });
  }

  /** Moves leadership. Resolves when the other member leads; rejects with `Unavailable` when it does not in time. */
  transferLeadership(to: number): Promise<void> {
    if (!this.isLeader) return Promise.reject(this.#state === 'running' ? notLeading(this.leader) : this.#stopped());
    if (to === this.#host.self) return Promise.resolve();
    const progress = this.#node.progress(to);
    if (progress === undefined || progress.learner || progress.state === 'snapshot') {
      return Promise.reject(
        oaasError('FailedPrecondition', `member ${String(to)} cannot take over the leadership`, {
          details: { member: to, state: progress?.state ?? 'no member', learner: progress?.learner ?? false },
        }),
      );
    }
    const transferred = new Promise<void>((resolve, reject) => {
      this.#transfers.push({ to, deadline: this.#ticks + 2 * this.#host.tuning.electionTicks, resolve, reject });
      this.#lease?.revoke(this.#node.term);
      this.#touch();
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
    let best: { id: number; match: number } | undefined;
    for (const { id, match, learner, state } of this.#node.status().progress) {
      if (id === this.#host.self || learner || state === 'snapshot' || !this.#host.isUp(id)) continue;
      if (best === undefined || match > best.match) best = { id, match };
    }
    return best?.id;
  }

  /** A message for this replica. */
  receive(from: number, fromEpoch: number, toEpoch: number, quiet: boolean, message: Message): void {
    if (this.#state !== 'running' || toEpoch > this.epoch) return;
    // Word for an earlier replica of this member: it speaks of another log. What that one has promised with a vote, or to
    // whom, this one does not know.
    if (toEpoch < this.epoch && (isResponse(message.type) || isVote(message.type))) return;
    // A voter that was made anew has nothing of what it had when it got its vote. That there is a later term counts.
    if (isResponse(message.type) && fromEpoch !== this.#votingEpochOf(from) && message.term <= this.#node.term) return;
    // A leader that did not hear of a removal names what an earlier replica had. It gets an answer, to know better.
    const isOfEarlier = toEpoch < this.epoch || this.#everyone.length === 0;
    if (isOfEarlier && message.type === MessageType.MsgHeartbeat) message.commit = 0;
    if (!this.#knowsEpoch(from, fromEpoch)) return;
    // A leader's lease counts on a promise that this process may have given before it was started anew.
    if (this.#lease !== undefined && isVote(message.type) && this.#host.mayHavePromised()) return;
    if (message.type === MessageType.MsgHeartbeatResp) {
      // An answer that was on its way when this leader went quiet says nothing new; one that disagrees does.
      if (this.isQuiet && !quiet) return;
    } else if (quiet) {
      if (this.#goQuietWith(from, message)) return;
      const disagreement = makeMessage(MessageType.MsgHeartbeatResp, from, this.#host.self, this.#node.term);
      this.#host.send(this, from, this.epochOf(from), true, disagreement);
    }
    if (message.type !== MessageType.MsgHeartbeat && message.type !== MessageType.MsgHeartbeatResp) this.#idleTicks = 0;
    this.#unquiet();
    this.#guarded(() => {
      this.#node.step(message);
    });
    this.#host.wake(this);
  }

  tick(): void {
    this.#ticks += 1;
    this.#idleTicks += 1;
    if (this.#idleTicks > this.#host.tuning.quietAfterTicks && this.isLeader && this.#goQuiet()) return;
    this.#guarded(() => {
      this.#node.tick();
    });
    if (!this.#reads.isEmpty) this.#reads.tick(this.#node.lead);
    if (this.#ticks >= this.#giveUpAt) this.#giveUp();
    if (this.#transfers.length > 0) this.#checkTransfers();
    if (this.#node.hasReady() || this.#waiting.length > 0 || this.#waitingChange !== undefined) this.#host.wake(this);
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
    this.#unquiet();
    // Under a lease the leader may answer reads until followers have waited for a whole election timeout.
    if (this.#lease !== undefined) return undefined;
    this.#guarded(() => {
      this.#node.forgetLeader();
    });
    this.#host.wake(this);
    return this.#campaignDelay(member);
  }

  onLinkUp(member: number): void {
    if (this.#state === 'running' && this.isQuiet && this.isMember(member)) this.#unquiet();
  }

  /** Stands for election, unless somebody leads by now. */
  campaign(): void {
    if (this.#state !== 'running' || this.#node.lead !== 0 || this.#node.role === 'leader') return;
    this.#unquiet();
    this.#guarded(() => {
      this.#node.campaign();
    });
    this.#host.wake(this);
  }

  /** Forgets entries of the log up to this index, as far as they are applied: their space is needed. */
  compactUntil(index: number): void {
    const until = Math.min(index, this.#applied);
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
    this.#touch();
    this.#host.wake(this);
  }

  /** Does what the core asks for; what is to be written is added to the batch. */
  drive(batch: AppendBatch): void {
    if (this.#state !== 'running') return;
    this.#guarded(() => {
      this.#proposeWaiting();
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
    if (this.#inFlight === batch) this.#inFlight = undefined;
    if (this.#state !== 'running') return;
    if (this.#install !== undefined && batch === this.#installBatch) this.#installed(this.#install);
    this.#guarded(() => {
      this.#deliver(responses);
    });
    this.#host.wake(this);
  }

  status(): GroupStatus {
    const node = this.#node;
    const { confState } = this.#members;
    const isLearner =
      !confState.voters.includes(this.#host.self) && !confState.votersOutgoing.includes(this.#host.self);
    return {
      group: this.group,
      epoch: this.epoch,
      state: this.#state,
      quiet: this.isQuiet,
      role: isLearner ? 'learner' : node.role,
      term: node.term,
      leader: node.lead,
      commit: node.commit,
      applied: this.#applied,
      firstIndex: this.#log.firstIndex,
      lastIndex: node.lastIndex,
      logBytes: this.#log.bytes,
      confState,
      progress: this.isLeader ? this.#progress() : [],
      problem: this.#problem?.message,
    };
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

  // ---- proposals

  #refusal(bytes: number): Error | undefined {
    if (this.#state !== 'running') return this.#stopped();
    if (this.#node.role !== 'leader') return notLeading(this.#node.lead);
    const { maxProposals } = this.#host.tuning;
    if (this.#waiting.length + this.#pending.size >= maxProposals) {
      return oaasError('ResourceExhausted', 'too many changes of this group wait for an answer', {
        remedy: 'Send slower; use more partitions.',
        retryAfterMs: 50,
        details: { maxProposals },
      });
    }
    return this.#host.takeBytes(bytes);
  }

  #proposeWaiting(): void {
    if (this.#waiting.length === 0 && this.#waitingChange === undefined) return;
    const node = this.#node;
    if (node.role !== 'leader') {
      this.#refuseWaiting(notLeading(node.lead));
      return;
    }
    const first = node.lastIndex + 1;
    if (this.#waiting.length > 0) {
      const outcome = node.propose(this.#waiting.map(({ data }) => data));
      if (outcome !== 'ok') {
        // While leadership is being moved they wait: soon it is clear who takes them.
        if (node.basicStatus().leadTransferee === 0) this.#refuseWaiting(overloaded());
        return;
      }
      const { term } = node;
      for (let i = 0; i < this.#waiting.length; i++) {
        const proposal = this.#waiting[i];
        if (proposal === undefined) continue;
        this.#pending.add(proposal, first + i, term);
        if (proposal.span !== undefined) proposal.span = proposal.span.next('commit', first + i, term);
      }
      this.#waiting = [];
    }
    const change = this.#waitingChange;
    if (change !== undefined) this.#proposeChange(change);
  }

  #proposeChange(proposal: Proposal): void {
    const { changes, transition } = proposal.own as ProposedChange;
    const index = this.#node.lastIndex + 1;
    const outcome = this.#node.proposeConfChange({
      transition,
      changes: changes.map(singleChange),
      context: encodeContext(changes, proposal.data),
    });
    if (outcome !== 'ok' && this.#node.basicStatus().leadTransferee !== 0) return;
    this.#waitingChange = undefined;
    if (outcome === 'ok') this.#pending.add(proposal, index, this.#node.term);
    else this.#answer(proposal, overloaded());
  }

  #refuseWaiting(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const proposal of waiting) this.#answer(proposal, error);
    const change = this.#waitingChange;
    this.#waitingChange = undefined;
    if (change !== undefined) this.#answer(change, error);
  }

  #answer(proposal: Proposal, result: unknown): void {
    this.#host.releaseBytes(proposal.data.length);
    if (proposal.span !== undefined) proposal.span.end(result instanceof Error ? result : undefined);
    if (result instanceof Error) proposal.reject(result);
    else proposal.resolve(result);
  }

  readonly #lost = (proposal: Proposal, outcome: Outcome): void => {
    this.#answer(proposal, lostLeadership(outcome, this.#node.lead));
  };

  /** Nobody knows what became of what is still pending. */
  #giveUp(): void {
    this.#giveUpAt = Infinity;
    for (const proposal of this.#pending.takeAll()) this.#lost(proposal, 'unknown');
    if (this.#leaving !== undefined) this.#lost(this.#leaving, 'unknown');
    this.#leaving = undefined;
  }

  // ---- the core's work

  #handle(ready: Ready, batch: AppendBatch): void {
    if (ready.softState !== undefined || this.#node.term !== this.#term) this.#onSoftState();
    for (const state of ready.readStates) {
      const askedAt = this.#reads.answer(state, this.#install === undefined ? this.#applied : -1);
      if (askedAt !== undefined && this.#node.role === 'leader') this.#lease?.extend(this.#node.term, askedAt);
    }
    for (const message of ready.messages) {
      if (message.to === localAppendThread) this.#append(message, batch);
      else if (message.to === localApplyThread) this.#apply(message);
      else this.#send(message);
    }
  }

  #onSoftState(): void {
    const { lead, role, term } = this.#node;
    const isLeader = role === 'leader';
    if (this.#wasLeader && !isLeader) {
      // The next leader has most of them; those it commits are answered as they should be.
      this.#giveUpAt = this.#ticks + 2 * this.#host.tuning.electionTicks;
      this.#refuseWaiting(notLeading(lead));
    }
    if (isLeader) this.#giveUpAt = Infinity;
    this.#wasLeader = isLeader;
    const changed = lead !== this.#lead || term !== this.#term;
    this.#lead = lead;
    this.#term = term;
    if (lead !== 0) this.#endTransfers(lead);
    const { tracer } = this.#host;
    if (tracer !== undefined) this.#traceElection(tracer, lead, term);
    if (changed) this.#host.onLeader(this);
  }

  #traceElection(tracer: RaftTracer, lead: number, term: number): void {
    if (lead === 0) {
      this.#election ??= tracer.begin('election', this.group, term);
      return;
    }
    this.#election?.note('leader', lead);
    this.#election?.note('term', term);
    this.#election?.end();
    this.#election = undefined;
  }

  #append(message: Message, batch: AppendBatch): void {
    const { entries, snapshot, term, vote, commit } = message;
    const responses = message.responses ?? noMessages;
    const state = term === 0 && vote === 0 && commit === 0 ? undefined : { term, vote, commit };
    const isNew = state !== undefined && (state.term !== this.#storedTerm || state.vote !== this.#storedVote);
    if (entries.length === 0 && snapshot === undefined && !isNew) {
      // A commit index alone is worth no flush; it can be found again.
      this.#heldState = state ?? this.#heldState;
      if (this.#inFlight === undefined) this.#deliver(responses);
      else this.#inFlight.addResponses(this, responses);
      return;
    }
    const hardState = state ?? this.#heldState;
    this.#heldState = undefined;
    if (hardState !== undefined) {
      this.#storedTerm = hardState.term;
      this.#storedVote = hardState.vote;
    }
    const reset = snapshot === undefined ? undefined : this.#beginInstall(snapshot.metadata, batch);
    batch.add({ group: this.group, hardState, entries, reset }, this, responses as Message[]);
    this.#inFlight = batch;
  }

  #deliver(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#host.self) this.#node.step(message);
      else this.#send(message);
    }
  }

  #send(message: Message): void {
    const { type, to, entries } = message;
    if (type === MessageType.MsgSnap) {
      this.#host.sendSnapshot(this, message);
      return;
    }
    if (type === MessageType.MsgApp) {
      if (entries.length === 0) {
        this.#hold(message);
        return;
      }
      // It says what the one that was held back says, and more.
      this.#held?.delete(to);
    }
    const toEpoch = isVote(message.type) ? this.#votingEpochOf(to) : this.epochOf(to);
    this.#host.send(this, to, toEpoch, false, message);
  }

  /** Soon there may be entries that the commit index can travel with: under load that saves half of all messages. */
  #hold(message: Message): void {
    this.#held ??= new Map();
    if (this.#held.size === 0) this.#host.hold(this);
    this.#held.set(message.to, message);
  }

  /** Sends what was held back. */
  release(): void {
    if (this.#held === undefined || this.#state !== 'running') return;
    for (const [to, message] of this.#held) this.#host.send(this, to, this.epochOf(to), false, message);
    this.#held.clear();
  }

  #apply(message: Message): void {
    const { entries } = message;
    const { isMark } = this.#machine;
    let from = 0;
    for (let i = 0; isMark !== undefined && i < entries.length; i++) {
      const entry = entries[i];
      if (entry?.type !== 0 || !isMark(entry.data)) continue;
      this.#applyRun(entries.slice(from, i + 1));
      this.#machine.marked?.(entry.index);
      from = i + 1;
    }
    if (from < entries.length) this.#applyRun(from === 0 ? entries : entries.slice(from));
    this.#deliver(message.responses ?? noMessages);
    this.#reads.applied(this.#applied);
    this.#compact();
  }

  #applyRun(entries: readonly Entry[]): void {
    const committed: CommittedEntry[] = [];
    const proposals: (Proposal | undefined)[] = [];
    const changed: (() => void)[] = [];
    for (const entry of entries) {
      const proposal = this.#pending.size === 0 ? undefined : this.#pending.take(entry.index, entry.term, this.#lost);
      if (entry.type !== 0) changed.push(this.#applyChange(entry, proposal));
      else if (entry.data.length > 0) {
        committed.push({ index: entry.index, data: entry.data, own: proposal?.own });
        if (proposal?.span !== undefined) proposal.span = proposal.span.next('apply', entry.index, entry.term);
        proposals.push(proposal);
      } else if (proposal !== undefined) {
        // The core puts an empty entry in the place of a change of members that it refuses.
        changed.push(() => {
          this.#answer(proposal, changeRefused());
        });
      }
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#applied = last.index;
    this.#appliedTerm = last.term;
    const results: unknown[] = [];
    const operations = committed.length === 0 ? [] : this.#machine.apply(committed, results);
    this.#host.engine.apply([...operations, { type: 'put', key: this.#recordKey, value: this.record() }]);
    for (let i = 0; i < proposals.length; i++) {
      const proposal = proposals[i];
      if (proposal !== undefined) this.#answer(proposal, results[i]);
    }
    for (const run of changed) run();
  }

  /** What follows once it is stored is returned, so that nobody hears of a change that is not. */
  #applyChange(entry: Entry, proposal: Proposal | undefined): () => void {
    const change = confChangeOf(entry);
    if (change === undefined) return () => undefined;
    const confState = this.#node.applyConfChange(change);
    const { epochs, context } = decodeContext(change.context);
    this.#setMembers(confState, epochs);
    const isJoint = confState.votersOutgoing.length > 0;
    const isEntering = isConfChangeV2(change) && change.changes.length > 0;
    return () => {
      if (isJoint && confState.autoLeave && proposal !== undefined) this.#leaving = proposal;
      else if (proposal !== undefined) this.#answer(proposal, confState);
      else if (!isEntering && this.#leaving !== undefined) {
        this.#answer(this.#leaving, confState);
        this.#leaving = undefined;
      }
      this.#host.onMembers(this, context);
    };
  }

  #setMembers(confState: ConfState, epochs: ReadonlyMap<number, number>): void {
    const known = new Map(this.#members.epochs);
    for (const [member, epoch] of epochs) {
      if (epoch > (known.get(member) ?? 1)) known.set(member, epoch);
      this.#raiseEpoch(member, epoch);
    }
    this.#members = { confState, epochs: known };
    this.#membersBytes = encodeMembers(this.#members);
    this.#everyone = everyoneOf(confState);
  }

  record(): Buffer {
    return encodeRecord(
      {
        state: 'present',
        epoch: this.epoch,
        generation: this.#generation,
        applied: this.#applied,
        appliedTerm: this.#appliedTerm,
      },
      this.#membersBytes,
    );
  }

  #compact(): void {
    const { keepEntries, keepBytes } = this.#host.tuning;
    const log = this.#log;
    const count = this.#applied - log.firstIndex + 1;
    const bytesFit = log.bytes <= keepBytes;
    if (bytesFit && count <= keepEntries * 1.25) return;
    const keep = bytesFit ? keepEntries : Math.min(keepEntries, Math.floor((count * keepBytes * 0.75) / log.bytes));
    let until = Math.min(this.#applied - keep, this.#host.neededBySnapshots(this));
    // A follower that is only somewhat behind is worth more of the log than a snapshot would cost.
    if (this.isLeader && log.bytes < 8 * keepBytes && count < 8 * keepEntries)
      until = Math.min(until, this.#slowestMatch());
    if (until >= log.firstIndex) this.#host.engine.compact(this.group, until);
  }

  #slowestMatch(): number {
    let slowest = Infinity;
    for (const member of this.#everyone) {
      const progress = this.#node.progress(member);
      if (progress === undefined || progress.state === 'snapshot' || !progress.recentActive) continue;
      slowest = Math.min(slowest, progress.match);
    }
    return slowest;
  }

  // ---- snapshots

  #beginInstall({ index, term, confState }: SnapshotMetadata, batch: AppendBatch): LogPosition {
    const install = this.#host.installOf(this, { index, term });
    if (install === undefined) throw oaasError('Internal', 'a snapshot is to be installed that was not received');
    this.#applied = index;
    this.#appliedTerm = term;
    this.#generation = install.generation;
    this.#setMembers(confState, install.members.epochs);
    install.addTo(batch, this.record());
    this.#install = install;
    this.#installBatch = batch;
    return { index, term };
  }

  #installed(install: Install): void {
    this.#install = undefined;
    this.#installBatch = undefined;
    this.#guarded(() => {
      this.#machine.open(this.#generation);
    });
    // What was proposed here and is now part of the snapshot: nobody knows.
    this.#giveUp();
    this.#reads.applied(this.#applied);
    install.done();
    if (this.#state === 'running') this.#host.onMembers(this, new Uint8Array(0));
  }

  /** Offers a received snapshot to the core. If it wants it, it is installed in the next pass. */
  takeSnapshot(message: Message): void {
    this.#idleTicks = 0;
    this.#unquiet();
    this.#guarded(() => {
      this.#node.step(message);
    });
    this.#host.wake(this);
  }

  // ---- quiet

  #touch(): void {
    this.#idleTicks = 0;
    this.#unquiet();
  }

  #unquiet(): void {
    if (!this.isQuiet || this.#state !== 'running') return;
    this.isQuiet = false;
    this.#idleTicks = 0;
    this.#host.setTicking(this, true);
  }

  #setQuiet(): void {
    this.isQuiet = true;
    this.#host.setTicking(this, false);
  }

  /** Nothing is open here, and everything in the log is committed and applied. */
  #isSettled(): boolean {
    const node = this.#node;
    return (
      node.lastIndex === node.commit &&
      node.commit === this.#applied &&
      this.#waiting.length === 0 &&
      this.#waitingChange === undefined &&
      this.#leaving === undefined &&
      this.#pending.size === 0 &&
      this.#transfers.length === 0 &&
      this.#reads.isEmpty
    );
  }

  #goQuiet(): boolean {
    const node = this.#node;
    if (!this.#isSettled() || this.#inFlight !== undefined || node.hasReady()) return false;
    if (this.#members.confState.votersOutgoing.length > 0) return false;
    const { self } = this.#host;
    const reachable: number[] = [];
    for (const member of this.#everyone) {
      // One whose node is down is left out: it is woken up for when its link comes back.
      if (member === self || !this.#host.isUp(member)) continue;
      const progress = node.progress(member);
      if (progress?.match !== node.lastIndex || progress.state !== 'replicate') return false;
      reachable.push(member);
    }
    const voters = this.#members.confState.voters;
    const live = voters.filter((voter) => voter === self || reachable.includes(voter)).length;
    if (live * 2 <= voters.length) return false;
    for (const member of reachable) {
      const message = makeMessage(MessageType.MsgHeartbeat, member, self, node.term);
      message.index = node.lastIndex;
      message.commit = node.commit;
      this.#host.send(this, member, this.epochOf(member), true, message);
    }
    this.#setQuiet();
    return true;
  }

  /** False when this replica does not see what the leader sees. */
  #goQuietWith(from: number, { term, commit, index }: Message): boolean {
    const node = this.#node;
    if (node.role !== 'follower' || node.lead !== from || node.term !== term) return false;
    if (node.lastIndex !== index || node.commit !== commit || !this.#isSettled()) return false;
    if (!this.isQuiet) this.#setQuiet();
    return true;
  }

  // ---- small things

  #isAlone(): boolean {
    const { voters, votersOutgoing } = this.#members.confState;
    return voters.length === 1 && votersOutgoing.length === 0;
  }

  #askForLease(): void {
    this.#reads.wait().catch(() => undefined);
    this.#host.wake(this);
  }

  /** Epoch of the member's replica as far as is known here. */
  epochOf(member: number): number {
    return this.#epochs?.get(member) ?? 1;
  }

  /** Of the replica that the configuration means, as far as it is applied here. The member may have a later one by now. */
  #votingEpochOf(member: number): number {
    return this.#members.epochs.get(member) ?? 1;
  }

  #knowsEpoch(member: number, epoch: number): boolean {
    const known = this.epochOf(member);
    if (epoch > known) this.#raiseEpoch(member, epoch);
    return epoch >= known;
  }

  #raiseEpoch(member: number, epoch: number): void {
    if (epoch <= this.epochOf(member)) return;
    this.#epochs ??= new Map();
    this.#epochs.set(member, epoch);
  }

  /** By rank among the others, so that they do not all stand at once; ranks differ from group to group. */
  #campaignDelay(lost: number): number | undefined {
    const { voters } = this.#members.confState;
    const { self, tuning } = this.#host;
    if (!voters.includes(self)) return undefined;
    const others = voters.filter((voter) => voter !== lost);
    const rank = (others.indexOf(self) + this.group) % others.length;
    const step = tuning.campaignSpreadMs / others.length;
    return step * (rank + 0.4 * this.#host.random());
  }

  #checkTransfers(): void {
    const late = this.#transfers.filter(({ deadline }) => deadline <= this.#ticks);
    this.#transfers = this.#transfers.filter(({ deadline }) => deadline > this.#ticks);
    for (const { to, reject } of late) reject(transferFailed(to));
  }

  #endTransfers(lead: number): void {
    if (this.#transfers.length === 0 || lead === this.#host.self) return;
    const transfers = this.#transfers;
    this.#transfers = [];
    for (const { to, resolve, reject } of transfers) {
      if (to === lead) resolve();
      else reject(transferFailed(to));
    }
  }

  #progress(): PeerProgress[] {
    const last = this.#node.lastIndex;
    const { votersOutgoing, voters } = this.#members.confState;
    return this.#node.status().progress.map((view) => ({
      member: view.id,
      role: view.learner
        ? 'learner'
        : voters.includes(view.id) || !votersOutgoing.includes(view.id)
          ? 'voter'
          : 'outgoing',
      match: view.match,
      next: view.next,
      state: view.id === this.#host.self ? 'leader' : view.state,
      lag: Math.max(0, last - view.match),
      recentActive: view.id === this.#host.self || view.recentActive,
      pendingSnapshot: view.pendingSnapshot,
    }));
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
    this.isQuiet = true;
    this.#host.setTicking(this, false);
    this.#refuseWaiting(error);
    for (const proposal of this.#pending.takeAll()) this.#lost(proposal, 'unknown');
    if (this.#leaving !== undefined) this.#lost(this.#leaving, 'unknown');
    this.#leaving = undefined;
    this.#reads.rejectAll(error);
    this.#election?.end(error);
    this.#election = undefined;
    for (const { reject } of this.#transfers.splice(0)) reject(error);
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

function isResponse(type: Message['type']): boolean {
  return (
    type === MessageType.MsgAppResp ||
    type === MessageType.MsgVoteResp ||
    type === MessageType.MsgPreVoteResp ||
    type === MessageType.MsgHeartbeatResp ||
    type === MessageType.MsgReadIndexResp
  );
}

function isVote(type: Message['type']): boolean {
  return type === MessageType.MsgVote || type === MessageType.MsgPreVote;
}

function singleChange({ type, member }: MemberChange): ConfChangeSingle {
  const types = {
    voter: ConfChangeType.ConfChangeAddNode,
    learner: ConfChangeType.ConfChangeAddLearnerNode,
    remove: ConfChangeType.ConfChangeRemoveNode,
  } as const;
  return { type: types[type], nodeId: member };
}

function everyoneOf({ voters, learners, votersOutgoing, learnersNext }: ConfState): readonly number[] {
  return [...new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])];
}

function changeRefused(): Error {
  return oaasError('FailedPrecondition', 'another change of the members is under way, or it is not possible now', {
    retryAfterMs: 100,
    remedy: 'Wait until the change is done, look at the members, and propose what is still needed.',
  });
}

function overloaded(): Error {
  return oaasError('ResourceExhausted', 'the group has too many bytes that are not committed yet', {
    retryAfterMs: 100,
    remedy: 'Send slower; see whether a majority of the replicas keeps up.',
  });
}

function transferFailed(to: number): Error {
  return oaasError('Unavailable', `member ${String(to)} did not take over the leadership`, {
    retryAfterMs: 200,
    details: { member: to },
  });
}
