import { invariant } from '@oaas/commons/errors';
import { completeConfig, type RaftConfig } from './config.ts';
import { Raft } from './raft.ts';
import { entriesSize } from './size.ts';
import type { LogMiss } from './storage.ts';
import {
  type BasicStatus,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  localAppendThread,
  localApplyThread,
  makeMessage,
  type Message,
  MessageType,
  noLimit,
  noNode,
  type ProgressView,
  type ReadState,
  type Ready,
  type Role,
  type Snapshot,
  type SoftState,
  type Status,
  type StepOutcome,
} from './types.ts';

const noReadStates: readonly ReadState[] = [];

/** Kinds of messages that never come from another node. */
const isLocal: readonly boolean[] = flags([
  MessageType.MsgHup,
  MessageType.MsgBeat,
  MessageType.MsgUnreachable,
  MessageType.MsgSnapStatus,
  MessageType.MsgCheckQuorum,
  MessageType.MsgStorageAppend,
  MessageType.MsgStorageAppendResp,
  MessageType.MsgStorageApply,
  MessageType.MsgStorageApplyResp,
]);

/** Kinds of messages that only a member has reason to send. */
const isResponse: readonly boolean[] = flags([
  MessageType.MsgAppResp,
  MessageType.MsgVoteResp,
  MessageType.MsgHeartbeatResp,
  MessageType.MsgUnreachable,
  MessageType.MsgReadIndexResp,
  MessageType.MsgPreVoteResp,
  MessageType.MsgStorageAppendResp,
  MessageType.MsgStorageApplyResp,
]);

function flags(types: readonly MessageType[]): readonly boolean[] {
  return Object.values(MessageType).map((type) => types.includes(type));
}

/** Whether `id` names a part of the host instead of a node. */
export function isLocalThread(id: number): boolean {
  return id === localAppendThread || id === localApplyThread;
}

/** One member of one group. Synchronous and without time of its own: the host ticks it, delivers messages, and does what `ready` says. */
export class RawNode {
  readonly id: number;
  readonly #raft: Raft;
  readonly #async: boolean;
  /** What the host was told last. */
  #lead: number;
  #role: Role;
  #hardState: HardState;
  /** Without async storage writes: what this node tells itself once the work of the last `ready` is done. */
  #onAdvance: Message[] = [];

  /** Throws `InvalidArgument` for a configuration out of bounds, `Internal` if storage and configuration contradict each other. */
  constructor(config: RaftConfig) {
    const complete = completeConfig(config);
    this.id = complete.id;
    this.#async = complete.asyncStorageWrites;
    this.#raft = new Raft(complete);
    this.#lead = this.#raft.lead;
    this.#role = this.#raft.role;
    this.#hardState = this.#currentHardState();
  }

  get term(): number {
    return this.#raft.term;
  }

  get role(): Role {
    return this.#raft.role;
  }

  /** The leader that this node knows, or 0. */
  get lead(): number {
    return this.#raft.lead;
  }

  get commit(): number {
    return this.#raft.log.committed;
  }

  get applied(): number {
    return this.#raft.log.applied;
  }

  /** On a leader: there may be a change of the configuration in the log that is not applied yet. */
  get hasPendingChange(): boolean {
    return this.#raft.hasPendingChange;
  }

  get firstIndex(): number {
    return this.#raft.log.firstIndex();
  }

  /**
   * Last index of the log, stable or not. On a leader, proposals taken by one `propose` get the indexes from `lastIndex + 1` (before the call)
   * on, in the present term: an entry applied at that index with that term is the proposal, one with another term means that it was lost.
   */
  get lastIndex(): number {
    return this.#raft.log.lastIndex();
  }

  /** Term of an entry, from `firstIndex - 1` to `lastIndex`. */
  termAt(index: number): number | LogMiss {
    return this.#raft.log.term(index);
  }

  /** All entries from `index` on, stable or not: for checks and diagnosis. */
  entriesFrom(index: number): readonly Entry[] | 'compacted' {
    return this.#raft.log.entries(index, noLimit);
  }

  /** One step of logical time. */
  tick(): void {
    this.#raft.tick();
  }

  /** Stands for election now. */
  campaign(): StepOutcome {
    this.#raft.hup();
    return 'ok';
  }

