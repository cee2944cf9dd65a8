import { oaasError } from '@oaas/commons/errors';
import type { CompleteConfig, RaftLogger } from './config.ts';
import {
  type ChangeResult,
  confChangeOf,
  encodeConfChange,
  enterJoint,
  isConfChangeV2,
  leaveJoint,
  type NewMember,
  restoreMembership,
  simpleChange,
  toConfChangeV2,
} from './confchange/index.ts';
import { RaftLog } from './log.ts';
import { PendingReads } from './read-only.ts';
import { entriesSize, payloadSize } from './size.ts';
import { isJoint, type Progress, Tracker } from './tracker/index.ts';
import {
  type ConfChange,
  ConfChangeTransition,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  makeMessage,
  type Message,
  MessageType,
  noBytes,
  noNode,
  type ReadState,
  type Role,
  type Snapshot,
  type StepOutcome,
} from './types.ts';

/**
 * - `preElection`: would I win? Terms stay as they are.
 * - `election`: the election itself.
 * - `transfer`: the leader asked for it, so its followers vote although they hear from it.
 */
type Campaign = 'preElection' | 'election' | 'transfer';

/** Context of a vote request that overrides followers' loyalty to their leader. */
const transferContext = Uint8Array.from('CampaignTransfer', (character) => character.charCodeAt(0));

const noEntries: readonly Entry[] = [];

/** Read requests that wait for the first commit of a new leader. Further ones are dropped: their callers ask again. */
const maxEarlyReads = 4096;

/**
 * One member of one group: the state machine of the paper (Figure 2), with the extensions of the thesis and of etcd/raft. It only ever acts when
 * called, and says what is to be done in `messages`, `messagesAfterAppend`, `readStates`, and its log.
 */
export class Raft {
  readonly id: number;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  term = 0;
  vote = noNode;
  role: Role = 'follower';
  lead = noNode;
  leadTransferee = noNode;
  /** To other nodes, at any time. */
  messages: Message[] = [];
  /** To others or to this node itself, once everything unstable now is on disk: votes and acknowledgements are promises. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  /** Ticks until an election, by chance between one and two election timeouts. Drawn anew with every change of role or term. */
  randomizedElectionTimeout = 0;

  readonly #config: CompleteConfig;
  readonly #logger: RaftLogger;
  /** Ticks since the leader was heard of, or, on a leader, since the last check of the quorum. */
  #electionElapsed = 0;
  #heartbeatElapsed = 0;
  /** No change of the configuration may be proposed before this index is applied: at most one is under way. */
  #pendingConfIndex = 0;
  /** Bytes of data appended by this leader and not yet applied: never more than there are, so that proposals are not refused without need. */
  #uncommittedSize = 0;
  #pendingReads = new PendingReads();
  #earlyReads: Message[] = [];

  constructor(config: CompleteConfig) {
    this.id = config.id;
    this.#config = config;
    this.#logger = config.logger;
    this.log = new RaftLog(config.storage, config.logger, config.maxCommittedSizePerReady);
    this.tracker = new Tracker(config.maxInflightMsgs, config.maxInflightBytes);
    const { hardState, confState } = config.storage.initialState();
    this.#switchTo(restoreMembership(confState, this.#newMember()));
    this.#load(hardState, config.applied);
    this.#becomeFollower(this.term, noNode);
  }

  // Time

  tick(): void {
    if (this.role === 'leader') this.#tickLeader();
    else this.#tickElection();
  }

  #tickElection(): void {
    this.#electionElapsed++;
    if (this.#electionElapsed < this.randomizedElectionTimeout || !this.#promotable()) return;
    this.#electionElapsed = 0;
    this.hup();
  }

  #tickLeader(): void {
    this.#heartbeatElapsed++;
    this.#electionElapsed++;
    if (this.#electionElapsed >= this.#config.electionTick) {
      this.#electionElapsed = 0;
      if (this.#config.checkQuorum) this.#checkQuorum();
      // A transfer that took this long has failed: the leader takes proposals again.
      if (this.role === 'leader') this.leadTransferee = noNode;
    }
    if (this.role !== 'leader' || this.#heartbeatElapsed < this.#config.heartbeatTick) return;
    this.#heartbeatElapsed = 0;
    this.#broadcastHeartbeat();
  }

  #checkQuorum(): void {
    if (!this.tracker.quorumActive()) {
      this.#logger.warn({ id: this.id, term: this.term }, 'stepped down: no quorum was heard from');
      this.#becomeFollower(this.term, noNode);
    }
    for (const progress of this.tracker.members) {
      if (progress.id !== this.id) progress.recentActive = false;
    }
  }

  // Roles

  /** Stands for election, if that makes sense. */
  hup(): void {
    this.#campaignIfPossible(this.#config.preVote ? 'preElection' : 'election');
  }

