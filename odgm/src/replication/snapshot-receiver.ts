import { oaasError } from '@oaas/commons/errors';
import type { Timer, Timers } from '@oaas/commons/time';
import { makeMessage, type Message, MessageType, noBytes } from '../raft/index.ts';
import type { Engine, LogPosition, WriteOperation } from '../storage/index.ts';
import type { AppendBatch } from './append-queue.ts';
import type { Cleaner } from './cleaner.ts';
import type { Install } from './applied-state.ts';
import type { RaftGroup } from './group.ts';
import { garbageKey, recordKey, statePrefix } from './keys.ts';
import { type OfferAnswer, type SnapshotOffer, StateDecoder } from './snapshot-codec.ts';
import { giveWayMs } from './types.ts';
import { endWith, type RaftTracer } from './tracing.ts';

/** A state that is being received, or waits to be installed. */
interface Staging {
  readonly offer: SnapshotOffer;
  readonly from: number;
  readonly generation: number;
  /** Key of the last record that is stored, without prefix. */
  last: Uint8Array | undefined;
  isStreaming: boolean;
  isComplete: boolean;
  /** Nobody has sent for a while: it goes when there is no room for another one. */
  givesWay: boolean;
  /** The last write of it, until it has ended. */
  writing: Promise<void> | undefined;
  timer: Timer | undefined;
}

export interface ReceiverOptions {
  readonly engine: Engine;
  readonly timers: Timers;
  readonly cleaner: Cleaner;
  readonly self: number;
  readonly maxSnapshots: number;
  readonly resumeMs: number;
  /** Runs something after the next pass over the groups. */
  readonly afterPass: (run: () => void) => void;
  readonly tracer: RaftTracer | undefined;
}

/**
 * Takes states of groups from other members. A state is written as a new generation beside the present one, which goes
 * on to be served, and takes its place together with the applied index when the core says so. A crash before that leaves
 * the present generation as it is; what was written has its mark as garbage from the beginning.
 */
