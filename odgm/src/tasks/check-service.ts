import { oaasError, toOaasError } from '@oaas/commons/errors';
import { channels, type Mesh } from '../mesh/index.ts';
import type { EventualShard, RaftShard, ReplicaMark, ShardCounters } from '../shard/index.ts';
import type { ObjectList, ScanReport, Scrubber } from './scrubber.ts';

/** What a checker asks of a replica. Travels as JSON: these are few. */
type CheckRequest =
  | { readonly do: 'mark'; readonly shard: number; readonly id: string; readonly scan: boolean }
  | { readonly do: 'answer'; readonly shard: number; readonly id: string }
  | { readonly do: 'list'; readonly shard: number; readonly id: string; readonly buckets: readonly number[] }
  | { readonly do: 'release'; readonly shard: number; readonly id: string }
  | { readonly do: 'root'; readonly shard: number; readonly id: string; readonly isDeep: boolean }
  | { readonly do: 'compare'; readonly shard: number; readonly id: string; readonly members: readonly number[] };

/** What a replica that merges has. */
export interface MergingRoot {
  readonly root: string;
  readonly counters: ShardCounters;
  /** Of a look at all that it has stored, where one was asked for. */
  readonly verification?: Verification | undefined;
}

/** What a look at all that a replica has stored found. */
export type Verification = Pick<ScanReport, 'isDone' | 'readBytes' | 'bad' | 'damage' | 'refused' | 'note'> & {
  /** Why it ended early; of a node of an earlier version. */
  readonly problem?: string | undefined;
};

/** A key that is not the same on the asked replica and on another one: leaves in hexadecimal, absent where there is none. */
export interface MergingDifference {
  readonly key: string;
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
}

/** How the asked replica and that of a member differ, when they were compared. */
export interface MergingComparison {
  readonly member: number;
  readonly ourRoot: string;
  readonly theirRoot: string;
  readonly differences: readonly MergingDifference[];
  /** Why they could not be compared. */
  readonly problem?: string | undefined;
}

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
  /** This node's replica of a shard whose replicas merge. */
  readonly merging: (shard: number) => EventualShard | undefined;
}

const text = new TextEncoder();
const bytes = new TextDecoder();
const requestMs = 5000;
/** Keys that are named of two replicas that differ. */
const differencesMax = 256;

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

  /** `id` names a look at all that is stored, which `isDeep` asks for. `NotFound` where there is no such replica. */
  async root(member: number, shard: number, id: string, isDeep: boolean): Promise<MergingRoot> {
    return (await this.#ask(member, { do: 'root', shard, id, isDeep })) as MergingRoot;
  }

  /** Has a replica that merges compare itself with others. */
  async compare(member: number, shard: number, members: readonly number[]): Promise<readonly MergingComparison[]> {
    return (await this.#ask(member, { do: 'compare', shard, id: '', members })) as readonly MergingComparison[];
  }

  async #ask(member: number, request: CheckRequest): Promise<unknown> {
    const { mesh } = this.#options;
    if (member === mesh.self.number) return this.#here(request);
    const answer = await mesh.request(member, channels.checks, text.encode(JSON.stringify(request)), {
      timeoutMs: requestMs,
    });
    return JSON.parse(bytes.decode(answer)) as unknown;
  }

  async #here(request: CheckRequest): Promise<unknown> {
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
      case 'root':
        return request.isDeep ? this.#deepRoot(shard, id) : rootOf(this.#merging(shard));
      case 'compare': {
        const found = this.#merging(shard);
        return Promise.all(request.members.map((member) => compareWith(found, member)));
      }
    }
  }

  /** A replica that was set apart meanwhile is read to the end all the same. */
  async #deepRoot(shard: number, id: string): Promise<MergingRoot> {
    const { scrubber } = this.#options;
    let mark = scrubber.markOf(shard, id);
    if (mark === undefined) {
      const source = await this.#merging(shard).scanSource(id);
      mark = source.mark;
      scrubber.scan(source);
    }
    const report = scrubber.report(shard, id);
    const { root, counters } = mark;
    if (report === undefined) return { root, counters };
    const { isDone, readBytes, bad, damage, refused, note } = report;
    return { root, counters, verification: { isDone, readBytes, bad, damage, refused, note } };
  }

  #merging(shard: number): EventualShard {
    const found = this.#options.merging(shard);
    if (found === undefined) throw oaasError('NotFound', 'this member has no replica of the shard');
    return found;
  }
}

async function rootOf(shard: EventualShard): Promise<MergingRoot> {
  const { root } = await shard.announce();
  return { root, counters: shard.counters };
}

async function compareWith(shard: EventualShard, member: number): Promise<MergingComparison> {
  try {
    const { mine, theirs, differences } = await shard.differencesWith(member, differencesMax);
    return {
      ...{ member, ourRoot: mine.root, theirRoot: theirs.root },
      differences: differences.map(({ key, ours, theirs: other }) => ({ key, ours: hex(ours), theirs: hex(other) })),
    };
  } catch (error) {
    return { member, ourRoot: '', theirRoot: '', differences: [], problem: toOaasError(error).message };
  }
}

function hex(bytesOf: Uint8Array | undefined): string | undefined {
  return bytesOf === undefined ? undefined : Buffer.from(bytesOf).toString('hex');
}
