import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import { alarmOf, freezeOf, type MetaGroup, metaShard } from '../meta/index.ts';
import { EventualShard, RaftShard } from '../shard/index.ts';
import type { Replicas } from './replicas.ts';

export interface QuarantineOptions {
  /** Own member number; 0 while it is not known. */
  readonly self: () => number;
  readonly meta: () => MetaGroup | undefined;
  readonly replicas: () => Replicas | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

interface Suspect {
  readonly epoch: number;
  readonly kind: 'corrupt-replica' | 'lost-replica';
  readonly evidence: string;
}

/** Damage of the node itself, and not of one replica. */
export interface StorageProblem {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly message: string;
}

const tellMs = 500;
const problemsMax = 20;
const evidenceMax = 300;

/**
 * What this node finds wrong with its own replicas: a value or a log that cannot be read, a replica that failed over
 * it, or one whose content is gone. Such a replica serves no more from that moment on, and the meta group is told, which
 * sets it apart for good and has it made anew. A shard's only replica goes on serving what can be read, without writes.
 */
export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #suspects = new Map<number, Suspect>();
  readonly #timer: Timer;
  readonly #problems: StorageProblem[] = [];
  #isTelling = false;

  constructor(options: QuarantineOptions) {
    this.#options = options;
    this.#timer = options.timers.every(tellMs, () => void this.#tell());
  }

  /** The newest, at most 20. */
  get storageProblems(): readonly StorageProblem[] {
    return this.#problems;
  }

  isSuspect(shard: number, epoch: number): boolean {
    return this.#suspects.get(shard)?.epoch === epoch;
  }

  /** Storage could not read something. Called in the middle of that read. */
  damaged(error: Error): void {
    const shard = groupOf(error);
    if (shard === undefined || shard === metaShard || this.#isOfThePast(shard, error)) {
      this.#problems.push({ at: this.#options.clock.now(), message: error.message });
      if (this.#problems.length > problemsMax) this.#problems.shift();
      return;
    }
    const handle = this.#options.replicas()?.get(shard);
    // One that is being made anew may still be there, and the new one is not meant.
    this.suspect(shard, error, handle instanceof EventualShard ? handle.epoch : undefined);
  }

  /**
   * A replica failed, or cannot be opened. Anything but damage or loss of what it has is no reason to make it anew. By
   * default the present replica is meant.
   */
  suspect(shard: number, error: Error, epoch = this.#epochOf(shard)): void {
    if (!isOaasError(error, 'StorageCorrupt') && !isOaasError(error, 'DataLoss')) return;
    if (epoch === undefined || this.isSuspect(shard, epoch) || this.#isTold(shard)) return;
    const { logger, timers } = this.#options;
    const kind = isLoss(error) ? 'lost-replica' : 'corrupt-replica';
    logger.error({ err: error, shard }, 'a replica of this node is not to be trusted');
    this.#suspects.set(shard, { epoch, kind, evidence: error.message.slice(0, evidenceMax) });
    if (!this.#isOnlyOne(shard)) this.#options.replicas()?.withdraw(shard, error.message);
    // Not from within the work of the replica.
    timers.after(0, () => {
      this.#handOver(shard);
      void this.#tell();
    });
  }

  /** Forgets what the meta state knows by now, or what was made anew since. */
  settle(): void {
    for (const [shard, { epoch }] of this.#suspects) {
      if (this.#epochOf(shard) !== epoch || this.#isTold(shard)) this.#suspects.delete(shard);
    }
  }

  close(): void {
    this.#timer.cancel();
  }

  /** The meta state has the alarm. */
  #isTold(shard: number): boolean {
    const state = this.#options.meta()?.state;
    const record = state?.shards.get(shard);
    if (state === undefined || record === undefined) return false;
    if (this.#isOnlyOne(shard)) return freezeOf(state, shard) !== undefined;
    return alarmOf(state, record, this.#options.self()) !== undefined;
  }

  async #tell(): Promise<void> {
    const { clock, logger } = this.#options;
    const meta = this.#options.meta();
    if (this.#isTelling || meta === undefined) return;
    this.#isTelling = true;
    try {
      for (const [shard, { epoch, kind, evidence }] of [...this.#suspects]) {
        const about = { shard, since: clock.now(), evidence };
        const alarm = this.#isOnlyOne(shard)
          ? ({ ...about, kind: 'no-majority' } as const)
          : ({ ...about, member: this.#options.self(), epoch, kind } as const);
        await meta.propose({ type: 'setAlarm', alarm });
      }
    } catch (thrown) {
      logger.debug({ err: toOaasError(thrown) }, 'the meta group does not know of a bad replica yet');
    } finally {
      this.#isTelling = false;
    }
  }

  /** A replica that others have to wait for does not lead them. */
  #handOver(shard: number): void {
    const handle = this.#options.replicas()?.get(shard);
    if (!(handle instanceof RaftShard) || !handle.group.isLeader || this.#isOnlyOne(shard)) return;
    const successor = handle.group.bestSuccessor();
    if (successor !== undefined) handle.group.transferLeadership(successor).catch(() => undefined);
  }

  /** It is about a state that is not in use any more, and is being deleted. One that cannot be opened says so itself. */
  #isOfThePast(shard: number, error: Error): boolean {
    const handle = this.#options.replicas()?.get(shard);
    if (handle === undefined) return true;
    const generation = keyOf(error)?.readUInt32BE(6);
    const present =
      handle instanceof RaftShard
        ? handle.group.generation
        : handle instanceof EventualShard
          ? handle.location.generation
          : undefined;
    return generation !== undefined && present !== undefined && generation !== present;
  }

  #epochOf(shard: number): number | undefined {
    const record = this.#options.meta()?.state.shards.get(shard);
    return record?.replicas.find(({ member }) => member === this.#options.self())?.epoch;
  }

  #isOnlyOne(shard: number): boolean {
    return this.#options.meta()?.state.shards.get(shard)?.replicas.length === 1;
  }
}

/** Number of the group that an error of storage is about, by the key or the log that it names. */
function groupOf(error: Error): number | undefined {
  const group = isOaasError(error) ? error.details?.['group'] : undefined;
  if (typeof group === 'number') return group;
  const number = keyOf(error)?.readUIntBE(0, 6);
  return number === 0xffff_ffff_ffff ? undefined : number;
}

/** The key that an error of storage names, if it is one of a group's state. */
function keyOf(error: Error): Buffer | undefined {
  const key = isOaasError(error) ? error.details?.['key'] : undefined;
  const bytes = typeof key === 'string' ? Buffer.from(key, 'hex') : undefined;
  return bytes !== undefined && bytes.length > 10 ? bytes : undefined;
}

function isLoss(error: Error): boolean {
  return isOaasError(error, 'DataLoss') && error.details?.['lost'] === true;
}