  #campaignIfPossible(kind: Campaign): void {
    if (this.role === 'leader') {
      this.#logger.debug({ id: this.id }, 'did not campaign: already the leader');
      return;
    }
    if (!this.#promotable()) {
      this.#logger.warn({ id: this.id }, 'did not campaign: not a voter, or a snapshot is being taken in');
      return;
    }
    if (this.log.hasUnappliedConfChange(this.#config.maxCommittedSizePerReady)) {
      this.#logger.warn({ id: this.id, term: this.term }, 'did not campaign: a configuration change is to be applied');
      return;
    }
    this.#campaign(kind);
  }

  #promotable(): boolean {
    const own = this.tracker.get(this.id);
    return own !== undefined && !own.learner && this.log.unstable.snapshot === undefined;
  }

  #campaign(kind: Campaign): void {
    const request = kind === 'preElection' ? MessageType.MsgPreVote : MessageType.MsgVote;
    if (kind === 'preElection') this.#becomePreCandidate();
    else this.#becomeCandidate();
    // A pre-vote asks about the term that would come.
    const term = kind === 'preElection' ? this.term + 1 : this.term;
    const lastIndex = this.log.lastIndex();
    const lastTerm = this.log.lastTerm();
    for (const id of this.tracker.voterIds) {
      if (id === this.id) {
        this.messagesAfterAppend.push(makeMessage(voteResponseOf(request), id, id, term));
        continue;
      }
      const message = makeMessage(request, id, this.id, term);
      message.index = lastIndex;
      message.logTerm = lastTerm;
      if (kind === 'transfer') message.context = transferContext;
      this.#tellCommit(message);
      this.messages.push(message);
    }
    this.#logger.info({ id: this.id, term: this.term, kind, lastIndex, lastTerm }, 'asked for votes');
  }

  #becomeFollower(term: number, lead: number): void {
    this.#reset(term);
    this.role = 'follower';
    this.lead = lead;
    this.#logger.info({ id: this.id, term, lead }, 'became follower');
  }

  #becomePreCandidate(): void {
    // Neither the term nor the vote changes: the question binds nobody.
    this.tracker.resetVotes();
    this.role = 'preCandidate';
    this.lead = noNode;
    this.#logger.info({ id: this.id, term: this.term }, 'became pre-candidate');
  }

  #becomeCandidate(): void {
    this.#reset(this.term + 1);
    this.role = 'candidate';
    this.vote = this.id;
    this.#logger.info({ id: this.id, term: this.term }, 'became candidate');
  }

  #becomeLeader(): void {
    this.#reset(this.term);
    this.role = 'leader';
    this.lead = this.id;
    const own = this.#own();
    own.becomeReplicate();
    own.recentActive = true;
    // A change may be among the entries that are not yet committed. Waiting for all of them is cheaper than reading them.
    this.#pendingConfIndex = this.log.lastIndex();
    // §5.4.2 and §8: an entry of the own term is what commits those of earlier terms.
    this.#appendOwn([{ term: 0, index: 0, type: EntryType.EntryNormal, data: noBytes }]);
    this.#logger.info({ id: this.id, term: this.term }, 'became leader');
  }

  #own(): Progress {
    const own = this.tracker.get(this.id);
    if (own === undefined) throw oaasError('Internal', 'raft: a node that is not a member campaigned');
    return own;
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = noNode;
    }
    this.lead = noNode;
    this.#electionElapsed = 0;
    this.#heartbeatElapsed = 0;
    const { electionTick, random } = this.#config;
    this.randomizedElectionTimeout = electionTick + Math.floor(random.next() * electionTick);
    this.leadTransferee = noNode;
    this.tracker.resetVotes();
    const last = this.log.lastIndex();
    for (const progress of this.tracker.members) progress.reset(progress.id === this.id ? last : 0, last + 1);
    this.#pendingConfIndex = 0;
    this.#uncommittedSize = 0;
    this.#pendingReads = new PendingReads();
    this.#earlyReads = [];
  }

  #load({ term, vote, commit }: HardState, applied: number): void {
    // What was applied, or even compacted, had been committed, though the note of that may not be on disk.
    const committed = Math.max(commit, applied, this.log.committed);
    if (committed > this.log.lastIndex()) {
      throw oaasError('Internal', 'raft: the stored log ends before what was committed: entries were lost', {
        details: { committed, lastIndex: this.log.lastIndex() },
      });
    }
    this.log.committed = committed;
    if (applied > this.log.applied) this.log.appliedTo(applied, 0);
    this.term = term;
    this.vote = vote;
  }

  // Messages in

  step(message: Message): StepOutcome {
    if (message.commitTerm !== 0) this.#learnCommit(message);
    if (message.term > this.term) {
      if (!this.#meetHigherTerm(message)) return 'ok';
    } else if (message.term < this.term && message.term !== 0) {
      this.#meetLowerTerm(message);
      return 'ok';
    }
    switch (message.type) {
      case MessageType.MsgHup:
        this.hup();
        return 'ok';
      case MessageType.MsgStorageAppendResp:
        if (message.index !== 0) this.log.unstable.stableTo(message.index, message.logTerm);
        if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
        return 'ok';
      case MessageType.MsgStorageApplyResp:
        this.applied(message.entries);
        return 'ok';
      case MessageType.MsgVote:
      case MessageType.MsgPreVote:
        this.#answerVote(message);
        return 'ok';
      default:
        if (this.role === 'leader') return this.#stepLeader(message);
        return this.role === 'follower' ? this.#stepFollower(message) : this.#stepCandidate(message);
    }
  }

  /** False if the message is to be ignored. */
  #meetHigherTerm(message: Message): boolean {
    const { type, from, term } = message;
    const isVote = type === MessageType.MsgVote || type === MessageType.MsgPreVote;
    if (isVote && this.#config.checkQuorum && this.lead !== noNode && !equalBytes(message.context, transferContext)) {
      if (this.#electionElapsed < this.#config.electionTick) {
        this.#logger.info(
          { id: this.id, term: this.term, from, asked: term },
          'ignored a candidate: the leader is alive',
        );
        return false;
      }
    }
    // A pre-vote changes no term, and one that is granted carries the term that was asked about.
    if (type === MessageType.MsgPreVote) return true;
    if (type === MessageType.MsgPreVoteResp && !message.reject) return true;
    this.#logger.info({ id: this.id, term: this.term, from, met: term }, 'met a higher term');
    const leads = type === MessageType.MsgApp || type === MessageType.MsgHeartbeat || type === MessageType.MsgSnap;
    this.#becomeFollower(term, leads ? from : noNode);
    return true;
  }

  #meetLowerTerm(message: Message): void {
    const { type, from } = message;
    const { checkQuorum, preVote } = this.#config;
    if ((checkQuorum || preVote) && (type === MessageType.MsgHeartbeat || type === MessageType.MsgApp)) {
      // A leader of an earlier term. Where votes are not a way to raise its term, this answer is: it steps down, and this node can rejoin.
      this.#send(makeMessage(MessageType.MsgAppResp, from, this.id, this.term));
    } else if (type === MessageType.MsgPreVote) {
      // Silence would leave a candidate with a shorter log and an earlier term asking for ever.
      this.#rejectVote(MessageType.MsgPreVoteResp, from);
    } else if (type === MessageType.MsgStorageAppendResp) {
      // What was written in an earlier term may be overwritten by a write that is under way. A snapshot is committed state and stays.
      if (message.snapshot !== undefined) this.#appliedSnapshot(message.snapshot);
    } else {
      this.#logger.info(
        { id: this.id, term: this.term, from, met: message.term, type },
        'ignored a message of an earlier term',
      );
    }
  }

  #answerVote(message: Message): void {
    const { type, from, term } = message;
    const canVote =
      this.vote === from ||
      (this.vote === noNode && this.lead === noNode) ||
      (type === MessageType.MsgPreVote && term > this.term);
    // Learners vote too: one that was promoted may not know it yet, and its vote may be needed for it to learn it.
    const grant = canVote && this.log.isUpToDate(message.index, message.logTerm);
    this.#logger.info({ id: this.id, term: this.term, from, asked: term, type, grant }, 'answered a candidate');
    if (!grant) {
      this.#rejectVote(voteResponseOf(type), from);
      return;
    }
    // With the term that was asked about: for a pre-vote it is not this node's.
    this.#send(makeMessage(voteResponseOf(type), from, this.id, term));
    if (type === MessageType.MsgVote) {
      this.#electionElapsed = 0;
      this.vote = from;
    }
  }

  #rejectVote(type: MessageType, to: number): void {
    const response = makeMessage(type, to, this.id, this.term);
    response.reject = true;
    this.#tellCommit(response);
    this.#send(response);
  }

  #tellCommit(message: Message): void {
    if (!this.#config.commitWithVotes) return;
    const term = this.log.term(this.log.committed);
    if (typeof term !== 'number') return;
    message.commit = this.log.committed;
    message.commitTerm = term;
  }

  /** What was committed once is so for good: whoever has that entry, with that term, may take it from any node, in any term. */
  #learnCommit({ from, commit, commitTerm }: Message): void {
    if (this.role === 'leader' || !this.log.maybeCommit(commit, commitTerm)) return;
    this.#logger.info({ id: this.id, term: this.term, from, commit }, 'learned with a vote what is committed');
    const isStanding = this.role === 'candidate' || this.role === 'preCandidate';
    // Who has the vote may have changed.
    if (isStanding && this.log.hasUnappliedConfChange(this.#config.maxCommittedSizePerReady)) {
      this.#becomeFollower(this.term, noNode);
    }
  }

  #stepFollower(message: Message): StepOutcome {
    switch (message.type) {
      case MessageType.MsgApp:
        this.#heardFromLeader(message);
        this.#handleAppend(message);
        return 'ok';
      case MessageType.MsgHeartbeat:
        this.#heardFromLeader(message);
        this.#handleHeartbeat(message);
        return 'ok';
      case MessageType.MsgSnap:
        this.#heardFromLeader(message);
        this.#handleSnapshot(message);
        return 'ok';
      case MessageType.MsgProp:
        if (this.lead === noNode || this.#config.disableProposalForwarding) {
          this.#logger.info({ id: this.id, term: this.term, lead: this.lead }, 'dropped a proposal: not the leader');
          return 'proposalDropped';
        }
        this.#forward(message, 0);
        return 'ok';
      case MessageType.MsgTransferLeader:
        if (this.lead !== noNode) this.#forward(message, this.term);
        else this.#logger.info({ id: this.id, term: this.term }, 'dropped a transfer: no leader is known');
        return 'ok';
      case MessageType.MsgReadIndex:
        if (this.lead !== noNode) this.#forward(message, 0);
        else this.#logger.info({ id: this.id, term: this.term }, 'dropped a read: no leader is known');
        return 'ok';
      case MessageType.MsgReadIndexResp: {
        const [entry] = message.entries;
        if (entry !== undefined) this.readStates.push({ index: message.index, context: entry.data });
        return 'ok';
      }
      case MessageType.MsgForgetLeader:
        if (this.#config.readOnlyOption === 'leaseBased') {
          this.#logger.error({ id: this.id }, 'did not forget the leader: it may serve reads by its lease');
        } else if (this.lead !== noNode) {
          this.#logger.info({ id: this.id, term: this.term, lead: this.lead }, 'forgot the leader');
          this.lead = noNode;
        }
        return 'ok';
      case MessageType.MsgTimeoutNow:
        this.#logger.info({ id: this.id, term: this.term, from: message.from }, 'the leader hands over leadership');
        // No pre-vote: this node is known not to come back from a partition.
        this.#campaignIfPossible('transfer');
        return 'ok';
      default:
        return 'ok';
    }
  }

  #heardFromLeader(message: Message): void {
    this.#electionElapsed = 0;
    this.lead = message.from;
  }

  /** The leader is to answer whoever asked first. */
  #forward(message: Message, term: number): void {
    const from = message.from === noNode ? this.id : message.from;
    const forwarded = makeMessage(message.type, this.lead, from, term);
    forwarded.entries = message.entries;
    this.messages.push(forwarded);
  }

  #stepCandidate(message: Message): StepOutcome {
    const { type, from } = message;
    switch (type) {
      case MessageType.MsgProp:
        this.#logger.info({ id: this.id, term: this.term }, 'dropped a proposal: no leader is known');
        return 'proposalDropped';
      case MessageType.MsgApp:
        this.#becomeFollower(this.term, from);
        this.#handleAppend(message);
        return 'ok';
      case MessageType.MsgHeartbeat:
        this.#becomeFollower(this.term, from);
        this.#handleHeartbeat(message);
        return 'ok';
      case MessageType.MsgSnap:
        this.#becomeFollower(this.term, from);
        this.#handleSnapshot(message);
        return 'ok';
      case MessageType.MsgPreVoteResp:
      case MessageType.MsgVoteResp:
        // Answers to the question before the election are of no use in it.
        if ((type === MessageType.MsgPreVoteResp) === (this.role === 'preCandidate')) this.#countVote(message);
        return 'ok';
      default:
        return 'ok';
    }
  }

  #countVote({ from, reject }: Message): void {
    this.tracker.recordVote(from, !reject);
    const { granted, rejected, result } = this.tracker.tallyVotes();
    this.#logger.info({ id: this.id, term: this.term, from, reject, granted, rejected }, 'received a vote');
    switch (result) {
      case 'won':
        if (this.role === 'preCandidate') {
          this.#campaign('election');
        } else {
          this.#becomeLeader();
          this.#broadcastAppend();
        }
        return;
      case 'lost':
        this.#becomeFollower(this.term, noNode);
        return;
      case 'pending':
        return;
    }
  }

  #stepLeader(message: Message): StepOutcome {
    switch (message.type) {
      case MessageType.MsgProp:
        return this.#propose(message.entries);
      case MessageType.MsgReadIndex:
        this.#read(message);
        return 'ok';
      case MessageType.MsgBeat:
        this.#broadcastHeartbeat();
        return 'ok';
      case MessageType.MsgCheckQuorum:
        this.#checkQuorum();
        return 'ok';
      default:
    }
    const progress = this.tracker.get(message.from);
    if (progress === undefined) return 'ok';
    switch (message.type) {
      case MessageType.MsgAppResp:
        progress.recentActive = true;
        if (message.reject) this.#appendRejected(message, progress);
        else this.#appendAccepted(message, progress);
        return 'ok';
      case MessageType.MsgHeartbeatResp:
        this.#heartbeatAnswered(message, progress);
        return 'ok';
      case MessageType.MsgSnapStatus:
        this.#snapshotEnded(message, progress);
        return 'ok';
      case MessageType.MsgUnreachable:
        // What was sent ahead is likely lost.
        if (progress.state === 'replicate') progress.becomeProbe();
        this.#logger.debug({ id: this.id, member: progress.id }, 'a member is not reachable');
        return 'ok';
      case MessageType.MsgTransferLeader:
        this.#transferTo(progress);
        return 'ok';
      default:
        return 'ok';
    }
  }

  // Proposals

  #propose(entries: readonly Entry[]): StepOutcome {
    if (entries.length === 0) throw oaasError('Internal', 'raft: a proposal without entries');
    // Removed from the group while leading.
    if (this.tracker.get(this.id) === undefined) return 'proposalDropped';
    if (this.leadTransferee !== noNode) return 'proposalDropped';
    if (!this.#appendOwn(this.#checkConfChanges(entries))) return 'proposalDropped';
    this.#broadcastAppend();
    return 'ok';
  }

  /** Changes of the configuration that are not possible now are replaced by empty entries, so that their proposer learns of it by index. */
  #checkConfChanges(entries: readonly Entry[]): readonly Entry[] {
    let checked = entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      if (entry.type === EntryType.EntryNormal) continue;
      const change = confChangeOf(entry);
      if (change === undefined) continue;
      const objection = this.#objectionTo(change);
      if (objection === undefined) {
        this.#pendingConfIndex = this.log.lastIndex() + i + 1;
        continue;
      }
      this.#logger.info({ id: this.id, term: this.term, objection }, 'refused a change of the configuration');
      const copy = checked === entries ? [...entries] : (checked as Entry[]);
      copy[i] = { term: 0, index: 0, type: EntryType.EntryNormal, data: noBytes };
      checked = copy;
    }
    return checked;
  }

  get hasPendingChange(): boolean {
    return this.#pendingConfIndex > this.log.applied;
  }

  #objectionTo(change: ConfChange | ConfChangeV2): string | undefined {
    if (this.#config.disableConfChangeValidation) return undefined;
    if (this.hasPendingChange) return 'another change may not be applied yet';
    const leaves = isConfChangeV2(change) && change.changes.length === 0;
    const joint = isJoint(this.tracker.config);
    if (joint && !leaves) return 'the joint configuration must be left first';
    if (!joint && leaves) return 'the configuration is not joint';
    return undefined;
  }

  /** Appends entries of this leader's term. False, and nothing is changed, if too much is uncommitted already. */
  #appendOwn(entries: readonly Entry[]): boolean {
    const size = payloadSize(entries);
    // Empty entries always pass, and so does one proposal of any size when nothing else is under way.
    if (
      size > 0 &&
      this.#uncommittedSize > 0 &&
      this.#uncommittedSize + size > this.#config.maxUncommittedEntriesSize
    ) {
      this.#logger.warn(
        { id: this.id, uncommitted: this.#uncommittedSize, size },
        'dropped a proposal: too much is uncommitted',
      );
      return false;
    }
    this.#uncommittedSize += size;
    let index = this.log.lastIndex();
    let own = entries;
    for (let i = 0; i < entries.length; i++) {
      let entry = entries[i] as Entry;
      if (entry.index !== 0) {
        // Has its place already: a forwarded proposal was delivered twice. Entries of a log are never changed.
        entry = { term: 0, index: 0, type: entry.type, data: entry.data };
        if (own === entries) own = [...entries];
        (own as Entry[])[i] = entry;
      }
      entry.term = this.term;
      entry.index = ++index;
    }
    this.log.append(own);
    // The leader acknowledges to itself, once the entries are on its disk.
    const acknowledgement = makeMessage(MessageType.MsgAppResp, this.id, this.id, this.term);
    acknowledgement.index = index;
    this.messagesAfterAppend.push(acknowledgement);
    return true;
  }

  // Replication

  #send(message: Message): void {
    switch (message.type) {
      case MessageType.MsgAppResp:
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messagesAfterAppend.push(message);
        return;
      default:
        this.messages.push(message);
    }
  }

  #broadcastAppend(): void {
    const { members } = this.tracker;
    for (let i = 0; i < members.length; i++) {
      const progress = members[i] as Progress;
      if (progress.id !== this.id) this.#sendAppend(progress, true);
    }
  }

  /** Sends what the member lacks, or the commit index alone if `evenEmpty`. False if nothing was sent. */
  #sendAppend(progress: Progress, evenEmpty: boolean): boolean {
    if (progress.paused) return false;
    const { log } = this;
    const { next } = progress;
    const prevTerm = log.term(next - 1);
    if (typeof prevTerm !== 'number') return this.#sendSnapshot(progress);
    let entries: readonly Entry[] | 'compacted' = noEntries;
    // With a full window an empty message still goes out, lest everything stops when all that fills it was lost.
    if (progress.state !== 'replicate' || !progress.inflights.full) {
      entries = log.entries(next, this.#config.maxSizePerMsg);
    }
    if (entries === 'compacted') return evenEmpty && this.#sendSnapshot(progress);
    if (entries.length === 0 && !evenEmpty) return false;
    const message = makeMessage(MessageType.MsgApp, progress.id, this.id, this.term);
    message.index = next - 1;
    message.logTerm = prevTerm;
    message.entries = entries;
    message.commit = log.committed;
    this.messages.push(message);
    progress.sentEntries(entries.length, payloadSize(entries));
    progress.sentCommit(log.committed);
    return true;
  }

  #sendSnapshot(progress: Progress): boolean {
    // A dead member would keep a snapshot, and what sends it, busy for nothing.
    if (!progress.recentActive) return false;
    const snapshot = this.log.snapshot();
    if (snapshot === 'temporarilyUnavailable') {
      this.#logger.debug({ id: this.id, member: progress.id }, 'no snapshot is at hand for a member that needs one');
      return false;
    }
    const { index, term } = snapshot.metadata;
    if (index === 0) throw oaasError('Internal', 'raft: the storage has compacted its log without a snapshot');
    this.#logger.debug({ id: this.id, member: progress.id, index, term }, 'sent a snapshot');
    progress.becomeSnapshot(index);
    const message = makeMessage(MessageType.MsgSnap, progress.id, this.id, this.term);
    message.snapshot = snapshot;
    this.messages.push(message);
    return true;
  }

  #broadcastHeartbeat(): void {
    const context = this.#pendingReads.heartbeatContext();
    for (const progress of this.tracker.members) {
      if (progress.id === this.id) continue;
      // No more than what the member surely has: its log may yet contradict the rest.
      const commit = Math.min(progress.match, this.log.committed);
      const message = makeMessage(MessageType.MsgHeartbeat, progress.id, this.id, this.term);
      message.commit = commit;
      message.context = context;
      this.messages.push(message);
      progress.sentCommit(commit);
    }
  }

  #handleAppend(message: Message): void {
    const { from, index, logTerm } = message;
    const response = makeMessage(MessageType.MsgAppResp, from, this.id, this.term);
    if (index < this.log.committed) {
      response.index = this.log.committed;
      this.#send(response);
      return;
    }
    const last = this.log.maybeAppend(index, logTerm, message.entries, message.commit);
    if (last !== undefined) {
      response.index = last;
    } else {
      // The hint: where this log ends, or, with a tail of later terms, the last place at which it could match the leader's.
      const hint = this.log.findConflictByTerm(Math.min(index, this.log.lastIndex()), logTerm);
      this.#logger.debug(
        { id: this.id, from, index, logTerm, hint: hint.index },
        'refused entries: the log does not match',
      );
      response.index = index;
      response.reject = true;
      response.rejectHint = hint.index;
      response.logTerm = hint.term;
    }
    this.#send(response);
  }

  #handleHeartbeat(message: Message): void {
    this.log.commitTo(message.commit);
    const response = makeMessage(MessageType.MsgHeartbeatResp, message.from, this.id, this.term);
    response.context = message.context;
    this.#send(response);
  }

  #appendRejected(message: Message, progress: Progress): void {
    const { index, rejectHint, logTerm } = message;
    // The member's term at the hint rules out every place where this log has a later one: at most one probe per term is needed.
    const probe = logTerm > 0 ? this.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
    this.#logger.debug(
      { id: this.id, member: progress.id, index, rejectHint, logTerm, probe },
      'a member refused entries',
    );
    if (!progress.maybeDecrease(index, probe)) return;
    if (progress.state === 'replicate') progress.becomeProbe();
    this.#sendAppend(progress, true);
  }

  #appendAccepted(message: Message, progress: Progress): void {
    const { index } = message;
    // An answer that says nothing new can still end a probe, as after a message that was believed lost.
    if (!progress.maybeUpdate(index) && !(progress.match === index && progress.state === 'probe')) return;
    switch (progress.state) {
      case 'probe':
        progress.becomeReplicate();
        break;
      case 'snapshot':
        // Whatever snapshot it was: the member can be caught up from the log again.
        if (progress.match + 1 >= this.log.firstIndex()) {
          this.#logger.debug(
            { id: this.id, member: progress.id, match: progress.match },
            'a member needs no snapshot any more',
          );
          progress.becomeProbe();
          progress.becomeReplicate();
        }
        break;
      case 'replicate':
        progress.inflights.freeUpTo(index);
        break;
    }
    const self = progress.id === this.id;
    if (this.#maybeCommit()) {
      this.#broadcastAppend();
    } else if (!self && progress.canBumpCommit(this.log.committed)) {
      this.#sendAppend(progress, true);
    }
    if (self) return;
    // Room in the window may be room for several messages.
    while (this.#sendAppend(progress, false));
    if (progress.id === this.leadTransferee && progress.match === this.log.lastIndex())
      this.#sendTimeoutNow(progress.id);
  }

  #maybeCommit(): boolean {
    if (!this.log.maybeCommit(this.tracker.committed(), this.term)) return false;
    this.#releaseEarlyReads();
    return true;
  }

  #heartbeatAnswered(message: Message, progress: Progress): void {
    progress.recentActive = true;
    progress.appendPaused = false;
    // Also when caught up but probing: the answer to an empty message is what ends the probe.
    if (progress.match < this.log.lastIndex() || progress.state === 'probe') this.#sendAppend(progress, true);
    if (message.context.length === 0 || this.#config.readOnlyOption !== 'safe') return;
    this.#pendingReads.acknowledge(message.from, message.context);
    for (const { request, index } of this.#pendingReads.takeConfirmed(this.tracker.config))
      this.#answerRead(request, index);
  }

  #snapshotEnded(message: Message, progress: Progress): void {
    if (progress.state !== 'snapshot') return;
    // One that failed is no place to probe from.
    if (message.reject) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    this.#logger.debug({ id: this.id, member: progress.id, failed: message.reject }, 'a snapshot transfer ended');
    // The member's own answer, or the next heartbeat's, lets the next append go.
    progress.appendPaused = true;
  }

  #handleSnapshot(message: Message): void {
    const { snapshot } = message;
    const restored = snapshot !== undefined && this.#restore(snapshot);
    const response = makeMessage(MessageType.MsgAppResp, message.from, this.id, this.term);
    response.index = restored ? this.log.lastIndex() : this.log.committed;
    this.#logger.info({ id: this.id, restored, index: snapshot?.metadata.index ?? 0 }, 'received a snapshot');
    this.#send(response);
  }

  /** False if the snapshot is not needed, or not for this node. */
  #restore(snapshot: Snapshot): boolean {
    const { index, term, confState } = snapshot.metadata;
    if (index <= this.log.committed) return false;
    const { voters, learners, votersOutgoing } = confState;
    if (!voters.includes(this.id) && !learners.includes(this.id) && !votersOutgoing.includes(this.id)) {
      this.#logger.warn({ id: this.id, index }, 'ignored a snapshot in which this node is not a member');
      return false;
    }
    if (this.log.matchTerm(index, term)) {
      // The log has all of it: only the commit index is news.
      this.log.commitTo(index);
      return false;
    }
    if (this.log.applying > this.log.applied) {
      // The host still applies entries from before, and would do so to the state of the snapshot. The leader will try again.
      this.#logger.info(
        { id: this.id, index, applying: this.log.applying },
        'ignored a snapshot: entries are being applied',
      );
      return false;
    }
    this.log.restore(snapshot);
    this.#switchTo(restoreMembership(confState, this.#newMember()));
    return true;
  }

  /** The host applied these committed entries. */
  applied(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1];
    if (last === undefined) return;
    this.#appliedTo(last.index, entriesSize(entries));
    this.#uncommittedSize = Math.max(0, this.#uncommittedSize - payloadSize(entries));
  }

  #appliedTo(index: number, size: number): void {
    const applied = Math.max(index, this.log.applied);
    this.log.appliedTo(applied, size);
    if (!this.tracker.config.autoLeave || this.role !== 'leader' || applied < this.#pendingConfIndex) return;
    // An entry without data is the empty change, and is never refused for its size. If leadership is being moved it is dropped, and proposed
    // again with what is applied next, or by the next leader.
    const outcome = this.#propose([{ term: 0, index: 0, type: EntryType.EntryConfChangeV2, data: noBytes }]);
    this.#logger.info({ id: this.id, term: this.term, outcome }, 'proposed to leave the joint configuration');
  }

  #appliedSnapshot(snapshot: Snapshot): void {
    this.log.unstable.stableSnapshotTo(snapshot.metadata.index);
    this.#appliedTo(snapshot.metadata.index, 0);
  }

  // Configuration

  #newMember(): NewMember {
    const { maxInflightMsgs, maxInflightBytes } = this.#config;
    return { lastIndex: this.log.lastIndex(), maxInflightMsgs, maxInflightBytes };
  }

  proposeConfChange(change: ConfChange | ConfChangeV2): StepOutcome {
    const type = isConfChangeV2(change) ? EntryType.EntryConfChangeV2 : EntryType.EntryConfChange;
    const message = makeMessage(MessageType.MsgProp, noNode, noNode, 0);
    message.entries = [{ term: 0, index: 0, type, data: encodeConfChange(change) }];
    return this.step(message);
  }

  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    const { transition, changes } = toConfChangeV2(change);
    const { ConfChangeTransitionAuto, ConfChangeTransitionJointExplicit } = ConfChangeTransition;
    const before = {
      config: this.tracker.config,
      members: new Map(this.tracker.members.map((each) => [each.id, each])),
    };
    if (transition === ConfChangeTransitionAuto && changes.length === 0) {
      this.#switchTo(leaveJoint(before, this.#newMember()));
    } else if (transition !== ConfChangeTransitionAuto || changes.length > 1) {
      // More could be done in one simple step, depending on what it applies to. Joint is right for all.
      const autoLeave = transition !== ConfChangeTransitionJointExplicit;
      this.#switchTo(enterJoint(before, autoLeave, changes, this.#newMember()));
    } else {
      this.#switchTo(simpleChange(before, changes, this.#newMember()));
    }
    this.#afterConfChange();
    return this.tracker.config;
  }

  #switchTo(result: ChangeResult): void {
    if (!result.ok) {
      throw oaasError('Internal', `raft: a committed change of the configuration is not possible: ${result.reason}`);
    }
    this.tracker.switchTo(result.config, result.members);
    this.#logger.info({ id: this.id, ...result.config }, 'switched to a configuration');
  }

  /** What a leader does about a new quorum and new members. */
  #afterConfChange(): void {
    if (this.role !== 'leader') return;
    if (this.tracker.get(this.id)?.learner !== false) {
      if (this.#config.stepDownOnRemoval) this.#becomeFollower(this.term, noNode);
      return;
    }
    if (this.#maybeCommit()) {
      this.#broadcastAppend();
    } else {
      // New members are probed at once instead of with the next heartbeat.
      for (const progress of this.tracker.members) if (progress.id !== this.id) this.#sendAppend(progress, false);
    }
    if (!this.tracker.voterIds.includes(this.leadTransferee)) this.leadTransferee = noNode;
  }

  // Leadership transfer (thesis, 3.10)

  #transferTo(progress: Progress): void {
    const { id } = progress;
    if (progress.learner || id === this.leadTransferee) return;
    this.leadTransferee = noNode;
    if (id === this.id) return;
    this.#logger.info({ id: this.id, term: this.term, transferee: id }, 'hands over leadership');
    // It has one election timeout to take over; meanwhile there are no proposals that it would have to catch up with.
    this.#electionElapsed = 0;
    this.leadTransferee = id;
    if (progress.match === this.log.lastIndex()) this.#sendTimeoutNow(id);
    else this.#sendAppend(progress, true);
  }

  #sendTimeoutNow(to: number): void {
    this.messages.push(makeMessage(MessageType.MsgTimeoutNow, to, this.id, this.term));
  }

  // Reads (thesis, 6.4)

  #read(request: Message): void {
    if (this.log.matchTerm(this.log.committed, this.term)) {
      this.#startRead(request);
    } else if (this.#earlyReads.length < maxEarlyReads) {
      // Before the first commit of its term a leader does not know what is committed, not even if it is the only voter: after a restart the
      // stored commit index may be behind what it had acknowledged.
      this.#earlyReads.push(request);
    } else {
      this.#logger.warn(
        { id: this.id, term: this.term },
        'dropped a read: too many wait for the first commit of the term',
      );
    }
  }

  #releaseEarlyReads(): void {
    if (this.#earlyReads.length === 0) return;
    const requests = this.#earlyReads;
    this.#earlyReads = [];
    for (const request of requests) this.#startRead(request);
  }

  #startRead(request: Message): void {
    if (this.#config.readOnlyOption === 'leaseBased' || this.tracker.isOnlyVoter(this.id)) {
      this.#answerRead(request, this.log.committed);
      return;
    }
    this.#pendingReads.add(this.log.committed, request);
    this.#pendingReads.acknowledge(this.id, this.#pendingReads.heartbeatContext());
    this.#broadcastHeartbeat();
  }

  #answerRead(request: Message, index: number): void {
    if (request.from === noNode || request.from === this.id) {
      this.readStates.push({ index, context: request.entries[0]?.data ?? noBytes });
      return;
    }
    const response = makeMessage(MessageType.MsgReadIndexResp, request.from, this.id, this.term);
    response.index = index;
    response.entries = request.entries;
    this.messages.push(response);
  }
}

function voteResponseOf(request: MessageType): MessageType {
  return request === MessageType.MsgPreVote ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp;
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
