import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Timers } from '@oaas/commons/time';
import type { MeshPayload } from '../../mesh/index.ts';
import { answerPageRequest, decodePageRequest, encodePageResponse } from '../../merkle/index.ts';
import { Reader } from '../wire.ts';
import { stateBytes } from './exchange.ts';
import {
  bodyOf,
  decodeDone,
  decodeGossip,
  decodeHead,
  decodeKeys,
  decodeLeaves,
  encodeAnswers,
  encodeHello,
  encodeTaken,
  encodeVersions,
  formerEpoch,
  type Head,
  requests,
} from './messages.ts';
import { type RefTraffic, refsOf } from './ref-traffic.ts';
import { differInRefs } from './refs.ts';
import type { Announcement, EventualReplica } from './types.ts';

export interface ResponderOptions {
  readonly timers: Timers;
  readonly logger: Logger;
  readonly refs: RefTraffic;
  /** The replica of a shard that takes part on this node. */
  readonly replicaOf: (shard: number) => EventualReplica | undefined;
  /** The replica of a shard may lack some of what another one has: it is to be compared soon. */
  readonly onNews: (shard: number) => void;
}

/** What a former replica may ask of one that takes over what it has, and that one of it. */
const askedByFormer: ReadonlySet<number> = new Set([requests.hello, requests.pages, requests.push, requests.changed]);
const askedOfFormer: ReadonlySet<number | undefined> = new Set([requests.refs, requests.pages, requests.versions]);

interface Asked {
  readonly from: number;
  readonly type: number;
  readonly head: Head;
  /** A replica that is no part of the shard any more asks. */
  readonly isFormer: boolean;
}

/** A root that was announced to a peer stays readable for so long, or until the exchange is over. */
const announcedMs = 60_000;

/**
 * Answers what other nodes ask of the replicas of this one. It keeps nothing of an exchange but the roots that it has
 * announced: whoever asks leads. A message counts only where each of the two replicas is what the other one takes it for
 * (member, shard and epoch); all that a former replica may do is to hand over what it has to its heir.
 */
export class Responder {
  readonly #options: ResponderOptions;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** States that another replica sent as they changed there. What does not find room now comes with the next comparison. */
  take(from: number, payload: Uint8Array): void {
    const { logger, onNews } = this.#options;
    try {
      const reader = new Reader(payload);
      const replica = this.#addressed(from, decodeHead(reader));
      replica?.merge(bodyOf(reader)).catch(() => {
        onNews(replica.shard);
      });
    } catch (error) {
      logger.warn({ from, err: error }, 'unreadable message of another member');
    }
  }

  /** Rejects with `FailedPrecondition` when there is no such replica here, and as the replica does. */
  async answer(from: number, payload: Uint8Array): Promise<MeshPayload> {
    const { refs } = this.#options;
    const reader = new Reader(payload);
    const type = reader.u8();
    if (type === requests.gossip) return this.#compared(from, reader);
    const head = decodeHead(reader);
    const isFormer = head.fromEpoch === formerEpoch;
    const replica = isFormer && askedByFormer.has(type) ? this.#heir(head) : this.#addressed(from, head, type);
    if (replica === undefined) {
      throw oaasError('FailedPrecondition', `there is no such replica of shard ${String(head.shard)} here`);
    }
    try {
      return await this.#answerOf(replica, { from, type, head, isFormer }, reader);
    } catch (error) {
      refs.couldNotGive(replica, error);
      throw error;
    }
  }

  async #answerOf(
    replica: EventualReplica,
    { from, type, head, isFormer }: Asked,
    reader: Reader,
  ): Promise<MeshPayload> {
    const { refs } = this.#options;
    switch (type) {
      case requests.pages:
        return encodePageResponse(answerPageRequest(replica.pages, decodePageRequest(bodyOf(reader))));
      case requests.states: {
        const { maxBytes, keys } = decodeKeys(reader);
        const { count, states } = replica.take(keys, Math.min(maxBytes, 2 * stateBytes));
        return encodeTaken(count, states);
      }
      case requests.push:
        return Uint8Array.of((await replica.merge(bodyOf(reader), isFormer)) ? 1 : 0);
      case requests.done: {
        const { mine: theirs, theirs: mine } = decodeDone(reader);
        replica.completed({ member: from, epoch: head.fromEpoch }, { mine, theirs });
        return Uint8Array.of(1);
      }
      case requests.hello: {
        const announcement = await replica.announce();
        this.#keepAnnounced(replica, announcement);
        return encodeHello(announcement);
      }
      case requests.refs:
        return refs.give(replica, from);
      case requests.versions: {
        const { maxBytes, leaves } = decodeLeaves(reader);
        return encodeVersions(refsOf(replica).statesOf(leaves, Math.min(maxBytes, 2 * stateBytes)));
      }
      case requests.changed: {
        // One that is new takes them over after all the rest.
        if (!replica.isComplete) return Uint8Array.of(0);
        const back = { shard: head.shard, fromEpoch: head.toEpoch, toEpoch: head.fromEpoch };
        await refs.take(replica, from, back);
        return Uint8Array.of(1);
      }
      default:
        throw oaasError('InvalidArgument', `a request of the unknown kind ${String(type)}`);
    }
  }

  async #compared(from: number, reader: Reader): Promise<Uint8Array> {
    const { onNews } = this.#options;
    const asked = decodeGossip(reader);
    const answers = await Promise.all(
      asked.map(async ({ head, announcement: theirs }) => {
        const replica = this.#addressed(from, head);
        if (replica === undefined) return undefined;
        const asking = { member: from, epoch: head.fromEpoch };
        replica.heard(asking, theirs);
        const mine = await replica.announce();
        if (mine.root === theirs.root) {
          replica.completed(asking, { mine, theirs });
        } else {
          this.#keepAnnounced(replica, mine);
          onNews(head.shard);
        }
        if (differInRefs(mine, theirs)) onNews(head.shard);
        return mine;
      }),
    );
    return encodeAnswers(answers);
  }

  #keepAnnounced(replica: EventualReplica, { root }: Announcement): void {
    this.#options.timers.after(announcedMs, replica.pin(root));
  }

  /** Who can take what a former replica hands over. */
  #heir({ shard, toEpoch }: Head): EventualReplica | undefined {
    const replica = this.#options.replicaOf(shard);
    return replica?.epoch === toEpoch && replica.isComplete ? replica : undefined;
  }

  /** Both replicas are what the other takes them for, or this one is handed over. */
  #addressed(from: number, { shard, fromEpoch, toEpoch }: Head, type?: number): EventualReplica | undefined {
    const { refs, replicaOf } = this.#options;
    if (toEpoch === formerEpoch && askedOfFormer.has(type)) return refs.former(shard);
    const replica = replicaOf(shard);
    return replica?.epoch === toEpoch && replica.epochOf(from) === fromEpoch ? replica : undefined;
  }
}