export class SnapshotReceiver {
  readonly #options: ReceiverOptions;
  readonly #stagings = new Map<number, Staging>();
  /** Given up while a write of theirs is on its way: what it brings is to be deleted as well. */
  readonly #ending = new Set<Staging>();
  #isClosed = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  get active(): number {
    return this.#stagings.size;
  }

  /** A state of the group is here that is not in place yet. */
  isReceiving(group: number): boolean {
    return this.#stagings.has(group);
  }

  /** Highest generation of the group that something may still be written to, though it was given up; 0 for none. */
  highest(group: number): number {
    let most = 0;
    for (const { offer, generation } of this.#ending) if (offer.group === group) most = Math.max(most, generation);
    return most;
  }

  /** Answers an offer: from which key on the sender should send. */
  async offered(group: RaftGroup, from: number, offer: SnapshotOffer): Promise<OfferAnswer> {
    const known = this.#stagings.get(group.group);
    if (known?.offer.transfer === offer.transfer && !known.isComplete) {
      if (!known.isStreaming) this.#watch(known);
      return { kind: 'go', after: known.last };
    }
    // An older leader may still be sending: what comes from a newer one counts.
    if (known !== undefined && (known.isComplete || known.offer.term > offer.term)) return { kind: 'busy' };
    if (known === undefined && !this.#makeRoom()) return { kind: 'busy' };
    const generation = this.#nextGeneration(group);
    if (known !== undefined) this.#discard(known);
    const staging: Staging = {
      ...{ offer, from, generation, last: undefined },
      ...{ isStreaming: false, isComplete: false, givesWay: false, writing: undefined, timer: undefined },
    };
    this.#stagings.set(group.group, staging);
    this.#watch(staging);
    const mark: WriteOperation = { type: 'put', key: garbageKey(group.group, generation), value: Uint8Array.of(1) };
    await this.#write(staging, [mark]);
    return { kind: 'go', after: undefined };
  }

  /** Stores what comes; offers the whole to the group's core. */
  async receive(group: RaftGroup, transfer: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const staging = this.#stagings.get(group.group);
    if (staging?.offer.transfer !== transfer || staging.isStreaming || staging.isComplete) {
      throw oaasError('FailedPrecondition', 'this snapshot is not expected', { retryAfterMs: 200 });
    }
    staging.isStreaming = true;
    staging.givesWay = false;
    staging.timer?.cancel();
    const span = this.#options.tracer?.begin('snapshot_receive', group.group, staging.offer.term);
    span?.note('member', staging.from);
    span?.note('index', staging.offer.index);
    try {
      const storing = this.#store(staging, chunks);
      endWith(span, storing);
      await storing;
    } finally {
      staging.isStreaming = false;
      this.#watch(staging);
    }
    group.takeSnapshot(messageOf(staging.offer, staging.from, this.#options.self));
    this.#options.afterPass(() => {
      // The core has what the snapshot has, or has seen a newer leader.
      if (this.#stagings.get(group.group) === staging) this.#discard(staging);
    });
  }

  /** The complete state for this position, to be installed now. */
  installOf(group: RaftGroup, position: LogPosition): Install | undefined {
    const staging = this.#stagings.get(group.group);
    if (staging?.isComplete !== true) return undefined;
    if (staging.offer.index !== position.index || staging.offer.indexTerm !== position.term) return undefined;
    this.#stagings.delete(group.group);
    const old = group.generation;
    return {
      generation: staging.generation,
      members: staging.offer.members,
      addTo: (batch: AppendBatch, record: Uint8Array) => {
        batch.operations.push(
          { type: 'put', key: recordKey(group.group), value: record },
          { type: 'delete', key: garbageKey(group.group, staging.generation) },
          { type: 'put', key: garbageKey(group.group, old), value: Uint8Array.of(1) },
        );
      },
      done: () => {
        this.#options.cleaner.add(group.group, old);
      },
    };
  }

  /** The group is gone. */
  forget(group: number): void {
    const staging = this.#stagings.get(group);
    if (staging !== undefined) this.#discard(staging);
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#stagings.values()) timer?.cancel();
    this.#stagings.clear();
  }

  async #store(staging: Staging, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const prefix = statePrefix(staging.offer.group, staging.generation);
    const decoder = new StateDecoder();
    for await (const chunk of chunks) {
      const records = decoder.take(chunk);
      if (records.length === 0) continue;
      this.#assertWanted(staging);
      await this.#write(
        staging,
        records.map(({ key, value }) => ({
          type: 'put',
          key: Buffer.concat([prefix, key]),
          // Storage keeps it by reference, and with it the chunk: as long as it keeps the others of the chunk.
          value,
        })),
      );
      this.#assertWanted(staging);
      staging.last = Uint8Array.from(records.at(-1)?.key ?? noBytes);
    }
    if (!decoder.isComplete) throw oaasError('DataLoss', 'a snapshot ended too early');
    staging.isComplete = true;
  }

  #assertWanted(staging: Staging): void {
    if (this.#isClosed || this.#stagings.get(staging.offer.group) !== staging) {
      throw oaasError('Cancelled', 'the snapshot is no longer wanted');
    }
  }

  async #write(staging: Staging, operations: readonly WriteOperation[]): Promise<void> {
    const writing = this.#options.engine.write(operations);
    staging.writing = writing;
    try {
      await writing;
    } finally {
      if (staging.writing === writing) staging.writing = undefined;
    }
  }

  /** Whether there is room for one more, if need be by giving up one that waits for its sender: that one may never come. */
  #makeRoom(): boolean {
    if (this.#stagings.size < this.#options.maxSnapshots) return true;
    for (const staging of this.#stagings.values()) {
      if (!staging.givesWay) continue;
      this.#discard(staging);
      return true;
    }
    return false;
  }

  /** Gives it up when nobody goes on sending. */
  #watch(staging: Staging): void {
    staging.timer?.cancel();
    staging.givesWay = false;
    if (this.#isClosed || staging.isComplete) return;
    const { timers, resumeMs } = this.#options;
    const firstMs = Math.min(resumeMs, giveWayMs);
    staging.timer = timers.after(firstMs, () => {
      staging.givesWay = true;
      staging.timer = timers.after(resumeMs - firstMs, () => {
        if (this.#stagings.get(staging.offer.group) === staging && !staging.isStreaming) this.#discard(staging);
      });
    });
  }

  #discard(staging: Staging): void {
    staging.timer?.cancel();
    const { group } = staging.offer;
    if (this.#stagings.get(group) === staging) this.#stagings.delete(group);
    if (staging.writing === undefined) {
      this.#options.cleaner.add(group, staging.generation);
      return;
    }
    // Deleted now, the generation would get the rest afterwards, and pass it on to whoever has its number next.
    this.#ending.add(staging);
    const ended = (): void => {
      this.#ending.delete(staging);
      if (!this.#isClosed) this.#options.cleaner.add(group, staging.generation);
    };
    staging.writing.then(ended, ended);
  }

  #nextGeneration(group: RaftGroup): number {
    const staged = this.#stagings.get(group.group)?.generation ?? 0;
    const leftOver = Math.max(this.#options.cleaner.highest(group.group), this.highest(group.group));
    return Math.max(group.generation, staged, leftOver) + 1;
  }
}

function messageOf(offer: SnapshotOffer, from: number, to: number): Message {
  const message = makeMessage(MessageType.MsgSnap, to, from, offer.term);
  const metadata = { index: offer.index, term: offer.indexTerm, confState: offer.members.confState };
  message.snapshot = { metadata, data: noBytes };
  return message;
}
