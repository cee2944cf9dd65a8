import { oaasError } from '@oaas/commons/errors';
import { channels, type Mesh } from '../mesh/index.ts';
import type { MemberChange, RaftGroup } from '../replication/index.ts';
import { EventualShard, type ShardHandle } from '../shard/index.ts';
import {
  type GroupMembership,
  membershipConflict,
  overtakenRequest,
  quorumRisk,
  type RequestOrder,
  supersededCoordinator,
} from './expectation.ts';
import type { RaftChange } from './types.ts';

/** What the coordinator of tasks asks of a replica. Travels as JSON: these are few. */
export type ShardRequest = ShardAction & {
  /** Of the coordinator. One whose successor has asked here already is refused. Former versions name none. */
  readonly term?: number | undefined;
  /** Of the member that asks: later requests have higher ones. Former versions name none. */
  readonly order?: number | undefined;
  /** What the step was decided on. It is refused when that is not the case any more. Former versions name none. */
  readonly expected?: GroupMembership | undefined;
};

type ShardAction =
  | { readonly do: 'observe'; readonly shard: number }
  | {
      readonly do: 'change';
      readonly shard: number;
      readonly change: RaftChange;
      /** Epochs of the replicas, by member. */
      readonly epochs: Readonly<Record<string, number>>;
    }
  | { readonly do: 'leaveJoint'; readonly shard: number }
  | { readonly do: 'transferLeader'; readonly shard: number; readonly to: number };

/** What the leader knows of its shard. */
export interface ShardObservation extends GroupMembership {
  readonly leader: number;
  readonly term: number;
  readonly progress: readonly {
    readonly member: number;
    readonly lag: number;
    readonly needsSnapshot: boolean;
    readonly received: number;
    readonly active: boolean;
  }[];
  readonly bytes: number;
  /** Of replicas that merge: epoch of the shard's record that the answering one follows. */
  readonly epoch?: number | undefined;
}

/** What a replica lacks of which nothing is known but that it is not the same. */
const unknownLag = 1e9;

/** Replicas that a node has, for the coordinator. */
export interface LocalShards {
  /** The group of a shard, and who sends its snapshots. */
  group(shard: number): { readonly group: RaftGroup; readonly sentBytes: (to: number) => number } | undefined;
  handle(shard: number): ShardHandle | undefined;
}

const text = new TextEncoder();
const bytes = new TextDecoder();
/** A change that is not applied by then is asked for again. */
const requestMs = 10_000;
/** Retry hint of one who asks while the members change. */
const retryAfterMs = 100;

/** Carries requests of the coordinator out on the replicas of this node, and takes them to other nodes. */
export class ShardService {
  readonly #mesh: Mesh;
  readonly #local: LocalShards;
  /** Highest term of a coordinator that was heard of. */
  #term = 0;
  /** Requests that this member has asked. */
  #asked = 0;
  /** The last request about each shard of this node. */
  readonly #newest = new Map<number, RequestOrder>();