  /** Proposes all of `datas` (at least one) as consecutive entries, all or none. On a follower they are sent on to the leader. */
  propose(datas: readonly Uint8Array[]): StepOutcome {
    const entries = new Array<Entry>(datas.length);
    for (let i = 0; i < datas.length; i++) {
      entries[i] = { term: 0, index: 0, type: EntryType.EntryNormal, data: datas[i] as Uint8Array };
    }
    const message = makeMessage(MessageType.MsgProp, noNode, this.id, 0);
    message.entries = entries;
    return this.#raft.step(message);
  }

  /**
   * A leader that finds the change impossible now appends an empty normal entry in its place. Move leadership away before the leader itself is
   * removed or demoted: a removed leader with the longest log is no candidate any more, and the others may not be electable without it.
   */
  proposeConfChange(change: ConfChange | ConfChangeV2): StepOutcome {
    return this.#raft.proposeConfChange(change);
  }

  /**
   * To be called when a configuration entry is applied (`confChangeOf` reads it), unless the host refuses the change on every node alike.
   * The result belongs into snapshots.
   */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return this.#raft.applyConfChange(change);
  }

  /** Takes a message of another node or of a local thread. The message and all in it belong to the core from now on. */
  step(message: Message): StepOutcome {
    const { type, from } = message;
    if (!isLocalThread(from)) {
      if (isLocal[type] === true) return 'localMessage';
      if (isResponse[type] === true && this.#raft.tracker.get(from) === undefined) return 'unknownPeer';
    }
    return this.#raft.step(message);
  }

  hasReady(): boolean {
    const raft = this.#raft;
    const { log } = raft;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      log.unstable.hasNextEntries ||
      log.hasNextCommitted(!this.#async) ||
      raft.readStates.length > 0 ||
      this.#hardStateChanged() ||
      this.#softStateChanged() ||
      log.unstable.nextSnapshot !== undefined
    );
  }

  /** What the host has to do now. Hands it out: the same work does not come again. */
  ready(): Ready {
    const raft = this.#raft;
    const { log } = raft;
    const { term, vote } = this.#hardState;
    const softState = this.#takeSoftState();
    const hardState = this.#takeHardState();
    const entries = log.unstable.nextEntries();
    const committedEntries = log.nextCommitted(!this.#async);
    const snapshot = log.unstable.nextSnapshot;
    const { messages, messagesAfterAppend } = raft;
    let readStates = noReadStates;
    if (raft.readStates.length > 0) {
      readStates = raft.readStates;
      raft.readStates = [];
    }
    raft.messages = [];
    raft.messagesAfterAppend = [];

    const appended = this.#storageAppendResponse(snapshot);
    if (this.#async) {
      if (entries.length > 0 || hardState !== undefined || snapshot !== undefined || messagesAfterAppend.length > 0) {
        messages.push(this.#storageAppend(entries, hardState, snapshot, messagesAfterAppend, appended));
      }
      if (committedEntries.length > 0) messages.push(this.#storageApply(committedEntries));
    } else {
      invariant(this.#onAdvance.length === 0, 'advance is called between two calls of ready');
      for (const message of messagesAfterAppend) (message.to === this.id ? this.#onAdvance : messages).push(message);
      if (appended !== undefined) this.#onAdvance.push(appended);
      if (committedEntries.length > 0) this.#onAdvance.push(this.#storageApplyResponse(committedEntries));
    }

    log.unstable.acceptInProgress();
    const lastCommitted = committedEntries[committedEntries.length - 1];
    if (lastCommitted !== undefined) {
      log.acceptApplying(lastCommitted.index, entriesSize(committedEntries), !this.#async);
    }
    const mustSync = entries.length > 0 || raft.term !== term || raft.vote !== vote;
    return { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync };
  }

  /** The work of the last `ready` is done. Not with async storage writes. */
  advance(): void {
    invariant(!this.#async, 'with async storage writes the answers of the local threads take the place of advance');
    const messages = this.#onAdvance;
    this.#onAdvance = [];
    for (const message of messages) this.#raft.step(message);
  }

  /** Asks for a read state that carries `context`. May be lost without notice when leadership moves: ask again. */
  readIndex(context: Uint8Array): void {
    const message = makeMessage(MessageType.MsgReadIndex, noNode, noNode, 0);
    message.entries = [{ term: 0, index: 0, type: EntryType.EntryNormal, data: context }];
    this.#raft.step(message);
  }

  /** Hands leadership to a voter that has, or soon gets, the whole log. Proposals are dropped until it has it, or an election timeout is over. */
  transferLeader(transferee: number): void {
    this.#raft.step(makeMessage(MessageType.MsgTransferLeader, noNode, transferee, 0));
  }

  /** A follower that has reason to believe its leader dead: it may vote for another at once. No effect with lease-based reads. */
  forgetLeader(): void {
    this.#raft.step(makeMessage(MessageType.MsgForgetLeader, noNode, noNode, 0));
  }

  /** The last message to this member may be lost. */
  reportUnreachable(id: number): void {
    this.#raft.step(makeMessage(MessageType.MsgUnreachable, noNode, id, 0));
  }

  /** How the transfer of a `MsgSnap` to this member ended. Must be called for every `MsgSnap`. */
  reportSnapshot(id: number, succeeded: boolean): void {
    const message = makeMessage(MessageType.MsgSnapStatus, noNode, id, 0);
    message.reject = !succeeded;
    this.#raft.step(message);
  }

  basicStatus(): BasicStatus {
    const { lead, role, leadTransferee, log } = this.#raft;
    return {
      id: this.id,
      hardState: this.#currentHardState(),
      softState: { lead, role },
      applied: log.applied,
      leadTransferee,
    };
  }

  status(): Status {
    const { role, tracker } = this.#raft;
    return {
      ...this.basicStatus(),
      confState: tracker.config,
      progress: role === 'leader' ? tracker.members.map((progress) => progress.view()) : [],
    };
  }

  /** What this leader knows of one member; undefined for others, and on nodes that do not lead. */
  progress(id: number): ProgressView | undefined {
    return this.#raft.role === 'leader' ? this.#raft.tracker.get(id)?.view() : undefined;
  }

  /** Ticks until this node campaigns, until its role or term changes: tests decide by it who is first. */
  setRandomizedElectionTimeout(ticks: number): void {
    this.#raft.randomizedElectionTimeout = ticks;
  }

  #currentHardState(): HardState {
    const { term, vote, log } = this.#raft;
    return { term, vote, commit: log.committed };
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.#raft;
    const told = this.#hardState;
    return log.committed !== told.commit || term !== told.term || vote !== told.vote;
  }

  #takeHardState(): HardState | undefined {
    if (!this.#hardStateChanged()) return undefined;
    this.#hardState = this.#currentHardState();
    return this.#hardState;
  }

  #softStateChanged(): boolean {
    return this.#raft.lead !== this.#lead || this.#raft.role !== this.#role;
  }

  #takeSoftState(): SoftState | undefined {
    if (!this.#softStateChanged()) return undefined;
    this.#lead = this.#raft.lead;
    this.#role = this.#raft.role;
    return { lead: this.#lead, role: this.#role };
  }

  #storageAppend(
    entries: readonly Entry[],
    hardState: HardState | undefined,
    snapshot: Snapshot | undefined,
    responses: Message[],
    appended: Message | undefined,
  ): Message {
    const message = makeMessage(MessageType.MsgStorageAppend, localAppendThread, this.id, hardState?.term ?? 0);
    message.entries = entries;
    message.vote = hardState?.vote ?? 0;
    message.commit = hardState?.commit ?? 0;
    message.snapshot = snapshot;
    // Last: the leader counts its own acknowledgement while the entries' terms are still at hand.
    if (appended !== undefined) responses.push(appended);
    message.responses = responses;
    return message;
  }

  /**
   * What makes unstable entries stable once all that was handed out is written; undefined if nothing is unstable.
   *
   * It names the last entry of the log and the present term, and counts only if the term is still the same when it comes back. Otherwise two
   * leaders that replace the same entries in turn (A, B, A again) could let an early answer about A's entries count while the write of B's is
   * still on its way: the storage would then show B's for a while. As answers are lost with every change of term, each write says again what
   * is the last entry, also one that only brings the new term.
   */
  #storageAppendResponse(snapshot: Snapshot | undefined): Message | undefined {
    const { log, term } = this.#raft;
    if (log.unstable.length === 0 && snapshot === undefined) return undefined;
    const message = makeMessage(MessageType.MsgStorageAppendResp, this.id, localAppendThread, term);
    if (log.unstable.length > 0) {
      message.index = log.lastIndex();
      message.logTerm = log.lastTerm();
    }
    message.snapshot = snapshot;
    return message;
  }

  #storageApply(entries: readonly Entry[]): Message {
    const message = makeMessage(MessageType.MsgStorageApply, localApplyThread, this.id, 0);
    message.entries = entries;
    message.responses = [this.#storageApplyResponse(entries)];
    return message;
  }

  #storageApplyResponse(entries: readonly Entry[]): Message {
    const message = makeMessage(MessageType.MsgStorageApplyResp, this.id, localApplyThread, 0);
    message.entries = entries;
    return message;
  }
}
