import { jointCommittedIndex } from './quorum/index.ts';
import type { Configuration } from './tracker/index.ts';
import { type Message, noBytes } from './types.ts';

export interface PendingRead {
  readonly request: Message;
  /** What a read must see: the commit index when the request came in. */
  readonly index: number;
}

/**
 * Reads that wait for proof that this leader still led after they came in. They are numbered as they come; a heartbeat carries the number of
 * the newest, and its answer proves all up to that one. One round so confirms any number of reads, also while rounds overlap.
 */
export class PendingReads {
  #waiting: PendingRead[] = [];
  /** Number of the last read that was confirmed. */
  #confirmed = 0;
  readonly #acked = new Map<number, number>();

  add(index: number, request: Message): void {
    this.#waiting.push({ request, index });
  }

  /** What heartbeats carry now: empty when no read waits. */
  heartbeatContext(): Uint8Array {
    if (this.#waiting.length === 0) return noBytes;
    const context = new Uint8Array(8);
    const number = this.#confirmed + this.#waiting.length;
    const view = new DataView(context.buffer);
    view.setUint32(0, number % 2 ** 32, true);
    view.setUint32(4, Math.floor(number / 2 ** 32), true);
    return context;
  }

  /** The member answered a heartbeat that carried `context`. */
  acknowledge(from: number, context: Uint8Array): void {
    if (context.length !== 8) return;
    const view = new DataView(context.buffer, context.byteOffset, 8);
    const number = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
    if (number > (this.#acked.get(from) ?? 0)) this.#acked.set(from, number);
  }

  /** Takes out the reads that a quorum of voters has confirmed. */
  takeConfirmed(config: Configuration): readonly PendingRead[] {
    if (this.#waiting.length === 0) return [];
    const confirmed = jointCommittedIndex({ incoming: config.voters, outgoing: config.votersOutgoing }, (id) =>
      this.#acked.get(id),
    );
    if (confirmed <= this.#confirmed) return [];
    const taken = this.#waiting.splice(0, confirmed - this.#confirmed);
    this.#confirmed += taken.length;
    return taken;
  }
}
