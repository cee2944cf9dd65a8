import { oaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import { channels, type Mesh } from '../mesh/index.ts';
import { answerOfHeir } from '../replication/index.ts';
import {
  decodeOutboxChange,
  encodeEvent,
  encodeOutboxChange,
  type EventRef,
  type EventualShard,
  type KeptLetter,
  type LetterRef,
} from '../shard/index.ts';

/** Events, and bytes of them, in one message; one is always sent. */
const atOnce = 256;
const maxBytes = 512 * 1024;

/**
 * Gives events and dead letters of a replica that is to be removed to another replica of its shard, where replicas merge:
 * each has its own. They keep their ids. What was handed over before the removal came to its end is handed over again.
 */
export class EventHandOver {
  readonly #mesh: Mesh;
  readonly #clock: Clock;

  constructor(mesh: Mesh, clock: Clock, replica: (shard: number) => EventualShard | undefined) {
    this.#mesh = mesh;
    this.#clock = clock;
    mesh.onRequest(channels.events, async (payload) => {
      const bytes = Buffer.from(payload);
      const shard = replica(bytes.readUIntBE(0, 6));
      if (shard?.isPrimary !== true) {
        throw oaasError('NoLeader', 'this member has no replica of the shard that takes events', { retryAfterMs: 200 });
      }
      await shard.outbox.change(decodeOutboxChange(bytes.subarray(6)));
      return new Uint8Array(0);
    });
  }

  /** Resolves when all are on the other member's disk. Rejects as requests do. */
  async send(to: number, { id, outbox }: EventualShard): Promise<void> {
    let behind: EventRef | undefined;
    for (;;) {
      const events = outbox.events(behind, atOnce);
      if (events.length === 0) break;
      let bytes = 0;
      const add: Uint8Array[] = [];
      for (const { ref, event } of events) {
        const encoded = encodeEvent(event);
        if (add.length > 0 && bytes + encoded.length > maxBytes) break;
        add.push(encoded);
        bytes += encoded.length;
        behind = ref;
      }
      await this.#ask(to, id, { add });
    }
    let last: LetterRef | undefined;
    for (;;) {
      const keep: KeptLetter[] = [];
      let bytes = 0;
      for (const { ref, death, event } of outbox.letters(last)) {
        const encoded = encodeEvent(event);
        if (keep.length === atOnce || (keep.length > 0 && bytes + encoded.length > maxBytes)) break;
        keep.push({ ...death, diedAt: ref.diedAt, event: encoded });
        bytes += encoded.length;
        last = ref;
      }
      if (keep.length === 0) return;
      await this.#ask(to, id, { keep });
    }
  }

  async #ask(to: number, shard: number, change: { add?: Uint8Array[]; keep?: KeptLetter[] }): Promise<void> {
    const head = Buffer.alloc(6);
    head.writeUIntBE(shard, 0, 6);
    const at = Math.max(0, Math.floor(this.#clock.now()));
    const payload = [head, encodeOutboxChange({ type: 'outbox', at, ...change })];
    await answerOfHeir(to, this.#mesh.request(to, channels.events, payload));
  }
}
