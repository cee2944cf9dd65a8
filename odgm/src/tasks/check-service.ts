import { oaasError } from '@oaas/commons/errors';
import { channels, type Mesh } from '../mesh/index.ts';
import type { RaftShard, ReplicaMark } from '../shard/index.ts';
import type { ObjectList, ScanReport, Scrubber } from './scrubber.ts';

/** What a checker asks of a replica. Travels as JSON: these are few. */
type CheckRequest =
  | { readonly do: 'mark'; readonly shard: number; readonly id: string; readonly scan: boolean }
  | { readonly do: 'answer'; readonly shard: number; readonly id: string }
  | { readonly do: 'list'; readonly shard: number; readonly id: string; readonly buckets: readonly number[] }
  | { readonly do: 'release'; readonly shard: number; readonly id: string };

/** What the leader had at its mark, and who is to be asked. */
export interface Marked {
  readonly mark: ReplicaMark;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
}

/** What a replica knows of a mark; both absent while it has not applied it. */
export interface MarkAnswer {
  readonly mark?: ReplicaMark | undefined;
  readonly scan?: ScanReport | undefined;
}

export interface CheckServiceOptions {
  readonly mesh: Mesh;
  readonly scrubber: Scrubber;
  /** This node's replica of a shard that is replicated by consensus. */
  readonly replica: (shard: number) => RaftShard | undefined;
}

const text = new TextEncoder();
const bytes = new TextDecoder();
const requestMs = 5000;

/** Carries requests of a checker out on the replicas of this node, and takes them to other nodes. */
export class CheckService {
  readonly #options: CheckServiceOptions;

  constructor(options: CheckServiceOptions) {
    this.#options = options;
    options.mesh.onRequest(channels.checks, async (payload) => {
      const request = JSON.parse(bytes.decode(payload)) as CheckRequest;
      return text.encode(JSON.stringify((await this.#here(request)) ?? null));
    });
  }

  /** Puts a mark into the log by its leader. Rejects with `NoLeader`, `Unavailable`, and as proposals do. */
  async mark(leader: number, shard: number, id: string, scan: boolean): Promise<Marked> {
    return (await this.#ask(leader, { do: 'mark', shard, id, scan })) as Marked;
  }

  async answer(member: number, shard: number, id: string): Promise<MarkAnswer> {
    return (await this.#ask(member, { do: 'answer', shard, id })) ?? {};
  }

  /** Undefined when the member has no such scan. */
  async list(member: number, shard: number, id: string, buckets: readonly number[]): Promise<ObjectList | undefined> {
    return ((await this.#ask(member, { do: 'list', shard, id, buckets })) ?? undefined) as ObjectList | undefined;
  }

  async release(member: number, shard: number, id: string): Promise<void> {
    await this.#ask(member, { do: 'release', shard, id });
  }

  async #ask(member: number, request: CheckRequest): Promise<unknown> {
    const { mesh } = this.#options;
    if (member === mesh.self.number) return this.#here(request);
    const answer = await mesh.request(member, channels.checks, text.encode(JSON.stringify(request)), {
      timeoutMs: requestMs,
    });
    return JSON.parse(bytes.decode(answer)) as unknown;
  }

  async #here(request: CheckRequest): Promise<Marked | MarkAnswer | ObjectList | undefined> {
    const { scrubber, replica } = this.#options;
    const { shard, id } = request;
    switch (request.do) {
      case 'mark': {
        const found = replica(shard);
        if (found?.group.isLeader !== true) {
          throw oaasError('NoLeader', 'this member does not lead the shard', {
            details: { leader: found?.group.leader ?? 0 },
          });
        }
        const mark = await found.mark(id, request.scan);
        const { voters, votersOutgoing, learners } = found.group.confState;
        return {
          mark,
          voters,
          learners: [...new Set([...learners, ...votersOutgoing])].filter((one) => !voters.includes(one)),
        };
      }
      case 'answer':
        // A replica that was set apart since still says what it had.
        return { mark: replica(shard)?.markOf(id) ?? scrubber.markOf(shard, id), scan: scrubber.report(shard, id) };
      case 'list':
        return scrubber.list(shard, id, request.buckets);
      case 'release':
        scrubber.release(shard, id);
        return undefined;
    }
  }
}