  constructor(mesh: Mesh, local: LocalShards) {
    this.#mesh = mesh;
    this.#local = local;
    mesh.onRequest(channels.shards, async (payload) => {
      const request = JSON.parse(bytes.decode(payload)) as ShardRequest;
      return text.encode(JSON.stringify((await this.#here(request)) ?? null));
    });
  }

  /**
   * Asks the member that leads the shard, or any that has a replica that merges. Rejects with `NoLeader` when it does not
   * lead, `Unavailable`, also when a majority would not answer after it, with `Conflict` when the request was decided on something else than what is the case, and as
   * changes of the group do.
   */
  async ask(member: number, asked: ShardRequest): Promise<ShardObservation | undefined> {
    this.#asked += 1;
    const request = { ...asked, order: this.#asked };
    if (member === this.#mesh.self.number) return this.#here(request);
    const answer = await this.#mesh.request(member, channels.shards, text.encode(JSON.stringify(request)), {
      timeoutMs: requestMs,
    });
    return (JSON.parse(bytes.decode(answer)) as ShardObservation | null) ?? undefined;
  }

  async #here(request: ShardRequest): Promise<ShardObservation | undefined> {
    const { term = this.#term, expected } = request;
    if (term < this.#term) throw supersededCoordinator(term, this.#term);
    this.#term = term;
    const handle = this.#local.handle(request.shard);
    if (handle instanceof EventualShard) return this.#observeMerging(handle, request);
    const found = this.#local.group(request.shard);
    if (found === undefined) this.#newest.delete(request.shard);
    if (found === undefined || !found.group.isLeader) {
      const leader = found?.group.leader ?? 0;
      throw oaasError('NoLeader', 'this member does not lead the shard', { details: { leader } });
    }
    const { group } = found;
    const order = { term, order: request.order ?? Infinity };
    const overtaken = (): Error | undefined => overtakenRequest(order, this.#newest.get(request.shard));
    throwIfAny(overtaken());
    if (request.order !== undefined) this.#newest.set(request.shard, order);
    const objection = (): Error | undefined => {
      if (term < this.#term) return supersededCoordinator(term, this.#term);
      const late = overtaken();
      if (late !== undefined) return late;
      return expected === undefined ? undefined : membershipConflict(expected, membershipOf(group));
    };
    switch (request.do) {
      case 'observe':
        // What follows from members that are others a moment later is wrong: a move that ends by them is never taken up again.
        if (group.hasOpenChange) {
          throw oaasError('NoLeader', 'a change of members is not applied yet', {
            details: { leader: 0 },
            retryAfterMs,
          });
        }
        return this.#observe(request.shard, group, found.sentBytes);
      case 'change': {
        const { change, epochs } = request;
        const { voters } = group.confState;
        const riskBy = (heard: ReadonlySet<number>): Error | undefined => quorumRisk(voters, change, heard);
        throwIfAny(objection() ?? riskBy(await group.sound((heard) => riskBy(heard) === undefined)));
        await group.changeMembers(changesOf(change, epochs), noContext, change.joint, objection);
        return undefined;
      }
      case 'leaveJoint':
        await group.leaveJoint(objection);
        return undefined;
      case 'transferLeader':
        throwIfAny(objection());
        await group.transferLeadership(request.to);
        return undefined;
    }
  }

  #observeMerging(shard: EventualShard, request: ShardRequest): ShardObservation {
    if (request.do !== 'observe') throw oaasError('InvalidArgument', 'replicas that merge have no such change');
    const { epoch, replicas } = shard.membership;
    const of = (role: 'voter' | 'learner'): number[] =>
      replicas.filter((replica) => replica.role === role).map(({ member }) => member);
    return {
      ...{ leader: this.#mesh.self.number, term: 0, voters: of('voter'), learners: of('learner') },
      ...{ votersOutgoing: [], learnersNext: [], epoch },
      progress: shard.members.map((member) => ({
        member,
        lag: shard.isComplete && shard.isSyncedWith(member) ? 0 : unknownLag,
        ...{ needsSnapshot: false, received: 0, active: this.#mesh.isUp(member) },
      })),
      bytes: shard.counters.bytes,
    };
  }

  #observe(shard: number, group: RaftGroup, sentBytes: (to: number) => number): ShardObservation {
    const status = group.status();
    return {
      leader: this.#mesh.self.number,
      ...membershipOf(group),
      progress: status.progress
        .filter(({ member }) => member !== this.#mesh.self.number)
        .map(({ member, lag, match, state, recentActive }) => ({
          member,
          lag,
          // One that has acknowledged nothing may not be there yet, however short the log is that it lacks.
          needsSnapshot: state === 'snapshot' || match === 0,
          received: sentBytes(member),
          active: recentActive,
        })),
      bytes: this.#local.handle(shard)?.counters.bytes ?? 0,
    };
  }
}

const noContext = new Uint8Array(0);

function membershipOf({ confState, replicaEpochs, term }: RaftGroup): GroupMembership & { readonly term: number } {
  const { voters, votersOutgoing, learners, learnersNext } = confState;
  return { voters, votersOutgoing, learners, learnersNext, epochs: Object.fromEntries(replicaEpochs), term };
}

function throwIfAny(error: Error | undefined): void {
  if (error !== undefined) throw error;
}

function changesOf(change: RaftChange, epochs: Readonly<Record<string, number>>): MemberChange[] {
  const epochOf = (member: number): number => epochs[String(member)] ?? 1;
  return [
    ...change.addLearners.map((member): MemberChange => ({ type: 'learner', member, epoch: epochOf(member) })),
    ...change.promote.map((member): MemberChange => ({ type: 'voter', member, epoch: epochOf(member) })),
    ...change.demote.map((member): MemberChange => ({ type: 'learner', member, epoch: epochOf(member) })),
    ...change.remove.map((member): MemberChange => ({ type: 'remove', member })),
  ];
}
