import { isOaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';
import type { Mesh, RateLimit } from '../mesh/index.ts';
import type { Engine, StorageSnapshot } from '../storage/index.ts';
import type { RaftGroup } from './group.ts';
import { decodeRecord } from './group-record.ts';
import { recordKey, statePrefix } from './keys.ts';
import { decodeAnswer, encodeOffer, encodeState, type SnapshotOffer } from './snapshot-codec.ts';
import { StallWatch } from './stall-watch.ts';
import type { RaftTracer } from './tracing.ts';
import { giveWayMs, type HostChannels } from './types.ts';

export interface SenderOptions {
  readonly engine: Engine;
  readonly mesh: Mesh;
  readonly channels: HostChannels;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly rateOf: ((group: number) => RateLimit) | undefined;
  readonly maxSnapshots: number;
  readonly chunkBytes: number;
  readonly resumeMs: number;
  readonly tracer: RaftTracer | undefined;
}

interface Transfer {
  readonly group: RaftGroup;
  readonly to: number;
  readonly term: number;
  /** Applied index of what is sent; 0 before it begins. */
  index: number;
  sentBytes: number;
  /** When the receiver last took something, or the throttle let something pass; when it began. Monotonic milliseconds. */
  progressAt: number;
}

/** Progress of one snapshot on its way. */
export interface SnapshotStatus {
  readonly group: number;
  readonly to: number;
  readonly index: number;
  readonly sentBytes: number;
}

const retryMs = 300;

/**
 * Sends states of groups to followers that need what their leader's log no longer has. A transfer keeps one consistent
 * state open; when the link breaks, it goes on from the last key that the receiver has, for a bounded time. A receiver that
 * takes nothing for as long, such as one whose disk hangs, does not keep the place from others.
 */
export class SnapshotSender {
  readonly #options: SenderOptions;
  readonly #waiting: Transfer[] = [];
  readonly #active = new Set<Transfer>();
  readonly #closing = new AbortController();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The end is told by the group's `reportSnapshot`. */
  send(group: RaftGroup, to: number, term: number): void {
    this.#waiting.push({ group, to, term, index: 0, sentBytes: 0, progressAt: 0 });
    this.#next();
  }

  status(): SnapshotStatus[] {
    return [...this.#active].map(({ group, to, index, sentBytes }) => ({ group: group.group, to, index, sentBytes }));
  }

  /** Oldest index from which on a receiver will need the log; Infinity for none. */
  neededOf(group: RaftGroup): number {
    let needed = Infinity;
    for (const transfer of this.#active) {
      if (transfer.group === group && transfer.index > 0) needed = Math.min(needed, transfer.index);
    }
    return needed;
  }

  close(): void {
    this.#closing.abort();
    this.#waiting.length = 0;
  }

  #next(): void {
    while (this.#active.size < this.#options.maxSnapshots) {
      const transfer = this.#waiting.shift();
      if (transfer === undefined) return;
      this.#active.add(transfer);
      void this.#run(transfer);
    }
  }

  /** Never rejects. */
  async #run(transfer: Transfer): Promise<void> {
    const { group, to } = transfer;
    const span = this.#options.tracer?.begin('snapshot_send', group.group, transfer.term);
    span?.note('member', to);
    let succeeded = false;
    try {
      await this.#transfer(transfer);
      succeeded = true;
      span?.note('index', transfer.index);
      span?.note('bytes', transfer.sentBytes);
      span?.end();
      this.#options.logger.info(
        { group: group.group, to, index: transfer.index, bytes: transfer.sentBytes },
        'snapshot sent',
      );
    } catch (error) {
      span?.end(toOaasError(error));
      this.#options.logger.warn({ group: group.group, to, err: error }, 'snapshot not sent');
      if (isOaasError(error, 'StorageCorrupt')) group.fail(error);
    }
    this.#active.delete(transfer);
    if (this.#closing.signal.aborted) return;
    group.reportSnapshot(to, succeeded);
    this.#next();
  }

  async #transfer(transfer: Transfer): Promise<void> {
    if (!this.#isWanted(transfer)) throw noLongerWanted();
    const { engine, random } = this.#options;
    const { group, to } = transfer;
    const snapshot = engine.snapshot();
    try {
      const stored = snapshot.get(recordKey(group.group));
      if (stored === undefined) throw oaasError('Internal', 'a group has no record');
      const record = decodeRecord(stored);
      transfer.index = record.applied;
      const offer: SnapshotOffer = {
        transfer: Math.floor(random.next() * Number.MAX_SAFE_INTEGER),
        group: group.group,
        fromEpoch: group.epoch,
        toEpoch: group.epochOf(to),
        term: transfer.term,
        index: record.applied,
        indexTerm: record.appliedTerm,
        members: record.members,
      };
      await this.#tryUntilSent(transfer, offer, snapshot, statePrefix(group.group, record.generation));
    } finally {
      snapshot.close();
    }
  }

  async #tryUntilSent(
    transfer: Transfer,
    offer: SnapshotOffer,
    snapshot: StorageSnapshot,
    prefix: Uint8Array,
  ): Promise<void> {
    const { clock, timers } = this.#options;
    transfer.progressAt = clock.monotonic();
    const isTooLong = (): boolean => clock.monotonic() - transfer.progressAt >= this.#patienceMs;
    for (;;) {
      try {
        if (await this.#attempt(transfer, offer, snapshot, prefix)) return;
      } catch (error) {
        if (!isOaasError(error) || error.consequence === 'stop') throw error;
        if (isTooLong()) throw error;
      }
      if (isTooLong()) throw takesNothing();
      await sleep(timers, retryMs, this.#closing.signal);
      if (!this.#isWanted(transfer)) throw noLongerWanted();
    }
  }

  /** False when the receiver is busy. */
  async #attempt(
    transfer: Transfer,
    offer: SnapshotOffer,
    snapshot: StorageSnapshot,
    prefix: Uint8Array,
  ): Promise<boolean> {
    const { clock, timers, mesh, channels, chunkBytes } = this.#options;
    const { signal } = this.#closing;
    const header = encodeOffer(offer);
    const answer = decodeAnswer(await mesh.request(transfer.to, channels.snapshotOffer, header, { signal }));
    if (answer.kind === 'busy') return false;
    const watch = new StallWatch({
      ...{ clock, timers, lookMs: giveWayMs, boundMs: () => this.#patienceMs },
      onStalled: () => {
        stream.cancel();
      },
    });
    const stream = mesh.stream(transfer.to, channels.snapshot, header, { signal, rate: this.#rateOf(transfer, watch) });
    try {
      for (const chunk of encodeState(snapshot, prefix, answer.after, chunkBytes)) {
        if (!this.#isWanted(transfer)) throw noLongerWanted();
        watch.begin();
        await stream.write(chunk);
        transfer.sentBytes += chunk.length;
        transfer.progressAt = clock.monotonic();
      }
      watch.begin();
      await stream.end();
      return true;
    } catch (error) {
      stream.cancel();
      throw watch.hasStalled ? takesNothing() : error;
    } finally {
      watch.end();
    }
  }

  /** How long a receiver may take nothing: less while others wait, perhaps for receivers that would take theirs. */
  get #patienceMs(): number {
    const { resumeMs } = this.#options;
    return this.#waiting.length > 0 ? Math.min(resumeMs, giveWayMs) : resumeMs;
  }

  /** What a throttle holds back is not waited for from the receiver. */
  #rateOf(transfer: Transfer, watch: StallWatch): RateLimit | undefined {
    const { clock, rateOf } = this.#options;
    const rate = rateOf?.(transfer.group.group);
    if (rate === undefined) return undefined;
    return {
      take: (bytes, cancelled) => {
        const taken = rate.take(bytes, cancelled);
        if (taken === undefined) return undefined;
        watch.end();
        return taken.then(() => {
          transfer.progressAt = clock.monotonic();
          watch.begin();
        });
      },
    };
  }

  #isWanted({ group, to, term }: Transfer): boolean {
    return group.isLeader && group.term === term && group.isMember(to);
  }
}

function takesNothing(): Error {
  return oaasError('DeadlineExceeded', 'the receiver takes no snapshot');
}

function noLongerWanted(): Error {
  return oaasError('Cancelled', 'the snapshot is no longer needed');
}
