import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { LinkEvent } from '../mesh/index.ts';
import { channels as channelsOfMesh } from '../mesh/index.ts';
import type { ConfState, Message } from '../raft/index.ts';
import { type HardState, type LogPosition, prefixEnd } from '../storage/index.ts';
import { AppendBatch, AppendQueue } from './append-queue.ts';
import { Cleaner } from './cleaner.ts';
import { type Addressed, FrameWriter, readFrame } from './frame.ts';
import type { Install } from './applied-state.ts';
import { RaftGroup } from './group.ts';
import type { GroupHost } from './group-host.ts';
import { decodeRecord, encodeMembers, encodeRecord, type GroupRecord, noMembers } from './group-record.ts';
import {
  garbageKey,
  garbagePrefix,
  groupOfRecordKey,
  maxGroup,
  ofGarbageKey,
  recordKey,
  recordsPrefix,
} from './keys.ts';
import { decodeOffer, encodeAnswer } from './snapshot-codec.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender, type SnapshotStatus } from './snapshot-sender.ts';
import {
  defaultTuning,
  type FirstMembers,
  type GroupConfig,
  type HostChannels,
  type HostOptions,
  type Tuning,
} from './types.ts';

/**
 * Founders begin after an entry that nobody has: a replica that comes later finds the log compacted, and gets the first
 * members with a snapshot.
 */
const firstPosition: LogPosition = { index: 1, term: 1 };
const firstGeneration = 1;
/** Messages to one member are handed over when they have this many bytes, before the pass ends. */
const maxPayloadBytes = 2 * 1024 * 1024;
const noContext = new Uint8Array(0);

/** What a group left in storage. */
export interface StoredGroup {
  readonly group: number;
  readonly epoch: number;
  readonly state: 'present' | 'removed';
  readonly confState: ConfState;
}

/** Messages that wait for the end of the pass, to one member. */
interface Outbox {
  readonly writer: FrameWriter;
  /** Groups to tell when the messages could not be sent. */
  readonly groups: Set<RaftGroup>;
}

/**
 * All consensus groups of one node: one timer, one write of the disk and one payload per member for all of them.
 *
 * Groups with work are driven together, once per turn of the event loop. What they append goes to the engine in one
 * call, without waiting for the one before; messages that depend on it (votes, acknowledgements) leave when it is
 * durable, all others at once. A group with nothing to do goes quiet and costs nothing.
 */
export class RaftHost {
  readonly #options: HostOptions;
  readonly #channels: HostChannels;
  readonly #tuning: Tuning;
  readonly #groups = new Map<number, RaftGroup>();
  readonly #removed = new Map<number, number>();
  readonly #ticking = new Set<RaftGroup>();
  readonly #outboxes = new Map<number, Outbox>();
  readonly #appends: AppendQueue;
  readonly #cleaner: Cleaner;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #port: GroupHost<RaftGroup>;
  readonly #undo: (() => void)[] = [];
  readonly #startedAt: number;
  #dirty: RaftGroup[] = [];
  /** Groups that hold messages back, until the timer. */
  #holding: RaftGroup[] = [];
  #isScheduled = false;
  #afterPass: (() => void)[] = [];
  #proposalBytes = 0;
  #isClosed = false;

  /** Reads what is stored. Groups are not running before they are opened. Throws `StorageCorrupt`. */
  constructor(options: HostOptions) {
    const { engine, mesh, timers, clock, random, logger, self, tracer } = options;
    this.#options = options;
    this.#channels = options.channels ?? channelsOfMesh;
    this.#tuning = { ...defaultTuning, ...options.tuning };
    this.#startedAt = clock.monotonic();
    const { maxSnapshots, snapshotChunkBytes, snapshotResumeMs } = this.#tuning;
    this.#appends = new AppendQueue({
      engine,
      timers,
      logger,
      onFailure: (error) => {
        this.#failAll(error);
      },
    });
    this.#cleaner = new Cleaner(engine, timers, (error) => {
      logger.warn({ err: error }, 'old states are not deleted');
    });
    this.#receiver = new SnapshotReceiver({
      ...{ engine, timers, self, maxSnapshots, tracer },
      cleaner: this.#cleaner,
      resumeMs: snapshotResumeMs,
      afterPass: (run) => {
        this.#afterPass.push(run);
        this.#schedule();
      },
    });
    this.#sender = new SnapshotSender({
      ...{ engine, mesh, clock, timers, random, logger, maxSnapshots, tracer },
      channels: this.#channels,
      rateOf: options.rateOf,
      chunkBytes: snapshotChunkBytes,
      resumeMs: snapshotResumeMs,
    });
    this.#port = this.#makePort();
    this.#readStored();
    this.#listen();
  }

  get self(): number {
    return this.#options.self;
  }

  /** Why logs cannot be written now, such as a full disk; undefined while they can. */
  get refusal(): Error | undefined {
    return this.#appends.refusal;
  }

  /** What storage knows of groups, whether they are open or not. */
  stored(): StoredGroup[] {
    const stored: StoredGroup[] = [];
    const range = { start: recordsPrefix, end: prefixEnd(recordsPrefix) };
    for (const { key, value } of this.#options.engine.range(range)) {
      const { epoch, state, members } = decodeRecord(value);
      stored.push({ group: groupOfRecordKey(key), epoch, state, confState: members.confState });
    }
    return stored;
  }

  /** Of the replica that is stored here and not removed; undefined where there is none. */
  epochOf(group: number): number | undefined {
    const record = this.#record(group);
    return record?.state === 'present' ? record.epoch : undefined;
  }

  group(group: number): RaftGroup | undefined {
    return this.#groups.get(group);
  }

  groups(): IterableIterator<RaftGroup> {
    return this.#groups.values();
  }

  /**
   * Makes a replica and opens it; one that is stored with this epoch is opened as it is. Resolves when it is durable.
   * Rejects with `FailedPrecondition` when this or a later epoch of the group was removed from this node, or another one
   * is there.
   */
  async create(config: GroupConfig, first: FirstMembers): Promise<RaftGroup> {
    const { group, epoch } = config;
    const { engine } = this.#options;
    if (!Number.isSafeInteger(group) || group < 0 || group > maxGroup) {
      throw oaasError('InvalidArgument', `${String(group)} is no number of a group`);
    }
    const stored = this.#record(group);
    if (stored?.state === 'present' && stored.epoch === epoch) return this.open(config);
    if (stored !== undefined && (stored.state === 'present' || stored.epoch >= epoch)) {
      throw oaasError(
        'FailedPrecondition',
        `group ${String(group)} is or was here with epoch ${String(stored.epoch)}`,
        {
          details: { group, epoch: stored.epoch, state: stored.state },
        },
      );
    }
    if (stored !== undefined) await this.#dropLeftover(group);
    const isFounder = first.voters.length > 0;
    const voters = [...first.voters].sort((a, b) => a - b);
    const record: GroupRecord = {
      state: 'present',
      epoch,
      generation:
        Math.max(stored?.generation ?? 0, this.#cleaner.highest(group), this.#receiver.highest(group)) +
        firstGeneration,
      applied: isFounder ? firstPosition.index : 0,
      appliedTerm: isFounder ? firstPosition.term : 0,
      members: {
        confState: { ...noMembers.confState, voters },
        // Founders begin together; a shard that begins anew has had replicas before them, whose epochs are lower.
        epochs: new Map(voters.map((voter) => [voter, epoch])),
      },
    };
    const value = encodeRecord(record, encodeMembers(record.members));
    const { index, term } = firstPosition;
    const log = isFounder ? { reset: firstPosition, hardState: { term, vote: 0, commit: index } } : {};
    await engine.append([{ group, ...log }], [{ type: 'put', key: recordKey(group), value }]);
    const opened = this.open(config);
    // One of them need not wait for the others to be silent; which one differs from group to group.
    if (voters[group % voters.length] === this.self) {
      this.#options.timers.after(this.#tuning.campaignSpreadMs, () => {
        opened.campaign();
      });
    }
    return opened;
  }

  /** Opens a stored replica. Throws `NotFound`, `FailedPrecondition` for another epoch, `StorageCorrupt`. */
  open(config: GroupConfig): RaftGroup {
    const { group, epoch, machine } = config;
    const { engine } = this.#options;
    if (this.#isClosed) throw oaasError('Unavailable', 'the node is stopping');
    const record = this.#record(group);
    if (record?.state !== 'present') throw oaasError('NotFound', `there is no group ${String(group)} here`);
    if (record.epoch !== epoch || this.#groups.has(group)) {
      throw oaasError('FailedPrecondition', `group ${String(group)} is open, or has epoch ${String(record.epoch)}`);
    }
    const hardState = this.#hardStateOf(group, record);
    const opened = new RaftGroup(this.#port, group, machine, engine.log(group), record, hardState);
    this.#groups.set(group, opened);
    this.#removed.delete(group);
    return opened;
  }

  /** Stops a replica; its data stays. Does nothing when it is not open. */
  close(group: number): void {
    this.#receiver.forget(group);
    this.#groups.get(group)?.close();
    this.#groups.delete(group);
  }

  /** Takes a replica away with all its data; resolves when that is durable. Its epoch is remembered. Idempotent. */
  async remove(group: number): Promise<void> {
    const { engine } = this.#options;
    this.close(group);
    if (this.#record(group)?.state !== 'present') return;
    // A snapshot whose installation is on its way to the disk brings another generation, which has to go as well.
    await this.#appends.idle();
    const record = this.#record(group);
    if (record?.state !== 'present') return;
    const removed = encodeRecord({ ...record, state: 'removed', applied: 0, appliedTerm: 0 }, encodeMembers(noMembers));
    this.#removed.set(group, record.epoch);
    await engine.write([
      { type: 'put', key: recordKey(group), value: removed },
      { type: 'put', key: garbageKey(group, record.generation), value: Uint8Array.of(1) },
    ]);
    await engine.dropGroup(group);
    this.#cleaner.add(group, record.generation);
  }

  /** Storage needs the space of old entries: for `onRetention` of the engine. Followers that still need them get a snapshot. */
  relieve(hints: readonly { readonly group: number; readonly index: number }[]): void {
    for (const { group, index } of hints) this.#groups.get(group)?.compactUntil(index);
  }

  snapshots(): { readonly sending: readonly SnapshotStatus[]; readonly receiving: number } {
    return { sending: this.#sender.status(), receiving: this.#receiver.active };
  }

  /** Hands all leaderships to other members, as far as they can take over. Resolves when that is done or has failed. */
  async resign(): Promise<void> {
    const transfers: Promise<void>[] = [];
    for (const group of this.#groups.values()) {
      const to = group.isLeader ? group.bestSuccessor() : undefined;
      if (to !== undefined) transfers.push(group.transferLeadership(to).catch(() => undefined));
    }
    await Promise.all(transfers);
  }

  /** Resigns, then stops all groups and waits for writes under way. Storage and mesh stay open. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isClosed) return;
    await this.resign();
    this.abandon();
    await this.#appends.idle();
  }

  /** Stops at once, as far as a program can: as if the process had ended. Idempotent. */
  abandon(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const undo of this.#undo.splice(0)) undo();
    this.#sender.close();
    this.#receiver.close();
    this.#cleaner.close();
    this.#appends.close();
    for (const group of this.#groups.values()) group.close();
    this.#ticking.clear();
  }

  // ---- the pass

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#options.schedule(this.#pass);
  }

  readonly #pass = (): void => {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    const groups = this.#dirty;
    this.#dirty = [];
    const batch = new AppendBatch();
    for (const group of groups) {
      group.isQueued = false;
      group.drive(batch);
    }
    // Messages first: followers write while this node does.
    for (const [to, outbox] of this.#outboxes) if (outbox.writer.size > 0) this.#flush(to, outbox);
    if (!batch.isEmpty) this.#appends.submit(batch);
    if (this.#afterPass.length > 0) for (const run of this.#afterPass.splice(0)) run();
  };

  #flush(to: number, { writer, groups }: Outbox): void {
    const parts = writer.take();
    if (!this.#options.mesh.send(to, this.#channels.raft, parts))
      for (const group of groups) group.reportUnreachable(to);
    groups.clear();
  }

  #makePort(): GroupHost<RaftGroup> {
    const { engine, mesh, random, clock, self, logger, events, tracer } = this.#options;
    return {
      self,
      engine,
      tracer,
      tuning: this.#tuning,
      coreLogger: logger,
      random: () => random.next(),
      now: () => clock.monotonic(),
      wake: (group) => {
        if (group.isQueued) return;
        group.isQueued = true;
        this.#dirty.push(group);
        this.#schedule();
      },
      setTicking: (group, isTicking) => {
        if (isTicking) this.#ticking.add(group);
        else this.#ticking.delete(group);
      },
      hold: (group) => {
        this.#hold(group);
      },
      send: (group, to, toEpoch, quiet, message) => {
        this.#send(group, to, toEpoch, quiet, message);
      },
      sendSnapshot: (group, { to, term }) => {
        this.#sender.send(group, to, term);
      },
      neededBySnapshots: (group) => this.#sender.neededOf(group),
      isUp: (member) => mesh.isUp(member),
      mayHavePromised: () => clock.monotonic() < this.#startedAt + this.#tuning.electionTicks * this.#tuning.tickMs,
      takeBytes: (bytes) => this.#takeBytes(bytes),
      releaseBytes: (bytes) => {
        this.#proposalBytes -= bytes;
      },
      installOf: (group, position): Install | undefined => this.#receiver.installOf(group, position),
      isReceiving: (group) => this.#receiver.isReceiving(group.group),
      onLeader: (group) => events?.leader?.(group.group, group.leader, group.term),
      onMembers: (group, context) => events?.members?.(group.group, group.confState, context),
      onFailed: (group, error) => {
        logger.error({ group: group.group, err: error }, 'group stopped on this node');
        events?.failed?.(group.group, error);
      },
    };
  }

  #send(group: RaftGroup, to: number, toEpoch: number, quiet: boolean, message: Message): void {
    let outbox = this.#outboxes.get(to);
    if (outbox === undefined) {
      outbox = { writer: new FrameWriter(), groups: new Set() };
      this.#outboxes.set(to, outbox);
    }
    outbox.writer.add(group.group, group.epoch, toEpoch, quiet, message, this.#options.self);
    if (message.entries.length > 0) outbox.groups.add(group);
    if (outbox.writer.size >= maxPayloadBytes) this.#flush(to, outbox);
    this.#schedule();
  }

  #hold(group: RaftGroup): void {
    this.#holding.push(group);
    if (this.#holding.length > 1) return;
    this.#options.timers.after(this.#tuning.commitHoldMs, () => {
      const groups = this.#holding;
      this.#holding = [];
      if (!this.#isClosed) for (const held of groups) held.release();
    });
  }

  #takeBytes(bytes: number): Error | undefined {
    if (this.#appends.problem !== undefined) return this.#appends.problem;
    const { maxProposalBytes } = this.#tuning;
    if (this.#proposalBytes > 0 && this.#proposalBytes + bytes > maxProposalBytes) {
      return oaasError('ResourceExhausted', 'too many bytes of changes wait for an answer on this node', {
        remedy: 'Send slower; see whether a majority of the replicas keeps up.',
        retryAfterMs: 50,
        details: { maxProposalBytes },
      });
    }
    this.#proposalBytes += bytes;
    return undefined;
  }

  // ---- what comes in

  #listen(): void {
    const { mesh, timers, self, logger } = this.#options;
    mesh.onMessage(this.#channels.raft, (from, payload) => {
      if (this.#isClosed) return;
      try {
        readFrame(payload, from, self, (addressed) => {
          this.#receive(from, addressed);
        });
      } catch (error) {
        logger.warn({ from, err: error }, 'unreadable message of another member');
      }
    });
    mesh.onRequest(this.#channels.snapshotOffer, async (payload, context) => {
      const offer = decodeOffer(payload);
      const group = this.#receiverOf(offer.group, offer.toEpoch);
      return encodeAnswer(await this.#receiver.offered(group, context.peer.number, offer));
    });
    mesh.onStream(this.#channels.snapshot, async (header, chunks) => {
      const offer = decodeOffer(header);
      await this.#receiver.receive(this.#receiverOf(offer.group, offer.toEpoch), offer.transfer, chunks);
      return noContext;
    });
    this.#undo.push(
      mesh.onLink((event) => {
        this.#onLink(event);
      }),
    );
    const timer = timers.every(this.#tuning.tickMs, () => {
      for (const group of this.#ticking) group.tick();
    });
    this.#undo.push(() => {
      timer.cancel();
    });
  }

  #receive(from: number, { group: id, fromEpoch, toEpoch, quiet, message }: Addressed): void {
    const group = this.#groups.get(id);
    if (group !== undefined) group.receive(from, fromEpoch, toEpoch, quiet, message);
    else this.#options.events?.unknown?.(id, from, toEpoch <= (this.#removed.get(id) ?? 0));
  }

  #receiverOf(id: number, epoch: number): RaftGroup {
    const group = this.#isClosed ? undefined : this.#groups.get(id);
    if (group?.isRunning === true && group.epoch >= epoch) return group;
    throw oaasError('Unavailable', `group ${String(id)} is not open on this member`, { retryAfterMs: 200 });
  }

  #onLink(event: LinkEvent): void {
    const { number } = event.peer;
    if (event.state === 'up') {
      for (const group of this.#groups.values()) group.onLinkUp(number);
      return;
    }
    // Groups that wait equally long share a timer.
    const byDelay = new Map<number, RaftGroup[]>();
    for (const group of this.#groups.values()) {
      const delay = group.onLinkDown(number);
      if (delay === undefined) continue;
      const rounded = Math.ceil(delay / 4) * 4;
      const same = byDelay.get(rounded);
      if (same === undefined) byDelay.set(rounded, [group]);
      else same.push(group);
    }
    for (const [delay, groups] of byDelay) {
      this.#options.timers.after(delay, () => {
        for (const group of groups) group.campaign();
      });
    }
  }

  // ---- storage

  #readStored(): void {
    const { engine, logger } = this.#options;
    const garbage = { start: garbagePrefix, end: prefixEnd(garbagePrefix) };
    for (const { key } of engine.range(garbage)) {
      const { group, generation } = ofGarbageKey(key);
      this.#cleaner.add(group, generation);
    }
    const withLog = new Set(engine.groups());
    for (const { group, epoch, state } of this.stored()) {
      if (state !== 'removed') continue;
      this.#removed.set(group, epoch);
      if (!withLog.has(group)) continue;
      this.#dropLeftover(group).catch((error: unknown) => {
        logger.warn({ group, err: error }, 'the log of a removed replica is not deleted');
      });
    }
  }

  /** A removal that a crash cut short has left the log of what was removed: nobody may take it for his own. */
  async #dropLeftover(group: number): Promise<void> {
    const { engine } = this.#options;
    if (engine.groups().includes(group)) await engine.dropGroup(group);
  }

  #record(group: number): GroupRecord | undefined {
    const stored = this.#options.engine.get(recordKey(group));
    return stored === undefined ? undefined : decodeRecord(stored);
  }

  /** The hard state to start with. Throws `StorageCorrupt` when log and state do not fit each other. */
  #hardStateOf(group: number, { applied, appliedTerm }: GroupRecord): HardState {
    const log = this.#options.engine.log(group);
    const { term, vote, commit } = log.hardState;
    if (log.term(applied) !== appliedTerm || term < appliedTerm) {
      throw oaasError('StorageCorrupt', `log and state of group ${String(group)} do not fit each other`, {
        remedy: 'Remove this replica and let it be made anew from the others.',
        details: { group, applied, appliedTerm, first: log.firstIndex, last: log.lastIndex, term },
      });
    }
    // The commit index may not have been written; whatever is applied was committed.
    return { term, vote, commit: Math.min(Math.max(commit, applied), log.lastIndex) };
  }

  #failAll(thrown: unknown): void {
    const error = toOaasError(thrown);
    for (const group of this.#groups.values()) group.fail(error);
  }
}
